"""The same calls under other models: what each would cost, planned anew, and what changes.

A price per token says little about a move: the other tokenizer makes other lengths, the
other minimum caches other prefixes, and marks that paid may pay no longer. So the calls
are laid out as they would be, a plan is chosen for them there, and both are served. Where
lengths are in doubt, the plan is served at the least and at the greatest as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from cacheplan.altered import days
from cacheplan.choosing import choose
from cacheplan.departures import Demand, Departure, departure
from cacheplan.errors import InputError
from cacheplan.moved import Moved, lay
from cacheplan.plan import Plan
from cacheplan.prices import Sheet
from cacheplan.projection import Projection, project, unmarked
from cacheplan.tables import aligned, count, dollars, printable, ratio
from cacheplan.workload import Workload

__all__ = ["AS_SENT", "ROUTED", "Migration", "Row", "migrate"]

#: The names of the rows that are no model's.
AS_SENT: Final = "as sent"
ROUTED: Final = "routed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """All calls under one choice of models."""

    name: str
    #: Calls that go to another model than they were sent to.
    moved: int
    prompt_tokens: int
    output_tokens: int
    #: With the marks they have, and under a plan chosen for them there.
    marked: Decimal | None
    planned: Decimal | None
    #: The same plan, where texts are as short and as long as they may be; both as planned
    #: where no tokenizer changes.
    low: Decimal | None
    high: Decimal | None
    hit_rate: float
    plan: Plan
    unpriced: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One workload under several choices of models, beside what it is now."""

    calls: int
    tokens_from: str
    #: Days these calls are of, ``None`` where they say too little about a day.
    days: Decimal | None
    rows: tuple[Row, ...]
    #: What changes, model by model.
    departures: tuple[Departure, ...]
    notes: tuple[str, ...] = ()

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Models whose price nobody knows."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.unpriced))

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """Models whose minimum nobody knows, so that nothing of theirs is cached."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.unmeasured))

    def __getitem__(self, name: str) -> Row:
        """Return a row by its name."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def to_json(self) -> dict[str, Any]:
        """Return the shape that ``migrate --format json`` prints."""
        return {
            "workload": {
                "calls": self.calls,
                "tokens_from": self.tokens_from,
                "days": _number(self.days),
            },
            "rows": [self._row_json(row) for row in self.rows],
            "models": [found.to_json() for found in self.departures],
            "notes": list(self.notes),
        }

    def _row_json(self, row: Row) -> dict[str, Any]:
        money = {"as_marked": row.marked, "planned": row.planned, "low": row.low, "high": row.high}
        daily = None
        if self.days is not None:
            daily = {key: _number(self._daily(amount)) for key, amount in money.items()}
        return {
            "name": row.name,
            "moved_calls": row.moved,
            "prompt_tokens": row.prompt_tokens,
            "output_tokens": row.output_tokens,
            "cost_usd": {key: _number(amount) for key, amount in money.items()},
            "cost_usd_per_day": daily,
            "hit_rate": row.hit_rate,
            "plan": row.plan.to_json(),
        }

    def __str__(self) -> str:
        """Lay the rows out as a table, with what changes below."""
        head = (
            "calls under",
            "prompt tokens",
            "as marked",
            "planned",
            "at least",
            "at most",
            "of now",
        )
        now = self.rows[0].marked
        table = [
            (
                row.name,
                count(row.prompt_tokens),
                *(dollars(self._daily(sum_)) for sum_ in (row.marked, row.planned)),
                *(dollars(self._daily(sum_)) if row.moved else "" for sum_ in (row.low, row.high)),
                ratio(None if row.planned is None or not now else row.planned / now),
            )
            for row in self.rows
        ]
        lines = [aligned(head, table), "", *self._footing()]
        for found in self.departures:
            lines += ["", f"{found.model}:", *(f"  {line}" for line in found.said())]
        return printable("\n".join(lines))

    def _footing(self) -> Iterator[str]:
        """Say what the numbers are of."""
        per = "these calls" if self.days is None else "a day"
        yield (
            f"Dollars for {per}, answers included; {count(self.calls)} calls, prompt tokens"
            f" {self.tokens_from}. Planned is the best plan found for each row, chosen and scored"
            " on these calls; at least and at most are that plan where the other tokenizer makes as"
            " little and as much of the texts as was measured. Answers are taken to say the same."
        )
        yield from self.notes

    def _daily(self, amount: Decimal | None) -> Decimal | None:
        """Return money a day, where the calls say something about a day."""
        return amount if amount is None or self.days is None else amount / self.days


