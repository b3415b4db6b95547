"""What attributes of the GenAI conventions say of a call."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan import genai
from cacheplan.errors import InputError
from cacheplan.spans import Span
from cacheplan.spoken import Spoken

MODEL: Final = "claude-opus-5-5"
CHAT: Final = {"gen_ai.operation.name": "chat", "gen_ai.request.model": MODEL}
SDK: Final = "com.anthropic.sdk.python"
INPUT: Final = "gen_ai.usage.input_tokens"
OUTPUT: Final = "gen_ai.usage.output_tokens"
READ: Final = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached",
)
WRITTEN: Final = (
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.cache_write_input_tokens",
    "gen_ai.usage.input_tokens.cache_write",
)
tokens = st.integers(min_value=0, max_value=10**6)


def span(said: dict[str, Any], scope: str = "", **more: Any) -> Span:
    """Return a span that says something."""
    return Span(trace="t", id="s", parent="", name="n", scope=scope, begin=1.0, said=said, **more)


def heard(said: dict[str, Any], scope: str = "", **more: Any) -> Spoken:
    """Return what a chat span says that says this."""
    return genai.heard(span(CHAT | said, scope, **more))


def body(said: dict[str, Any], scope: str = "", **more: Any) -> dict[str, Any]:
    """Return the prompt of a chat span that says this."""
    raw = heard(said, scope, **more).body
    assert raw is not None
    found: dict[str, Any] = json.loads(raw)
    return found


def block(part: Any) -> tuple[list[Any], bool]:
    """Return the blocks that a part becomes, and whether text is said to be missing."""
    said = {"gen_ai.input.messages": [{"role": "user", "parts": [part]}]}
    messages = body(said)["messages"]
    return (messages[0]["content"] if messages else []), "text" in heard(said).lacks


def usage(said: dict[str, Any], scope: str = "") -> tuple[tuple[int, ...], bool, bool]:
    """Return what was uncached, read, written short and long, and if all that is sure."""
    found = heard(said, scope).counted
    assert found is not None
    split = found.usage.get("cache_creation") or {}
    written = found.usage["cache_creation_input_tokens"]
    long = split.get("ephemeral_1h_input_tokens", 0)
    counts = (
        found.usage["input_tokens"],
        found.usage["cache_read_input_tokens"],
        written - long,
        long,
    )
    return counts, found.sure, found.parted


class TestWhichSpansAreCalls:
    """Agents, chains and tools repeat what the calls inside them say."""

    @pytest.mark.parametrize(
        "said",
        [
            {"gen_ai.operation.name": "chat"},
            {"gen_ai.operation.name": "generate_content"},
            {"gen_ai.operation.name": "text_completion"},
            {"llm.request.type": "completion"},
            {"operation.name": "ai.x", "ai.operationId": "ai.streamText.doStream"},
        ],
    )
    def test_calls(self, said: dict[str, Any]) -> None:
        """One call to a model is one, in every age's words."""
        assert genai.is_call(span(said))

    @pytest.mark.parametrize(
        "said",
        [
            {},
            {"gen_ai.operation.name": "invoke_agent", INPUT: 7},
            {"gen_ai.operation.name": "execute_tool"},
            {"gen_ai.operation.name": "embeddings"},
            {"ai.operationId": "ai.streamText", "ai.usage.promptTokens": 7},
            {INPUT: 7, "cacheplan.applied": True},
            {"llm.request.type": {}, "gen_ai.operation.name": []},
        ],
    )
    def test_others(self, said: dict[str, Any]) -> None:
        """What holds calls, or tells of one besides, is none."""
        assert not genai.is_call(span(said))


