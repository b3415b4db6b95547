"""What to do first: refusals, then the plan, then the findings it does not mend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reviews import dated, reviewed
from small import request

from cacheplan.edits import Edit
from cacheplan.finding import Finding, Fix, Severity
from cacheplan.linter import Findings
from cacheplan.steps import Step, steps

LAYOUT = Fix(safe=False, what="move it", edit=Edit())
MARKS = Fix(safe=True, what="mark it", remark=lambda call: call.marks)


@pytest.fixture(scope="module")
def found() -> Findings:
    """Find what is wrong with calls whose instructions begin with the time."""
    return reviewed(dated()).found


def finding(code: str, severity: Severity, saving: float | None, fix: Fix = LAYOUT) -> Finding:
    """Return a finding that saves so much."""
    amount = None if saving is None else Decimal(str(saving))
    return Finding(rule="r", code=code, severity=severity, message=code, fix=fix, saving=amount)


def told(found: Findings, findings: Sequence[Finding]) -> list[Step]:
    """Return the steps for some findings."""
    return steps(replace(found, findings=tuple(findings)), lambda _: None)


def test_order(found: Findings) -> None:
    """Refused calls come first, then the plan, then the findings in their order."""
    findings = [finding("E", "error", None), finding("W", "warning", 2), finding("N", "note", 1)]
    whats = [step.what for step in told(found, findings)]
    assert [what[:4] for what in whats] == ["E (E", "mark", "W (W", "N (N"]


def test_the_plan_mends_marks(found: Findings) -> None:
    """Findings about marks are part of the plan where it pays, and named there once."""
    findings = [finding("M", "warning", 2, MARKS), finding("M", "warning", 1, MARKS)]
    (step,) = told(found, findings)
    assert step.what == "mark as planned"
    assert step.how.endswith("(mends M)")
    dear = replace(found, planned=found.paid)
    assert [one.what[0] for one in told(dear, findings)] == ["M", "M"]


SEVERITIES: tuple[Severity, ...] = ("warning", "note")


@given(st.lists(st.tuples(st.sampled_from(SEVERITIES), st.sampled_from([None, -1.0, 0.0, 1.0]))))
def test_what_pays(rows: list[tuple[Severity, float | None]]) -> None:
    """What saves nothing is not to be done; what nobody can price is, unless it is a note."""
    bare = reviewed_once()
    findings = [finding(f"{at}", *row) for at, row in enumerate(rows)]
    expected = [
        f"{at}"
        for at, (severity, saving) in enumerate(rows)
        if (saving is None and severity == "warning") or (saving is not None and saving > 0)
    ]
    said = [step.what.partition(" ")[0] for step in told(bare, findings)]
    assert [each for each in said if each not in {"mark", "mend"}] == expected


def test_what_hides_what_another_costs_is_one_thing_to_do(found: Findings) -> None:
    """Warnings that save nothing alone are mended together, for what the others leave."""
    bills = replace(
        found,
        paid=replace(found.planned, input_cost=Decimal(5)),
        planned=replace(found.planned, input_cost=Decimal(5)),
        mended=replace(found.planned, input_cost=Decimal(1)),
    )
    hiding = [finding("A", "warning", 0), finding("B", "warning", -1)]
    (step,) = told(bills, hiding)
    assert step.saving == 4
    assert "A r at None, B r at None" in step.what
    assert [one.saving for one in told(bills, [*hiding, finding("C", "warning", 1)])] == [3, 1]
    assert [one.saving for one in told(bills, [*hiding, finding("C", "warning", 4)])] == [4]
    assert told(bills, [finding("A", "note", 0), finding("B", "note", -1)]) == []


def test_a_question_behind_long_rules_behind_a_document() -> None:
    """Cutting the text or moving it saves nothing without the other; both are warnings."""
    rules = "Answer from the document alone and be kind. " * 200
    asked = []
    for at in range(40):
        source = {"type": "text", "media_type": "text/plain", "data": f"{at * 7919} " * 400}
        question = {"type": "text", "text": f"{rules}Question {at}: why {at * 31}?"}
        said = {"role": "user", "content": [{"type": "document", "source": source}, question]}
        asked.append({"at": 30 * at, "request": request(said, system="Answer.")})
    found = reviewed(asked)
    assert {one.code: one.severity for one in found.findings} == {
        "CP002": "warning",
        "CP009": "warning",
    }
    assert all(one.saving == 0 for one in found.findings)
    (step,) = found.steps()
    planned, mended = found.found.planned.input_cost, found.found.mended.input_cost
    assert planned is not None
    assert mended is not None
    assert step.saving == planned - mended > planned / 2
    assert "CP002 volatile-before-stable" in found.text()
    assert "There is nothing to do" not in found.text()


@cache
def reviewed_once() -> Findings:
    """Return the findings of one review, made once."""
    return reviewed(dated(2)).found


def test_waived(found: Findings) -> None:
    """What is waived is not to be done."""
    findings = [replace(finding("W", "warning", 2), waived="by law")]
    assert [step.what for step in told(found, findings)] == ["mark as planned"]


def test_worth() -> None:
    """A step says what it saves, and nothing where nobody can say."""
    step = Step("a", "b", Decimal(2), Decimal(3))
    assert step.worth == "saves $2.00, $3.00 a day"
    assert step._replace(daily=None).worth == "saves $2.00"
    assert step._replace(saving=None).worth == ""
