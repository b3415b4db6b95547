"""Bodies in the dialect that most packages take: chat completions, and back by litellm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from benchmarks.rivals.packages.line import Body

__all__ = ["chat", "parts", "sent_by_litellm", "system_texts"]


def parts(content: str | list[Body]) -> list[Body]:
    """Return content as blocks."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def system_texts(body: Body) -> list[str]:
    """Return the texts of the system prompt."""
    return [part["text"] for part in parts(body.get("system") or [])]


def chat(body: Body) -> list[Body]:
    """Return the system prompt and the messages as chat completions have them."""
    texts = system_texts(body)
    whole: Any = texts[0] if len(texts) == 1 else [{"type": "text", "text": one} for one in texts]
    start = [{"role": "system", "content": whole}] if texts else []
    return start + [each for message in body["messages"] for each in _said(message)]


def _said(message: Body) -> Iterator[Body]:
    """Yield what one message is there: each tool's result is a message of its own."""
    role, content = message["role"], message["content"]
    if isinstance(content, str):
        yield {"role": role, "content": content}
        return
    texts = [{"type": "text", "text": part["text"]} for part in content if part["type"] == "text"]
    uses = [part for part in content if part["type"] == "tool_use"]
    for part in content:
        if part["type"] == "tool_result":
            found = {"tool_call_id": part["tool_use_id"], "content": part["content"]}
            yield {"role": "tool", "name": "tool_0", **found}
    if uses:
        calls = [
            {
                "id": use["id"],
                "type": "function",
                "function": {"name": use["name"], "arguments": json.dumps(use["input"])},
            }
            for use in uses
        ]
        said = texts[0]["text"] if texts else None
        yield {"role": role, "content": said, "tool_calls": calls}
    elif texts:
        yield {"role": role, "content": texts[0]["text"] if len(texts) == 1 else texts}


def sent_by_litellm(body: Body, messages: list[Body]) -> Body:
    """Return the body that litellm makes of messages with marks, tools as they are."""
    from litellm.llms.anthropic.chat.transformation import AnthropicConfig  # noqa: PLC0415

    options = {"tools": body["tools"]} if body.get("tools") else {}
    made: Body = AnthropicConfig().transform_request(
        model=body["model"],
        messages=messages,
        optional_params={"max_tokens": body["max_tokens"], **options},
        litellm_params={},
        headers={},
    )
    return made
