"""From when on a mark, an hour or a keep-alive call pays: the arithmetic, in closed form.

Every function is one of the price ratios of a rate and of how a prefix is used; nothing
here knows a prompt, a price list or the simulated cache, and no ratio is written down.
Costs are per prefix token, in uncached tokens: 1 is what the token costs without marks.
These are short cuts: the tests hold each to the simulator, and what a change saves on a
given workload is always simulated.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Final, NamedTuple, Self

from cacheplan.prices import Rate
from cacheplan.prompt import Lifetime

__all__ = [
    "HOURLY_PING",
    "PING",
    "Growth",
    "Idle",
    "Ratios",
    "best_pings",
    "cost_of_pinging",
    "gap_bridged",
    "hour_over_5m",
    "pings_needed",
    "pings_over_hour",
    "pings_over_hour_until",
    "pings_worth",
    "reads_to_repay",
    "return_chance",
    "share_for_1h",
    "share_for_1h_over_5m",
    "share_for_5m",
]

_SHORT, _LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR

#: Seconds from the start of the last use to a keep-alive call. Lifetimes count from there
#: (measured on recorded calls: read at 308 s, never at 313 s); 15 s are left for a slow
#: network and a client that counts from the answer's first token.
PING: Final = 285.0
#: The same for an entry of an hour; a minute costs nothing at this distance.
HOURLY_PING: Final = 3540.0


class Ratios(NamedTuple):
    """What reading and writing cost, in uncached tokens; exact, so that ties are ties."""

    read: Fraction
    #: A 5-minute write.
    short: Fraction
    #: A 1-hour write.
    long: Fraction

    @classmethod
    def of(cls, rate: Rate) -> Self | None:
        """Return the ratios of a rate, ``None`` where prompts are free."""
        if rate.uncached <= 0:
            return None
        each = (rate.read, rate.write_5m, rate.write_1h)
        return cls(*(Fraction(price) / Fraction(rate.uncached) for price in each))

    def write(self, lifetime: Lifetime) -> Fraction:
        """Return what writing costs."""
        return self.long if lifetime is _LONG else self.short


# --- a mark or none, and which ------------------------------------------------------------


def share_for_5m(ratios: Ratios, *, rewritten: bool = True) -> float:
    """Return the share of uses within 5 minutes above which 5-minute marks pay.

    Above 1 means never. ``rewritten=False`` is for a prefix that a use after a longer
    pause does not write again.
    """
    miss = ratios.short if rewritten else Fraction(1)
    return _share(ratios.short - 1, miss - ratios.read)


def share_for_1h(ratios: Ratios) -> float:
    """Return the share of uses within the hour above which 1-hour marks pay."""
    return _share(ratios.long - 1, ratios.long - ratios.read)


def share_for_1h_over_5m(ratios: Ratios, within_5m: float) -> float:
    """Return the share within the hour above which an hour is cheaper than 5 minutes."""
    premium = ratios.long - ratios.short
    premium += Fraction(within_5m) * (ratios.short - ratios.read)
    return _share(premium, ratios.long - ratios.read)


def reads_to_repay(ratios: Ratios, lifetime: Lifetime) -> int | None:
    """Return how many reads make one write cheaper than no mark, ``None`` if none do."""
    if ratios.read >= 1:
        return None
    return max(math.floor((ratios.write(lifetime) - 1) / (1 - ratios.read)) + 1, 0)


def _share(premium: Fraction, gain: Fraction) -> float:
    """Divide what a miss costs more by what a hit saves against it."""
    if premium <= 0:
        return 0.0
    return float(premium / gain) if gain > 0 else math.inf


class Growth(NamedTuple):
    """Tokens of conversations that grow turn by turn and are written to their end."""

    #: First prompts.
    first: int
    #: Appended by later turns.
    added: int
    #: What could be read again, after pauses between 5 minutes and an hour.
    middle: int
    #: The same, after longer pauses.
    long: int


def hour_over_5m(ratios: Ratios, growth: Growth) -> Fraction:
    """Return what an hour instead of 5 minutes costs conversations; below 0 it saves."""
    written_either_way = growth.first + growth.added + growth.long
    return (ratios.long - ratios.short) * written_either_way - (
        ratios.short - ratios.read
    ) * growth.middle


# --- calls that only keep an entry alive --------------------------------------------------


def pings_needed(gap: float, every: float = PING) -> int:
    """Return how many keep-alive calls go out before a use that comes after ``gap``."""
    return max(math.ceil(gap / every) - 1, 0)


def gap_bridged(pings: int, every: float = PING) -> float:
    """Return the longest pause that this many keep-alive calls are planned to bridge."""
    return (pings + 1) * every


def pings_worth(ratios: Ratios, lifetime: Lifetime = _SHORT) -> int | None:
    """Return how many keep-alive calls cost no more than writing an entry again.

    ``None`` where reading is free and there is no end to them. Who knows nothing of when
    a prefix comes back and stops here never pays more than twice the pause's best. For an
    hour's entry these are hourly calls.
    """
    if ratios.read <= 0:
        return None
    return max(math.floor((ratios.write(lifetime) - ratios.read) / ratios.read), 0)


def pings_over_hour_until(ratios: Ratios) -> float:
    """Return the longest single pause that 5 minutes kept alive bridge cheaper than an hour.

    Both are written once; the hour is kept alive too where the pause is longer than one.
    """
    if ratios.long <= ratios.short:
        return 0.0
    if ratios.read <= 0:
        return math.inf
    limit = (ratios.long - ratios.short) / ratios.read

    def more(pings: int) -> int:
        return pings - pings_needed(gap_bridged(pings), HOURLY_PING)

    # The difference never falls, and the hour's own calls are fewer than every tenth.
    low, high = 0, math.ceil(limit * 10 / 9) + 2
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if more(middle) < limit else (low, middle - 1)
    return gap_bridged(low)


def pings_over_hour(ratios: Ratios, growth: Growth, pinged: int) -> Fraction:
    """Return what keeping 5 minutes alive costs conversations more than an hour does.

    ``pinged`` is the tokens of all keep-alive calls, those after the last turn included,
    where these bridge every pause of at most an hour. Below 0 they save.
    """
    premium = ratios.long - ratios.short
    return ratios.read * pinged - premium * (growth.first + growth.added + growth.long)


def return_chance(ratios: Ratios) -> float:
    """Return how likely a use in the next 5 minutes must be for one more call to pay."""
    return _share(ratios.read, ratios.short - ratios.read)


class Idle(NamedTuple):
    """A pause after a use."""

    #: Seconds until the next use, ``None`` if there was none.
    gap: float | None
    #: Tokens of the prefix.
    tokens: int = 1
    #: Where there was none: seconds until that was known, ``None`` if it never was.
    left: float | None = None


def cost_of_pinging(
    ratios: Ratios, idles: Iterable[Idle], pings: int, lifetime: Lifetime = _SHORT
) -> Fraction:
    """Return what pauses cost, the use that ends each included, with up to ``pings`` calls.

    After the last use all of them are paid, because nobody knows that it was the last.
    """
    every = HOURLY_PING if lifetime is _LONG else PING
    held = pings * every + lifetime.seconds
    reads = writes = 0
    for gap, tokens, left in idles:
        end = left if gap is None else gap
        reads += tokens * (pings if end is None else min(pings, pings_needed(end, every)))
        if gap is not None and gap < held:
            reads += tokens
        elif gap is not None:
            writes += tokens
    return ratios.read * reads + ratios.write(lifetime) * writes


def best_pings(
    ratios: Ratios, idles: Sequence[Idle], choices: Iterable[int], lifetime: Lifetime = _SHORT
) -> int:
    """Return after how many keep-alive calls to stop, judged by pauses like these."""
    return min(choices, key=lambda pings: (cost_of_pinging(ratios, idles, pings, lifetime), pings))
