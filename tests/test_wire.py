"""Whole bodies read: the order of the prompt, what reaches the model, where marks fall."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from typing import Any

import pytest
from bodies import bodies
from hypothesis import given
from hypothesis import strategies as st

from cacheplan import wire
from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError
from cacheplan.prompt import Level, Lifetime, Place
from cacheplan.wire import parse

ASSUME = Assumptions()
FIVE = {"type": "ephemeral"}
TEXT = {"type": "text", "text": "Hi"}


def kinds(*messages: tuple[str, Any]) -> list[str]:
    """Name the kinds of block that the model is shown of these messages."""
    body = {"messages": [{"role": role, "content": content} for role, content in messages]}
    return [piece.block.kind for piece in parse(body, ASSUME).pieces]


def test_the_levels_come_in_the_order_of_the_prompt() -> None:
    """Tools, system and messages follow each other however the body is written."""
    body = {
        "messages": [{"role": "user", "content": "Hi"}],
        "system": "Be brief.",
        "tools": [{"name": "t", "input_schema": {}}],
        "model": "claude-opus-5-5",
    }
    parsed = parse(body, ASSUME)
    assert [piece.block.level for piece in parsed.pieces] == list(Level)
    assert parsed.model == "claude-opus-5-5"
    assert not parsed.prewarm
    assert not parsed.partial


def test_a_body_may_say_nothing_yet() -> None:
    """A body under construction is read as far as it goes."""
    assert parse({}, ASSUME).pieces == []


@given(bodies())
def test_levels_never_mix(body: dict[str, Any]) -> None:
    """No block of an earlier level follows one of a later level."""
    levels = [piece.block.level for piece in parse(body, ASSUME).pieces]
    assert levels == sorted(levels)


@given(bodies())
def test_every_place_leads_to_its_block(body: dict[str, Any]) -> None:
    """Following a piece's place into the body finds what the piece was read from."""
    for piece in parse(body, ASSUME).pieces:
        found = body[str(piece.place.level)]
        if isinstance(found, str):
            assert piece.block.body["text"] == found
            continue
        found = found[piece.place.index]
        if piece.place.level is Level.MESSAGES and piece.block.kind != "output_config":
            content = found["content"]
            if piece.place.content is None:
                assert piece.block.body["text"] == content
                continue
            found = content[piece.place.content]
        if piece.block.kind != "output_config":
            assert piece.block.body == found


def test_boundaries_of_messages_take_no_part() -> None:
    """Two messages of one role in a row are one turn: the same blocks, the same prefix."""
    one = {"messages": [{"role": "user", "content": [TEXT, TEXT | {"text": "you"}]}]}
    two = {"messages": [{"role": "user", "content": text} for text in ("Hi", "you")]}
    digests = [[piece.block.digest for piece in parse(body, ASSUME).pieces] for body in (one, two)]
    assert digests[0] == digests[1]


def test_what_was_compacted_is_not_shown() -> None:
    """The last compaction stands for everything before it."""
    so_far = {"type": "compaction", "content": "So far."}
    failed = {"type": "compaction", "content": None}
    assert kinds(
        ("user", "Hi"),
        ("assistant", [so_far, TEXT]),
        ("user", "On."),
        ("assistant", [so_far, TEXT, failed]),
        ("user", "On."),
    ) == ["compaction", "text", "text"]
    assert kinds(("user", "Hi"), ("assistant", [failed, TEXT])) == ["text", "text"]


def test_what_code_execution_called_is_not_shown() -> None:
    """A tool called by code, and the result that answers it, are not in the prompt."""
    caller = {"type": "code_execution_20260120", "tool_id": "s"}
    use = {"type": "tool_use", "id": "t1", "name": "n", "input": {}, "caller": caller}
    direct = {"type": "tool_use", "id": "t2", "name": "n", "input": {}}
    results = [{"type": "tool_result", "tool_use_id": name} for name in ("t1", "t2")]
    assert kinds(("assistant", [TEXT, use, direct]), ("user", results)) == [
        "text",
        "tool_use",
        "tool_result",
    ]


def test_a_passing_system_message_is_shown_until_the_next_user_message() -> None:
    """The last turn's passing message is in the prompt, earlier ones are not."""
    passing = {"role": "system", "content": "Hurry.", "clear_at": "next_user_message"}
    user = {"role": "user", "content": "Hi"}
    answer = {"role": "assistant", "content": "Yes."}
    messages = [user, passing, answer]
    assert len(parse({"messages": messages}, ASSUME).pieces) == 3
    again = parse({"messages": [*messages, user, passing]}, ASSUME)
    assert [piece.place.index for piece in again.pieces] == [0, 2, 3, 4]


@given(bodies())
def test_reading_changes_nothing(body: dict[str, Any]) -> None:
    """Parsing leaves the caller's object as it was, and reads the same thing twice."""
    snapshot = copy.deepcopy(body)
    first = parse(body, ASSUME)
    assert body == snapshot
    assert parse(copy.deepcopy(body), ASSUME) == first


