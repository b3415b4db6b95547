"""The body of ``POST /v1/messages`` read as blocks, and written with marks.

This file may know the body as a whole: the order of its levels, what of it reaches the
model, and where the automatic mark lands. Its parts stand below it: ``canonical`` (what
makes two blocks the same), ``kinds`` (which kinds there are), ``pieces`` (one message at a
time), ``settings`` (what besides blocks decides a prefix), ``marks`` (marking and
unmarking) and ``validity`` (what the service refuses); their public names stand here too.

A body is trusted to be JSON and nothing more. What has another shape than the API's is an
``InputError`` with the path to it; what has the shape and is refused is a ``Fault``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cacheplan import facts
from cacheplan.assumptions import Assumptions
from cacheplan.canonical import canonical, digest
from cacheplan.errors import InputError
from cacheplan.marks import mark, unmark
from cacheplan.pieces import (
    Piece,
    lifetime,
    list_at,
    message_pieces,
    object_at,
    system_pieces,
    tool_pieces,
)
from cacheplan.prompt import Lifetime
from cacheplan.settings import Settings, citations_in, images_in, settings
from cacheplan.validity import Fault, validate

__all__ = [
    "Fault",
    "Parsed",
    "Piece",
    "Settings",
    "canonical",
    "citations_in",
    "digest",
    "images_in",
    "lifetime",
    "mark",
    "message_pieces",
    "parse",
    "settings",
    "shown",
    "system_pieces",
    "tool_pieces",
    "unmark",
    "validate",
]


class Parsed(NamedTuple):
    """One body taken apart."""

    model: str
    #: What reaches the model, in the order of the prompt.
    pieces: list[Piece]
    settings: Settings
    #: The lifetime of the top-level mark.
    automatic: Lifetime | None
    #: Which piece the top-level mark lands on; ``None`` where there is no such mark, or
    #: nothing it could land on.
    target: int | None
    #: True for a call that only fills the cache (``max_tokens: 0``).
    prewarm: bool
    #: True where the service holds the start of the prompt, so that it is not here.
    partial: bool

    def breakpoints(self) -> list[tuple[int, Lifetime]]:
        """Return where the service puts breakpoints: the marks, and the automatic one.

        On a block that is marked already the automatic mark changes nothing.
        """
        found = [(at, piece.mark) for at, piece in enumerate(self.pieces) if piece.mark]
        if self.automatic and self.target is not None and not self.pieces[self.target].mark:
            found.append((self.target, self.automatic))
        return sorted(found)


def parse(body: Any, assume: Assumptions) -> Parsed:
    """Read a whole body.

    >>> body = {"model": "m", "system": "Be brief.", "messages": [], "cache_control": None}
    >>> parse(body, Assumptions()).pieces[0].block.kind
    'text'
    """
    body = object_at(body, ())
    model = _model(body)
    try:
        tools = tool_pieces(body.get("tools"), assume)
        system = system_pieces(body.get("system"), assume)
        messages = _messages(body.get("messages"), assume)
    except RecursionError as error:
        raise InputError("this is nested too deeply") from error
    pieces = [*tools, *system, *messages]
    automatic = _automatic(body)
    found = facts.find(model)
    thread = body.get("thread")
    return Parsed(
        model=model,
        pieces=pieces,
        settings=settings(
            body,
            found.model if found else None,
            images_in(messages) or images_in(system),
            assume,
            citations=citations_in(messages) or citations_in(system),
        ),
        automatic=automatic,
        target=_target(pieces) if automatic else None,
        prewarm=body.get("max_tokens") == 0,
        partial=isinstance(thread, Mapping) and thread.get("type") == "continue",
    )


def _messages(messages: Any, assume: Assumptions) -> list[Piece]:
    """Read all messages and leave out what the model is not shown."""
    pieces: list[Piece] = []
    for index, message in enumerate(list_at(messages, ("messages",))):
        pieces += message_pieces(message, index, assume)
    return shown(pieces)


def shown(pieces: Sequence[Piece]) -> list[Piece]:
    """Return what of all messages' pieces reaches the model, given their neighbours.

    * Blocks before the last compaction are ignored (compaction page, 2026-08-22).
    * A tool called by code execution and the result that answers it are not rendered.
    * A system message that is cleared at the next user message is gone once there is one
      (``clear_at``, beta of 2026-08-21).
    """
    start = asked = 0
    unseen: set[str] = set()
    passing = False
    for at, piece in enumerate(pieces):
        block = piece.block
        if block.kind == "compaction":
            start = at
        elif block.role == "user":
            asked = at
        if block.refuses == "called":
            unseen.add(str(block.body.get("id")))
        passing = passing or block.refuses == "cleared"
    if not (start or unseen or passing):
        return list(pieces)
    return [
        piece
        for at, piece in enumerate(pieces)
        if at >= start
        and piece.block.refuses != "called"
        and not (piece.block.refuses == "cleared" and at < asked)
        and not (unseen and str(piece.block.body.get("tool_use_id")) in unseen)
    ]


def _target(pieces: Sequence[Piece]) -> int | None:
    """Return the last piece that takes a mark: where the service puts the automatic one."""
    for at in range(len(pieces) - 1, -1, -1):
        if not pieces[at].block.refuses:
            return at
    return None


def _automatic(body: Mapping[str, Any]) -> Lifetime | None:
    """Read the top-level mark."""
    try:
        return lifetime(body.get("cache_control"))
    except InputError as error:
        raise error.within("cache_control") from error


def _model(body: Mapping[str, Any]) -> str:
    """Read the model's id, which a body under construction may still lack."""
    model = body.get("model", "")
    if not isinstance(model, str):
        raise InputError(f"{type(model).__name__} is not text", ("model",))
    return model
