"""Request bodies, as bytes, become paths in the prefix tree; each part is read once.

In a log of conversations nearly every byte was already there in the call before. So a
body is split at its joints without decoding it, each message is recognised by the hash
of its bytes, and only one never seen is decoded, put in canonical form and counted. What
a body repeats of an earlier one from the start (see ``repeats``) is not even split.
Equal bytes are equal content; the reverse is settled by the canonical form.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import msgspec
from xxhash import xxh3_128_intdigest

from cacheplan import facts
from cacheplan.assumptions import Assumptions
from cacheplan.chains import Chain, Continued, Laid, unmarked
from cacheplan.envelopes import Envelope, Sent, place_automatic, scope_of
from cacheplan.errors import InputError
from cacheplan.heads import Around, Head, Heads
from cacheplan.interned import Interned, Look
from cacheplan.parts import ENTANGLED, THINKING, THINKS, Part, newest_question, traits_of
from cacheplan.pieces import Piece, lifetime, message_pieces
from cacheplan.prefixes import PrefixTree
from cacheplan.prices import Tariff
from cacheplan.prompt import Breakpoint, Level, Lifetime, Place
from cacheplan.repeats import Beginning, Found, Message, Repeats
from cacheplan.respelled import without_last, without_mark
from cacheplan.strict_json import array, members, value
from cacheplan.tokens import TokenCounter, closing_tokens
from cacheplan.wire import shown

__all__ = ["Bodies", "Envelope", "Sent", "place_automatic", "scope_of"]


class _Read(NamedTuple):
    """What a body says outside its blocks, and the prefix and breakpoints that it is."""

    outer: Mapping[str, Any]
    look: Look
    node: int
    marks: list[Breakpoint]
    #: For bodies that go on from this one.
    laid: Laid | None = None


class Bodies:
    """Reads bodies into one tree and has each new block counted once a tokenizer."""

    def __init__(self, tree: PrefixTree, counter: TokenCounter, assume: Assumptions) -> None:
        self.tree = tree
        self._assume = assume
        self._interned = Interned(tree, counter)
        self._heads = Heads(self._interned, assume)
        self._repeats = Repeats()
        self._messages: dict[int, dict[int, Part]] = {}
        #: Only for conversations whose messages change each other.
        self._entangled: dict[int, list[Piece]] = {}
        self._tips: dict[int, int] = {}
        #: By prefix: the answers of server tools that followed it in some later body.
        self._answers: dict[int, tuple[int, ...]] = {}

    def read(self, raw: bytes | msgspec.Raw, envelope: Envelope, number: int) -> Sent | None:
        """Read one body; ``None`` if it holds only part of its prompt.

        ``number`` names the call, so that a later body which repeats its answer can tell
        what happened while it was served.
        """
        raw = bytes(raw)
        found = self._repeats.find(raw)
        sent = self.go_on(found, found.text, envelope, number) if found else None
        return sent or self.read_whole(raw, envelope, number)

    def find(self, line: bytes) -> Found | None:
        """Return how the request of a line goes on from one that was read."""
        return self._repeats.find_request(line)

    def go_on(
        self, found: Found, shorter: bytes | msgspec.Raw, envelope: Envelope, number: int
    ) -> Sent | None:
        """Read what a body has beyond an earlier one; ``None`` where that is not enough."""
        try:
            read = self._go_on(found, shorter, envelope)
            return read and self._sent(read, envelope, number)
        except InputError:
            return None  # Read whole, it says where.

    def read_whole(self, raw: bytes | msgspec.Raw, envelope: Envelope, number: int) -> Sent | None:
        """Read one body without looking for what it repeats."""
        read = self._begin(bytes(raw), envelope)
        return read and self._sent(read, envelope, number)

    def _sent(self, read: _Read, envelope: Envelope, number: int | None) -> Sent:
        """Say of a body what concerns it as a whole."""
        outer, look, node, marks, _ = read
        automatic, refused = _automatic(outer), None
        if number is not None:
            self._tips.setdefault(node, number)
        if automatic is not None:
            refused = place_automatic(self.tree, automatic, node, marks)
        tariff = _tariff(
            envelope.model or _text(outer, "model"),
            envelope.platform,
            envelope.surface,
            str(outer.get("speed") or "standard"),
            str(outer.get("inference_geo") or ""),
        )
        closing = closing_tokens(look.model)
        return Sent(node, tariff, tuple(marks), automatic, closing, refused)

    def _begin(self, raw: bytes, envelope: Envelope) -> _Read | None:
        """Read a body whole."""
        parts = members(raw)
        around = self._heads.around(parts)
        if self._partial(around.outer):
            return None
        _, look = self._named(around, envelope)
        raws = _messages(parts)
        messages = self._read_messages(raws, 0, look)
        return self._lay(around, messages, envelope, lambda: raws, written=(raw, parts))

    def read_chain(
        self, chain: Chain, new: Mapping[str, msgspec.Raw], envelope: Envelope, number: int | None
    ) -> Continued:
        """Read one body that is written as what it has beyond another; no call has no number."""
        around = self._heads.around(chain.around)
        _, look = self._named(around, envelope)
        raws, before = _messages(new), None
        if chain.variant not in (-1, look.variant):
            again = self._read_messages(chain.raws(()), 0, look)
            before = list(map(unmarked, again))
        read = Continued(
            None, self._read_messages(raws, chain.keep, look), raws, look.variant, before
        )
        if self._partial(around.outer):
            return read
        found = self._lay_on(chain, around, read, envelope) if before is None else None
        if found is None:
            messages = [*(chain.repeated if before is None else before), *read.new]
            found = self._lay(
                around, messages, envelope, lambda: chain.raws(raws), repeated=chain.keep
            )
        return read._replace(sent=self._sent(found, envelope, number), laid=found.laid)

    def _lay_on(
        self, chain: Chain, around: Around, read: Continued, envelope: Envelope
    ) -> _Read | None:
        """Lay only the new messages of a body, on those it repeats; ``None`` if that is wrong."""
        if chain.laid is None:
            return None
        name, look = self._named(around, envelope)
        sent = [message.part for message in read.new]
        traits = chain.laid.traits | traits_of(sent)
        head = self._front(around, name, envelope, look, traits)
        laid = self._laid(head.node, chain.laid.node, traits, look)
        if laid is None or head.node != chain.laid.head:
            return None
        node, marks = self._follow(head.node, (chain.laid.node, ()), sent, None, 0)
        laid = laid._replace(node=node)
        return _Read(around.outer, look, node, [*head.marks, *marks], laid)

    def _laid(self, head: int, node: int, traits: int, look: Look) -> Laid | None:
        """Return where messages end, if those that follow change nothing before them."""
        changing = traits & ENTANGLED or (traits & THINKS and self._strips(look))
        return None if changing else Laid(head, node, traits)

    def _named(self, around: Around, envelope: Envelope) -> tuple[str, Look]:
        """Return the model that a body is for, and how it looks at text."""
        name = envelope.model or _text(around.outer, "model")
        _automatic(around.outer)  # What is wrong outside is said before what is wrong inside.
        return name, Look.of(name)

    def _front(
        self, around: Around, name: str, envelope: Envelope, look: Look, traits: int
    ) -> Head:
        """Return what the messages of a body stand on."""
        scope = scope_of(name, envelope, self._assume)
        return self._heads.head(around, scope, look, traits, envelope.front)

    def _lay(
        self,
        around: Around,
        messages: list[Message],
        envelope: Envelope,
        raws: Callable[[], Sequence[msgspec.Raw]],
        *,
        repeated: int = 0,
        written: tuple[bytes, Mapping[str, msgspec.Raw]] | None = None,
    ) -> _Read:
        """Lay a body's messages on its head; what was ``written`` whole is remembered.

        The first few may be ``repeated`` from a line that is extended, without its marks.
        """
        name, look = self._named(around, envelope)
        sent = [message.part for message in messages]
        traits = traits_of(sent)
        newest = newest_question(sent) if self._strips(look) else 0
        entangled = traits & ENTANGLED
        if entangled:
            keys = (message.key for message in messages)
            sent = self._disentangle(zip(keys, raws(), strict=True), look, newest, repeated)
            traits = traits_of(sent)
        head = self._front(around, name, envelope, look, traits)
        known = None
        if written is not None and not entangled:
            known = self._repeats.begin(*written, around, messages)
        if known:
            known[0].variant = look.variant
        sent = [part.bare or part for part in sent[:newest]] + sent[newest:]
        node, marks = self._follow(head.node, (head.node, ()), sent, known, newest)
        laid = self._laid(head.node, node, traits, look)
        return _Read(around.outer, look, node, [*head.marks, *marks], laid)

    def _go_on(
        self, found: Found, shorter: bytes | msgspec.Raw, envelope: Envelope
    ) -> _Read | None:
        """Read the rest of a body, and lay it on what is known."""
        known, length = found.known, len(memoryview(shorter))
        parts = members(shorter)
        raws = _messages(parts)
        if not raws or not found.fits(parts, length):
            return None
        around = self._around(found, parts)
        name, look = self._named(around, envelope)
        if found.first and known.variant != look.variant:
            return None
        messages = self._read_messages(raws, found.first, look)
        sent = found.repeated + [message.part for message in messages]
        traits = known.traits | traits_of(sent)
        if self._partial(around.outer) or traits & ENTANGLED:
            return None
        newest = 0
        if traits & THINKS and self._strips(look):
            newest = known.human
            if any(part.human for part in sent):
                newest = known.count + newest_question(sent)
            if known.traits & THINKS and newest != known.asked:
                return None
        head = self._front(around, name, envelope, look, traits)
        if known.count and known.head != head.node:
            return None
        start = (known.node, known.marks) if known.count else (head.node, ())
        before = max(newest - known.count, 0)
        sent = [part.bare or part for part in sent[:before]] + sent[before:]
        longer = self._repeats.go_on(found, messages, around, length)
        if longer:
            longer[0].variant = look.variant
        node, marks = self._follow(head.node, start, sent, longer, newest)
        return _Read(around.outer, look, node, [*head.marks, *marks])

    def _around(self, found: Found, parts: Mapping[str, msgspec.Raw]) -> Around:
        """Return what stands around the messages of a body, seen before or not."""
        known = found.known
        if found.behind >= 0 or (len(parts) == 1 and not known.behind):
            return known.around
        return self._heads.around({**known.before, **parts})

    def _follow(
        self,
        head: int,
        start: tuple[int, tuple[Breakpoint, ...]],
        messages: list[Part],
        longer: tuple[Beginning, int] | None,
        newest: int,
    ) -> tuple[int, list[Breakpoint]]:
        """Return the whole prompt's prefix and the breakpoints on the way to it.

        ``start`` is where these messages begin. What is remembered of the body is told
        where those end that it passes over.
        """
        node, marks = start[0], list(start[1])
        known, passed = longer or (None, 0)
        #: Blocks that nothing is to be said of, laid together.
        plain: list[int] = []
        for at, part in enumerate(messages):
            if at == passed and at and known is not None:
                node, plain = self.tree.extend(node, plain), []
                known.head, known.node, known.marks = head, node, tuple(marks)
                known.asked = newest
            if part.answers or part.marks:
                node, plain = self.tree.extend(node, plain), []
                if part.answers:
                    self._note_answers(node, part)
                node = self._interned.walk(node, part, marks)
            else:
                plain += part.blocks
        return self.tree.extend(node, plain), marks

    def _strips(self, look: Look) -> bool:
        """Tell whether old thinking is left out for this model."""
        return look.model is not None and not facts.keeps_thinking(look.model, self._assume)

    def _partial(self, outer: Mapping[str, Any]) -> bool:
        """Tell whether the service holds the start of this prompt itself."""
        thread = outer.get("thread")
        continues = isinstance(thread, Mapping) and thread.get("type") == "continue"
        return continues and self._assume.partial_bodies == "skip"

    def _read_messages(self, raws: Iterable[msgspec.Raw], first: int, look: Look) -> list[Message]:
        """Return messages as they were sent, each decoded when it is first seen."""
        known = self._messages.setdefault(look.variant, {})
        messages = []
        for index, raw in enumerate(raws, first):
            key = xxh3_128_intdigest(raw)
            part = known.get(key)
            if part is None:
                part = known[key] = self._message(raw, index, look, known)
            messages.append(Message(len(memoryview(raw)), key, part))
        return messages

    def _disentangle(
        self, messages: Iterable[tuple[int, msgspec.Raw]], look: Look, newest: int, repeated: int
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
            found = [piece._replace(place=_place(index)) for piece in found]
            if index < repeated:
                found = [piece._replace(mark=None) for piece in found]
            pieces += found
        return [
            self._interned.part(seen, look)
            for _, seen in groupby(shown(pieces), key=lambda piece: piece.place.index)
        ]

    def _message(self, raw: msgspec.Raw, index: int, look: Look, known: dict[int, Part]) -> Part:
        """Read a message that was never seen.

        Where its end is marked it will be sent without, when the mark has moved on: that is
        known as well then.
        """
        try:
            message = value(raw)
        except InputError as error:
            raise error.within(index).within("messages") from error
        pieces = message_pieces(message, index, self._assume)
        part = self._interned.part(pieces, look)
        human = message["role"] == "user" and any(
            piece.block.kind != "tool_result" for piece in pieces
        )
        bare = None
        if part.traits & THINKS:
            spoken = [piece for piece in pieces if piece.block.kind not in THINKING]
            bare = self._interned.part(spoken, look)
        part = Part(part.blocks, part.marks, part.answers, part.traits, human, bare)
        if part.marks:
            written = without_mark(bytes(raw), message, pieces)
            if written:
                known[xxh3_128_intdigest(written)] = without_last(part)
        return part

    def forget(self) -> None:
        """Let go of messages by their spelling: what is sent again is read again."""
        self._messages.clear()
        self._entangled.clear()

    def count(self) -> None:
        """Have the blocks that wait for it counted."""
        self._interned.count()

    @property
    def estimated(self) -> bool:
        """Tell whether a length was an estimate."""
        return self._interned.estimated

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


@functools.lru_cache(maxsize=1 << 10)
def _tariff(model: str, platform: str, surface: str, speed: str, geo: str) -> Tariff:
    """Make a tariff once: a log has few."""
    return Tariff(model, platform, surface, speed, geo)


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
