"""Usage read from every way an answer takes."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.billing import Answer, billed, streamed
from cacheplan.io.fake.events import events, frames
from cacheplan.io.watching import Watch, taken
from cacheplan.testing import FakeAnthropic
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


#: A stream as it was recorded, with a search by the service in it.
RECORDED: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            "id": "msg_01",
            "type": "message",
            "role": "assistant",
            "model": "claude-opus-5-5",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {
                "input_tokens": 2679,
                "cache_creation_input_tokens": 5120,
                "cache_read_input_tokens": 1024,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": 120,
                    "ephemeral_1h_input_tokens": 5000,
                },
                "output_tokens": 3,
                "service_tier": "standard",
            },
        },
    },
    {"type": "ping"},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "I shall look it up."},
    },
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {
            "input_tokens": 10682,
            "cache_creation_input_tokens": 5400,
            "cache_read_input_tokens": 6144,
            "output_tokens": 510,
            "server_tool_use": {"web_search_requests": 1},
        },
    },
    {"type": "message_stop"},
]
#: What it was billed: the later sums, and 280 tokens beyond the split of the start.
ADDED_UP = Usage(uncached=10682, write_5m=400, write_1h=5000, read=6144, output=510)
_COUNT = st.integers(0, 10**6)


class TestOneRecord:
    """Any stream of events is one record of usage."""

    @pytest.mark.parametrize("sent", [dict, json.dumps, lambda one: json.dumps(one).encode()])
    def test_plain(self, sent: Any) -> None:
        """Events as mappings, as text and as bytes are the same events."""
        assert streamed(map(sent, RECORDED)) == ADDED_UP

    @pytest.mark.parametrize("way", ["create", "stream", "beta"])
    def test_objects(self, way: str) -> None:
        """Events as the SDK's own objects, its helpers' among them, are one record as well."""
        anthropic = pytest.importorskip("anthropic")
        fake = FakeAnthropic()
        through = anthropic.DefaultHttpxClient(transport=fake.transport())
        asked: dict[str, Any] = {
            "model": "claude-opus-5-5",
            "max_tokens": 50,
            "system": "Be brief. " * 500,
            "messages": [{"role": "user", "content": "Where?"}],
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        }
        found = None
        with anthropic.Anthropic(api_key="any", http_client=through) as client:
            for _ in range(2):
                if way == "stream":
                    with client.messages.stream(**asked) as stream:
                        found = streamed(stream)
                else:
                    api = client.beta if way == "beta" else client
                    found = streamed(api.messages.create(**asked, stream=True))
                assert found == fake.calls[-1].usage
        assert found is not None
        assert found.read

    def test_boto3(self) -> None:
        """Events as boto3 unpacks them from Bedrock's frames are the same events."""
        assert streamed({"chunk": {"bytes": json.dumps(one).encode()}} for one in RECORDED) == (
            ADDED_UP
        )

    def test_frames(self) -> None:
        """Bedrock's frames, byte by byte, hold the same events, and the watch adds them up."""
        answer = Answer()

        headers = {"content-type": "application/vnd.amazon.eventstream"}
        watcher = Watch(
            SimpleNamespace(headers=headers),
            lambda text: taken(answer, text, event=True), lambda: None, lambda _: None, lines=False,
        )  # fmt: skip
        for byte in b"".join(frames(RECORDED)):
            watcher.feed(bytes([byte]))
        watcher.end(None)
        assert answer.usage == ADDED_UP

    def test_converse(self) -> None:
        """The last event of Bedrock's ``ConverseStream`` has it all."""
        used = {"inputTokens": 5, "outputTokens": 2, "cacheReadInputTokens": 100}
        spoken = [{"messageStart": {"role": "assistant"}}, {"metadata": {"usage": used}}]
        assert streamed(spoken) == Usage(uncached=5, read=100, output=2)

    def test_zeroes(self) -> None:
        """A proxy that fills in 0 for what the last event leaves out takes nothing away."""
        last = {"type": "message_delta", "usage": {"input_tokens": 0, "output_tokens": 8,
                "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}}  # fmt: skip
        found = streamed([RECORDED[0], last])
        assert found == Usage(uncached=2679, write_5m=120, write_1h=5000, read=1024, output=8)

    def test_compaction(self) -> None:
        """What the last event's iterations bill apart is in the record, once."""
        rounds = [
            {"type": "compaction", "input_tokens": 900, "output_tokens": 90},
            {"type": "message", "input_tokens": 10, "output_tokens": 5},
        ]
        early = {"type": "message_delta", "usage": {"output_tokens": 1, "iterations": rounds[:1]}}
        late = {"type": "message_delta", "usage": {"output_tokens": 5, "iterations": rounds}}
        found = streamed([START, early, late])
        assert found == Usage(uncached=910, write_5m=20, write_1h=10, read=100, output=95)

    def test_broken_off(self) -> None:
        """A stream that ends early is what its start said; one that never began is nothing."""
        assert streamed(RECORDED[:1]) == Usage(
            uncached=2679, write_5m=120, write_1h=5000, read=1024, output=3
        )
        assert streamed([]) is None
        assert streamed(["{", b"\xff", None, 3, {"chunk": 1}]) is None

    @given(counts=st.lists(_COUNT, min_size=5, max_size=5), later=_COUNT)
    def test_the_imitation(self, counts: list[int], later: int) -> None:
        """What the imitated service streams adds up to the usage of the message it streams."""
        uncached, short, long, read, output = counts
        usage = {
            "input_tokens": uncached,
            "cache_creation_input_tokens": short + long,
            "cache_read_input_tokens": read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": short,
                "ephemeral_1h_input_tokens": long,
            },
            "output_tokens": output,
            "iterations": [{"type": "message"}, {"type": "compaction", "input_tokens": later}],
        }
        ends = {"stop_reason": "end_turn", "stop_sequence": None, "stop_details": None}
        found = streamed(events({"content": [], "usage": usage, **ends}))
        assert found == billed(usage) == Usage(uncached + later, short, long, read, output)
