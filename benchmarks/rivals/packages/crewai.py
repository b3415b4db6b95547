"""CrewAI: its executor marks the system prompt and the task; its adapter writes them down."""

from __future__ import annotations

from typing import Any

from benchmarks.rivals.packages.chat import chat
from benchmarks.rivals.packages.line import Body, Line, as_sent, serve

__all__: list[str] = []


def executor(lines: list[Line]) -> Any:
    """Mark the system prompt and the first task, as ``CrewAgentExecutor`` does."""
    from crewai.llms.cache import mark_cache_breakpoint  # noqa: PLC0415
    from crewai.llms.providers.anthropic.completion import AnthropicCompletion  # noqa: PLC0415

    del lines
    made: dict[str, Any] = {}

    def send(line: Line) -> Body:
        body = line["request"]
        name = body["model"]
        if name not in made:
            made[name] = AnthropicCompletion(model=name, api_key="none")
        messages = chat(body)
        for message in messages:
            if isinstance(message["content"], list) and message["role"] == "system":
                # Its prompts are one string.
                message["content"] = "\n\n".join(part["text"] for part in message["content"])
        marked: list[Any] = []
        for role in ("system", "user"):
            first = next((each for each in messages if each["role"] == role), None)
            if first is not None:
                marked.append(first)
        going = [
            mark_cache_breakpoint(each) if any(each is one for one in marked) else each
            for each in messages
        ]
        formatted, system = made[name]._format_messages_for_anthropic(going)  # noqa: SLF001 -- what it posts
        return as_sent(body, {**body, "messages": formatted, "system": system})

    return send


if __name__ == "__main__":
    serve(("crewai",), {"executor": executor})
