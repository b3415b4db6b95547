"""Usage read from every way an answer takes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.billing import Answer, billed
from cacheplan.usage import Usage

START: dict[str, Any] = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "model": "claude-sonnet-5",
        "usage": {
            "input_tokens": 10,
            "output_tokens": 1,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 30,
            "cache_creation": {
                "ephemeral_5m_input_tokens": 20,
                "ephemeral_1h_input_tokens": 10,
            },
        },
        "diagnostics": {"cache_miss_reason": None},
    },
}


def collected(*events: Any) -> Answer:
    """Collect a stream."""
    answer = Answer()
    for event in events:
        answer.event(event)
    return answer


class TestStreams:
    """``message_start`` has it all; what follows overwrites."""

    def test_deltas_overwrite(self) -> None:
        """Counters of ``message_delta`` are cumulative, and the split stays."""
        delta = {"type": "message_delta", "usage": {"output_tokens": 7, "input_tokens": 10}}
        later = {"type": "message_delta", "usage": {"output_tokens": 9, "input_tokens": None}}
        answer = collected(START, delta, later)
        assert answer.usage == Usage(uncached=10, write_5m=20, write_1h=10, read=100, output=9)
        assert (answer.message_id, answer.model) == ("msg_1", "claude-sonnet-5")

    def test_more_is_written_later(self) -> None:
        """What is written beyond the split, by server tools, is written for 5 minutes."""
        delta = {"type": "message_delta", "usage": {"cache_creation_input_tokens": 80}}
        found = collected(START, delta).usage
        assert found is not None
        assert (found.write_5m, found.write_1h) == (70, 10)

    def test_diagnostics_come_late(self) -> None:
        """What the service says of a miss is taken where it stands last."""
        found = {"cache_miss_reason": {"type": "system_changed"}}
        delta = {"type": "message_delta", "delta": {"diagnostics": found}, "usage": {}}
        assert collected(START, delta).diagnostics == found

    def test_error_in_a_stream(self) -> None:
        """An error that comes after the start leaves what was billed by then."""
        event = {"type": "error", "error": {"type": "overloaded_error"}}
        answer = collected(START, event)
        assert answer.error == "overloaded_error"
        assert answer.usage is not None

    @given(events=st.lists(st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            st.sampled_from(["type", "usage", "message", "error", "delta", "input_tokens"]),
            inner | st.sampled_from(["message_start", "message_delta", "error"]), max_size=4,
        ),
    )))  # fmt: skip
    def test_any_events(self, events: list[Any]) -> None:
        """Events of any shape are taken, and say nothing where nothing can be read."""
        usage = collected(*events).usage
        assert usage is None or usage.prompt >= 0


class TestRounds:
    """Where the service calls itself again."""

    def test_apart(self) -> None:
        """Compaction and advisors are billed beside the sums, other rounds inside them."""
        usage = {
            "input_tokens": 10,
            "output_tokens": 5,
            "iterations": [
                {"type": "message", "input_tokens": 10, "output_tokens": 5},
                {"type": "compaction", "input_tokens": 900, "output_tokens": 90},
                {"type": "advisor_message", "cache_read_input_tokens": 7},
            ],
        }
        assert billed(usage) == Usage(uncached=910, read=7, output=95)

    def test_told(self) -> None:
        """An answer of several rounds says so, since its reads are no length."""
        answer = Answer()
        answer.take({"usage": {"input_tokens": 1, "iterations": [{}, {}]}})
        assert answer.own_rounds


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "inputTokens": 5,
                "outputTokens": 2,
                "cacheReadInputTokens": 100,
                "cacheWriteInputTokens": 30,
                "cacheDetails": [
                    {"ttl": "1h", "inputTokens": 10},
                    {"ttl": "5m", "inputTokens": 20},
                ],
            },
            Usage(uncached=5, write_5m=20, write_1h=10, read=100, output=2),
        ),
        (
            {"inputTokenCount": 5, "outputTokenCount": 2, "cacheReadInputTokenCount": 9},
            Usage(uncached=5, read=9, output=2),
        ),
        ({"input_tokens": -1}, None),
        ({"input_tokens": 1.5}, None),
        ("many", None),
        (None, None),
    ],
)
def test_other_spellings(usage: Any, expected: Usage | None) -> None:
    """Bedrock's names are read as the API's, and what cannot be read is no usage."""
    assert billed(usage) == expected


def test_metrics_that_end_a_stream() -> None:
    """Bedrock's metrics count only where no event said anything."""
    metrics = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 4}}
    assert collected({"type": "message_stop", **metrics}).usage == Usage(uncached=4)
    assert collected(START, {"type": "message_stop", **metrics}).usage == collected(START).usage


def test_an_error_for_an_answer() -> None:
    """An error's kind is the API's own word."""
    answer = Answer()
    answer.take({"type": "error", "error": {"type": "rate_limit_error"}, "usage": {}})
    assert (answer.error, answer.usage) == ("rate_limit_error", None)
