"""What a person could do beside marking: keep prefixes alive, wait, change the order.

None of it is ever done by itself. What an option saves is found by serving the calls with
the option carried out. Savings are each against the plan as it is; they do not add up.
Only what costs most is looked at: ``PREFIXES`` shared prefixes and ``LANES`` kinds of
conversations. Where prices are unknown, the advice stands without money.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Final, Literal

from cacheplan.breakevens import Ratios, share_for_1h, share_for_5m
from cacheplan.frequencies import Frequency, break_evens, said
from cacheplan.keeping import WORTH, Keeper, Target
from cacheplan.lacking import lacks_in
from cacheplan.orders import Wait, batches, delayed, in_tree_order, prewarmed, waits
from cacheplan.pauses import nearest
from cacheplan.plan import Plan
from cacheplan.prefixes import PrefixTree
from cacheplan.prices import Sheet
from cacheplan.projection import Marker
from cacheplan.prompt import Level, Lifetime
from cacheplan.rehearsal import Cost, Rehearsal, Step, marked
from cacheplan.tables import count, dollars
from cacheplan.workload import Workload

__all__ = ["LANES", "PREFIXES", "Advice", "Kind", "advise", "break_evens_said"]

Kind = Literal["keep-alive", "pre-warm", "fan-out", "batch-order", "break-even"]

_SHORT, _LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR

#: Shared prefixes looked at, those first on whose misses most was spent. More than three
#: rarely matter, and each costs a handful of simulations.
PREFIXES: Final = 3
#: Kinds of conversations (a model and a label) looked at, likewise.
LANES: Final = 3
#: Calls that make a batch worth ordering.
_BATCH: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One thing to do or to know, and what it is worth."""

    kind: Kind
    #: A sentence or two that a person can follow.
    what: str
    #: Dollars saved on these calls by doing it; 0 where it was tried and does not pay.
    #: ``None`` where a price is unknown, and for a break-even, which changes nothing.
    saving: Decimal | None
    #: Seconds of calls that the saving is over.
    span: float
    #: The key of the prefix it is about (hex), ``None`` where it is about many.
    prefix: str | None = None

    @property
    def per_day(self) -> Decimal | None:
        """The saving a day, where the calls are spread over an hour at least."""
        if self.saving is None or self.span < _LONG.seconds:
            return None
        return self.saving * (24 * 3600) / Decimal(str(self.span))

    def __str__(self) -> str:
        """Say it in a line."""
        money = f" Saves {dollars(self.saving)}." if self.saving else ""
        return f"{self.kind}: {self.what}{money}"


def advise(workload: Workload, plan: Plan | Marker, sheet: Sheet) -> tuple[Advice, ...]:
    """Return what could be done beside a plan (or a policy's marks), the dearest first.

    All of it is about moments, so there is none where some calls do not say theirs.
    """
    if "times" in lacks_in(workload):
        return ()
    marker = plan.marker(workload.tree) if isinstance(plan, Plan) else plan
    found = list(_Adviser(workload, marker, sheet).all())
    return tuple(sorted(found, key=lambda advice: -(advice.saving or 0)))


def break_evens_said(workload: Workload, sheet: Sheet) -> list[str]:
    """Say, of each planned feature, from what rate on marks pay and what is planned."""
    lines = []
    for expected in workload.expected:
        rate = sheet.rate(expected.tariff, None, 0)
        ratios = None if rate is None else Ratios.of(rate)
        if ratios is not None:
            frequency = Frequency(
                expected.calls_per_hour, expected.arrivals, expected.turns, expected.turn_gap
            )
            words = said(ratios, frequency, hours=expected.hours).replace("\n", " ")
            lines.append(f"{expected.name}: {words}")
    return lines


