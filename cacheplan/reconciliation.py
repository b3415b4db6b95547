"""The ledger beside the service's own reports: what agrees, what is missing, what was dearer.

Both sides are added up by day, model, workspace, tier and kind of tokens. Tokens are held
against the report of usage, money against the report of cost: what the ledger says a cell
costs where both sides have the same tokens, and where they have not, what the report's
tokens may cost at the rates that were in use. So tokens that one side lacks are told once,
as tokens, and only what was priced differently is told as money.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

from cacheplan.admin_reports import FIELDS, Said, Unexplained, day_of
from cacheplan.discrepancies import Agreed, Gap, Key, Priced, Reconciliation
from cacheplan.entries import Entry
from cacheplan.facts import find
from cacheplan.prices import Rate, Sheet, Tariff
from cacheplan.statements import Report
from cacheplan.usage import Usage

__all__ = ["reconcile"]

#: The platform whose calls the Admin API reports; others have bills of their own (Admin
#: API's pages, 2026-11).
_REPORTED: Final = "anthropic"
#: Dollars that one row may be off by rounding: half of the last place of "123.45" cents.
_ROUNDING: Final = Decimal("0.00005")
_COUNTERS: Final = tuple(FIELDS.values())
#: More prompt tokens than any model's first band takes.
_LONG: Final = 10**9
_NOON: Final = 43_200


@dataclass(slots=True)
class _Cell:
    """What the ledger has under one key."""

    #: By rate: the five counters. Priced once, so that sums are exact and quick.
    sums: dict[int, list[int]] = field(default_factory=dict)
    rates: dict[int, Rate | None] = field(default_factory=dict)

    def add(self, usage: Usage, rate: Rate | None) -> None:
        """Book one call."""
        sums = self.sums.setdefault(id(rate), [0] * len(_COUNTERS))
        self.rates[id(rate)] = rate
        for at, counter in enumerate(_COUNTERS):
            sums[at] += getattr(usage, counter)

    def tokens(self, counter: str) -> int:
        """Return the tokens of one counter."""
        at = _COUNTERS.index(counter)
        return sum(sums[at] for sums in self.sums.values())

    def cost(self, counter: str) -> Decimal | None:
        """Return what they cost, ``None`` where a price is unknown."""
        at, total = _COUNTERS.index(counter), Decimal()
        for key, sums in self.sums.items():
            rate = self.rates[key]
            if sums[at] and rate is None:
                return None
            if rate is not None:
                total += sums[at] * _price(rate, counter)
        return total


def _price(rate: Rate, counter: str) -> Decimal:
    found: Decimal = getattr(rate, counter)
    return found


_EMPTY: Final = _Cell()


def reconcile(
    entries: Sequence[Entry],
    usage: Report | None,
    cost: Report | None,
    sheet: Sheet,
    *,
    workspace: Callable[[str | None], str] | None = None,
    period: tuple[str | None, str | None] = (None, None),
) -> Reconciliation:
    """Hold a ledger against reports of usage, of cost, or both.

    ``workspace`` turns a report's id of a workspace into the ledger's name of it; without
    it workspaces are not told apart. ``period`` is the first and the last day.
    """
    return _Sides(entries, usage, cost, sheet, workspace, period).compared()


class _Sides:
    """Both sides, added up by the same keys."""

    def __init__(
        self,
        entries: Sequence[Entry],
        usage: Report | None,
        cost: Report | None,
        sheet: Sheet,
        workspace: Callable[[str | None], str] | None,
        period: tuple[str | None, str | None],
    ) -> None:
        self._sheet = sheet
        self._join = workspace
        self._reports = tuple(one for one in (usage, cost) if one is not None)
        self._usage, self._cost = usage, cost
        days = sorted(day for report in self._reports for day in report.days)
        self.first = period[0] or (days[0] if days else day_of(entries[0].at))
        self.last = period[1] or (days[-1] if days else day_of(entries[-1].at))
        #: Whether every row says a tier; where none does, tiers are not told apart.
        rows = [row for report in self._reports for row in report.rows if _of_tokens(row)]
        self._tiers = any(row.tier is not None for row in rows)
        self._entries = [one for one in entries if self._within(day_of(one.at))]
        self.workspaces: dict[str, str] = {}
        self.notes = [note for report in self._reports for note in report.notes]
        self._unpriced: dict[str, None] = {}
        self._tell(entries)

    def _within(self, day: str) -> bool:
        return self.first <= day <= self.last

    def _tell(self, entries: Sequence[Entry]) -> None:
        """Note what the ledger cannot say."""
        begins = datetime.fromtimestamp(entries[0].at, UTC)
        if begins.date().isoformat() >= self.first and begins.timestamp() % 86_400:
            said = begins.strftime("%Y-%m-%d %H:%M")
            self.notes.append(f"The ledger begins at {said} UTC; it has nothing from before.")
        silent = sum(one.usage is None and one.error is None for one in self._entries)
        if silent:
            self.notes.append(f"Calls of the ledger whose answers said no usage: {silent:,}.")
        elsewhere = sum(one.platform != _REPORTED for one in self._entries)
        if elsewhere:
            what = "Calls of the ledger on other platforms, which these reports are not about"
            self.notes.append(f"{what}: {elsewhere:,}.")
        if self._join is None:
            self.notes.append("Workspaces are not told apart.")

    def _key(self, day: str, model: str | None, workspace: str, tier: str | None) -> Key:
        """Return a key, with one name for a model under all its ids."""
        found = find(model) if model else None
        name = found.model.id if found else model or ""
        return Key(
            day,
            name,
            workspace if self._join is not None else "",
            (tier or "(no tier)") if self._tiers else "",
        )

    def _row_key(self, row: Said) -> Key:
        """Return the key of a report's row."""
        workspace = ""
        if self._join is not None:
            workspace = self._join(row.workspace)
            if row.workspace is not None:
                self.workspaces[workspace] = row.workspace
        return self._key(row.day, row.model, workspace, row.tier)

    def _ledger(self) -> dict[Key, _Cell]:
        """Add up the ledger."""
        cells: dict[Key, _Cell] = {}
        for one in self._entries:
            if one.usage is None or one.platform != _REPORTED:
                continue
            tier = "batch" if one.surface == "batch" else "standard"
            key = self._key(day_of(one.at), one.model, one.workspace or "", tier)
            rate = self._sheet.rate(one.tariff, one.at, one.usage.prompt)
            if rate is None:
                self._unpriced[one.model] = None
            cells.setdefault(key, _Cell()).add(one.usage, rate)
        return cells

    def _rows(self, report: Report | None) -> dict[Key, list[Said]]:
        """Group a report's rows."""
        groups: dict[Key, list[Said]] = {}
        for row in report.rows if report is not None else ():
            if self._within(row.day) and _of_tokens(row):
                groups.setdefault(self._row_key(row), []).append(row)
        return groups

    def compared(self) -> Reconciliation:
        """Compare cell by cell."""
        ledger, used, paid = self._ledger(), self._rows(self._usage), self._rows(self._cost)
        unexplained = [one for report in self._reports for one in report.unexplained]
        for key in sorted(used):
            if not key.model:
                unexplained += [Unexplained(row.where, "it names no model") for row in used[key]]
        used = {key: rows for key, rows in used.items() if key.model}
        gaps, cells, tokens = self._gaps(ledger, used) if self._usage else ([], 0, 0)
        gaps, later = _across_midnight(
            gaps, lambda key, counter: ledger.get(key, _EMPTY).tokens(counter)
        )
        priced, money, amount = (
            self._priced(ledger, used, paid) if self._cost else ([], 0, Decimal())
        )
        costs = [cell.cost(counter) for cell in ledger.values() for counter in _COUNTERS]
        known = [one for one in costs if one is not None]
        reported = [row.usage for rows in used.values() for row in rows if row.usage is not None]
        return Reconciliation(
            first=self.first,
            last=self.last,
            ledger=Usage(*(sum(c.tokens(n) for c in ledger.values()) for n in _ORDER)),
            report=sum(reported, Usage()) if self._usage else None,
            expected=sum(known, Decimal()) if len(known) == len(costs) else None,
            amount=_amount(row for rows in paid.values() for row in rows) if self._cost else None,
            agreed=Agreed(cells, tokens, money, amount),
            gaps=tuple(gaps),
            later=tuple(later),
            priced=tuple(priced),
            beside=tuple(self._beside()),
            unexplained=tuple(dict.fromkeys(unexplained)),
            uncovered=tuple(self._uncovered()),
            workspaces=self.workspaces,
            notes=tuple(self.notes),
            unpriced=tuple(self._unpriced),
        )

    def _covers(self, report: Report | None, day: str) -> bool:
        return report is not None and day in report.days

    def _gaps(
        self, ledger: Mapping[Key, _Cell], used: Mapping[Key, Sequence[Said]]
    ) -> tuple[list[Gap], int, int]:
        """Return tokens that differ, and how many cells and tokens do not."""
        gaps, cells, tokens = [], 0, 0
        for key in sorted({*ledger, *used}):
            if not self._covers(self._usage, key.day):
                continue
            cell = ledger.get(key, _EMPTY)
            for counter in _COUNTERS:
                ours, theirs = cell.tokens(counter), _counted(used.get(key, ()), counter)
                if ours == theirs:
                    cells += bool(ours)
                    tokens += ours
                else:
                    kind = _missing(ours, theirs)
                    gaps.append(Gap(key, counter, ours, theirs, kind))
        return gaps, cells, tokens

    def _priced(
        self,
        ledger: Mapping[Key, _Cell],
        used: Mapping[Key, Sequence[Said]],
        paid: Mapping[Key, Sequence[Said]],
    ) -> tuple[list[Priced], int, Decimal]:
        """Return money that differs, and how many cells and dollars do not."""
        found, cells, agreed = [], 0, Decimal()
        for key in sorted({*ledger, *used, *paid}):
            if not self._covers(self._cost, key.day):
                continue
            cell, rows = ledger.get(key, _EMPTY), used.get(key, ())
            for counter in _COUNTERS:
                charged = [row for row in paid.get(key, ()) if row.counter == counter]
                tokens = cell.tokens(counter)
                if self._covers(self._usage, key.day):
                    tokens = _counted(rows, counter)
                bounds = self._bounds(key, cell, rows, counter, tokens)
                amount = _amount(charged)
                if bounds is None:
                    continue
                kind = _compared(charged, amount, *bounds)
                if kind:
                    found.append(Priced(key, counter, tokens, *bounds, amount, kind))
                elif charged:
                    cells += 1
                    agreed += amount
        return found, cells, agreed

    def _bounds(
        self, key: Key, cell: _Cell, rows: Sequence[Said], counter: str, tokens: int
    ) -> tuple[Decimal, Decimal] | None:
        """Return the least and the most that the reported tokens cost by the sheet."""
        if not tokens:
            return Decimal(), Decimal()
        if tokens == cell.tokens(counter):
            cost = cell.cost(counter)
            return None if cost is None else (cost, cost)
        rates = [rate for rate in cell.rates.values() if rate is not None]
        rates += self._rates(key, rows)
        if not rates:
            self._unpriced[key.model] = None
            return None
        prices = [_price(rate, counter) for rate in rates]
        return tokens * min(prices), tokens * max(prices)

    def _rates(self, key: Key, rows: Sequence[Said]) -> Iterator[Rate]:
        """Yield the rates that calls of a cell may have had, those of long prompts included."""
        at = datetime.fromisoformat(key.day).replace(tzinfo=UTC).timestamp() + _NOON
        surface = "batch" if key.tier == "batch" else "messages"
        for speed, geo in {(row.speed, row.geo) for row in rows} or {(None, None)}:
            tariff = Tariff(key.model, _REPORTED, surface, speed or "standard", geo or "")
            for length in (0, _LONG):
                rate = self._sheet.rate(tariff, at, length)
                if rate is not None:
                    yield rate

    def _beside(self) -> Iterator[tuple[str, Decimal]]:
        """Yield what is charged for other things than tokens."""
        sums: dict[str, Decimal] = {}
        for row in self._cost.rows if self._cost is not None else ():
            if self._within(row.day) and not _of_tokens(row):
                sums[row.cost_type] = sums.get(row.cost_type, Decimal()) + (row.amount or 0)
        yield from sorted(sums.items())

    def _uncovered(self) -> Iterator[tuple[str, str, int]]:
        """Yield the days that a report leaves out, where the ledger has calls or a day is due."""
        calls: dict[str, int] = {}
        for one in self._entries:
            if one.usage is not None and one.platform == _REPORTED:
                day = day_of(one.at)
                calls[day] = calls.get(day, 0) + 1
        for report in self._reports:
            for day in _every_day(self.first, self.last):
                if day not in report.days:
                    yield day, report.kind, calls.get(day, 0)


