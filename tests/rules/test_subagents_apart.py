"""Sub-agents with nearly their parent's head, and calls that have nothing to share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from reviewed import LONG, agent, findings, healthy, same_as_simulated, subject
from small import digest_line, message, request, tool

from cacheplan.edits import edited
from cacheplan.rules import subagents_apart

TOOLS = [tool(name, f"{name} {LONG[:600]}") for name in ("read", "write", "search", "run", "ask")]
PARENT = f"You lead. {LONG}"
MARK = {"cache_control": {"type": "ephemeral"}}


def team(
    tools: Sequence[dict[str, Any]] = TOOLS[1:],
    system: str = PARENT,
    label: str = "worker",
    at: float = 50,
    every: float = 400,
) -> list[dict[str, Any]]:
    """Return a parent's conversation, and calls beside it with another head."""
    parent = [
        {**line, "at": 200 * number, "label": "lead"}
        for number, line in enumerate(agent(0, 12, "p", tools=TOOLS, system=PARENT))
    ]
    workers = [
        {
            "at": at + every * number,
            "session": f"w{number}",
            "label": label,
            "request": request(message("user", f"do {number}"), tools=tools, system=system, **MARK),
        }
        for number in range(5)
    ]
    return sorted(parent + workers, key=lambda line: line["at"])


def test_a_tool_less_is_found() -> None:
    """Without the parent's first tool a sub-agent shares nothing of a head as long."""
    (found,) = findings(subagents_apart, team())
    assert (found.code, found.calls, str(found.place)) == ("CP204", 5, "tools[0]")
    assert found.lane == ("claude-sonnet-5", "worker")
    assert 'conversation of "lead"' in found.message
    assert "only 0 stand at the start of both" in found.message
    assert found.fix is not None
    assert not found.fix.safe


def test_another_first_line_is_found() -> None:
    """The same rules under another first line are not shared, though the tools may be."""
    system = f"You help. {LONG}"
    (found,) = findings(subagents_apart, team(TOOLS, system))
    assert str(found.place) == "system[0]"
    assert same_as_simulated(subagents_apart, team(TOOLS, system))


@pytest.mark.parametrize(
    ("tools", "system"),
    [
        (TOOLS[1:], PARENT),
        (TOOLS[::-1], PARENT),
        ([tool("own"), *TOOLS[1:]], f"You help. {LONG}"),
    ],
)
def test_the_saving_is_the_difference_between_best_plans(
    tools: Sequence[dict[str, Any]], system: str
) -> None:
    """What is claimed is what one head for both saves, simulated, and it is not nothing."""
    lines = team(tools, system)
    assert same_as_simulated(subagents_apart, lines)
    (found,) = findings(subagents_apart, lines)
    assert found.saving is not None
    assert found.saving > 0


def test_the_edit_makes_one_start() -> None:
    """With the fix both lanes have the same tools, and begin with the parent's words."""
    seen = subject(team([tool("own"), *TOOLS[1:]], f"You help. {LONG}"))
    (found,) = subagents_apart.check(seen)
    assert found.fix is not None
    assert found.fix.edit is not None
    mended = edited(seen.workload, [found.fix.edit])
    tree = mended.tree
    assert len({tree.tools_end[call.tip] for call in mended}) == 1
    lead = next(call for call in mended if call.label == "lead")
    assert all(tree.system_end[lead.tip] in tree.path(call.tip) for call in mended)


def test_a_shared_head_is_no_finding() -> None:
    """A sub-agent with its parent's head to the letter shares it already."""
    assert not findings(subagents_apart, team(TOOLS, PARENT))


def test_another_prompt_is_no_finding() -> None:
    """A sub-agent with a prompt of its own has nothing to share."""
    assert not findings(subagents_apart, team([tool("own")], "You write poems. " * 300))


def test_a_warm_head_is_no_finding() -> None:
    """Sub-agents that keep their own head alive write it once, and need no other's."""
    found = findings(subagents_apart, team(every=100))
    assert [one.calls for one in found] == [1]


def test_long_after_the_parent_is_no_finding() -> None:
    """What starts when the parent's head is gone could not have read it."""
    assert not findings(subagents_apart, team(at=9000))


def test_one_lane_has_no_sub_agents() -> None:
    """Heads that differ within one label are a matter of other rules."""
    assert not findings(subagents_apart, team(label="lead"))


def test_a_parent_comes_first() -> None:
    """What ran before a conversation began does not run on its behalf."""
    lines = [
        {**line, "at": line["at"] + 10 * (line["label"] == "lead")}
        for line in team(at=0, every=500)
    ]
    assert not findings(subagents_apart, sorted(lines, key=lambda line: line["at"]))


def test_single_calls_are_no_parents() -> None:
    """Two features whose prompts look alike but which never converse are only neighbours."""
    lines = [
        {
            "at": 400 * at + 30 * other,
            "label": "ab"[other],
            "request": request(message("user", f"q{at}"), tools=TOOLS[other:], system=PARENT),
        }
        for at in range(5)
        for other in range(2)
    ]
    assert not findings(subagents_apart, lines)


@pytest.mark.parametrize("name", healthy())
def test_healthy_workloads_have_none(name: str) -> None:
    """What is laid out well is left alone."""
    assert not findings(subagents_apart, healthy()[name])


def test_digests_are_enough() -> None:
    """Which blocks two heads have in common shows without their text."""
    tools = [(f"t{at}", 2000, "tools") for at in range(6)]
    parent = [*tools, ("s", 500, "system"), ("m", 9, "messages")]
    lines = [
        digest_line(parent, id="p0", at=0, label="lead"),
        digest_line(
            [("a", 5, "messages"), ("n", 5, "messages")], id="p1", extends="p0", at=60, label="lead"
        ),
        digest_line(
            [*tools[1:], ("s", 500, "system"), ("k", 9, "messages")], at=90, label="worker"
        ),
    ]
    (found,) = findings(subagents_apart, lines)
    assert found.calls == 1
