"""What OpenInference's attributes say of a call."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lighthouse import BODIES, MODEL

from cacheplan import openinference
from cacheplan.errors import InputError
from cacheplan.spans import Span
from cacheplan.spoken import Counted, Spoken

LLM: Final = {"openinference.span.kind": "LLM", "llm.model_name": MODEL}
PROMPT: Final = "llm.token_count.prompt"
OUTPUT: Final = "llm.token_count.completion"
READ: Final = "llm.token_count.prompt_details.cache_read"
WRITTEN: Final = "llm.token_count.prompt_details.cache_write"
tokens = st.integers(min_value=0, max_value=10**6)


def span(said: dict[str, Any], **more: Any) -> Span:
    """Return a span that says something."""
    return Span(trace="t", id="s", parent="", name="n", begin=1.0, said=LLM | said, **more)


def heard(said: dict[str, Any], **more: Any) -> Spoken:
    """Return what a span says that says this."""
    return openinference.heard(span(said, **more))


def body(said: dict[str, Any]) -> dict[str, Any]:
    """Return the prompt of a span that says this."""
    raw = heard(said).body
    assert raw is not None
    found: dict[str, Any] = json.loads(raw)
    return found


def counted(said: dict[str, Any]) -> Counted:
    """Return the usage of a span that says this."""
    found = heard(said).counted
    assert found is not None
    return found


def message(at: int, role: str, **more: Any) -> dict[str, Any]:
    """Return one numbered message, whose names are given with two underscores for a dot."""
    begin = f"llm.input_messages.{at}.message"
    said = {f"{begin}.{name.replace('__', '.')}": part for name, part in more.items()}
    return {f"{begin}.role": role} | said


def test_which_spans_are_calls() -> None:
    """Only spans of a model are; chains, agents and tools hold them."""
    assert openinference.is_call(span({}))
    others: tuple[Any, ...] = ("CHAIN", "AGENT", "TOOL", "EMBEDDING", None, {})
    for kind in others:
        assert not openinference.is_call(span({"openinference.span.kind": kind}))


class TestTheExactBody:
    """The arguments of the call, as Anthropic's instrumentation keeps them."""

    @pytest.mark.parametrize("sent", BODIES)
    def test_as_it_was_sent(self, sent: dict[str, Any]) -> None:
        """The body is passed on byte by byte, breakpoints included, and nothing is missing."""
        written = json.dumps(sent, indent=1)
        found = heard({"input.value": written})
        assert found.body == written.encode()
        assert not found.lacks

    @pytest.mark.parametrize(
        "other",
        [
            {"messages": [{"role": "user", "content": "Hi"}]},
            {"messages": [[{"lc": 1}]], "model": MODEL, "max_tokens": 9},
            {"messages": [{"role": "system", "content": "Hi"}], "model": MODEL, "max_tokens": 9},
            {
                "messages": [{"role": "user", "content": "Hi"}],
                "model": MODEL,
                "max_tokens": 9,
                "tools": [{"type": "function", "function": {"name": "light"}}],
            },
            {"messages": [], "model": MODEL, "max_tokens": 9},
            [],
        ],
    )
    def test_other_arguments(self, other: Any) -> None:
        """What some other function was called with is none; then the messages are read."""
        said = {"input.value": json.dumps(other)} | message(0, "user", content="Numbered")
        assert body(said)["messages"][0]["content"][0]["text"] == "Numbered"
        assert "marks" in heard(said).lacks
        assert heard({"input.value": json.dumps(other)}).body is None

    def test_hidden(self) -> None:
        """A hidden input is no prompt, and hidden parts of one are said to be missing."""
        assert heard({"input.value": "__REDACTED__"}).body is None
        hidden = json.dumps(BODIES[0]).replace("How much oil is left in lamp 7?", "__REDACTED__")
        assert heard({"input.value": hidden}).lacks == {"text"}

    def test_cut(self) -> None:
        """A body that a limit cut off is none, and what is left of the span lacks text."""
        said = {"input.value": json.dumps(BODIES[0])[:400]} | message(0, "user", content="Hi")
        found = heard(said, cut=True)
        assert found.lacks >= {"marks", "text"}


