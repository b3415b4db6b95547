"""CP003: the same tools in another order."""

from __future__ import annotations

from typing import Any

import pytest
from reviewed import LONG, findings, healthy, same_as_simulated, subject
from small import digest_line, message, request, tool

from cacheplan.assumptions import Assumptions
from cacheplan.edits import edited
from cacheplan.patches import patched
from cacheplan.prompt import Level, Place
from cacheplan.rules import tools_reordered

NAMES = ("find", "look", "read", "send")
#: Where each call's tools begin.
TURNS = (0, 1, 0, 2, 3, 0)


def ask(at: int, names: tuple[str, ...], **fields: Any) -> dict[str, Any]:
    """Return the line of one question with tools in this order."""
    tools = [tool(name, LONG[:2000]) for name in names]
    body = request(message("user", f"q{at}"), tools=tools, system=LONG)
    return {"at": 30 * at, "request": body, **fields}


def turned(at: int) -> tuple[str, ...]:
    """Return the tools turned as call ``at`` has them."""
    start = TURNS[at]
    return ("bash", *NAMES[start:], *NAMES[:start])


LINES = [ask(at, turned(at)) for at in range(len(TURNS))]


def test_orders_are_counted() -> None:
    """A finding names the first tool that moved, and counts orders and calls."""
    (found,) = findings(tools_reordered, LINES)
    assert found.code == "CP003"
    assert found.place == Place(level=Level.TOOLS, index=1)
    assert "the same 5 tools stand in 4 orders in 6 calls" in found.message
    assert [example.text for example in found.examples] == ["find", "look"]
    assert found.fix is not None
    assert not found.fix.safe


def test_saving_is_the_simulated_one() -> None:
    """Sorting by name makes one prefix of all calls, and that is what it claims."""
    assert same_as_simulated(tools_reordered, LINES)
    (found,) = findings(tools_reordered, LINES)
    same = [ask(at, tuple(sorted(turned(at)))) for at in range(len(TURNS))]
    assert found.saving is not None
    assert found.saving > 0
    assert not findings(tools_reordered, same)


def test_labels_with_an_order_each() -> None:
    """Two features with the same tools in another order could share them."""
    lines = [ask(at, NAMES if at % 2 else NAMES[::-1], label="ab"[at % 2]) for at in range(6)]
    (found,) = findings(tools_reordered, lines)
    assert found.calls == 6


def test_digests_have_orders_too() -> None:
    """No text is needed to see that blocks changed places."""
    lines = [
        digest_line([(name, 2000, "tools") for name in names] + [("s", 900, "system")], at=at)
        for at, names in enumerate(("ab", "ba", "ab"))
    ]
    (found,) = findings(tools_reordered, lines)
    assert "2 orders in 3 calls" in found.message


@pytest.mark.parametrize("name", healthy())
def test_healthy(name: str) -> None:
    """Nothing is found where nothing is wrong."""
    assert not findings(tools_reordered, healthy()[name])


def test_other_tools_and_other_models() -> None:
    """Another set of tools is no order of the first, and models share nothing anyway."""
    lines = [ask(0, NAMES), ask(1, (*NAMES[::-1], "more")), ask(2, NAMES[::-1])]
    lines[2]["request"]["model"] = "claude-opus-5"
    assert not findings(tools_reordered, lines)


@pytest.mark.parametrize(
    ("pins", "order"),
    [
        ([], "bash find look read send"),
        (["tool:send before tool:look"], "bash find read send look"),
        (["tool:send first", "tool:read first"], "send read bash find look"),
        (["tools[0] last"], "find look read send bash"),
        (["tool:f* after tool:l*"], "bash look find read send"),
    ],
)
def test_pins_are_kept_to(pins: list[str], order: str) -> None:
    """Tools stand by name as far as what a user has said allows."""
    seen = subject(LINES, pins=pins)
    (found,) = tools_reordered.check(seen)
    assert found.fix is not None
    assert ("as far as the pins allow" in found.fix.what) == bool(pins)
    assert found.fix.edit is not None
    after = edited(seen.workload, [found.fix.edit])
    for call in after:
        path = after.tree.path(after.tree.tools_end[call.tip])
        bodies = [after.texts.get(after.tree.digest[after.tree.block[node]]) for node in path]
        assert [body["name"] for body in bodies if body] == order.split()


def test_calls_of_another_model_stay_as_they_are() -> None:
    """Who sends the same tools in one order to another model is in no finding and no fix."""
    steady = [
        ask(at, NAMES[::-1], label="steady") | {"id": "steady", "at": 30 * at + 7}
        for at in range(6)
    ]
    for line in steady:
        line["request"]["model"] = "claude-opus-4-5"
    lines = [ask(at, NAMES[at % 2 + 1 :] + NAMES[: at % 2 + 1]) for at in range(6)] + steady
    (found,) = findings(tools_reordered, lines)
    assert found.calls == 6
    assert found.fix is not None
    assert found.fix.edit is not None
    before = subject(lines).workload
    tips: dict[str | None, set[int]] = {"steady": set(), None: set()}
    for call in edited(before, [found.fix.edit]):
        tips[call.id].add(call.tip)
    assert tips["steady"] == {call.tip for call in before if call.id}
    assert tips[None].isdisjoint({call.tip for call in before})
    for line in lines:
        body = patched(line["request"], [found.fix.edit], Assumptions()).body
        names = tuple(one["name"] for one in body["tools"])
        assert names == (NAMES[::-1] if "id" in line else NAMES)
