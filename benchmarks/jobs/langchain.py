"""langchain-anthropic: what its middleware adds to a request that LangChain has made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.jobs.turns import Job, bodies, by_turns, marks
from benchmarks.rivals.packages.chat import system_texts
from benchmarks.rivals.packages.langchain import made_tools, messages_of

__all__: list[str] = []


def mark(folder: Path) -> Job:
    """``AnthropicPromptCachingMiddleware()`` around a model that is never called."""
    from langchain.agents.middleware.types import ModelRequest  # noqa: PLC0415
    from langchain_anthropic import ChatAnthropic  # noqa: PLC0415
    from langchain_anthropic.middleware import AnthropicPromptCachingMiddleware  # noqa: PLC0415
    from langchain_core.messages import SystemMessage  # noqa: PLC0415

    middleware = AnthropicPromptCachingMiddleware()
    given = bodies(folder)
    model = ChatAnthropic(model=given[0]["model"], api_key="none", max_tokens=1024)
    tools = made_tools(given[0])

    def request(body: Any) -> Any:
        texts = [{"type": "text", "text": text} for text in system_texts(body)]
        history = list(messages_of(body))
        return ModelRequest(
            model=model,
            messages=history,
            system_message=SystemMessage(content=texts),
            tools=tools,
            state={"messages": history},
            tool_choice=None,
            response_format=None,
            runtime=None,
            model_settings={},
        )

    def found(made: list[Any]) -> dict[str, int]:
        # The automatic mark is a setting of the model there, a tool's an extra of it.
        parts = [
            [going.model_settings, going.system_message.content, going.tools[-1].extras]
            for going in made
        ]
        return marks(parts)

    made = [request(body) for body in given]
    wrap = middleware.wrap_model_call
    return Job(lambda all_: [wrap(each, lambda going: going) for each in all_], lambda: made, found)


if __name__ == "__main__":
    imports = "from langchain_anthropic.middleware import AnthropicPromptCachingMiddleware"
    by_turns(("langchain-anthropic",), {"mark": (imports, mark)})