class TestUsage:
    """Who counts what was cached as input, and who does not."""

    @given(tokens, tokens, tokens, st.sampled_from(READ), st.sampled_from(WRITTEN))
    def test_every_spelling(self, rest: int, read: int, written: int, one: str, two: str) -> None:
        """With a total, each spelling of what was read and written gives the same usage."""
        whole = rest + read + written
        said = {INPUT: whole, OUTPUT: 1, one: read, two: written}
        counts, sure, parted = usage(said | {"gen_ai.usage.total_tokens": whole + 1})
        assert counts == (rest, read, written, 0)
        assert sure
        assert parted == (not written)

    @given(tokens, tokens, tokens)
    def test_the_sdk_parts_lifetimes(self, rest: int, short: int, long: int) -> None:
        """The SDK's spans say for how long each token was written."""
        split = "anthropic.usage.cache_creation.ephemeral_{}_input_tokens"
        said = {
            INPUT: rest + short + long,
            OUTPUT: 1,
            WRITTEN[1]: short + long,
            split.format("5m"): short,
            split.format("1h"): long,
        }
        assert usage(said, SDK) == ((rest, 0, short, long), True, True)

    def test_pydantic_ai_says_an_hour(self) -> None:
        """What pydantic-ai does not say to be written for an hour, was not."""
        hour = {"gen_ai.usage.details.ephemeral_1h_input_tokens": 60}
        said = {INPUT: 100, OUTPUT: 1, WRITTEN[0]: 90} | hour
        assert usage(said, "pydantic-ai") == ((10, 0, 30, 60), True, True)

    def test_older_names_are_in_doubt(self) -> None:
        """A spelling that was used both ways, with no total, is taken to hold it and not sure."""
        assert usage({INPUT: 100, OUTPUT: 1, READ[1]: 90}) == ((10, 90, 0, 0), False, True)

    def test_names_of_the_conventions_are_not(self) -> None:
        """Who uses the conventions' names counts as they say."""
        assert usage({INPUT: 100, OUTPUT: 1, READ[0]: 90}) == ((10, 90, 0, 0), True, True)

    def test_an_input_that_cannot_hold_it(self) -> None:
        """Input smaller than what was cached leaves it out, whatever the names."""
        assert usage({INPUT: 10, OUTPUT: 1, READ[0]: 90}) == ((10, 90, 0, 0), True, True)
        with pytest.raises(InputError, match="cannot hold"):
            usage({INPUT: 10, OUTPUT: 1, READ[0]: 90}, SDK)

    def test_zeros_are_no_usage(self) -> None:
        """No prompt has no tokens: traceloop's older streams say 0 of everything."""
        assert heard({INPUT: 0, OUTPUT: 0}).counted is None
        assert heard({}).counted is None


