"""Which fixes of findings pay together, where only some may be applied.

Of several faults each may hide the others: tools in any order cost nothing as long as every
prompt before them tells the time. So fixes are tried together as well, by simulating calls
that are edited and marked by the best plan for them; and of those that pay best together
none is kept that the others do without. Calls that are refused cost nothing, so fewer
refusals come before any saving.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from cacheplan.changes import unbinds
from cacheplan.choosing import choose
from cacheplan.edits import Edit, edited
from cacheplan.finding import Finding, Fix
from cacheplan.linter import Findings
from cacheplan.prices import Sheet
from cacheplan.projection import Marker, Projection, project
from cacheplan.workload import Workload

__all__ = ["Remedies", "Repair", "Score", "bill", "score"]

#: How good a bill is: calls refused, then dollars.
Score = tuple[int, Decimal]


class Repair(NamedTuple):
    """A fix that can be written into lines."""

    finding: Finding
    fix: Fix
    edit: Edit


#: Fixes, and what calls cost with them.
_Tried = tuple[Score, list[Repair]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedies:
    """The fixes of one workload's findings."""

    workload: Workload
    sheet: Sheet
    #: True where the model may read something else.
    unsafe: bool

    def chosen(self, found: Findings) -> list[Repair]:
        """Return the fixes that pay together: of several faults each may hide the others."""
        base = score(found.planned)
        if base is None:
            return []
        tried: list[_Tried] = []
        for finding in found.findings:
            fix = None if finding.waived else self._allowed(finding.fix)
            if fix is None or fix.edit is None or fix.edit.sequels is not None:
                continue
            cost = self._score([fix], finding, base)
            if cost is not None:
                tried.append((cost, [Repair(finding, fix, fix.edit)]))
        paying = [one for one in tried if one[0] < base]
        for some in [paying] if len(paying) == len(tried) else [paying, tried[:]]:
            repairs = [repair for _, (repair,) in some]
            cost = self._score([one.fix for one in repairs]) if len(some) > 1 else None
            if cost is not None:
                tried.append((cost, repairs))
        best = min(tried, key=lambda one: one[0], default=(base, []))
        return self._needed(best) if best[0] < base else []

    def _needed(self, tried: _Tried) -> list[Repair]:
        """Leave out fixes without which calls cost no more."""
        cost, repairs = tried
        for repair in tried[1]:
            rest = [one for one in repairs if one is not repair]
            without = self._score([one.fix for one in rest]) if rest else None
            if without is not None and without <= cost:
                cost, repairs = without, rest
        return repairs

    def _allowed(self, fix: Fix | None) -> Fix | None:
        """Return what may be done about a finding."""
        if fix is None or fix.safe or self.unsafe:
            return fix
        return fix.safely

    def _score(
        self,
        fixes: Sequence[Fix],
        finding: Finding | None = None,
        base: Score | None = None,
    ) -> Score | None:
        """Return what calls cost with fixes, under the best plan; ``None`` if it may not be."""
        if finding is not None and finding.fix is fixes[0] and finding.saving is not None and base:
            return base[0], base[1] - finding.saving
        edits = [fix.edit for fix in fixes if fix.edit is not None]
        after = edited(self.workload, edits)
        if all(fix.safe for fix in fixes) and unbinds(self.workload, after):
            return None
        marker = choose(after, self.sheet).marker(after.tree)
        return score(bill(after, self.sheet, marker))


def bill(workload: Workload, sheet: Sheet, marker: Marker | None = None) -> Projection:
    """Return what calls cost as they are marked, or under other marks."""
    if marker is None:
        return project(workload, lambda call: call.marks, sheet, "as-marked", as_sent=True)
    return project(workload, marker, sheet, "mended")


def score(found: Projection) -> Score | None:
    """Return how good a bill is; ``None`` where a price is unknown."""
    return None if found.input_cost is None else (found.rejected, found.input_cost)
