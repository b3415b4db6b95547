"""A line that extends another is written so that it stands for itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from extended import lines, said, taken
from hypothesis import given
from letters import Letters

from cacheplan.errors import InputError
from cacheplan.records import Intake
from cacheplan.wholes import Wholes


@given(lines())
def test_whole_requests_are_read_as_what_they_stand_for(made: list[dict[str, Any]]) -> None:
    """Forks, other models and moved marks included."""
    wholes = Wholes()
    intake = Intake(Letters())
    for line in made:
        written = wholes.whole(json.dumps(line).encode())
        assert b'"keep"' not in written
        intake.add(written)
    assert said(intake.workload()) == said(taken(made))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"nothing",
        b'{"at": 0, "request":  {"messages": []}}',
        b'{"id": "b", "extends": "a", "blocks": []}',
        b'{"extends": "a", "extends": "b", "request": {}}',
    ],
)
def test_any_other_line_stays_byte_for_byte(line: bytes) -> None:
    """What is wrong with it is said by whoever reads it."""
    assert Wholes().whole(line) == line


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ({"extends": "nobody"}, '^extends: "nobody" is not the id of an earlier line'),
        ({"extends": 5}, "^extends: this is not text"),
        ({"extends": None, "request": 5}, "^request: "),
    ],
)
def test_what_cannot_be_made_whole_is_an_error(line: dict[str, Any], what: str) -> None:
    """It names the place."""
    made = {"id": "b", "request": {"messages": []}} | line
    with pytest.raises(InputError, match=what):
        Wholes().whole(json.dumps(made).encode())


def test_only_so_much_is_remembered() -> None:
    """The conversation that nobody went on with for the longest is let go."""
    wholes = Wholes()
    for at in range(300):
        first = {"id": f"c{at}", "at": 0, "extends": None, "request": {"messages": []}}
        wholes.whole(json.dumps(first).encode())
    on = {"id": "z", "at": 1, "extends": "c0", "request": {"messages": []}}
    with pytest.raises(InputError, match="extends"):
        wholes.whole(json.dumps(on).encode())
