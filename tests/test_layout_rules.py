"""Rules about the layout, all at once: no workload is too odd, and fixes go together."""

from __future__ import annotations

from typing import Any

from bodies import bodies
from hypothesis import given, settings
from hypothesis import strategies as st
from reviewed import LONG, subject
from small import digest_workloads, message, request, tool

from cacheplan.assumptions import Assumptions
from cacheplan.edits import edited
from cacheplan.linter import lint
from cacheplan.rules import (
    dead_tools,
    filled_in_front,
    input_key_order,
    near_identical_systems,
    string_or_list,
    tool_drift,
    tools_reordered,
    uncut_prompt,
    volatile_before_stable,
    volatile_span,
)

LAYOUT = (
    volatile_span,
    volatile_before_stable,
    tools_reordered,
    tool_drift,
    input_key_order,
    string_or_list,
    near_identical_systems,
    dead_tools,
    uncut_prompt,
    filled_in_front,
)


def checked(lines: list[dict[str, Any]], assume: Assumptions | None = None) -> set[str]:
    """Run all rules, apply each fix, and return the codes of what was found."""
    seen = subject(lines, assume)
    found = [finding for rule in LAYOUT for finding in rule.check(seen)]
    for finding in found:
        assert finding.fix is not None
        assert finding.fix.edit is not None
        workload = edited(seen.workload, [finding.fix.edit])
        workload.tree.check()
        assert len(workload) == len(seen.workload)
        assert finding.calls <= len(seen.workload)
        assert finding.lane in seen.lanes
    places = [(one.code, one.place, one.lane, one.message) for one in found]
    assert len(set(places)) == len(places)
    return {finding.code for finding in found}


@given(digest_workloads(["claude-sonnet-5", "claude-opus-5-5"]))
def test_digests(lines: list[dict[str, Any]]) -> None:
    """Where there is no text, rules that need it are silent, and none fails."""
    assert checked(lines) <= {"CP002", "CP003"}


@settings(max_examples=50)
@given(st.lists(bodies(), min_size=1, max_size=6), st.sampled_from(["same", "differs"]))
def test_any_bodies(drawn: list[dict[str, Any]], form: Any) -> None:
    """Whatever the API takes, rules take."""
    lines = [{"at": 30 * at, "request": body} for at, body in enumerate(drawn)]
    checked(lines, Assumptions(string_form=form))


def test_all_at_once() -> None:
    """Fixes of several rules are applied one after another, and save at most together."""
    lines = []
    for at in range(12):
        tools = [tool("look", LONG[:1500]), tool("send", LONG[:900])]
        keys = ("ab", "ba")[at // 2 % 2]
        schema = {"properties": {key: {"type": "string"} for key in keys}}
        tools.append({"name": "move", "description": LONG[:800], "input_schema": schema})
        system = [
            {"type": "text", "text": f"It is 10:{at + 10}. {LONG}"},
            {"type": "text", "text": LONG[::-1]},
        ]
        body = request(message("user", f"q{at}"), tools=tools[:: -1 if at % 2 else 1])
        lines.append({"at": 30 * at, "request": body | {"system": system}})
    assert checked(lines) >= {"CP001", "CP003", "CP004"}
    found = lint(subject(lines), LAYOUT)
    assert found.planned.input_cost is not None
    assert found.mended.input_cost is not None
    together = found.planned.input_cost - found.mended.input_cost
    savings = [one.saving for one in found.findings if one.saving is not None]
    assert savings
    assert together > max(savings)
