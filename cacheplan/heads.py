"""What stands around the messages of a body: tools, system, and what else decides a prefix.

A service sends the same few of these all day, so each spelling is decoded once and each
head laid out once. This file may know the keys of a body; of messages it only hears what
they ask of the head.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec
from xxhash import xxh3_128_intdigest

from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError
from cacheplan.interned import Interned, Look
from cacheplan.parts import CITATIONS, IMAGES
from cacheplan.pieces import Piece, system_pieces, tool_pieces
from cacheplan.prefixes import Scope
from cacheplan.prompt import Block, Breakpoint, Level
from cacheplan.settings import PARAMETERS, citations_in, images_in, settings
from cacheplan.strict_json import value
from cacheplan.tokens import Count, fixed_tokens

__all__ = ["Around", "Head", "Heads"]

#: What is decoded besides ``tools``, ``system`` and ``messages``. The rest (who asks, how
#: long the answer may be) decides nothing here, and may be another on every call.
_LIGHT: Final = PARAMETERS | {"cache_control", "inference_geo", "model", "thread"}


class Around(NamedTuple):
    """What a body says outside its messages."""

    parts: Mapping[str, msgspec.Raw]
    #: The light members, decoded.
    outer: Mapping[str, Any]
    #: Tells heads apart, scope and messages aside.
    spelling: tuple[Any, ...]


class Head(NamedTuple):
    """Tools, system and settings: what conversations of one kind begin with."""

    node: int
    marks: tuple[Breakpoint, ...]


class Heads:
    """Lays out what stands before the messages, each once."""

    def __init__(self, interned: Interned, assume: Assumptions) -> None:
        self._interned = interned
        self._assume = assume
        self._outer: dict[tuple[bytes, bytes], Any] = {}
        self._heads: dict[tuple[Any, ...], Head] = {}

    def around(self, parts: Mapping[str, msgspec.Raw]) -> Around:
        """Keep the members besides messages, and decode what decides anything.

        A member is a view of its whole line: a copy lets go of that.
        """
        parts = {key: msgspec.Raw(bytes(part)) for key, part in parts.items() if key != "messages"}
        spellings = [(key, bytes(part)) for key, part in parts.items() if key in PARAMETERS]
        hashes = [
            xxh3_128_intdigest(parts[key]) if key in parts else 0 for key in ("tools", "system")
        ]
        return Around(parts, self._decode(parts), (*hashes, *sorted(spellings)))

    def _decode(self, parts: Mapping[str, msgspec.Raw]) -> dict[str, Any]:
        """Decode the light members."""
        outer = {}
        for key in _LIGHT & parts.keys():
            part = parts[key]
            spelling = (key.encode(), bytes(part))
            if spelling not in self._outer:
                try:
                    self._outer[spelling] = value(part)
                except InputError as error:
                    raise error.within(key) from error
            outer[key] = self._outer[spelling]
        return outer

    def head(
        self, around: Around, scope: Scope, look: Look, traits: int, front: Block | None = None
    ) -> Head:
        """Return the prefix that the messages stand on; a new one is rare.

        ``front`` stands for what the source does not show of it.
        """
        key = (scope, traits & (IMAGES | CITATIONS), around.spelling, front and front.digest)
        head = self._heads.get(key)
        if head is None:
            head = self._heads[key] = self._build(around, scope, look, traits, front)
        return head

    def _build(
        self, around: Around, scope: Scope, look: Look, traits: int, front: Block | None = None
    ) -> Head:
        """Read tools and system, and lay them out with what is set at each level."""
        body = dict(around.outer)
        for key in ("tools", "system"):
            if key in around.parts:
                try:
                    body[key] = value(around.parts[key])
                except InputError as error:
                    raise error.within(key) from error
        tools = tool_pieces(body.get("tools"), self._assume)
        system = system_pieces(body.get("system"), self._assume)
        gates = settings(
            body,
            look.model,
            bool(traits & IMAGES) or images_in(system),
            self._assume,
            citations=bool(traits & CITATIONS) or citations_in(system),
        )
        hidden = fixed_tokens(body, look.model, self._assume)
        web = [piece for piece in tools if piece.block.level is Level.SYSTEM]
        plain = [piece for piece in tools if piece.block.level is Level.TOOLS]
        levels: tuple[tuple[Level, list[Piece]], ...] = (
            (Level.TOOLS, plain),
            (Level.SYSTEM, web + system),
            (Level.MESSAGES, []),
        )
        node = self._interned.tree.root(scope)
        marks: list[Breakpoint] = []
        for level, pieces in levels:
            node = self._gate(node, level, gates[level], hidden[level])
            if front is not None and front.level is level:
                hides = self._interned.tree.intern(front, ~look.variant)
                node = self._interned.tree.child(node, hides)
            node = self._interned.walk(node, self._interned.part(pieces, look), marks)
        return Head(node, tuple(marks))

    def _gate(self, node: int, level: Level, setting: bytes, hidden: Count) -> int:
        """Step over what is set, or silently added, where a level begins."""
        if not setting and not hidden.tokens:
            return node
        tree = self._interned.tree
        gate = tree.settings(level, setting, hidden.tokens)
        tree.error[gate] = hidden.doubt
        return tree.child(node, gate)
