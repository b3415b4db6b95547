"""Answers watched on their way to the caller: every byte passes, none is kept back.

A response that was read already is looked at where it lies. Of one that is still to come
the stream is replaced by another that hands each chunk on as it is and shows it to a
``Watch``, so streams stay streams, and what nobody reads is not read here either. A watch
that fails stops watching.

Knows bytes of four kinds: one JSON text, server-sent events, Amazon's event frames and
JSON Lines; and both generations of httpx, by whichever made the response.
"""

from __future__ import annotations

import base64
import functools
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

import msgspec

from cacheplan.billing import Answer

__all__ = ["Watch", "parts", "read_already", "taken", "watch"]

#: The longest answer, or line, that is put together; a longer one goes by unread.
_MOST: Final = 1 << 24
#: A frame's head: its length, that of its headers, and a checksum; another one ends it.
_FRAME_HEAD: Final = 12
_FRAME_END: Final = 4

End = Callable[[BaseException | None], None]


class Watch:
    """Sees the bytes of one answer, and says when the first came and when it was over."""

    def __init__(self, response: Any, take: Callable[[bytes], None], begun: Callable[[], None],
                 over: End, *, lines: bool) -> None:  # fmt: skip
        kind = response.headers.get("content-type", "").partition(";")[0]
        self._encoding = response.headers.get("content-encoding", "").strip().lower()
        self._maker = type(response)
        self._split: Callable[[bytearray], Iterator[bytes]] | None = None
        if lines:
            self._split = _lines
        elif kind == "text/event-stream":
            self._split = _events
        elif kind == "application/vnd.amazon.eventstream":
            self._split = _frames
        self._unpack = zlib.decompressobj(47) if self._encoding in ("gzip", "deflate") else None
        self._take = take
        self._begun: Callable[[], None] | None = begun
        self._over: End | None = over
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> None:
        """See one chunk; an empty one says nothing."""
        if not chunk or self._over is None:
            return
        try:
            if self._begun is not None:
                begun, self._begun = self._begun, None
                begun()
            self._rest += self._unpack.decompress(chunk) if self._unpack else chunk
            if self._split is not None and (self._unpack or not self._encoding):
                for part in self._split(self._rest):
                    self._take(part)
            if len(self._rest) > _MOST:
                self.end(None)
        except Exception as error:  # noqa: BLE001 -- the caller's bytes go on whatever happens here
            self.end(error)

    def end(self, error: BaseException | None) -> None:
        """The answer is over: read to its end, closed before, or broken off."""
        over, self._over = self._over, None
        if over is None:
            return
        try:
            if self._rest and len(self._rest) <= _MOST:
                rest = bytes(self._rest)
                if self._encoding and not self._unpack:
                    # Codings that only the HTTP library knows; it knows them whole.
                    headers = {"content-encoding": self._encoding}
                    rest = self._maker(200, headers=headers, content=rest).content
                split = self._split
                for part in [rest] if split is None else split(bytearray(rest + b"\n\n")):
                    self._take(part)
        except Exception as failure:  # noqa: BLE001 -- as above
            error = error or failure
        self._rest = bytearray()
        over(error)


def watch(response: Any, watcher: Watch) -> None:
    """Have a response that is still to be read show what it reads."""
    one, many = _tees(type(response).__module__.partition(".")[0])
    stream = response.stream
    response.stream = (many if hasattr(stream, "__aiter__") else one)(stream, watcher)


def read_already(response: Any) -> bytes | None:
    """Return the bytes of a response that was read; ``None`` if it is still to come."""
    if not response.is_stream_consumed:
        return None
    try:
        content: bytes = response.content
    except Exception:  # noqa: BLE001 -- read by somebody who kept nothing
        return b""
    return content


@functools.cache
def _tees(library: str) -> tuple[type, type]:
    """Make the streams for one generation of httpx, which insists on its own classes."""
    module = sys.modules[library]
    return (
        type("Tee", (_Tee, module.SyncByteStream), {}),
        type("AsyncTee", (_AsyncTee, module.AsyncByteStream), {}),
    )


class _Passing:
    """A stream that shows what passes, and is the one inside in all else."""

    def __init__(self, inner: Any, watcher: Watch) -> None:
        self._inner = inner
        self._watcher = watcher

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Tee(_Passing):
    """For those who read at once."""

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._inner:
                self._watcher.feed(chunk)
                yield chunk
        except BaseException as error:
            self._watcher.end(_reason(error))
            raise
        self._watcher.end(None)

    def close(self) -> None:
        """Close the stream; whoever closes it early has read enough."""
        try:
            self._inner.close()
        finally:
            self._watcher.end(None)


class _AsyncTee(_Passing):
    """For those who wait."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._inner:
                self._watcher.feed(chunk)
                yield chunk
        except BaseException as error:
            self._watcher.end(_reason(error))
            raise
        self._watcher.end(None)

    async def aclose(self) -> None:
        """Close the stream."""
        try:
            await self._inner.aclose()
        finally:
            self._watcher.end(None)


def _reason(error: BaseException) -> BaseException | None:
    """Tell a failure from a caller who stopped reading."""
    return None if isinstance(error, GeneratorExit) else error


def _lines(rest: bytearray) -> Iterator[bytes]:
    """Take whole lines off the front."""
    end = rest.rfind(b"\n")
    if end >= 0:
        whole = bytes(rest[:end])
        del rest[: end + 1]
        yield from filter(None, map(bytes.strip, whole.split(b"\n")))


def _events(rest: bytearray) -> Iterator[bytes]:
    """Take the data of whole events off the front, as far as they say anything of use."""
    for line in _lines(rest):
        if line.startswith(b"data:") and (b'"usage"' in line or b'"error"' in line):
            yield line[5:].strip()


def _frames(rest: bytearray) -> Iterator[bytes]:
    """Take the events out of whole frames: they lie in base64, in JSON, in a frame."""
    while len(rest) >= _FRAME_HEAD:
        length = int.from_bytes(rest[:4])
        if len(rest) < length or length < _FRAME_HEAD + _FRAME_END:
            return
        start = _FRAME_HEAD + int.from_bytes(rest[4:8])
        payload = bytes(rest[start : length - _FRAME_END])
        del rest[:length]
        held = msgspec.json.decode(payload) if payload else {}
        if isinstance(held, dict) and isinstance(held.get("bytes"), str):
            yield base64.b64decode(held["bytes"])


def parts(kind: str, content: bytes) -> Iterator[bytes]:
    """Yield the JSON texts of an answer that lies here whole; ``kind`` is its media type.

    >>> list(parts("text/event-stream", b'data: {"usage": {"output_tokens": 1}}'))
    [b'{"usage": {"output_tokens": 1}}']
    """
    split = {"text/event-stream": _events, "application/vnd.amazon.eventstream": _frames}.get(kind)
    yield from [content] if split is None else split(bytearray(content + b"\n\n"))


def taken(answer: Answer, text: bytes, *, event: bool) -> None:
    """Show one JSON text to whoever collects what an answer says of itself."""
    found = msgspec.json.decode(text)
    (answer.event if event else answer.take)(found)
