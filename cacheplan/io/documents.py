"""The entries of a log, whichever way JSON puts them into a file.

One a line, in one list, in a list inside a document, or alone: every format is written in
several of these, and who reads its entries need not know which. Nothing is held but the
entry at hand.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from io import BufferedReader, RawIOBase
from typing import Any, BinaryIO, Final, cast

import msgspec

from cacheplan.errors import InputError
from cacheplan.io.folders import Folder
from cacheplan.io.tally import Record, Tally

__all__ = ["File", "Head", "records"]

#: How much of a file may be looked at to tell its format: an entry's telling members may
#: stand behind a whole prompt.
_LOOK: Final = 1 << 18
#: Telling names stand no deeper than this.
_DEEP: Final = 12
#: Nobody's entries are nested deeper, and what takes a document apart needs memory by the
#: square of its depth.
_DEEPEST: Final = 1000
#: How Parquet files begin.
_PARQUET: Final = b"PAR1"
_BOM: Final = b"\xef\xbb\xbf"


class Head:
    """How a file begins."""

    def __init__(self, raw: bytes, tail: bytes = b"") -> None:
        self.raw = raw.removeprefix(_BOM)
        #: How a Parquet file ends, which is where its columns are named.
        self.tail = tail

    @cached_property
    def paths(self) -> frozenset[str]:
        """Where values stand in the entries that it shows, as dotted names without lists.

        >>> sorted(Head(b'{"log": {"entries": [{"request": {"url": "https').paths)
        ['log', 'log.entries', 'log.entries.request', 'log.entries.request.url']
        """
        return frozenset(self._kinds)

    def lists(self, path: str) -> bool:
        """Tell whether a list stands there in the first entry."""
        return self._kinds.get(path) == "start_array"

    @cached_property
    def _kinds(self) -> dict[str, str]:
        """What stands at each path: how the first value there begins, if that is seen."""
        import ijson

        found: dict[str, str] = {}
        #: The key at every depth; a list has none.
        steps: list[str] = []
        path = ""
        try:
            for event, name in ijson.basic_parse(self.raw, multiple_values=True):
                if path:
                    found[path] = found.get(path) or event
                path = ""
                if event == "map_key":
                    steps[-1] = name
                    path = ".".join(filter(None, steps)) if len(steps) <= _DEEP else ""
                elif event.startswith("start"):
                    steps.append("")
                elif event.startswith("end"):
                    steps.pop()
        except (ijson.JSONError, UnicodeDecodeError):
            if path:  # It ends somewhere in the middle.
                found.setdefault(path, "")
        return found

    def has(self, *paths: str) -> bool:
        """Tell whether all of these stand in it."""
        return self.paths.issuperset(paths)

    @property
    def stored(self) -> bool:
        """Whether it is a Parquet file."""
        return self.raw.startswith(_PARQUET)

    def stores(self, *names: str) -> bool:
        """Tell whether it is a Parquet file that has all of these columns."""
        named = self.tail or self.raw
        return self.stored and all(name.encode() in named for name in names)

    @cached_property
    def columns(self) -> frozenset[str]:
        """The names in its first line, if it is a table of comma-separated values."""
        first = self.raw.split(b"\n", 1)[0].decode("utf-8", "replace")
        return frozenset(name.strip().strip('"') for name in first.split(","))


class File:
    """One file that is being read: what its faults call it, its bytes, and where it lies."""

    def __init__(self, name: str, stream: BinaryIO, folder: Folder | None = None) -> None:
        self.name = name
        self.stream = stream
        self.folder = folder

    @cached_property
    def head(self) -> Head:
        """How it begins; asked for before anything is read."""
        head = Head(self.stream.peek(_LOOK)[:_LOOK])  # type: ignore[attr-defined]
        return Head(head.raw, self._tail()) if head.stored else head

    def _tail(self) -> bytes:
        """Read how the file ends, unless it is a stream that only goes forwards."""
        try:
            self.stream.seek(-_LOOK, os.SEEK_END)
        except (OSError, ValueError):
            return b""  # Short, and seen whole; or a pipe, or packed by zstd.
        tail = self.stream.read()
        self.stream.seek(0)
        return tail


def records(file: File, tally: Tally, *lists: str) -> Iterator[Record]:
    """Yield the entries of a file.

    ``lists`` are the dotted names of lists that may hold them in a document. A file that
    is neither such a document nor a list has an entry a line, or is one itself.
    """
    head = file.head
    found = next((path for path in lists if head.lists(path)), None)
    begins = head.raw.lstrip()[:1]
    if begins == b"[":
        yield from _listed(file, tally, "item")
    elif found is not None:
        yield from _listed(file, tally, f"{found}.item")
    elif begins == b"{" and not _one_a_line(head.raw):
        yield from _listed(file, tally, "")
    else:
        yield from _lines(file.stream)


def _one_a_line(head: bytes) -> bool:
    """Tell whether the first line is a whole value, or longer than what is looked at."""
    first, end, _ = head.lstrip().partition(b"\n")
    if not end:
        return True
    try:
        msgspec.json.decode(first)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # A line that is broken is one all the same, unless it is how a document begins.
        return first.strip() not in (b"{", b"[") and len(first) > len(b'{ "": {')
    return True


def _lines(stream: BinaryIO) -> Iterator[Record]:
    """Yield the lines that are not blank."""
    for number, line in enumerate(stream, 1):
        raw = (line.removeprefix(_BOM) if number == 1 else line).strip()
        if raw:
            yield Record(number, raw, not line.endswith(b"\n"))


def _listed(file: File, tally: Tally, prefix: str) -> Iterator[Record]:
    """Yield the members of a list, written again one by one."""
    import ijson

    number = 0
    try:
        stream = BufferedReader(cast("RawIOBase", _Watched(file.stream)), _LOOK)
        for entry in ijson.items(stream, prefix, use_float=True, multiple_values=True):
            number += 1
            yield Record(number, _written(entry))
    except (ijson.JSONError, UnicodeDecodeError, RecursionError) as error:
        deep = isinstance(error, RecursionError)
        what = "nested too deeply to be read" if deep else "this is not JSON from here on"
        with tally.reading(file.name, Record(number + 1, b"")):
            raise InputError(what) from error


def _written(entry: Any) -> bytes:
    """Write an entry as JSON."""
    return msgspec.json.encode(entry)


class _Watched(RawIOBase):
    """A document without the byte order mark that it may begin with, and never too deep."""

    def __init__(self, stream: BinaryIO) -> None:
        import ijson

        self._stream = stream
        self._depth = 0
        self._events = ijson.sendable_list()
        self._look: Any = ijson.basic_parse_coro(self._events, multiple_values=True)
        if stream.peek(len(_BOM)).startswith(_BOM):  # type: ignore[attr-defined]
            stream.read(len(_BOM))

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer."""
        number = cast("BufferedReader", self._stream).readinto(buffer)
        self._follow(bytes(buffer[:number]))
        return number

    def _follow(self, part: bytes) -> None:
        """Look how deep a part goes; what is no JSON is found by whoever reads it."""
        import ijson

        if self._look is None:
            return
        try:
            self._look.send(part)
        except (ijson.JSONError, UnicodeDecodeError, StopIteration):
            self._look = None
        for event, _ in self._events:
            self._depth += event.startswith("start") - event.startswith("end")
            if self._depth > _DEEPEST:
                raise RecursionError
        del self._events[:]
