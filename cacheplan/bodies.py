"""Request bodies, as bytes, become paths in the prefix tree; each part is read once.

In a log of conversations nearly every byte was already there in the call before. So a
body is split at its joints without decoding it, each message is recognised by the hash
of its bytes, and only one never seen is decoded, put in canonical form and counted.
Equal bytes are equal content; the reverse is settled by the canonical form.
"""

from __future__ import annotations

import functools
from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

import msgspec
from xxhash import xxh3_128_intdigest

from cacheplan import facts
from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError
from cacheplan.pieces import Piece, lifetime, message_pieces, system_pieces, tool_pieces
from cacheplan.prefixes import PrefixTree, Scope
from cacheplan.prices import Tariff
from cacheplan.prompt import Breakpoint, Level, Lifetime, Place
from cacheplan.settings import PARAMETERS, citations_in, images_in, settings
from cacheplan.strict_json import array, members, value
from cacheplan.tokens import Count, TokenCounter, closing_tokens, fixed_tokens
from cacheplan.validity import mismatch_words, number_words
from cacheplan.wire import shown

__all__ = ["Bodies", "Envelope", "Sent", "place_automatic", "scope_of"]

_THINKING: Final = frozenset({"thinking", "redacted_thinking"})
#: Decoded blocks that may wait for the counter: enough to keep its threads busy.
_WAITING: Final = 4096
#: Why a block takes no mark, where the reason is that it may not be rendered.
_PASSING: Final = frozenset({"called", "cleared"})
#: What is decoded besides ``tools``, ``system`` and ``messages``. The rest (who asks, how
#: long the answer may be) decides nothing here, and may be another on every call.
_LIGHT: Final = PARAMETERS | {"cache_control", "inference_geo", "model", "thread"}


class Envelope(NamedTuple):
    """What a line says of its request from outside."""

    platform: str = "anthropic"
    surface: str = "messages"
    workspace: str = ""
    at: float | None = None
    #: Stands in for the model the body names.
    model: str | None = None


class Sent(NamedTuple):
    """One body, taken apart."""

    tip: int
    tariff: Tariff
    marks: tuple[Breakpoint, ...]
    automatic: Lifetime | None
    closing: int
    refused: str | None


class _Part(NamedTuple):
    """Neighbouring blocks of one body: a level's, or a message's."""

    blocks: tuple[int, ...]
    #: Which of them carry a mark.
    marks: tuple[tuple[int, Lifetime], ...] = ()
    #: Which of them are answers of server tools.
    answers: tuple[int, ...] = ()
    images: bool = False
    citations: bool = False
    #: True for a message that a person wrote: not tool results alone.
    human: bool = False
    #: True where what is rendered depends on the messages around it.
    entangled: bool = False
    #: The same without thinking blocks, where it has any.
    bare: _Part | None = None


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


