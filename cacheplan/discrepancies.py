"""What two sides of a bill have in common and what not, as values and in words.

Knows days, names, tokens and money; how they came about is ``reconciliation``'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple

from cacheplan.admin_reports import Unexplained
from cacheplan.comparison import usage_json
from cacheplan.tables import aligned, count, dollars, html, printable
from cacheplan.usage import Usage

__all__ = ["Agreed", "Gap", "Key", "Priced", "Reconciliation"]

#: A head and rows.
_Table = tuple[Sequence[str], list[Sequence[str]]]
#: By counter: what a person calls it.
_WORDS: Final[Mapping[str, str]] = {
    "uncached": "uncached",
    "write_5m": "written 5m",
    "write_1h": "written 1h",
    "read": "read",
    "output": "output",
}
#: Characters of a digest that tell one workspace from another.
_SHORT: Final = 12
#: Rows of one kind that a terminal shows; JSON has them all.
_SHOWN: Final = 50


class Key(NamedTuple):
    """What both sides are told apart by; empty where a report does not say."""

    day: str
    model: str
    #: The ledger's digest, or the report's own id where nobody can join them.
    workspace: str
    tier: str


class Gap(NamedTuple):
    """Tokens that one side has and the other has not."""

    key: Key
    counter: str
    ledger: int
    report: int
    kind: str


class Priced(NamedTuple):
    """Tokens that were charged at another price than the sheet's."""

    key: Key
    counter: str
    tokens: int
    #: Dollars by the sheet, at least and at most; the same where it is exact.
    least: Decimal
    most: Decimal
    amount: Decimal
    kind: str


