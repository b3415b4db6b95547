"""cacheguardian: what its provider for Anthropic makes of a call's arguments."""

from __future__ import annotations

import copy
from typing import Any

from benchmarks.rivals.packages.line import Body, Line, serve

__all__: list[str] = []


def wrap(lines: list[Line]) -> Any:
    """What ``cacheguardian.wrap(client)`` does to ``messages.create``."""
    from cacheguardian.config import CacheGuardConfig  # noqa: PLC0415
    from cacheguardian.providers.anthropic import AnthropicProvider  # noqa: PLC0415
    from cacheguardian.types import Provider, SessionState  # noqa: PLC0415

    del lines
    provider = AnthropicProvider(CacheGuardConfig())

    def send(line: Line) -> Body:
        body = copy.deepcopy(line["request"])
        names = {"session_id": line.get("session", ""), "model": body["model"]}
        state = SessionState(provider=Provider.ANTHROPIC, **names)
        sent: Body = provider.intercept_request(body, state)
        return sent

    return send


if __name__ == "__main__":
    serve(("cacheguardian",), {"wrap": wrap})