class Bodies:
    """Reads bodies into one tree and has each new block counted once a tokenizer."""

    def __init__(self, tree: PrefixTree, counter: TokenCounter, assume: Assumptions) -> None:
        self.tree = tree
        self._counter = counter
        self._assume = assume
        self._messages: dict[int, dict[int, _Part]] = {}
        #: Only for conversations whose messages change each other.
        self._entangled: dict[int, list[Piece]] = {}
        self._outer: dict[tuple[bytes, bytes], Any] = {}
        self._heads: dict[tuple[Any, ...], _Head] = {}
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
        parts = members(raw)
        outer = self._decode_outer(parts)
        if self._partial(outer):
            return None
        name = envelope.model or _text(outer, "model")
        automatic, refused = _automatic(outer), None
        look = _Look.of(name)
        messages = self._read_messages(parts, look)
        scope = scope_of(name, envelope, self._assume)
        node, marks = self._follow(parts, scope, look, messages)
        self._tips.setdefault(node, number)
        if automatic is not None:
            refused = place_automatic(self.tree, automatic, node, marks)
        tariff = Tariff(
            name,
            envelope.platform,
            envelope.surface,
            str(outer.get("speed") or "standard"),
            str(outer.get("inference_geo") or ""),
        )
        closing = closing_tokens(look.model)
        return Sent(node, tariff, tuple(marks), automatic, closing, refused)

    def _follow(
        self,
        parts: Mapping[str, msgspec.Raw],
        scope: Scope,
        look: _Look,
        messages: list[_Part],
    ) -> tuple[int, list[Breakpoint]]:
        """Return the whole prompt's prefix and the breakpoints on the way to it."""
        images = any(part.images for part in messages)
        citations = any(part.citations for part in messages)
        head = self._head(parts, scope, look, images=images, citations=citations)
        node, marks = head.node, list(head.marks)
        for part in messages:
            if part.answers:
                self._note_answers(node, part)
            node = self._walk(node, part, marks)
        return node, marks

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

    def _read_messages(self, parts: Mapping[str, msgspec.Raw], look: _Look) -> list[_Part]:
        """Return the messages as they are rendered for this model."""
        if "messages" not in parts:
            raise InputError("missing; a body has messages", ("messages",))
        known = self._messages.setdefault(look.variant, {})
        messages = []
        try:
            raws = array(parts["messages"])
        except InputError as error:
            raise error.within("messages") from error
        keys = [xxh3_128_intdigest(raw) for raw in raws]
        for index, key in enumerate(keys):
            part = known.get(key)
            if part is None:
                part = known[key] = self._message(raws[index], index, look)
            messages.append(part)
        strips = look.model is not None and not facts.keeps_thinking(look.model, self._assume)
        newest = _newest_question(messages) if strips else 0
        if any(part.entangled for part in messages):
            return self._disentangle(zip(keys, raws, strict=True), look, newest)
        for at in range(newest):
            messages[at] = messages[at].bare or messages[at]
        return messages

    def _disentangle(
        self, messages: Iterable[tuple[int, msgspec.Raw]], look: _Look, newest: int
    ) -> list[_Part]:
        """Read messages that change what is rendered of one another, all at once."""
        pieces: list[Piece] = []
        for index, (key, raw) in enumerate(messages):
            found = self._entangled.get(key)
            if found is None:
                found = self._entangled[key] = message_pieces(value(raw), index, self._assume)
            if index < newest:
                found = [piece for piece in found if piece.block.kind not in _THINKING]
            # Only the index of a place is asked for below.
            pieces += [piece._replace(place=_place(index)) for piece in found]
        return [
            self._part(seen, look)
            for _, seen in groupby(shown(pieces), key=lambda piece: piece.place.index)
        ]

    def _message(self, raw: msgspec.Raw, index: int, look: _Look) -> _Part:
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
        if any(piece.block.kind in _THINKING for piece in pieces):
            spoken = [piece for piece in pieces if piece.block.kind not in _THINKING]
            bare = self._part(spoken, look)
        return part._replace(human=human, bare=bare)

    def _part(self, pieces: Iterable[Piece], look: _Look) -> _Part:
        """Intern blocks and remember what a body asks of them."""
        pieces = list(pieces)
        tree, blocks = self.tree, []
        for piece in pieces:
            before = len(tree.kind)
            # What passes takes no mark, which the same words elsewhere do.
            passes = piece.block.refuses in _PASSING
            number = tree.intern(piece.block, look.variant + 2 * passes)
            if number == before:
                self._waiting.append((piece.block, number, look.model))
            blocks.append(number)
        if len(self._waiting) >= _WAITING:
            self.count()
        return _Part(
            blocks=tuple(blocks),
            marks=tuple((at, piece.mark) for at, piece in enumerate(pieces) if piece.mark),
            answers=tuple(at for at, piece in enumerate(pieces) if _is_answer(piece)),
            entangled=any(
                piece.block.kind == "compaction" or piece.block.refuses in _PASSING
                for piece in pieces
            ),
            images=images_in(pieces),
            citations=citations_in(pieces),
        )

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
        *,
        images: bool,
        citations: bool,
    ) -> _Head:
        """Return the prefix that the messages stand on; a new one is rare."""
        spellings = [(key, bytes(part)) for key, part in parts.items() if key in PARAMETERS]
        keys = [
            xxh3_128_intdigest(parts[key]) if key in parts else 0 for key in ("tools", "system")
        ]
        key = (scope, *keys, images, citations, *sorted(spellings))
        head = self._heads.get(key)
        if head is None:
            head = self._heads[key] = self._build_head(
                parts, scope, look, images=images, citations=citations
            )
        return head

    def _build_head(
        self,
        parts: Mapping[str, msgspec.Raw],
        scope: Scope,
        look: _Look,
        *,
        images: bool,
        citations: bool,
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
            images or images_in(system),
            self._assume,
            citations=citations or citations_in(system),
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

    def _walk(self, node: int, part: _Part, marks: list[Breakpoint]) -> int:
        """Follow one part's blocks down the tree, noting where its marks fall."""
        if not part.marks:
            return self.tree.extend(node, part.blocks)
        lifetimes = dict(part.marks)
        for at, block in enumerate(part.blocks):
            node = self.tree.child(node, block)
            if at in lifetimes:
                marks.append(Breakpoint(node, lifetimes[at]))
        return node

    def _note_answers(self, node: int, part: _Part) -> None:
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


def scope_of(name: str, envelope: Envelope, assume: Assumptions) -> Scope:
    """Say within what calls of this kind share; a region is a service of its own."""
    found = facts.find(name)
    model = name if found is None else "@".join(filter(None, (found.model.id, found.region)))
    within = facts.isolation(envelope.platform, envelope.at, assume)
    shared = "" if within == "organization" else envelope.workspace
    return Scope(model, envelope.platform, envelope.surface, shared)


def place_automatic(
    tree: PrefixTree, automatic: Lifetime, node: int, marks: list[Breakpoint]
) -> str | None:
    """Add the top-level mark where the service would; return its words if it would not."""
    if len(marks) >= facts.BREAKPOINTS:
        return number_words(len(marks) + 1)
    target = tree.markable(node)
    for marked, lifetime_ in marks:
        if marked == target:
            return None if lifetime_ is automatic else mismatch_words(automatic, lifetime_)
    if target >= 0:
        # A mark may stand further on, on a block that should not carry one.
        insort(marks, Breakpoint(target, automatic))
    return None


def _newest_question(messages: Sequence[_Part]) -> int:
    """Return the newest message of a person; older models drop the thinking before it."""
    return max((at for at, part in enumerate(messages) if part.human), default=0)


def _is_answer(piece: Piece) -> bool:
    """Tell whether a block is what a server tool answered."""
    return piece.block.role == "assistant" and piece.block.kind.endswith("_tool_result")


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
