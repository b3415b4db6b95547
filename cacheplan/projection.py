"""What a policy would cost on a workload, and how far the imitation can be trusted.

A projection is made by serving every call; no formula stands in for that. Where calls
carry recorded usage, serving them as they were sent says how well the simulated cache
agrees with the real one: call by call, each miss with its likely cause.

A source may not say how its calls were marked. To serve those as if they carried no mark
would overstate what any mark saves. So where it is asked what was paid (``as_sent``), they
count as they were recorded, and where nothing was recorded nobody knows; they leave nothing
behind that others could read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from cacheplan.assumptions import Assumptions
from cacheplan.errors import RejectedError
from cacheplan.prices import Rate, Sheet, Tariff, round_cost
from cacheplan.prompt import Breakpoint
from cacheplan.simulator import SimulatedCache
from cacheplan.tables import aligned, count, dollars, html, percent
from cacheplan.usage import Usage
from cacheplan.workload import Call, Workload

__all__ = [
    "Bill",
    "Marker",
    "Projection",
    "Served",
    "billed",
    "blind",
    "cache_for",
    "project",
    "replay",
    "unknown",
    "unmarked",
    "unmeasured",
]

#: Places the breakpoints of one call. Asked once a call, in time order, so it may learn;
#: it should cost no more than serving the call does, a few microseconds.
Marker = Callable[[Call], Sequence[Breakpoint]]


class Served(NamedTuple):
    """One call, and what the service would have counted for it."""

    call: Call
    usage: Usage
    #: The service's words where it would have refused; then nothing is counted.
    refused: str | None
    #: What the policy asked for.
    marks: Sequence[Breakpoint] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """What a workload would cost under one policy."""

    policy: str
    calls: int
    usage: Usage
    #: Dollars for everything, output included; ``None`` where a price is unknown.
    cost: Decimal | None
    #: Dollars for prompts alone: what marks can change.
    input_cost: Decimal | None
    #: Calls the service would refuse, by its own words.
    refusals: tuple[tuple[str, int], ...] = ()
    #: Models whose price nobody knows.
    unpriced: tuple[str, ...] = ()
    #: Models that were marked although nobody knows their minimum: nothing was cached.
    unmeasured: tuple[str, ...] = ()
    #: Calls that count as they were recorded, since nobody knows how they were marked.
    recorded: int = 0
    #: Calls of which nobody knows what they cost, for nothing was recorded either: they
    #: count nothing, and the costs are ``None``.
    unknown: int = 0

    @property
    def rejected(self) -> int:
        """How many calls the service would refuse."""
        return sum(count for _, count in self.refusals)

    @property
    def hit_rate(self) -> float:
        """The share of prompt tokens that were read."""
        return self.usage.read / self.usage.prompt if self.usage.prompt else 0.0

    def untold(self) -> str:
        """Say what calls count whose marks nobody knows; empty where there is none."""
        said = []
        if self.recorded:
            said.append(f"{count(self.recorded)} count as recorded")
        if self.unknown:
            said.append(f"the cost of {count(self.unknown)} is unknown")
        return " and ".join(said)

    def __str__(self) -> str:
        """Lay it out in lines, a number each."""
        return aligned(*self._table())

    def _repr_html_(self) -> str:
        """Show the same in a notebook."""
        return html(*self._table())

    def _table(self) -> tuple[list[str], list[list[str]]]:
        used = self.usage
        rows = [
            ["calls", count(self.calls)],
            ["refused", count(self.rejected)],
            ["read", count(used.read)],
            ["written 5m", count(used.write_5m)],
            ["written 1h", count(used.write_1h)],
            ["uncached", count(used.uncached)],
            ["output", count(used.output)],
            ["share read", percent(self.hit_rate)],
            ["prompt cost", dollars(self.input_cost)],
            ["cost", dollars(self.cost)],
        ]
        if self.recorded:
            rows.append(["as recorded", count(self.recorded)])
        if self.unknown:
            rows.append(["unknown", count(self.unknown)])
        return ["policy", self.policy], rows


class Bill:
    """Adds up usage under the rates that apply to it.

    Sums are kept as whole tokens by rate and priced once, so that the total is exact and
    a call costs no decimal arithmetic.
    """

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._sums: dict[int, list[int]] = {}
        self._rates: dict[int, Rate] = {}
        self.unpriced: dict[str, None] = {}
        self.total = [0, 0, 0, 0, 0]

    def add(self, usage: Usage, tariff: Tariff, at: float) -> None:
        """Book one call."""
        uncached, short, long, read, output = (
            usage.uncached, usage.write_5m, usage.write_1h, usage.read, usage.output,
        )  # fmt: skip
        total = self.total
        total[0] += uncached
        total[1] += short
        total[2] += long
        total[3] += read
        total[4] += output
        rate = self._sheet.rate(tariff, at, uncached + short + long + read)
        if rate is None:
            self.unpriced[tariff.model] = None
            return
        key = id(rate)
        sums = self._sums.get(key)
        if sums is None:
            self._rates[key] = rate
            sums = self._sums[key] = [0, 0, 0, 0, 0]
        sums[0] += uncached
        sums[1] += short
        sums[2] += long
        sums[3] += read
        sums[4] += output

    @property
    def usage(self) -> Usage:
        """Everything booked."""
        return Usage(*self.total)

    def costs(self) -> tuple[Decimal | None, Decimal | None]:
        """Return the cost of everything and of prompts alone; ``None`` if not all is priced."""
        if self.unpriced:
            return None, None
        both = [(self._rates[key], Usage(*sums)) for key, sums in self._sums.items()]
        cost = sum((rate.cost(usage) for rate, usage in both), Decimal())
        return cost, sum((rate.input_cost(usage) for rate, usage in both), Decimal())


def billed(workload: Workload, sheet: Sheet) -> tuple[Decimal | None, Decimal | None] | None:
    """Price the recorded usage, of prompts alone and as a whole, where every call has one.

    A call that failed was billed to nobody.
    """
    bill, counted = Bill(sheet), False
    for call in workload:
        if call.recorded is not None:
            bill.add(call.recorded, call.tariff, call.at)
            counted = True
        elif not call.failed:
            return None
    cost, input_cost = bill.costs()
    return (input_cost, cost) if counted else None


def cache_for(workload: Workload, sheet: Sheet) -> SimulatedCache:
    """Return an empty cache in which a workload's calls can be served."""
    assume = workload.assume
    return SimulatedCache(
        workload.tree,
        lambda tariff: sheet.minimum(tariff.model, tariff.platform, assume),
        assume,
    )


