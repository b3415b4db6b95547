"""cachellm-py: what its wrapper of a client hands on."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

from benchmarks.rivals.packages.line import Body, Line, serve

__all__: list[str] = []


def optimized(lines: list[Line]) -> Any:
    """``optimize_anthropic(client)``, with a client that keeps what it is handed."""
    from cachellm.providers.anthropic import optimize_anthropic  # noqa: PLC0415

    del lines
    caught: list[Body] = []

    def create(**arguments: Any) -> Any:
        caught.append(arguments)
        return SimpleNamespace(usage={})

    client = optimize_anthropic(SimpleNamespace(messages=SimpleNamespace(create=create)))

    def send(line: Line) -> Body:
        client.messages.create(**copy.deepcopy(line["request"]))
        return caught.pop()

    return send


if __name__ == "__main__":
    serve(("cachellm-py",), {"optimized": optimized})
