"""The books: what was billed, by feature, model and day, and whether it was as expected.

Knows finished calls and prices. Where a price is unknown, money is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from cacheplan.collapses import CAUSES, Collapse, by_cause
from cacheplan.comparison import usage_json
from cacheplan.entries import Entry
from cacheplan.prices import Sheet
from cacheplan.projection import Bill
from cacheplan.tables import aligned, count, dollars, html, percent, printable
from cacheplan.usage import Usage

__all__ = ["KEYS", "Books", "Line", "Prefix", "Sum", "balance", "line_json"]

#: Prefixes that are shown, those with most tokens first.
SHOWN: Final = 10

#: What a row of the books can stand for.
KEYS: Final[dict[str, Callable[[Entry], str]]] = {
    "label": lambda entry: entry.label or "(no label)",
    "model": lambda entry: entry.model,
    "day": lambda entry: datetime.fromtimestamp(entry.at, UTC).date().isoformat(),
    "session": lambda entry: entry.session or "(no session)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What calls of one kind used, and what that cost."""

    name: str
    calls: int
    failed: int
    #: Calls whose response did not say what was billed.
    unbilled: int
    usage: Usage
    #: Dollars; ``None`` where a price is unknown.
    cost: Decimal | None
    input_cost: Decimal | None
    #: Dollars for the same prompts if nothing had been cached.
    plain_cost: Decimal | None

    @property
    def hit_rate(self) -> float | None:
        """The share of prompt tokens that were read."""
        return self.usage.read / self.usage.prompt if self.usage.prompt else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """One marked prefix: what was expected of the calls that end their marks with it."""

    #: Its keyed digest, shortened as far as it stays one of a kind.
    key: str
    rule: str
    tokens: int
    calls: int
    predicted: Usage
    billed: Usage
    #: By lifetime that was asked for, then granted: calls. A call that wrote nothing
    #: shows no grant.
    lifetimes: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """A ledger, added up."""

    by: str
    lines: tuple[Line, ...]
    total: Line
    prefixes: tuple[Prefix, ...]
    collapses: tuple[Collapse, ...]
    #: Models whose price nobody knows.
    unpriced: tuple[str, ...]

    def __str__(self) -> str:
        """Say it on a terminal."""
        parts = [aligned(*self._sums(), left=1)]
        if self.prefixes:
            parts.append(
                "Marked prefixes: what was expected, and what was billed\n\n"
                + aligned(*self._expected(), left=2)
            )
        if self.collapses:
            parts.append(
                "Collapses: calls that read far less than the one before them left\n\n"
                + aligned(*self._broken(), left=1, source=True)
            )
        return "\n\n".join(printable(part) for part in parts)

    def _repr_html_(self) -> str:
        """Show it in a notebook; every cell is escaped."""
        tables = [html(*self._sums())]
        if self.prefixes:
            tables.append(html(*self._expected(), left=2))
        if self.collapses:
            tables.append(html(*self._broken()))
        return "".join(tables)

    def _sums(self) -> tuple[Sequence[str], list[Sequence[str]]]:
        head = (self.by, "calls", "failed", "cost", "prompts", "uncached would be", "hit rate")
        return head, [_shown(line) for line in (*self.lines, self.total)]

    def _expected(self) -> tuple[Sequence[str], list[Sequence[str]]]:
        head = ("prefix", "mark", "tokens", "calls", "read as expected", "asked → granted")
        rows: list[Sequence[str]] = []
        for prefix in self.prefixes:
            expected = prefix.predicted.read
            agreement = percent(prefix.billed.read / expected) if expected else "-"
            granted = ", ".join(f"{ask} → {got}: {calls}" for ask, got, calls in prefix.lifetimes)
            row = (prefix.key, prefix.rule, count(prefix.tokens), count(prefix.calls))
            rows.append((*row, agreement, granted))
        return head, rows

    def _broken(self) -> tuple[Sequence[str], list[Sequence[str]]]:
        rows: list[Sequence[str]] = [
            (cause, count(calls), count(lost), CAUSES.get(cause, "as the API says"))
            for cause, calls, lost in by_cause(self.collapses)
        ]
        return ("cause", "calls", "tokens paid again", ""), rows

    def to_json(self) -> dict[str, Any]:
        """Return the shape that ``ledger --format json`` prints."""
        return {
            "by": self.by,
            "lines": [line_json(line) for line in self.lines],
            "total": line_json(self.total),
            "prefixes": [_prefix_json(prefix) for prefix in self.prefixes],
            "collapses": [
                {
                    "at": one.call.at,
                    "label": one.call.label,
                    "model": one.call.tariff.model,
                    "established": one.established,
                    "read": one.read,
                    "cause": one.cause,
                    "from": "api" if one.told else "prompts",
                }
                for one in self.collapses
            ],
            "unpriced": list(self.unpriced),
        }


