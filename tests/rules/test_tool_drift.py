"""CP004: one tool's definition is not always the same."""

from __future__ import annotations

from typing import Any

import pytest
from reviewed import LONG, findings, healthy, same_as_simulated
from small import message, request, tool

from cacheplan.prompt import Level, Place
from cacheplan.rules import tool_drift


def look(text: str = "", *keys: str) -> dict[str, Any]:
    """Return a tool with a description and an input of these keys."""
    properties = {key: {"type": "string", "description": f"the {key}"} for key in keys}
    return {
        "name": "look",
        "description": text or LONG[:1500],
        "input_schema": {"type": "object", "properties": properties},
    }


def ask(at: int, *tools: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return the line of one question with these tools."""
    body = request(message("user", f"q{at}"), tools=[tool("ls"), *tools], system=LONG)
    return {"at": 30 * at, "request": body, **fields}


REORDERED = [ask(at, look("", *("ab", "ba", "ab")[at % 3])) for at in range(9)]
REWORDED = [ask(at, look(LONG[:900] + ("Use it." if at % 3 else "Do not."))) for at in range(9)]


def test_order_of_keys() -> None:
    """Keys in another order are found in the field they stand in."""
    (found,) = findings(tool_drift, REORDERED)
    assert (found.code, found.calls) == ("CP004", 9)
    assert found.place == Place(level=Level.TOOLS, index=1)
    assert found.message.startswith("the order of keys in input_schema.properties of this tool")
    assert "2 versions in 9 calls" in found.message
    assert [example.text for example in found.examples] == ["a, b", "b, a"]


def test_order_of_keys_needs_no_return() -> None:
    """Nobody reorders keys on purpose, so two calls are enough."""
    assert len(findings(tool_drift, [ask(0, look("", "a", "b")), ask(1, look("", "b", "a"))])) == 1


def test_description() -> None:
    """Versions of a description that take turns are found, with what each says."""
    (found,) = findings(tool_drift, REWORDED)
    assert found.message.startswith("description of this tool differs")
    assert [example.text[:3] for example in found.examples] == ["Use", "Do "]
    assert [example.call for example in found.examples] == [1, 0]


def test_set_of_keys() -> None:
    """A key that comes and goes is named by where it is missing."""
    lines = [ask(at, look("", *("a", "ab")[at % 2])) for at in range(6)]
    (found,) = findings(tool_drift, lines)
    assert found.message.startswith("the set of keys in input_schema.properties")


@pytest.mark.parametrize("lines", [REORDERED, REWORDED])
def test_saving_is_the_simulated_one(lines: list[dict[str, Any]]) -> None:
    """One version for all calls is what the saving is simulated with."""
    assert same_as_simulated(tool_drift, lines)
    (found,) = findings(tool_drift, lines)
    assert found.saving is not None
    assert found.saving > 0
    assert found.fix is not None
    assert not found.fix.safe


def test_lanes_that_share_versions() -> None:
    """Two lanes with the same versions have one finding."""
    lines = [ask(at, look("", *("ab", "ba")[at // 2 % 2]), label="xy"[at % 2]) for at in range(12)]
    assert len(findings(tool_drift, lines)) == 1


@pytest.mark.parametrize("name", healthy())
def test_healthy(name: str) -> None:
    """Nothing is found where nothing is wrong."""
    assert not findings(tool_drift, healthy()[name])


def test_a_new_version() -> None:
    """A version that replaces another for good is a change somebody made."""
    lines = [ask(at, look(LONG[:900] + ("Use it." if at > 4 else "Do not."))) for at in range(9)]
    assert not findings(tool_drift, lines)


def test_another_agent() -> None:
    """A tool of the same name among other tools belongs to another agent."""
    lines = [
        ask(at, look("Searches mail."), tool("send")) if at % 2 else ask(at, look("Searches."))
        for at in range(8)
    ]
    assert not findings(tool_drift, lines)


def test_a_span_made_anew() -> None:
    """What is made for each call is the finding of the rule for spans."""
    lines = [ask(at, look(f"{LONG[:900]} It is 10:0{at % 5}.")) for at in range(9)]
    assert not findings(tool_drift, lines)
