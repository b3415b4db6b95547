"""pydantic-ai: what its model posts, caught by a transport in place of the network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from benchmarks.rivals.packages.chat import parts, system_texts
from benchmarks.rivals.packages.line import Body, Line, as_sent, serve

__all__ = ["messages_of", "parameters_of"]

_ANSWER = {
    "id": "msg_0",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [{"type": "text", "text": "Yes."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}


def messages_of(body: Body) -> Iterator[Any]:
    """Yield the messages as pydantic-ai has them."""
    from pydantic_ai.messages import (  # noqa: PLC0415
        ModelRequest,
        ModelResponse,
        TextPart,
        ToolCallPart,
        ToolReturnPart,
        UserPromptPart,
    )

    for message in body["messages"]:
        content = parts(message["content"])
        made: list[Any] = []
        if message["role"] == "assistant":
            for part in content:
                if part["type"] == "text":
                    made.append(TextPart(part["text"]))
                else:
                    made.append(ToolCallPart(part["name"], part["input"], part["id"]))
            yield ModelResponse(parts=made)
            continue
        made += [
            ToolReturnPart("tool_0", part["content"], part["tool_use_id"])
            for part in content
            if part["type"] == "tool_result"
        ]
        texts = [part["text"] for part in content if part["type"] == "text"]
        if texts:
            made.append(UserPromptPart(texts[0] if len(texts) == 1 else texts))
        yield ModelRequest(parts=made)


def parameters_of(body: Body) -> Any:
    """Return tools and instructions as pydantic-ai has them."""
    from pydantic_ai.messages import InstructionPart  # noqa: PLC0415
    from pydantic_ai.models import ModelRequestParameters  # noqa: PLC0415
    from pydantic_ai.tools import ToolDefinition  # noqa: PLC0415

    texts = system_texts(body)
    # Only the last of several can be what changes: it is what a function returns.
    instructions = [
        InstructionPart(content=text, dynamic=0 < number == len(texts) - 1)
        for number, text in enumerate(texts)
    ]
    tools = [
        ToolDefinition(
            name=tool["name"],
            description=tool["description"],
            parameters_json_schema=tool["input_schema"],
        )
        for tool in body.get("tools") or ()
    ]
    return ModelRequestParameters(function_tools=tools, instruction_parts=instructions or None)


def _with(settings: Body) -> Any:
    """Return the way to send under these settings."""

    def make(lines: list[Line]) -> Any:
        import anthropic  # noqa: PLC0415
        import httpx2  # noqa: PLC0415
        from pydantic_ai.direct import model_request_sync  # noqa: PLC0415
        from pydantic_ai.models.anthropic import AnthropicModel  # noqa: PLC0415
        from pydantic_ai.providers.anthropic import AnthropicProvider  # noqa: PLC0415

        del lines
        caught: list[Body] = []

        def catch(request: Any) -> Any:
            caught.append(json.loads(request.content))
            return httpx2.Response(200, json=_ANSWER)

        posting = httpx2.AsyncClient(transport=httpx2.MockTransport(catch))
        client = anthropic.AsyncAnthropic(api_key="none", http_client=posting)
        models: dict[str, Any] = {}

        def send(line: Line) -> Body:
            body = line["request"]
            name = body["model"]
            if name not in models:
                provider = AnthropicProvider(anthropic_client=client)
                models[name] = AnthropicModel(name, provider=provider)
            model_request_sync(
                models[name],
                list(messages_of(body)),
                model_settings={"max_tokens": body["max_tokens"], **settings},
                model_request_parameters=parameters_of(body),
            )
            return as_sent(body, caught.pop())

        return send

    return make


if __name__ == "__main__":
    serve(
        ("pydantic-ai-slim",),
        {
            "cache": _with({"cache": True}),
            "hour": _with({"cache": "1h"}),
            "automatic": _with({"anthropic_cache": True}),
            "static": _with({"cache": {"retention": "5m", "messages": False}}),
        },
    )
