"""What is met in logs besides calls that can be read: left out or put up with, and counted.

This file knows sentences and numbers, and nothing of any format.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from cacheplan.errors import InputError

__all__ = ["BAD", "HALF", "Record", "Tally"]

BAD = "lines that could not be read, skipped"
#: A program that is still writing ends its file in the middle of a line.
HALF = "half lines at the end of a file that is still being written, left out"


class Record(msgspec.Struct, frozen=True):
    """One entry of a log, as JSON, and where it stands."""

    #: The line, or which entry of a list; the first is 1.
    number: int
    raw: bytes
    #: True for a line that ends with the file, and not with the end of a line.
    cut: bool = False


class Tally:
    """Counts what was left out of logs, by the sentence that says why."""

    def __init__(self, *, skip_bad: bool = False) -> None:
        self._skip_bad = skip_bad
        self._counted: Counter[str] = Counter()

    def count(self, what: str, number: int = 1) -> None:
        """Count something under the words it is told with."""
        self._counted[what] += number

    def of(self, what: str) -> int:
        """Return how often something was counted."""
        return self._counted[what]

    @contextmanager
    def reading(self, source: str, record: Record) -> Iterator[None]:
        """Let what is wrong with an entry say where it stands, or count it.

        What follows in the block is not done for such an entry.
        """
        try:
            yield
        except RecursionError as error:
            self._bad(InputError("nested too deeply to be read"), source, record, error)
        except InputError as error:
            self._bad(error, source, record, error)

    def _bad(self, fault: InputError, source: str, record: Record, error: Exception) -> None:
        """Count a fault, or raise it with its place."""
        if record.cut and not _whole(record.raw):
            self.count(HALF)
        elif self._skip_bad:
            self.count(BAD)
        else:
            raise fault.at(source, record.number) from error

    def notes(self) -> tuple[str, ...]:
        """Say what was counted, each in a sentence with its number."""
        return tuple(f"{what}: {number}" for what, number in self._counted.items())


def _whole(raw: bytes) -> bool:
    """Tell whether a line is JSON to its end."""
    try:
        msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
