"""A review on a terminal: the answer on the first screen, the reasons below.

Knows what was found and how to lay it out in lines of a width. What other people wrote
is made printable here, since a terminal obeys what it should show.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

from cacheplan.finding import Finding
from cacheplan.shared import Shared
from cacheplan.steps import FIRST, Step, Sum
from cacheplan.tables import aligned, count, dollars, printable
from cacheplan.wording import a_day, called, lane_of, redacted

__all__ = ["WIDTH", "answer", "finding", "note", "sharing"]

#: The width of the text: that of a terminal nobody has made wider.
WIDTH: Final = 80


def answer(size: str, sums: Sequence[Sum], steps: Sequence[Step]) -> str:
    """Say what is paid, what would be, and three things to do: one screen."""
    rows = [(row.name, dollars(row.amount), a_day(row.daily), row.how) for row in sums]
    lines = [size, "", aligned(("for prompts", "", "", ""), rows, source=True), ""]
    if not steps:
        lines.append("There is nothing to do: no other marks cost less, and nothing was found.")
    else:
        lines.append("What to do first:")
    for number, step in enumerate(steps[:FIRST], 1):
        what = f"{step.what}: {step.worth}" if step.worth else step.what
        lines.append(_wrapped(what, f"{number}. ", "   ", most=3))
        lines.append(_wrapped(step.how, "   ", "   ", most=2))
    if len(steps) > FIRST:
        lines.append(f"   … and {len(steps) - FIRST} more below.")
    return "\n".join(lines)


def finding(one: Finding, *, show: bool) -> str:
    """Say a finding in some lines: what, where, how bad, what it looks like, what to do."""
    place = f" at {one.place}" if one.place is not None else ""
    lane = f", {lane_of(one)}" if one.lane is not None else ""
    worth = "" if one.saving is None else f", saves {dollars(one.saving)}"
    daily = a_day(one.saving_per_day, ", ")
    head = f"{one.severity} {one.code} {one.rule}{place}"
    if one.waived:
        return "\n".join([f"{head}, waived", _wrapped(one.waived, "  ", "  ")])
    lines = [
        f"{head}, known" if one.known else head,
        _wrapped(
            f"{count(one.calls)} calls{lane}{worth}{daily}; confidence {one.confidence}",
            "  ",
            "  ",
        ),
        _wrapped(one.message, "  ", "  "),
    ]
    for each in one.examples:
        said = f"{called(each)}: {redacted(each, show=show)}"
        lines.append(_wrapped(said, "    ", "      ", most=2))
    if one.fix is not None:
        safe = "safe" if one.fix.safe else "changes what the model reads"
        lines.append(_wrapped(f"{one.fix.what} ({safe})", "  → ", "    "))
    return "\n".join(lines)


def sharing(rows: Sequence[Shared]) -> str:
    """Say what calls have in common."""
    if not rows:
        return "No two calls share a prefix."
    head = ("up to", "tokens", "calls", "mark", "calls of")
    cells = [
        (
            row.breakpoint,
            count(row.tokens),
            count(row.calls),
            str(row.lifetime or "no"),
            ", ".join(row.lanes),
        )
        for row in rows
    ]
    table = aligned(head, cells, source=True)
    return f"What calls share, that with the most to read first\n\n{table}"


def note(text: str) -> str:
    """Say what the numbers rest on, or what is missing."""
    return _wrapped(text, "", "  ")


def _wrapped(text: str, first: str, rest: str, most: int | None = None) -> str:
    """Break text into lines that a terminal can hold."""
    return textwrap.fill(
        printable(text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        max_lines=most,
        placeholder=" …",
    )