def migrate(
    now: Workload,
    moves: Sequence[Moved],
    sheet: Sheet,
    *,
    routes: Mapping[str, Moved] | None = None,
    demands: Sequence[Demand] = (),
    watch: Callable[[str], None] | None = None,
) -> Migration:
    """Price a workload as it is, under each model, and with some labels sent elsewhere."""
    watch = watch or (lambda _: None)
    routes = routes or {}
    labels = {call.label for call in now}
    for label in routes:
        if label not in labels:
            raise InputError(f'no call is labelled "{label}"', ("route",))
    watch(AS_SENT)
    rows = [_as_sent(now, sheet)]
    for moved in moves:
        watch(moved.model)
        rows.append(_row(moved.model, now, {call.number: moved for call in now}, sheet))
    if routes:
        watch(ROUTED)
        chosen = {
            c.number: routes[c.label] for c in now if c.label is not None and c.label in routes
        }
        rows.append(_row(ROUTED, now, chosen, sheet))
    goes = {moved.model: (moved, frozenset(call.number for call in now)) for moved in moves}
    for moved in routes.values():
        named = {label for label, other in routes.items() if other.model == moved.model}
        calls = frozenset(call.number for call in now if call.label in named)
        goes.setdefault(moved.model, (moved, calls))
    return Migration(
        calls=len(now),
        tokens_from=now.tokens_from,
        days=days(now),
        rows=tuple(rows),
        departures=tuple(
            departure(now, moved, calls, sheet, demands) for moved, calls in goes.values()
        ),
        notes=tuple(_notes(now, rows)),
    )


def _as_sent(now: Workload, sheet: Sheet) -> Row:
    """Price the calls as they are."""
    plan, marked, planned = _both(now, sheet)
    return _made(AS_SENT, 0, now, plan, (marked, planned, planned, planned))


def _row(name: str, now: Workload, moves: Mapping[int, Moved], sheet: Sheet) -> Row:
    """Price the calls with some of them under other models."""
    likely = lay(now, moves, "ratio", sheet)
    plan, marked, planned = _both(likely, sheet)
    ends = []
    for which in ("low", "high"):
        calls = lay(now, moves, which, sheet)
        ends.append(project(calls, plan.marker(calls.tree), sheet, which))
    there = sum(
        call.number in moves and moves[call.number].model != call.tariff.model for call in now
    )
    return _made(name, there, likely, plan, (marked, planned, *ends))


def _both(calls: Workload, sheet: Sheet) -> tuple[Plan, Projection, Projection]:
    """Serve calls as they are marked, and under a plan chosen for them."""
    plan = choose(calls, sheet)
    marked = project(calls, lambda call: call.marks, sheet, "as-marked")
    return plan, marked, project(calls, plan.marker(calls.tree), sheet, "planned")


def _made(name: str, moved: int, calls: Workload, plan: Plan, found: Sequence[Projection]) -> Row:
    """Put a row together."""
    marked, planned, low, high = found
    return Row(
        name=name,
        moved=moved,
        prompt_tokens=sum(map(calls.prompt_tokens, calls)),
        output_tokens=sum(call.output for call in calls),
        marked=marked.cost,
        planned=planned.cost,
        low=low.cost,
        high=high.cost,
        hit_rate=planned.hit_rate,
        plan=plan,
        unpriced=marked.unpriced,
        unmeasured=tuple(dict.fromkeys((*marked.unmeasured, *planned.unmeasured))),
    )


def _notes(now: Workload, rows: Sequence[Row]) -> Iterator[str]:
    """Say what is to be known about all rows."""
    yield from unmarked(now)
    silent = sum(call.output == 0 for call in now)
    if silent:
        yield f"{count(silent)} calls state no output_tokens, or 0: their answers count as nothing."
    turns = sum(one.turns > 1 for one in now.expected)
    if turns and len(rows) > 1:
        yield "Turns of planned lines keep the tokens they state, under any model."
    if now.notes:
        yield from now.notes


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