class _Adviser:
    """Looks at one workload under one set of marks."""

    def __init__(self, workload: Workload, marker: Marker, sheet: Sheet) -> None:
        self._workload = workload
        self._tree = workload.tree
        self._rehearsal = Rehearsal(workload, sheet)
        self._steps = self._rehearsal.steps(marker)
        self._usage = self._rehearsal.serve(self._steps)
        self._roots = _roots(self._tree)
        self._through = _through(self._tree, self._steps)

    def all(self) -> Iterator[Advice]:
        """Yield everything there is to say."""
        keeper = Keeper(self._rehearsal, self._steps, self._roots)
        for target in (*self._shared(self._missed), *self._conversations()):
            verdict = keeper.verdict(target)
            if verdict is not None:
                yield self._advice("keep-alive", verdict.what, verdict.saving, target)
        yield from self._waiting()
        yield from self._ordering()
        for target in self._shared(self._used):
            yield from self._break_even(target)

    # --- which prefixes ------------------------------------------------------------------

    def _shared(self, weigh: Callable[[int, int], float]) -> Iterator[Target]:
        """Yield the shared prefixes that weigh most, none of them part of another."""
        tree = self._tree
        near = nearest(tree, _forks(tree, self._through, self._steps))
        weights: dict[int, float] = {}
        for number, step in enumerate(self._steps):
            floor = self._rehearsal.floor(step.call.tariff)
            node = near[step.call.tip]
            while node >= 0 and tree.tokens[node] >= floor:
                weights[node] = weights.get(node, 0.0) + weigh(number, node)
                node = near[tree.parent[node]]
        for node in _apart(tree, weights, PREFIXES):
            inside = nearest(tree, [node])
            yield Target(self._name(node), [inside[step.call.tip] for step in self._steps], node)

    def _missed(self, number: int, node: int) -> float:
        """Return what a call paid for not reading all of a prefix, in dollars."""
        step, usage = self._steps[number], self._usage[number]
        if usage is None or step.call.tariff.surface == "batch":
            return 0.0
        tokens = max(self._tree.tokens[node] - usage.read, 0)
        return tokens * float(self._rehearsal.rate(step.call).uncached)

    def _used(self, number: int, node: int) -> float:
        """Return what a prefix would cost a call without marks, in dollars."""
        return self._tree.tokens[node] * float(
            self._rehearsal.rate(self._steps[number].call).uncached
        )

    def _name(self, node: int) -> str:
        """Say which prefix this is."""
        tree = self._tree
        words = {Level.TOOLS: "tools", Level.SYSTEM: "system", Level.MESSAGES: "shared"}
        kind, key = words[tree.level[tree.block[node]]], tree.key(node).hex()[:8]
        tokens = count(tree.tokens[node])
        return f"the {kind} prefix {key} of {tree.scope(node).model} ({tokens} tokens)"

    def _conversations(self) -> Iterator[Target]:
        """Yield the lanes in which most was paid for what an earlier turn had sent."""
        lanes: dict[tuple[str, str | None], float] = {}
        ends = [self._end(step) for step in self._steps]
        near = nearest(self._tree, {node for node in ends if node >= 0})
        of = [(step.call.tariff.model, step.call.label) for step in self._steps]
        for number, step in enumerate(self._steps):
            above = self._tree.parent[step.call.tip]
            if above >= 0 and near[above] >= 0:
                lanes[of[number]] = lanes.get(of[number], 0.0) + self._missed(number, near[above])
        for lane in sorted(lanes, key=lambda lane: -lanes[lane])[:LANES]:
            nodes = [end if own == lane else -1 for end, own in zip(ends, of, strict=True)]
            yield Target("conversations of " + " / ".join(filter(None, reversed(lane))), nodes)

    def _end(self, step: Step) -> int:
        """Return the longest prefix of a call that could be kept alive, -1 if none."""
        node, tariff = self._tree.markable(step.call.tip), step.call.tariff
        if node < 0 or tariff.surface == "batch":
            return -1
        return node if self._tree.tokens[node] >= self._rehearsal.floor(tariff) else -1

    # --- waiting, and order --------------------------------------------------------------

    def _waiting(self) -> Iterator[Advice]:
        """Yield what calls that start together cost, and two ways out of it."""
        plans = [self._steps, self._with_shared(_SHORT)]
        found = [(steps, waits(self._rehearsal, steps)) for steps in plans]
        if not any(late for _, late in found):
            return
        now = _least([self._rehearsal.cost(steps) for steps in plans])
        late = max((late for _, late in found), key=len)
        what = {
            "calls": count(len(late)),
            "times": _times(len({wait.leader for wait in late})),
            "tokens": count(max(self._tree.tokens[wait.node] for wait in late)),
        }
        unknown = self._rehearsal.unknown(self._steps[wait.step].call for wait in late)
        for kind, words, change in _WAYS:
            costs = [self._rehearsal.cost(change(*each)) for each in found]
            then = _least(costs)
            marks = _MARKED[costs.index(then)]
            yield from self._change(kind, words.format(**what) + marks, now, then, unknown)

    def _ordering(self) -> Iterator[Advice]:
        """Yield the order in which the calls of batches would read most."""
        groups = [group for group in batches(self._steps, self._roots) if len(group) >= _BATCH]
        if not groups:
            return
        plans = [self._steps, self._with_shared(_SHORT), self._with_shared(_LONG)]
        now = _least([self._rehearsal.cost(steps) for steps in plans])
        ordered = [in_tree_order(self._tree, steps, groups) for steps in plans]
        costs = [self._rehearsal.cost(steps) for steps in ordered]
        then = _least(costs)
        calls = [self._steps[number].call for group in groups for number in group]
        what = _BATCH_ORDER.format(calls=count(len(calls)))
        marks, unknown = _MARKED[costs.index(then)], self._rehearsal.unknown(calls)
        yield from self._change("batch-order", what + marks, now, then, unknown)

    def _with_shared(self, lifetime: Lifetime) -> list[Step]:
        """Mark what is shared in the calls that have no mark on anything shared."""
        tree = self._tree
        shared = (node for node, calls in enumerate(self._through) if calls > 1)
        near = nearest(tree, [node for node in shared if not tree.unmarkable[node]])
        steps = []
        for call, marks in self._steps:
            node = near[call.tip]
            able = node >= 0 and tree.tokens[node] >= self._rehearsal.floor(call.tariff)
            if able and all(self._through[mark.node] == 1 for mark in marks):
                marks = marked(marks, node, lifetime)  # noqa: PLW2901 -- this call's own
            steps.append(Step(call, marks))
        return steps

    # --- break-evens ---------------------------------------------------------------------

    def _break_even(self, target: Target) -> Iterator[Advice]:
        """Yield from when on marks pay for a prefix, beside how it is used."""
        calls = [s.call for s, node in zip(self._steps, target.nodes, strict=True) if node >= 0]
        hours = (calls[-1].at - calls[0].at) / 3600
        ratios = Ratios.of(self._rehearsal.rate(calls[-1]))
        if hours > 0 and ratios is not None and not self._rehearsal.unknown(calls):
            gaps = [later.at - sooner.at for sooner, later in pairwise(calls)]
            what = _rates(target.name, ratios, len(gaps) / hours, gaps)
            yield self._advice("break-even", what, None, target)

    # --- what all have in common ---------------------------------------------------------

    def _change(
        self, kind: Kind, what: str, now: Cost, then: Cost, unknown: Sequence[str]
    ) -> Iterator[Advice]:
        """Yield a change if it saves enough, and not by having calls refused."""
        saving = now.dollars - then.dollars
        if then.refused > now.refused or saving <= now.dollars * WORTH:
            return
        if unknown:
            what += f" What that saves is not known: nobody states the prices of {unknown[0]}."
        yield self._advice(kind, what, None if unknown else saving)

    def _advice(
        self, kind: Kind, what: str, saving: Decimal | None, target: Target | None = None
    ) -> Advice:
        node = None if target is None else target.node
        prefix = None if node is None else self._tree.key(node).hex()
        span = self._workload.span
        return Advice(kind=kind, what=what, saving=saving, span=span, prefix=prefix)


