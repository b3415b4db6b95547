"""Which feature burns it: what calls cost by any of their names, and what could be saved.

What calls cost is what was billed, or for calls that nobody billed what the simulator says
of them as they were marked. What could be saved there is simulated on all calls together
and booked call by call: each call's saving stands in one row, so rows add up to what the
review says of the whole, and nothing is saved twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from textwrap import fill
from typing import Any, Final, NamedTuple

from cacheplan.books import Line, Sum, line_json
from cacheplan.choosing import choose
from cacheplan.edits import edited
from cacheplan.entries import Entry
from cacheplan.errors import InputError
from cacheplan.linter import Findings
from cacheplan.prices import Sheet
from cacheplan.projection import Bill, Marker, replay, unknown
from cacheplan.tables import aligned, count, dollars, html, percent, printable
from cacheplan.usage import Usage
from cacheplan.workload import Call, Workload

__all__ = ["NAMES", "Booked", "Costs", "Row", "Saved", "costs", "keys", "of_calls", "saved"]

#: Columns that a sentence below a table takes.
_WIDE: Final = 96
#: How a tag is asked for.
_TAG: Final = "tag:"
#: What calls can be told apart by, besides their tags.
NAMES: Final[Mapping[str, Callable[[Entry], str]]] = {
    "label": lambda entry: entry.label or "(no label)",
    "model": lambda entry: entry.model,
    "session": lambda entry: entry.session or "(no session)",
    "workspace": lambda entry: entry.workspace or "(no workspace)",
    "day": lambda entry: datetime.fromtimestamp(entry.at, UTC).date().isoformat(),
}
#: What the two last columns mean, said below every table.
_SAID: Final = (
    "What marks would save: these calls as they were marked, against the best plan for all"
    " calls. What layouts would save: that plan, against the best plan with every layout mended"
    " that the review finds. Both are simulated on all calls together and booked call by call,"
    " so rows add up and nothing is saved twice; answers are left out."
)


class Booked(NamedTuple):
    """One call as it is booked."""

    entry: Entry
    #: What the simulator counts for it: as it was marked, under the best plan, and under the
    #: best plan with layouts mended; ``None`` where that cannot be said.
    saved: Saved | None = None


class Saved(NamedTuple):
    """One call, served three ways."""

    paid: Usage
    planned: Usage
    mended: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Calls of one kind: what they cost, and what could be saved there."""

    names: tuple[str, ...]
    line: Line
    #: Dollars; ``None`` where a price is unknown, or nothing was simulated.
    marks: Decimal | None
    layouts: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Every kind of calls, the dearest first."""

    by: tuple[str, ...]
    rows: tuple[Row, ...]
    total: Row
    #: Calls whose cost is simulated, because nobody said what was billed.
    simulated: int
    #: Whether anything was said of savings.
    saving: bool
    #: Models whose price nobody knows.
    unpriced: tuple[str, ...]

    def __str__(self) -> str:
        """Say it on a terminal."""
        notes = (fill(note, _WIDE) for note in self._notes())
        parts = [aligned(*self._table(), left=len(self.by)), *notes]
        return "\n\n".join(printable(part) for part in parts)

    def _repr_html_(self) -> str:
        """Show it in a notebook; every cell is escaped."""
        return html(*self._table(), left=len(self.by))

    def _notes(self) -> list[str]:
        """Say what the numbers rest on."""
        said = [_SAID] if self.saving else []
        if self.simulated:
            said.append(
                f"Calls that nobody said the bill of, and that cost what is simulated:"
                f" {count(self.simulated)}."
            )
        if self.total.line.unbilled:
            said.append(
                "Calls whose cost nobody knows, counted as nothing:"
                f" {count(self.total.line.unbilled)}."
            )
        return said

    def _table(self) -> tuple[Sequence[str], list[Sequence[str]]]:
        head = (*self.by, "calls", "failed", "cost", "share", "hit rate")
        head += ("marks would save", "layouts would save") if self.saving else ()
        return head, [self._shown(row) for row in (*self.rows, self.total)]

    def _shown(self, row: Row) -> Sequence[str]:
        line, whole = row.line, self.total.line.cost
        share = None if line.cost is None or not whole else float(line.cost / whole)
        cells = (*row.names, count(line.calls), count(line.failed), dollars(line.cost))
        cells += (percent(share), percent(line.hit_rate))
        return (*cells, dollars(row.marks), dollars(row.layouts)) if self.saving else cells

    def to_json(self) -> dict[str, Any]:
        """Return the shape that ``costs --format json`` prints."""
        return {
            "by": list(self.by),
            "rows": [self._row_json(row) for row in self.rows],
            "total": self._row_json(self.total),
            "simulated": self.simulated,
            "unpriced": list(self.unpriced),
        }

    def _row_json(self, row: Row) -> dict[str, Any]:
        named = line_json(row.line)
        del named["name"]
        saving = None
        if self.saving:
            saving = {"marks_usd": _number(row.marks), "layouts_usd": _number(row.layouts)}
        names = {} if row is self.total else dict(zip(self.by, row.names, strict=True))
        return {**names, **named, "saving": saving}


def keys(by: Sequence[str], entries: Iterable[Entry]) -> list[Callable[[Entry], str]]:
    """Return what tells calls apart by these names; ``tag:customer`` is a tag's."""
    found = []
    tags: dict[str, None] | None = None
    for name in by:
        if name in NAMES:
            found.append(NAMES[name])
            continue
        if tags is None:
            tags = {tag: None for entry in entries for tag, _ in entry.tags}
        wanted = name.removeprefix(_TAG)
        if not name.startswith(_TAG) or wanted not in tags:
            known = ", ".join((*NAMES, *(f"{_TAG}{tag}" for tag in sorted(tags))))
            raise InputError(f'"{name}" is nothing that calls have; there are {known}')
        found.append(_tagged(wanted))
    return found


