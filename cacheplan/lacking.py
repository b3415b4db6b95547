"""What a log may leave unsaid of its calls, and what that keeps anybody from knowing.

A line names what it lacks (``lacks``), so that a converted file claims no more than its
source did. This file knows the words; who reads them decides what is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

__all__ = ["LACKING", "lacks_in"]

#: By word: what the source does not say. The order is that of a prompt, then of a bill.
LACKING: Final[Mapping[str, str]] = {
    "tools": "which tools were sent",
    "system": "what the system prompt said",
    "settings": "what was set: thinking, tool choice, effort",
    "text": "the whole text: parts are cut off, masked or left out",
    "marks": "where breakpoints stood",
    "times": "the time of sending",
    "lifetimes": "for how long a written prefix was kept",
}


class _Silent(Protocol):
    """Whatever names what its source does not say of it."""

    @property
    def lacks(self) -> tuple[str, ...]:
        """Words of ``LACKING``."""
        ...


def lacks_in(calls: Iterable[_Silent]) -> dict[str, int]:
    """Count by word the calls whose source does not say it; what all say is left out."""
    found: dict[str, int] = {}
    for call in calls:
        for word in call.lacks:
            found[word] = found.get(word, 0) + 1
    return {word: found[word] for word in LACKING if word in found}
