"""Calls as a batch: in which order, with which marks, and between which two costs.

A batch promises little. It ends within a day, mostly within an hour; in which order its
requests are served nobody says; and of what they could read from the cache they find
between 30 and 98 % (Claude docs, prompt caching, 2026-09-26). So calls are served here in
any order within ``TAKES``, marks are judged midway between both ends of that range, and a
cost is always two: at either end.

Calls that share no prefix long enough to be kept have nothing to do with one another. So
calls fall into families, each of which has its own best way of marking. Only what the
simulator says decides which; what share is found is put between "all" and "nothing", which
the tests hold against serving at that share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import accumulate
from math import log1p
from typing import Final, NamedTuple

import msgspec

from cacheplan.assumptions import Assumptions
from cacheplan.errors import RejectedError
from cacheplan.orders import in_tree_order
from cacheplan.prices import Sheet
from cacheplan.projection import Bill, Marker, unmeasured
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.rehearsal import Rehearsal, Step
from cacheplan.simulator import SimulatedCache
from cacheplan.usage import Usage
from cacheplan.workload import Call, Workload

__all__ = ["FOUND", "TAKES", "Band", "Batch", "Family", "Line", "arrange", "served"]

#: The documented range of the share that calls of a batch find of what is there (Claude
#: docs, prompt caching, 2026-09-26: "typically 30 % to 98 %, best effort").
FOUND: Final = (Decimal("0.30"), Decimal("0.98"))
#: Seconds in which the calls of a batch are served: "most batches finish in less than 1
#: hour" (Claude docs, batch processing, 2026-08-22).
TAKES: Final = 3600.0
#: The share whose multiples fall most evenly; it stands for an order that nobody knows.
_GOLDEN: Final = 0.6180339887498949
#: Steps in which a prompt is marked at most.
_SLOTS: Final = 4

_SHORT, _LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR


class Band(NamedTuple):
    """A cost of which only the ends are known, in dollars; ``None`` without a price."""

    #: If as much as can be hoped for is found of what could be read.
    low: Decimal | None
    #: If as little is as must be feared.
    high: Decimal | None


class Line(NamedTuple):
    """What a family costs, by the share that is found of what it could read."""

    #: If nothing is found, and if everything is.
    nothing: float
    everything: float

    def at(self, share: float) -> float:
        """Return the cost at a share."""
        return self.nothing + (self.everything - self.nothing) * share

    def midway(self, found: tuple[Decimal, Decimal]) -> float:
        """Return the cost midway between both ends of a range of shares."""
        return self.at(float(sum(found)) / 2)

    def below(self, cost: float) -> float | None:
        """Return the share from which on it costs less than that; ``None`` for never."""
        if self.everything >= cost:
            return None
        if self.nothing <= cost:
            return 0.0
        return (self.nothing - cost) / (self.nothing - self.everything)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Calls that begin alike far enough to be kept; or one that begins like no other."""

    #: Places among the workload's calls.
    members: tuple[int, ...]
    #: What all of them begin with, -1 where that is nothing worth keeping.
    node: int
    #: How they are marked, in a word.
    marked: str
    line: Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A workload as a batch."""

    #: By place among the workload's calls.
    marks: tuple[tuple[Breakpoint, ...], ...]
    #: Places of the calls in the order of the tree, so that those which begin alike are
    #: next to each other.
    order: tuple[int, ...]
    families: tuple[Family, ...]
    #: The shares of cache hits that the costs are for: the least and the most.
    found: tuple[Decimal, Decimal]
    cost: Band
    #: The same calls in a batch without any marks.
    plain: Decimal | None
    #: Places of one call for each prefix that is kept, to be served before the others.
    seeds: tuple[int, ...] = ()
    #: Models of which nobody states the price, or the minimum, and so are not marked.
    unpriced: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()


def arrange(
    workload: Workload,
    sheet: Sheet,
    *,
    marker: Marker | None = None,
    seeded: bool = False,
    takes: float = TAKES,
) -> Batch:
    """Arrange calls as a batch that is served from the time of the first call on.

    ``marker`` places the marks instead of what is found to be best. Where the batch is to
    be ``seeded``, one call for each kept prefix is served before the others, and only an
    hour lasts until these begin.
    """
    return _Arranger(workload, sheet, takes).batch(marker, seeded=seeded)


class _Arranger:
    """Tries ways of marking on one workload."""

    def __init__(self, workload: Workload, sheet: Sheet, takes: float) -> None:
        self._sheet = sheet
        self._tree = workload.tree
        self._found = _found(workload.assume)
        self._rehearsal = Rehearsal(workload, sheet)
        calls = [
            msgspec.structs.replace(call, tariff=call.tariff._replace(surface="batch"))
            for call in workload
        ]
        self._through = _through(self._tree.parent, calls)
        self._chains = [self._chain(call) for call in calls]
        self._families = _families(self._chains)
        self._of = [0] * len(calls)
        for number, members in enumerate(self._families):
            for place in members:
                self._of[place] = number
        self._calls = [*_in_any_order(calls, self._families, takes)]
        self._workload = replace(workload, calls=self._calls)
        #: Places in the order of time.
        self._in_time = sorted(range(len(calls)), key=lambda place: self._calls[place].at)

    def batch(self, marker: Marker | None, *, seeded: bool) -> Batch:
        """Choose family by family, and price the whole at both ends."""
        if marker is None:
            marks, words, lines = self._chosen(_HOURS if seeded else _WAYS)
        else:
            marks = [tuple(marker(call)) for call in self._workload]
            words = ["as the plan says"] * len(self._families)
            lines = self._lines(marks)
        shared = [chains[0] for chains in map(self._of_all, self._families)]
        families = tuple(
            Family(members=tuple(members), node=node, marked=word, line=line)
            for members, node, word, line in zip(self._families, shared, words, lines, strict=True)
        )
        high, low = (self._cost(marks, share) for share in self._found)
        tariffs = {call.tariff for call in self._calls}
        bill = self._bill([()] * len(self._calls), self._found[0])
        order = tuple(self._order())
        return Batch(
            marks=tuple(marks),
            order=order,
            families=families,
            found=self._found,
            cost=Band(low, high),
            plain=bill.costs()[0],
            seeds=tuple(_seeds(marks, order)) if seeded else (),
            unpriced=tuple(bill.unpriced),
            unmeasured=unmeasured(tariffs, self._sheet, self._workload.assume),
        )

    # --- what is shared ------------------------------------------------------------------

    def _chain(self, call: Call) -> tuple[int, ...]:
        """Return the prefixes that other calls have too and that can be kept, in order.

        Only those after which prompts part: what is kept of the others is part of them.
        """
        if self._rehearsal.unknown([call]):
            return ()
        tree, through = self._tree, self._through
        floor, found, beyond = self._rehearsal.floor(call.tariff), list[int](), 1
        for node in tree.upward(call.tip):
            if tree.tokens[node] < floor:
                break
            if through[node] > beyond and not tree.unmarkable[node]:
                found.append(node)
                beyond = through[node]
        return tuple(reversed(found))

    def _of_all(self, members: Sequence[int]) -> tuple[int, ...]:
        """Return what all of a family begin with, as the first of their chain."""
        return self._chains[members[0]] or (-1,)

    # --- ways of marking -----------------------------------------------------------------

    def _chosen(
        self, ways: Sequence[_Way]
    ) -> tuple[list[tuple[Breakpoint, ...]], list[str], list[Line]]:
        """Return the marks, the word and the line of the best way for each family."""
        tried = [[each.marks(chain) for chain in self._chains] for each in ways]
        # Where prompts part at one place only, most ways are the same.
        known: dict[tuple[tuple[Breakpoint, ...], ...], list[Line]] = {}
        for way in map(tuple, tried):
            if way not in known:
                known[way] = self._lines(way)
        lines = [known[tuple(marks)] for marks in tried]
        middles = zip(*([line.midway(self._found) for line in way] for way in lines), strict=True)
        best = [costs.index(min(costs)) for costs in middles]
        marks = [tried[best[self._of[place]]][place] for place in range(len(self._calls))]
        words = [ways[way].word for way in best]
        return marks, words, [lines[way][at] for at, way in enumerate(best)]

    def _lines(self, marks: Sequence[Sequence[Breakpoint]]) -> list[Line]:
        """Return what each family costs, with nothing found and with everything."""
        nothing, everything = (self._sums(marks, Decimal(share)) for share in (0, 1))
        return [Line(*both) for both in zip(nothing, everything, strict=True)]

    def _sums(self, marks: Sequence[Sequence[Breakpoint]], share: Decimal) -> list[float]:
        """Add up what the calls of each family cost at a share."""
        sums, rates = [0.0] * len(self._families), dict[int, tuple[float, ...]]()
        for place, used in self._serve(marks, share):
            rate = self._rehearsal.rate(self._calls[place], used.prompt)
            prices = rates.get(id(rate))
            if prices is None:
                dear = (rate.uncached, rate.write_5m, rate.write_1h, rate.read, rate.output)
                prices = rates[id(rate)] = tuple(map(float, dear))
            uncached, short, long, read, output = prices
            sums[self._of[place]] += (
                used.uncached * uncached
                + used.write_5m * short
                + used.write_1h * long
                + used.read * read
                + used.output * output
            )
        return sums

    def _serve(
        self, marks: Sequence[Sequence[Breakpoint]], share: Decimal
    ) -> Iterator[tuple[int, Usage]]:
        """Serve every call in time; one that is refused uses nothing."""
        assume = replace(self._workload.assume, batch_hit_rate=float(share))
        serve = SimulatedCache(self._tree, self._rehearsal.floor, assume).serve
        for place in self._in_time:
            try:
                yield place, serve(self._calls[place], marks[place])
            except RejectedError:
                yield place, Usage()

    def _bill(self, marks: Sequence[Sequence[Breakpoint]], share: Decimal) -> Bill:
        """Serve every call and book it."""
        bill = Bill(self._sheet)
        for place, usage in self._serve(marks, share):
            call = self._calls[place]
            bill.add(usage, call.tariff, call.at)
        return bill

    def _cost(self, marks: Sequence[Sequence[Breakpoint]], share: Decimal) -> Decimal | None:
        """Return what the whole batch costs at a share."""
        return self._bill(marks, share).costs()[0]

    # --- order ---------------------------------------------------------------------------

    def _order(self) -> Iterator[int]:
        """Yield the places in the order of the tree."""
        steps = [
            Step(msgspec.structs.replace(call, at=0.0, number=place), ())
            for place, call in enumerate(self._calls)
        ]
        for step in in_tree_order(self._tree, steps, [range(len(steps))] if steps else []):
            yield step.call.number


class _Way(NamedTuple):
    """One way of marking a prompt, by the prefixes that it shares."""

    word: str
    first: Lifetime | None
    between: Lifetime | None
    last: Lifetime | None

    def marks(self, chain: Sequence[int]) -> tuple[Breakpoint, ...]:
        """Mark what a call shares with all of its family, with some, and with the fewest."""
        if not chain:
            return ()
        found: dict[int, Lifetime] = {}
        if self.between is not None:
            found.update(dict.fromkeys(chain[1:-1][-(_SLOTS - 2) :], self.between))
        if self.last is not None:
            found[chain[-1]] = self.last
        if self.first is not None:
            # An hour outlasts five minutes where both fall on one block.
            found[chain[0]] = max(self.first, found.get(chain[0], self.first), key=_seconds)
        return tuple(Breakpoint(node, found[node]) for node in sorted(found))


def _seconds(lifetime: Lifetime) -> int:
    return lifetime.seconds


_PLAIN: Final = _Way("not at all", None, None, None)
_HOURS: Final = (
    _PLAIN,
    _Way("1h, what all share", _LONG, None, None),
    _Way("1h, the longest shared", None, None, _LONG),
    _Way("1h, the first and the longest shared", _LONG, None, _LONG),
    _Way("1h, wherever prompts part", _LONG, _LONG, _LONG),
)
#: Every way that is tried; of equals the first, so that nothing is marked for nothing.
_WAYS: Final = (
    *_HOURS,
    _Way("5m, what all share", _SHORT, None, None),
    _Way("5m, the longest shared", None, None, _SHORT),
    _Way("5m, the first and the longest shared", _SHORT, None, _SHORT),
    _Way("5m, wherever prompts part", _SHORT, _SHORT, _SHORT),
    _Way("1h what all share, 5m the longest", _LONG, None, _SHORT),
)


def _found(assume: Assumptions) -> tuple[Decimal, Decimal]:
    """Return the documented range, or the one share that somebody knows better."""
    share = assume.batch_hit_rate
    if share == Assumptions().batch_hit_rate:
        return FOUND
    return Decimal(str(share)), Decimal(str(share))


def _through(parent: Sequence[int], calls: Sequence[Call]) -> list[int]:
    """Count, by node, the calls whose prompts begin with it."""
    through = [0] * len(parent)
    for call in calls:
        through[call.tip] += 1
    for node in range(len(parent) - 1, -1, -1):
        if parent[node] >= 0:
            through[parent[node]] += through[node]
    return through


def _families(chains: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """Put calls together that share the first prefix that can be kept."""
    found: dict[int, list[int]] = {}
    for place, chain in enumerate(chains):
        # A call without one is a family of its own, under a name that no prefix has.
        found.setdefault(chain[0] if chain else -1 - place, []).append(place)
    return list(found.values())


def _in_any_order(
    calls: Sequence[Call], families: Sequence[Sequence[int]], takes: float
) -> list[Call]:
    """Serve each family as independent users would come, in an order that means nothing.

    The pauses are those of independent arrivals (exponential), each as often as it should
    be, instead of drawn.
    """
    start = calls[0].at if calls else 0.0
    moved = list(calls)
    for members in families:
        count = len(members)
        shuffled = sorted(range(count), key=lambda at: (at * _GOLDEN) % 1.0)
        pauses = [-log1p(-(((at + 0.5) * _GOLDEN) % 1.0)) for at in range(count - 1)]
        scale = takes / max(sum(pauses), 1.0)
        times = accumulate((pause * scale for pause in pauses), initial=start)
        for at, time in zip(shuffled, times, strict=True):
            place = members[at]
            moved[place] = msgspec.structs.replace(calls[place], at=time)
    return moved


def _seeds(marks: Sequence[Sequence[Breakpoint]], order: Sequence[int]) -> Iterator[int]:
    """Yield, in order, the first call of each prefix that others end their marks with, too."""
    last = [own[-1].node if own else -1 for own in marks]
    left = {node: times for node, times in Counter(last).items() if node >= 0 and times > 1}
    for place in order:
        if left.pop(last[place], 0):
            yield place


def served(batch: Batch, workload: Workload) -> Iterator[tuple[Call, tuple[Breakpoint, ...]]]:
    """Yield the calls of a workload with their marks, in the order they are sent in."""
    calls = list(workload)
    for place in batch.order:
        yield calls[place], batch.marks[place]
