"""CP205: a conversation goes on under another system prompt or other tools."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from reviewed import LONG, agent, findings, healthy, same_as_simulated
from small import message, request, tool

from cacheplan.rules import head_changes

TOOLS = [tool("look", LONG[:900]), tool("bash", LONG[:900])]


def talk(turns: int, change: Callable[[int, dict[str, Any]], None]) -> list[dict[str, Any]]:
    """Return a conversation, each of whose bodies is changed."""
    lines: list[dict[str, Any]] = json.loads(json.dumps(agent(0, turns, tools=TOOLS, system=LONG)))
    for turn, line in enumerate(lines):
        change(turn, line["request"])
    return lines


def dropped(turn: int, body: dict[str, Any]) -> None:
    """Leave out the second tool from the fourth turn on."""
    if turn > 3:
        body["tools"] = TOOLS[:1]


def compacted(turns: int) -> list[dict[str, Any]]:
    """Return a conversation, and a call that has it summarised."""
    lines = agent(0, turns, tools=TOOLS, system=LONG)
    said = lines[-1]["request"]["messages"]
    body = request(*said, message("user", "Summarise."), system="You summarise.")
    return [*lines, {"at": 20 * turns, "session": "a", "request": body}]


def test_a_tool_that_is_dropped_is_found() -> None:
    """One change is one finding, at the tool that is missing."""
    (found,) = findings(head_changes, talk(8, dropped))
    assert (found.code, found.calls, str(found.place)) == ("CP205", 1, "tools[1]")
    assert found.confidence == "medium"
    assert found.saving is not None
    assert found.saving > 0
    assert same_as_simulated(head_changes, talk(8, dropped))


def test_a_tool_that_comes_and_goes_is_found() -> None:
    """Each turn behind other tools than the one before is counted."""

    def now_and_then(turn: int, body: dict[str, Any]) -> None:
        if turn % 2:
            body["tools"] = TOOLS[:1]

    (found,) = findings(head_changes, talk(8, now_and_then))
    assert (found.calls, found.confidence) == (7, "high")
    assert found.fix is not None
    assert not found.fix.safe


def test_another_mode_is_found_at_its_block() -> None:
    """A block that joins the system prompt is the place."""

    def planning(turn: int, body: dict[str, Any]) -> None:
        more = [{"type": "text", "text": "Plan first."}] if turn == 5 else []
        body["system"] = [{"type": "text", "text": LONG}, *more]

    (found,) = findings(head_changes, talk(8, planning))
    assert (found.calls, str(found.place)) == (2, "system[1]")
    assert [one.text for one in found.examples] == ["", "Plan first."]


def test_a_summary_under_other_instructions_is_found() -> None:
    """A history that is sent once more to be summarised is paid in full."""
    (found,) = findings(head_changes, compacted(8))
    assert (found.calls, found.saving is not None) == (1, True)
    assert same_as_simulated(head_changes, compacted(8))


def test_a_fork_under_another_label_is_about_both() -> None:
    """A sub-agent that carries its parent's messages is a finding of both kinds of calls."""
    lines = compacted(8)
    lines[-1]["label"] = "summary"
    (found,) = findings(head_changes, lines)
    assert found.of == (("claude-sonnet-5", "summary"), ("claude-sonnet-5", None))


@pytest.mark.parametrize("name", healthy())
def test_healthy(name: str) -> None:
    """Nothing is found where nothing is wrong."""
    assert not findings(head_changes, healthy()[name])


def test_two_agents_that_are_asked_the_same() -> None:
    """What a user says first may go to several agents, each with its own answers."""
    lines = []
    for number, system in enumerate((LONG, LONG[::-1])):
        for line in agent(3 * number, 4, system=system):
            body = json.loads(json.dumps(line["request"]).replace("toolu_a", f"toolu_{number}"))
            lines.append({"at": line["at"], "request": body})
    lines.sort(key=lambda line: line["at"])
    assert not findings(head_changes, lines)


def test_after_a_long_pause() -> None:
    """Nothing could have been read any more, so another head costs nothing."""
    lines = compacted(8)
    lines[-1]["at"] += 4000
    assert not findings(head_changes, lines)


def test_only_what_is_set_differs() -> None:
    """Settings are another rule's."""

    def thinking(turn: int, body: dict[str, Any]) -> None:
        if turn % 2:
            body["thinking"] = {"type": "enabled", "budget_tokens": 1024}

    assert not findings(head_changes, talk(6, thinking))
