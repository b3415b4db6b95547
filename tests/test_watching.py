"""Answers watched on their way: all of it passes, in whatever pieces and coding it comes."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.io.watching import Watch, read_already, watch

EVENTS = [
    {"type": "message_start", "message": {"usage": {"input_tokens": 3}}},
    {"type": "content_block_delta", "delta": {"text": "usage é"}},
    {"type": "message_delta", "usage": {"output_tokens": 5}},
]
SSE = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in EVENTS).encode()
LINES = "".join(json.dumps({"n": n}) + "\n" for n in range(5)).encode()


def frame(event: dict[str, Any]) -> bytes:
    """Write an event as Amazon does; checksums are not looked at."""
    held = base64.b64encode(json.dumps(event).encode()).decode()
    payload = json.dumps({"bytes": held, "p": "abc"}).encode()
    headers = b"\x0b:event-type\x07\x00\x05chunk"
    length = 16 + len(headers) + len(payload)
    head = length.to_bytes(4) + len(headers).to_bytes(4) + b"\0\0\0\0"
    return head + headers + payload + b"\0\0\0\0"


FRAMES = b"".join(map(frame, EVENTS))


class Pieces(httpx2.SyncByteStream):
    """A stream in pieces, which may break."""

    def __init__(self, pieces: list[bytes], error: Exception | None = None) -> None:
        self.pieces = pieces
        self.error = error
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        """Hand out the pieces, and break if told to."""
        yield from self.pieces
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True


def cut(content: bytes, at: list[int]) -> list[bytes]:
    """Cut content into pieces."""
    marks = sorted({0, *(place % (len(content) + 1) for place in at), len(content)})
    return [content[a:b] for a, b in pairwise(marks)]


def seen(
    pieces: list[bytes], kind: str, *, lines: bool = False, encoding: str = "", error: Any = None
) -> tuple[bytes, list[Any], list[Any], Pieces]:
    """Read a response that is watched: what passed, what was taken, and how it ended."""
    headers = {"content-type": kind} | ({"content-encoding": encoding} if encoding else {})
    stream = Pieces(pieces, error)
    response = httpx2.Response(200, headers=headers, stream=stream)
    assert read_already(response) is None
    taken: list[Any] = []
    ends: list[Any] = []
    begun: list[int] = []
    watcher = Watch(
        response, lambda text: taken.append(json.loads(text)), lambda: begun.append(1),
        ends.append, lines=lines,
    )  # fmt: skip
    watch(response, watcher)
    passed = b""
    with nullcontext() if error is None else pytest.raises(type(error)):
        passed = response.read()
    assert len(begun) == bool(any(pieces))
    return passed, taken, ends, stream


CODINGS = {
    "": lambda content: content,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}


@pytest.mark.parametrize("coding", CODINGS)
class TestPieces:
    """However an answer is cut up and packed, it passes whole and is understood."""

    @given(at=st.lists(st.integers(0, 5_000), max_size=9))
    def test_events(self, coding: str, at: list[int]) -> None:
        """Of a stream of events those that speak of usage are taken."""
        pieces = cut(CODINGS[coding](SSE), at)
        passed, taken, ends, stream = seen(pieces, "text/event-stream; x=y", encoding=coding)
        assert passed == SSE
        assert taken == [EVENTS[0], EVENTS[2]]
        assert ends == [None]
        assert stream.closed

    @given(at=st.lists(st.integers(0, 5_000), max_size=9))
    def test_frames(self, coding: str, at: list[int]) -> None:
        """Amazon's frames are opened."""
        pieces = cut(CODINGS[coding](FRAMES), at)
        passed, taken, _, _ = seen(pieces, "application/vnd.amazon.eventstream", encoding=coding)
        assert passed == FRAMES
        assert taken == EVENTS

    @given(at=st.lists(st.integers(0, 5_000), max_size=9))
    def test_lines(self, coding: str, at: list[int]) -> None:
        """Lines of results are taken one by one."""
        pieces = cut(CODINGS[coding](LINES), at)
        passed, taken, _, _ = seen(pieces, "application/x-jsonl", encoding=coding, lines=True)
        assert passed == LINES
        assert taken == [{"n": n} for n in range(5)]

    @given(at=st.lists(st.integers(0, 5_000), max_size=9))
    def test_whole(self, coding: str, at: list[int]) -> None:
        """An answer in one piece of JSON is taken when it is there."""
        content = json.dumps(EVENTS).encode()
        pieces = cut(CODINGS[coding](content), at)
        passed, taken, _, _ = seen(pieces, "application/json", encoding=coding)
        assert passed == content
        assert taken == [EVENTS]


def test_broken_off() -> None:
    """A stream that breaks breaks for its reader, and what came before was taken."""
    error = httpx2.ReadError("reset")
    _, taken, ends, _ = seen([SSE[:150]], "text/event-stream", error=error)
    assert taken == [EVENTS[0]]
    assert ends == [error]


@pytest.mark.parametrize("content", [b"data: {broken\n\n", b"\xff\xfe usage", b'data: "usage"\n'])
def test_nonsense(content: bytes) -> None:
    """Bytes that make no sense pass like all others, and the watch ends once."""
    passed, _, ends, _ = seen([content, SSE], "text/event-stream")
    assert passed == content + SSE
    assert len(ends) == 1


def test_frames_of_nonsense() -> None:
    """So it is with frames."""
    content = (20).to_bytes(4) + (0).to_bytes(4) + b"\0" * 4 + b"{no}" + b"\0" * 4
    passed, _, ends, _ = seen([content], "application/vnd.amazon.eventstream")
    assert passed == content
    assert len(ends) == 1
    assert ends[0] is not None


def test_read_by_the_library() -> None:
    """A response that was read already is looked at where it lies."""
    assert read_already(httpx2.Response(200, content=b"{}")) == b"{}"


def test_the_stream_is_the_one_inside_in_all_else() -> None:
    """Whoever asks the stream for something else gets it from the one inside."""
    response = httpx2.Response(200, stream=Pieces([b"x"]))
    watcher = Watch(response, lambda _: None, lambda: None, lambda _: None, lines=False)
    watch(response, watcher)
    stream: Any = response.stream
    assert stream.pieces == [b"x"]
    with pytest.raises(AttributeError):
        _ = stream.stream_observer