class TestParts:
    """Messages of parts, as JSON in text or as values."""

    @pytest.mark.parametrize(
        ("part", "expected"),
        [
            ({"type": "text", "content": "Hi"}, {"type": "text", "text": "Hi"}),
            (
                {"type": "reasoning", "content": "Hm"},
                {"type": "thinking", "thinking": "Hm", "signature": ""},
            ),
            (
                {"type": "tool_call", "id": "a", "name": "light", "arguments": '{"lamp": 7}'},
                {"type": "tool_use", "id": "a", "name": "light", "input": {"lamp": 7}},
            ),
            (
                {"type": "tool_call_response", "id": "a", "result": {"litres": 4}},
                {"type": "tool_result", "tool_use_id": "a", "content": '{"litres":4}'},
            ),
            (
                {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "iVBO"},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"},
                },
            ),
            (
                {"type": "uri", "modality": "image", "uri": "https://a.test/b.png"},
                {"type": "image", "source": {"type": "url", "url": "https://a.test/b.png"}},
            ),
            (
                {"type": "file", "modality": "document", "file_id": "file_1"},
                {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
            ),
            (
                {"type": "search_result", "source": "s", "title": "t", "content": []},
                {"type": "search_result", "source": "s", "title": "t", "content": []},
            ),
        ],
    )
    def test_whole(self, part: dict[str, Any], expected: dict[str, Any]) -> None:
        """A part is the block that it was made of."""
        assert block(part) == ([expected], False)

    @pytest.mark.parametrize(
        "part",
        [
            {"type": "text"},
            {"type": "reasoning"},
            {"type": "tool_call", "id": "a", "name": "light"},
            {"type": "tool_call_response", "id": "a"},
            {"type": "tool_call_response", "id": "a", "response": [{"type": "image"}]},
            {"type": "blob", "modality": "image", "mime_type": "image/png"},
            {"type": "anthropic_image"},
            {"type": "document"},
            {"type": 7},
        ],
    )
    def test_hidden(self, part: dict[str, Any]) -> None:
        """Of a part that does not say what it was, only that text is missing is told."""
        assert block(part) == ([], True)

    def test_who_speaks(self) -> None:
        """What tools answer is one message of the user, and who begins as system is system."""
        said = [
            {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
            {"role": "model", "parts": [{"type": "text", "content": "a"}]},
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "result": "x"}]},
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "2", "result": "y"}]},
            {"role": "user", "parts": [{"type": "text", "content": "b"}]},
            {"role": "user", "parts": [{"type": "text", "content": "c"}]},
        ]
        found = body({"gen_ai.input.messages": json.dumps(said)})
        assert found["system"] == [{"type": "text", "text": "Be brief."}]
        shape = [(each["role"], len(each["content"])) for each in found["messages"]]
        assert shape == [("assistant", 1), ("user", 3), ("user", 1)]

    @pytest.mark.parametrize(
        "messages",
        [
            [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}],
            [{"role": "user", "content": "Hi"}],
            [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        ],
    )
    @pytest.mark.parametrize(
        "instructions", ["Be brief.", '[{"type": "text", "content": "Be brief."}]']
    )
    def test_other_forms(self, messages: list[Any], instructions: str) -> None:
        """Instructions may be plain text, and messages the chat API's."""
        said = {"gen_ai.input.messages": messages, "gen_ai.system_instructions": instructions}
        found = body(said)
        assert found["system"] == [{"type": "text", "text": "Be brief."}]
        assert found["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]

    def test_nobody_speaks(self) -> None:
        """A role that nobody has is refused at its place."""
        with pytest.raises(InputError) as caught:
            heard({"gen_ai.input.messages": [{"role": "ghost", "parts": []}]})
        assert caught.value.path == ("gen_ai.input.messages", 0, "role")

    @pytest.mark.parametrize(
        "tool",
        [
            {"name": "light", "input_schema": {"type": "object", "properties": {}}},
            {"type": "function", "name": "light", "parameters": {"type": "object"}},
            {"type": "function", "function": {"name": "light"}},
        ],
    )
    def test_tools(self, tool: dict[str, Any]) -> None:
        """Tools are told in whichever API's form."""
        said = {"gen_ai.input.messages": [], "gen_ai.tool.definitions": json.dumps([tool])}
        assert body(said)["tools"] == [
            {"name": "light", "input_schema": {"type": "object", "properties": {}}}
        ]
        assert "tools" not in heard(said).lacks

    def test_settings(self) -> None:
        """What is told of settings is passed on, and the rest is said to be missing."""
        said = {
            "gen_ai.input.messages": [],
            "gen_ai.request.max_tokens": "200",
            "anthropic.thinking.type": "enabled",
            "anthropic.thinking.budget_tokens": 1024,
            "gen_ai.request.reasoning.level": "low",
        }
        assert body(said) == {
            "model": MODEL,
            "messages": [],
            "max_tokens": 200,
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "output_config": {"effort": "low"},
        }
        assert "settings" in heard(said).lacks


class TestOlderPrompts:
    """Prompts as numbered attributes and as events."""

    EXPECTED: Final = {
        "model": MODEL,
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Is lamp 7 lit?"}]},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "a", "name": "look", "input": {"lamp": 7}}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "a", "content": "no"}],
            },
        ],
    }

    def test_numbered(self) -> None:
        """Numbered attributes are a prompt; blocks stand there as JSON."""
        result = [{"type": "tool_result", "tool_use_id": "a", "content": "no"}]
        said = {
            "gen_ai.prompt.0.role": "system",
            "gen_ai.prompt.0.content": "Be brief.",
            "gen_ai.prompt.1.role": "user",
            "gen_ai.prompt.1.content": "Is lamp 7 lit?",
            "gen_ai.prompt.2.role": "assistant",
            "gen_ai.prompt.2.tool_calls.0.id": "a",
            "gen_ai.prompt.2.tool_calls.0.name": "look",
            "gen_ai.prompt.2.tool_calls.0.arguments": '{"lamp": 7}',
            "gen_ai.prompt.3.role": "user",
            "gen_ai.prompt.3.content": json.dumps(result),
            "llm.request.functions.0.name": "look",
            "llm.request.functions.0.parameters": '{"type": "object", "properties": {}}',
        }
        tools = [{"name": "look", "input_schema": {"type": "object", "properties": {}}}]
        assert body(said) == self.EXPECTED | {"tools": tools}

    def test_events(self) -> None:
        """Events of a span are a prompt, and so are those that stand in an attribute."""
        call = {
            "id": "a",
            "type": "function",
            "function": {"name": "look", "arguments": {"lamp": 7}},
        }
        events: list[tuple[str, dict[str, Any]]] = [
            ("gen_ai.system.message", {"content": "Be brief."}),
            ("gen_ai.user.message", {"content": "Is lamp 7 lit?"}),
            ("gen_ai.assistant.message", {"tool_calls": json.dumps([call])}),
            ("gen_ai.tool.message", {"content": "no", "id": "a"}),
            ("gen_ai.choice", {"content": "It is not."}),
        ]
        assert body({}, events=tuple(events)) == self.EXPECTED
        listed = [{"event.name": name, **about} for name, about in events]
        assert body({"events": json.dumps(listed)}) == self.EXPECTED

    def test_the_oldest_event(self) -> None:
        """One event with the whole prompt is one as well."""
        prompt = [{"role": "user", "content": "Hi"}]
        events = (("gen_ai.content.prompt", {"gen_ai.prompt": json.dumps(prompt)}),)
        assert body({}, events=events)["messages"][0]["role"] == "user"