def balance(
    entries: Iterable[Entry], collapses: Iterable[Collapse], sheet: Sheet, by: str = "label"
) -> Books:
    """Add finished calls up, by one of ``KEYS``."""
    of = KEYS[by]
    total, sums, marks = Sum(sheet), dict[str, Sum](), dict[bytes, _Marks]()
    for entry in entries:
        name = of(entry)
        if name not in sums:
            sums[name] = Sum(sheet)
        total.add(entry)
        sums[name].add(entry)
        if entry.marked:
            marks.setdefault(entry.marked[-1].key, _Marks()).add(entry)
    lines = [found.line(name) for name, found in sums.items()]
    order = sorted(lines, key=(lambda one: one.name) if by == "day" else _dearest)
    told = sorted(marks.items(), key=lambda pair: -pair[1].weight)
    return Books(
        by=by,
        lines=tuple(order),
        total=total.line("all"),
        prefixes=tuple(found.prefix(key) for key, found in told[:SHOWN]),
        collapses=tuple(collapses),
        unpriced=tuple(total.bill.unpriced),
    )


class Sum:
    """Adds up one kind of calls; ``bill`` is what they cost."""

    def __init__(self, sheet: Sheet) -> None:
        self.calls = self.failed = self.unbilled = 0
        self.bill = Bill(sheet)
        self._plain = Bill(sheet)
        self._usage = Usage()

    def add(self, entry: Entry) -> None:
        """Book one call."""
        self.calls += 1
        self.failed += entry.error is not None
        if entry.usage is None:
            self.unbilled += entry.error is None
            return
        tariff = entry.tariff
        self._usage += entry.usage
        self.bill.add(entry.usage, tariff, entry.at)
        plain = Usage(uncached=entry.usage.prompt, output=entry.usage.output)
        self._plain.add(plain, tariff, entry.at)

    def line(self, name: str) -> Line:
        """Return the sum."""
        cost, input_cost = self.bill.costs()
        return Line(
            name=name,
            calls=self.calls,
            failed=self.failed,
            unbilled=self.unbilled,
            usage=self._usage,
            cost=cost,
            input_cost=input_cost,
            plain_cost=self._plain.costs()[1],
        )


class _Marks:
    """Adds up the calls whose last mark ends one prefix."""

    def __init__(self) -> None:
        self._calls = 0
        self._first: Entry | None = None
        self._predicted = self._billed = Usage()
        self._lifetimes: dict[tuple[str, str], int] = {}

    @property
    def weight(self) -> int:
        """What stands in line first: prompts read and written."""
        return self._billed.read + self._billed.written

    def add(self, entry: Entry) -> None:
        """Book one call; only what was both expected and billed can be compared."""
        self._calls += 1
        self._first = self._first or entry
        if entry.predicted is not None and entry.usage is not None:
            self._predicted += entry.predicted
            self._billed += entry.usage
        asked = str(entry.lifetime or "-")
        key = (asked, str(entry.granted or "-"))
        self._lifetimes[key] = self._lifetimes.get(key, 0) + 1

    def prefix(self, key: bytes) -> Prefix:
        """Return the sum."""
        mark = self._first.marked[-1] if self._first else None
        return Prefix(
            key=key.hex()[:12],
            rule=mark.rule if mark else "",
            tokens=mark.tokens if mark else 0,
            calls=self._calls,
            predicted=self._predicted,
            billed=self._billed,
            lifetimes=tuple((ask, got, calls) for (ask, got), calls in self._lifetimes.items()),
        )


def _dearest(line: Line) -> tuple[Decimal, str]:
    return -(line.cost or Decimal()), line.name


def _shown(line: Line) -> Sequence[str]:
    money = (dollars(line.cost), dollars(line.input_cost), dollars(line.plain_cost))
    return (line.name, count(line.calls), count(line.failed), *money, percent(line.hit_rate))


def line_json(line: Line) -> dict[str, Any]:
    """Return the shape in which JSON has one row."""
    return {
        "name": line.name,
        "calls": line.calls,
        "failed": line.failed,
        "unbilled": line.unbilled,
        "usage": usage_json(line.usage),
        "cost_usd": _number(line.cost),
        "input_cost_usd": _number(line.input_cost),
        "uncached_input_cost_usd": _number(line.plain_cost),
        "hit_rate": line.hit_rate,
    }


def _prefix_json(prefix: Prefix) -> dict[str, Any]:
    return {
        "prefix": prefix.key,
        "mark": prefix.rule,
        "tokens": prefix.tokens,
        "calls": prefix.calls,
        "predicted": usage_json(prefix.predicted),
        "billed": usage_json(prefix.billed),
        "lifetimes": [
            {"asked": ask, "granted": got, "calls": calls} for ask, got, calls in prefix.lifetimes
        ],
    }


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
