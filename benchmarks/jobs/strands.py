"""Strands: what its Anthropic model formats, marks and all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.jobs.turns import Job, bodies, by_turns, marks
from benchmarks.rivals.packages.strands import arguments

__all__: list[str] = []


def mark(folder: Path) -> Job:
    """``format_request`` under ``CacheConfig()``: it makes the whole body."""
    from strands.models import CacheConfig  # noqa: PLC0415
    from strands.models.anthropic import AnthropicModel  # noqa: PLC0415

    given = bodies(folder)
    model = AnthropicModel(
        client_args={"api_key": "none"},
        model_id=given[0]["model"],
        max_tokens=1024,
        cache_config=CacheConfig(),
    )
    ready = [arguments(body) for body in given]

    def turn(all_: list[Any]) -> list[Any]:
        return [
            model.format_request(messages, tools, system_prompt_content=texts)
            for messages, tools, texts in all_
        ]

    return Job(turn, lambda: ready, marks)


if __name__ == "__main__":
    by_turns(
        ("strands-agents",), {"mark": ("from strands.models.anthropic import AnthropicModel", mark)}
    )
