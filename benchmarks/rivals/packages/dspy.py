"""DSPy: the payload of its own client for Anthropic, under a ``CacheConfig``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.rivals.packages.chat import parts, system_texts
from benchmarks.rivals.packages.line import Body, Line, as_sent, serve

__all__: list[str] = []


def _messages(body: Body) -> Iterator[Any]:
    """Yield the messages as DSPy's client has them."""
    from dspy._vendor.lm15 import types  # noqa: PLC0415

    for message in body["messages"]:
        made: list[Any] = []
        found: list[Any] = []
        for part in parts(message["content"]):
            if part["type"] == "text":
                made.append(types.TextPart(part["text"]))
            elif part["type"] == "tool_use":
                made.append(types.ToolCallPart(part["id"], part["name"], part["input"]))
            else:
                text = types.TextPart(part["content"])
                found.append(types.ToolResultPart(part["tool_use_id"], (text,)))
        if found:
            yield types.Message("tool", tuple(found))
        if made:
            yield types.Message(message["role"], tuple(made))


def _with(options: Body) -> Any:
    """Return the way to send under these options of ``CacheConfig``."""

    def make(lines: list[Line]) -> Any:
        from dspy._vendor.lm15 import types  # noqa: PLC0415
        from dspy._vendor.lm15.providers.anthropic import AnthropicLM  # noqa: PLC0415

        del lines
        client = AnthropicLM(api_key="none")

        def send(line: Line) -> Body:
            body = line["request"]
            tools = tuple(
                types.FunctionTool(tool["name"], tool["description"], tool["input_schema"])
                for tool in body.get("tools") or ()
            )
            request = types.Request(
                model=body["model"],
                messages=tuple(_messages(body)),
                system="\n\n".join(system_texts(body)) or None,
                tools=tools,
                config=types.Config(max_tokens=1024, cache=types.CacheConfig(**options)),
            )
            return as_sent(body, client._payload(request, stream=False))  # noqa: SLF001 -- what it posts

        return send

    return make


if __name__ == "__main__":
    serve(
        ("dspy",),
        {"stable": _with({"mode": "auto"}), "history": _with({"prefix": "history"})},
    )
