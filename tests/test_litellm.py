"""What litellm makes of the same bodies, held against what stands here.

litellm predicts caching with code of its own. Its answers were recorded (see
``benchmarks/record_litellm.py``), and every one that differs from ours is listed below
with the reason; a difference that is not listed fails, and so does a listed one that is
gone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError
from cacheplan.facts import Model
from cacheplan.prefixes import SETTINGS
from cacheplan.prompt import Block
from cacheplan.records import Intake
from cacheplan.simulator import positions
from cacheplan.tokens import Count
from cacheplan.wire import validate

RECORDED = Path(__file__).parent / "fixtures" / "litellm_plans.json"
PLANS: Mapping[str, Mapping[str, Any]] = {
    plan["name"]: plan for plan in json.loads(RECORDED.read_text(encoding="utf-8"))["plans"]
}
ACCEPTED = [name for name, plan in PLANS.items() if plan["refused"] is None]
VARIANTS = [name for name, plan in PLANS.items() if plan["shared"] is not None]

#: litellm's codes for what the service refuses, and the rules of ours that say the same.
CODES = {
    "conflicting_cache_ttl": "mismatch",
    "too_many_cache_breakpoints": "number",
    "invalid_cache_ttl_order": "order",
}

#: Bodies that litellm does not read. What we say of them: a fault's rule, or "read".
UNREAD = {
    "2h": "form",
    "mark on thinking": "thinking",
    "mark on blank": "blank",
    "mark without type": "form",
    "image": "read",
    "deferred tool": "read",
    "unknown setting": "read",
}

#: Bodies that only we refuse.
REFUSED_HERE = {
    "four and automatic on one": "the automatic mark takes a slot even where it falls on a"
    " marked block",
}

#: Variants that share more of the original prompt here, and why.
SHARED_HERE = {
    "result list": "a result given as a string is one text block",
    "result null error": "a null is how the SDK writes what was not given",
    "tool null description": "a null is how the SDK writes what was not given",
    "keys of a block turned": "the service reads a block's own keys by name",
    "one message split": "consecutive messages of one role are one turn",
    "tool choice without tools": "`auto` is what leaving the choice out means",
    "thinking set": "thinking parameters leave tools and system valid",
    "effort set": "effort leaves tools and system valid",
    "speed fast": "speed leaves tools valid",
}

#: Breakpoints that look back over another number of blocks here, and why.
REACH_HERE = {
    "long of thinking": "thinking blocks ride along and take no position of their own",
    "run over two messages": "messages of one role are one turn, and a run is one position in it",
}


class One:
    """A counter to whom every block is one token."""

    name = "one"

    def count(self, blocks: Sequence[Block], model: Model | None) -> list[Count]:
        """Count blocks, whatever the model."""
        del model
        return [Count(1)] * len(blocks)


class Ours(NamedTuple):
    """What we make of a body: its prefixes, block by block, and where it is marked."""

    path: list[int]
    #: By breakpoint: its position, lifetime in seconds, and over how many blocks it looks.
    breakpoints: list[tuple[int, int, int]]


@cache
def ours() -> Mapping[str, Ours]:
    """Read every body that litellm read into one tree, so that equal prefixes are one."""
    assume = Assumptions()
    intake = Intake(One(), assume)
    for name in ACCEPTED:
        intake.add(json.dumps({"at": 1, "id": name, "request": PLANS[name]["body"]}).encode())
    workload = intake.workload()
    tree = workload.tree
    place = positions(tree, assume, collapse=True)
    found = {}
    for call in workload.calls:
        path = [node for node in tree.path(call.tip) if tree.kind[tree.block[node]] != SETTINGS]
        marks = []
        for node, lifetime in call.marks:
            at = path.index(node)
            reach = sum(place[other] > place[node] - assume.lookback for other in path[: at + 1])
            marks.append((at, lifetime.seconds, reach))
        found[str(call.id)] = Ours(path, marks)
    return found


def shared(one: str, other: str) -> int:
    """Count the prefixes that two bodies have in common."""
    pairs = zip(ours()[one].path, ours()[other].path, strict=False)
    return sum(mine == theirs for mine, theirs in pairs)


@pytest.mark.parametrize("name", PLANS)
def test_refusals(name: str) -> None:
    """What litellm calls refused is refused here by the rule of the same meaning, and the
    other way round.
    """
    rules = {fault.rule for fault in validate(PLANS[name]["body"])}
    code = PLANS[name]["refused"]
    if code == "unsupported_prompt_shape":
        assert rules == ({UNREAD[name]} - {"read"})
    elif code is not None:
        assert CODES[code] in rules
    else:
        assert bool(rules) == (name in REFUSED_HERE)


@pytest.mark.parametrize("name", [name for name in UNREAD if UNREAD[name] == "form"])
def test_marks_written_wrong_are_not_read(name: str) -> None:
    """A mark that litellm cannot read is an error here too, with the path to it."""
    line = json.dumps({"at": 1, "request": PLANS[name]["body"]}).encode()
    with pytest.raises(InputError, match="cache_control"):
        Intake(One()).add(line)


@pytest.mark.parametrize("name", ACCEPTED)
def test_blocks(name: str) -> None:
    """Both see the same blocks in the same order."""
    assert len(ours()[name].path) == PLANS[name]["blocks"]


@pytest.mark.parametrize("name", ACCEPTED)
def test_breakpoints(name: str) -> None:
    """Both find the same breakpoints, the automatic one included, with the same lifetimes."""
    theirs = [(mark["position"], mark["seconds"]) for mark in PLANS[name]["breakpoints"]]
    assert [mark[:2] for mark in ours()[name].breakpoints] == theirs


@pytest.mark.parametrize("name", ACCEPTED)
def test_reach(name: str) -> None:
    """Both look back over the same blocks, but for the listed reasons."""
    theirs = [mark["reach"] for mark in PLANS[name]["breakpoints"]]
    same = [mark[2] for mark in ours()[name].breakpoints] == theirs
    assert same == (name not in REACH_HERE)


@pytest.mark.parametrize("name", VARIANTS)
def test_shared_prefix(name: str) -> None:
    """A variant shares with its original what litellm says it shares; where more is shared
    here, the reason is listed.
    """
    mine, theirs = shared(name, PLANS[name]["like"]), PLANS[name]["shared"]
    if name in SHARED_HERE:
        assert mine > theirs
    else:
        assert mine == theirs


def test_lists_name_bodies() -> None:
    """No list names a body that was not recorded."""
    assert {*UNREAD, *REFUSED_HERE, *SHARED_HERE, *REACH_HERE} <= set(PLANS)
