"""Files and standard input as bytes, whatever they are compressed with."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, cast

from cacheplan.errors import InputError, UnsupportedError

__all__ = ["Source", "named", "names", "opened", "unreached"]

Source = str | PathLike[str]

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
#: Bytes read at once: lines of a log have a hundred kilobytes, and put together from
#: pieces of the usual eight they take three times as long.
_BUFFER = 1 << 20
#: Bytes of a compressed file that are unpacked in one step.
_AT_ONCE = 1 << 18
_DAMAGED = "the compressed file is damaged"


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
                    yield io.BufferedReader(cast("io.RawIOBase", unpacked), _BUFFER)
            elif head.startswith(_ZSTD):
                yield io.BufferedReader(_Unpacked(stream, *_zstd(named(source))), _AT_ONCE)
            else:
                yield stream
    except EOFError as error:
        raise InputError("the compressed file ends too early").at(named(source)) from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise InputError(_DAMAGED).at(named(source)) from error
    except OSError as error:
        raise unreached(error).at(named(source)) from error


def unreached(error: OSError) -> InputError:
    """Say in our own form why a file or a folder cannot be read."""
    reason = error.strerror or str(error)
    return InputError(reason[:1].lower() + reason[1:])


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


def named(source: Source) -> str:
    """Name a source as its errors should."""
    return "standard input" if str(source) == "-" else str(source)


def names(sources: Iterable[Source]) -> str:
    """Name all sources, where it could be any of them."""
    return ", ".join(map(named, sources))
