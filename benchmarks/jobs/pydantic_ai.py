"""pydantic-ai: a request of its own encoded for the service, marks and all."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from benchmarks.jobs.turns import Job, bodies, by_turns, marks
from benchmarks.rivals.packages.pydantic_ai import messages_of, parameters_of

__all__: list[str] = []


def mark(folder: Path) -> Job:
    """``batch_encode`` under ``cache=True``: it makes the whole body, and sends nothing."""
    from pydantic_ai.models.anthropic import AnthropicModel  # noqa: PLC0415
    from pydantic_ai.models.batch import BatchRequest  # noqa: PLC0415
    from pydantic_ai.providers.anthropic import AnthropicProvider  # noqa: PLC0415

    given = bodies(folder)
    model = AnthropicModel(given[0]["model"], provider=AnthropicProvider(api_key="none"))
    ready = [
        BatchRequest(
            custom_id=str(number),
            messages=list(messages_of(body)),
            model_settings={"max_tokens": 1024, "cache": True},
            model_request_parameters=parameters_of(body),
        )
        for number, body in enumerate(given)
    ]

    async def encoded(all_: list[Any]) -> list[Any]:
        return [await model.batch_encode(each) for each in all_]

    def found(made: list[Any]) -> dict[str, int]:
        return marks([json.loads(each.body) for each in made])

    return Job(lambda all_: asyncio.run(encoded(all_)), lambda: ready, found)


if __name__ == "__main__":
    imports = "from pydantic_ai.models.anthropic import AnthropicModel"
    by_turns(("pydantic-ai-slim",), {"mark": (imports, mark)})