class TestNumberedMessages:
    """The prompt in attributes of its own, which is all that other instrumentations have."""

    def test_a_conversation(self) -> None:
        """Words, calls of tools and their results are the messages that they were made of."""
        use = "contents__0__tool_call__{}"
        said = {
            **message(0, "system", content="Be brief."),
            **message(
                1, "user",
                contents__0__message_content__type="text",
                contents__0__message_content__text="Is lamp 7 lit?",
                contents__1__message_content__type="image",
                contents__1__message_content__image__image__url="data:image/png;base64,iVBO",
            ),
            **message(
                2, "assistant",
                contents__0__message_content__type="tool_use",
                tool_calls__0__tool_call__id="a",
                tool_calls__0__tool_call__function__name="look",
                tool_calls__0__tool_call__function__arguments='{"lamp": 7}',
                **{
                    use.format("id"): "a",
                    use.format("function__name"): "look",
                    use.format("function__arguments"): '{"lamp": 7}',
                },
            ),
            **message(3, "tool", tool_call_id="a", content='[{"type": "text", "text": "no"}]'),
            "llm.tools.0.tool.json_schema": json.dumps({"name": "look", "input_schema": {}}),
            "llm.invocation_parameters": json.dumps({"max_tokens": 9, "api_key": "sk-ant-x"}),
        }  # fmt: skip
        source = {"type": "base64", "media_type": "image/png", "data": "iVBO"}
        result = [{"type": "text", "text": "no"}]
        assert body(said) == {
            "model": MODEL,
            "system": [{"type": "text", "text": "Be brief."}],
            "tools": [{"name": "look", "input_schema": {}}],
            "max_tokens": 9,
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Is lamp 7 lit?"},
                        {"type": "image", "source": source},
                    ],
                },
                {
                    "role": "assistant",
                    "content": [
                        {"type": "tool_use", "id": "a", "name": "look", "input": {"lamp": 7}}
                    ],
                },
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "a", "content": result}],
                },
            ],
        }
        assert heard(said).lacks == {"marks"}

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (
                {"type": "reasoning", "text": "Hm", "signature": "c2ln"},
                {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
            ),
            ({"type": "reasoning", "data": "eA"}, {"type": "redacted_thinking", "data": "eA"}),
            (
                {"type": "search_result", "text": '{"type": "search_result", "title": "t"}'},
                {"type": "search_result", "title": "t"},
            ),
        ],
    )
    def test_contents(self, content: dict[str, Any], expected: dict[str, Any]) -> None:
        """Thoughts, and blocks that were written down as JSON, are themselves again."""
        begin = "contents__0__message_content__"
        said = message(0, "assistant", **{f"{begin}{key}": part for key, part in content.items()})
        assert body(said)["messages"] == [{"role": "assistant", "content": [expected]}]

    def test_what_is_missing(self) -> None:
        """Contents that say nothing, tools and settings that are not there, are told."""
        said = message(0, "user", contents__0__message_content__type="image")
        assert heard(said).lacks == {"marks", "settings", "text", "tools"}
        hidden = message(0, "user", content="__REDACTED__")
        assert "text" in heard(hidden).lacks


class TestUsage:
    """The prompt's count holds what was read and written."""

    @given(tokens, tokens, tokens)
    def test_counts(self, rest: int, read: int, written: int) -> None:
        """What was read and written is taken out, and lifetimes are not known."""
        found = counted({PROMPT: rest + read + written, OUTPUT: 1, READ: read, WRITTEN: written})
        assert found.usage["input_tokens"] == rest
        assert found.usage["cache_read_input_tokens"] == read
        assert found.usage["cache_creation_input_tokens"] == written
        assert found.parted == (not written)

    def test_a_prompt_that_cannot_hold_it(self) -> None:
        """A prompt shorter than what was read of it is refused."""
        with pytest.raises(InputError, match="cannot hold"):
            heard({PROMPT: 10, OUTPUT: 1, READ: 90})

    @pytest.mark.parametrize(
        ("marks", "long", "known"),
        [(["5m"], 0, True), ([None, "5m"], 0, True), (["1h"], 60, True), (["1h", "5m"], 0, False),
         ([], 0, False)],
    )  # fmt: skip
    def test_lifetimes_of_marks(self, marks: list[str | None], long: int, known: bool) -> None:
        """Where all breakpoints ask for one lifetime, it was the one that was written."""
        blocks = [
            {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": ttl}}
            for ttl in marks
        ]
        sent = {
            "model": MODEL,
            "max_tokens": 9,
            "messages": [{"role": "user", "content": [*blocks, {"type": "text", "text": "y"}]}],
        }
        said = {PROMPT: 100, OUTPUT: 1, WRITTEN: 60, "input.value": json.dumps(sent)}
        found = counted(said)
        split = found.usage.get("cache_creation") or {"ephemeral_1h_input_tokens": 0}
        assert (split["ephemeral_1h_input_tokens"], found.parted) == (long, known)

    def test_the_answer_itself(self) -> None:
        """The API's own answer knows the lifetimes, where it agrees with what was counted."""
        usage = {
            "input_tokens": 40,
            "output_tokens": 5,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 60,
            "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 40},
        }
        said = {"output.value": json.dumps({"id": "msg_1", "usage": usage})}
        agreeing = said | {PROMPT: 100, OUTPUT: 5, WRITTEN: 60}
        assert counted(agreeing).usage == counted(said).usage == usage
        assert heard(agreeing).message == "msg_1"
        other = counted(agreeing | {PROMPT: 200})
        assert other.usage["input_tokens"] == 140
        assert not other.parted

    def test_nothing_counted(self) -> None:
        """Without counts, or with nothing but zeros, no usage is known."""
        assert heard({}).counted is None
        assert heard({PROMPT: 0, OUTPUT: 0}).counted is None


def test_who() -> None:
    """Sessions are told, and no names of users."""
    found = heard({"session.id": "s7", "user.id": "ada@lighthouse.test"})
    assert found.session == "s7"
    assert "ada" not in repr(found)
