"""Marking and unmarking: what they change, and everything they leave alone."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from bodies import bodies, lawful, places
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError
from cacheplan.prompt import Level, Lifetime, Place
from cacheplan.wire import lifetime, mark, parse, unmark

FIVE, HOUR = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR
ASSUME = Assumptions()
TEXT = {"type": "text", "text": "Hi"}

TOOL = Place(level=Level.TOOLS, index=0)
SYSTEM = Place(level=Level.SYSTEM, index=0)
STRING = Place(level=Level.MESSAGES, index=0)
BLOCK = Place(level=Level.MESSAGES, index=0, content=0)


def written(body: Any) -> str:
    """Write a body as it is sent, so that order counts as well."""
    return json.dumps(body)


def stripped(value: Any, opaque: bool = False) -> Any:
    """Take marks out the slow way: a second opinion for the tests."""
    if isinstance(value, list):
        return [stripped(part, opaque) for part in value]
    if not isinstance(value, dict) or opaque:
        return value
    inside = value.get("type") == "not_yet_known"
    own = {"input", "input_schema", "input_examples", "schema"}
    return {
        key: stripped(part, inside or key in own)
        for key, part in value.items()
        if key != "cache_control"
    }


class TestMark:
    """The issue: "`mark` changes only `cache_control` keys, never touches the caller's object, is
    idempotent."
    """

    @given(st.data())
    def test_the_callers_object_stays(self, data: st.DataObject) -> None:
        """Neither marking nor unmarking changes anything the caller handed over."""
        body = data.draw(bodies(marked=data.draw(st.booleans())))
        snapshot, text = copy.deepcopy(body), written(body)
        marked = mark(body, data.draw(lawful(body)))
        unmark(marked)
        unmark(body)
        assert body == snapshot
        assert written(body) == text

    @given(st.data())
    def test_marking_twice_is_marking_once(self, data: st.DataObject) -> None:
        """The same breakpoints on a marked body change nothing, order of keys included."""
        body = data.draw(bodies(marked=data.draw(st.booleans())))
        breakpoints = data.draw(lawful(body))
        marked = mark(body, breakpoints)
        assert written(mark(marked, breakpoints)) == written(marked)

    @given(st.data())
    def test_only_marks_and_marked_strings_change(self, data: st.DataObject) -> None:
        """Without its marks, a marked body is the body, byte for byte, but for strings that
        had to become a list to carry one.
        """
        body = data.draw(bodies(marked=data.draw(st.booleans())))
        breakpoints = data.draw(lawful(body))
        expected = copy.deepcopy(body)
        for place, _ in breakpoints:
            if place.level is Level.SYSTEM and isinstance(body["system"], str):
                expected["system"] = [{"type": "text", "text": body["system"]}]
            elif place.level is Level.MESSAGES and place.content is None:
                message = expected["messages"][place.index]
                message["content"] = [{"type": "text", "text": message["content"]}]
        assert written(stripped(mark(body, breakpoints))) == written(stripped(expected))

    @given(st.data())
    def test_marking_changes_no_block_and_no_setting(self, data: st.DataObject) -> None:
        """A marked body has the same prefixes, and exactly the marks it was given."""
        body = data.draw(bodies())
        breakpoints = data.draw(lawful(body))
        before = parse(body, ASSUME)
        after = parse(mark(body, breakpoints), ASSUME)
        assert [piece.block for piece in after.pieces] == [piece.block for piece in before.pieces]
        assert after.settings == before.settings
        lifetimes = dict(breakpoints)
        assert [piece.mark for piece in after.pieces] == [
            lifetimes.get(piece.place) for piece in before.pieces
        ]

    @given(st.data())
    def test_only_the_way_to_a_mark_is_copied(self, data: st.DataObject) -> None:
        """What carries no mark is the caller's own object, however long the body is."""
        body = data.draw(bodies())
        breakpoints = data.draw(lawful(body))
        touched = {place.index for place, _ in breakpoints if place.level is Level.MESSAGES}
        marked = mark(body, breakpoints)
        for index, message in enumerate(body["messages"]):
            assert (marked["messages"][index] is message) is (index not in touched)

    def test_a_string_becomes_a_list_only_where_it_is_marked(self) -> None:
        """A string beside the marked one stays a string, at either level."""
        said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}]
        body = {"system": "Be brief.", "messages": said}
        marked = mark(body, [(STRING, FIVE)])
        assert marked["system"] == "Be brief."
        assert marked["messages"][1] == said[1]
        assert marked["messages"][0]["content"] == [TEXT | {"cache_control": {"type": "ephemeral"}}]
        system = mark(body, [(SYSTEM, HOUR)])["system"]
        assert system[0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}

    def test_a_string_is_also_its_first_block(self) -> None:
        """A plan that knows content as a list marks the same content given as a string."""
        body = {"messages": [{"role": "user", "content": "Hi"}]}
        assert mark(body, [(BLOCK, FIVE)]) == mark(body, [(STRING, FIVE)])

    def test_another_lifetime_replaces_the_old_one(self) -> None:
        """A mark is changed where it stands, and what else it says is kept."""
        old = {"type": "ephemeral", "scope": "global"}
        body = {"system": [TEXT | {"cache_control": old}]}
        marked = mark(body, [(SYSTEM, HOUR)])
        assert marked["system"][0]["cache_control"] == old | {"ttl": "1h"}
        assert mark(marked, [(SYSTEM, FIVE)]) == body
        assert mark(body, [(SYSTEM, FIVE)]) == body

    def test_a_mark_that_cannot_be_read_is_replaced(self) -> None:
        """Whatever stood there, what is asked for stands there afterwards."""
        for old in ("ephemeral", {"type": "persistent"}, {"type": "ephemeral", "ttl": 300}):
            body = {"system": [TEXT | {"cache_control": old}]}
            marked = mark(body, [(SYSTEM, HOUR)])
            assert lifetime(marked["system"][0]["cache_control"]) is HOUR

    def test_the_automatic_mark_stands_at_the_top(self) -> None:
        """``automatic`` sets the top-level key, and takes a new lifetime as well."""
        body: dict[str, Any] = {"messages": []}
        marked = mark(body, [("automatic", FIVE)])
        assert marked == body | {"cache_control": {"type": "ephemeral"}}
        assert mark(marked, [("automatic", HOUR)])["cache_control"]["ttl"] == "1h"
        assert unmark(marked) == body

    @pytest.mark.parametrize(
        ("words", "body", "place"),
        [
            ("messages[0]: there is no such block", {}, BLOCK),
            (
                "messages[0].content[0]: there is no such block",
                {"messages": [{"role": "user", "content": []}]},
                BLOCK,
            ),
            (
                "messages[0].content[1]: there is no such block",
                {"messages": [{"role": "user", "content": "Hi"}]},
                Place(level=Level.MESSAGES, index=0, content=1),
            ),
            (
                "messages[0].content: this content is no string",
                {"messages": [{"role": "user", "content": [TEXT, TEXT]}]},
                STRING,
            ),
            (
                "messages[0].content: empty text takes no breakpoint",
                {"messages": [{"role": "user", "content": " "}]},
                STRING,
            ),
            (
                "messages[0].content[0]: empty text takes no breakpoint",
                {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]},
                BLOCK,
            ),
            (
                "messages[0].content[0]: thinking takes no breakpoint",
                {"messages": [{"role": "assistant", "content": [{"type": "thinking"}]}]},
                BLOCK,
            ),
            (
                "tools[0]: a deferred tool takes no breakpoint",
                {"tools": [{"name": "t", "defer_loading": True}]},
                TOOL,
            ),
            ("tools[0]: there is no such block", {"tools": None}, TOOL),
            ("tools: str is not a list", {"tools": "t"}, TOOL),
            ("system: int is not a list", {"system": 7}, SYSTEM),
            ("messages[0]: str is not an object", {"messages": ["Hi"]}, BLOCK),
        ],
    )
    def test_a_place_that_takes_no_mark_is_an_error(
        self, words: str, body: dict[str, Any], place: Place
    ) -> None:
        """A plan that does not fit the body is told where and why, before it is sent."""
        with pytest.raises(InputError) as caught:
            mark(body, [(place, FIVE)])
        assert str(caught.value).startswith(words)

    def test_an_inner_block_is_no_place_for_a_mark(self) -> None:
        """A mark inside a result would be hoisted or refused, so it is not written."""
        inner = Place(level=Level.MESSAGES, index=0, content=0, inner=0)
        with pytest.raises(InputError, match="outer block"):
            mark({}, [(inner, FIVE)])