class TestWhatIsMissing:
    """A span says less than was sent."""

    def test_without_content(self) -> None:
        """Where prompts were not switched on, there is no body."""
        assert heard({INPUT: 7, OUTPUT: 1}).body is None

    def test_the_sdk_tells_no_tools(self) -> None:
        """Whether the SDK's calls had tools nobody knows; traceloop would say so."""
        said: dict[str, Any] = {"gen_ai.input.messages": []}
        assert heard(said, SDK).lacks == {"marks", "settings", "tools"}
        traceloop = heard(said, "opentelemetry.instrumentation.anthropic")
        assert traceloop.lacks == {"marks", "settings"}

    def test_cut(self) -> None:
        """What was cut off by a limit, in bytes, in characters or in attributes, is said."""
        whole: dict[str, Any] = {"gen_ai.input.messages": []}
        assert "text" in heard(whole | {"anthropic.content.truncated": True}).lacks
        assert "text" in heard(whole, cut=True).lacks
        assert heard({"gen_ai.input.messages": '[{"role": "us'}).body is None
        half = heard(whole | {"gen_ai.system_instructions": '[{"type": "te'})
        assert "text" in half.lacks

    def test_errors(self) -> None:
        """Of an error only its kind is passed on: its words may repeat the prompt."""
        assert heard({"error.type": "overloaded_error"}, failed=True).failed == "overloaded_error"
        assert heard({"error.type": "Is lamp 7 lit?"}, failed=True).failed == "error"
        assert heard({"error.type": "overloaded_error"}).failed is None
