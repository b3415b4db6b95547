"""Toy workloads for bounds and hindsight, and the best there is on them, by trying all.

Every way to place breakpoints is tried through the simulator itself, so that the best is
exact under any reading of the service's behaviour. States of the cache that several ways
lead to are gone on from once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import combinations
from random import Random
from typing import Any

from hypothesis import strategies as st

from cacheplan.assumptions import Assumptions
from cacheplan.prefixes import PrefixTree, Scope
from cacheplan.prices import Sheet, Tariff
from cacheplan.projection import Marker, cache_for, project
from cacheplan.prompt import Block, Breakpoint, Level, Lifetime
from cacheplan.workload import Call, Workload

__all__ = [
    "GAPS",
    "MODEL",
    "REFUSES",
    "SHEET",
    "UNIT",
    "Toy",
    "best",
    "conversation",
    "cost",
    "family",
    "markings",
    "one_prompt",
    "toys",
    "workload",
]

MODEL = "claude-sonnet-4-5"
#: Prices per Mtok of 1, 1.25, 2 and 0.1 times 3 dollars.
SHEET = Sheet.default()
#: Dollars of one uncached token; costs are told in multiples of it.
UNIT = Decimal("0.000003")
_SHORT, _LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR

#: When a call starts, and the names and lengths of its blocks. Blocks of one name and
#: length are one block.
Toy = tuple[float, Sequence[tuple[str, int]]]

#: Seconds between two calls: in each class of gaps, and on the edges.
GAPS = (0, 1, 60, 250, 299, 300, 400, 1000, 2000, 3599, 3600, 4000)
SIZES = (1, 10, 100, 300)
NAMES = "abcdefgh"
#: A block of this name is thinking, which takes no breakpoint.
REFUSES = "r"


def workload(
    toys: Sequence[Toy],
    *,
    waits: float = 0.0,
    minimum: int = 0,
    model: str = MODEL,
    **answers: Any,
) -> Workload:
    """Make a workload of prompts spelled out; every prefix can be cached unless told."""
    assume = Assumptions(minimums=((model, minimum),), **answers)
    tree = PrefixTree()
    calls = []
    for number, (at, blocks) in enumerate(toys):
        node = tree.root(Scope(model, "anthropic", "messages", ""))
        for name, tokens in blocks:
            block = Block(
                level=Level.MESSAGES,
                kind="thinking" if name == REFUSES else "text",
                digest=f"{name}/{tokens}".encode(),
                tokens=tokens,
                refuses="thinking" if name == REFUSES else "",
            )
            node = tree.child(node, tree.intern(block))
        calls.append(
            Call(at=at, tip=node, tariff=Tariff(model), first_token_after=waits, number=number)
        )
    tree.measure()
    return Workload(tree=tree, calls=calls, assume=assume)


def one_prompt(*times: float, tokens: int = 1000, **answers: Any) -> Workload:
    """Make a workload that sends the same one-block prompt again and again."""
    return workload([(at, [("a", tokens)]) for at in times], **answers)


def conversation(gaps: Sequence[float], sizes: Sequence[int], **answers: Any) -> Workload:
    """Make a workload in which each prompt goes on from the one before it."""
    toys: list[Toy] = []
    at, blocks = 0.0, list[tuple[str, int]]()
    for number, (gap, size) in enumerate(zip(gaps, sizes, strict=True)):
        at += gap
        blocks = [*blocks, (str(number), size)]
        toys.append((at, blocks))
    return workload(toys, **answers)


def family(rng: Random, calls: int, *, deepest: int = 4, gaps: Sequence[float] = GAPS) -> list[Toy]:
    """Make prompts that go on from earlier ones, part from them, or begin anew."""
    at, made = 0.0, list[Toy]()
    for _ in range(calls):
        at += rng.choice(gaps)
        before = list(rng.choice(made)[1]) if made and rng.random() < 0.8 else []
        blocks = before[: rng.randint(0, len(before))]
        for _ in range(rng.randint(0 if blocks else 1, 2)):
            if len(blocks) < deepest:
                blocks.append((rng.choice(NAMES), rng.choice(SIZES)))
        made.append((at, blocks))
    return made


@st.composite
def toys(draw: st.DrawFn, most: int = 4, deepest: int = 3) -> list[Toy]:
    """Draw such prompts, few enough for trying everything."""
    rng = draw(st.randoms(use_true_random=False))
    return family(rng, draw(st.integers(1, most)), deepest=deepest)


def cost(workload: Workload, marker: Marker, sheet: Sheet = SHEET) -> Decimal:
    """Return what prompts cost with marks that the service accepts, in uncached tokens."""
    projection = project(workload, marker, sheet, "toy")
    assert not projection.rejected
    assert projection.input_cost is not None
    return projection.input_cost / UNIT


def markings(workload: Workload, call: Call) -> Iterator[tuple[Breakpoint, ...]]:
    """Yield every way to mark one call that the service accepts."""
    path = [node for node in workload.tree.path(call.tip) if not workload.tree.unmarkable[node]]
    for number in range(min(4, len(path)) + 1):
        for nodes in combinations(path, number):
            for hours in range(number + 1):
                lifetimes = [_LONG] * hours + [_SHORT] * (number - hours)
                yield tuple(map(Breakpoint, nodes, lifetimes))


def best(
    workload: Workload,
    sheet: Sheet = SHEET,
    ways: Callable[[Workload, Call], Iterator[tuple[Breakpoint, ...]]] = markings,
) -> Decimal:
    """Return the least that prompts can cost, in uncached tokens, by trying everything."""
    cache = cache_for(workload, sheet)
    cache._grow()
    states = {(tuple(cache._ready), tuple(cache._dead), tuple(cache._lives)): Decimal(0)}
    for call in workload:
        after: dict[Any, Decimal] = {}
        for before, spent in states.items():
            for marks in ways(workload, call):
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
