"""Workload files: plain, gzip or zstd, or standard input, line by line."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, cast

from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError, UnsupportedError
from cacheplan.io.counting import default_counter
from cacheplan.origins import Origin, Origins
from cacheplan.records import Intake
from cacheplan.subject import Remembering
from cacheplan.tokens import TokenCounter
from cacheplan.workload import Workload

__all__ = ["Source", "is_ledger", "lines", "opened", "read"]

Source = str | PathLike[str]

#: How a file of SQLite's begins; its head has a hundred bytes, most of them no text.
_LEDGER, _HEAD = b"SQLite format 3\x00", 100
_GZIP, _ZSTD, _BOM = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xef\xbb\xbf"
#: Bytes read at once: lines of a log have a hundred kilobytes, and put together from
#: pieces of the usual eight they take three times as long.
_BUFFER = 1 << 20
#: Bytes of a compressed file that are unpacked in one step.
_AT_ONCE = 1 << 18
_DAMAGED = "the compressed file is damaged"


def read(  # noqa: PLR0913 -- each is something that files differ in, and has a default
    *sources: Source,
    counter: TokenCounter | None = None,
    assume: Assumptions | None = None,
    model: str | None = None,
    skip_bad: bool = False,
    seed: int = 0,
    texts: bool = True,
    watch: Callable[[int], None] | None = None,
) -> Workload:
    """Read workload files (``-`` is standard input) as one workload.

    ``counter`` measures prompts that state no length; ``model`` stands in for the one
    each call names; ``skip_bad`` leaves out lines that cannot be read and counts them in
    the workload's notes; ``texts`` keeps what each distinct block says, which a review
    needs; ``watch`` hears how many bytes each line has.
    """
    if model is None and _only_a_ledger(sources):
        return _recalled(sources[0], assume)
    counter = counter or default_counter(assume)
    remembering = Remembering(counter)
    intake = Intake(remembering if texts else counter, assume, model=model, seed=seed)
    origins, skipped = Origins(), 0
    for source in sources:
        for number, line in lines(source):
            if watch is not None:
                watch(len(line))
            call = len(intake)
            try:
                intake.add(line)
            except InputError as error:
                if not skip_bad:
                    raise error.at(_name(source), number) from error
                skipped += 1
            if len(intake) > call:
                origins.note(call, Origin(str(source), number))
    try:
        workload = intake.workload()
    except InputError as error:
        raise error.at(_names(sources)) from error
    workload = replace(workload, texts=remembering.bodies, origins=origins)
    note = f"lines that could not be read, skipped: {skipped}"
    if skip_bad:
        workload = replace(workload, notes=(*workload.notes, note))
    return _filled(workload, sources, f" ({note})" if skipped else "")


def _filled(workload: Workload, sources: Sequence[Source], why: str) -> Workload:
    """Return a workload that has calls; one without is no answer to anything."""
    if not workload.calls:
        raise InputError(f"no calls in it{why}").at(_names(sources))
    return workload


def _only_a_ledger(sources: Sequence[Source]) -> bool:
    """Tell whether a single ledger is read; of a pipe nothing may be read to find out."""
    return len(sources) == 1 and Path(sources[0]).is_file() and is_ledger(sources[0])


def _recalled(source: Source, assume: Assumptions | None) -> Workload:
    """Read a ledger as it is.

    By way of lines, one text whose length was first guessed and then billed would be two.
    """
    from cacheplan.io.recall import recall

    return _filled(recall(source, assume).workload, [source], " whose prompts are known")


def is_ledger(source: Source) -> bool:
    """Tell whether a file is a ledger; standard input is none."""
    if str(source) == "-":
        return False
    with opened(source) as stream:
        return _kept(stream)


def _kept(stream: BinaryIO) -> bool:
    """Tell whether what is read here began as SQLite's files do."""
    head: bytes = stream.peek(_HEAD)  # type: ignore[attr-defined]
    return head.startswith(_LEDGER) and len(head) >= _HEAD and stream.seekable()


