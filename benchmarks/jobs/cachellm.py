"""cachellm-py: what its wrapper of a client hands on."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.jobs.turns import Body, Job, bodies, by_turns, marks

__all__: list[str] = []


def mark(folder: Path) -> Job:
    """``optimize_anthropic(client)``, with a client that keeps what it is handed."""
    from cachellm.providers.anthropic import optimize_anthropic  # noqa: PLC0415

    given = bodies(folder)

    def turn(all_: list[Body]) -> list[Body]:
        caught: list[Body] = []

        def create(**arguments: Any) -> Any:
            caught.append(arguments)
            return SimpleNamespace(usage={})

        client = optimize_anthropic(SimpleNamespace(messages=SimpleNamespace(create=create)))
        for body in all_:
            client.messages.create(**body)
        return caught

    return Job(turn, lambda: copy.deepcopy(given), marks)


if __name__ == "__main__":
    imports = "from cachellm.providers.anthropic import optimize_anthropic"
    by_turns(("cachellm-py",), {"mark": (imports, mark)})
