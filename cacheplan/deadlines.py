"""Batch or now, or some of both: what each costs, and what a deadline leaves open.

Half the price is certain in a batch, and the cache is not; now it is the other way
round. So a batch has a cost from-to, and what is better may hang on a share nobody
promises: then that share is said. What a batch takes is not promised either: mostly an
hour, at most a day. Nothing here reads a clock; the time that is left comes in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple

from cacheplan import facts
from cacheplan.batching import TAKES, Band, Batch, Family, Line, arrange
from cacheplan.errors import InputError
from cacheplan.prices import Sheet
from cacheplan.projection import Bill, Marker, replay
from cacheplan.tables import aligned, count, dollars, percent
from cacheplan.workload import Call, Workload

__all__ = ["DAY", "Choice", "Part", "Verdict", "choice", "seconds"]

#: Seconds after which a batch that has not ended expires (Claude docs, batch processing,
#: 2026-08-22).
DAY: Final = 24 * 3600.0
#: Families that are told one by one; more than ten lines are not read.
SHOWN: Final = 10

Verdict = Literal["now", "batch", "split"]

_NUMBER: Final = r"(\d+(?:\.\d+)?)"
_SPAN: Final = re.compile("".join(f"(?:{_NUMBER}{unit})?" for unit in "dhms"), re.ASCII)
_UNITS: Final = (86_400, 3600, 60, 1)


def seconds(words: str) -> float:
    """Read a span of time.

    >>> seconds("6h"), seconds("1d12h"), seconds("90m")
    (21600.0, 129600.0, 5400.0)
    """
    found = _SPAN.fullmatch(words.strip())
    if found is None or not any(found.groups()):
        raise InputError(f'"{words}" is not a time such as 6h, 90m, 1d or 2026-11-21T18:00:00Z')
    return sum(
        float(part) * unit for part, unit in zip(found.groups(), _UNITS, strict=True) if part
    )


class Part(NamedTuple):
    """Calls that begin alike, and where they are better sent."""

    name: str
    calls: int
    #: Tokens that all of them begin with.
    shared: int
    now: float
    batch: Line
    #: How they would be marked in a batch.
    marked: str
    #: The share of cache hits from which on the batch costs less, ``None`` for never.
    share: float | None
    #: The shares that the batch is priced for: the least and the most.
    found: tuple[Decimal, Decimal]
    #: Why they cannot wait for a batch, if they cannot.
    because: str = ""

    @property
    def waits(self) -> bool:
        """Tell whether the batch costs less midway between both ends of the range."""
        return not self.because and self.batch.midway(self.found) < self.now

    @property
    def ends(self) -> tuple[float, float]:
        """What the batch costs if the most is found, and if the least is."""
        high, low = (self.batch.at(float(share)) for share in self.found)
        return low, high

    @property
    def open(self) -> bool:
        """Tell whether the ends of the range disagree about where calls are better sent."""
        low, high = self.ends
        return not self.because and low < self.now <= high


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What each way costs, and which to take."""

    verdict: Verdict
    #: The verdict's reason, in a sentence.
    because: str
    #: Seconds that are left.
    left: float
    calls: int
    #: Calls of the split that go into the batch.
    batched: int
    #: Everything now under the plan that is best for it, and without any marks.
    now: Decimal | None
    plain: Decimal | None
    #: Everything in a batch, with marks and without.
    batch: Band
    batch_plain: Decimal | None
    split: Band
    #: The shares of cache hits that costs of the batch are for: the least and the most.
    found: tuple[Decimal, Decimal]
    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()
    unpriced: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Lay it out: the verdict, the ways, the calls."""
        low, high = (percent(float(share)) for share in reversed(self.found))
        head = ("way", "calls in the batch", f"at {low} of cache hits", f"at {high}")
        rows = [
            ("now", "0", dollars(self.now), dollars(self.now)),
            ("now, without marks", "0", dollars(self.plain), dollars(self.plain)),
            ("batch", count(self.calls), dollars(self.batch.low), dollars(self.batch.high)),
            ("batch, without marks", count(self.calls), *[dollars(self.batch_plain)] * 2),
            ("split", count(self.batched), dollars(self.split.low), dollars(self.split.high)),
        ]
        lines = [f"{self.verdict}: {self.because}", "", aligned(head, rows), ""]
        shown = [_row(part) for part in self.parts[:SHOWN]]
        columns = ("calls that begin alike", "calls", "shared", "now", "batch", "better", "why")
        lines.append(aligned(columns, shown, source=True))
        left_out = len(self.parts) - len(shown)
        if left_out:
            lines.append(f"and {count(left_out)} more that cost less")
        return "\n".join([*lines, *(f"\n{note}" for note in self.notes)])

    def to_json(self) -> dict[str, Any]:
        """Return the shape that ``batch advise --format json`` prints."""
        return {
            "verdict": self.verdict,
            "because": self.because,
            "seconds_left": self.left,
            "calls": self.calls,
            "hit_rate": {"low": float(self.found[0]), "high": float(self.found[1])},
            "now": {"cost_usd": _number(self.now), "unmarked_cost_usd": _number(self.plain)},
            "batch": {**_band(self.batch), "unmarked_cost_usd": _number(self.batch_plain)},
            "split": {**_band(self.split), "batch_calls": self.batched,
                      "now_calls": self.calls - self.batched},
            "parts": [
                {
                    "name": part.name,
                    "calls": part.calls,
                    "shared_tokens": part.shared,
                    "now_usd": part.now,
                    "batch_usd": {"low": low, "high": high},
                    "marked": part.marked,
                    "pays_from_hit_rate": part.share,
                    "where": "batch" if part.waits else "now",
                    "because": part.because or None,
                }
                for part in self.parts
                for low, high in [part.ends]
            ],
            "notes": list(self.notes),
        }  # fmt: skip


def choice(workload: Workload, marker: Marker, sheet: Sheet, left: float) -> Choice:
    """Weigh sending calls now, marked by ``marker``, against a batch with ``left`` seconds."""
    if left <= 0:
        passed = f"passed {_span(-left)} ago" if left else "come"
        raise InputError(f"the deadline has {passed}; no call can meet it")
    batch = arrange(workload, sheet)
    now = _Now(workload, marker, sheet)
    parts = sorted(_parts(workload, batch, now, sheet), key=lambda part: -part.now)
    waiting = [part for part in parts if part.waits]
    batched = sum(part.calls for part in waiting)
    split = _split(parts, priced=not now.bill.unpriced)
    plain = Bill(sheet)
    for served in replay(workload, lambda _: (), sheet):
        plain.add(served.usage, served.call.tariff, served.call.at)
    verdict, because = _verdict(parts, batched, left)
    return Choice(
        verdict=verdict,
        because=because,
        left=left,
        calls=len(workload),
        batched=batched,
        now=now.bill.costs()[0],
        plain=plain.costs()[0],
        batch=batch.cost,
        batch_plain=batch.plain,
        split=split,
        found=batch.found,
        parts=tuple(parts),
        notes=tuple(_notes(parts, waiting, left)),
        unpriced=tuple(dict.fromkeys((*now.bill.unpriced, *batch.unpriced))),
        unmeasured=batch.unmeasured,
    )


class _Now:
    """What calls cost if they are sent as they came, each and together."""

    def __init__(self, workload: Workload, marker: Marker, sheet: Sheet) -> None:
        self.bill = Bill(sheet)
        #: By place.
        self.costs: list[float] = []
        for call, usage, _, _ in replay(workload, marker, sheet):
            self.bill.add(usage, call.tariff, call.at)
            self.costs.append(float(sheet.cost(usage, call.tariff, call.at) or 0))


class _Costs(NamedTuple):
    """What some calls cost either way, and why they cannot be in a batch, if they cannot."""

    now: _Now
    batch: Line
    found: tuple[Decimal, Decimal]
    because: str


def _parts(workload: Workload, batch: Batch, now: _Now, sheet: Sheet) -> Iterator[Part]:
    """Yield each family; calls of it that no batch takes, or that must wait, by themselves.

    Calls of one kind that share nothing with any other are one part.
    """
    calls = list(workload)
    why = [*_unfit(workload, calls)]
    alone: dict[tuple[str, str], Part] = {}
    for family in batch.families:
        groups: dict[str, list[int]] = {}
        for place in family.members:
            groups.setdefault(why[place], []).append(place)
        for because, places in groups.items():
            own = family.line
            if len(groups) > 1 and not because:
                own = _again(workload, calls, places, sheet)
            costs = _Costs(now, own, batch.found, because)
            part = _part(workload, calls, family, places, costs)
            if family.node >= 0:
                yield part
            else:
                key = part.name, because
                alone[key] = _both(alone[key], part) if key in alone else part
    yield from alone.values()


def _both(one: Part, other: Part) -> Part:
    """Return two parts as one."""
    now = one.now + other.now
    line = Line(
        one.batch.nothing + other.batch.nothing, one.batch.everything + other.batch.everything
    )
    calls = one.calls + other.calls
    return one._replace(calls=calls, now=now, batch=line, share=line.below(now))


def _again(workload: Workload, calls: Sequence[Call], places: Sequence[int], sheet: Sheet) -> Line:
    """Return the line of a family of which some calls are not in the batch."""
    found = arrange(replace(workload, calls=[calls[place] for place in places]), sheet)
    lines = [family.line for family in found.families]
    return Line(sum(one.nothing for one in lines), sum(one.everything for one in lines))


def _part(
    workload: Workload,
    calls: Sequence[Call],
    family: Family,
    places: Sequence[int],
    costs: _Costs,
) -> Part:
    """Say what some calls of a family cost either way."""
    cost = sum(costs.now.costs[place] for place in places)
    first = calls[places[0]]
    return Part(
        name=" / ".join(filter(None, (first.label, first.tariff.model))),
        calls=len(places),
        shared=workload.tree.tokens[family.node] if family.node >= 0 else 0,
        now=cost,
        batch=costs.batch,
        marked=family.marked,
        share=costs.batch.below(cost),
        found=costs.found,
        because=costs.because,
    )


def _unfit(workload: Workload, calls: Sequence[Call]) -> Iterator[str]:
    """Yield for each call why it cannot be in the batch, or nothing."""
    tips: dict[int, float] = {}
    for call in calls:
        tips.setdefault(call.tip, call.at)
    for call in calls:
        platform = facts.PLATFORMS[call.tariff.platform]
        if not platform.batch:
            yield f"there are no Message Batches on {call.tariff.platform}"
        elif call.tariff.speed != "standard":
            yield f'speed "{call.tariff.speed}" is not for batches'
        elif _goes_on(workload, call, tips):
            yield "goes on from the answer to another of these calls"
        else:
            yield ""


def _goes_on(workload: Workload, call: Call, tips: Mapping[int, float]) -> bool:
    """Tell whether a prompt holds the whole prompt of an earlier call and more."""
    tree = workload.tree
    above = tree.parent[call.tip]
    return above >= 0 and any(tips.get(node, call.at) < call.at for node in tree.upward(above))


def _split(parts: Sequence[Part], *, priced: bool) -> Band:
    """Add up the split: each family where it is better."""
    if not priced:
        return Band(None, None)
    low, high = (
        sum(part.ends[end] if part.waits else part.now for part in parts) for end in (0, 1)
    )
    return Band(Decimal(str(low)), Decimal(str(high)))


def _verdict(parts: Sequence[Part], batched: int, left: float) -> tuple[Verdict, str]:
    """Say which way to take, and why."""
    calls = sum(part.calls for part in parts)
    if left < TAKES:
        why = f"{_span(left)} are left, and no batch can be counted on within {_span(TAKES)}"
        return "now", why
    if all(part.because for part in parts):
        return "now", "no batch takes any of these calls"
    if not batched:
        ends = "midway between both ends of what is documented, " if _open(parts) else ""
        return "now", f"{ends}a batch costs more"
    late = ""
    if left < DAY:
        late = (
            f"; most batches end within an hour, but none is promised before {_span(DAY)}:"
            " cancel it in time and send what is left"
        )
    if batched == calls:
        return "batch", f"it costs less for every call{late}"
    return "split", f"{count(batched)} of {count(calls)} calls cost less in a batch{late}"


def _open(parts: Sequence[Part]) -> bool:
    """Tell whether it hangs on the share of cache hits for any of these calls."""
    return any(part.open for part in parts)


def _notes(parts: Sequence[Part], waiting: Sequence[Part], left: float) -> Iterator[str]:
    """Yield what a person should know besides."""
    both = [part for part in parts if part.open]
    if both:
        calls = count(sum(part.calls for part in both))
        yield (
            f"For {calls} calls it hangs on the share of cache hits, which nobody promises"
            " (the share is in the last column)."
        )
    held: dict[str, int] = {}
    for part in parts:
        if part.because:
            held[part.because] = held.get(part.because, 0) + part.calls
    for because, calls_held in held.items():
        yield f"Not for the batch, {count(calls_held)} calls: {because}."
    if waiting and TAKES <= left < DAY:
        again = dollars(Decimal(str(sum(part.now for part in waiting))))
        yield (
            f"If nothing of the batch is ready in time, its calls cost {again} more at most:"
            " what was canceled is not billed, what is sent again is."
        )


def _row(part: Part) -> tuple[str, ...]:
    """Write one family as a line of the table."""
    low, high = (dollars(Decimal(str(end))) for end in part.ends)
    span = low if low == high else f"{low} - {high}"
    if part.because:
        why = part.because
    elif part.open and part.share is not None:
        why = f"the batch from {part.share:.0%} of hits on; marked {part.marked}"
    else:
        why = f"at any share; in a batch marked {part.marked}"
    cost = dollars(Decimal(str(part.now)))
    better = "batch" if part.waits else "now"
    return (part.name, count(part.calls), count(part.shared), cost, span, better, why)


def _span(left: float) -> str:
    """Say a time as a person would.

    >>> _span(21600), _span(5430), _span(20)
    ('6 h', '1 h 30 min', '20 s')
    """
    if left < 60:  # noqa: PLR2004 -- seconds in a minute
        return f"{left:.0f} s"
    hours, minutes = divmod(round(left / 60), 60)
    words = [f"{hours} h"] if hours else []
    return " ".join([*words, f"{minutes} min"] if minutes else words)


def _band(found: Band) -> dict[str, Any]:
    return {"cost_usd": {"low": _number(found.low), "high": _number(found.high)}}


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
