"""Where a body goes on from an earlier one: found by hash, so that only the rest is read.

A call of a conversation repeats the one before it, byte by byte, up to its newest
messages. This file knows how a body is written and nothing of what is in it: it
remembers, for the conversations read last, how many bytes held how many messages, and
cuts those out of a later body that begins with the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from xxhash import xxh3_128_digest

from cacheplan.prompt import Breakpoint

__all__ = ["Beginning", "Repeats"]

#: Conversations that go on at the same time in a log of one busy service. More are read
#: as well, whole.
_REMEMBERED: Final = 64
#: Bytes compared before any are hashed; ids of calls and ends of texts differ in these.
_TAIL: Final = 24


class Beginning:
    """The start of a body up to the end of a message, known from an earlier body."""

    __slots__ = ("count", "digest", "length", "start", "tail", "traits", "walked")

    def __init__(self, raw: bytes, start: int, length: int, count: int, traits: int) -> None:
        #: Where the first message begins, and where the last one of these ends.
        self.start = start
        self.length = length
        self.tail = raw[length - _TAIL : length]
        self.digest = xxh3_128_digest(memoryview(raw)[:length])
        #: How many messages these are.
        self.count = count
        #: What any of these messages asks of a body, as bits.
        self.traits = traits
        #: By prefix before the messages: the prefix after these, and the marks on the way.
        self.walked: dict[int, tuple[int, tuple[Breakpoint, ...]]] = {}

    def begins(self, raw: bytes) -> bool:
        """Tell whether a body begins with the same bytes and has messages after them."""
        length = self.length
        return (
            raw[length - _TAIL : length] == self.tail
            and raw[length : length + 3].lstrip(b", ")[:1] == b"{"
            and raw[length : length + 1] == b","
            and xxh3_128_digest(memoryview(raw)[:length]) == self.digest
        )

    def rest(self, raw: bytes) -> bytes:
        """Write the body without these messages; what is left is a body as well."""
        cut = self.length + (2 if raw[self.length + 1 : self.length + 2] == b" " else 1)
        return raw[: self.start] + raw[cut:]


class Repeats:
    """Remembers the beginnings of bodies, the newest last."""

    def __init__(self) -> None:
        self._known: list[Beginning] = []

    def find(self, raw: bytes) -> Beginning | None:
        """Return the newest beginning that a body has."""
        for known in reversed(self._known):
            if known.begins(raw):
                return known
        return None

    def remember(
        self,
        raw: bytes,
        parts: Mapping[str, msgspec.Raw],
        messages: Sequence[msgspec.Raw],
        traits: int,
    ) -> Beginning | None:
        """Keep where these messages end in a body that was read whole, as its parts say.

        Writing the parts again proves the place: bytes that are the same are read the
        same. A body that is spaced otherwise is not remembered.
        """
        start = _start(raw, parts)
        end = _end(raw, start, messages) if start and messages else 0
        if not end:
            return None
        return self._keep(Beginning(raw, start, end, len(messages), traits), None)

    def go_on(
        self, known: Beginning, raw: bytes, messages: Sequence[msgspec.Raw], traits: int
    ) -> Beginning | None:
        """Keep where a body that had a known beginning ends; the old one is let go."""
        gap = 2 if raw[known.length + 1 : known.length + 2] == b" " else 1
        end = _end(raw, known.length + gap, messages) if messages else 0
        if not end:
            return None
        count = known.count + len(messages)
        return self._keep(Beginning(raw, known.start, end, count, traits | known.traits), known)

    def _keep(self, beginning: Beginning, instead: Beginning | None) -> Beginning:
        if instead is not None:
            self._known.remove(instead)
        self._known.append(beginning)
        del self._known[:-_REMEMBERED]
        return beginning


def _start(raw: bytes, parts: Mapping[str, msgspec.Raw]) -> int:
    """Return where the first message begins, 0 if the body is spaced in an unusual way."""
    for colon, comma in ((b'": ', b', "'), (b'":', b',"')):
        written: list[bytes | msgspec.Raw] = []
        for key, part in parts.items():
            written += (comma if written else b'{"', key.encode(), colon)
            if key == "messages":
                break
            written.append(part)
        head = b"".join((*written, b"["))
        if raw.startswith(head):
            return len(head)
    return 0


def _end(raw: bytes, start: int, messages: Sequence[msgspec.Raw]) -> int:
    """Return where messages end that begin somewhere, 0 if they are spaced otherwise."""
    for comma in (b", ", b","):
        written = comma.join(messages)
        if raw.startswith(written, start):
            return start + len(written)
    return 0
