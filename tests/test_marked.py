"""Where a body carries marks, and where the automatic one lands."""

from __future__ import annotations

from typing import Any

import pytest
from bodies import bodies
from hypothesis import given

from cacheplan.assumptions import Assumptions
from cacheplan.marked import marks_of, target_of
from cacheplan.prompt import Level, Lifetime, Place
from cacheplan.wire import mark, parse

MARK = {"type": "ephemeral"}
TEXT = {"type": "text", "text": "Hi"}


def user(*content: Any) -> dict[str, Any]:
    """Make a body of one user message."""
    return {"messages": [{"role": "user", "content": list(content)}]}


def test_marks_are_found_in_the_order_of_the_prompt() -> None:
    """Tools come before system and system before messages, wherever they stand in the body."""
    body = user(TEXT | {"cache_control": MARK}) | {
        "system": [TEXT | {"cache_control": MARK}],
        "tools": [{"name": "a"}, {"name": "b", "cache_control": MARK}],
    }
    marks = list(marks_of(body))
    assert [mark.at for mark in marks] == ["tools.1", "system.0", "messages.0.content.0"]
    assert [mark.place for mark in marks] == [
        Place(level=Level.TOOLS, index=1),
        Place(level=Level.SYSTEM, index=0),
        Place(level=Level.MESSAGES, index=0, content=0),
    ]
    assert [mark.typed for mark in marks] == [
        "tools.1.custom",
        "system.0",
        "messages.0.content.0.text",
    ]


def test_a_null_is_no_mark() -> None:
    """The SDK writes a mark that was not given as null."""
    assert list(marks_of(user(TEXT | {"cache_control": None}))) == []


def test_marks_inside_a_block_are_handed_up_or_lost() -> None:
    """The last inner block's mark is the outer block's; any other is lost where it is."""
    marked = TEXT | {"cache_control": MARK}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [marked, TEXT, marked]}
    first, last = marks_of(user(TEXT, result))
    assert (first.at, first.lost) == ("messages.0.content.1.content.0", True)
    assert first.place == Place(level=Level.MESSAGES, index=0, content=1, inner=0)
    assert (last.at, last.lost) == ("messages.0.content.1", False)
    own = result | {"cache_control": MARK | {"ttl": "1h"}, "content": [TEXT, marked]}
    (only,) = marks_of(user(own))
    assert only.lifetime is Lifetime.ONE_HOUR


def test_a_mark_that_cannot_be_read_is_found_all_the_same() -> None:
    """Finding marks does not judge them."""
    (found,) = marks_of(user(TEXT | {"cache_control": "yes"}))
    assert (found.control, found.lifetime) == ("yes", None)


@given(bodies(marked=True))
def test_what_parsing_reads_is_what_is_found(body: dict[str, Any]) -> None:
    """Every mark that a block of the prompt carries is found at its place."""
    found = {mark.place: mark.lifetime for mark in marks_of(body) if not mark.lost}
    for piece in parse(body, Assumptions()).pieces:
        assert found.get(piece.place) is piece.mark


@given(bodies())
def test_the_automatic_mark_lands_where_parsing_says(body: dict[str, Any]) -> None:
    """The last block that takes a mark is the same, read as blocks or looked for from the end."""
    parsed = parse(mark(body, [("automatic", Lifetime.FIVE_MINUTES)]), Assumptions())
    path = target_of(body)
    if parsed.target is None:
        assert path is None
        return
    assert path is not None
    place = parsed.pieces[parsed.target].place
    if place.level is not Level.TOOLS:  # web search comes last there, wherever it stands
        assert path[:2] == (str(place.level), place.index)
        assert path[3:] in ((), (place.content or 0,))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (("messages", 0, "content", 0), {"messages": [{"role": "user", "content": "Hi"}]}),
        (("messages", 0, "content", 0), user(TEXT, TEXT | {"text": " "})),
        (("messages", 0, "content", 0), user(TEXT, {"type": "thinking"})),
        (("system", 0), {"system": "Hi", "messages": [{"role": "user", "content": ""}]}),
        (("tools", 0), {"tools": [{"name": "a"}, {"name": "b", "defer_loading": True}]}),
        (None, {"system": "", "tools": [{"name": "b", "defer_loading": True}]}),
        (None, {}),
    ],
)
def test_the_automatic_mark_walks_back_to_what_takes_it(path: Any, body: dict[str, Any]) -> None:
    """Blocks that take no mark are passed over silently; with none left there is no mark."""
    assert target_of(body) == path
