"""Runs the rules, and prices every finding by simulating its fix.

A fix of marks is worth the difference between the bill as marked and the bill with other
marks. A fix of the layout is worth what the best plan for the edited prompts saves over
the best plan for the prompts as they are, since a layout pays only if it is marked. The
two never overlap, and what all of them save together is simulated, not added up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import ModuleType

from cacheplan.choosing import choose
from cacheplan.edits import Edit, edited
from cacheplan.finding import SEVERITIES, Finding
from cacheplan.plan import Plan
from cacheplan.precedence import settled
from cacheplan.projection import Marker, Projection, project
from cacheplan.rules import RULES
from cacheplan.subject import Subject
from cacheplan.terms import Terms
from cacheplan.workload import Workload

__all__ = ["Findings", "lint"]

_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the rules found, each with its price, the dearest first."""

    findings: tuple[Finding, ...]
    #: The bill as the calls were marked, under the best plan for them, and under the best
    #: plan with every layout mended.
    paid: Projection
    planned: Projection
    mended: Projection
    plan: Plan
    #: What the team's terms did to the findings, in sentences.
    notes: tuple[str, ...] = ()


def lint(
    subject: Subject, rules: Sequence[ModuleType] = RULES, terms: Terms | None = None
) -> Findings:
    """Run the rules on a workload and simulate what each fix would save."""
    workload, terms = subject.workload, terms or Terms()
    found = terms.judged([one for rule in terms.running(rules) for one in rule.check(subject)])
    paid = _bill(subject, workload, lambda call: call.marks, "as-marked")
    plan = choose(workload, subject.sheet)
    planned = _bill(subject, workload, plan.marker(workload.tree), "planned")
    priced = settled([_priced(subject, finding, paid, planned) for finding in found])
    told = terms.worthy(priced)
    fixes = [one.fix for one in told if one.fix is not None and not one.waived]
    edits = [fix.edit for fix in fixes if fix.edit is not None]
    return Findings(
        findings=tuple(sorted(told, key=_weight)),
        paid=paid,
        planned=planned,
        mended=_mended(subject, edits, planned),
        plan=plan,
        notes=tuple(terms.notes(found, told, len(priced) - len(told), subject.lanes)),
    )


def _priced(subject: Subject, finding: Finding, paid: Projection, planned: Projection) -> Finding:
    """Return a finding with what its fix would save."""
    fix = finding.fix
    if fix is not None and fix.edit is not None:
        before, after = planned, _mended(subject, [fix.edit], planned)
    elif fix is not None and fix.remark is not None:
        before, after = paid, _bill(subject, subject.workload, fix.remark, "fixed")
    else:
        return finding
    if before.input_cost is None or after.input_cost is None:
        return finding
    # What is refused costs nothing, so bills of different calls say nothing of a saving.
    if before.rejected != after.rejected:
        return finding
    saving = before.input_cost - after.input_cost
    days = subject.workload.span / _DAY
    # Less than an hour says too little about a day.
    daily = saving / Decimal(days) if days > 1 / 24 else None
    # A fix that saves nothing on these calls is good to know, and no reason to act.
    grave = finding.severity if saving > 0 or finding.severity != "warning" else "note"
    return replace(finding, saving=saving, saving_per_day=daily, severity=grave)


def _mended(subject: Subject, edits: Sequence[Edit], planned: Projection) -> Projection:
    """Return the bill with prompts edited and marked as is best for them."""
    if not edits:
        return planned
    workload = edited(subject.workload, edits)
    marker = choose(workload, subject.sheet).marker(workload.tree)
    return _bill(subject, workload, marker, "mended")


def _bill(subject: Subject, workload: Workload, marker: Marker, name: str) -> Projection:
    return project(workload, marker, subject.sheet, name)


def _weight(finding: Finding) -> tuple[int, Decimal, str]:
    """Sort refusals first, then by money, then by code."""
    refused = 0 if finding.severity == SEVERITIES[0] else 1
    return refused, -(finding.saving or Decimal()), finding.code
