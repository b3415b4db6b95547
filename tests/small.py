"""Small bodies, lines and workloads whose numbers can be worked out by hand.

A token is a character here: ``Characters`` counts blocks so, and the digest form says
its lengths itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from cacheplan.assumptions import Assumptions
from cacheplan.facts import Model
from cacheplan.policies import BASELINES
from cacheplan.prompt import Block
from cacheplan.records import Intake
from cacheplan.tokens import Count
from cacheplan.workload import Call, Workload

__all__ = [
    "Characters",
    "Words",
    "digest_line",
    "digest_workloads",
    "marked_places",
    "message",
    "policy",
    "request",
    "tool",
    "workload",
]


@dataclass(frozen=True)
class Characters:
    """Counts a character of a block's text as a token, off by a fixed doubt."""

    doubt: int = 0
    #: Tokens that every block has besides.
    each: int = 0
    name: str = "characters"

    def count(self, blocks: Sequence[Block], model: Model | None) -> list[Count]:
        """Return one count a block, whatever the model."""
        del model
        return [Count(self.each + _length(block), self.doubt, "counted") for block in blocks]


@dataclass(frozen=True)
class Words:
    """Counts a word of a block's text as a token."""

    name: str = "words"

    def count(self, blocks: Sequence[Block], model: Model | None) -> list[Count]:
        """Return one count a block, whatever the model."""
        del model
        return [Count(len(_said(block).split()), 0, "counted") for block in blocks]


def _length(block: Block) -> int:
    """Return the characters of a text, of anything else those of its JSON."""
    return len(_said(block))


def _said(block: Block) -> str:
    """Return the text of a block, of anything else its JSON."""
    text = block.body.get("text")
    return text if isinstance(text, str) else json.dumps(block.body)


def tool(name: str, text: str = "") -> dict[str, Any]:
    """Return a tool definition."""
    return {"name": name, "description": text, "input_schema": {"type": "object"}}


def message(role: str, *texts: str) -> dict[str, Any]:
    """Return a message of text blocks."""
    return {"role": role, "content": [{"type": "text", "text": text} for text in texts]}


def request(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a body; ``fields`` stand over the defaults."""
    return {"model": "claude-sonnet-5", "max_tokens": 100, "messages": list(messages), **fields}


def digest_line(blocks: Iterable[tuple[str, int, str]], **fields: Any) -> dict[str, Any]:
    """Return a line of the digest form; a block is a name, its tokens and its level."""
    named = [{"digest": name, "tokens": tokens, "level": level} for name, tokens, level in blocks]
    return {"at": 0, "model": "claude-sonnet-5", "blocks": named, **fields}


def workload(
    lines: Iterable[dict[str, Any]],
    assume: Assumptions | None = None,
    *,
    counter: Characters | None = None,
    model: str | None = None,
) -> Workload:
    """Read lines into a workload."""
    intake = Intake(counter or Characters(), assume, model=model)
    for line in lines:
        intake.add(json.dumps(line).encode())
    return intake.workload()


def policy(name: str) -> Any:
    """Return what binds a policy to a workload."""
    return next(policy.bind for policy in BASELINES if policy.name == name)


def marked_places(calls: Workload, name: str, call: Call | None = None) -> list[str]:
    """Say which blocks of a call a policy marks: level, and number within the level."""
    call = call or calls.calls[-1]
    marks = policy(name)(calls)(call)
    tree = calls.tree
    path = [node for node in tree.path(call.tip) if tree.kind[tree.block[node]] != "#settings"]
    seen: dict[Any, int] = {}
    places = {}
    for node in path:
        level = tree.level[tree.block[node]]
        places[node] = f"{level}.{seen.get(level, 0)}"
        seen[level] = seen.get(level, 0) + 1
    return [f"{places[mark.node]} {mark.lifetime}" for mark in marks]


@st.composite
def digest_workloads(
    draw: st.DrawFn, models: Sequence[str], most: int = 12
) -> list[dict[str, Any]]:
    """Draw lines of the digest form: prompts that grow and fork, some of them refused."""
    lines: list[dict[str, Any]] = []
    lengths: list[int] = []
    at = draw(st.sampled_from([0.0, 1_790_000_000.0, 1_791_330_000.0]))
    for number in range(draw(st.integers(1, most))):
        at += draw(st.sampled_from([0, 0.5, 2, 200, 299, 301, 3599, 4000]))
        before = draw(st.sampled_from([None, *range(number)]))
        levels = ["messages"] if before is not None else ["tools", "system", "messages"]
        blocks = [
            (draw(st.sampled_from("abcdef")), draw(st.sampled_from([0, 400, 1100, 60_000])), level)
            for level in levels
            for _ in range(draw(st.integers(1, 2)))
        ]
        line = digest_line(blocks, id=f"c{number}", at=at, output_tokens=draw(st.integers(0, 99)))
        line["model"] = draw(st.sampled_from(models))
        line["surface"] = draw(st.sampled_from(["messages", "messages", "batch"]))
        length = len(blocks)
        if before is not None:
            line["extends"] = f"c{before}"
            length += lengths[before]
        lengths.append(length)
        places = draw(st.lists(st.integers(0, length - 1), max_size=5, unique=True))
        hours = draw(st.integers(0, 5))
        line["marks"] = [
            {"block": place, "ttl": "1h" if rank < hours else "5m"}
            for rank, place in enumerate(sorted(places))
        ]
        if draw(st.booleans()):
            line["automatic"] = draw(st.sampled_from(["5m", "5m", "1h"]))
        lines.append(line)
    return lines
