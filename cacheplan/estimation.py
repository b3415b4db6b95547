"""What calls will come to: tokens and money with their ends, by label, against a budget.

This file knows how an estimate is asked for and how it is told; ``estimating`` makes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from cacheplan.errors import InputError
from cacheplan.sampling import Interval
from cacheplan.tables import aligned, count, dollars, percent, printable

__all__ = ["Asked", "Estimation", "Label", "Money"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be estimated, and how surely."""

    #: How many calls to count; ``None`` counts all.
    sample: int | None = None
    confidence: float = 0.95
    #: Dollars that all the calls may cost.
    budget: Decimal | None = None
    #: Tokens of an answer where a call does not say.
    output: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be asked for."""
        if self.sample is not None and self.sample < 1:
            raise InputError(f"{self.sample} is not a number of calls to count", ("sample",))
        if not 0 < self.confidence < 1:
            what = f"{self.confidence:g} is not a share above 0 and below 1, such as 0.95"
            raise InputError(what, ("confidence",))
        if self.output < 0:
            raise InputError(f"{self.output} is negative", ("output_tokens",))
        if self.budget is not None and not (self.budget.is_finite() and self.budget > 0):
            what = f"with a budget of ${self.budget:f} no call can be sent; leave it out for none"
            raise InputError(what, ("budget",))


class Money(NamedTuple):
    """Dollars, and between what they lie; ``None`` where a price is unknown."""

    total: Decimal | None
    low: Decimal | None
    high: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What the calls of one label come to."""

    name: str
    calls: int
    counted: int
    prompt: Interval
    output: int
    #: As the calls are marked.
    cost: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimation:
    """What calls will come to."""

    calls: int
    counted: int
    counter: str
    confidence: float
    prompt: Interval
    #: What the counter may be off by, as a share of the prompt tokens.
    doubt: float
    output: int
    #: Without any caching, as the calls are marked, and under a plan chosen for them.
    uncached: Money
    marked: Money
    planned: Money
    #: The dearest first.
    labels: tuple[Label, ...]
    budget: Decimal | None
    notes: tuple[str, ...]
    unpriced: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()

    @property
    def sampled(self) -> bool:
        """Tell whether some calls were not counted."""
        return self.counted < self.calls

    @property
    def above(self) -> Decimal | None:
        """How many dollars are above the budget; ``None`` where nobody can tell."""
        if self.budget is None or self.marked.total is None:
            return None
        return max(self.marked.total - self.budget, Decimal())

    def to_cut(self) -> list[Label]:
        """Return the dearest labels without which the rest is within the budget."""
        left, found = self.above or Decimal(), []
        for label in self.labels:
            if left <= 0:
                break
            found.append(label)
            left -= label.cost.total or Decimal()
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the shape that ``estimate --format json`` prints."""
        money = {"uncached": self.uncached, "as_marked": self.marked, "planned": self.planned}
        budget = None
        if self.budget is not None:
            budget = {
                "usd": float(self.budget),
                "above_usd": _number(self.above),
                "cut_first": [label.name for label in self.to_cut()],
            }
        return {
            "calls": self.calls,
            "counted": self.counted,
            "counter": self.counter,
            "confidence": self.confidence if self.sampled else None,
            "prompt_tokens": {**_rounded(self.prompt), "doubt": self.doubt},
            "output_tokens": self.output,
            "cost_usd": {name: _money_json(amount) for name, amount in money.items()},
            "labels": [
                {
                    "label": label.name,
                    "calls": label.calls,
                    "counted": label.counted,
                    "prompt_tokens": _rounded(label.prompt),
                    "output_tokens": label.output,
                    "cost_usd": _money_json(label.cost),
                }
                for label in self.labels
            ],
            "budget": budget,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        """Lay totals and labels out as tables, with what they rest on below."""
        ends = ("at least", "at most") if self.sampled else ()
        head = ("all calls", "", *ends)
        rows = [
            ("prompt tokens", *self._spread(self.prompt)),
            ("output tokens", count(self.output)),
            ("cost without caching", *self._money(self.uncached)),
            ("cost as marked", *self._money(self.marked)),
            ("cost as planned", *self._money(self.planned)),
        ]
        filled = [(*row, *[""] * (len(head) - len(row))) for row in rows]
        told = ("label", "calls", "counted", "prompt tokens", "as marked", *ends, "share")
        labels = [
            (
                label.name,
                count(label.calls),
                count(label.counted),
                count(round(label.prompt.total)),
                *self._money(label.cost),
                self._share(label),
            )
            for label in self.labels
        ]
        lines = [aligned(head, filled), "", aligned(told, labels), "", *self._footing()]
        return printable("\n".join(lines))

    def _spread(self, interval: Interval) -> Sequence[str]:
        """Write a number of tokens, with its ends where it has any."""
        found = [count(round(end)) for end in interval]
        return found if self.sampled else found[:1]

    def _money(self, money: Money) -> Sequence[str]:
        """Write money likewise."""
        found = [dollars(end) for end in money]
        return found if self.sampled else found[:1]

    def _share(self, label: Label) -> str:
        """Write a label's share of the cost."""
        if label.cost.total is None or not self.marked.total:
            return "-"
        return percent(float(label.cost.total / self.marked.total))

    def _footing(self) -> Iterator[str]:
        """Say what the numbers rest on, and how they stand to the budget."""
        if self.sampled:
            yield (
                f"{count(self.counted)} of {count(self.calls)} calls were counted"
                f" ({self.counter}); at least and at most hold the total of counting all in"
                f" {self.confidence:.4g} of all draws."
            )
        else:
            yield f"All {count(self.calls)} calls were counted ({self.counter})."
        yield f"The counter itself may be off by {percent(self.doubt)}."
        yield from self.notes
        yield from self._against_budget()

    def _against_budget(self) -> Iterator[str]:
        """Say whether the budget holds, and what to cut first where it does not."""
        if self.budget is None or self.above is None:
            return
        if not self.above:
            yield f"Within the budget of {dollars(self.budget)}."
            if self.marked.high is not None and self.marked.high > self.budget:
                yield "Not for certain: at most it is above. Count more calls to know."
            return
        first = ", ".join(f"{label.name} ({dollars(label.cost.total)})" for label in self.to_cut())
        yield f"{dollars(self.above)} above the budget of {dollars(self.budget)}."
        yield f"What to cut first: {first}."
        planned = self.planned.total
        if planned is not None and planned <= self.budget:
            yield f"Or mark the calls: as planned they cost {dollars(planned)}."


def _rounded(interval: Interval) -> dict[str, int]:
    return {name: round(end) for name, end in interval._asdict().items()}


def _money_json(money: Money) -> dict[str, float | None]:
    return {name: _number(end) for name, end in money._asdict().items()}


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
