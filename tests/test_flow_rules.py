"""What holds for every rule about the flow of calls, whatever the calls are."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from reviewed import LONG, subject
from small import digest_workloads, message, request, tool

from cacheplan.edits import edited
from cacheplan.linter import lint
from cacheplan.rules import (
    cold_fan_out,
    head_changes,
    history_rewritten,
    settings_flip,
    subagents_apart,
)
from cacheplan.subject import Subject

FLOW = (cold_fan_out, history_rewritten, settings_flip, subagents_apart, head_changes)
MARK = {"cache_control": {"type": "ephemeral"}}


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw calls that go on, branch, forget, change what is set, and run side by side."""
    histories: list[list[dict[str, Any]]] = [[message("user", f"{n} {LONG[:900]}")] for n in "ab"]
    lines, at = [], 0.0
    for number in range(draw(st.integers(1, 14))):
        at += draw(st.sampled_from((0.0, 0.5, 20.0, 290.0, 400.0)))
        which = draw(st.integers(0, 1))
        said = histories[which]
        change = draw(st.sampled_from(("go on", "go on", "window", "shorten", "branch", "repeat")))
        if change == "window":
            said = said[-3:]
        elif change == "shorten" and len(said) > 2:
            said = [said[0], message(said[1]["role"], "…"), *said[2:]]
        elif change == "branch":
            said = said[: len(said) // 2 * 2 - 1] or said[:1]
        fields: dict[str, Any] = draw(
            st.sampled_from(
                (
                    {},
                    {},
                    {"output_config": {"format": {"type": "json_schema", "schema": {}}}},
                    {"thinking": {"type": "enabled", "budget_tokens": 1024}},
                )
            )
        )
        tools = [tool(name, LONG[:2000]) for name in draw(st.sampled_from(("xyz", "xyz", "yz")))]
        body = request(*said, tools=tools, system=LONG, **MARK, **fields)
        label = draw(st.sampled_from((None, "worker")))
        line = {"at": at, "request": body, **({"label": label} if label else {})}
        lines.append(line)
        if change != "repeat":
            answer = draw(st.sampled_from(("canned", f"answer {number}")))
            said = [*said, message("assistant", answer), message("user", f"{number} {LONG[:300]}")]
        histories[which] = said
    return lines


def check(seen: Subject) -> None:
    """Hold what rules promise: one finding a place and lane, and edits that can be made."""
    found = lint(seen, FLOW).findings
    assert len({(one.code, one.lane, one.place, one.message) for one in found}) == len(found)
    edits = [one.fix.edit for one in found if one.fix is not None and one.fix.edit is not None]
    assert len(edits) == len(found)
    for each in (*([edit] for edit in edits), edits):
        after = edited(seen.workload, each)
        after.tree.check()
        assert sorted(call.number for call in after) == sorted(
            call.number for call in seen.workload
        )
    for one in found:
        assert 0 < one.calls <= len(seen.workload)
        assert (one.saving is None) == (one.fix is None)


@given(conversations())
def test_conversations_of_any_kind(lines: list[dict[str, Any]]) -> None:
    """Whatever happens in conversations, findings are few and each can be mended."""
    check(subject(lines))


@given(digest_workloads(["claude-sonnet-5", "claude-haiku-4-5"]))
def test_digests_of_any_kind(lines: list[dict[str, Any]]) -> None:
    """Calls without texts or speakers are looked at all the same."""
    check(subject(lines))