#: The counters in the order of ``Usage``.
_ORDER: Final = ("uncached", "write_5m", "write_1h", "read", "output")


def _of_tokens(row: Said) -> bool:
    """Tell whether a row is about tokens."""
    return row.kind == "usage" or row.cost_type == "tokens"


def _every_day(first: str, last: str) -> Iterator[str]:
    """Yield each day, the last included."""
    day = date.fromisoformat(first)
    while day <= date.fromisoformat(last):
        yield day.isoformat()
        day += timedelta(days=1)


def _counted(rows: Iterable[Said], counter: str) -> int:
    return sum(getattr(row.usage, counter) for row in rows if row.usage is not None)


def _amount(rows: Iterable[Said]) -> Decimal:
    return sum((row.amount or Decimal() for row in rows), Decimal())


def _missing(ours: int, theirs: int) -> str:
    """Say on which side tokens are missing."""
    if not theirs:
        return "missing in the report"
    if not ours:
        return "missing in the ledger"
    return "more in the ledger" if ours > theirs else "more in the report"


def _compared(charged: Sequence[Said], amount: Decimal, least: Decimal, most: Decimal) -> str:
    """Say how an amount differs from what the sheet says; empty where it does not."""
    slack = _ROUNDING * max(1, len(charged))
    if least - slack <= amount <= most + slack:
        return ""
    if not charged:
        return "not charged"
    if not most:
        return "charged for no tokens"
    listed = sum(
        (row.amount or Decimal() if row.listed is None else row.listed for row in charged),
        Decimal(),
    )
    if listed != amount and least - slack <= listed <= most + slack:
        return "discounted"
    return "dearer" if amount > most else "cheaper"


