"""Writes langchain.json: messages as LangChain writes them out, and what ChatAnthropic sends.

Each case is a prompt of LangChain's messages, dumped as its tracer dumps them, beside the
system prompt and the messages that langchain-anthropic makes of it. Run by hand, with the
repository and its tests on the path, in an environment that has langchain-anthropic; last
run 2026-11-21 with 1.7.7, langchain-core 1.7.2:

    PYTHONPATH=.:tests python tests/logs/make_langchain.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from langchain_anthropic.chat_models import _format_messages
from langchain_core.load import dumpd
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

OUT: Final = Path(__file__).with_name("langchain.json")
MARK: Final = {"type": "ephemeral"}
HOUR: Final = {"type": "ephemeral", "ttl": "1h"}
DOT: Final = "iVBORw0KGgo="

CALL: Final = {"name": "oil_left", "args": {"lamp": 7}, "id": "toolu_1", "type": "tool_call"}
OTHER: Final = {"name": "light", "args": {"lamp": 8}, "id": "toolu_2", "type": "tool_call"}
USED: Final = {"type": "tool_use", "id": "toolu_1", "name": "oil_left", "input": {"lamp": 7}}


def marked(text: str, mark: Any = MARK) -> dict[str, Any]:
    """Return a text that ends a prefix."""
    return {"type": "text", "text": text, "cache_control": mark}


def signed(thought: str) -> dict[str, Any]:
    """Return a thought as a stream leaves it, with the index of its block."""
    return {"type": "thinking", "thinking": thought, "signature": "c2ln", "index": 0}


CASES: Final[dict[str, list[Any]]] = {
    "plain text": [
        SystemMessage("Be brief."), HumanMessage("Hi"), AIMessage("Ho"), HumanMessage("So?"),
    ],
    "marks on system and message": [
        SystemMessage([{"type": "text", "text": "Keep the lamps."}, marked("Be brief.", HOUR)]),
        HumanMessage([marked("Hi")]),
    ],
    "a call beside the content and its result": [
        HumanMessage("How much oil?"),
        AIMessage("Let me look.", tool_calls=[CALL]),
        ToolMessage("4 litres", tool_call_id="toolu_1"),
    ],
    "calls without words": [
        HumanMessage("How much oil?"),
        AIMessage("", tool_calls=[CALL, OTHER]),
        ToolMessage("4 litres", tool_call_id="toolu_1"),
        ToolMessage("no oil", tool_call_id="toolu_2", status="error"),
        HumanMessage("And now?"),
    ],
    "a call in the content and beside it": [
        HumanMessage("How much oil?"),
        AIMessage([{"type": "text", "text": "Let me look."}, USED], tool_calls=[CALL, OTHER]),
        ToolMessage([marked("4 litres")], tool_call_id="toolu_1"),
        ToolMessage([{"type": "text", "text": "lit"}], tool_call_id="toolu_2"),
    ],
    "a call in pieces": [
        HumanMessage("How much oil?"),
        AIMessage([{"type": "tool_use", "id": "toolu_1", "name": "oil_left", "input": {},
                    "partial_json": '{"lamp": 7}', "index": 1}]),
        ToolMessage("4 litres", tool_call_id="toolu_1"),
    ],
    "a call written wrongly": [
        HumanMessage("How much oil?"),
        AIMessage("", invalid_tool_calls=[{"name": "oil_left", "args": '{"lamp":', "id": "toolu_1",
                                           "error": None, "type": "invalid_tool_call"}]),
        ToolMessage("4 litres", tool_call_id="toolu_1"),
    ],
    "results in the API's own form": [
        HumanMessage("How much oil?"),
        AIMessage([USED], tool_calls=[CALL]),
        ToolMessage([{"type": "tool_result", "tool_use_id": "toolu_1", "content": "4 litres",
                      "cache_control": MARK}], tool_call_id="toolu_1"),
    ],
    "thoughts": [
        HumanMessage("How much oil?"),
        AIMessage([signed("Lamp 7."), {"type": "redacted_thinking", "data": "eHh4", "index": 1},
                   {"type": "text", "text": "Four litres.", "index": 2}]),
        HumanMessage("Sure?"),
    ],
    "what other models thought": [
        HumanMessage("Hi"),
        AIMessage([{"type": "reasoning", "reasoning": "Hm."}, {"type": "text", "text": "Ho"}]),
        HumanMessage("So?"),
    ],
    "tools that the service runs": [
        HumanMessage("Weather?"),
        AIMessage([
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search",
             "input": {"query": "weather"}, "index": 0, "caller": None},
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "index": 1,
             "content": [{"type": "web_search_result", "url": "https://example.org", "title": "W",
                          "encrypted_content": "eHg="}]},
            {"type": "text", "text": "Fog.",
             "citations": [{"type": "char_location", "cited_text": "Fog", "document_index": 0,
                            "start_char_index": 0, "end_char_index": 3}]},
        ]),
        HumanMessage("Still?"),
    ],
    "images and documents": [
        HumanMessage([
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DOT}"}},
            {"type": "image_url", "image_url": {"url": "https://example.org/lamp.png"}},
            {"type": "image", "base64": DOT, "mime_type": "image/png"},
            {"type": "image", "source_type": "base64", "data": DOT, "mime_type": "image/png"},
            {"type": "image", "url": "https://example.org/lamp.png", "cache_control": MARK},
            {"type": "image", "url": f"data:image/png;base64,{DOT}"},
            {"type": "image", "file_id": "file_1"},
            {"type": "image", "source": {"type": "url", "url": "https://example.org/lamp.png"}},
            {"type": "file", "url": "https://example.org/lamps.pdf"},
            {"type": "file", "base64": DOT, "mime_type": "application/pdf",
             "extras": {"title": "Lamps", "citations": {"enabled": True}}},
            {"type": "file", "source_type": "text", "text": "oil", "mime_type": "text/plain"},
            {"type": "file", "source_type": "id", "id": "file_2"},
            {"type": "text-plain", "text": "oil", "mime_type": "text/plain"},
        ]),
    ],
    "a picture out of a tool": [
        HumanMessage("Show me."),
        AIMessage("", tool_calls=[CALL]),
        ToolMessage([{"type": "image", "base64": DOT, "mime_type": "image/png"}, "That is it."],
                    tool_call_id="toolu_1"),
    ],
    "neighbours of one role": [
        SystemMessage("Be brief."), SystemMessage([marked("Be kind.")]),
        HumanMessage("Hi"), HumanMessage([{"type": "text", "text": "there"}]),
    ],
    "empty text": [
        HumanMessage([{"type": "text", "text": " "}, {"type": "text", "text": "Hi"}]),
        AIMessage(""), HumanMessage("So?"),
    ],
    "a block of another provider's": [
        HumanMessage("Hi"),
        AIMessage([{"type": "text", "text": "Ho"},
                   {"type": "compaction", "content": "so far"}]),
        HumanMessage("So?"),
    ],
}  # fmt: skip


def main() -> None:
    """Write all cases."""
    told = []
    for name, messages in CASES.items():
        system, sent = _format_messages(messages, model="claude-opus-5-5")
        dumped = [dumpd(message) for message in messages]
        told.append({"name": name, "messages": dumped, "system": system, "sent": sent})
    OUT.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
