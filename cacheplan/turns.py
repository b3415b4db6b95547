"""Bodies as objects become paths in the tree; of a conversation that grows only what is new.

What was read of a conversation is kept as a copy of its messages that shares their text,
and the next call is held against it: comparing what is equal costs a tenth of writing it
out, for two texts that are one object are not even looked at. Objects may be changed in
place; the copy is our own, so it would differ. Where Python calls things equal that are
two in JSON (the order of keys, 1 and true), the bytes are compared as well.

Bodies whose messages change one another, and those of models that drop old thinking, are
read by their bytes (``bodies``), which settles everything.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from xxhash import xxh3_128_intdigest

from cacheplan.assumptions import Assumptions
from cacheplan.bodies import Bodies
from cacheplan.canonical import VERBATIM, encode
from cacheplan.envelopes import Envelope, Sent, place_automatic, scope_of
from cacheplan.errors import InputError
from cacheplan.heads import Around
from cacheplan.interned import Look
from cacheplan.parts import CITATIONS, ENTANGLED, IMAGES
from cacheplan.pieces import lifetime
from cacheplan.prefixes import PrefixTree
from cacheplan.prices import Tariff
from cacheplan.prompt import Breakpoint, Lifetime, Place
from cacheplan.settings import PARAMETERS
from cacheplan.tokens import TokenCounter, closing_tokens

__all__ = ["Reading", "Turns"]

#: Conversations remembered, and the bytes they may have together: their text stays in
#: memory as long.
CONVERSATIONS: Final = 64
BYTES: Final = 1 << 25
#: Heads remembered: tools, system and settings that conversations have in common.
HEADS: Final = 256
#: What of a body is its head; the rest decides nothing here.
_HEAD: Final = frozenset(
    PARAMETERS | {"cache_control", "inference_geo", "model", "system", "thread", "tools"}
)
_MARK: Final = b'"cache_control"'


class Reading(NamedTuple):
    """One body, read."""

    sent: Sent
    #: By message: the prefix that it ends; ``None`` where that is not so simple.
    ends: Sequence[int] | None
    #: Whether the word of a mark stands anywhere in it.
    carries: bool
    #: Where prefixes end before the messages, in every body that begins like this one.
    places: dict[int, Place]


class _Head(NamedTuple):
    """What conversations of one kind have in common, decoded and digested once."""

    around: Around
    look: Look
    tariff: Tariff
    closing: int
    #: True where bytes have to be read: the service holds the start, or drops thinking.
    partial: bool
    strips: bool
    carries: bool
    #: What the top-level ``cache_control`` asks for.
    automatic: Lifetime | None
    #: Where its prefixes end in a body, once somebody has worked that out.
    places: dict[int, Place]


class _Talk:
    """A conversation as far as it was read."""

    __slots__ = ("carries", "ends", "fragile", "marks", "messages", "node", "size", "traits",
                 "written")  # fmt: skip

    def __init__(self, node: int, marks: tuple[Breakpoint, ...]) -> None:
        self.messages: list[Any] = []
        self.ends: list[int] = []
        self.node = node
        self.marks = list(marks)
        self.traits = 0
        self.carries = False
        #: Messages whose equality proves nothing, and what they were in bytes.
        self.fragile: list[int] = []
        self.written = 0
        self.size = 0


class Turns(Bodies):
    """Reads bodies as objects, each message once."""

    def __init__(self, tree: PrefixTree, counter: TokenCounter, assume: Assumptions) -> None:
        super().__init__(tree, counter, assume)
        self._known_heads: OrderedDict[tuple[int, Envelope], _Head] = OrderedDict()
        #: By head and traits that change it: conversations, the one read last at the end.
        self._talks: OrderedDict[int, tuple[tuple[int, Envelope], _Talk]] = OrderedDict()
        self._size = 0
        self._numbers = 0

    def take(self, body: dict[str, Any], envelope: Envelope) -> Reading | None:
        """Read a body; ``None`` if the service holds its start."""
        messages = body.get("messages")
        if envelope.at is not None:
            envelope = envelope._replace(at=None)
        given = sorted(key for key in body.keys() & _HEAD if body[key] is not None)
        written = encode({key: body[key] for key in given})
        key = (xxh3_128_intdigest(written), envelope)
        head = self._known_heads.get(key) or self._head(key, written, envelope)
        if head.partial:
            return None
        if not isinstance(messages, list) or head.strips:
            return self._by_bytes(body, envelope)
        number, talk = self._find(key, messages)
        known = 0 if talk is None else len(talk.messages)
        raws = [msgspec.Raw(encode(message)) for message in messages[known:]]
        read = self._read_messages(raws, known, head.look)
        traits = 0 if talk is None else talk.traits
        before = traits
        for message in read:
            traits |= message.part.traits
        flags = IMAGES | CITATIONS
        if traits & ENTANGLED or (talk is not None and traits & flags != before & flags):
            return self._by_bytes(body, envelope)
        if talk is None:
            scope = scope_of(head.tariff.model, envelope, self._assume)
            found = self._heads.head(head.around, scope, head.look, traits)
            talk = _Talk(found.node, found.marks)
            number = self._numbers = self._numbers + 1
        for message, raw in zip(read, raws, strict=True):
            talk.node = self._interned.walk(talk.node, message.part, talk.marks)
            talk.ends.append(talk.node)
            talk.carries = talk.carries or _MARK in bytes(raw)
            talk.size += message.length
            self._size += message.length
        talk.traits = traits
        self._keep(number, key, talk, messages[known:])
        reading = self._reading(head, talk)
        # A mark that is null is none, and is there.
        return reading._replace(carries=True) if "cache_control" in body else reading

    def _by_bytes(self, body: dict[str, Any], envelope: Envelope) -> Reading | None:
        """Read a body as in a log."""
        raw = encode(body)
        self._numbers += 1
        sent = self.read(raw, envelope, self._numbers)
        return None if sent is None else Reading(sent, None, _MARK in raw, {})

    def _head(self, key: tuple[int, Envelope], written: bytes, envelope: Envelope) -> _Head:
        """Read what stands around the messages, which is new."""
        parts = msgspec.json.decode(written, type=dict[str, msgspec.Raw])
        around = self._heads.around(parts)
        name = _name(around.outer)
        look = Look.of(name)
        tariff = Tariff(
            name,
            envelope.platform,
            envelope.surface,
            str(around.outer.get("speed") or "standard"),
            str(around.outer.get("inference_geo") or ""),
        )
        head = self._known_heads[key] = _Head(
            around,
            look,
            tariff,
            closing_tokens(look.model),
            self._partial(around.outer),
            self._strips(look),
            _MARK in written,
            _automatic(around.outer),
            {},
        )
        if len(self._known_heads) > HEADS:
            self._known_heads.popitem(last=False)
        return head

    def _find(self, key: tuple[int, Envelope], messages: list[Any]) -> tuple[int, _Talk | None]:
        """Return the conversation that these messages go on from."""
        if not messages:
            return 0, None
        first, length = messages[0], len(messages)
        for number in reversed(self._talks):
            owner, talk = self._talks[number]
            known = talk.messages
            if owner == key and len(known) <= length and known[0] == first:
                start = messages[: len(known)]
                if start == known and self._same(talk, messages):
                    return number, talk
        return 0, None

    def _same(self, talk: _Talk, messages: list[Any]) -> bool:
        """Tell whether what is equal is the same in JSON."""
        return not talk.fragile or talk.written == _hashed(talk.fragile, messages)

    def _keep(
        self, number: int, key: tuple[int, Envelope], talk: _Talk, new: Sequence[Any]
    ) -> None:
        """Remember a conversation, and forget those that were not read for longest."""
        grown = False
        for message in new:
            copy, fragile = _copy(message)
            if fragile:
                talk.fragile.append(len(talk.messages))
                grown = True
            talk.messages.append(copy)
        if grown:
            talk.written = _hashed(talk.fragile, talk.messages)
        talks = self._talks
        if talk.messages:
            talks[number] = (key, talk)
            talks.move_to_end(number)
        while len(talks) > CONVERSATIONS or (self._size > BYTES and len(talks) > 1):
            _, (_, oldest) = talks.popitem(last=False)
            self._size -= oldest.size

    def _reading(self, head: _Head, talk: _Talk) -> Reading:
        """Say of a body what concerns it as a whole."""
        marks, refused = talk.marks, None
        if head.automatic is not None:
            marks = list(marks)
            refused = place_automatic(self.tree, head.automatic, talk.node, marks)
        sent = Sent(talk.node, head.tariff, tuple(marks), head.automatic, head.closing, refused)
        return Reading(sent, talk.ends, head.carries or talk.carries, head.places)


def _name(outer: Mapping[str, Any]) -> str:
    """Return the model's id, which a call has."""
    found = outer.get("model")
    if isinstance(found, str) and found:
        return found
    raise InputError("missing" if found is None else "this is not text", ("model",))


def _automatic(outer: Mapping[str, Any]) -> Lifetime | None:
    """Read the top-level mark."""
    try:
        return lifetime(outer.get("cache_control"))
    except InputError as error:
        raise error.within("cache_control") from error


def _hashed(which: Sequence[int], messages: Sequence[Any]) -> int:
    """Hash some messages as they are written."""
    return xxh3_128_intdigest(encode([messages[at] for at in which]))


def _copy(value: Any) -> tuple[Any, bool]:
    """Copy a message without its text; tell whether being equal to it is not enough."""
    if isinstance(value, str) or value is None:
        return value, False
    if isinstance(value, dict):
        copy, fragile = {}, False
        for key, part in value.items():
            copy[key], risky = _copy(part)
            fragile = fragile or risky or (key in VERBATIM and isinstance(part, dict | list))
        return copy, fragile
    if isinstance(value, list | tuple):
        pairs = [_copy(part) for part in value]
        return [part for part, _ in pairs], any(risky for _, risky in pairs)
    return value, True