def test_the_automatic_mark_is_a_breakpoint_on_the_last_block() -> None:
    """The top-level mark joins the explicit ones, and changes nothing on a marked block."""
    messages = [{"role": "user", "content": [TEXT | {"cache_control": FIVE}, TEXT]}]
    body = {"system": "Be brief.", "messages": messages, "cache_control": FIVE}
    parsed = parse(body, ASSUME)
    assert (parsed.automatic, parsed.target) == (Lifetime.FIVE_MINUTES, 2)
    assert parsed.breakpoints() == [(1, Lifetime.FIVE_MINUTES), (2, Lifetime.FIVE_MINUTES)]
    body["messages"] = [{"role": "user", "content": [TEXT | {"cache_control": FIVE}]}]
    assert parse(body, ASSUME).breakpoints() == [(1, Lifetime.FIVE_MINUTES)]


def test_without_a_block_to_mark_there_is_no_target() -> None:
    """Automatic caching is skipped where nothing takes a mark."""
    body = {"messages": [{"role": "user", "content": " "}], "cache_control": FIVE}
    parsed = parse(body, ASSUME)
    assert (parsed.automatic, parsed.target) == (Lifetime.FIVE_MINUTES, None)
    assert parsed.breakpoints() == []


def test_a_call_without_an_answer_is_recognised() -> None:
    """``max_tokens: 0`` is a call that only fills the cache."""
    assert parse({"max_tokens": 0}, ASSUME).prewarm


def test_a_thread_held_by_the_service_is_recognised() -> None:
    """A body that goes on with a thread holds only the end of its prompt."""
    assert parse({"thread": {"type": "continue", "previous_message_id": "m"}}, ASSUME).partial
    assert not parse({"thread": {"type": "create"}}, ASSUME).partial


def test_images_and_citations_anywhere_are_settings() -> None:
    """An image in a message changes messages, citations switched on change system."""
    image = {"type": "image", "source": {"type": "url", "url": "u"}}
    document = {"type": "document", "source": {}, "citations": {"enabled": True}}
    plain, seen, cited = (
        parse({"messages": [{"role": "user", "content": [block]}]}, ASSUME).settings
        for block in (TEXT, image, document)
    )
    assert plain == wire.Settings()
    assert seen.messages
    assert not seen.system
    assert cited.system


def test_a_models_defaults_are_looked_up() -> None:
    """The same effort is a setting on one model and nothing on another."""
    body = {"output_config": {"effort": "medium"}}
    known = {
        name: parse(body | {"model": name}, ASSUME).settings
        for name in ("claude-opus-5-5", "claude-opus-5", "nobody-knows")
    }
    assert known["claude-opus-5-5"] == wire.Settings()
    assert known["claude-opus-5"].messages
    assert known["nobody-knows"] == known["claude-opus-5"]


def test_a_string_may_be_held_apart() -> None:
    """Under ``string_form=differs`` the two spellings of a text are two blocks."""
    apart = dataclasses.replace(ASSUME, string_form="differs")
    both = [{"role": "user", "content": content} for content in ("Hi", [TEXT])]
    digests = {
        assume: [piece.block.digest for piece in parse({"messages": both}, assume).pieces]
        for assume in (ASSUME, apart)
    }
    assert len(set(digests[ASSUME])) == 1
    assert len(set(digests[apart])) == 2


@pytest.mark.parametrize(
    ("words", "body"),
    [
        ("list is not an object", []),
        ("model: int is not text", {"model": 7}),
        ("messages: str is not a list", {"messages": "Hi"}),
        ('messages[0].role: "robot" is not user', {"messages": [{"role": "robot"}]}),
        ('cache_control.ttl: "2h" is not 5m or 1h', {"cache_control": FIVE | {"ttl": "2h"}}),
        ("tools: int is not a list", {"tools": 7}),
    ],
)
def test_a_bad_shape_names_its_place(words: str, body: Any) -> None:
    """Errors carry the path from the body inwards."""
    with pytest.raises(InputError) as caught:
        parse(body, ASSUME)
    assert str(caught.value).startswith(words)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "cache_control",
                    "caller",
                    "content",
                    "id",
                    "role",
                    "source",
                    "text",
                    "ttl",
                    "type",
                ]
            ),
            inner | st.sampled_from(["text", "tool_result", "document", "user", "compaction"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["tools", "system", "messages", "cache_control"]), _JSON))
def test_no_json_brings_a_traceback(body: dict[str, Any]) -> None:
    """Whatever JSON arrives, it is read, or refused with words."""
    place = Place(level=Level.MESSAGES, index=0, content=0)
    for step in (
        lambda: parse(body, ASSUME),
        lambda: wire.validate(body),
        lambda: wire.unmark(body),
        lambda: wire.mark(body, [(place, Lifetime.FIVE_MINUTES)]),
    ):
        with contextlib.suppress(InputError):
            step()
