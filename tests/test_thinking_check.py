"""The preserved-thinking check: what a replayed thinking block costs after its prefix changed."""

from __future__ import annotations

import pytest

from cacheplan.assumptions import Assumptions
from cacheplan.errors import RejectedError
from cacheplan.prefixes import PrefixTree, Scope
from cacheplan.prices import Tariff
from cacheplan.prompt import Block, Breakpoint, Level, Lifetime
from cacheplan.simulator import SimulatedCache
from cacheplan.workload import Call

BOUND, FREE = "claude-opus-5-5", "claude-opus-4-5"


def conversation(tree: PrefixTree, model: str, system: str) -> int:
    """Return a prompt of system, question, thinking and result, 1,000 tokens each."""
    node = tree.root(Scope(model, "anthropic", "messages", ""))
    parts = (
        (system, Level.SYSTEM, "text", ""),
        ("question", Level.MESSAGES, "text", "user"),
        ("thought", Level.MESSAGES, "thinking", "assistant"),
        ("result", Level.MESSAGES, "tool_result", "user"),
    )
    for name, level, kind, role in parts:
        refuses = "thinking" if kind == "thinking" else ""
        block = Block(
            level=level, kind=kind, role=role, digest=name.encode(), tokens=1000, refuses=refuses
        )
        node = tree.child(node, tree.intern(block))
    tree.measure()
    return node


def serve(tree: PrefixTree, model: str, tip: int, check: str) -> int:
    """Serve one marked call and return its prompt tokens."""
    assume = Assumptions.parse([f"thinking_check={check}"])
    cache = SimulatedCache(tree, lambda _: 512, assume)
    call = Call(at=0.0, tip=tip, tariff=Tariff(model))
    usage = cache.serve(call, (Breakpoint(tip, Lifetime.FIVE_MINUTES),))
    cache.check()
    return usage.prompt


@pytest.mark.parametrize(("model", "tokens"), [(BOUND, 3000), (FREE, 4000)])
def test_a_block_behind_another_prefix_is_dropped_and_not_billed(model: str, tokens: int) -> None:
    """Under drop, thinking replayed behind a changed prefix is not billed on bound models."""
    tree = PrefixTree()
    assert serve(tree, model, conversation(tree, model, "old"), "drop") == 4000
    assert serve(tree, model, conversation(tree, model, "new"), "drop") == tokens


def test_a_block_behind_another_prefix_is_refused() -> None:
    """Under reject, the call that replays it is refused, and the one that made it is not."""
    tree = PrefixTree()
    made = conversation(tree, BOUND, "old")
    replayed = conversation(tree, BOUND, "new")
    assert serve(tree, BOUND, made, "reject") == 4000
    with pytest.raises(RejectedError, match="bound to the prefix"):
        serve(tree, BOUND, replayed, "reject")


def test_by_default_nobody_looks() -> None:
    """Without the check a replayed block is content like any other."""
    tree = PrefixTree()
    conversation(tree, BOUND, "old")
    assert serve(tree, BOUND, conversation(tree, BOUND, "new"), "ignore") == 4000
