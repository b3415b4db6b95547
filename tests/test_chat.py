"""Prompts in OpenAI's form become the bodies that LiteLLM sends for them."""

from __future__ import annotations

import copy
import json
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lighthouse import BODIES, MODEL, TOOLS

from cacheplan.assumptions import Assumptions
from cacheplan.chat import as_body
from cacheplan.errors import InputError
from cacheplan.prompt import Lifetime
from cacheplan.wire import parse

LOGS: Final = Path(__file__).parent / "logs"
CASES: Final[list[dict[str, Any]]] = json.loads((LOGS / "chat.json").read_text("utf-8"))
#: What LiteLLM sends in the place of empty text.
BLANK: Final = "[System: Empty message content sanitised to satisfy protocol]"

WORDS = st.text(st.characters(codec="utf-8"), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
#: Values under the names that are looked for, so that what is drawn gets far.
KEYS = st.sampled_from(
    [
        "cache_control", "content", "file", "file_data", "file_id", "format", "function", "id",
        "image_url", "input_schema", "name", "parameters", "arguments", "role", "server_url",
        "text", "thinking_blocks", "tool_call_id", "tool_calls", "tools", "type", "url",
        "provider_specific_fields", "function_call", "tool_results", "tool_use_id", "signature",
    ]
)  # fmt: skip
VALUES = st.sampled_from(
    ["assistant", "developer", "file", "function", "image_url", "mcp", "namespace", "text", "tool",
     "tool_use", "user", "{", "{}", "data:,", "srvtoolu_1", "http:", "thinking"]
)  # fmt: skip
SHAPES = st.recursive(
    JSON | VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=25,
)


def _named(tool: dict[str, Any]) -> dict[str, Any]:
    """Return a tool without the type that says it is a plain one."""
    return {key: part for key, part in tool.items() if (key, part) != ("type", "custom")}


def _joined(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return messages as the service joins them: neighbours of one role are one."""
    return [
        {"role": role, "content": [block for message in group for block in message["content"]]}
        for role, group in groupby(messages, key=lambda message: str(message["role"]))
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["case"]))
def test_bodies_are_those_that_litellm_sends(case: dict[str, Any]) -> None:
    """Each prompt becomes, block by block and mark by mark, what LiteLLM itself made of it."""
    before = copy.deepcopy(case)
    body = as_body("claude-opus-5-5", case["messages"], case["tools"], blank=BLANK)

    sent = dict(case["body"], messages=_joined(case["body"]["messages"]))
    if "tools" in sent:
        sent["tools"] = [_named(tool) for tool in sent["tools"]]
    assert json.dumps(body, sort_keys=True) == json.dumps(sent, sort_keys=True)
    assert case == before, "what was handed over is not touched"


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["case"]))
def test_bodies_can_be_read(case: dict[str, Any]) -> None:
    """What comes out is a body like any other."""
    assert parse(as_body("m", case["messages"], case["tools"]), Assumptions()).pieces


def test_keys_of_a_schema_keep_their_order() -> None:
    """A schema is rendered into the prompt as it is written, so the order of its keys stays."""
    schema = {"properties": {"b": {}, "a": {}}, "required": [], "type": "object"}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    made = as_body("m", [], [tool])["tools"][0]["input_schema"]
    assert json.dumps(made) == json.dumps(schema)


def test_arguments_keep_the_order_of_their_keys() -> None:
    """What a tool was called with is read as it was written, since its order is content."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"b":1,"a":2}'}}
    body = as_body("m", [{"role": "assistant", "content": None, "tool_calls": [call]}])
    assert list(body["messages"][0]["content"][0]["input"]) == ["b", "a"]


@pytest.mark.parametrize("body", BODIES)
def test_what_is_anthropics_form_already_stays(body: dict[str, Any]) -> None:
    """Blocks and tools in Anthropic's own form pass through, with their marks."""
    system = {"role": "system", "content": body["system"]}
    made = as_body(MODEL, [system, *body["messages"]], body["tools"])
    assert made == {key: part for key, part in body.items() if key != "max_tokens"}


def test_empty_text_is_left_out() -> None:
    """Text that the API would refuse stands nowhere, unless something sends other text for it."""
    asked = [
        {"role": "user", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": " "}]},
    ]
    assert as_body("m", asked)["messages"] == []
    said = as_body("m", asked, blank="(nothing)")["messages"][0]["content"]
    assert [block["text"] for block in said] == ["(nothing)", "(nothing)"]


def test_flat_functions_and_grouped_tools_are_tools() -> None:
    """Tools of OpenAI's later API, and those in a namespace, are what they would be wrapped."""
    function = {
        "name": "light",
        "description": TOOLS[1]["description"],
        "parameters": TOOLS[1]["input_schema"],
    }
    flat = {"type": "function", **function, "strict": True}
    grouped = {
        "type": "namespace",
        "name": "lamps",
        "tools": [{"type": "function", "function": function}],
    }
    assert as_body("m", [], [flat, grouped])["tools"] == [TOOLS[1], TOOLS[1]]


def test_servers_of_tools_leave_their_keys_behind() -> None:
    """A server of tools stands beside the tools, and what opens it is not taken along."""
    servers = [
        {
            "type": "mcp",
            "server_label": "lamps",
            "server_url": "https://lamps.test",
            "headers": {"Authorization": "Bearer s3cret"},
        },
        {"type": "url", "name": "oil", "url": "https://oil.test", "authorization_token": "s3cret"},
    ]
    body = as_body("m", [], servers)
    assert [server["name"] for server in body["mcp_servers"]] == ["lamps", "oil"]
    assert "s3cret" not in json.dumps(body)
    assert "tools" not in body


def test_a_mark_on_a_function_is_one_on_its_tool() -> None:
    """Marks inside of a function are told on the tool, where the API looks for them."""
    tool = {
        "type": "function",
        "function": {"name": "f", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    }
    [piece] = parse(as_body("m", [], [tool]), Assumptions()).pieces
    assert piece.mark is Lifetime.ONE_HOUR


def test_what_stands_twice_is_sent_once() -> None:
    """A call that stands in the content and beside it is one call."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    used = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
    message = {"role": "assistant", "content": [used], "tool_calls": [call]}
    assert as_body("m", [message])["messages"][0]["content"] == [used]


@pytest.mark.parametrize(
    ("messages", "tools", "fault"),
    [
        ({}, None, "messages: dict is not a list"),
        (["Hi"], None, "messages[0]: str is not an object"),
        ([{"content": "Hi"}], None, "messages[0].role: null is not one of"),
        ([{"role": ["user"]}], None, 'messages[0].role: ["user"] is not one of'),
        ([{"role": "user", "content": 7}], None, "messages[0].content: int is not a list"),
        ([{"role": "user", "content": [7]}], None, "messages[0].content[0]: int is not an object"),
        ([{"role": "user", "content": [{}]}], None, "messages[0].content[0].type: a part has a"),
        (
            [{"role": "user", "content": [{"type": "text"}]}],
            None,
            "messages[0].content[0].text: this is not text",
        ),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}],
            None,
            "messages[0].content[0].image_url.url: this is not text",
        ),
        ([{"role": "tool", "content": "4"}], None, "messages[0].tool_call_id: this is not text"),
        (
            [
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": '{"a":'}}],
                }
            ],
            None,
            "messages[0].tool_calls[0].function.arguments: the JSON ends too early",
        ),
        (
            [{"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}],
            None,
            "messages[0].tool_calls[0].id: this is not text",
        ),
        (
            [{"role": "assistant", "function_call": {"name": "f", "arguments": "[1]"}}],
            None,
            "messages[0].function_call.arguments: list is not an object",
        ),
        (
            [{"role": "assistant", "thinking_blocks": [{}]}],
            None,
            "messages[0].thinking_blocks[0].type: a block has a type",
        ),
        ([], [7], "tools[0]: int is not an object"),
        ([], [{"type": 7}], "tools[0].type: this is not text"),
        ([], [{"type": "function", "function": {}}], "tools[0].function.name: this is not text"),
        (
            [],
            [{"type": "function", "function": {"name": "f", "parameters": "{}"}}],
            "tools[0].function.parameters: str is not an object",
        ),
    ],
)
def test_what_fits_neither_form_says_where(messages: Any, tools: Any, fault: str) -> None:
    """Anything malformed is refused in one line, with the path to it."""
    with pytest.raises(InputError) as caught:
        as_body("m", messages, tools)
    assert str(caught.value).startswith(fault)


@given(st.lists(SHAPES, max_size=4), st.lists(SHAPES, max_size=2))
def test_nothing_but_an_input_error_leaves_it(messages: list[Any], tools: list[Any]) -> None:
    """Whatever JSON is handed over is translated or refused, never anything else."""
    begun = [
        {"role": "assistant", **message} if isinstance(message, dict) else message
        for message in messages
    ]
    for said in (messages, begun):
        try:
            body = as_body("m", said, tools)
            parse(body, Assumptions())
        except InputError:
            continue
        assert all(message["content"] for message in body["messages"])


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), WORDS), max_size=8))
def test_more_said_keeps_what_was_said_before(turns: list[tuple[str, str]]) -> None:
    """Each prompt of a growing conversation begins with the blocks of the one before it."""
    messages = [{"role": role, "content": text} for role, text in turns]
    earlier: list[bytes] = []
    for end in range(len(messages) + 1):
        body = as_body("m", messages[:end])
        digests = [piece.block.digest for piece in parse(body, Assumptions()).pieces]
        assert digests[: len(earlier)] == earlier
        earlier = digests
