"""From call frequencies alone: what a shared prefix will cost, and from how many calls on.

Nothing was sent yet, so there is a rate and a pattern and no times. Steady and independent
(Poisson) calls have closed forms; bursts and conversations have none and are sampled, with
an interval. Costs are per prefix token and use, in uncached tokens. This module knows
patterns and price ratios; it knows no prompt and no simulated cache, to which the tests
hold it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from cacheplan.arrivals import ARRIVALS, Dice
from cacheplan.breakevens import Ratios, share_for_1h, share_for_5m
from cacheplan.prompt import Lifetime

__all__ = [
    "BreakEvens",
    "Frequency",
    "Sampled",
    "break_evens",
    "expected",
    "said",
    "sampled",
    "sampled_break_evens",
]

_SHORT, _LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR
_HOUR: Final = 3600.0
#: Steady calls an hour above which the gaps are shorter than a lifetime.
_OFTEN, _HOURLY = _HOUR / _SHORT.seconds, _HOUR / _LONG.seconds


class Frequency(NamedTuple):
    """How often a prefix is used: the words of a planned line."""

    calls_per_hour: float
    arrivals: str = "poisson"
    #: Each of the calls opens a conversation of so many turns, so many seconds apart.
    turns: int = 1
    turn_gap: float = 30

    @property
    def closed(self) -> bool:
        """Tell whether the costs have a closed form."""
        return self.turns == 1 and self.arrivals in ("steady", "poisson")

    def times(self, hours: float, seed: int) -> list[float]:
        """Draw when a prefix is used, in seconds."""
        if self.calls_per_hour <= 0 or hours <= 0:
            return []
        starts = ARRIVALS[self.arrivals](self.calls_per_hour, hours, Dice(seed))
        if self.turns == 1:
            return starts
        return sorted(
            start + turn * self.turn_gap for start in starts for turn in range(self.turns)
        )


# --- closed forms -------------------------------------------------------------------------


def expected(
    ratios: Ratios, lifetime: Lifetime | None, frequency: Frequency, hours: float | None = None
) -> float:
    """Return the expected cost of one use.

    Over ``hours`` that begin with nothing written; without them, in the long run.
    """
    _closed(frequency)
    if lifetime is None:
        return 1.0
    read, write = float(ratios.read), float(ratios.write(lifetime))
    rate = frequency.calls_per_hour
    if rate <= 0 or (hours is not None and hours <= 0):
        return write
    warm = _warm_steady if frequency.arrivals == "steady" else _warm_poisson
    return write - (write - read) * warm(rate, lifetime.seconds / _HOUR, hours)


def _closed(frequency: Frequency) -> None:
    if not frequency.closed:
        raise ValueError("only single calls at steady or poisson times have a closed form")


def _warm_steady(rate: float, life: float, hours: float | None) -> float:
    """Return the share of evenly spaced uses that come while the last one's entry lives."""
    if 1 / rate >= life:
        return 0.0
    return 1.0 if hours is None else 1 - min(1.0, rate * hours) / (rate * hours)


def _warm_poisson(rate: float, life: float, hours: float | None) -> float:
    """Return the same for independent uses: those not alone for a lifetime before.

    From a cold start the time before a use is cut off at the beginning, hence the
    integral of ``1 - exp(-rate * min(time, life))``.
    """
    if hours is None:
        return -math.expm1(-rate * life)
    begun = min(life, hours)
    rising = rate * begun + math.expm1(-rate * begun)
    level = -math.expm1(-rate * life) * rate * (hours - begun)
    return (rising + level) / (rate * hours)


class BreakEvens(NamedTuple):
    """Calls an hour above which something pays; infinity is never."""

    #: 5 minutes against no mark.
    short: float
    #: An hour against no mark.
    long: float
    #: An hour against 5 minutes, and the rate from which both cost the same again.
    long_over_short: float
    until: float


def break_evens(ratios: Ratios, frequency: Frequency) -> BreakEvens:
    """Return from how many calls an hour on marks pay, in the long run.

    Of ``frequency`` only the pattern is looked at.
    """
    _closed(frequency)
    if frequency.arrivals == "steady":
        return _steady(ratios)
    short = _rate(share_for_5m(ratios), _SHORT)
    return BreakEvens(short, _rate(share_for_1h(ratios), _LONG), _crossed(ratios), math.inf)


