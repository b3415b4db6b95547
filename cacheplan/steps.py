"""What to do about a workload, in the order of doing it, and what each step saves.

Knows what was found and what the bills are; which words surround it is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from cacheplan.finding import SEVERITIES, Finding
from cacheplan.linter import Findings
from cacheplan.tables import dollars
from cacheplan.wording import a_day, lane_of

__all__ = ["FIRST", "Step", "Sum", "steps"]

#: Things to do that are named first.
FIRST: Final = 3

#: Says what an amount is in a day, ``None`` where nobody can say.
Daily = Callable[[Decimal | None], Decimal | None]


class Sum(NamedTuple):
    """One answer to what prompts cost, in words and dollars."""

    name: str
    amount: Decimal | None
    daily: Decimal | None
    how: str


class Step(NamedTuple):
    """One thing to do, with what it saves; ``None`` where nobody can say."""

    what: str
    how: str
    saving: Decimal | None
    daily: Decimal | None

    @property
    def worth(self) -> str:
        """What it saves, in words; empty where nobody can say."""
        if self.saving is None:
            return ""
        return f"saves {dollars(self.saving)}{a_day(self.daily, ', ')}"


def steps(found: Findings, daily: Daily) -> list[Step]:
    """Return what to do: refusals first, then the plan, then the findings.

    Where the plan pays, findings about marks are part of it and not done apart.
    """
    mine = [one for one in found.findings if not one.waived]
    first = [one for one in mine if one.severity == SEVERITIES[0]]
    rest = [one for one in mine if one.severity != SEVERITIES[0] and _pays(one)]
    marking = list(_marking(found, daily, [one for one in rest if _about_marks(one)]))
    if marking:
        rest = [one for one in rest if not _about_marks(one)]
    mending = [*map(_step, rest)]
    for step in _together(found, mine, daily):
        less = (at for at, one in enumerate(mending) if (one.saving or 0) < (step.saving or 0))
        mending.insert(next(less, len(mending)), step)
    return [*map(_step, first), *marking, *mending]


def _marking(found: Findings, daily: Daily, mended: Sequence[Finding]) -> Iterator[Step]:
    """Say what other marks are worth, if they are, and which findings that mends."""
    paid, planned = found.paid.input_cost, found.planned.input_cost
    if paid is None or planned is None or not found.alike:
        saving = None
    elif planned < paid:
        saving = paid - planned
    else:
        return
    codes = ", ".join(dict.fromkeys(one.code for one in mended))
    how = "cacheplan plan WORKLOAD -o plan.json; marks change nothing the model reads"
    how = f"{how} (mends {codes})" if codes else how
    yield Step("mark as planned", how, saving, daily(saving))


def _together(found: Findings, mine: Sequence[Finding], daily: Daily) -> Iterator[Step]:
    """Say what is to be mended together, since each of these hides what another costs."""
    hidden = [one for one in mine if _hides(one)]
    planned, mended = found.planned.input_cost, found.mended.input_cost
    if not hidden or planned is None or mended is None:
        return
    alone = [one.saving or Decimal() for one in mine if _pays(one) and not _about_marks(one)]
    saving = planned - mended - sum(alone, Decimal())
    if saving <= 0:
        return
    names = ", ".join(f"{one.code} {one.rule} at {one.place}" for one in hidden)
    what = f"mend what saves nothing alone, together with the rest: {names}"
    how = "cacheplan fix WORKLOAD -o fixed.jsonl --unsafe writes the calls so"
    yield Step(what, how, saving, daily(saving))


def _hides(finding: Finding) -> bool:
    """Tell whether a finding is needed by others, see ``linter``, and pays only with them."""
    return finding.severity == "warning" and finding.saving is not None and finding.saving <= 0


def _pays(finding: Finding) -> bool:
    """Tell whether mending it is something to do: a note without a price is for later."""
    if finding.saving is None:
        return finding.severity != SEVERITIES[-1]
    return finding.saving > 0


def _about_marks(finding: Finding) -> bool:
    """Tell whether a finding's fix is other marks, so that a plan says it as well."""
    return finding.fix is not None and finding.fix.remark is not None


def _step(finding: Finding) -> Step:
    """Say what to do about a finding."""
    where = ", ".join(
        part for part in (lane_of(finding), str(finding.place) if finding.place else "") if part
    )
    what = f"{where}: {finding.message} ({finding.code} {finding.rule})".removeprefix(": ")
    how = finding.fix.what if finding.fix is not None else f"see {finding.code} below"
    return Step(what, how, finding.saving, finding.saving_per_day)
