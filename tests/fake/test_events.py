"""Streams: whatever a message holds, its events add up to it."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cacheplan.io.fake.events import events, frames, server_sent

words = st.text(max_size=80)
blocks = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": words}),
    st.fixed_dictionaries(
        {"type": st.just("thinking"), "thinking": words, "signature": st.text(max_size=9)}
    ),
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["tool_use", "server_tool_use"]),
            "id": st.just("toolu_1"),
            "name": st.just("t"),
            "input": st.dictionaries(words, st.integers() | words, max_size=3),
        }
    ),
    st.just({"type": "redacted_thinking", "data": "x"}),
    st.just({"type": "web_search_tool_result", "tool_use_id": "toolu_1", "content": []}),
)


@st.composite
def messages(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a message."""
    usage = {
        "input_tokens": draw(st.integers(0, 99)),
        "cache_creation_input_tokens": 7,
        "cache_read_input_tokens": draw(st.integers(0, 99)),
        "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
        "output_tokens": draw(st.integers(0, 99)),
        "service_tier": "standard",
    }
    return {
        "id": "msg_1",
        "type": "message",
        "content": draw(st.lists(blocks, max_size=4)),
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "usage": usage,
    }


def added_up(stream: list[dict[str, Any]]) -> dict[str, Any]:
    """Put a message together from its events, as the API's documentation says."""
    message: dict[str, Any] = {}
    partial = ""
    for event in stream:
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                message["content"].append(event["content_block"])
                partial = ""
            case "content_block_delta":
                block, delta = message["content"][event["index"]], event["delta"]
                kind = delta.pop("type")
                if kind == "input_json_delta":
                    partial += delta["partial_json"]
                    block["input"] = tried(partial)
                elif kind == "signature_delta":
                    block["signature"] = delta["signature"]
                else:
                    ((name, text),) = delta.items()
                    block[name] += text
            case "message_delta":
                message |= event["delta"]
                message["usage"] |= event["usage"]
    return message


def tried(text: str) -> Any:
    """Decode what may be only the beginning of a document."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return {}


@given(messages())
def test_events_add_up(message: dict[str, Any]) -> None:
    """Law: the events of a message add up to the message, usage included."""
    written = [
        json.loads(piece.partition(b"\ndata: ")[2]) for piece in server_sent(events(message))
    ]
    assert written[0]["message"]["stop_reason"] is None
    assert written[-1] == {"type": "message_stop"}
    assert added_up(written) == message


@given(messages())
def test_frames_hold_the_same_events(message: dict[str, Any]) -> None:
    """Law: each frame has its lengths and checksums right, and holds one event."""
    held = []
    for frame in frames(events(message)):
        total, headers = (int.from_bytes(frame[at : at + 4], "big") for at in (0, 4))
        assert total == len(frame)
        assert int.from_bytes(frame[8:12], "big") == zlib.crc32(frame[:8])
        assert int.from_bytes(frame[-4:], "big") == zlib.crc32(frame[:-4])
        assert b":event-type\x07\x00\x05chunk" in frame[12 : 12 + headers]
        payload = json.loads(frame[12 + headers : -4])
        held.append(json.loads(base64.b64decode(payload["bytes"])))
    assert held == list(events(message))


def test_no_event_is_named_twice_over() -> None:
    """Each server-sent event names its type outside and inside alike."""
    message = {
        "content": [{"type": "text", "text": "Hi"}],
        "usage": {"output_tokens": 1},
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
    }
    for piece in server_sent(events(message)):
        name, data = piece.decode().strip().split("\n")
        assert name.removeprefix("event: ") == json.loads(data.removeprefix("data: "))["type"]