def _steady(ratios: Ratios) -> BreakEvens:
    """Every use is read or none is, by whether the gap is shorter than the lifetime."""
    pays = ratios.read < 1
    short = 0.0 if ratios.short < 1 else _OFTEN if pays else math.inf
    long = 0.0 if ratios.long < 1 else _HOURLY if pays else math.inf
    if ratios.long < ratios.short:
        return BreakEvens(short, long, 0.0, _OFTEN)
    if ratios.short <= ratios.read:
        return BreakEvens(short, long, math.inf, math.inf)
    return BreakEvens(short, long, _HOURLY, _OFTEN)


def _rate(share: float, lifetime: Lifetime) -> float:
    """Return the rate at which independent calls have this share of gaps in a lifetime."""
    return -math.log1p(-share) * _HOUR / lifetime.seconds if share < 1 else math.inf


def _crossed(ratios: Ratios) -> float:
    """Return where the two costs cross: ``(b-r) exp(-rate) = (a-r) exp(-rate/12)``."""
    if ratios.short <= ratios.read:
        return math.inf
    if ratios.long <= ratios.short:
        return 0.0
    odds = (ratios.long - ratios.read) / (ratios.short - ratios.read)
    return math.log(odds) * _OFTEN / (_OFTEN - 1)


# --- what has none ------------------------------------------------------------------------

#: Independent stretches of time that a sample consists of, and the quantile of Student's
#: distribution that makes 95 % of a mean of so few.
_STRETCHES: Final = 20
_STUDENT: Final = 2.093
#: Calls in one stretch where a break-even is searched, the rates it is searched between,
#: and steps: what the search leaves open is far less than stretches differ by.
_CALLS: Final = 600
_RATES: Final = (0.01, 1000.0)
_STEPS: Final = 14


class Sampled(NamedTuple):
    """A mean, and between what it lies with 95 % confidence."""

    mean: float
    low: float
    high: float


def sampled(
    ratios: Ratios,
    lifetime: Lifetime | None,
    frequency: Frequency,
    *,
    hours: float = 24,
    seed: int = 0,
) -> Sampled:
    """Sample the cost of one use over ``hours`` from a cold start, for any pattern."""
    costs, uses = [], []
    for stretch in _seeds(seed):
        times = frequency.times(hours, stretch)
        costs.append(_first(ratios, lifetime, times) + _later(ratios, lifetime, times))
        uses.append(len(times))
    if not any(uses):
        cold = _first(ratios, lifetime, (0.0,))
        return Sampled(cold, cold, cold)
    mean = sum(costs) / sum(uses)
    # A stretch has as many uses as it happens to have, so this is the spread of a ratio.
    spread = sum((cost - mean * use) ** 2 for cost, use in zip(costs, uses, strict=True))
    error = _STUDENT * math.sqrt(spread * _STRETCHES / (_STRETCHES - 1)) / sum(uses)
    return Sampled(mean, mean - error, mean + error)


def sampled_break_evens(
    ratios: Ratios, frequency: Frequency, seed: int = 0
) -> tuple[Sampled, Sampled, Sampled]:
    """Sample the rates from which 5 minutes, an hour, and an hour over 5 minutes pay."""

    def rates(lifetime: Lifetime, other: Lifetime | None) -> Sampled:
        return _around(
            [_crossing(ratios, lifetime, other, frequency, stretch) for stretch in _seeds(seed)]
        )

    return rates(_SHORT, None), rates(_LONG, None), rates(_LONG, _SHORT)


def _seeds(seed: int) -> range:
    return range(seed * _STRETCHES, (seed + 1) * _STRETCHES)


def _around(values: Sequence[float]) -> Sampled:
    """Return a mean with its interval; where some are never, there is no upper end."""
    mean = sum(values) / len(values)
    if math.isinf(mean):
        return Sampled(mean, min(values), mean)
    spread = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    error = _STUDENT * math.sqrt(spread / len(values))
    return Sampled(mean, max(mean - error, 0.0), mean + error)


