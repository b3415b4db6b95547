"""cacheguardian: what its provider for Anthropic makes of a call's arguments."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from benchmarks.jobs.turns import Body, Job, bodies, by_turns, marks

__all__: list[str] = []


def mark(folder: Path) -> Job:
    """What ``cacheguardian.wrap(client)`` does to ``messages.create``."""
    from cacheguardian.config import CacheGuardConfig  # noqa: PLC0415
    from cacheguardian.providers.anthropic import AnthropicProvider  # noqa: PLC0415
    from cacheguardian.types import Provider, SessionState  # noqa: PLC0415

    given = bodies(folder)
    provider = AnthropicProvider(CacheGuardConfig())

    def turn(all_: list[Body]) -> list[Any]:
        state = SessionState(provider=Provider.ANTHROPIC, session_id="", model=all_[0]["model"])
        return [provider.intercept_request(body, state) for body in all_]

    return Job(turn, lambda: copy.deepcopy(given), marks)


if __name__ == "__main__":
    imports = "from cacheguardian.providers.anthropic import AnthropicProvider"
    by_turns(("cacheguardian",), {"mark": (imports, mark)})
