"""Workloads sketched by hand: what calls share, what is their own, and when they come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from cacheplan.breakevens import Ratios
from cacheplan.prefixes import PrefixTree, Scope
from cacheplan.prices import Sheet, Tariff
from cacheplan.projection import cache_for
from cacheplan.prompt import Block, Breakpoint, Level, Lifetime
from cacheplan.workload import Call, Workload

__all__ = ["MODEL", "TODAY", "Sketch", "cost_in_tokens", "ratios", "sheet"]

#: A model that only the sheets made here know; any prefix of it is long enough.
MODEL = "sketch"


def ratios(read: str, short: str = "1.25", long: str = "2") -> Ratios:
    """Spell out price ratios."""
    return Ratios(Fraction(read), Fraction(short), Fraction(long))


#: What most models charge.
TODAY = ratios("0.1")


def sheet(read: str = "0.1") -> Sheet:
    """Return prices at which an uncached token costs a millionth of a dollar."""
    row = {"uncached": 1, "write_5m": 1.25, "write_1h": 2, "read": float(read), "output": 5}
    return Sheet.default().override([{"model": MODEL, "minimum": 1, **row}])


class Sketch:
    """Prompts by the names of their blocks, in one tree."""

    def __init__(self, model: str = MODEL) -> None:
        self.tree = PrefixTree()
        self.calls: list[Call] = []
        self._model = model

    def node(self, blocks: Iterable[tuple[str, int]], surface: str = "messages") -> int:
        """Return the prefix of these blocks; the first is the system prompt."""
        node = self.tree.root(Scope(self._model, "anthropic", surface, ""))
        for at, (name, tokens) in enumerate(blocks):
            level = Level.MESSAGES if at else Level.SYSTEM
            digest = name.encode().ljust(16)
            block = Block(level=level, kind="text", digest=digest, tokens=tokens)
            node = self.tree.child(node, self.tree.intern(block))
        self.tree.measure()
        return node

    def call(self, at: float, *blocks: tuple[str, int], **more: Any) -> int:
        """Add a call and return its prompt."""
        surface = more.pop("surface", "messages")
        tip = self.node(blocks, surface)
        tariff = Tariff(self._model, surface=surface)
        self.calls.append(Call(at=at, tip=tip, tariff=tariff, number=len(self.calls), **more))
        return tip

    def workload(self) -> Workload:
        """Return the calls in time order."""
        return Workload(tree=self.tree, calls=sorted(self.calls, key=lambda call: call.at))


def cost_in_tokens(
    times: Sequence[float],
    prices: Ratios,
    lifetime: Lifetime | None,
    *,
    read: str = "0.1",
) -> Fraction:
    """Serve calls of one block of one token each; return what they cost in uncached tokens."""
    sketch = Sketch()
    for at in times:
        sketch.call(at, ("all", 1), first_token_after=0.0)
    serve = cache_for(sketch.workload(), sheet(read)).serve
    total = Fraction()
    for call in sketch.calls:
        marks = () if lifetime is None else (Breakpoint(call.tip, lifetime),)
        usage = serve(call, marks)
        total += usage.uncached + prices.short * usage.write_5m
        total += prices.long * usage.write_1h + prices.read * usage.read
    return total


#: One millionth of a dollar: what a token costs uncached.
TOKEN = Decimal("0.000001")