_FAN_OUT: Final = (
    "{calls} calls start before the first token of another that begins as they do, and write"
    " what they could have read (up to {tokens} tokens). Send one, wait for its first token,"
    " then the others ({times})."
)
_PRE_WARM: Final = (
    "Where it is known when such calls come, and they cannot wait: send what they share with"
    " max_tokens 0 just before, {times}; then {calls} calls read up to {tokens} tokens."
)
_BATCH_ORDER: Final = (
    "{calls} calls of batches: order them so that calls which begin alike are next to"
    " each other, and put them in spread out, the first of each beginning ahead of the others."
)
#: What to do where the plan has no mark, by the lifetime that was tried.
_MARKED: Final = (
    "",
    " Mark what they share for 5 minutes.",
    " Mark what they share for an hour.",
)
_Change = Callable[[Sequence[Step], Iterable[Wait]], list[Step]]
_WAYS: Final[tuple[tuple[Kind, str, _Change], ...]] = (
    ("fan-out", _FAN_OUT, delayed),
    ("pre-warm", _PRE_WARM, prewarmed),
)


def _times(number: int) -> str:
    return "once" if number == 1 else f"{count(number)} times"


def _rates(name: str, ratios: Ratios, rate: float, gaps: Sequence[float]) -> str:
    """Say the break-evens of a prefix, as rates and as shares, beside what it has."""
    poisson = break_evens(ratios, Frequency(rate))
    often = f"{rate:.2g}" if rate < 10 else count(round(rate))  # noqa: PLR2004
    short, long = (
        sum(gap < lifetime.seconds for gap in gaps) / len(gaps) for lifetime in (_SHORT, _LONG)
    )
    return (
        f"An hour pays from about {poisson.long:.2g} calls an hour on, 5 minutes from"
        f" {poisson.short:.2g}, if calls come independently; {name} is used {often} times an"
        f" hour. However they come, an hour pays once {share_for_1h(ratios):.0%} of uses follow"
        f" within the hour ({long:.0%} do), 5 minutes once {share_for_5m(ratios):.0%} follow"
        f" within 5 minutes ({short:.0%} do)."
    )


