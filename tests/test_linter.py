"""Findings are priced by simulating their fixes, and never counted twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest
from reviewed import subject as reviewed
from small import digest_line, message, request, workload

from cacheplan.choosing import choose
from cacheplan.edits import Edit, edited
from cacheplan.finding import Finding, Fix, Severity
from cacheplan.linter import lint
from cacheplan.prices import Sheet
from cacheplan.projection import project
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.subject import Subject
from cacheplan.units import Unit, worded

SHEET = Sheet.default()
MODEL = "claude-sonnet-4-5"


def subject(model: str = MODEL) -> Subject:
    """Return calls whose system prompt is another one every time, and that carry no mark."""
    lines = [
        digest_line(
            [
                ("tools", 5_000, "tools"),
                (f"system {at}", 9_000, "system"),
                (f"q {at}", 50, "messages"),
            ],
            at=at * 60,
            model=model,
        )
        for at in range(90)
    ]
    return Subject(workload(lines), SHEET, {})


def rule(fix: Fix | None, severity: Severity = "warning", code: str = "T1") -> Any:
    """Return a rule with one finding."""

    def check(_: Subject) -> Iterator[Finding]:
        yield Finding(rule="test", code=code, severity=severity, message="wrong", fix=fix)

    return SimpleNamespace(check=check)


def alike(units: Any) -> tuple[list[Unit], list[Unit]]:
    """Make every system prompt the same one."""
    return [worded(u, "same", u.length) if u.level == 1 else u for u in units], []


LAYOUT = Fix(safe=False, what="say the same", edit=Edit(head=alike))
NOTHING = Fix(safe=True, what="leave it", edit=Edit())


def test_a_layout_is_worth_what_the_best_plan_for_it_saves() -> None:
    """The saving is the bill under the plan for the old prompts less that for the new ones."""
    looked_at = subject()
    found = lint(looked_at, [rule(LAYOUT)])
    mended = edited(looked_at.workload, [cast("Edit", LAYOUT.edit)])
    bills = []
    for calls in (looked_at.workload, mended):
        marker = choose(calls, SHEET).marker(calls.tree)
        bills.append(project(calls, marker, SHEET, "planned").input_cost)
    before, after = bills
    assert before is not None
    assert after is not None
    assert found.findings[0].saving == before - after > 0
    assert found.mended.input_cost == after


def test_marks_are_worth_what_the_bill_as_marked_falls_by() -> None:
    """Other marks are set against the marks that the calls were sent with."""
    looked_at = subject()
    tree = looked_at.tree

    def remark(call: Any) -> list[Breakpoint]:
        return [Breakpoint(tree.tools_end[call.tip], Lifetime.FIVE_MINUTES)]

    found = lint(looked_at, [rule(Fix(safe=True, what="mark the tools", remark=remark))])
    fixed = project(looked_at.workload, remark, SHEET, "fixed").input_cost
    assert found.paid.input_cost is not None
    assert fixed is not None
    assert found.findings[0].saving == found.paid.input_cost - fixed > 0
    assert found.mended == found.planned


def test_two_findings_of_one_fault_are_paid_back_once() -> None:
    """All together save what mending them together saves, not the sum of their savings."""
    alone = lint(subject(), [rule(LAYOUT)])
    twice = lint(subject(), [rule(LAYOUT), rule(LAYOUT, code="T2")])
    assert twice.mended.input_cost == alone.mended.input_cost
    assert [one.saving for one in twice.findings] == [alone.findings[0].saving] * 2


def test_the_dearest_stands_first_behind_what_is_refused() -> None:
    """Refusals come first, then money, then codes."""
    rules = [rule(NOTHING, code="T3"), rule(LAYOUT, code="T2"), rule(None, "error", code="T9")]
    assert [one.code for one in lint(subject(), rules).findings] == ["T9", "T2", "T3"]


def test_what_saves_nothing_is_only_a_note() -> None:
    """A fix that is simulated to save nothing is no warning, and an error stays one."""
    found = lint(subject(), [rule(NOTHING), rule(NOTHING, "error")]).findings
    assert [(one.severity, one.saving) for one in found] == [
        ("error", Decimal()),
        ("note", Decimal()),
    ]


def test_where_money_is_unknown_nothing_is_claimed() -> None:
    """Without a price a finding stands as it was found."""
    found = lint(subject("nobody-knows"), [rule(LAYOUT)]).findings[0]
    assert (found.saving, found.saving_per_day, found.severity) == (None, None, "warning")


def test_a_day_is_made_of_the_time_that_was_seen() -> None:
    """An hour and a half of calls is worth 16 times as much a day."""
    found = lint(subject(), [rule(LAYOUT)]).findings[0]
    assert found.saving is not None
    assert found.saving_per_day is not None
    seen = Decimal(89 * 60) / 86_400
    assert abs(found.saving_per_day * seen - found.saving) < Decimal("1e-9")


@pytest.mark.parametrize(("model", "safe"), [("claude-opus-5-5", False), (MODEL, True)])
def test_nothing_is_safe_that_unbinds_thinking(model: str, *, safe: bool) -> None:
    """What changes the prefix of thinking is not safe where the model checks that."""
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    talk = [message("user", "q"), {"role": "assistant", "content": [thought]}, message("user", "r")]
    looked_at = reviewed(
        {"at": 60 * at, "request": request(*talk, system=f"System {at}.") | {"model": model}}
        for at in range(9)
    )
    fix = replace(LAYOUT, safe=True)
    found = lint(looked_at, [rule(fix)]).findings[0].fix
    assert found is not None
    assert found.safe == safe
    assert ("bound to the prefix" in found.what) != safe


def test_before_and_after() -> None:
    """A priced finding shows what its fix changes in one call, be it prompts or marks."""
    looked_at = subject()

    def remark(call: Any) -> list[Breakpoint]:
        return [Breakpoint(call.tip, Lifetime.ONE_HOUR)]

    fixes = [LAYOUT, Fix(safe=True, what="mark the end", remark=remark), NOTHING]
    patches = []
    for fix in fixes:
        found = lint(looked_at, [rule(fix)]).findings[0].fix
        assert found is not None
        patches.append(found.patch)
    layout, marks, nothing = patches
    assert layout is not None
    assert [change.place for change in layout.before] == ["system[0]"]
    assert marks is not None
    assert [change.place for change in marks.after] == ["messages[0].content[0]"]
    assert nothing is None
