"""Trials: what calls would cost if their places were marked so, by serving them.

Everything about a call that does not depend on the rules is worked out once, because a
choice serves the same calls some dozen times. And calls that can never see each other's
entries are kept apart, because a rule acts on the bill of its own group alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from cacheplan.endings import endings
from cacheplan.errors import RejectedError
from cacheplan.lanes import LaneKey, kind_of, lanes_of
from cacheplan.places import BEFORE, Places, turn_before
from cacheplan.plan import placed
from cacheplan.prices import Rate, Sheet
from cacheplan.projection import cache_for
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.workload import Call, Workload

__all__ = ["Group", "Prices", "Rules", "Trial", "Trials"]

#: What a lane does at each of its places.
Rules = dict[str, Lifetime | None]
#: Dollars per token: uncached, 5m, 1h, read.
Prices = tuple[float, float, float, float]

_DEAR: Final = float("inf")
#: Sums of the same numbers in another order differ by less.
_ROUNDED: Final = 1 - 1e-9
#: From here on numbers stand for the prefixes that move, in order.
_MOVING: Final = 1 << 62


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
    #: The prefixes of the places that move with the conversation, in order.
    moving: tuple[int, ...]
    #: The same number for calls that are marked alike but for what moves; -1 where that
    #: stands among the other places.
    alike: int


class Group(NamedTuple):
    """Calls whose entries no other call can see, and the lanes they belong to."""

    lanes: tuple[LaneKey, ...]
    trials: list[Trial]
    #: By call: what those after it cost at least, however they are marked.
    least: list[float]


class Trials:
    """The calls of a workload, ready to be served under one set of rules after another."""

    def __init__(self, workload: Workload, sheet: Sheet) -> None:
        self._workload = workload
        self._sheet = sheet
        #: What a bill depends on besides the calls.
        self.priced_by = (sheet, workload.assume)
        self._cache = cache_for(workload, sheet)
        self._alike: dict[tuple[LaneKey, tuple[tuple[str, int], ...], tuple[str, ...]], int] = {}
        self.lanes = lanes_of(workload)
        self.all = list(self._prepared())
        self.groups = self._grouped()

    def cost(
        self,
        rules: Mapping[LaneKey, Rules],
        own: Mapping[int, Lifetime | None],
        group: Group,
        most: float = _DEAR,
    ) -> float:
        """Return what a group costs under some rules; a refused call makes them worthless.

        What is going to cost more than ``most`` is worthless as well, and not looked at any
        further.
        """
        self._cache.clear()
        serve = self._cache.serve
        known: dict[int, tuple[tuple[Breakpoint, ...], list[tuple[int, Lifetime]]]] = {}
        total = 0.0
        for trial, least in zip(group.trials, group.least, strict=True):
            call, moving, alike = trial[0], trial[7], trial[8]
            if alike < 0 or (own and not own.keys().isdisjoint(moving)):
                marks = marks_of(trial, rules[trial.lane], own)
            else:
                found = known.get(alike)
                if found is None:
                    found = known[alike] = _pattern(trial, rules[trial.lane], own)
                marks, ends = found
                if ends:
                    marks = (*marks, *[Breakpoint(moving[at], kept) for at, kept in ends])
            try:
                usage = serve(call, marks)
            except RejectedError:
                return _DEAR
            uncached, short, long, read = trial[6]
            total += (
                usage.uncached * uncached
                + usage.write_5m * short
                + usage.write_1h * long
                + usage.read * read
            )
            if total + least > most:
                return _DEAR
        return total

    def _prepared(self) -> Iterator[Trial]:
        """Work out once what every trial needs of each call."""
        tree, places = self._workload.tree, Places.of(self._workload.tree)
        tips: set[int] = set()
        left_out = endings(self._workload, self.lanes)
        for call in self._workload:
            tip = tree.markable(call.tip)
            before = turn_before(tree, call.tip, tips)
            tips.add(call.tip)
            if before >= 0 and tree.unmarkable[before]:
                before = -1
            rate = self._sheet.rate(call.tariff, call.at, self._workload.prompt_tokens(call))
            lane, still = self.lanes[kind_of(call)], places.fixed(call.tip)
            tail, fixed = places.tail(call.tip), still
            moves = [(BEFORE, before), (tail, tip)]
            if lane in left_out and (back := places.back(call.tip, left_out[lane])) >= 0:
                moves.append((left_out[lane], back))
                fixed = (*still, moves[-1])
            ends = sorted((node, name) for name, node in moves if node >= 0)
            moving, names = zip(*ends, strict=True) if ends else ((), ())
            alike = -1
            if len(set(moving)) == len(moving) and (not still or still[-1][1] < moving[0]):
                alike = self._alike.setdefault((lane, still, names), len(self._alike))
            prices = _prices(rate)
            yield Trial(call, lane, fixed, tail, tip, before, prices, moving, alike)

    def _grouped(self) -> list[Group]:
        """Put lanes together whose calls can see each other's entries.

        An entry stands where some call may be marked, on a prefix that is long enough. Two
        calls that have such a prefix in common have the shortest one in common.
        """
        group = {lane: lane for lane in self.lanes.values()}

        def root(lane: LaneKey) -> LaneKey:
            while group[lane] != lane:
                lane = group[lane]
            return lane

        shortest = self._shortest()
        owner: dict[object, LaneKey] = {}
        for trial in self.all:
            for name in self._shares(trial, shortest):
                group[root(trial.lane)] = root(owner.setdefault(name, trial.lane))
        together: dict[LaneKey, list[Trial]] = {}
        for trial in self.all:
            together.setdefault(root(trial.lane), []).append(trial)
        return [
            Group(tuple(lane for lane in group if root(lane) == one), trials, self._least(trials))
            for one, trials in together.items()
        ]

    def _least(self, trials: Sequence[Trial]) -> list[float]:
        """Add up from the end what calls cost if all is read that was sent before."""
        checked = self._workload.assume.thinking_check != "ignore"
        tokens, costs = self._workload.tree.tokens, list[float]()
        for trial, known in zip(trials, self._sent_before(trials), strict=True):
            # Who gets an error is not charged, nor is thinking that the service drops.
            free = checked or trial.call.failed
            new = self._workload.prompt_tokens(trial.call) - tokens[known]
            cost = tokens[known] * min(trial.prices) + new * min(trial.prices[:3])
            costs.append(0.0 if free else cost)
        return [least * _ROUNDED for least in [*accumulate(reversed(costs))][-2::-1]] + [0.0]

    def _sent_before(self, trials: Sequence[Trial]) -> Iterator[int]:
        """Say call by call which prefix of it was sent before: no longer one can be read."""
        parent, sent = self._workload.tree.parent, set[int]()

        def send(node: int) -> int:
            while node not in sent and parent[node] >= 0:
                sent.add(node)
                node = parent[node]
            return node

        for trial in trials:
            yield send(trial.call.tip)
            for node in trial.call.rounds:
                send(node)

    def _shares(self, trial: Trial, shortest: Sequence[int]) -> Iterator[object]:
        """Name whatever a call may have in common with others."""
        for node in (trial.call.tip, *trial.call.rounds):
            if shortest[node] >= 0:
                yield shortest[node]
        surface, assume = trial.call.tariff.surface, self._workload.assume
        # Which entries are still there depends on how many were found before.
        if (assume.batch_hit_rate if surface == "batch" else assume.hit_rate) < 1:
            yield surface

    def _shortest(self) -> list[int]:
        """Return by prefix the shortest one of it that can have an entry, -1 if none can."""
        tree, assume = self._workload.tree, self._workload.assume
        entries = bytearray(len(tree))
        for trial in self.all:
            tariff = trial.call.tariff
            least = self._sheet.minimum(tariff.model, tariff.platform, assume)
            nodes = [*(node for _, node in trial.fixed), trial.tip, trial.before]
            for node in (*nodes, *trial.call.rounds):
                if node >= 0 and least is not None and tree.tokens[node] >= least:
                    entries[node] = 1
            # Where nobody says who speaks, a prompt says where the turns of others end.
            if not tree.role[tree.block[trial.call.tip]]:
                entries[trial.call.tip] = 1
        shortest: list[int] = []
        for node, above in enumerate(tree.parent):
            up = shortest[above] if above >= 0 else -1
            shortest.append(node if up < 0 and entries[node] else up)
        return shortest


def marks_of(
    trial: Trial, rules: Rules, own: Mapping[int, Lifetime | None]
) -> tuple[Breakpoint, ...]:
    """Return where a call is marked under some rules."""
    return placed(rules, trial.fixed, own, (trial.tail, trial.tip), trial.before)


def _pattern(
    trial: Trial, rules: Rules, own: Mapping[int, Lifetime | None]
) -> tuple[tuple[Breakpoint, ...], list[tuple[int, Lifetime]]]:
    """Return the marks that stand still, and which of the places that move have one."""
    rank = {node: _MOVING + at for at, node in enumerate(trial.moving)}
    fixed = [(place, rank.get(node, node)) for place, node in trial.fixed]
    before, tip = rank.get(trial.before, -1), rank.get(trial.tip, -1)
    marks = placed(rules, fixed, own, (trial.tail, tip), before)
    still = tuple(mark for mark in marks if mark.node < _MOVING)
    return still, [(node - _MOVING, kept) for node, kept in marks[len(still) :]]


def _prices(rate: Rate | None) -> Prices:
    """Return dollars per token as floats; where nobody knows them, the usual ratios.

    A plan's structure is worth having even where money is unknown.
    """
    if rate is None:
        return 1.0, 1.25, 2.0, 0.1
    return float(rate.uncached), float(rate.write_5m), float(rate.write_1h), float(rate.read)