def _crossing(
    ratios: Ratios, lifetime: Lifetime, other: Lifetime | None, frequency: Frequency, seed: int
) -> float:
    """Find the rate above which one lifetime costs no more than another, for one seed.

    First uses are left out: they are a start, not a rate.
    """

    def pays(rate: float) -> bool:
        times = frequency._replace(calls_per_hour=rate).times(_CALLS / rate, seed)
        return _later(ratios, lifetime, times) <= _later(ratios, other, times)

    return _least(pays, *_RATES)


def _least(pays: Callable[[float], bool], low: float, high: float) -> float:
    """Halve an interval of rates until what pays and what does not lie close together."""
    if pays(low):
        return 0.0
    if not pays(high):
        return math.inf
    for _ in range(_STEPS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if pays(middle) else (middle, high)
    return math.sqrt(low * high)


def _first(ratios: Ratios, lifetime: Lifetime | None, times: Sequence[float]) -> float:
    """Return what the first use costs, if there is one."""
    if not times:
        return 0.0
    return 1.0 if lifetime is None else float(ratios.write(lifetime))


def _later(ratios: Ratios, lifetime: Lifetime | None, times: Sequence[float]) -> float:
    """Add up what all later uses cost."""
    uses = max(len(times) - 1, 0)
    if lifetime is None:
        return float(uses)
    warm = sum(later - sooner < lifetime.seconds for sooner, later in pairwise(times))
    return float(ratios.write(lifetime)) * (uses - warm) + float(ratios.read) * warm


# --- in words -----------------------------------------------------------------------------

#: From the least bound on: of equals the first is named.
_WORDS: Final = {None: "no mark", _SHORT: "5 minutes", _LONG: "an hour"}


def said(ratios: Ratios, frequency: Frequency, *, hours: float = 24, seed: int = 0) -> str:
    """Say from when on marks pay, and what is cheapest at the planned rate.

    >>> from fractions import Fraction
    >>> today = Ratios(Fraction(1, 10), Fraction(5, 4), Fraction(2))
    >>> print(said(today, Frequency(40)))
    An hour pays from about 0.75 calls an hour on, 5 minutes from about 2.9; you plan 40.
    Cheapest over 24 hours: an hour, at 0.10 of the price without marks.
    """
    rates = _rates_said(ratios, frequency, seed)
    found = {life: _cost(ratios, life, frequency, hours, seed) for life in _WORDS}
    best = min(found, key=lambda life: found[life].mean)
    cost = found[best]
    doubt = "" if frequency.closed else f" ({cost.low:.2f} to {cost.high:.2f}, sampled)"
    return (
        f"{rates}; you plan {frequency.calls_per_hour:g}.\nCheapest over {hours:g} hours:"
        f" {_WORDS[best]}, at {cost.mean:.2f}{doubt} of the price without marks."
    )


def _cost(
    ratios: Ratios, lifetime: Lifetime | None, frequency: Frequency, hours: float, seed: int
) -> Sampled:
    """Return the cost of one use, exactly where that can be had."""
    if not frequency.closed:
        return sampled(ratios, lifetime, frequency, hours=hours, seed=seed)
    cost = expected(ratios, lifetime, frequency, hours)
    return Sampled(cost, cost, cost)


def _rates_said(ratios: Ratios, frequency: Frequency, seed: int) -> str:
    """Say the break-evens in half a sentence."""
    what = "conversations" if frequency.turns > 1 else "calls"
    if frequency.closed:
        rates = break_evens(ratios, frequency)
        return f"An hour pays {_from(rates.long, what)}, 5 minutes {_from(rates.short)}"
    five, hour, over = sampled_break_evens(ratios, frequency, seed)
    half = f"An hour pays {_from(hour.mean, what)}, 5 minutes {_from(five.mean)}"
    if not 0 < over.mean < math.inf:
        return half
    return f"{half}, an hour rather than 5 minutes from {over.low:.2g} to {over.high:.2g} on"


def _from(rate: float, what: str = "") -> str:
    """Say from which rate on something pays."""
    if math.isinf(rate):
        return "at no rate"
    words = f" {what} an hour on" if what else ""
    return f"from about {rate:.2g}{words}" if rate else "at any rate"
