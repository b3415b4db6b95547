"""Runs a program of the documentation in a framework's own environment.

The Messages API it talks to is the test double; what arrived there goes to standard output.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from cacheplan.assumptions import Assumptions
from cacheplan.testing import FakeAnthropic
from cacheplan.wire import parse

RULES = "\n".join(f"Rule {number}: be brief, and cite this rule." for number in range(400))


def arrived(fake: FakeAnthropic) -> list[dict[str, Any]]:
    """Return where each body was marked, and what the service would have counted."""
    return [
        {
            "marks": [str(place) for place, _ in places(call.body)],
            "read": call.usage.read,
            "written": call.usage.written,
        }
        for call in fake.calls
        if isinstance(call.body, dict) and call.usage is not None
    ]


def places(body: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Return the marks of a body as it arrived."""
    return [
        (piece.place, piece.mark)
        for piece in parse(body, Assumptions()).pieces
        if piece.mark is not None
    ]


def main() -> None:
    """Run the program that comes in, with the double as the service."""
    os.environ |= {"ANTHROPIC_API_KEY": "any", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    program = sys.stdin.read()
    with FakeAnthropic() as fake:
        for name in ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE", "ANTHROPIC_API_URL"):
            os.environ[name] = fake.url
        exec(compile(program, "<docs>", "exec"), {"RULES": RULES})  # noqa: S102 -- our own page
        print("\n" + json.dumps(arrived(fake)))


if __name__ == "__main__":
    main()
