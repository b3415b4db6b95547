"""The parts of a body read as blocks: tools, system and one message at a time.

This file may know where blocks stand in a body and how a mark is written on one; the
body as a whole belongs to ``wire``. A message is read by itself because a log repeats
every message in every later call, and the reader asks only for those it never saw.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cacheplan import kinds
from cacheplan.assumptions import Assumptions
from cacheplan.canonical import canonical, digest
from cacheplan.errors import InputError
from cacheplan.prompt import Block, Level, Lifetime, Place

__all__ = [
    "Piece",
    "lifetime",
    "list_at",
    "message_pieces",
    "object_at",
    "system_pieces",
    "tool_pieces",
]

_ROLES = frozenset({"user", "assistant", "system"})
#: Kinds that are sometimes not rendered; asking only about them keeps a long body cheap.
_MAYBE_UNSEEN = frozenset({"fallback", "compaction"})
_LIFETIMES = {str(lifetime): lifetime for lifetime in Lifetime}


class Piece(NamedTuple):
    """A block where it stands in one body, with the mark it carries there."""

    block: Block
    place: Place
    mark: Lifetime | None


@functools.lru_cache(maxsize=1 << 14)
def _place(level: Level, index: int, content: int | None = None) -> Place:
    """Make a place once: every call of a conversation names the same ones."""
    return Place(level=level, index=index, content=content)


def lifetime(control: Any) -> Lifetime | None:
    """Read a ``cache_control`` value; ``None`` is no mark, an absent ttl is 5m.

    >>> lifetime({"type": "ephemeral"})
    <Lifetime.FIVE_MINUTES: '5m'>
    """
    if control is None:
        return None
    if not isinstance(control, Mapping):
        raise InputError("this is not an object")
    if control.get("type") != "ephemeral":
        raise InputError(f'"{control.get("type")}" is not ephemeral', ("type",))
    ttl = control.get("ttl")
    if ttl is None:
        return Lifetime.FIVE_MINUTES
    if not isinstance(ttl, str) or ttl not in _LIFETIMES:
        raise InputError(f'"{ttl}" is not 5m or 1h', ("ttl",))
    return _LIFETIMES[ttl]


def tool_pieces(tools: Any, assume: Assumptions) -> list[Piece]:
    """Read ``tools``: one block a definition, except that deferred tools are none.

    Web search and web fetch come last and belong to the system level: by the
    prompt-caching page (2026-09-26) switching them on or off leaves the tools level
    valid and breaks system, although their definition stands in ``tools``; it "modifies
    the system prompt". Placed between the two levels they do just that, and keep their
    length, their position and their mark, which they would lose as a mere setting.
    """
    ordinary: list[Piece] = []
    system: list[Piece] = []
    for index, tool in enumerate(list_at(tools, ("tools",))):
        path = ("tools", index)
        if kinds.deferred(object_at(tool, path)):
            continue
        level = Level.SYSTEM if kinds.web(tool) else Level.TOOLS
        kind = str(tool.get("type") or "custom")
        kind = "tool" if kind == "custom" else kind
        piece = _piece(tool, kind, Spot(level, "", "", _place(Level.TOOLS, index), path), assume)
        (ordinary if level is Level.TOOLS else system).append(piece)
    return ordinary + system


def system_pieces(system: Any, assume: Assumptions) -> list[Piece]:
    """Read ``system``: a string is one block, and an empty one is none."""
    if isinstance(system, str):
        spot = Spot(Level.SYSTEM, "", "", _place(Level.SYSTEM, 0), ("system",))
        return [_string(system, spot, assume)] if system else []
    pieces = []
    for index, block in enumerate(list_at(system, ("system",))):
        path = ("system", index)
        kind = _kind(block, path)
        spot = Spot(Level.SYSTEM, "", kinds.refusal(block), _place(Level.SYSTEM, index), path)
        pieces.append(_piece(block, kind, spot, assume))
    return pieces


def message_pieces(message: Any, index: int, assume: Assumptions) -> list[Piece]:
    """Read the message at ``index`` of ``messages``, whatever stands around it.

    Three kinds of block depend on their neighbours after all, and say so in ``refuses``
    or ``kind``; ``wire.shown`` leaves out what the model is not shown because of them.
    """
    at: tuple[str | int, ...] = ("messages", index)
    role = object_at(message, at).get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise InputError(f'"{role}" is not user, assistant or system', (*at, "role"))
    passing = "cleared" if message.get("clear_at") == "next_user_message" else ""
    content = message.get("content")
    at = (*at, "content")
    if isinstance(content, str):
        spot = Spot(Level.MESSAGES, role, passing, _place(Level.MESSAGES, index), at)
        pieces = [_string(content, spot, assume)]
    else:
        pieces = []
        for number, block in enumerate(list_at(content, at)):
            path = (*at, number)
            kind = _kind(block, path)
            if kind in _MAYBE_UNSEEN and not kinds.rendered(block):
                continue
            refuses = passing or kinds.refusal(block)
            place = _place(Level.MESSAGES, index, number)
            spot = Spot(Level.MESSAGES, role, refuses, place, path)
            pieces.append(_piece(block, kind, spot, assume))
    if role == "system" and message.get("output_config"):
        behind = 1 if isinstance(content, str) else len(content or ())
        place = _place(Level.MESSAGES, index, behind)
        pieces.append(_effort(message["output_config"], place, assume))
    return pieces


class Spot(NamedTuple):
    """Where a block was found, on its way to becoming a piece."""

    level: Level
    role: str
    refuses: str
    place: Place
    path: tuple[str | int, ...]


def _piece(body: Mapping[str, Any], kind: str, spot: Spot, assume: Assumptions) -> Piece:
    """Make the piece of one block; its body shares everything with the caller's."""
    mark = None
    marked = "cache_control" in body
    if marked or kind in kinds.INNER:
        mark = _mark(body, spot.path)
        if marked:
            body = {key: part for key, part in body.items() if key != "cache_control"}
    try:
        form = canonical(body, spot.level, spot.role, string_form=assume.string_form)
    except InputError as error:
        raise _placed(error, spot.path) from error
    block = Block(
        level=spot.level,
        kind=kind,
        role=spot.role,
        body=body,
        digest=digest(form),
        refuses=spot.refuses,
    )
    return Piece(block, spot.place, mark)


