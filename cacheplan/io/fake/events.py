"""One message as a stream: the API's events, as server-sent ones or in Amazon's frames.

The first event holds the usage with its split by lifetime; the last but one holds sums
that overwrite, without the split, as the API sends them (anthropic 2.12.0, event types).
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from cacheplan.io.fake.exchange import encode

__all__ = ["events", "frames", "server_sent"]

#: Characters of text a delta carries; short, so that a stream has several.
_PORTION: Final = 24
#: What the last usage of a stream says again.
_FINAL: Final = (
    "input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens",
    "output_tokens_details", "server_tool_use", "iterations",
)  # fmt: skip


def events(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the events that add up to a message."""
    usage = message["usage"]
    begun = {
        **message,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            **{key: part for key, part in usage.items() if key != "iterations"},
            "output_tokens": min(1, usage["output_tokens"]),
        },
    }
    yield {"type": "message_start", "message": begun}
    yield {"type": "ping"}
    for index, block in enumerate(message["content"]):
        empty, deltas = _parted(block)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {
        "type": "message_delta",
        "delta": {
            "stop_reason": message["stop_reason"],
            "stop_sequence": message["stop_sequence"],
            "stop_details": message["stop_details"],
        },
        "usage": {key: usage[key] for key in _FINAL if key in usage},
    }
    yield {"type": "message_stop"}


def _parted(block: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a block as it begins, and what is added to it."""
    kind = block.get("type")
    if kind == "text":
        deltas = [{"type": "text_delta", "text": part} for part in _portions(block["text"])]
        return {**block, "text": ""}, deltas
    if kind in ("tool_use", "server_tool_use", "mcp_tool_use"):
        written = encode(block.get("input", {})).decode()
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in _portions(written)]
        return {**block, "input": {}}, deltas
    if kind == "thinking":
        thought = [{"type": "thinking_delta", "thinking": x} for x in _portions(block["thinking"])]
        signed = {"type": "signature_delta", "signature": block.get("signature", "")}
        return {**block, "thinking": "", "signature": ""}, [*thought, signed]
    return dict(block), []


def _portions(text: str) -> list[str]:
    """Cut a text into the portions in which it is sent."""
    return [text[at : at + _PORTION] for at in range(0, len(text), _PORTION)]


def server_sent(stream: Iterable[Mapping[str, Any]]) -> list[bytes]:
    """Write events as ``text/event-stream``, a piece each."""
    return [
        b"event: %s\ndata: %s\n\n" % (str(event["type"]).encode(), encode(event))
        for event in stream
    ]


def frames(stream: Iterable[Mapping[str, Any]]) -> list[bytes]:
    """Write events as ``application/vnd.amazon.eventstream``, a piece each.

    A frame is its length, the length of its headers, a checksum of the two, headers,
    payload, and a checksum of all (Amazon Transcribe guide, event stream encoding).
    """
    headers = b"".join(
        struct.pack("!B", len(name)) + name + b"\x07" + struct.pack("!H", len(text)) + text
        for name, text in (
            (b":event-type", b"chunk"),
            (b":content-type", b"application/json"),
            (b":message-type", b"event"),
        )
    )
    pieces = []
    for event in stream:
        payload = encode({"bytes": base64.b64encode(encode(event)).decode()})
        prelude = struct.pack("!II", len(headers) + len(payload) + 16, len(headers))
        frame = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + payload
        pieces.append(frame + struct.pack("!I", zlib.crc32(frame)))
    return pieces