def _least(costs: Iterable[Cost]) -> Cost:
    """Return the least cost among those with the fewest refusals."""
    return min(costs, key=lambda cost: (cost.refused, cost.dollars))


def _roots(tree: PrefixTree) -> list[int]:
    """Return, by node, the root of its scope."""
    roots = list(range(len(tree)))
    for node, above in enumerate(tree.parent):
        if above >= 0:
            roots[node] = roots[above]
    return roots


def _through(tree: PrefixTree, steps: Sequence[Step]) -> list[int]:
    """Count, by node, the calls whose prompts begin with it."""
    through = [0] * len(tree)
    for step in steps:
        through[step.call.tip] += 1
    for node in range(len(tree) - 1, -1, -1):
        if tree.parent[node] >= 0:
            through[tree.parent[node]] += through[node]
    return through


def _forks(tree: PrefixTree, through: Sequence[int], steps: Sequence[Step]) -> set[int]:
    """Return the prefixes, as far as they take a mark, at whose end prompts part or repeat."""
    ends: dict[int, int] = {}
    for node in [step.call.tip for step in steps]:
        ends[node] = ends.get(node, 0) + 1
    branches: dict[int, int] = {}
    for node, above in enumerate(tree.parent):
        if above >= 0 and through[node]:
            branches[above] = branches.get(above, 0) + 1
    forks = [node for counts in (ends, branches) for node, times in counts.items() if times > 1]
    return {tree.markable(node) for node in forks} - {-1}


def _apart(tree: PrefixTree, weights: Mapping[int, float], most: int) -> list[int]:
    """Return the heaviest prefixes of which none begins with another."""
    chosen: list[int] = []
    for node in sorted(weights, key=lambda node: (-weights[node], node)):
        if len(chosen) == most or weights[node] <= 0:
            break
        if not any(_nested(tree, node, other) for other in chosen):
            chosen.append(node)
    return chosen


def _nested(tree: PrefixTree, one: int, other: int) -> bool:
    """Tell whether one prefix begins with the other."""
    short, long = sorted((one, other))
    while long > short:
        long = tree.parent[long]
    return long == short
