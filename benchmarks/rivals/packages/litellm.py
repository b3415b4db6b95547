"""litellm: its automatic mode, and the injection points that its documentation shows."""

from __future__ import annotations

import copy
from typing import Any

from benchmarks.rivals.packages.line import Body, Line, as_sent, serve

__all__: list[str] = []

#: The points of its tutorial on marking automatically, and the tools.
_POINTS: list[Body] = [
    {"location": "message", "role": "system"},
    {"location": "tool_config"},
    {"location": "message", "index": -1},
]
#: The one-line example of the same page, which goes over a conversation oldest first.
_USERS: list[Body] = [
    {"location": "message", "role": "system"},
    {"location": "message", "role": "user"},
]


def automatic(lines: list[Line]) -> Any:
    """``litellm.enable_anthropic_prompt_caching = True``."""
    import litellm  # noqa: PLC0415
    from litellm.integrations.anthropic_cache_control_hook import (  # noqa: PLC0415
        AnthropicCacheControlHook,
    )

    del lines
    litellm.enable_anthropic_prompt_caching = True

    def send(line: Line) -> Body:
        body = copy.deepcopy(line["request"])
        messages, system = AnthropicCacheControlHook.maybe_inject_cache_control(
            body["messages"],
            body.get("system"),
            {},
            model=body["model"],
            custom_llm_provider="anthropic",
            tools=body.get("tools"),
        )
        return as_sent(body, {**body, "messages": messages, "system": system})

    return send


def _at(points: list[Body]) -> Any:
    """Return the way to place marks at these points."""

    def make(lines: list[Line]) -> Any:
        from litellm.integrations.anthropic_cache_control_hook import (  # noqa: PLC0415
            AnthropicCacheControlHook,
        )

        del lines

        def send(line: Line) -> Body:
            body = copy.deepcopy(line["request"])
            messages, system, rest = AnthropicCacheControlHook.apply_to_anthropic_messages_request(
                body["messages"], body.get("system"), copy.deepcopy(points)
            )
            # What is left are points on tools, which the transformation places later.
            if body.get("tools") and rest:
                body["tools"][-1]["cache_control"] = {"type": "ephemeral"}
            return as_sent(body, {**body, "messages": messages, "system": system})

        return send

    return make


if __name__ == "__main__":
    serve(("litellm",), {"automatic": automatic, "points": _at(_POINTS), "users": _at(_USERS)})