class Agreed(NamedTuple):
    """What both sides say alike."""

    cells: int = 0
    tokens: int = 0
    #: Cells of money and their dollars.
    priced: int = 0
    amount: Decimal = Decimal()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """Two sides of a bill, held against each other."""

    #: The first and the last day.
    first: str
    last: str
    #: Both sides by counter; dollars by the sheet and as reported, ``None`` if unknown.
    ledger: Usage
    report: Usage | None
    expected: Decimal | None
    amount: Decimal | None
    agreed: Agreed
    gaps: tuple[Gap, ...]
    priced: tuple[Priced, ...]
    #: Tokens that stand a day later in the report: calls across midnight, and batches.
    later: tuple[Gap, ...]
    #: Dollars that are no token's, by what they are for.
    beside: tuple[tuple[str, Decimal], ...]
    unexplained: tuple[Unexplained, ...]
    #: Days that a report does not cover, with the calls that the ledger has there.
    uncovered: tuple[tuple[str, str, int], ...]
    #: By a ledger's digest: the report's id of the workspace.
    workspaces: Mapping[str, str]
    notes: tuple[str, ...]
    unpriced: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether nothing is left to be looked into."""
        return not (self.gaps or self.priced or self.unexplained or self.uncovered)

    def failing(self, wanted: str) -> int:
        """Count what there is of one kind: ``tokens``, ``price``, ``unexplained`` or ``any``."""
        found = {
            "tokens": len(self.gaps) + len(self.uncovered),
            "price": len(self.priced),
            "unexplained": len(self.unexplained),
        }
        return sum(found.values()) if wanted == "any" else found[wanted]

    def __str__(self) -> str:
        """Say it on a terminal."""
        parts = [f"{self.first} to {self.last} (UTC)", aligned(*self._sums())]
        for title, table in self._tables():
            head, rows = table
            shown = aligned(head, rows[:_SHOWN], left=len(_PLACE))
            more = len(rows) - _SHOWN
            parts.append(f"{title}\n\n{shown}" + (f"\n… and {count(more)} more" * (more > 0)))
        parts += self._lists()
        parts.append("\n".join([self._agreement(), *self.notes]))
        return "\n\n".join(printable(part) for part in parts)

    def _repr_html_(self) -> str:
        """Show it in a notebook; every cell is escaped."""
        tables = [self._sums(), *(table for _, table in self._tables())]
        return "".join(html(head, rows) for head, rows in tables)

    def _agreement(self) -> str:
        """Say in a line what agrees."""
        said = f"Agrees: {count(self.agreed.tokens)} tokens in {count(self.agreed.cells)} places"
        if self.amount is not None:
            said += f", {dollars(self.agreed.amount)} in {count(self.agreed.priced)}"
        return f"{said}." + (" Nothing is left over." if self.agrees else "")

    def _sums(self) -> _Table:
        """Lay out both sides by counter."""
        rows: list[Sequence[str]] = []
        for counter, words in _WORDS.items():
            ours = getattr(self.ledger, counter)
            theirs = None if self.report is None else getattr(self.report, counter)
            difference = "-" if theirs is None else _signed(theirs - ours)
            rows.append((words, count(ours), "-" if theirs is None else count(theirs), difference))
        if self.amount is not None:
            known = None if self.expected is None else self.amount - self.expected
            rows.append(("money", dollars(self.expected), dollars(self.amount), dollars(known)))
        return ("", "ledger", "report", "difference"), rows

    def _tables(self) -> list[tuple[str, _Table]]:
        """Lay out what differs, kind by kind."""
        found: list[tuple[str, _Table]] = []
        for title, gaps in (
            ("Tokens that differ", self.gaps),
            ("Tokens that the report has a day later", self.later),
        ):
            if gaps:
                rows = [self._gap(gap) for gap in gaps]
                found.append((title, ((*_PLACE, "ledger", "report", ""), rows)))
        if self.priced:
            head = (*_PLACE, "tokens", "by the sheet", "charged", "")
            found.append(("Money that differs", (head, [self._price(one) for one in self.priced])))
        return found

    def _lists(self) -> list[str]:
        """Say what is no table."""
        parts = []
        if self.uncovered:
            days = (
                f"  {day}: no report of {kind}; the ledger has {count(calls)} calls"
                for day, kind, calls in self.uncovered
            )
            parts.append("\n".join(["Days that are missing in the reports", "", *days]))
        if self.unexplained:
            rows = [
                f"  {one.where}: {one.why}"
                + ("" if one.amount is None else f" ({dollars(one.amount)})")
                for one in self.unexplained
            ]
            parts.append("\n".join(["Rows of the reports that nobody here understands", "", *rows]))
        if self.beside:
            rows = [f"  {what}: {dollars(amount)}" for what, amount in self.beside]
            head = "Charged for other things than tokens, of which a ledger says nothing"
            parts.append("\n".join([head, "", *rows]))
        return parts

    def _place(self, key: Key, counter: str) -> tuple[str, ...]:
        return (key.day, key.model, self.named(key.workspace), key.tier, _WORDS[counter])

    def named(self, workspace: str) -> str:
        """Return the report's id of a workspace, or a digest as far as it helps."""
        return self.workspaces.get(workspace, workspace[:_SHORT] or "-")

    def _gap(self, gap: Gap) -> Sequence[str]:
        place = self._place(gap.key, gap.counter)
        return (*place, count(gap.ledger), count(gap.report), gap.kind)

    def _price(self, one: Priced) -> Sequence[str]:
        sheet = dollars(one.least)
        if one.most != one.least:
            sheet += f" to {dollars(one.most)}"
        place = self._place(one.key, one.counter)
        return (*place, count(one.tokens), sheet, dollars(one.amount), one.kind)

    def to_json(self) -> dict[str, Any]:
        """Return the shape that ``reconcile --format json`` prints."""
        return {
            "from": self.first,
            "to": self.last,
            "agrees": self.agrees,
            "ledger": usage_json(self.ledger),
            "report": None if self.report is None else usage_json(self.report),
            "expected_usd": _number(self.expected),
            "amount_usd": _number(self.amount),
            "agreed": {
                "places": self.agreed.cells,
                "tokens": self.agreed.tokens,
                "priced": self.agreed.priced,
                "amount_usd": float(self.agreed.amount),
            },
            "gaps": [self._gap_json(gap) for gap in self.gaps],
            "later": [self._gap_json(gap) for gap in self.later],
            "priced": [self._price_json(one) for one in self.priced],
            "beside": [{"cost_type": what, "usd": float(usd)} for what, usd in self.beside],
            "unexplained": [
                {"where": one.where, "why": one.why, "usd": _number(one.amount)}
                for one in self.unexplained
            ],
            "uncovered": [
                {"day": day, "report": kind, "calls": calls} for day, kind, calls in self.uncovered
            ],
            "notes": list(self.notes),
        }

    def _place_json(self, key: Key, counter: str) -> dict[str, Any]:
        workspace = self.workspaces.get(key.workspace, key.workspace) or None
        names = {**key._asdict(), "workspace": workspace, "tier": key.tier or None}
        return {**names, "tokens": counter}

    def _gap_json(self, gap: Gap) -> dict[str, Any]:
        sides = {"ledger": gap.ledger, "report": gap.report, "kind": gap.kind}
        return {**self._place_json(gap.key, gap.counter), **sides}

    def _price_json(self, one: Priced) -> dict[str, Any]:
        return {
            **self._place_json(one.key, one.counter),
            "report": one.tokens,
            "sheet_usd": [float(one.least), float(one.most)],
            "amount_usd": float(one.amount),
            "kind": one.kind,
        }


#: The columns that say where something differs.
_PLACE: Final = ("day", "model", "workspace", "tier", "tokens")


def _signed(number: int) -> str:
    return f"{number:+,}" if number else "0"


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
