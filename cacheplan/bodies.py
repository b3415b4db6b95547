"""Request bodies, as bytes, become paths in the prefix tree; each part is read once.

In a log of conversations nearly every byte was already there in the call before. So a
body is split at its joints without decoding it, each message is recognised by the hash
of its bytes, and only one never seen is decoded, put in canonical form and counted. What
a body repeats of an earlier one from the start (see ``repeats``) is not even split.
Equal bytes are equal content; the reverse is settled by the canonical form.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any, Final, NamedTuple

import msgspec
from xxhash import xxh3_128_intdigest

from cacheplan import facts
from cacheplan.assumptions import Assumptions
from cacheplan.envelopes import Envelope, Sent, place_automatic, scope_of
from cacheplan.errors import InputError
from cacheplan.parts import (
    CITATIONS,
    ENTANGLED,
    IMAGES,
    PASSING,
    THINKING,
    THINKS,
    Part,
    newest_question,
    part_of,
    traits_of,
)
from cacheplan.pieces import Piece, lifetime, message_pieces, system_pieces, tool_pieces
from cacheplan.prefixes import PrefixTree, Scope
from cacheplan.prices import Tariff
from cacheplan.prompt import Breakpoint, Level, Lifetime, Place
from cacheplan.repeats import Beginning, Repeats
from cacheplan.settings import PARAMETERS, citations_in, images_in, settings
from cacheplan.strict_json import array, members, value
from cacheplan.tokens import Count, TokenCounter, closing_tokens, fixed_tokens
from cacheplan.wire import shown

__all__ = ["Bodies", "Envelope", "Sent", "place_automatic", "scope_of"]

#: Decoded blocks that may wait for the counter: enough to keep its threads busy.
_WAITING: Final = 4096
#: What is decoded besides ``tools``, ``system`` and ``messages``. The rest (who asks, how
#: long the answer may be) decides nothing here, and may be another on every call.
_LIGHT: Final = PARAMETERS | {"cache_control", "inference_geo", "model", "thread"}


class _Look(NamedTuple):
    """How text is looked at: for which model, and by which tokenizer."""

    model: facts.Model | None
    #: Tells blocks apart that are equal but for their length.
    variant: int

    @classmethod
    @functools.cache
    def of(cls, name: str) -> _Look:
        """Return the look of a model's id; what nobody knows is taken for new."""
        found = facts.find(name)
        old = found is not None and found.model.generation == "old"
        return cls(found.model if found else None, 0 if old else 1)


class _Head(NamedTuple):
    """Tools, system and settings: what conversations of one kind begin with."""

    node: int
    marks: tuple[Breakpoint, ...]


class _Found(NamedTuple):
    """What a body says outside its blocks, and the prefix and breakpoints that it is."""

    outer: Mapping[str, Any]
    look: _Look
    node: int
    marks: list[Breakpoint]


