"""Words that every form of a review uses: which calls, what of a text, how much a day.

What prompts say is shown only as its shape, unless text is asked for.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from cacheplan.changes import Change
from cacheplan.finding import Example, Finding
from cacheplan.patterns import shape
from cacheplan.tables import dollars

__all__ = ["a_day", "called", "lane_of", "redacted", "seen"]

#: What is shown of one example.
LONGEST: Final = 160


def lane_of(finding: Finding) -> str:
    """Name the calls that a finding is about."""
    if finding.lane is None:
        return ""
    model, label = finding.lane
    return " / ".join(filter(None, (label, model)))


def called(example: Example) -> str:
    """Name the call of an example: by its id, or by its number where it has none."""
    return example.id or f"call {example.call}"


def redacted(example: Example, *, show: bool) -> str:
    """Return an example's text as it may be seen: the text, or its shape."""
    text = example.text if show else shape(example.text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def seen(change: Change, *, show: bool) -> str:
    """Return what stands at a changed place as it may be seen: the text, or its shape."""
    return shape(change.text) if change.private and not show else change.text


def a_day(amount: Decimal | None, before: str = "") -> str:
    """Return an amount a day in words, nothing where nobody can say."""
    return "" if amount is None else f"{before}{dollars(amount)} a day"
