"""The other levers on a bill: what is assumed of each, and what each is worth.

Levers take from each other, so each has two figures: pulled alone, and pulled last, after
all the others. The sum is one simulation, never an addition. This file knows how they are
asked for and told; ``pulling`` tries them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from cacheplan.errors import InputError
from cacheplan.tables import aligned, count, dollars, printable

__all__ = ["LEVERS", "Assumed", "Lever", "Levers"]

#: By name, in the order in which they are told where their money is equal.
LEVERS: Final = (
    "caching",
    "batch",
    "shorter stable part",
    "shorter volatile part",
    "answers from a store",
    "shorter answers",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """What is assumed of each lever: shares that are cut, an age, and who can wait."""

    cut_stable: float = 0.2
    cut_volatile: float = 0.2
    cut_answers: float = 0.2
    store_hours: float = 24.0
    #: Labels whose calls can wait; ``None`` goes by the looks of each call.
    waits: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse what is no share, and no age."""
        for name in ("cut_stable", "cut_volatile", "cut_answers"):
            share = getattr(self, name)
            if not 0 <= share < 1:
                raise InputError(f"{share:g} is not a share from 0 to less than 1", (name,))
        if not self.store_hours >= 0:
            raise InputError(f"{self.store_hours:g} hours are no age", ("store_hours",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lever:
    """One lever: what is assumed of it, and what it is worth."""

    name: str
    assumption: str
    #: What the calls show about it, and when it is not worth pulling.
    notes: tuple[str, ...]
    #: Dollars it saves on these calls pulled alone, and pulled after all the others;
    #: ``None`` where a price is unknown.
    alone: Decimal | None
    last: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Levers:
    """All levers on one workload, those that are worth most first."""

    calls: int
    #: Days these calls are of, ``None`` where they say too little about a day.
    days: Decimal | None
    #: As sent, without any mark, and with every lever pulled.
    now: Decimal | None
    plain: Decimal | None
    together: Decimal | None
    #: With every lever pulled but those that cost more than they save beside the others.
    best: Decimal | None
    levers: tuple[Lever, ...]
    notes: tuple[str, ...]
    unpriced: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()

    @property
    def saved(self) -> Decimal | None:
        """What all levers save together."""
        return None if self.now is None or self.together is None else self.now - self.together

    @property
    def added_up(self) -> Decimal | None:
        """What the levers would save if none took from another; nobody can have that."""
        each = [lever.alone for lever in self.levers if lever.alone is not None]
        return sum(each, Decimal()) if len(each) == len(self.levers) else None

    def to_json(self) -> dict[str, Any]:
        """Return the shape that ``levers --format json`` prints."""
        return {
            "calls": self.calls,
            "days": _number(self.days),
            "cost_usd": {
                "now": _number(self.now),
                "uncached": _number(self.plain),
                "together": _number(self.together),
                "best": _number(self.best),
            },
            "saving_usd": {"together": _number(self.saved), "added_up": _number(self.added_up)},
            "levers": [
                {
                    "name": lever.name,
                    "assumption": lever.assumption,
                    "alone_usd": _number(lever.alone),
                    "last_usd": _number(lever.last),
                    "notes": list(lever.notes),
                }
                for lever in self.levers
            ],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        """Lay the levers out as a table, with what each rests on below."""
        rows = [
            (lever.name, dollars(lever.alone), dollars(lever.last), self._daily(lever.last))
            for lever in self.levers
        ]
        rows.append(("together", dollars(self.saved), "", self._daily(self.saved)))
        head = ("lever", "alone saves", "last saves", "last, a day")
        words = [aligned(head, rows), "", *self._footing()]
        for lever in self.levers:
            words += ["", f"{lever.name}: {lever.assumption}"]
            words += [f"  {note}" for note in lever.notes]
        return printable("\n".join(words))

    def _footing(self) -> Iterator[str]:
        """Say what the numbers are of."""
        if self.now is None:
            yield f"Nobody states the price of {', '.join(self.unpriced)}: no money can be said."
            yield from self.notes
            return
        yield (
            f"{count(self.calls)} calls cost {dollars(self.now)} as they were sent"
            f" ({dollars(self.plain)} without any caching), and {dollars(self.together)} with all"
            " of it done."
        )
        yield (
            "What is pulled last saves what the others left. Together is simulated; the figures"
            f" of the levers alone would add up to {dollars(self.added_up)}, which nobody can"
            " have."
        )
        worse = [lever.name for lever in self.levers if lever.last is not None and lever.last < 0]
        if worse:
            yield (
                f"Beside the others {', '.join(worse)} costs more than it saves: without it they"
                f" come to {dollars(self.best)}."
            )
        yield from self.notes

    def _daily(self, saving: Decimal | None) -> str:
        """Write a saving per day, where the calls say something about a day."""
        return "-" if self.days is None or saving is None else dollars(saving / self.days)


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
