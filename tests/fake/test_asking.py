"""What the imitation says to bodies that the API does not take."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from talk import MODEL, body

from cacheplan.io.fake.asking import shaped
from cacheplan.io.fake.exchange import Asked
from cacheplan.testing import FakeAnthropic

USE = {"type": "tool_use", "id": "toolu_1", "name": "t", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}
EMPTY = (
    "messages.0: all messages must have non-empty content except for the optional final assistant"
    " message"
)
UNANSWERED = (
    "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after:"
    " toolu_1. Each `tool_use` block must have a corresponding `tool_result` block in the next"
    " message."
)
UNASKED = (
    "messages.0: unexpected `tool_use_id` found in `tool_result` blocks: toolu_1. Each"
    " `tool_result` block must have a corresponding `tool_use` block in the previous message."
)

#: Any JSON, with names that mean something to the API among it.
names = st.sampled_from(
    ["type", "text", "role", "content", "cache_control", "ttl", "name", "id", "tool_use", "5m"]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | names | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


def ask(sent: bytes | Any, path: str = "/v1/messages", **more: Any) -> tuple[int, Any]:
    """Send something to a fresh service; return the status and what was said."""
    content = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    headers = {"X-Api-Key": "any"}
    answer = FakeAnthropic(**more).handle(Asked.of("POST", f"https://any{path}", headers, content))
    return answer.status, json.loads(b"".join(answer.pieces))


def said(sent: Any, **more: Any) -> str:
    """Return the sentence with which a body is refused."""
    status, answer = ask(sent, **more)
    assert status == 400, answer
    return str(answer["error"]["message"])


def talk(*turns: tuple[str, Any]) -> dict[str, Any]:
    """Make a body of turns."""
    messages = [{"role": role, "content": content} for role, content in turns]
    return {"model": MODEL, "max_tokens": 100, "messages": messages}


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ([], "Input should be a valid dictionary or object to extract fields from"),
        ({}, "model: Field required"),
        ({"model": MODEL}, "max_tokens: Field required"),
        ({"model": MODEL, "max_tokens": 1}, "messages: Field required"),
        (body("Hi", model=3), "model: Input should be a valid string"),
        (body("Hi", model=""), "model: String should have at least 1 character"),
        (body("Hi", max_tokens="9"), "max_tokens: Input should be a valid integer"),
        (body("Hi", max_tokens=True), "max_tokens: Input should be a valid integer"),
        (body("Hi", max_tokens=-1), "max_tokens: Input should be greater than or equal to 0"),
        (body("Hi", messages={}), "messages: Input should be a valid list"),
        (body("Hi", tools={}), "tools: Input should be a valid list"),
        (talk(("robot", "Hi")), "messages.0.role: Input should be 'user' or 'assistant'"),
        (talk(("user", 7)), "messages.0.content: Input should be a valid list"),
        (
            talk(("user", [{"text": "Hi"}])),
            "messages.0.content.0: Unable to extract tag using discriminator 'type'",
        ),
        (talk(("user", [{"type": "text"}])), "messages.0.content.0.text.text: Field required"),
        (
            talk(("user", ""), ("assistant", "Hi")),
            EMPTY,
        ),
        (talk(("user", "Hi"), ("assistant", [USE])), UNANSWERED),
        (talk(("user", "Hi"), ("assistant", [USE]), ("user", "And?")), UNANSWERED),
        (talk(("user", [RESULT])), UNASKED),
    ],
)
def test_the_first_thing_that_is_wrong(sent: Any, words: str) -> None:
    """A body is refused with the sentence the API has for the first thing wrong with it."""
    assert said(sent) == words


def test_tool_calls_that_are_answered() -> None:
    """Results may follow in several messages of one turn, and an aside may stand between."""
    other = {**USE, "id": "toolu_2"}
    aside = ("system", "Be quick.")
    turns = [("user", "Hi"), ("assistant", [USE, other]), aside, ("user", [RESULT])]
    assert ask(talk(*turns, ("user", [{**RESULT, "tool_use_id": "toolu_2"}])))[0] == 200


def test_a_final_answer_may_be_empty() -> None:
    """The last message may be an assistant's that has yet to begin."""
    assert ask(talk(("user", "Hi"), ("assistant", "")))[0] == 200


def test_what_is_lenient() -> None:
    """Without strictness, unknown members and unanswered tools are taken; marks are not."""
    odd = {**talk(("user", "Hi"), ("assistant", [USE])), "novelty": 1}
    assert ask(odd)[0] == 400
    assert ask(odd, strict=False)[0] == 200
    marked = body("Hi", cache_control={"type": "ephemeral", "ttl": "2h"})
    assert said(marked, strict=False) == "cache_control.ephemeral.ttl: Input should be '5m' or '1h'"


def test_a_prompt_may_be_too_long() -> None:
    """A prompt beyond the model's context is refused with both numbers."""
    long = talk(("user", "word " * 250_000)) | {"model": "claude-haiku-4-5"}
    words = said(long)
    assert words.startswith("prompt is too long: ")
    assert words.endswith(" tokens > 200000 maximum")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The request body is not valid JSON"),
        (b"{", "The request body is not valid JSON"),
        (b'{"a": NaN}', "The request body is not valid JSON"),
        (b'{"model": "a", "model": "b"}', "stands twice"),
        (b"\xff", "The request body is not valid JSON"),
    ],
)
def test_what_is_no_json(content: bytes, words: str) -> None:
    """What is no JSON is refused as such."""
    status, answer = ask(content)
    assert status == 400
    assert words in answer["error"]["message"]


def test_too_many_bytes() -> None:
    """A body above 32 MB is refused for its size."""
    status, answer = ask(b" " * ((32 << 20) + 1))
    assert (status, answer["error"]["type"]) == (413, "request_too_large")


def test_numbers_of_any_size() -> None:
    """A number that no machine word holds is content like any other."""
    use = {**USE, "input": {"n": 10**30}}
    assert ask(talk(("user", "Hi"), ("assistant", [use]), ("user", [RESULT])))[0] == 200


@given(anything, st.sampled_from(["", "messages", "system", "tools", "cache_control", "thread"]))
def test_anything_is_answered(drawn: Any, where: str) -> None:
    """Law: whatever JSON comes in, an answer of the API's shape goes out."""
    sent = {**body("Hello"), where: drawn} if where else drawn
    status, answer = ask(sent, strict=False)
    assert status in (200, 400, 404)
    assert answer["type"] == ("message" if status == 200 else "error")


@given(anything)
def test_any_shape_is_judged(drawn: Any) -> None:
    """Law: judging a body's shape never fails, and never passes what lacks a member."""
    assert shaped(drawn) is not None or {"model", "max_tokens", "messages"} <= set(drawn)
