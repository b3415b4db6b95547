"""Marks on what differs in every call."""

from __future__ import annotations

import json
from typing import Any

import pytest
from marked_talk import LONG, agent, codes, found, marked, one_shots, saves, system


def dated(number: int, ttl: str | None = None) -> list[dict[str, Any]]:
    """Ask behind a marked system prompt that begins with another time in every call."""
    return [
        {**line, "request": {**line["request"], "system": system(f"It is {at}. {LONG}")}}
        for at, line in enumerate(one_shots(number, ttl=ttl))
    ]


def test_a_mark_on_the_question_belongs_behind_the_instructions() -> None:
    """The instructions are shared and unmarked, so the mark moves there."""
    (finding,) = found(one_shots(8, head=system(ttl=None)))
    assert (finding.code, finding.calls) == ("CP101", 8)
    assert str(finding.place) == "messages[0].content[0]"
    assert finding.fix is not None
    assert finding.fix.what == "move the mark to the end of system"


def test_a_mark_behind_a_clock_is_left_out() -> None:
    """Nothing is shared in front of the time, so there is nowhere to move it."""
    (finding,) = found(dated(8))
    assert (finding.code, finding.calls) == ("CP101", 8)
    assert str(finding.place) == "system[0]"
    assert finding.fix is not None
    assert finding.fix.what == "leave the mark out"


def test_what_stands_behind_it_changes_because_of_it() -> None:
    """With the question marked as well it is one finding, not one of each rule."""
    assert codes(dated(8, ttl="5m")) == ["CP101"]


def test_the_saving_is_simulated() -> None:
    """The fix saves what the two bills differ by."""
    assert saves(one_shots(8, head=system(ttl=None))) > 0


def test_a_question_that_the_next_turn_repeats_passes() -> None:
    """Every newest message is new, and is read in the next turn."""
    assert codes(agent(8, head=system(ttl=None))) == []


def test_two_calls_are_no_habit() -> None:
    """Two that differ may do so by chance."""
    assert codes(dated(2)) == []


@pytest.mark.parametrize("reminders", [1, 2])
def test_an_end_that_is_left_out_later_is_found(reminders: int) -> None:
    """What stands behind the newest message only once takes the mark away from what stays."""
    lines = json.loads(json.dumps(agent(6, head=system(), tail=None)))
    for line in lines:
        newest = line["request"]["messages"][-1]
        said = [{"type": "text", "text": f"reminder {at}"} for at in range(reminders)]
        newest["content"] = [*newest["content"], *said[:-1], marked(said[-1])]
    (finding,) = found(lines)
    assert (finding.code, finding.calls) == ("CP101", 6)
    assert str(finding.place) == f"messages[0].content[{reminders}]"
    assert finding.fix is not None
    what = "one block" if reminders == 1 else "2 blocks"
    assert finding.fix.what == f"move the mark {what} towards the front"
    assert saves(lines) > 0


def test_a_reminder_behind_the_mark_passes() -> None:
    """What is left out later may stand behind the mark."""
    lines = json.loads(json.dumps(agent(6, head=system())))
    for line in lines:
        newest = line["request"]["messages"][-1]
        newest["content"] = [*newest["content"], {"type": "text", "text": "reminder"}]
    assert codes(lines) == []