def _across_midnight(
    gaps: Sequence[Gap], tokens: Callable[[Key, str], int]
) -> tuple[list[Gap], list[Gap]]:
    """Part gaps from tokens that the report has a day later than the ledger, to the token.

    Day by day what the ledger has too much goes over to the next, never more than that day
    has; where the days come out even, none of them lacks anything.
    """
    places: dict[tuple[Key, str], list[Gap]] = {}
    for gap in gaps:
        places.setdefault((gap.key._replace(day=""), gap.counter), []).append(gap)
    later: set[tuple[Key, str]] = set()
    for days in places.values():
        run: list[Gap] = []
        over = 0
        for gap in days:
            if run and not all(tokens(*place) >= over for place in _between(run[-1], gap)):
                run, over = [], 0
            over += gap.ledger - gap.report
            run.append(gap)
            if over == 0:
                later.update((one.key, one.counter) for one in run)
            if not 0 < over <= gap.ledger:
                run, over = [], 0
    return (
        [gap for gap in gaps if (gap.key, gap.counter) not in later],
        [gap for gap in gaps if (gap.key, gap.counter) in later],
    )


def _between(earlier: Gap, later: Gap) -> Iterator[tuple[Key, str]]:
    """Yield the days between two gaps of one place: as much went over as came."""
    day = _date(earlier) + timedelta(days=1)
    while day < _date(later):
        yield earlier.key._replace(day=day.isoformat()), earlier.counter
        day += timedelta(days=1)


def _date(gap: Gap) -> date:
    return date.fromisoformat(gap.key.day)
