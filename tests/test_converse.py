"""Bodies of ``Converse``: what Claude is shown of them, in the API's words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lighthouse import BODIES

from cacheplan.assumptions import Assumptions
from cacheplan.converse import messages_body
from cacheplan.errors import InputError
from cacheplan.wire import parse

MODEL = "us.anthropic.claude-opus-5-5"
POINT = {"cachePoint": {"type": "default"}}
HOUR = {"cachePoint": {"type": "default", "ttl": "1h"}}

words = st.text(min_size=1).filter(str.strip)
marks = st.none() | st.just({"type": "ephemeral"}) | st.just({"type": "ephemeral", "ttl": "1h"})


def marked(block: dict[str, Any], mark: dict[str, str] | None) -> dict[str, Any]:
    """Return a block with a mark, if there is one."""
    return block if mark is None else {**block, "cache_control": mark}


def texts() -> st.SearchStrategy[dict[str, Any]]:
    """Draw text, marked or not."""
    return st.builds(lambda text, mark: marked({"type": "text", "text": text}, mark), words, marks)


@st.composite
def contents(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a block of any kind that both sides have, as the API words it."""
    kind = draw(st.sampled_from(["text", "use", "result", "image", "thinking", "document"]))
    word, mark = draw(words), draw(marks)
    if kind == "thinking":
        return {"type": "thinking", "thinking": word, "signature": "c2ln"}
    block: dict[str, Any] = {"type": "text", "text": word}
    if kind == "use":
        block = {"type": "tool_use", "id": "toolu_1", "name": "light", "input": {"lamp": word}}
    if kind == "result":
        inner = [{"type": "text", "text": word}]
        block = {"type": "tool_result", "tool_use_id": "toolu_1", "content": inner}
        block |= draw(st.sampled_from([{}, {"is_error": True}]))
    if kind == "image":
        source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
        block = {"type": "image", "source": source}
    if kind == "document":
        source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
        block = {"type": "document", "source": source, "title": word}
    return marked(block, mark)


def converse(body: dict[str, Any]) -> dict[str, Any]:
    """Say a body in the words of Converse, as the SDKs for AWS have them."""
    found: dict[str, Any] = {
        "messages": [
            {"role": one["role"], "content": listed(one["content"], block)}
            for one in body["messages"]
        ]
    }
    if "system" in body:
        found["system"] = listed(body["system"], block)
    if "tools" in body:
        found["toolConfig"] = {"tools": listed(body["tools"], tool)}
    found["inferenceConfig"] = {"maxTokens": body["max_tokens"]}
    return found


def listed(items: list[dict[str, Any]], say: Any) -> list[dict[str, Any]]:
    """Say items one by one, with a cache point behind each that is marked."""
    said = []
    for item in items:
        said.append(say(item))
        if "cache_control" in item:
            said.append(HOUR if item["cache_control"].get("ttl") else POINT)
    return said


def tool(one: dict[str, Any]) -> dict[str, Any]:
    """Say one tool."""
    named = {"name": one["name"], "description": one["description"]}
    return {"toolSpec": {**named, "inputSchema": {"json": one["input_schema"]}}}


def block(one: dict[str, Any]) -> dict[str, Any]:
    """Say one block."""
    if one["type"] == "tool_use":
        named = {"toolUseId": one["id"], "name": one["name"]}
        return {"toolUse": {**named, "input": one["input"]}}
    if one["type"] == "tool_result":
        inner = one["content"]
        inner = [{"text": inner}] if isinstance(inner, str) else [block(each) for each in inner]
        status = {"status": "error"} if one.get("is_error") else {}
        return {"toolResult": {"toolUseId": one["tool_use_id"], "content": inner, **status}}
    if one["type"] == "thinking":
        text = {"text": one["thinking"], "signature": one["signature"]}
        return {"reasoningContent": {"reasoningText": text}}
    if one["type"] == "image":
        return {"image": {"format": "png", "source": {"bytes": one["source"]["data"]}}}
    if one["type"] == "document":
        source = {"bytes": one["source"]["data"]}
        return {"document": {"format": "pdf", "name": one["title"], "source": source}}
    return {"text": one["text"]}


