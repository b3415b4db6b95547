"""A workload played through with something changed: other marks, calls more, another order.

Advice is priced by nothing else. What nobody states of a model is replaced by a stand-in,
so that a change can still be judged; its name is kept, and no money is said of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final, NamedTuple

from cacheplan.errors import RejectedError
from cacheplan.facts import BREAKPOINTS
from cacheplan.prices import Rate, Sheet, Tariff
from cacheplan.projection import Marker
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.simulator import SimulatedCache
from cacheplan.usage import Usage
from cacheplan.workload import Call, Workload

__all__ = ["Cost", "Rehearsal", "Step", "marked"]

#: The ratios of most models, where those of one are unknown.
_STAND_IN: Final = Rate(
    uncached=Decimal(1),
    write_5m=Decimal("1.25"),
    write_1h=Decimal(2),
    read=Decimal("0.1"),
    output=Decimal(0),
)


class Step(NamedTuple):
    """One call and the breakpoints it goes out with."""

    call: Call
    marks: Sequence[Breakpoint]


class Cost(NamedTuple):
    """What prompts cost, and how many calls the service would refuse, which cost nothing."""

    dollars: Decimal
    refused: int = 0


class Rehearsal:
    """Serves variations of one workload, each in a cache that begins empty."""

    def __init__(self, workload: Workload, sheet: Sheet) -> None:
        self.workload = workload
        self._sheet = sheet
        self._unknown: dict[Tariff, bool] = {}

    def steps(self, marker: Marker) -> list[Step]:
        """Ask a policy once for every call, in time order."""
        return [Step(call, marker(call)) for call in self.workload]

    def serve(self, steps: Iterable[Step], *, readable_at_once: bool = False) -> list[Usage | None]:
        """Serve calls in time order; ``None`` is one that would be refused.

        ``readable_at_once`` is a service whose entries need not wait for a first token.
        """
        assume = self.workload.assume
        if readable_at_once:
            assume = replace(assume, visible="start")
        serve = SimulatedCache(self.workload.tree, self.floor, assume).serve
        used: list[Usage | None] = []
        for call, marks in steps:
            try:
                used.append(serve(call, marks))
            except RejectedError:
                used.append(None)
        return used

    def cost(self, steps: Sequence[Step]) -> Cost:
        """Serve calls and price their prompts."""
        used = self.serve(steps)
        sums: dict[int, tuple[Rate, Usage]] = {}
        for (call, _), usage in zip(steps, used, strict=True):
            if usage is not None:
                rate = self.rate(call, usage.prompt)
                # A sheet makes each rate once, and comparing five prices takes long.
                _, before = sums.get(id(rate), (rate, Usage()))
                sums[id(rate)] = (rate, before + usage)
        dollars = sum((rate.input_cost(usage) for rate, usage in sums.values()), Decimal())
        return Cost(dollars, used.count(None))

    def rate(self, call: Call, prompt_tokens: int | None = None) -> Rate:
        """Return the price of a call, or the stand-in."""
        tokens = self.workload.prompt_tokens(call) if prompt_tokens is None else prompt_tokens
        return self._sheet.rate(call.tariff, call.at, tokens) or _STAND_IN

    def floor(self, tariff: Tariff) -> int:
        """Return the shortest prefix that is cached; 1 stands in where nobody knows."""
        assume = self.workload.assume
        return self._sheet.minimum(tariff.model, tariff.platform, assume) or 1

    def unknown(self, calls: Iterable[Call]) -> list[str]:
        """Return the models among these of which no money can be said."""
        found: dict[str, None] = {}
        for call in calls:
            if call.tariff not in self._unknown:
                minimum = self._sheet.minimum(
                    call.tariff.model, call.tariff.platform, self.workload.assume
                )
                rate = self._sheet.rate(call.tariff, call.at, self.workload.prompt_tokens(call))
                self._unknown[call.tariff] = minimum is None or rate is None
            if self._unknown[call.tariff]:
                found[call.tariff.model] = None
        return list(found)


def marked(
    marks: Sequence[Breakpoint], node: int, lifetime: Lifetime | None
) -> Sequence[Breakpoint]:
    """Return breakpoints with one set (or, for ``None``, taken away).

    What comes after a 5-minute one cannot be an hour, and what comes before an hour must
    be one. Where all slots are taken, nothing is changed.
    """
    found = {mark.node: mark.lifetime for mark in marks}
    if lifetime is None:
        found.pop(node, None)
    else:
        found[node] = lifetime
        found |= {other: lifetime for other in found if _follows(other, node, lifetime)}
    if len(found) > BREAKPOINTS:
        return marks
    return _in_order(found)


def _follows(other: int, node: int, lifetime: Lifetime) -> bool:
    """Tell whether another breakpoint has to take the lifetime of this one."""
    return other < node if lifetime is Lifetime.ONE_HOUR else other > node


def _in_order(found: Mapping[int, Lifetime]) -> tuple[Breakpoint, ...]:
    return tuple(Breakpoint(node, found[node]) for node in sorted(found))
