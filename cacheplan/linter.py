"""Runs the rules, and prices every finding by simulating its fix.

A fix of marks is worth the difference between the bill as marked and the bill with other
marks. A fix of the layout is worth what the best plan for the edited prompts saves over
the best plan for the prompts as they are, since a layout pays only if it is marked. The
two never overlap, and what all of them save together is simulated, not added up.

Where a source does not say how calls were marked, other marks are priced on the calls of
which it does: the others leave nothing that these could read, and cost what they cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import ModuleType

from cacheplan.changes import Patch, of_edit, of_marks, unbinds
from cacheplan.choosing import choose
from cacheplan.claims import Claims
from cacheplan.edits import Edit, edited
from cacheplan.finding import SEVERITIES, Finding, Remark
from cacheplan.plan import Plan
from cacheplan.precedence import settled, wanted
from cacheplan.projection import Marker, Projection, project
from cacheplan.rules import RULES
from cacheplan.subject import Subject
from cacheplan.tables import count, dollars, html
from cacheplan.terms import Terms
from cacheplan.workload import Workload

__all__ = ["Findings", "lint"]

_DAY = 86_400.0
#: What a fix must save of the bill, all others being applied, to be needed by them.
WORTH = Decimal("0.01")
#: By what share prompts may be longer on record than they are known to be: a little is added
#: to each by the service.
SAME = 0.02
#: Why what is safe elsewhere is not (Opus 5.5 notes, 2026-09-24).
_BOUND = "thinking behind it is bound to the prefix it was made after, and would be refused"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Findings:
    """What the rules found, each with its price, the dearest first."""

    findings: tuple[Finding, ...]
    #: The bill as the calls were marked (or recorded, where nobody knows their marks), under
    #: the best plan for them, and under the best plan with every layout mended.
    paid: Projection
    planned: Projection
    mended: Projection
    plan: Plan
    #: The layouts that are mended, in the order they are mended in.
    edits: tuple[Edit, ...] = ()
    #: By word of ``LACKING``: the calls whose source does not say it.
    lacks: Mapping[str, int] = field(default_factory=dict)
    #: Codes of rules that are left out, since no call says what they need.
    silent: tuple[str, ...] = ()
    #: What is not said for that, and what the team's terms did to the findings, in sentences.
    notes: tuple[str, ...] = ()

    @property
    def alike(self) -> bool:
        """Tell whether what was recorded and what is planned are bills of the same prompts.

        Usage counts what a source does not show, so such bills may be far apart.
        """
        recorded, seen = self.paid.usage.prompt, self.planned.usage.prompt
        return not self.paid.recorded or abs(recorded - seen) <= SAME * recorded

    def __repr__(self) -> str:
        """Say in a line how much was found."""
        bills = (dollars(bill.input_cost) for bill in (self.paid, self.planned, self.mended))
        said = "{} paid, {} planned, {} mended".format(*bills)
        return f"<Findings: {len(self.findings)}; {said}>"

    def _repr_html_(self) -> str:
        """Show them in a notebook, the dearest first."""
        rows = [
            (
                f"{one.severity} {one.code} {one.rule}",
                str(one.place or ""),
                one.message,
                one.fix.what if one.fix is not None else "",
                count(one.calls),
                dollars(one.saving),
                "" if one.saving_per_day is None else dollars(one.saving_per_day),
            )
            for one in self.findings
        ]
        head = ("finding", "place", "what", "fix", "calls", "saves", "a day")
        return html(head, rows, left=4)


def lint(
    subject: Subject, rules: Sequence[ModuleType] = RULES, terms: Terms | None = None
) -> Findings:
    """Run the rules on a workload and simulate what each fix would save."""
    workload = subject.workload
    terms = (terms or Terms()).beside(workload.waivers)
    claims = Claims(subject)
    found = terms.judged([one for rule in terms.running(rules) for one in claims.check(rule)])
    paid = _paid(subject, workload)
    marked = paid if claims.marked is workload else _paid(subject, claims.marked)
    plan = choose(workload, subject.sheet)
    planned = _bill(subject, workload, plan.marker(workload.tree), "planned")
    untold = _untold(claims, terms.resting(rules), found)
    priced, hiding = (
        [_priced(subject, claims, one, marked, planned) for one in some] for some in (found, untold)
    )
    priced = settled(priced, hiding)
    told = _worthy(subject, priced, terms, planned)
    edits = _edits(told)
    mended = _mended(subject, edits, planned)
    grave = {_name(one) for one in found if one.severity == "warning"}
    if _hidden(subject, told, planned, mended):
        told = [
            replace(one, severity="warning")
            if _name(one) in grave and _needed(subject, one, edits, planned, mended)
            else one
            for one in told
        ]
    return Findings(
        findings=tuple(sorted(told, key=_weight)),
        paid=paid,
        planned=planned,
        mended=mended,
        plan=plan,
        edits=tuple(edits),
        lacks=claims.lacks,
        silent=claims.silent(terms.running(rules)),
        notes=(
            *claims.notes(terms.running(rules)),
            *terms.notes(found, told, len(priced) - len(told), subject.lanes),
        ),
    )


def _untold(claims: Claims, rules: Sequence[ModuleType], found: Sequence[Finding]) -> list[Finding]:
    """Return what rules that are off find, where something found may follow from it.

    They are run for nothing else.
    """
    lanes = ((rule, wanted(rule.CODE, found)) for rule in rules)
    return [
        one
        for rule, some in lanes
        if some
        for one in claims.check(rule)
        if not some.isdisjoint(one.of)
    ]


def _priced(
    subject: Subject, claims: Claims, finding: Finding, marked: Projection, planned: Projection
) -> Finding:
    """Return a finding with what its fix would save; ``marked`` is what known marks cost."""
    fix = finding.fix
    if fix is not None and fix.edit is not None:
        workload = edited(subject.workload, [fix.edit])
        before, after = planned, _planned(subject, workload)
        patch = of_edit(subject.workload, workload, (one.call for one in finding.examples))
        if fix.safe and unbinds(subject.workload, workload):
            fix = replace(fix, safe=False, what=f"{fix.what}; {_BOUND}")
    elif fix is not None and fix.remark is not None:
        before, after = marked, _bill(subject, claims.marked, fix.remark, "fixed")
        patch = _remarked(claims.marked, finding, fix.remark)
    else:
        return finding
    finding = replace(finding, fix=replace(fix, patch=patch))
    if before.input_cost is None or after.input_cost is None:
        return finding
    # What is refused costs nothing, so bills of different calls say nothing of a saving.
    if before.rejected != after.rejected:
        return finding
    saving = before.input_cost - after.input_cost
    days = subject.workload.span / _DAY
    # Less than an hour says too little about a day, and no times say nothing.
    daily = saving / Decimal(days) if days > 1 / 24 and "times" not in claims.lacks else None
    # A fix that saves nothing on these calls is good to know, and no reason to act.
    grave = finding.severity if saving > 0 or finding.severity != "warning" else "note"
    return replace(finding, saving=saving, saving_per_day=daily, severity=grave)


def _edits(findings: Sequence[Finding]) -> list[Edit]:
    """Return the layouts that are to be mended."""
    fixes = [one.fix for one in findings if one.fix is not None and not one.waived]
    return [fix.edit for fix in fixes if fix.edit is not None]


def _worthy(
    subject: Subject, priced: Sequence[Finding], terms: Terms, planned: Projection
) -> list[Finding]:
    """Return the findings that save enough, alone or once all others are mended.

    Of two faults that hide each other neither saves anything alone.
    """
    told = terms.worthy(priced)
    kept = {id(one) for one in told}
    slight = [one for one in priced if id(one) not in kept and _edits([one])]
    if not slight:
        return told
    edits, days = _edits(priced), Decimal(subject.workload.span / _DAY)
    after = _mended(subject, edits, planned)

    def enough(one: Finding, without: Projection) -> bool:
        """Tell whether so much more is paid without this finding mended."""
        if without.input_cost is None or after.input_cost is None:
            return False
        daily = (without.input_cost - after.input_cost) / days
        paid = replace(one, saving_per_day=daily)
        return without.rejected == after.rejected and bool(terms.worthy([paid]))

    for one in slight:
        # Where all of them together save too little, so does each.
        if enough(one, planned):
            edit = _edits([one])[0]
            without = _mended(subject, [each for each in edits if each is not edit], planned)
            kept |= {id(one)} if enough(one, without) else set()
    return [one for one in priced if id(one) in kept]


def _mended(subject: Subject, edits: Sequence[Edit], planned: Projection) -> Projection:
    """Return the bill with prompts edited and marked as is best for them."""
    if not edits:
        return planned
    return _planned(subject, edited(subject.workload, edits))


def _name(finding: Finding) -> tuple[object, ...]:
    """Return what tells a finding from others, whatever is worked out about it later."""
    return finding.code, finding.lane, finding.place, finding.about, finding.message


def _hidden(
    subject: Subject, told: Sequence[Finding], planned: Projection, mended: Projection
) -> bool:
    """Tell whether all that saves nothing alone, together with the rest, saves something.

    Where it does not, which is nearly always, nobody needs to ask of each one by itself.
    """
    fixes = [(one, one.fix.edit) for one in told if one.fix is not None and not one.waived]
    edits = [(one, edit) for one, edit in fixes if edit is not None]
    seen = [edit for one, edit in edits if one.saving is not None and one.saving > 0]
    if len(seen) == len(edits):
        return False
    without = _mended(subject, seen, planned)
    whole, before, after = planned.input_cost, without.input_cost, mended.input_cost
    if whole is None or before is None or after is None:
        return False
    return before - after > WORTH * whole


def _needed(
    subject: Subject,
    finding: Finding,
    edits: Sequence[Edit],
    planned: Projection,
    mended: Projection,
) -> bool:
    """Tell whether what saves nothing alone is worth something once all others are mended.

    Of two faults each may hide what the other costs: a text that is not cut behind a
    document that changes.
    """
    edit = finding.fix.edit if finding.fix is not None else None
    if edit is None or finding.waived or finding.saving is None or finding.saving > 0:
        return False
    before, after = planned.input_cost, mended.input_cost
    if before is None or after is None or before - after <= WORTH * before:
        return False
    without = _mended(subject, [one for one in edits if one is not edit], planned)
    if without.input_cost is None or without.rejected != mended.rejected:
        return False
    return without.input_cost - after > WORTH * before


def _planned(subject: Subject, workload: Workload) -> Projection:
    """Return the bill of edited calls under the best plan for them."""
    marker = choose(workload, subject.sheet).marker(workload.tree)
    return _bill(subject, workload, marker, "mended")


def _remarked(workload: Workload, finding: Finding, remark: Remark) -> Patch | None:
    """Return what other marks change in the first example, or in the first call they change."""
    first = {one.call for one in finding.examples}
    calls = sorted(workload, key=lambda call: call.number not in first)
    found = (of_marks(workload.tree, call, remark(call)) for call in calls)
    return next((patch for patch in found if patch is not None), None)


def _paid(subject: Subject, workload: Workload) -> Projection:
    """Return what calls cost as they were sent, as far as anybody knows."""
    return project(workload, lambda call: call.marks, subject.sheet, "as-marked", as_sent=True)


def _bill(subject: Subject, workload: Workload, marker: Marker, name: str) -> Projection:
    return project(workload, marker, subject.sheet, name)


def _weight(finding: Finding) -> tuple[int, Decimal, str]:
    """Sort refusals first, then by money, then by code."""
    refused = 0 if finding.severity == SEVERITIES[0] else 1
    return refused, -(finding.saving or Decimal()), finding.code