def lines(source: Source) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of one file that are not blank, numbered from 1.

    A ledger has no lines; its calls are told in the digest form, one a line.
    """
    with opened(source) as stream:
        if _kept(stream):
            from cacheplan.io import recall

            yield from enumerate(recall.lines(source), 1)
            return
        for number, raw in enumerate(stream, 1):
            line = raw.strip()
            if number == 1 and line.startswith(_BOM):
                line = line[len(_BOM) :]
            if line:
                yield number, line


@contextmanager
def opened(source: Source) -> Iterator[BinaryIO]:
    """Open a file for reading, whatever it is compressed with.

    What it is compressed with is told from its first bytes, since names lie.
    """
    try:
        with _raw(source) as stream:
            head = stream.peek(4)[:4]
            if head.startswith(_GZIP):
                with gzip.open(stream) as unpacked:
                    yield cast("BinaryIO", unpacked)
            elif head.startswith(_ZSTD):
                yield io.BufferedReader(_Unpacked(stream, *_zstd(_name(source))), _AT_ONCE)
            else:
                yield stream
    except EOFError as error:
        raise InputError("the compressed file ends too early").at(_name(source)) from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise InputError(_DAMAGED).at(_name(source)) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(reason[:1].lower() + reason[1:]).at(_name(source)) from error


@contextmanager
def _raw(source: Source) -> Iterator[io.BufferedReader]:
    """Open the bytes as they are; standard input is left open."""
    if str(source) != "-":
        with Path(source).open("rb", buffering=_BUFFER) as file:
            yield cast("io.BufferedReader", file)
        return
    # A reader around the reader: a pipe may hand over less than the bytes to peek at,
    # and a test's own standard input cannot peek at all.
    stream: io.BufferedReader = io.BufferedReader(cast("io.RawIOBase", sys.stdin.buffer), _BUFFER)
    try:
        yield stream
    finally:
        stream.detach()


def _zstd(name: str) -> tuple[Callable[[], Any], type[Exception]]:
    """Return what unpacks one frame, and its error; either package is imported only here."""
    if sys.version_info >= (3, 14):
        from compression import zstd

        return zstd.ZstdDecompressor, zstd.ZstdError
    try:
        import zstandard
    except ImportError as error:
        what = "this file is zstd; pip install zstandard to read it"
        raise UnsupportedError(what).at(name) from error
    return (lambda: zstandard.ZstdDecompressor().decompressobj()), zstandard.ZstdError


class _Unpacked(io.RawIOBase):
    """Unpacks zstd frame by frame; the package's own reader ends early without a word."""

    def __init__(
        self, packed: BinaryIO, begin: Callable[[], Any], damaged: type[Exception]
    ) -> None:
        self._packed = packed
        self._begin = begin
        self._damaged = damaged
        self._frame: Any = None
        #: Packed bytes behind the end of a frame, and unpacked ones nobody asked for yet.
        self._rest = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        """Say that it can be read, which ``BufferedReader`` asks."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as one step goes; none of it is the end of the file."""
        while not self._ready:
            packed = self._rest or self._packed.read(_AT_ONCE)
            if not packed:
                if self._frame is not None:
                    raise EOFError
                return 0
            self._ready = memoryview(self._unpack(packed))
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _unpack(self, packed: bytes) -> bytes:
        """Unpack some bytes, of one frame at most."""
        frame = self._frame or self._begin()
        try:
            plain: bytes = frame.decompress(packed)
        except self._damaged as error:
            raise OSError(_DAMAGED) from error
        self._rest = frame.unused_data if frame.eof else b""
        self._frame = None if frame.eof else frame
        return plain


def _name(source: Source) -> str:
    """Name a source as its errors should."""
    return "standard input" if str(source) == "-" else str(source)


def _names(sources: Iterable[Source]) -> str:
    """Name all sources, where it could be any of them."""
    return ", ".join(map(_name, sources))
