"""The names that Claude Code's client gives to the parts of a request it records.

A part is named by the SHA-256 of its JSON with sorted keys and no blanks, without marks;
content that is one text is a list of one block there. This file knows that form (client
2.1.330, held against bodies that a server received, 2026-11-21) and nothing of transcripts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

__all__ = ["fingerprint", "message_fingerprint"]

_SORTED: Final = msgspec.json.Encoder(order="sorted")


def fingerprint(part: Any) -> str:
    """Return the name of a part that carries no marks.

    >>> fingerprint({"tools": [], "system": []})[:16]
    'd6a3087c7e3604d2'
    """
    return hashlib.sha256(_SORTED.encode(part)).hexdigest()


def message_fingerprint(message: Mapping[str, Any]) -> str:
    """Return the name of a message, as it is without its marks.

    >>> one = message_fingerprint({"role": "user", "content": "Hello"})
    >>> block = {"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}
    >>> one == message_fingerprint({"role": "user", "content": [block]})
    True
    """
    content = message.get("content")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if isinstance(blocks, list):
        blocks = [_unmarked(block) for block in blocks]
    return fingerprint({**message, "content": blocks})


def _unmarked(block: Any) -> Any:
    """Return a block without its mark."""
    if not isinstance(block, dict) or "cache_control" not in block:
        return block
    return {key: part for key, part in block.items() if key != "cache_control"}
