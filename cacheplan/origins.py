"""Which line of which file each call was read from.

Knows numbers of calls and of lines. Calls stand in files one after another, so only where
their numbers part from those of the lines is anything written down.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import NamedTuple

__all__ = ["Origin", "Origins"]


class Origin(NamedTuple):
    """A line of a file, the first being 1."""

    source: str
    line: int


class Origins:
    """Where calls were read, by their numbers.

    >>> found = Origins()
    >>> for call, line in enumerate((1, 2, 4)):
    ...     found.note(call, Origin("calls.jsonl", line))
    >>> found.of(2), found.of(3)
    (Origin(source='calls.jsonl', line=4), None)
    """

    def __init__(self) -> None:
        #: The files, each once; and where the numbers of calls and of lines part: the call,
        #: and where it stands. Logs have millions of calls, and most of them part there.
        self._sources: list[str] = []
        self._calls = array("Q")
        self._files = array("L")
        self._lines = array("Q")
        #: The number after that of the last call that was read from a line.
        self._end = 0

    def note(self, call: int, origin: Origin) -> None:
        """Note where a call was read; calls come in the order of their numbers."""
        if self.of(call - 1) != Origin(origin.source, origin.line - 1):
            self._calls.append(call)
            # Files come one after another.
            if not self._sources or self._sources[-1] != origin.source:
                self._sources.append(origin.source)
            self._files.append(len(self._sources) - 1)
            self._lines.append(origin.line)
        self._end = call + 1

    def of(self, call: int) -> Origin | None:
        """Return where a call was read, ``None`` where it was made from a planned line."""
        at = bisect_right(self._calls, call) - 1
        if at < 0 or call >= self._end:
            return None
        return Origin(self._sources[self._files[at]], self._lines[at] + call - self._calls[at])
