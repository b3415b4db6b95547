"""A review: what is paid, what would be, and what to do about it first.

Knows the findings, the policies and the shared prefixes of a workload. Every form that a
review is written in is made from this one value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from html import escape
from typing import Any, Final

from cacheplan.baseline import fingerprints
from cacheplan.branches import Box, branches
from cacheplan.comparison import Comparison
from cacheplan.contest import contest
from cacheplan.finding import Example, Finding
from cacheplan.linter import Findings, lint
from cacheplan.origins import Origins
from cacheplan.plan import Plan
from cacheplan.portraits import Portrait, portraits
from cacheplan.projection import Projection, billed
from cacheplan.screen import WIDTH, Pen, Screen, plain
from cacheplan.shared import Shared, shared
from cacheplan.steps import Step, Sum, steps
from cacheplan.subject import Subject
from cacheplan.tables import count, dollars, html, ratio
from cacheplan.terms import Terms, failing, threshold
from cacheplan.wording import redacted, seen
from cacheplan.workload import Workload

__all__ = ["Review", "failing", "review", "threshold"]

_DAY: Final = 86_400
#: Less than an hour says too little about a day.
_HOUR: Final = 3_600


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Review:
    """What is shared, what breaks it, what to mark, and what that is worth."""

    calls: int
    prompt_tokens: int
    output_tokens: int
    tokens_from: str
    #: Seconds from the first call to the last.
    span: float
    found: Findings
    comparison: Comparison
    shared: tuple[Shared, ...]
    #: The typical prompt of each kind of calls, and the tree that all prompts stand in.
    portraits: tuple[Portrait, ...]
    branches: tuple[Box, ...]
    #: What was billed for prompts, where every call says so.
    billed: Decimal | None
    #: What was left out, taken on trust, or could not be evaluated, in sentences.
    notes: tuple[str, ...] = ()
    #: Where each call was read, ``None`` where they come from no file.
    origins: Origins | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong, the dearest first."""
        return self.found.findings

    @property
    def plan(self) -> Plan:
        """Where to mark, and for how long."""
        return self.found.plan

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Models whose price nobody knows."""
        return self.found.paid.unpriced

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """Models whose minimum nobody knows, so that nothing of theirs was cached."""
        bills = (
            self.found.paid,
            self.found.planned,
            self.found.mended,
            *self.comparison.projections,
        )
        return tuple(dict.fromkeys(model for bill in bills for model in bill.unmeasured))

    def _compared(self) -> Comparison:
        """Return the comparison, for where the review tells its own notes beside it."""
        notes = tuple(note for note in self.comparison.notes if note not in self.notes)
        return replace(self.comparison, notes=notes)

    def daily(self, amount: Decimal | None) -> Decimal | None:
        """Return what an amount is in a day, ``None`` where the calls say too little."""
        if amount is None or self.span <= _HOUR or "times" in self.found.lacks:
            return None
        return amount * _DAY / Decimal(self.span)

    def sums(self) -> list[Sum]:
        """Return what is paid, and what would be."""
        rows = [
            ("you pay", self.found.paid.input_cost, _as_paid(self.found.paid)),
            ("you would pay, marked", self.found.planned.input_cost, "by the plan below"),
        ]
        if self.found.mended is not self.found.planned:
            rows.append(
                ("and with prompts mended", self.found.mended.input_cost, "as the findings say")
            )
        if self.billed is not None:
            rows.append(("the record says", self.billed, "what was billed"))
        return [Sum(name, amount, self.daily(amount), how) for name, amount, how in rows]

    def steps(self) -> list[Step]:
        """Return what to do, in the order of doing it."""
        return steps(self.found, self.daily)

    def to_json(self, *, show: bool = False) -> dict[str, Any]:
        """Return the shape that ``review --format json`` prints."""
        return {
            "workload": {
                "calls": self.calls,
                "prompt_tokens": self.prompt_tokens,
                "output_tokens": self.output_tokens,
                "tokens_from": self.tokens_from,
                "span_seconds": self.span,
                **({"lacks": dict(self.found.lacks)} if self.found.lacks else {}),
            },
            "paid": self._bill_json(self.found.paid),
            "planned": self._bill_json(self.found.planned),
            "mended": self._bill_json(self.found.mended),
            "billed_input_cost_usd": _number(self.billed),
            "projection": self.comparison.to_json(),
            "plan": self.plan.to_json(),
            "prompts": [one.to_json(show=show) for one in self.portraits],
            "shared": [row.to_json() for row in self.shared],
            "findings": [self.finding_json(finding, show=show) for finding in self.findings],
            "unpriced": list(self.unpriced),
            "unmeasured": list(self.unmeasured),
            "notes": list(self.notes),
        }

    def finding_json(self, finding: Finding, *, show: bool) -> dict[str, Any]:
        """Return a finding, with examples that say no more than they may."""
        found = {**finding.to_json(), "lane": None}
        if finding.lane is not None:
            found["lane"] = {"model": finding.lane[0], "label": finding.lane[1]}
        found["examples"] = [self._example_json(one, show=show) for one in finding.examples]
        found |= {"waived": finding.waived or None, "known": finding.known}
        found["fingerprints"] = list(fingerprints(finding))
        if finding.fix is not None and finding.fix.patch is not None:
            patch = finding.fix.patch
            for side, changes in (("before", patch.before), ("after", patch.after)):
                found["fix"][side] = [
                    {"place": one.place, "text": seen(one, show=show)} for one in changes
                ]
            found["fix"] |= {"call": patch.call, "id": patch.id, "more": patch.more}
        return found

    def _example_json(self, one: Example, *, show: bool) -> dict[str, Any]:
        """Return a call in which it can be seen, and the line it was read from."""
        origin = self.origins.of(one.call) if self.origins is not None else None
        return {
            "call": one.call,
            "id": one.id,
            "file": None if origin is None else origin.source,
            "line": None if origin is None else origin.line,
            "text": redacted(one, show=show),
        }

    def _bill_json(self, bill: Projection) -> dict[str, Any]:
        return {
            "input_cost_usd": _number(bill.input_cost),
            "input_cost_usd_per_day": _number(self.daily(bill.input_cost)),
            "cost_usd": _number(bill.cost),
            "rejected": bill.rejected,
        }

    def __str__(self) -> str:
        """Say it on a terminal, without any text of a prompt."""
        return self.text()

    def text(self, *, show: bool = False, width: int = WIDTH, pen: Pen = plain) -> str:
        """Say it on a terminal: the answer on the first screen, the reasons below."""
        screen = Screen(width=width, show=show, pen=pen)
        parts = [
            screen.answer(self.size(), self.sums(), self.steps()),
            screen.findings(self.found) if self.findings else "",
            screen.sharing(self.shared),
            screen.plan(self.plan),
            screen.policies(self._compared()),
            screen.notes(self.notes),
        ]
        return "\n\n".join(filter(None, parts))

    def __repr__(self) -> str:
        """Say in a line what is paid, what would be, and how much was found."""
        bills = ", ".join(f"{row.name} {dollars(row.amount)}" for row in self.sums())
        return f"<Review: {count(self.calls)} calls, {len(self.findings)} findings: {bills}>"

    def size(self) -> str:
        """Say how much was looked at."""
        hours = "" if "times" in self.found.lacks else f" over {self.span / _HOUR:,.1f} hours"
        return (
            f"{count(self.calls)} calls{hours}:"
            f" {count(self.prompt_tokens)} prompt tokens ({self.tokens_from})"
        )

    def _repr_html_(self) -> str:
        """Show it in a notebook; every cell is escaped."""
        sums = [
            (row.name, dollars(row.amount), _dollars(row.daily), row.how) for row in self.sums()
        ]
        steps = [
            (f"{step.what}: {step.how}", dollars(step.saving), _dollars(step.daily))
            for step in self.steps()
        ]
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return (
            f"<p>{escape(self.size())}</p>"
            + html(("for prompts", "cost", "a day", ""), sums, source=True)
            + html(("to do", "saves", "a day"), steps)
            + self.found._repr_html_()
            + self._compared()._repr_html_()
            + notes
        )


def review(
    subject: Subject,
    *,
    train: float = 0.5,
    terms: Terms | None = None,
    watch: Callable[[str], None] | None = None,
) -> Review:
    """Review a workload by a team's terms; ``watch`` hears what is being done."""
    watch = watch or _unheard
    workload = subject.workload
    watch("running the rules")
    found = lint(subject, terms=terms)
    compared = contest(
        workload, subject.sheet, train=train, watch=lambda name: watch(f"comparing: {name}")
    )
    watch("looking at what is shared")
    made = Review(
        calls=len(workload),
        prompt_tokens=sum(workload.prompt_tokens(call) for call in workload),
        output_tokens=sum(call.output for call in workload),
        tokens_from=workload.tokens_from,
        span=workload.span,
        found=found,
        comparison=compared,
        shared=shared(subject, found.plan),
        portraits=portraits(subject, found.plan),
        branches=branches(subject),
        billed=(billed(workload, subject.sheet) or (None,))[0],
        origins=workload.origins,
    )
    return replace(made, notes=tuple(_notes(workload, made)))


