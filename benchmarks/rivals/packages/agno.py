"""Agno: what its model for Claude prepares."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from benchmarks.rivals.packages.chat import parts, system_texts
from benchmarks.rivals.packages.line import Body, Line, as_sent, serve

__all__: list[str] = []


def _messages(body: Body) -> Iterator[Any]:
    """Yield the messages as Agno has them."""
    from agno.models.message import Message  # noqa: PLC0415

    for message in body["messages"]:
        content = parts(message["content"])
        texts = [part for part in content if part["type"] == "text"]
        uses = [part for part in content if part["type"] == "tool_use"]
        for part in content:
            if part["type"] == "tool_result":
                yield Message(
                    role="tool", content=part["content"], tool_call_id=part["tool_use_id"]
                )
        calls = [
            {
                "id": use["id"],
                "type": "function",
                "function": {"name": use["name"], "arguments": json.dumps(use["input"])},
            }
            for use in uses
        ]
        if texts or calls:
            said: Any = texts[0]["text"] if len(texts) == 1 else texts
            yield Message(role=message["role"], content=said, tool_calls=calls or None)


def _with(options: Body) -> Any:
    """Return the way to send under these options of the model."""

    def make(lines: list[Line]) -> Any:
        from agno.models.anthropic import Claude  # noqa: PLC0415
        from agno.models.anthropic.claude import SystemPromptBlock  # noqa: PLC0415
        from agno.utils.models.claude import format_messages  # noqa: PLC0415

        del lines

        def send(line: Line) -> Body:
            body = line["request"]
            texts = system_texts(body)
            behind = [SystemPromptBlock(text=text, cache=False) for text in texts[1:]]
            own = {**options, "system_prompt_blocks": behind} if behind else options
            model = Claude(id=body["model"], api_key="none", max_tokens=1024, **own)
            tools = [
                {
                    "type": "function",
                    "function": {
                        "name": tool["name"],
                        "description": tool["description"],
                        "parameters": tool["input_schema"],
                    },
                }
                for tool in body.get("tools") or ()
            ]
            history = list(_messages(body))
            messages, _ = format_messages(history)
            system = texts[0] if texts else ""
            prepared = model._prepare_request_kwargs(system, tools=tools, messages=history)  # noqa: SLF001 -- what it posts
            plain = json.loads(json.dumps(messages, default=lambda block: block.model_dump()))
            return as_sent(body, {**prepared, "messages": plain})

        return send

    return make


if __name__ == "__main__":
    both = {"cache_system_prompt": True, "cache_tools": True}
    serve(("agno",), {"both": _with(both), "hour": _with({**both, "extended_cache_time": True})})
