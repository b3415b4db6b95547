"""Drawn lines that extend one another, and what becomes of them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st
from letters import Letters

from cacheplan.assumptions import Assumptions
from cacheplan.records import Intake
from cacheplan.workload import Workload

__all__ = ["lines", "said", "taken"]

MARK = {"cache_control": {"type": "ephemeral"}}

#: Blocks of every sort that says something of the messages around it.
BLOCKS: tuple[dict[str, Any], ...] = (
    {"type": "text", "text": "hm"},
    {"type": "text", "text": "hm", **MARK},
    {"type": "thinking", "thinking": "so", "signature": "c2ln"},
    {"type": "tool_use", "id": "t", "name": "look", "input": {"a": 1, **MARK}},
    {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "x", **MARK}]},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
    {"type": "compaction", "content": "all of it"},
    {"type": "web_search_tool_result", "tool_use_id": "s", "content": [], **MARK},
)
#: What may change around the messages; ``None`` takes a member away.
CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"system": [{"type": "text", "text": "Be brief.", **MARK}]},
    {"system": None},
    {"tools": [{"name": "look", "input_schema": {"type": "object"}}]},
    {"model": "claude-haiku-4-5"},
    {"model": "claude-opus-5-5"},
    {"cache_control": {"type": "ephemeral"}},
    {"tool_choice": {"type": "none"}},
)


@st.composite
def lines(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw lines of which each but the first extends some earlier one."""
    content = st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=2) | st.just("plain")
    message = st.builds(
        lambda role, held: {"role": role, "content": held},
        st.sampled_from(["user", "assistant"]),
        content,
    )
    made: list[dict[str, Any]] = []
    lengths: list[int] = []
    for at in range(draw(st.integers(2, 8))):
        new = draw(st.lists(message, min_size=1, max_size=3))
        line: dict[str, Any] = {"id": f"c{at}", "at": at, "extends": None}
        repeated = 0
        request = {"messages": new, **draw(st.sampled_from(CHANGES))}
        goes_on: int = draw(st.integers(0, 4))
        if made and goes_on:
            earlier = draw(st.sampled_from(range(at)))
            line["extends"], repeated = f"c{earlier}", lengths[earlier]
            if draw(st.booleans()):
                repeated = draw(st.integers(0, repeated))
                line["keep"] = repeated
        else:
            request = {"model": "claude-opus-5-5", **request}
        made.append({**line, "request": request})
        lengths.append(repeated + len(new))
    return made


def taken(made: list[dict[str, Any]]) -> Workload:
    """Take in some lines."""
    intake = Intake(Letters(), Assumptions())
    for line in made:
        intake.add(json.dumps(line).encode())
    return intake.workload()


def said(workload: Workload) -> list[Any]:
    """Return what each call is, by keys rather than numbers."""
    tree = workload.tree
    return [
        (
            tree.key(call.tip),
            [(tree.key(node), lifetime) for node, lifetime in call.marks],
            call.tariff,
            call.automatic,
            call.refused,
            [tree.key(node) for node in call.rounds],
        )
        for call in workload
    ]
