"""Message Batches as bytes: ids, requests, and how many fit into one file.

A file here is the very body that is sent, so that its size is counted and not estimated.
Limits are those of the batch page. This file knows bytes and nothing of what they say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

__all__ = [
    "BYTES",
    "REQUESTS",
    "body",
    "custom_id",
    "fits",
    "packed",
    "request",
    "spans",
]

#: Requests that a batch may have (Claude docs, batch processing, 2026-08-22).
REQUESTS: Final = 100_000
#: Bytes that a batch may have as it is sent, likewise. The page says 256 MB and not of
#: which kind; this is the smaller of the two, which holds under either reading.
BYTES: Final = 256_000_000

_HEAD: Final = b'{"requests":[\n'
_JOINT: Final = b",\n"
_TAIL: Final = b"\n]}"
#: What a ``custom_id`` may be (Claude docs, batch processing, 2026-08-22).
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]+", re.ASCII)
_LONGEST: Final = 64


def custom_id(run: str, number: int, name: str | None) -> str:
    """Name a request: by its build, by its number in it, and by its call if that can be.

    The name of the build is drawn at random, so that whoever sees results knows for
    certain whether they are its own; a call's own id may have been sent before, or twice.

    >>> custom_id("k3v9x2q7", 17, "order-8841"), custom_id("k3v9x2q7", 18, "Zoë's")
    ('k3v9x2q7-000017-order-8841', 'k3v9x2q7-000018')
    """
    made = f"{run}-{number:06d}"
    longer = f"{made}-{name}"
    return longer if name and len(longer) <= _LONGEST and _NAME.fullmatch(name) else made


def request(name: str, params: bytes) -> bytes:
    """Write one request of a batch; its body stays byte for byte.

    >>> request("a", b'{"model": "m"}')
    b'{"custom_id":"a","params":{"model": "m"}}'
    """
    return b'{"custom_id":"' + name.encode() + b'","params":' + params + b"}"


def fits(size: int, largest: int = BYTES) -> bool:
    """Tell whether a request of so many bytes fits into a batch of its own."""
    return len(_HEAD) + size + len(_TAIL) <= largest


def packed(sizes: Sequence[int], *, most: int = REQUESTS, largest: int = BYTES) -> Iterator[range]:
    """Yield which requests go into each file, in their order and as many as fit.

    >>> list(packed([10, 10, 10], most=2)), list(packed([10, 10], largest=39))
    ([range(0, 2), range(2, 3)], [range(0, 2)])
    """
    start, total = 0, len(_HEAD) + len(_TAIL)
    for at, size in enumerate(sizes):
        more = size + (len(_JOINT) if at > start else 0)
        if at > start and (at - start >= most or total + more > largest):
            yield range(start, at)
            start, total = at, len(_HEAD) + len(_TAIL)
            more = size
        total += more
    if start < len(sizes):
        yield range(start, len(sizes))


def body(requests: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the parts of the body that sends these requests.

    >>> b"".join(body([b"1", b"2"])).split()
    [b'{"requests":[', b'1,', b'2', b']}']
    """
    yield _HEAD
    for at, one in enumerate(requests):
        if at:
            yield _JOINT
        yield one
    yield _TAIL


def spans(sizes: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield where in such a body each request stands: its start and its end."""
    start = len(_HEAD)
    for size in sizes:
        yield start, start + size
        start += size + len(_JOINT)