class Bodies:
    """Reads bodies into one tree and has each new block counted once a tokenizer."""

    def __init__(self, tree: PrefixTree, counter: TokenCounter, assume: Assumptions) -> None:
        self.tree = tree
        self._counter = counter
        self._assume = assume
        self._messages: dict[int, dict[int, Part]] = {}
        #: Only for conversations whose messages change each other.
        self._entangled: dict[int, list[Piece]] = {}
        self._outer: dict[tuple[bytes, bytes], Any] = {}
        self._heads: dict[tuple[Any, ...], _Head] = {}
        self._repeats = Repeats()
        self._waiting: list[tuple[Any, int, facts.Model | None]] = []
        self._tips: dict[int, int] = {}
        #: True once a length was an estimate.
        self.estimated = False
        #: By prefix: the answers of server tools that followed it in some later body.
        self._answers: dict[int, tuple[int, ...]] = {}

    def read(self, raw: bytes | msgspec.Raw, envelope: Envelope, number: int) -> Sent | None:
        """Read one body; ``None`` if it holds only part of its prompt.

        ``number`` names the call, so that a later body which repeats its answer can tell
        what happened while it was served.
        """
        raw = bytes(raw)
        found = self._go_on(raw, envelope) or self._begin(raw, envelope)
        if found is None:
            return None
        outer, look, node, marks = found
        automatic, refused = _automatic(outer), None
        self._tips.setdefault(node, number)
        if automatic is not None:
            refused = place_automatic(self.tree, automatic, node, marks)
        tariff = Tariff(
            envelope.model or _text(outer, "model"),
            envelope.platform,
            envelope.surface,
            str(outer.get("speed") or "standard"),
            str(outer.get("inference_geo") or ""),
        )
        closing = closing_tokens(look.model)
        return Sent(node, tariff, tuple(marks), automatic, closing, refused)

    def _begin(self, raw: bytes, envelope: Envelope) -> _Found | None:
        """Read a body whole."""
        parts = members(raw)
        outer = self._decode_outer(parts)
        if self._partial(outer):
            return None
        name = envelope.model or _text(outer, "model")
        _automatic(outer)  # What is wrong outside is said before what is wrong inside.
        look = _Look.of(name)
        raws = _messages(parts)
        keys = [xxh3_128_intdigest(raw) for raw in raws]
        messages, traits = self._read_messages(zip(keys, raws, strict=True), 0, look)
        newest = newest_question(messages) if self._strips(look) else 0
        alone = not traits & ENTANGLED and not (newest and traits & THINKS)
        if traits & ENTANGLED:
            messages = self._disentangle(zip(keys, raws, strict=True), look, newest)
            traits = traits_of(messages)
        for at in range(min(newest, len(messages))):
            messages[at] = messages[at].bare or messages[at]
        head = self._head(parts, scope_of(name, envelope, self._assume), look, traits)
        known = None
        if alone:
            before = traits_of(messages[:-1])
            known = self._repeats.remember(raw, parts, raws[:-1], before)
        node, marks = self._follow(head, (head.node, ()), messages, known)
        return _Found(outer, look, node, [*head.marks, *marks])

    def _go_on(self, raw: bytes, envelope: Envelope) -> _Found | None:
        """Read what a body has beyond an earlier one; ``None`` where that is not enough."""
        known = self._repeats.find(raw)
        if known is None:
            return None
        try:
            parts = members(known.rest(raw))
            outer = self._decode_outer(parts)
            name = envelope.model or _text(outer, "model")
            look = _Look.of(name)
            raws = _messages(parts)
            read = zip(map(xxh3_128_intdigest, raws), raws, strict=True)
            messages, traits = self._read_messages(read, known.count, look)
            traits |= known.traits
            if self._partial(outer) or traits & ENTANGLED:
                return None
            if traits & THINKS and self._strips(look):
                return None
            head = self._head(parts, scope_of(name, envelope, self._assume), look, traits)
        except InputError:
            return None  # Read whole, it says where.
        walked = known.walked.get(head.node)
        if walked is None:
            return None
        before = traits_of(messages[:-1])
        longer = self._repeats.go_on(known, raw, raws[:-1], before)
        node, marks = self._follow(head, walked, messages, longer)
        return _Found(outer, look, node, [*head.marks, *marks])

    def _follow(
        self,
        head: _Head,
        walked: tuple[int, tuple[Breakpoint, ...]],
        messages: list[Part],
        known: Beginning | None,
    ) -> tuple[int, list[Breakpoint]]:
        """Return the whole prompt's prefix and the breakpoints on the way to it.

        ``walked`` is where these messages begin; ``known`` is told where the last begins.
        """
        node, marks = walked[0], list(walked[1])
        for at, part in enumerate(messages, 1 - len(messages)):
            if at == 0 and known is not None:
                known.walked[head.node] = node, tuple(marks)
            if part.answers:
                self._note_answers(node, part)
            node = self._walk(node, part, marks)
        return node, marks

    def _strips(self, look: _Look) -> bool:
        """Tell whether old thinking is left out for this model."""
        return look.model is not None and not facts.keeps_thinking(look.model, self._assume)

    def _decode_outer(self, parts: Mapping[str, msgspec.Raw]) -> dict[str, Any]:
        """Decode the light members, each spelling once."""
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

    def _partial(self, outer: Mapping[str, Any]) -> bool:
        """Tell whether the service holds the start of this prompt itself."""
        thread = outer.get("thread")
        continues = isinstance(thread, Mapping) and thread.get("type") == "continue"
        return continues and self._assume.partial_bodies == "skip"

    def _read_messages(
        self, raws: Iterable[tuple[int, msgspec.Raw]], first: int, look: _Look
    ) -> tuple[list[Part], int]:
        """Return messages as they were sent, and the traits of all of them together."""
        known = self._messages.setdefault(look.variant, {})
        messages, traits = [], 0
        for index, (key, raw) in enumerate(raws, first):
            part = known.get(key)
            if part is None:
                part = known[key] = self._message(raw, index, look)
            messages.append(part)
            traits |= part.traits
        return messages, traits

    def _disentangle(
        self, messages: Iterable[tuple[int, msgspec.Raw]], look: _Look, newest: int
    ) -> list[Part]:
        """Read messages that change what is rendered of one another, all at once."""
        pieces: list[Piece] = []
        for index, (key, raw) in enumerate(messages):
            found = self._entangled.get(key)
            if found is None:
                found = self._entangled[key] = message_pieces(value(raw), index, self._assume)
            if index < newest:
                found = [piece for piece in found if piece.block.kind not in THINKING]
            # Only the index of a place is asked for below.
            pieces += [piece._replace(place=_place(index)) for piece in found]
        return [
            self._part(seen, look)
            for _, seen in groupby(shown(pieces), key=lambda piece: piece.place.index)
        ]

    def _message(self, raw: msgspec.Raw, index: int, look: _Look) -> Part:
        """Read a message that was never seen."""
        try:
            message = value(raw)
        except InputError as error:
            raise error.within(index).within("messages") from error
        pieces = message_pieces(message, index, self._assume)
        part = self._part(pieces, look)
        human = message["role"] == "user" and any(
            piece.block.kind != "tool_result" for piece in pieces
        )
        bare = None
        if part.traits & THINKS:
            spoken = [piece for piece in pieces if piece.block.kind not in THINKING]
            bare = self._part(spoken, look)
        return part._replace(human=human, bare=bare)

    def _part(self, pieces: Iterable[Piece], look: _Look) -> Part:
        """Intern blocks and remember what a body asks of them."""
        pieces = list(pieces)
        tree, blocks = self.tree, []
        for piece in pieces:
            before = len(tree.kind)
            # What passes takes no mark, which the same words elsewhere do.
            passes = piece.block.refuses in PASSING
            number = tree.intern(piece.block, look.variant + 2 * passes)
            if number == before:
                self._waiting.append((piece.block, number, look.model))
            blocks.append(number)
        if len(self._waiting) >= _WAITING:
            self.count()
        return part_of(pieces, blocks)

    def count(self) -> None:
        """Have the blocks that wait for it counted."""
        waiting, self._waiting = self._waiting, []
        by_model: dict[str, list[tuple[Any, int, facts.Model | None]]] = {}
        for entry in waiting:
            by_model.setdefault(entry[2].id if entry[2] else "", []).append(entry)
        for entries in by_model.values():
            counts = self._counter.count([block for block, _, _ in entries], entries[0][2])
            for (_, number, _), count in zip(entries, counts, strict=True):
                self.tree.size[number] = count.tokens
                self.tree.error[number] = count.doubt
                self.estimated = self.estimated or count.source == "estimated"

    def _head(
        self,
        parts: Mapping[str, msgspec.Raw],
        scope: Scope,
        look: _Look,
        traits: int,
    ) -> _Head:
        """Return the prefix that the messages stand on; a new one is rare."""
        spellings = [(key, bytes(part)) for key, part in parts.items() if key in PARAMETERS]
        keys = [
            xxh3_128_intdigest(parts[key]) if key in parts else 0 for key in ("tools", "system")
        ]
        key = (scope, *keys, traits & (IMAGES | CITATIONS), *sorted(spellings))
        head = self._heads.get(key)
        if head is None:
            head = self._heads[key] = self._build_head(parts, scope, look, traits)
        return head

    def _build_head(
        self,
        parts: Mapping[str, msgspec.Raw],
        scope: Scope,
        look: _Look,
        traits: int,
    ) -> _Head:
        """Read tools and system, and lay them out with what is set at each level."""
        body = dict(self._decode_outer(parts))
        for key in ("tools", "system"):
            if key in parts:
                try:
                    body[key] = value(parts[key])
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
        node = self.tree.root(scope)
        marks: list[Breakpoint] = []
        for level, pieces in (
            (Level.TOOLS, plain),
            (Level.SYSTEM, web + system),
            (Level.MESSAGES, []),
        ):
            node = self._gate(node, level, gates[level], hidden[level])
            node = self._walk(node, self._part(pieces, look), marks)
        return _Head(node, tuple(marks))

    def _gate(self, node: int, level: Level, setting: bytes, hidden: Count) -> int:
        """Step over what is set, or silently added, where a level begins."""
        if not setting and not hidden.tokens:
            return node
        gate = self.tree.settings(level, setting, hidden.tokens)
        self.tree.error[gate] = hidden.doubt
        return self.tree.child(node, gate)

    def _walk(self, node: int, part: Part, marks: list[Breakpoint]) -> int:
        """Follow one part's blocks down the tree, noting where its marks fall."""
        if not part.marks:
            return self.tree.extend(node, part.blocks)
        lifetimes = dict(part.marks)
        for at, block in enumerate(part.blocks):
            node = self.tree.child(node, block)
            if at in lifetimes:
                marks.append(Breakpoint(node, lifetimes[at]))
        return node

    def _note_answers(self, node: int, part: Part) -> None:
        """Note where server tools answered the prompt that ends here."""
        if node in self._answers:
            return
        path = self.tree.path(self.tree.extend(node, part.blocks))
        start = len(path) - len(part.blocks)
        self._answers[node] = tuple(path[start + at] for at in part.answers)

    @property
    def rounds(self) -> dict[int, tuple[int, ...]]:
        """By number of the call: where server tools answered while it was served.

        Asked for at the end, since the body that repeats an answer may be read first.
        """
        return {
            self._tips[node]: answers
            for node, answers in self._answers.items()
            if node in self._tips
        }


@functools.lru_cache(maxsize=1 << 12)
def _place(index: int) -> Place:
    """Make a message's place once."""
    return Place(level=Level.MESSAGES, index=index)


def _messages(parts: Mapping[str, msgspec.Raw]) -> list[msgspec.Raw]:
    """Split a body's messages."""
    if "messages" not in parts:
        raise InputError("missing; a body has messages", ("messages",))
    try:
        return array(parts["messages"])
    except InputError as error:
        raise error.within("messages") from error


def _text(outer: Mapping[str, Any], key: str) -> str:
    """Return a member that has to be text."""
    found = outer.get(key)
    if isinstance(found, str) and found:
        return found
    raise InputError("missing" if found is None else "this is not text", (key,))


def _automatic(outer: Mapping[str, Any]) -> Lifetime | None:
    """Read the top-level ``cache_control``."""
    try:
        return lifetime(outer.get("cache_control"))
    except InputError as error:
        raise error.within("cache_control") from error
