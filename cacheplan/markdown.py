"""A review in Markdown, for a pull request or a wiki.

Labels, ids and text of prompts are other people's words: what Markdown or HTML would make
of them is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from cacheplan.changes import Patch
from cacheplan.finding import Finding
from cacheplan.plan import name_of
from cacheplan.report import Review
from cacheplan.steps import FIRST
from cacheplan.tables import count, dollars, printable, ratio
from cacheplan.wording import called, facts_of, followers, patched, redacted, safety, seen

__all__ = ["code", "escaped", "markdown"]

_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>#|~$@])|(?<=:)(//)|(?<=www)(\.)", re.IGNORECASE)
_TICKS: Final = re.compile(r"`+")
#: The shortest fence of a block of code.
_FENCE: Final = 3


def escaped(text: str) -> str:
    r"""Return words as Markdown shows them, on one line and in any cell of a table.

    >>> print(escaped("a|b <i> _c_"))
    a\|b \<i\> \_c\_
    """
    return _SPECIAL.sub(r"\\\g<0>", printable(" ".join(text.split()))).replace("&", "&amp;")


def code(text: str) -> str:
    """Return text as code, in a fence that nothing inside it closes.

    >>> code("a`b")
    '`` a`b ``'
    """
    line = printable(" ".join(text.split()))
    longest = max(map(len, _TICKS.findall(line)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest or not line else ""
    return f"{fence}{space}{line}{space}{fence}"


def markdown(found: Review, *, show: bool = False) -> str:
    """Say a review in Markdown."""
    return "\n".join(_parts(found, show=show)) + "\n"


def _parts(found: Review, *, show: bool) -> Iterator[str]:
    """Yield the lines: the answer first, the reasons below."""
    yield "# Prompt caching review\n"
    yield f"{escaped(found.size())}\n"
    sums = [(row.name, dollars(row.amount), _daily(row.daily), row.how) for row in found.sums()]
    yield _table(("for prompts", "cost", "a day", ""), sums, right=(1, 2))
    yield "\n## What to do first\n"
    steps = found.steps()
    if not steps:
        yield "Nothing: no other marks cost less, and no finding saves anything."
    for number, step in enumerate(steps[:FIRST], 1):
        worth = f"**{escaped(step.worth)}**: " if step.worth else ""
        yield f"{number}. {worth}{escaped(step.what)}."
        yield f"   {escaped(step.how)}"
    if found.findings:
        yield "\n## Findings"
        for finding in found.findings:
            yield from _finding(finding, found, show=show)
    yield "\n## What calls share\n"
    yield _shared(found)
    yield "\n## The plan\n"
    yield from _plan(found)
    yield "\n## Every policy\n"
    yield _policies(found)
    if found.notes:
        yield "\n## Notes\n"
        yield from (f"- {escaped(note)}" for note in found.notes)


def _finding(finding: Finding, found: Review, *, show: bool) -> Iterator[str]:
    """Yield one finding: what, where, how bad, what it looks like, what to do."""
    place = f" at {code(str(finding.place))}" if finding.place is not None else ""
    yield f"\n### {finding.severity} {finding.code} {escaped(finding.rule)}{place}\n"
    yield f"{escaped(finding.message)}.\n"
    yield f"{escaped(facts_of(finding, found.found))}."
    if finding.examples:
        yield ""
        for one in finding.examples:
            text = redacted(one, show=show)
            yield f"- {escaped(called(one))}{f': {code(text)}' if text else ''}"
    if finding.fix is not None:
        yield f"\nFix ({safety(finding.fix)}): {escaped(finding.fix.what)}."
        if (safely := finding.fix.safely) is not None:
            yield f"\nOr ({safety(safely)}): {escaped(safely.what)}."
        if finding.fix.patch is not None:
            yield from _patch(finding.fix.patch, show=show)


def _patch(patch: Patch, *, show: bool) -> Iterator[str]:
    """Yield what a fix changes in one call, as a patch that nothing inside it closes."""
    lines = [
        printable(" ".join(f"{sign} {one.place}: {seen(one, show=show)}".split()))
        for sign, changes in (("-", patch.before), ("+", patch.after))
        for one in changes
    ]
    longest = max((len(each) for line in lines for each in _TICKS.findall(line)), default=0)
    fence = "`" * max(longest + 1, _FENCE)
    yield f"\n{escaped(patched(patch))}:\n"
    yield "\n".join([f"{fence}diff", *lines, fence])


def _shared(found: Review) -> str:
    """Return what calls have in common."""
    if not found.shared:
        return "No two calls share a prefix."
    rows = [
        (
            row.breakpoint,
            count(row.tokens),
            count(row.calls),
            str(row.lifetime or "no"),
            ", ".join(row.lanes),
            row.because,
        )
        for row in found.shared
    ]
    return _table(("up to", "tokens", "calls", "mark", "calls of", "because"), rows, right=(1, 2))


def _plan(found: Review) -> Iterator[str]:
    """Yield where to mark, and for how long."""
    own = {name_of(lane) for lane in found.plan.lanes if lane.like is None}
    rows = [row for row in found.plan.rows() if row[0] in own]
    if rows:
        yield _table(("calls", "mark at the end of", "for", "saves", "because"), rows, right=(3,))
    said = [*followers(found.plan), found.plan.chosen_on]
    yield from (f"\n{escaped(line)}" for line in said if line)


def _policies(found: Review) -> str:
    """Return every policy on the calls that are scored."""
    plain = found.comparison["uncached"].input_cost
    rows = [
        (
            one.policy,
            count(one.usage.read),
            count(one.usage.write_5m + one.usage.write_1h),
            count(one.usage.uncached),
            dollars(one.input_cost),
            ratio(one.input_cost / plain if one.input_cost is not None and plain else None),
        )
        for one in found.comparison.projections
    ]
    head = ("policy", "read", "written", "uncached", "prompt cost", "of uncached")
    return _table(head, rows, right=(1, 2, 3, 4, 5))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Lay out a table; every cell is escaped."""
    rule = ["---:" if at in right else "---" for at in range(len(head))]
    lines = [map(escaped, head), rule, *(map(escaped, row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _daily(amount: Decimal | None) -> str:
    return "" if amount is None else dollars(amount)