def _tagged(name: str) -> Callable[[Entry], str]:
    """Return what tells calls apart by one tag."""
    return lambda entry: dict(entry.tags).get(name, f"(no {name})")


def costs(
    booked: Sequence[Booked], sheet: Sheet, by: Sequence[str], *, simulated: int = 0
) -> Costs:
    """Add calls up by their names."""
    of = keys(by, (one.entry for one in booked))
    total, sums = _Sums(sheet), dict[tuple[str, ...], _Sums]()
    for one in booked:
        names = tuple(key(one.entry) for key in of)
        if names not in sums:
            sums[names] = _Sums(sheet)
        total.add(one)
        sums[names].add(one)
    rows = [found.row(names) for names, found in sums.items()]
    order = sorted(rows, key=(lambda row: row.names) if tuple(by) == ("day",) else _dearest)
    return Costs(
        by=tuple(by),
        rows=tuple(order),
        total=total.row(("all", *[""] * (len(by) - 1))),
        simulated=simulated,
        saving=any(one.saved is not None for one in booked),
        unpriced=tuple(total.sum.bill.unpriced),
    )


class _Sums:
    """Adds up one kind of calls, as billed and as served three ways."""

    def __init__(self, sheet: Sheet) -> None:
        self.sum = Sum(sheet)
        self._ways = (Bill(sheet), Bill(sheet), Bill(sheet))
        self._served = 0

    def add(self, one: Booked) -> None:
        """Book one call."""
        entry = one.entry
        self.sum.add(entry)
        if one.saved is not None:
            self._served += 1
            for bill, usage in zip(self._ways, one.saved, strict=True):
                bill.add(usage, entry.tariff, entry.at)

    def row(self, names: tuple[str, ...]) -> Row:
        """Return the sum."""
        paid, planned, mended = (bill.costs()[1] for bill in self._ways)
        known = self._served and None not in (paid, planned, mended)
        return Row(
            names=names,
            line=self.sum.line(", ".join(names)),
            marks=_less(paid, planned) if known else None,
            layouts=_less(planned, mended) if known else None,
        )


def _less(before: Decimal | None, after: Decimal | None) -> Decimal | None:
    return None if before is None or after is None else before - after


def _dearest(row: Row) -> tuple[Decimal, tuple[str, ...]]:
    return -(row.line.cost or Decimal()), row.names


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)


def saved(workload: Workload, found: Findings, sheet: Sheet) -> dict[int, Saved]:
    """Serve every call three ways; by its number. What one way refuses is left out."""
    mended = edited(workload, found.edits) if found.edits else workload
    best = choose(mended, sheet).marker(mended.tree)
    ways = (
        _sent(workload, sheet),
        _served(workload, found.plan.marker(workload.tree), sheet),
        _served(mended, best, sheet),
    )
    return {
        number: Saved(*(way[number] for way in ways))
        for number in ways[0]
        if all(number in way for way in ways)
    }


def _served(workload: Workload, marker: Marker, sheet: Sheet) -> dict[int, Usage]:
    """Return what is counted for each call that is not refused."""
    return {
        one.call.number: one.usage for one in replay(workload, marker, sheet) if one.refused is None
    }


def _sent(workload: Workload, sheet: Sheet) -> dict[int, Usage]:
    """Return the same as calls were sent, of those of which anybody knows it."""
    sent = replay(workload, lambda call: call.marks, sheet, as_sent=True)
    return {
        one.call.number: one.usage for one in sent if one.refused is None and not unknown(one.call)
    }


def of_calls(workload: Workload, sheet: Sheet) -> tuple[dict[int, Entry], int]:
    """Return the calls of a workload as entries, and how many of them had to be simulated."""
    missing = any(call.recorded is None and not call.failed for call in workload)
    served = _sent(workload, sheet) if missing else {}
    found, simulated = {}, 0
    for call in workload:
        usage = call.recorded
        if usage is None and not call.failed and call.number in served:
            usage = served[call.number]
            simulated += 1
        found[call.number] = _entry(call, usage)
    return found, simulated


def _entry(call: Call, usage: Usage | None) -> Entry:
    """Return a call as it is written down."""
    model, platform, surface, speed, geo = call.tariff
    return Entry(
        at=call.at,
        model=model,
        platform=platform,
        surface=surface,
        speed=speed,
        geo=geo,
        label=call.label,
        tags=call.tags,
        session=call.session,
        workspace=call.workspace,
        usage=usage,
        error="failed" if call.failed else None,
    )