class TestThereAndBack:
    """Whoever says a body in the words of Converse means that body."""

    @given(
        st.lists(texts(), min_size=1, max_size=3),
        st.lists(st.lists(contents(), min_size=1, max_size=4), min_size=1, max_size=4),
    )
    def test_any_body(self, system: list[dict[str, Any]], said: list[list[dict[str, Any]]]) -> None:
        """A body said in the words of Converse is that body again, marks and all."""
        roles = ("user", "assistant")
        messages = [{"role": roles[at % 2], "content": each} for at, each in enumerate(said)]
        body = {"model": MODEL, "max_tokens": 9, "system": system, "messages": messages}
        assert messages_body(converse(body), MODEL) == body

    @pytest.mark.parametrize("body", BODIES)
    def test_the_conversation(self, body: dict[str, Any]) -> None:
        """The prompt of a call is the same prompt, with the same marks on the same places."""
        there, back = (
            parse(body, Assumptions()),
            parse(messages_body(converse(body), body["model"]), Assumptions()),
        )
        ours = [(piece.place, piece.mark, piece.block.kind) for piece in back.pieces]
        assert ours == [(piece.place, piece.mark, piece.block.kind) for piece in there.pieces]
        assert [mark for _, mark, _ in ours if mark]


def only(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what content of a user's message becomes."""
    body = messages_body({"messages": [{"role": "user", "content": content}]}, MODEL)
    (message,) = body["messages"]
    return list(message["content"])


class TestMarks:
    """A cache point marks what stands before it."""

    def test_no_mark_on_thinking(self) -> None:
        """Behind thinking, which takes no mark, a cache point is on the block before it."""
        thought = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}}
        first, second = only([{"text": "Well."}, thought, POINT])
        assert first["cache_control"] == {"type": "ephemeral"}
        assert "cache_control" not in second

    def test_nothing_before_it(self) -> None:
        """A cache point with nothing before it marks nothing."""
        assert only([HOUR, {"text": "Light it."}]) == [{"type": "text", "text": "Light it."}]

    def test_tools(self) -> None:
        """A cache point among the tools marks the tool before it."""
        spec = {"toolSpec": {"name": "light", "inputSchema": {"json": {"type": "object"}}}}
        (tool,) = messages_body({"toolConfig": {"tools": [spec, HOUR]}}, MODEL)["tools"]
        assert tool == {
            "name": "light",
            "input_schema": {"type": "object"},
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        }


class TestBlocks:
    """Kinds of blocks that only one side has, or words in another way."""

    @pytest.mark.parametrize(
        ("part", "block"),
        [
            ({"guardContent": {"text": {"text": "Hi"}}}, {"type": "text", "text": "Hi"}),
            (
                {"reasoningContent": {"redactedContent": "c2VjcmV0"}},
                {"type": "redacted_thinking", "data": "c2VjcmV0"},
            ),
            (
                {"citationsContent": {"content": [{"text": "A"}, {"text": "B"}]}},
                {"type": "text", "text": "AB"},
            ),
            (
                {"searchResult": {"source": "s", "title": "t", "content": [{"text": "x"}]}},
                {
                    "type": "search_result",
                    "source": "s",
                    "title": "t",
                    "content": [{"type": "text", "text": "x"}],
                },
            ),
            (
                {"toolResult": {"toolUseId": "t", "content": [{"json": {"lamp": 7}}]}},
                {
                    "type": "tool_result",
                    "tool_use_id": "t",
                    "content": [{"type": "text", "text": '{"lamp": 7}'}],
                },
            ),
            (
                {"document": {"format": "txt", "name": "n", "source": {"text": "words"}}},
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "words"},
                    "title": "n",
                },
            ),
            (
                {"document": {"name": "n", "source": {"content": [{"text": "words"}]}}},
                {
                    "type": "document",
                    "source": {"type": "content", "content": [{"type": "text", "text": "words"}]},
                    "title": "n",
                },
            ),
            (
                {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://b/k"}}}},
                {"type": "image", "source": {"type": "url", "url": "s3://b/k"}},
            ),
            (
                {
                    "toolUse": {
                        "toolUseId": "t",
                        "name": "n",
                        "input": {},
                        "type": "server_tool_use",
                    }
                },
                {"type": "server_tool_use", "id": "t", "name": "n", "input": {}},
            ),
            ({"hologram": {"format": "x"}}, {"type": "hologram", "format": "x"}),
            ({"text": "Hi", "image": None}, {"type": "text", "text": "Hi"}),
        ],
        ids=str,
    )
    def test_kind(self, part: dict[str, Any], block: dict[str, Any]) -> None:
        """Each kind becomes the block that Claude is shown; an unknown one keeps its name."""
        assert only([part]) == [block]


