"""Calls to be sent in batches: of the digest form, and whole ones in files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from small import digest_line
from talk import INSTRUCTIONS

__all__ = ["MODEL", "call", "sharing", "write"]

#: Three dollars a million tokens; a prefix of 1,024 can be kept.
MODEL = "claude-sonnet-4-6"


def sharing(
    calls: int, tokens: int = 20_000, own: int = 0, model: str = MODEL, **more: Any
) -> list[dict[str, Any]]:
    """Return calls, a second apart, that share a system prompt."""
    return [
        digest_line(
            [("s", tokens, "system"), (f"q{at}", own, "messages")], model=model, at=at, **more
        )
        for at in range(calls)
    ]


def call(number: int, **more: Any) -> dict[str, Any]:
    """Return a line that waits to be sent: a question after long instructions."""
    body = {
        "model": "claude-opus-5-5",
        "max_tokens": 100,
        "system": INSTRUCTIONS,
        "messages": [{"role": "user", "content": f"Question {number}?"}],
        **more,
    }
    return {"id": f"order-{number}", "label": "orders", "request": body}


def write(path: Path, lines: Iterable[dict[str, Any]]) -> str:
    """Write a workload file, and return its name."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return str(path)
