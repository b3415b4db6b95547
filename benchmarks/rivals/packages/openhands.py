"""OpenHands' SDK: the messages that its ``LLM`` formats, sent by litellm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from benchmarks.rivals.packages.chat import parts, sent_by_litellm, system_texts
from benchmarks.rivals.packages.line import Body, Line, as_sent, serve

__all__: list[str] = []


def _messages(body: Body) -> Iterator[Any]:
    """Yield the messages as OpenHands has them."""
    from openhands.sdk.llm import Message, MessageToolCall, TextContent  # noqa: PLC0415

    texts = system_texts(body)
    if texts:
        yield Message(role="system", content=[TextContent(text=text) for text in texts])
    for message in body["messages"]:
        said: list[Any] = []
        calls: list[Any] = []
        for part in parts(message["content"]):
            if part["type"] == "text":
                said.append(TextContent(text=part["text"]))
            elif part["type"] == "tool_use":
                named = {"id": part["id"], "name": part["name"]}
                given = json.dumps(part["input"])
                calls.append(MessageToolCall(**named, arguments=given, origin="completion"))
            else:
                found = [TextContent(text=part["content"])]
                yield Message(
                    role="tool", content=found, name="tool_0", tool_call_id=part["tool_use_id"]
                )
        if said or calls:
            yield Message(role=message["role"], content=said, tool_calls=calls or None)


def defaults(lines: list[Line]) -> Any:
    """``LLM`` as it comes: ``caching_prompt`` is on."""
    from openhands.sdk import LLM  # noqa: PLC0415

    del lines
    models: dict[str, Any] = {}

    def send(line: Line) -> Body:
        body = line["request"]
        name = body["model"]
        if name not in models:
            models[name] = LLM(model=f"anthropic/{name}", api_key="none")
        messages = models[name].format_messages_for_llm(list(_messages(body)))
        return as_sent(body, sent_by_litellm(body, messages))

    return send


if __name__ == "__main__":
    serve(("openhands-sdk", "litellm"), {"defaults": defaults})