class TestUnmark:
    """The issue: "unmark(mark(b)) == unmark(b)"."""

    @given(st.data())
    def test_unmark_undoes_mark(self, data: st.DataObject) -> None:
        """Whatever was marked on whichever body, unmarking forgets it, byte for byte."""
        body = data.draw(bodies(marked=data.draw(st.booleans())))
        marked = mark(body, data.draw(lawful(body)))
        assert written(unmark(marked)) == written(unmark(body))

    @given(bodies())
    def test_an_unmarked_body_is_unmarked(self, body: dict[str, Any]) -> None:
        """A body without marks comes back as it was, all its parts the caller's own."""
        clean = unmark(body)
        assert written(clean) == written(body)
        assert all(clean[key] is body[key] for key in body)

    @given(bodies(marked=True))
    def test_no_mark_is_left(self, body: dict[str, Any]) -> None:
        """After unmarking, neither reading nor the slow way finds a mark."""
        clean = unmark(body)
        assert written(stripped(clean)) == written(clean)
        parsed = parse(clean, ASSUME)
        assert parsed.automatic is None
        assert not any(piece.mark for piece in parsed.pieces)

    @given(bodies(marked=True))
    def test_unmarking_changes_no_block(self, body: dict[str, Any]) -> None:
        """A prefix is the same with and without marks."""
        before, after = parse(body, ASSUME), parse(unmark(body), ASSUME)
        assert [piece.block.digest for piece in after.pieces] == [
            piece.block.digest for piece in before.pieces
        ]
        assert after.settings == before.settings
        assert places(unmark(body)) or not places(body)

    def test_what_looks_like_a_mark_is_left_in_arguments(self) -> None:
        """A key called ``cache_control`` in a tool's arguments or schema is content."""
        use = {"type": "tool_use", "id": "t", "name": "n", "input": {"cache_control": "no-store"}}
        tool = {"name": "n", "input_schema": {"properties": {"cache_control": {}}}}
        body = {"tools": [tool], "messages": [{"role": "assistant", "content": [use]}]}
        assert unmark(body) == body

    def test_inner_marks_go_too(self) -> None:
        """Marks inside results, documents and compactions are found."""
        marked = TEXT | {"cache_control": {"type": "ephemeral"}}
        source = {"type": "content", "content": [marked]}
        change = {"type": "tool_removal", "tool": {}, "cache_control": {"type": "ephemeral"}}
        content = [
            {"type": "tool_result", "tool_use_id": "t", "content": [marked]},
            {"type": "document", "source": source},
            {"type": "compaction", "content": "So far.", "tool_changes": [change]},
        ]
        clean = unmark({"messages": [{"role": "user", "content": content}]})
        assert "cache_control" not in written(clean)

    def test_a_mark_on_a_message_goes_too(self) -> None:
        """A mark beside ``content``, which the service refuses, is taken out as well."""
        message = {"role": "user", "content": "Hi"}
        marked = message | {"cache_control": {"type": "ephemeral"}}
        assert unmark({"messages": [marked]}) == {"messages": [message]}
        assert unmark({"messages": [{"role": "user", "cache_control": {}}]}) == {
            "messages": [{"role": "user"}]
        }

    def test_a_list_the_caller_made_stays_a_list(self) -> None:
        """Only what ``mark`` took apart is put back, so no other prefix changes its form."""
        body = {"messages": [{"role": "user", "content": [TEXT]}], "system": [TEXT]}
        assert unmark(mark(body, [(BLOCK, FIVE), (SYSTEM, HOUR)])) == body
        assert unmark(body) == body

    def test_endless_nesting_is_an_error(self) -> None:
        """A body that contains itself is refused with words."""
        block: dict[str, Any] = {"type": "tool_result"}
        block["content"] = [block]
        with pytest.raises(InputError, match="nested"):
            unmark({"messages": [{"role": "user", "content": [block]}]})
