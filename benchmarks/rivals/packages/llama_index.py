"""LlamaIndex: ``Anthropic(cache_idx=-1)``, which marks every message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.rivals.packages.chat import parts, system_texts
from benchmarks.rivals.packages.line import Body, Line, as_sent, serve

__all__: list[str] = []


def _messages(body: Body) -> Iterator[Any]:
    """Yield the messages as LlamaIndex has them."""
    from llama_index.core.base.llms.types import (  # noqa: PLC0415
        ChatMessage,
        TextBlock,
        ToolCallBlock,
    )

    texts = system_texts(body)
    if texts:
        yield ChatMessage(role="system", blocks=[TextBlock(text=text) for text in texts])
    for message in body["messages"]:
        blocks: list[Any] = []
        for part in parts(message["content"]):
            if part["type"] == "text":
                blocks.append(TextBlock(text=part["text"]))
            elif part["type"] == "tool_use":
                call = {"tool_name": part["name"], "tool_kwargs": part["input"]}
                blocks.append(ToolCallBlock(tool_call_id=part["id"], **call))
            else:
                named = {"tool_call_id": part["tool_use_id"]}
                yield ChatMessage(role="tool", content=part["content"], additional_kwargs={**named})
        if blocks:
            yield ChatMessage(role=message["role"], blocks=blocks)


def _until(index: int) -> Any:
    """Return the way to mark everything up to a message."""

    def make(lines: list[Line]) -> Any:
        from llama_index.llms.anthropic.utils import (  # noqa: PLC0415
            messages_to_anthropic_messages,
        )

        del lines

        def send(line: Line) -> Body:
            body = line["request"]
            history = list(_messages(body))
            messages, system = messages_to_anthropic_messages(history, index, body["model"])
            return as_sent(body, {**body, "messages": messages, "system": system})

        return send

    return make


if __name__ == "__main__":
    serve(("llama-index-llms-anthropic",), {"all": _until(-1), "first": _until(1)})
