"""CP006: the same text is once a string and once a list of one block."""

from __future__ import annotations

from typing import Any

import pytest
from reviewed import LONG, findings, healthy, same_as_simulated
from small import message, request

from cacheplan.assumptions import Assumptions
from cacheplan.rules import string_or_list

DIFFERS = Assumptions(string_form="differs")


def chat(turns: int, *, flips: bool) -> list[dict[str, Any]]:
    """Return a conversation whose newest question is a string, and later maybe a list."""
    lines = []
    for turn in range(turns):
        said: list[dict[str, Any]] = []
        for at in range(turn):
            asked = f"question {at} {LONG}"
            old = message("user", asked) if flips else {"role": "user", "content": asked}
            said += [old, message("assistant", f"answer {at}")]
        newest = {"role": "user", "content": f"question {turn} {LONG}"}
        lines.append({"at": 30 * turn, "request": request(*said, newest)})
    return lines


def test_a_flip_is_found() -> None:
    """A finding counts the calls from the flip on, and its fix is safe."""
    (found,) = findings(string_or_list, chat(5, flips=True), DIFFERS)
    assert (found.code, found.severity, found.calls) == ("CP006", "warning", 5)
    assert [one.call for one in found.examples] == [0, 1]
    assert found.fix is not None
    assert found.fix.safe


def test_saving_is_the_simulated_one() -> None:
    """As lists, the conversation costs what it costs where nothing flips."""
    lines = chat(5, flips=True)
    assert same_as_simulated(string_or_list, lines, DIFFERS)
    (found,) = findings(string_or_list, lines, DIFFERS)
    assert found.saving is not None
    assert found.saving > 0


@pytest.mark.parametrize("what", ["system", "tool_result"])
def test_other_places(what: str) -> None:
    """System prompts and results of tools have both forms, too."""
    listed = [{"type": "text", "text": LONG}]
    lines = []
    for at in range(4):
        content: Any = listed if at % 2 else LONG
        use = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
        answer = {"type": "tool_result", "tool_use_id": "toolu_1", "content": content}
        body = (
            request(message("user", "q"), system=content)
            if what == "system"
            else request(
                message("user", "q"),
                {"role": "assistant", "content": [use]},
                {"role": "user", "content": [answer]},
            )
        )
        lines.append({"at": 30 * at, "request": body})
    (found,) = findings(string_or_list, lines, DIFFERS)
    assert found.calls == 4
    assert same_as_simulated(string_or_list, lines, DIFFERS)


def test_where_both_are_one() -> None:
    """By default the two forms are one block, and there is nothing to say."""
    assert not findings(string_or_list, chat(5, flips=True))


@pytest.mark.parametrize("name", healthy())
def test_healthy(name: str) -> None:
    """Nothing is found where nothing is wrong."""
    assert not findings(string_or_list, healthy()[name], DIFFERS)


def test_always_strings() -> None:
    """Strings that stay strings are no finding."""
    assert not findings(string_or_list, chat(5, flips=False), DIFFERS)


def test_the_same_words_elsewhere() -> None:
    """Two conversations may use two forms, if they have nothing before it in common."""
    lines = chat(2, flips=False)
    other = request(message("user", f"question 0 {LONG}"), system="another")
    assert not findings(string_or_list, [*lines, {"at": 99, "request": other}], DIFFERS)


@pytest.mark.parametrize("same", [True, False])
def test_lanes_are_one_where_they_part_at_the_same_block(same: bool) -> None:
    """A conversation that two kinds of calls carry is one finding; two conversations are two."""
    lines = [line | {"label": "a"} for line in chat(5, flips=True)]
    for line in chat(5, flips=True):
        fields = {} if same else {"system": LONG[::-1]}
        body = line["request"] | fields
        lines.append({"at": line["at"] + 7, "label": "b", "request": body})
    found = findings(string_or_list, lines, DIFFERS)
    assert [len(one.of) for one in found] == ([2] if same else [1, 1])
