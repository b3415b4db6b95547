"""Which line of which file each call was read from.

Knows numbers of calls and of lines. Calls stand in files one after another, so only where
their numbers part from those of the lines is anything written down.
"""

from __future__ import annotations

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
        #: Where the numbers of calls and of lines part: the call, and where it stands.
        self._calls: list[int] = []
        self._origins: list[Origin] = []
        #: The number after that of the last call that was read from a line.
        self._end = 0

    def note(self, call: int, origin: Origin) -> None:
        """Note where a call was read; calls come in the order of their numbers."""
        if self.of(call - 1) != Origin(origin.source, origin.line - 1):
            self._calls.append(call)
            self._origins.append(origin)
        self._end = call + 1

    def of(self, call: int) -> Origin | None:
        """Return where a call was read, ``None`` where it was made from a planned line."""
        at = bisect_right(self._calls, call) - 1
        if at < 0 or call >= self._end:
            return None
        first = self._origins[at]
        return Origin(first.source, first.line + call - self._calls[at])
