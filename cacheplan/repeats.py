"""Where a body goes on from an earlier one: found by hash, so that only the rest is read.

A call of a conversation repeats the one before it, byte by byte, up to its newest
messages. This file knows how a line and a body are written and nothing of what a message
says. For the conversations read last it remembers a hash of everything before their
newest messages, and one of each of those, so that it also finds where a body goes on
whose mark moved or whose last turns were sent anew. What is repeated is cut out before
anything is decoded.

Cutting is sound because the grammar of JSON knows no surroundings: where one value may
stand another may, and what follows says the same. So whoever decodes the shorter text
learns whether the whole one is JSON, and what it says outside the part that was read
before; where the cut was made it only has to be told that a request stood there.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Final, NamedTuple

import msgspec
from xxhash import xxh3_128, xxh3_128_digest, xxh3_128_intdigest

from cacheplan.errors import InputError
from cacheplan.heads import Around
from cacheplan.parts import Part, newest_question, traits_of
from cacheplan.prompt import Breakpoint
from cacheplan.strict_json import members

__all__ = ["Beginning", "Found", "Message", "Repeats"]

#: Conversations that go on at the same time in a log of one busy service. More are read
#: as well, whole.
_REMEMBERED: Final = 64
#: What new conversations begin with: the agents of that service.
_HEADS: Final = 8
#: Messages at the end of a conversation that are compared one by one: over these, marks
#: move, and turns are sent anew.
_NEWEST: Final = 8
#: Bytes compared before any are hashed; ids of calls and ends of texts differ in these.
_LAST: Final = 24
#: Bytes by which the members behind the messages are looked for.
_FIRST: Final = 64

#: How the shorter body begins, and how it ends where its members are known as well.
_OPEN: Final = b'{"messages":['
_CLOSE: Final = b"]}"
_REQUEST: Final = b'"request":'


class Message(NamedTuple):
    """A message that was read: its bytes as length and hash, and what it is."""

    length: int
    key: int
    part: Part


class Beginning:
    """The start of a body up to the start of a message, and the messages that followed."""

    def __init__(
        self, start: bytes, gap: bytes, before: Mapping[str, msgspec.Raw], around: Around
    ) -> None:
        #: Its hash, to go on with and as it is; how many bytes it has; the last of them.
        self.hashed = xxh3_128(start)
        self.digest = self.hashed.digest()
        self.length = len(start)
        self.last = start[-_LAST:]
        #: What stands between two messages.
        self.gap = gap
        #: The members before the messages; those behind them, as written; and all.
        self.before = before
        self.behind = b""
        self.around = around
        #: How many messages are in it, what they ask of a body together, and which of
        #: them is the newest of a person.
        self.count = 0
        self.traits = 0
        self.human = 0
        #: The prefix after them and the marks on the way, on top of which head, in a body
        #: where which message was the newest of a person.
        self.head = -1
        self.node = -1
        self.marks: tuple[Breakpoint, ...] = ()
        self.asked = 0
        #: The messages after them, and by which tokenizer all these were read.
        self.newest: list[Message] = []
        self.variant = -1

    def twin(self) -> Beginning:
        """Return another one, to go on by itself."""
        twin = copy.copy(self)
        twin.hashed = self.hashed.copy()
        twin.newest = []
        return twin

    def found(self, raw: bytes, at: int) -> Found | None:
        """Tell how far a body repeats this one that begins somewhere in a text."""
        cut = at + self.length
        if not raw.startswith(self.last, cut - len(self.last)):
            return None
        if xxh3_128_digest(memoryview(raw)[at:cut]) != self.digest:
            return None
        gap, repeated = self.gap, []
        for length, key, part in self.newest:
            end = cut + length
            if not raw.startswith(gap, end) or xxh3_128_intdigest(raw[cut:end]) != key:
                break
            repeated.append(part)
            cut = end + len(gap)
        return Found(self, repeated, raw, at, cut, self._place_behind(raw, cut))

    def _place_behind(self, raw: bytes, cut: int) -> int:
        """Return where the members behind the messages stand, -1 if they do not."""
        behind = self.behind
        place = raw.find(behind[:_FIRST], cut) if behind else -1
        return place if place >= 0 and raw.startswith(behind, place) else -1

    def follow(self, raw: bytes, cut: int, messages: Iterable[Message]) -> int:
        """Add messages that stand in a row from the cut; return where the last one ends.

        The lengths say where each stands if nothing but the gap parts them; 0 if not.
        """
        end = 0
        for message in messages:
            begin = end + len(self.gap) if end else cut
            if (end and not raw.startswith(self.gap, end)) or not raw.startswith(b"{", begin):
                return 0
            self.newest.append(message)
            end = begin + message.length
        return end if raw.startswith(b"]", end) else 0

    def pass_over(self, raw: bytes, at: int) -> int:
        """Take in all messages but the newest; return how many those are."""
        passed = [message.part for message in self.newest[:-_NEWEST]]
        if passed:
            begin = at + self.length
            self.length += sum(
                message.length + len(self.gap) for message in self.newest[: len(passed)]
            )
            end = at + self.length
            self.hashed.update(memoryview(raw)[begin:end])
            self.digest = self.hashed.digest()
            self.last = raw[end - _LAST : end]
            self.traits |= traits_of(passed)
            if any(part.human for part in passed):
                self.human = self.count + newest_question(passed)
            self.count += len(passed)
            del self.newest[: len(passed)]
        return len(passed)


class Found(NamedTuple):
    """A text with a body that repeats a beginning, and some of the messages after it."""

    known: Beginning
    repeated: list[Part]
    raw: bytes
    #: Where the body begins, what is new in it, and what is known to stand behind the
    #: messages (-1 where that is new as well).
    at: int
    cut: int
    behind: int

    @property
    def text(self) -> bytes:
        """Write the text with a shorter body, which holds what is new."""
        raw = self.raw
        if self.behind < 0:
            return b"".join((raw[: self.at], _OPEN, raw[self.cut :]))
        new, after = raw[self.cut : self.behind], raw[self.behind + len(self.known.behind) :]
        return b"".join((raw[: self.at], _OPEN, new, _CLOSE, after))

    @property
    def first(self) -> int:
        """Return which message of the body is the first new one."""
        return self.known.count + len(self.repeated)

    def fits(self, parts: Mapping[str, msgspec.Raw], length: int) -> bool:
        """Tell whether a shorter body is one whose members stand for the whole one's.

        If what stands behind was cut out, the body has to end where it was closed: then it
        was closed instead of the whole one, and nothing deeper was. And no key may stand
        twice in the whole one.
        """
        if self.behind >= 0:
            closed = len(_OPEN) + self.behind - self.cut + len(_CLOSE)
            return length == closed and len(parts) == 1
        return self.known.before.keys().isdisjoint(parts)

    def end(self, length: int) -> int:
        """Return where the body ends, given how long the shorter one is."""
        if self.behind >= 0:
            return self.behind + len(self.known.behind)
        return self.cut + length - len(_OPEN)


class Repeats:
    """Remembers the beginnings of bodies, the newest last."""

    def __init__(self) -> None:
        self._known: list[Beginning] = []
        self._heads: list[Beginning] = []

    def find(self, raw: bytes, at: int = 0) -> Found | None:
        """Return how a body that begins somewhere in a text goes on from a known one."""
        for known in reversed(self._known):
            # Asked here what is asked again there: there may be dozens, and one is it.
            if raw.startswith(known.last, at + known.length - len(known.last)):
                found = known.found(raw, at)
                # Another conversation may begin with the same head: that is known as well.
                if found is not None and found.first:
                    return found
        for known in reversed(self._heads):
            found = known.found(raw, at)
            if found is not None:
                return found
        return None

    def find_request(self, line: bytes) -> Found | None:
        """Return the same for the request of a line, if it is one.

        The line up to it has to be a whole object if nothing stands for the request, and
        then its key is that object's last, not the key of something deeper.
        """
        at = line.find(_REQUEST) + len(_REQUEST)
        if at < len(_REQUEST):
            return None
        at += line.startswith(b" ", at)
        found = self.find(line, at)
        if found is None:
            return None
        try:
            before = members(line[:at] + b"null}")
        except InputError:
            return None
        return found if next(reversed(before)) == "request" else None

    def begin(
        self,
        raw: bytes,
        parts: Mapping[str, msgspec.Raw],
        around: Around,
        messages: Sequence[Message],
    ) -> tuple[Beginning, int] | None:
        """Remember a body that was read whole; return also how many messages are passed.

        Writing the parts again proves where the first message stands: bytes that are the
        same are read the same. A body that is spaced otherwise is not remembered.
        """
        start, gap = _start(raw, parts)
        before = {key: around.parts[key] for key in takewhile("messages".__ne__, parts)}
        known = Beginning(raw[:start], gap, before, around)
        end = known.follow(raw, start, messages) if start else 0
        if not end:
            return None
        known.behind = _unless_empty(raw[end:])
        if known.digest not in {head.digest for head in self._heads}:
            self._heads.append(known.twin())
            del self._heads[:-_HEADS]
        return self._keep(known), known.pass_over(raw, 0)

    def go_on(
        self, found: Found, messages: Sequence[Message], around: Around, length: int
    ) -> tuple[Beginning, int] | None:
        """Remember a body of which only the rest was read; what it went on from is let go.

        ``length`` is that of the shorter body.
        """
        known = found.known
        if found.first:
            self._known.remove(known)
        else:
            known = known.twin()
        del known.newest[len(found.repeated) :]
        end = known.follow(found.raw, found.cut, messages)
        if not end:
            return None
        known.behind = _unless_empty(found.raw[end : found.end(length)])
        known.around = around
        return self._keep(known), known.pass_over(found.raw, found.at)

    def _keep(self, known: Beginning) -> Beginning:
        """Put a beginning to the others, of which the oldest may have to go."""
        self._known.append(known)
        del self._known[:-_REMEMBERED]
        return known


def _unless_empty(behind: bytes) -> bytes:
    """Return what stands behind the messages, nothing if that is only the end."""
    return b"" if behind == _CLOSE else behind


def _start(raw: bytes, parts: Mapping[str, msgspec.Raw]) -> tuple[int, bytes]:
    """Return where the first message begins and what parts two; 0 if nobody writes so."""
    for colon, comma in ((b'": ', b', "'), (b'":', b',"')):
        written: list[bytes | msgspec.Raw] = []
        for key, part in parts.items():
            written += (comma if written else b'{"', key.encode(), colon)
            if key == "messages":
                break
            written.append(part)
        head = b"".join((*written, b"["))
        if raw.startswith(head):
            return len(head), comma[:-1]
    return 0, b""
