"""Strands: what its Anthropic model formats, a pure function."""

from __future__ import annotations

from typing import Any

from benchmarks.rivals.packages.chat import parts, system_texts
from benchmarks.rivals.packages.line import Body, Line, as_sent, serve

__all__ = ["arguments"]


def _part(part: Body) -> Body:
    """Return one block as Strands has it."""
    if part["type"] == "text":
        return {"text": part["text"]}
    if part["type"] == "tool_use":
        return {
            "toolUse": {"toolUseId": part["id"], "name": part["name"], "input": part["input"]},
        }
    found = [{"text": one["text"]} for one in parts(part["content"])]
    return {
        "toolResult": {"toolUseId": part["tool_use_id"], "content": found, "status": "success"},
    }


def arguments(body: Body) -> tuple[list[Body], list[Body], list[Body] | None]:
    """Return messages, tools and system prompt as Strands has them."""
    messages = [
        {
            "role": message["role"],
            "content": [_part(part) for part in parts(message["content"])],
        }
        for message in body["messages"]
    ]
    tools = [
        {
            "name": tool["name"],
            "description": tool["description"],
            "inputSchema": {"json": tool["input_schema"]},
        }
        for tool in body.get("tools") or ()
    ]
    texts = [{"text": text} for text in system_texts(body)]
    return messages, tools, texts or None


def _with(options: Body) -> Any:
    """Return the way to send under these options of ``CacheConfig``."""

    def make(lines: list[Line]) -> Any:
        from strands.models import CacheConfig  # noqa: PLC0415
        from strands.models.anthropic import AnthropicModel  # noqa: PLC0415

        del lines
        models: dict[str, Any] = {}

        def send(line: Line) -> Body:
            body = line["request"]
            name = body["model"]
            if name not in models:
                models[name] = AnthropicModel(
                    client_args={"api_key": "none"},
                    model_id=name,
                    max_tokens=1024,
                    cache_config=CacheConfig(**options),
                )
            messages, tools, texts = arguments(body)
            sent = models[name].format_request(messages, tools, system_prompt_content=texts)
            return as_sent(body, sent)

        return send

    return make


if __name__ == "__main__":
    serve(
        ("strands-agents", "anthropic"),
        {
            "config": _with({}),
            "tools": _with({"tools_ttl": True}),
            "hour": _with({"ttl": "1h", "tools_ttl": True}),
        },
    )