def test_settings() -> None:
    """How a call is set stands where the API has it, and Claude's own fields go along."""
    schema = '{"type": "object"}'
    body = messages_body(
        {
            "messages": [],
            "inferenceConfig": {"maxTokens": 9, "topP": 0.5, "stopSequences": ["x"]},
            "toolConfig": {"tools": [], "toolChoice": {"tool": {"name": "light"}}},
            "additionalModelRequestFields": {
                "thinking": {"type": "adaptive"},
                "output_config": {"effort": "high"},
                "anthropic_beta": ["some-2026"],
                "tools": [{"type": "bash_20250124", "name": "bash"}],
            },
            "outputConfig": {
                "textFormat": {
                    "type": "json_schema",
                    "structure": {"jsonSchema": {"schema": schema, "name": "answer"}},
                }
            },
            "requestMetadata": {"user": "somebody"},
        },
        MODEL,
    )
    assert body == {
        "model": MODEL,
        "max_tokens": 9,
        "top_p": 0.5,
        "stop_sequences": ["x"],
        "tool_choice": {"type": "tool", "name": "light"},
        "thinking": {"type": "adaptive"},
        "output_config": {
            "effort": "high",
            "format": {"type": "json_schema", "schema": {"type": "object"}},
        },
        "tools": [{"type": "bash_20250124", "name": "bash"}],
        "messages": [],
    }


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ([], ""),
        ({"messages": "x"}, "messages"),
        ({"messages": [7]}, "messages[0]"),
        ({"messages": [{"content": [{}]}]}, "messages[0].content[0]"),
        ({"messages": [{"content": [{"text": "a", "image": {}}]}]}, "messages[0].content[0]"),
        ({"system": [{"cachePoint": {"type": "odd"}}]}, "system[0].cachePoint.type"),
        ({"system": [{"guardContent": {}}]}, "system[0].guardContent"),
        (
            {"messages": [{"content": [{"toolResult": {"content": [7]}}]}]},
            "messages[0].content[0].toolResult.content[0]",
        ),
        ({"toolConfig": {"toolChoice": {}}}, "toolConfig.toolChoice"),
        (
            {"outputConfig": {"textFormat": {"structure": {"jsonSchema": {"schema": "{"}}}}},
            "outputConfig.textFormat.structure.jsonSchema.schema",
        ),
        ({"additionalModelRequestFields": {"tools": [1]}}, "additionalModelRequestFields.tools[0]"),
    ],
    ids=str,
)
def test_what_has_another_shape(body: Any, where: str) -> None:
    """What is no such body is refused with the place where it stops being one."""
    with pytest.raises(InputError) as caught:
        messages_body(body, MODEL)
    assert str(caught.value).startswith(f"{where}: " if where else "list is not")