def _string(text: str, spot: Spot, assume: Assumptions) -> Piece:
    """Make the piece of content given as a string: the one text block it stands for."""
    block = Block(
        level=spot.level,
        kind="text",
        role=spot.role,
        body={"type": "text", "text": text},
        digest=digest(canonical(text, spot.level, spot.role, string_form=assume.string_form)),
        refuses=spot.refuses or ("blank" if kinds.blank(text) else ""),
    )
    return Piece(block, spot.place, None)


def _effort(settings: Any, place: Place, assume: Assumptions) -> Piece:
    """Make the piece for a system message's own ``output_config``.

    It holds from here on, so whatever follows has another prefix; a block of its own
    behind the message's others, which takes no mark, says just that.
    """
    path = ("messages", place.index, "output_config")
    body = {"type": "output_config", **object_at(settings, path)}
    spot = Spot(Level.MESSAGES, "system", "effort", place, path)
    return _piece(body, "output_config", spot, assume)


def _mark(body: Mapping[str, Any], path: tuple[str | int, ...]) -> Lifetime | None:
    """Read a block's own mark, or else the one its last inner block hands up."""
    control = body.get("cache_control")
    if control is not None:
        try:
            return lifetime(control)
        except InputError as error:
            raise _placed(error, (*path, "cache_control")) from error
    blocks = kinds.inner(body)
    if blocks and isinstance(blocks[-1], Mapping):
        return _mark(blocks[-1], (*path, *kinds.INNER[body["type"]], len(blocks) - 1))
    return None


def _kind(block: Any, path: tuple[str | int, ...]) -> str:
    """Return the type of a block, which outside tools nothing can stand in for."""
    kind = object_at(block, path).get("type")
    if not isinstance(kind, str) or not kind:
        raise InputError("a block has a type", (*path, "type"))
    return kind


def _placed(error: InputError, path: tuple[str | int, ...]) -> InputError:
    """Let an error grow its path by all steps at once."""
    for step in reversed(path):
        error = error.within(step)
    return error


def object_at(value: Any, path: tuple[str | int, ...]) -> Mapping[str, Any]:
    """Insist on an object; an SDK class is a frequent and understandable other thing."""
    if not isinstance(value, (dict, Mapping)):  # dict first: it is, and asking is quick
        hint = "; its to_dict() is one" if hasattr(value, "to_dict") else ""
        raise InputError(f"{type(value).__name__} is not an object{hint}", path)
    return value


def list_at(value: Any, path: tuple[str | int, ...]) -> Sequence[Any]:
    """Insist on a list; left out, it is an empty one."""
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise InputError(f"{type(value).__name__} is not a list", path)
    return value
