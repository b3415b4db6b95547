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
        ({"extends": "a", "keep": 2}, "^keep: 2 is not a number of its 1 messages"),
        ({"extends": "a", "keep": -1}, "^keep: -1 is not a number of its 1 messages"),
    ],
)
def test_what_cannot_be_made_whole_is_an_error(line: dict[str, Any], what: str) -> None:
    """It names the place."""
    wholes = Wholes()
    wholes.whole(b'{"id": "a", "extends": null, "request": {"messages": [{}]}}')
    made = {"id": "b", "request": {"messages": []}} | line
    with pytest.raises(InputError, match=what):
        wholes.whole(json.dumps(made).encode())


def test_only_so_much_is_remembered() -> None:
    """The conversation that nobody went on with for the longest is let go."""
    wholes = Wholes()
    for at in range(300):
        first = {"id": f"c{at}", "at": 0, "extends": None, "request": {"messages": []}}
        wholes.whole(json.dumps(first).encode())
    on = {"id": "z", "at": 1, "extends": "c0", "request": {"messages": []}}
    with pytest.raises(InputError, match="extends"):
        wholes.whole(json.dumps(on).encode())


def test_a_long_conversation_displaces_no_other() -> None:
    """A request that was gone on from as a whole makes room before those that were not."""
    wholes = Wholes()

    def say(name: str, extends: str | None) -> bytes:
        request = {"messages": [{"role": "user", "content": name}]}
        line = {"id": name, "at": 0, "extends": extends, "request": request}
        return wholes.whole(json.dumps(line).encode())

    say("a", None)
    say("b0", None)
    for at in range(300):
        say(f"b{at + 1}", f"b{at}")
    messages = json.loads(say("a1", "a"))["request"]["messages"]
    assert [message["content"] for message in messages] == ["a", "a1"]
