"""Ledgers: what the middleware wrote down at call time, a SQLite file.

A ledger holds digests, lengths and usage; its calls are told in the digest form. SQLite
reads from a file and not from a stream, so one that is packed is not taken for one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cacheplan.io.documents import File, Head
from cacheplan.io.tally import Tally

__all__ = ["LACKS", "NAME", "WHAT", "matches", "read"]

NAME: Final = "ledger"
WHAT: Final = "ledgers that cacheplan's middleware wrote"
LACKS: Final = frozenset[str]()

#: How a file of SQLite's begins; its head has a hundred bytes, most of them no text.
_LEDGER, _HEAD = b"SQLite format 3\x00", 100


def matches(head: Head) -> bool:
    """Tell a ledger by the first bytes of SQLite's files."""
    return head.raw.startswith(_LEDGER) and len(head.raw) >= _HEAD


def read(file: File, _: Tally) -> Iterator[tuple[int, bytes]]:
    """Yield its calls in the digest form."""
    from cacheplan.io import recall

    yield from enumerate(recall.lines(file.name), 1)