def _as_paid(paid: Projection) -> str:
    """Say what the first bill is."""
    if paid.unknown:
        return f"{count(paid.unknown)} calls tell neither marks nor usage"
    if not paid.recorded:
        return "as the calls are marked"
    return f"as recorded where marks are unknown, in {count(paid.recorded)} calls"


def _unheard(_: str) -> None:
    """Say nothing."""


def _notes(workload: Workload, made: Review) -> Iterator[str]:
    """Say what could not be evaluated, and what was left out."""
    planned, marked = (made.comparison[name].input_cost for name in ("planned", "as-marked"))
    if not made.found.alike:
        yield (
            f"Usage counts {count(made.found.paid.usage.prompt)} prompt tokens and what is known of"
            f" the prompts makes {count(made.found.planned.usage.prompt)}: these bills are of"
            " different prompts, so nothing is said to be saved between them."
        )
    elif planned is not None and marked:
        how = "marked"
        if made.found.paid.recorded:
            how = "marked, or as recorded where nobody knows the marks"
        yield (
            f"On the calls that are scored, a plan costs {ratio(planned / marked)} of what they"
            f" cost as {how}."
        )
    if made.unpriced:
        yield f"No price is known for {', '.join(made.unpriced)}: what it costs is unknown."
    if made.unmeasured:
        names = ", ".join(made.unmeasured)
        yield f"No minimum is known for {names}: nothing of theirs is taken to be cached."
    if not workload.texts:
        yield "The calls carry no text, so rules that read text had nothing to say."
    if made.span <= _HOUR and "times" not in made.found.lacks:
        yield "The calls cover an hour or less, too little to say what a day costs."
    yield from made.found.notes
    yield from workload.notes


def _dollars(amount: Decimal | None) -> str:
    return "" if amount is None else dollars(amount)


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
