"""Trials: what calls would cost if their places were marked so, by serving them.

Everything about a call that does not depend on the rules is worked out once, because a
choice serves the same calls some dozen times.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from cacheplan.errors import RejectedError
from cacheplan.lanes import LaneKey, kind_of, lanes_of
from cacheplan.places import Places, turn_before
from cacheplan.plan import placed
from cacheplan.prices import Rate, Sheet
from cacheplan.projection import cache_for
from cacheplan.prompt import Lifetime
from cacheplan.workload import Call, Workload

__all__ = ["Prices", "Rules", "Trial", "Trials"]

#: What a lane does at each of its places.
Rules = dict[str, Lifetime | None]
#: Dollars per token: uncached, 5m, 1h, read.
Prices = tuple[float, float, float, float]


class Trial(NamedTuple):
    """One call, with everything about it that does not depend on the rules."""

    call: Call
    lane: LaneKey
    fixed: tuple[tuple[str, int], ...]
    tail: str
    #: The longest prefix that can carry a mark, -1 if none can.
    tip: int
    #: Where the call before this one ended, -1 if no mark can stand there.
    before: int
    prices: Prices


class Trials:
    """The calls of a workload, ready to be served under one set of rules after another."""

    def __init__(self, workload: Workload, sheet: Sheet) -> None:
        self._workload = workload
        self._sheet = sheet
        self._cache = cache_for(workload, sheet)
        self.lanes = lanes_of(workload)
        self.all = list(self._prepared())
        #: By lane: the calls whose bill its rules can change.
        self.touched = self._grouped()

    def cost(
        self,
        rules: Mapping[LaneKey, Rules],
        own: Mapping[int, Lifetime | None],
        calls: Sequence[Trial] | None = None,
    ) -> float:
        """Return what prompts cost under some rules; a refused call makes them worthless."""
        self._cache.clear()
        serve = self._cache.serve
        total = 0.0
        for trial in self.all if calls is None else calls:
            marks = placed(
                rules[trial.lane], trial.fixed, own, (trial.tail, trial.tip), trial.before
            )
            try:
                usage = serve(trial.call, marks)
            except RejectedError:
                return float("inf")
            uncached, short, long, read = trial.prices
            total += (
                usage.uncached * uncached
                + usage.write_5m * short
                + usage.write_1h * long
                + usage.read * read
            )
        return total

    def _prepared(self) -> Iterator[Trial]:
        """Work out once what every trial needs of each call."""
        tree, places = self._workload.tree, Places.of(self._workload.tree)
        tips: set[int] = set()
        for call in self._workload:
            tip = tree.markable(call.tip)
            before = turn_before(tree, call.tip, tips)
            tips.add(call.tip)
            rate = self._sheet.rate(call.tariff, call.at, self._workload.prompt_tokens(call))
            yield Trial(
                call,
                self.lanes[kind_of(call)],
                places.fixed(call.tip),
                places.tail(call.tip),
                tip,
                before if before >= 0 and not tree.unmarkable[before] else -1,
                _prices(rate),
            )

    def _grouped(self) -> dict[LaneKey, list[Trial]]:
        """Put lanes that share prefixes together: their rules act on one another."""
        group = {lane: lane for lane in self.lanes.values()}

        def root(lane: LaneKey) -> LaneKey:
            while group[lane] != lane:
                lane = group[lane]
            return lane

        owner: dict[int, LaneKey] = {}
        for trial in self.all:
            for node in (*(node for _, node in trial.fixed), trial.tip):
                other = owner.setdefault(node, trial.lane)
                if other != trial.lane:
                    group[root(trial.lane)] = root(other)
        calls: dict[LaneKey, list[Trial]] = {}
        for trial in self.all:
            calls.setdefault(root(trial.lane), []).append(trial)
        return {lane: calls[root(lane)] for lane in group}


def _prices(rate: Rate | None) -> Prices:
    """Return dollars per token as floats; where nobody knows them, the usual ratios.

    A plan's structure is worth having even where money is unknown.
    """
    if rate is None:
        return 1.0, 1.25, 2.0, 0.1
    return float(rate.uncached), float(rate.write_5m), float(rate.write_1h), float(rate.read)
