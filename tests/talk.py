"""A conversation for the imitated service: instructions long enough to be cached."""

from __future__ import annotations

from typing import Any

MODEL = "claude-opus-5-5"
FIVE = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
#: Some 3,600 tokens, where 512 are needed.
INSTRUCTIONS = "Be brief, be kind, and say where you know it from. " * 300


def body(*said: str, **more: Any) -> dict[str, Any]:
    """Make a body of what the two said in turn, marked as a whole."""
    messages = [
        {"role": "assistant" if at % 2 else "user", "content": text} for at, text in enumerate(said)
    ]
    return {
        "model": MODEL,
        "max_tokens": 100,
        "system": INSTRUCTIONS,
        "messages": messages,
        "cache_control": FIVE,
        **more,
    }
