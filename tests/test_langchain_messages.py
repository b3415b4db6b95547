"""Messages that LangChain wrote out become the bodies that ChatAnthropic sends for them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.chat import as_body
from cacheplan.errors import InputError
from cacheplan.langchain_messages import as_chat

LOGS: Final = Path(__file__).parent / "logs"
#: Made by langchain-anthropic itself.
CASES: Final[list[dict[str, Any]]] = json.loads((LOGS / "langchain.json").read_text("utf-8"))
MODEL: Final = "claude-opus-5-5"
MARK: Final = {"type": "ephemeral"}

WORDS = st.text(st.characters(codec="utf-8"), max_size=8)
KEYS = st.sampled_from(
    ["lc", "id", "kwargs", "data", "type", "role", "content", "text", "tool_calls", "args", "name",
     "invalid_tool_calls", "tool_call_id", "status", "cache_control", "cachePoint", "input", "url",
     "partial_json", "value", "extras", "base64", "source_type", "reasoning", "caller"]
)  # fmt: skip
VALUES = st.sampled_from(
    ["human", "ai", "tool", "system", "chat", "function", "HumanMessage", "AIMessageChunk", "text",
     "tool_use", "tool_call", "tool_result", "non_standard", "reasoning", "image", "file",
     "text-plain", "thinking", "server_tool_use", "{", '{"a": 1}', "data:image/png;base64,eA=="]
)  # fmt: skip
SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS | VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=25,
)


def _blocks(content: Any) -> list[Any]:
    """Return a content as blocks: text is one of its own, and none where it is blank."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content.strip() else []
    return [
        block | {"content": _blocks(block["content"])} if block["type"] == "tool_result" else block
        for block in content
    ]


def _body(messages: Any, system: Any) -> tuple[list[Any], list[Any]]:
    """Return the blocks of system and messages, for comparing."""
    told: list[dict[str, Any]] = []
    for each in messages:
        # The service joins neighbours of one role.
        if not told or told[-1]["role"] != each["role"]:
            told.append({"role": each["role"], "content": []})
        told[-1]["content"] += _blocks(each["content"])
    return _blocks(system or []), told


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_prompt_is_what_chat_anthropic_sends(case: dict[str, Any]) -> None:
    """What a tracer wrote out becomes the body that ChatAnthropic made of it, block by block."""
    before = copy.deepcopy(case["messages"])
    made = as_body(MODEL, as_chat([case["messages"]]))
    assert case["messages"] == before
    assert _body(made["messages"], made.get("system")) == _body(case["sent"], case["system"])


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_every_way_of_writing_a_message_out_is_one(case: dict[str, Any]) -> None:
    """A constructor, a kind with its data, and a flat message say the same, nested or not."""
    forms = [case["messages"], [], []]
    for entry in case["messages"]:
        kwargs = entry["kwargs"]
        kind = kwargs["type"]
        forms[1].append({"type": kind, "data": kwargs})
        forms[2].append({**kwargs, "type": kind})
    first, *others = [as_chat(form) for form in forms]
    assert others == [first, first]
    assert as_chat([case["messages"]]) == first


def test_chunks_of_a_stream_and_roles_are_messages() -> None:
    """What a stream was put together of has a name of its own, a chat message its own role."""
    chunk = {"lc": 1, "id": ["langchain_core", "messages", "AIMessageChunk"]}
    asked: list[Any] = [
        "Hi",
        chunk | {"kwargs": {"content": "Ho"}},
        {"lc": 1, "id": ["ChatMessage"], "kwargs": {"content": "So?", "role": "user"}},
    ]
    assert [message["role"] for message in as_chat(asked)] == ["user", "assistant", "user"]


def test_calls_in_the_form_of_the_chat_api_are_left_to_it() -> None:
    """Calls of tools that a callback wrote with their function stay beside the content."""
    call = {"id": "toolu_1", "type": "function", "function": {"name": "light", "arguments": "{}"}}
    told = {"role": "assistant", "content": None, "tool_calls": [call]}
    assert as_chat([told]) == [told]


def test_a_cache_point_marks_the_block_before_it() -> None:
    """Converse marks by a block of its own; one before everything marks nothing."""
    point = {"cachePoint": {"type": "default"}}
    (told,) = as_chat([{"type": "human", "content": [point, {"type": "text", "text": "a"}, point]}])
    assert told["content"] == [{"type": "text", "text": "a", "cache_control": MARK}]


def test_a_cache_point_says_for_how_long() -> None:
    """An hour is no five minutes."""
    point = {"cachePoint": {"type": "default", "ttl": "1h"}}
    (told,) = as_chat([{"type": "human", "content": [{"type": "text", "text": "a"}, point]}])
    assert told["content"][0]["cache_control"] == MARK | {"ttl": "1h"}


def test_langchains_own_blocks_are_the_apis() -> None:
    """Calls and signed thoughts in LangChain's own form are Claude's; an unsigned one is none."""
    call = {"type": "tool_call", "id": "toolu_1", "name": "light", "args": {"lamp": 7}}
    said = [
        {"type": "reasoning", "reasoning": "Hm.", "extras": {"signature": "c2ln"}},
        {"type": "reasoning", "reasoning": "Hm."},
        {
            "type": "non_standard",
            "value": {"type": "redacted_thinking", "data": "eA==", "index": 1},
        },
        call,
    ]
    (told,) = as_chat([{"type": "ai", "content": said, "tool_calls": [call]}])
    assert told["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "eA=="},
        {"type": "tool_use", "id": "toolu_1", "name": "light", "input": {"lamp": 7}},
    ]


@pytest.mark.parametrize(
    ("messages", "what"),
    [
        ("Hi", "messages: str is not a list"),
        ([[], []], "messages: several prompts in one call"),
        ([[7]], "messages[0][0]: int is not an object"),
        ([{"type": "remove"}], 'messages[0]: "remove" is no kind of message'),
        ([{"lc": 1, "id": ["x"], "repr": "?"}], "messages[0]: LangChain could not write"),
        ([{"type": "ai", "content": [7]}], "messages[0].content[0]: int is not an object"),
        ([{"type": "ai", "tool_calls": [{"args": {}}]}], "messages[0].tool_calls[0].id: a call"),
        (
            [{"type": "human", "content": [{"type": "image"}]}],
            "messages[0].content[0]: an image or a file is an address, data or an id",
        ),
    ],
)
def test_what_is_no_message_is_named_with_its_place(messages: Any, what: str) -> None:
    """What LangChain never writes is refused in one line that says where it stands."""
    with pytest.raises(InputError) as caught:
        as_chat(messages)
    assert str(caught.value.at("runs", 1)).removeprefix("runs line 1: ").startswith(what)


@given(messages=SHAPES)
def test_nothing_but_an_input_error_leaves_it(messages: Any) -> None:
    """Whatever the messages are, there is a prompt or one error of the input."""
    try:
        as_body(MODEL, as_chat(messages))
    except InputError:
        return
