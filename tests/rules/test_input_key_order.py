"""CP005: a tool's input is replayed with its keys in another order."""

from __future__ import annotations

import json
from typing import Any

import pytest
from reviewed import LONG, agent, findings, healthy, same_as_simulated

from cacheplan.rules import input_key_order


def turned(lines: list[dict[str, Any]], every: int = 2) -> list[dict[str, Any]]:
    """Turn the keys of all inputs around in every second call."""
    lines = json.loads(json.dumps(lines))
    for line in lines[::every]:
        for message in line["request"]["messages"]:
            for block in message["content"]:
                if block["type"] == "tool_use":
                    block["input"] = dict(reversed(block["input"].items()))
    return lines


LINES = turned(agent(0, 8, system=LONG))


def test_another_order_is_found() -> None:
    """A finding counts the calls behind such a block, and shows two orders."""
    (found,) = findings(input_key_order, LINES)
    assert found.code == "CP005"
    assert found.calls == 7
    texts = [one.text for one in found.examples]
    assert texts == ['{"at": 0, "by": "id"}', '{"by": "id", "at": 0}']
    assert [one.call for one in found.examples] == [1, 2]
    assert found.fix is not None
    assert not found.fix.safe


def test_saving_is_the_simulated_one() -> None:
    """With sorted keys it costs what it costs where nobody turned them around."""
    assert same_as_simulated(input_key_order, LINES)
    (found,) = findings(input_key_order, LINES)
    assert found.saving is not None
    assert found.saving > 0


def test_conversations_are_counted_together() -> None:
    """Several conversations of a lane are one finding."""
    lines = turned(agent(0, 4, "a", system=LONG)) + turned(agent(900, 4, "b", system=LONG))
    (found,) = findings(input_key_order, lines)
    assert found.calls == 6
    assert "(2 conversations" in found.message


def test_each_lane_pays_for_its_own() -> None:
    """Lanes with conversations of their own have a finding each, and no price counts twice."""
    lines = turned(agent(0, 4, "a", system=LONG)) + turned(agent(900, 6, "b", system=LONG))
    for line in lines:
        line["label"] = line["session"]
    found = findings(input_key_order, lines)
    assert sorted((one.of, one.calls) for one in found) == [
        ((("claude-sonnet-5", "a"),), 3),
        ((("claude-sonnet-5", "b"),), 5),
    ]
    both = findings(input_key_order, [{**line, "label": "c"} for line in lines])[0].saving
    assert None not in [one.saving for one in found]
    assert sum(one.saving or 0 for one in found) == both


def test_lanes_that_share_a_conversation_are_one() -> None:
    """A conversation that goes on under another label is one finding about both."""
    lines = [{**line, "label": "ab"[at // 4]} for at, line in enumerate(LINES)]
    (found,) = findings(input_key_order, lines)
    assert found.of == (("claude-sonnet-5", "a"), ("claude-sonnet-5", "b"))
    assert found.calls == 7


@pytest.mark.parametrize("name", healthy())
def test_healthy(name: str) -> None:
    """Nothing is found where nothing is wrong."""
    assert not findings(input_key_order, healthy()[name])


def test_equal_inputs_of_two_tool_calls() -> None:
    """Two uses of a tool with the same input are two blocks, in whatever order."""
    lines = agent(0, 3, "a", system=LONG) + turned(agent(900, 3, "b", system=LONG), every=1)
    assert not findings(input_key_order, lines)


def test_always_turned_around() -> None:
    """An order that is not the answer's but always the same costs nothing."""
    assert not findings(input_key_order, turned(agent(0, 6, system=LONG), every=1))