def blind(call: Call) -> bool:
    """Tell whether nobody knows how a call was marked."""
    return "marks" in call.lacks


def unknown(call: Call) -> bool:
    """Tell whether nobody knows what a call cost: neither its marks nor its usage are told."""
    return blind(call) and call.recorded is None and not call.failed


def unmarked(workload: Workload) -> Iterator[str]:
    """Say it where calls are served as if they had no marks, though nobody knows them.

    That is where calls are altered, so that what was recorded is of no use.
    """
    number = sum(map(blind, workload))
    if number:
        yield (
            f"{count(number)} of {count(len(workload))} calls do not say where breakpoints stood"
            " and count as unmarked, so caching may save less than is said here."
        )


def replay(
    workload: Workload, marker: Marker, sheet: Sheet, *, as_sent: bool = False
) -> Iterator[Served]:
    """Serve every call with the breakpoints a policy gives it.

    ``as_sent`` says that these are what the calls were sent with: where nobody knows, a call
    counts what was recorded, and nothing where nothing was.
    """
    serve = cache_for(workload, sheet).serve
    for call in workload.calls:
        if as_sent and blind(call):
            yield Served(call, call.recorded or Usage(), None)
            continue
        marks = marker(call)
        try:
            yield Served(call, serve(call, marks), None, marks)
        except RejectedError as refusal:
            yield Served(call, Usage(), str(refusal), marks)


def unmeasured(tariffs: Iterable[Tariff], sheet: Sheet, assume: Assumptions) -> tuple[str, ...]:
    """Return the models among these whose minimum nobody knows, each once."""
    models = dict.fromkeys(
        tariff.model
        for tariff in tariffs
        if sheet.minimum(tariff.model, tariff.platform, assume) is None
    )
    return tuple(models)


def project(
    workload: Workload, marker: Marker, sheet: Sheet, name: str, *, as_sent: bool = False
) -> Projection:
    """Return what the workload would cost under one policy; ``as_sent``: what it did cost."""
    bill = Bill(sheet)
    refusals: dict[str, int] = {}
    marked: dict[Tariff, None] = {}
    silent = [call for call in workload if blind(call)] if as_sent else []
    lost = sum(map(unknown, silent))
    for call, usage, refused, marks in replay(workload, marker, sheet, as_sent=as_sent):
        if marks:
            marked[call.tariff] = None
        if refused is None:
            bill.add(usage, call.tariff, call.at)
        else:
            refusals[refused] = refusals.get(refused, 0) + 1
    cost, input_cost = bill.costs() if not lost else (None, None)
    if cost is not None and input_cost is not None:
        cost = round_cost(cost, workload.assume)
        input_cost = round_cost(input_cost, workload.assume)
    return Projection(
        policy=name,
        calls=len(workload),
        usage=bill.usage,
        cost=cost,
        input_cost=input_cost,
        refusals=tuple(sorted(refusals.items())),
        unpriced=tuple(bill.unpriced),
        unmeasured=unmeasured(marked, sheet, workload.assume),
        recorded=sum(call.recorded is not None for call in silent),
        unknown=lost,
    )
