"""CP008: tools that are defined in every call and called in none."""

from __future__ import annotations

from typing import Any

import pytest
from reviewed import LONG, agent, findings, healthy, same_as_simulated
from small import tool

from cacheplan.prompt import Level, Place
from cacheplan.rules import dead_tools

LOOK, SEND, MOVE = (tool(name, f"{name} {LONG[:1000]}") for name in ("look", "send", "move"))


def run(turns: int = 24, *tools: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    """Return a conversation that calls ``look`` once a turn, with these tools as well."""
    lines = agent(0, turns, str(len(tools)), tools=[LOOK, *tools], system=LONG)
    return [line | fields for line in lines]


def test_dead_tools_are_named() -> None:
    """A finding names the tools, and says how long they are in how many calls."""
    (found,) = findings(dead_tools, run(24, SEND, MOVE))
    assert (found.code, found.severity, found.calls) == ("CP008", "note", 24)
    assert found.place == Place(level=Level.TOOLS, index=1)
    assert found.message.startswith("2 tools are defined in 24 calls")
    assert found.examples[0].text == "send, move"
    assert found.fix is not None
    assert not found.fix.safe


def test_saving_is_the_simulated_one() -> None:
    """Without them every call is shorter, and that is what is claimed."""
    assert same_as_simulated(dead_tools, run(24, SEND))
    (found,) = findings(dead_tools, run(24, SEND))
    assert found.saving is not None
    assert found.saving > 0


def test_labels_have_one_finding() -> None:
    """The same dead tools behind the same head are one finding whatever the label."""
    lines = run(24, SEND)
    for at, line in enumerate(lines):
        line["label"] = "ab"[at % 2]
    (found,) = findings(dead_tools, lines)
    assert found.calls == 24


@pytest.mark.parametrize("name", healthy())
def test_healthy(name: str) -> None:
    """Nothing is found where nothing is wrong."""
    assert not findings(dead_tools, healthy()[name])


def test_too_few_tool_calls() -> None:
    """A log with few tool calls cannot tell."""
    assert not findings(dead_tools, run(20, SEND))


def test_no_tool_calls_at_all() -> None:
    """Where no tool is ever called, nothing is known about any."""
    lines = run(24, SEND)
    for line in lines:
        line["request"]["messages"] = line["request"]["messages"][:1]
    assert not findings(dead_tools, lines)


def test_called_behind_another_head() -> None:
    """A tool that some other agent calls is not dead."""
    other = agent(9000, 24, "other", tools=[SEND, LOOK], system="You send.")
    for line in other:
        for message in line["request"]["messages"]:
            for block in message["content"]:
                if block["type"] == "tool_use":
                    block["name"] = "send"
    found = findings(dead_tools, [*run(24, SEND), *other])
    assert all("send" not in example.text for one in found for example in one.examples)


def test_what_the_service_runs() -> None:
    """Tools that the service runs itself are not judged by the calls of others."""
    search = {"type": "web_search_20250305", "name": "web_search"}
    assert not findings(dead_tools, run(24, search))
