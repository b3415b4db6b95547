"""langchain-anthropic's middleware, alone and as deepagents puts it into every agent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.rivals.packages.chat import parts, system_texts
from benchmarks.rivals.packages.line import Body, Line, as_sent, serve

__all__ = ["made_tools", "messages_of"]


def messages_of(body: Body) -> Iterator[Any]:
    """Yield the messages as LangChain has them."""
    from langchain_core.messages import AIMessage, HumanMessage, ToolMessage  # noqa: PLC0415

    for message in body["messages"]:
        content = message["content"]
        if message["role"] == "assistant":
            uses = [part for part in parts(content) if part["type"] == "tool_use"]
            calls = [{"id": use["id"], "name": use["name"], "args": use["input"]} for use in uses]
            yield AIMessage(content=content, tool_calls=calls)
            continue
        if isinstance(content, str):
            yield HumanMessage(content=content)
            continue
        found = [part for part in content if part["type"] == "tool_result"]
        for part in found:
            yield ToolMessage(content=part["content"], tool_call_id=part["tool_use_id"])
        rest = [part for part in content if part["type"] != "tool_result"]
        if rest:
            yield HumanMessage(content=rest)


def made_tools(body: Body) -> list[Any]:
    """Return the tools as LangChain's own, since only those are marked."""
    from langchain_core.tools import StructuredTool  # noqa: PLC0415

    return [
        StructuredTool(
            name=tool["name"],
            description=tool["description"],
            args_schema=tool["input_schema"],
            func=lambda **_: "",
        )
        for tool in body.get("tools") or ()
    ]


def _with(middleware: Any, options: Body) -> Any:
    """Return what sends a body through a middleware."""
    from langchain.agents.middleware.types import ModelRequest  # noqa: PLC0415
    from langchain_anthropic import ChatAnthropic  # noqa: PLC0415
    from langchain_core.messages import SystemMessage  # noqa: PLC0415

    models: dict[str, Any] = {}
    known: dict[str, Any] = {}

    def tools_of(body: Body) -> Any:
        """Make tools once, since that takes longer than all the rest."""
        key = repr(body.get("tools"))
        if key not in known:
            known.clear()
            known[key] = made_tools(body)
        return known[key]

    def send(line: Line) -> Body:
        body = line["request"]
        name = body["model"]
        if name not in models:
            models[name] = ChatAnthropic(model=name, api_key="none", max_tokens=1024)
        model, history = models[name], list(messages_of(body))
        texts = [{"type": "text", "text": text} for text in system_texts(body)]
        system = body.get("system")
        whole = SystemMessage(content=system if isinstance(system, str) else texts)
        request = ModelRequest(
            model=model,
            messages=history,
            system_message=whole if system else None,
            tools=tools_of(body),
            state={"messages": history},
            **options,
        )
        found: list[Body] = []

        def handle(going: Any) -> Any:
            bound = model.bind_tools(going.tools).kwargs if going.tools else {}
            start = [going.system_message] if going.system_message else []
            settings = {**bound, **going.model_settings}
            found.append(model._get_request_payload([*start, *going.messages], **settings))  # noqa: SLF001 -- what it would post
            return None

        middleware.wrap_model_call(request, handle)
        return as_sent(body, found[0])

    return send


def alone(lines: list[Line]) -> Any:
    """``AnthropicPromptCachingMiddleware()``."""
    from langchain_anthropic.middleware import AnthropicPromptCachingMiddleware  # noqa: PLC0415

    del lines
    options: Body = {
        "tool_choice": None,
        "response_format": None,
        "runtime": None,
        "model_settings": {},
    }
    return _with(AnthropicPromptCachingMiddleware(), options)


def deepagents(lines: list[Line]) -> Any:
    """The middleware that ``create_deep_agent`` appends, without its prompt and tools."""
    from deepagents.middleware._prompt_caching import (  # noqa: PLC0415
        append_prompt_caching_middleware,
    )

    del lines
    appended: list[Any] = []
    append_prompt_caching_middleware(appended)
    options: Body = {
        "tool_choice": None,
        "response_format": None,
        "runtime": None,
        "model_settings": {},
    }
    return _with(appended[0], options)


if __name__ == "__main__":
    serve(("langchain-anthropic", "deepagents"), {"alone": alone, "deepagents": deepagents})
