"""Toy workloads for bounds and hindsight, and the best there is on them, by trying all.

Every way to place breakpoints is tried through the simulator itself, so that the best is
exact under any reading of the service's behaviour. States of the cache that several ways
lead to are gone on from once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import combinations
from typing import Any

from cacheplan.assumptions import Assumptions
from cacheplan.prefixes import PrefixTree, Scope
from cacheplan.prices import Sheet, Tariff
from cacheplan.projection import cache_for, project
from cacheplan.prompt import Block, Breakpoint, Level, Lifetime
from cacheplan.workload import Call, Workload

__all__ = ["MODEL", "UNIT", "best", "cost", "one_prompt", "workload"]

MODEL = "claude-sonnet-4-5"
#: Dollars of one uncached token; costs are told in multiples of it.
UNIT = Decimal("0.000003")
_SHORT, _LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR

#: When a call starts, and the names and lengths of its blocks. Blocks of one name and
#: length are one block.
Toy = tuple[float, Sequence[tuple[str, int]]]


def workload(
    toys: Sequence[Toy], *, waits: float = 0.0, minimum: int = 0, **answers: Any
) -> Workload:
    """Make a workload of prompts spelled out; every prefix can be cached unless told."""
    assume = Assumptions(minimums=((MODEL, minimum),), **answers)
    tree = PrefixTree()
    calls = []
    for number, (at, blocks) in enumerate(toys):
        node = tree.root(Scope(MODEL, "anthropic", "messages", ""))
        for name, tokens in blocks:
            digest = f"{name}/{tokens}".encode()
            block = Block(level=Level.MESSAGES, kind="text", digest=digest, tokens=tokens)
            node = tree.child(node, tree.intern(block))
        calls.append(
            Call(
                at=at,
                tip=node,
                tariff=Tariff(MODEL),
                first_token_after=waits,
                number=number,
            )
        )
    tree.measure()
    return Workload(tree=tree, calls=calls, assume=assume)


def one_prompt(*times: float, tokens: int = 1000, **answers: Any) -> Workload:
    """Make a workload that sends the same one-block prompt again and again."""
    return workload([(at, [("a", tokens)]) for at in times], **answers)


def cost(workload: Workload, marker: Any) -> Decimal:
    """Return what prompts cost with these marks, in uncached tokens."""
    projection = project(workload, marker, Sheet.default(), "toy")
    assert projection.input_cost is not None
    assert not projection.rejected
    return projection.input_cost / UNIT


def markings(workload: Workload, call: Call, slots: int) -> Iterator[tuple[Breakpoint, ...]]:
    """Yield every way to mark one call that the service accepts."""
    path = [node for node in workload.tree.path(call.tip) if not workload.tree.unmarkable[node]]
    for number in range(min(slots, len(path)) + 1):
        for nodes in combinations(path, number):
            for hours in range(number + 1):
                lifetimes = [_LONG] * hours + [_SHORT] * (number - hours)
                yield tuple(map(Breakpoint, nodes, lifetimes))


def best(workload: Workload, slots: int = 4) -> Decimal:
    """Return the least that prompts can cost, in uncached tokens, by trying everything."""
    sheet = Sheet.default()
    cache = cache_for(workload, sheet)
    cache.serve(workload.calls[0], ())
    state = (tuple(cache._ready), tuple(cache._dead), tuple(cache._lives))
    states = {state: Decimal(0)}
    for call in workload:
        after: dict[Any, Decimal] = {}
        ways = list(markings(workload, call, slots))
        for before, spent in states.items():
            for marks in ways:
                cache._ready, cache._dead, cache._lives = map(list, before)
                usage = cache.serve(call, marks)
                rate = sheet.rate(call.tariff, call.at, usage.prompt)
                assert rate is not None
                total = spent + rate.input_cost(usage)
                state = (tuple(cache._ready), tuple(cache._dead), tuple(cache._lives))
                if total < after.get(state, Decimal("inf")):
                    after[state] = total
        states = after
    return min(states.values()) / UNIT
