"""Words that every form of a review uses: which calls, what of a text, how much a day.

What prompts say is shown only as its shape, unless text is asked for.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from cacheplan.changes import Change, Patch
from cacheplan.finding import Example, Finding, Fix
from cacheplan.linter import Findings
from cacheplan.patterns import shape
from cacheplan.plan import Plan, name_of
from cacheplan.tables import count, dollars

__all__ = [
    "a_day",
    "called",
    "facts_of",
    "followers",
    "lane_of",
    "patched",
    "redacted",
    "safety",
    "seen",
]

#: Kinds of calls that are named of a finding about more.
KINDS: Final = 2

#: What is shown of one example.
LONGEST: Final = 160


def lane_of(finding: Finding) -> str:
    """Name the calls that a finding is about; of many kinds the first few."""
    names = [" / ".join(filter(None, (label, model))) for model, label in finding.of]
    if len(names) == KINDS + 1:
        return f"{', '.join(names[:KINDS])} and one more kind"
    more = f" and {len(names) - KINDS} more kinds" if len(names) > KINDS else ""
    return ", ".join(names[:KINDS]) + more


def safety(fix: Fix) -> str:
    """Say whether the model reads the same afterwards."""
    return "safe" if fix.safe else "changes what the model reads"


def facts_of(finding: Finding, found: Findings) -> str:
    """Say how many calls it is about, what mending it is worth, and how sure that is."""
    calls = f"{count(finding.calls)} calls" if finding.calls != 1 else "1 call"
    said = [f"{calls} of {lane_of(finding)}" if finding.of else calls]
    if finding.saving is not None:
        daily = a_day(finding.saving_per_day, ", ")
        bill = _bill(finding, found)
        worth = f"saves {dollars(finding.saving)}{daily}"
        if finding.saving < 0:
            worth = f"costs {dollars(-finding.saving)} more if mended alone"
        said.append(f"{worth}{bill}")
    said.append(f"confidence {finding.confidence}")
    if finding.waived:
        said.append(f"waived: {finding.waived}")
    elif finding.known:
        said.append("known to the baseline")
    return "; ".join(said)


def _bill(finding: Finding, found: Findings) -> str:
    """Say what all prompts cost before and after this fix alone.

    A fix of prompts is worth what it does to the bill under the best plan, see ``linter``.
    """
    by_plan = finding.fix is not None and finding.fix.edit is not None
    before = (found.planned if by_plan else found.paid).input_cost
    if before is None or finding.saving is None:
        return ""
    whose = "planned bill" if by_plan else "bill"
    return f" ({whose} {dollars(before)} before, {dollars(before - finding.saving)} after)"


def patched(patch: Patch) -> str:
    """Say which call a before and an after are of, and what is not shown of it."""
    name = f"in {patch.id or f'call {patch.call}'}"
    return f"{name}; {count(patch.more)} more changes" if patch.more else name


def followers(plan: Plan) -> list[str]:
    """Say which kind of calls the others are marked like, a line for each kind."""
    names: dict[str, list[str]] = {}
    labels = False
    for lane in plan.lanes:
        if lane.like is None:
            continue
        # The lane of a label is there for its calls of another model.
        if lane.like.startswith(f"{lane.label} / "):
            labels = True
        else:
            names.setdefault(lane.like, []).append(name_of(lane))
    said = [f"{', '.join(those)}: as {like}" for like, those in names.items()]
    return [*said, "calls of these labels with another model: as above"] if labels else said


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
