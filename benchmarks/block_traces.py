"""Traces that name blocks of tokens: Mooncake's, and those of kv-cache-tester.

They say which blocks two prompts share, and no text. So the lines are of the digest form,
all at the level of messages: where tools and system end is not known. Blocks that occur in
the same prompts are one block, so positions say nothing about content blocks, and the
lookback cannot be studied on them. What of a prompt is in no named block is its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

__all__ = ["kv_cache_tester", "mooncake"]

Line = dict[str, Any]

#: Tokens of a block (Mooncake's README, FAST25-release).
_BLOCK: Final = 512


class _Prompt(NamedTuple):
    """One prompt: its blocks, and how long it is."""

    ids: Sequence[int]
    tokens: int


def mooncake(path: Path) -> Iterator[Line]:
    """Yield the calls of ``FAST25-release/traces/*.jsonl``; they name no model."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    prompts = [_Prompt(row["hash_ids"], row["input_length"]) for row in rows]
    for number, (row, blocks) in enumerate(zip(rows, _blocks(prompts, _BLOCK, ""), strict=True)):
        yield {
            "id": f"{path.stem}/{number}",
            "at": row["timestamp"] / 1000,
            "model": "unknown",
            "blocks": blocks,
            "output_tokens": row["output_length"],
        }


def kv_cache_tester(path: Path) -> Iterator[Line]:
    """Yield the calls of one conversation, sub-agents included.

    Times count from its start, and blocks are named within it, so it is a workspace of its
    own unless the file says that names are global.
    """
    trace = json.loads(path.read_text(encoding="utf-8"))
    name, size = trace["id"], trace["block_size"]
    calls = list(_requests(trace["requests"], "main"))
    prompts = [_Prompt(call["hash_ids"], call["in"]) for _, call in calls]
    scope = "" if trace.get("hash_id_scope") == "global" else name
    for number, ((label, call), blocks) in enumerate(
        zip(calls, _blocks(prompts, size, scope), strict=True)
    ):
        late = {"first_token_after": call["ttft"]} if call.get("ttft") else {}
        yield {
            "id": f"{name}/{number}",
            "session": name,
            "workspace": name,
            "label": label,
            "at": call["t"],
            "model": call["model"],
            "blocks": blocks,
            "output_tokens": call["out"],
            **late,
        }


def _requests(requests: Sequence[Line], label: str) -> Iterator[tuple[str, Line]]:
    """Yield the calls, those of sub-agents where they were started."""
    for request in requests:
        if "requests" in request:
            yield from _requests(request["requests"], "subagent")
        elif "hash_ids" in request:
            yield label, request


def _blocks(prompts: Sequence[_Prompt], size: int, scope: str) -> Iterator[list[Line]]:
    """Yield each prompt as blocks that no other prompt parts."""
    nodes: dict[tuple[int, int], int] = {}
    uses = [0]
    paths = []
    for prompt in prompts:
        node, path = 0, []
        for block in prompt.ids:
            node = nodes.setdefault((node, block), len(uses))
            if node == len(uses):
                uses.append(0)
            uses[node] += 1
            path.append(node)
        paths.append(path)
    for number, (prompt, path) in enumerate(zip(prompts, paths, strict=True)):
        made, run = [], 0
        for at, node in enumerate(path):
            run += max(0, min(size, prompt.tokens - at * size))
            last = at + 1 == len(path)
            if last or uses[path[at + 1]] != uses[node]:
                made.append(_block(f"{scope} {node} {run}", run))
                run = 0
        rest = prompt.tokens - len(path) * size
        if rest > 0:
            made.append(_block(f"{scope} rest of {number}", rest))
        yield made


def _block(name: str, tokens: int) -> Line:
    digest = hashlib.blake2b(name.encode(), digest_size=6).hexdigest()
    return {"digest": digest, "tokens": tokens, "level": "messages", "kind": "text"}
