"""When planned calls would arrive: three patterns, each from a seed.

The generator is written out (splitmix64) because a planned workload has to be the same
on every machine and Python, and because nothing here may reach for the system's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import MappingProxyType
from typing import Final

__all__ = ["ARRIVALS", "BURST", "BURST_GAP", "Dice", "bursty", "poisson", "steady"]

_MASK: Final = (1 << 64) - 1

#: Calls in a burst, on average, and the seconds between them: a person (or a retry loop)
#: that asks eight times in a quarter of a minute and then goes away.
BURST: Final = 8
BURST_GAP: Final = 2.0


class Dice:
    """Uniform numbers from a seed; the same seed gives the same numbers for ever."""

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def uniform(self) -> float:
        """Return a number in [0, 1)."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        mixed = self._state
        mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _MASK
        return ((mixed ^ mixed >> 31) >> 11) / (1 << 53)

    def wait(self, mean: float) -> float:
        """Return an exponentially distributed time."""
        return -mean * math.log1p(-self.uniform())


def steady(per_hour: float, hours: float, dice: Dice) -> list[float]:
    """Evenly spaced; only where in the first gap they begin is drawn."""
    gap = 3600 / per_hour
    start = gap * dice.uniform()
    return [start + gap * index for index in range(math.ceil((hours * 3600 - start) / gap))]


def poisson(per_hour: float, hours: float, dice: Dice) -> list[float]:
    """Independent of each other: many users who know nothing of one another."""
    times, now, mean = [], 0.0, 3600 / per_hour
    while (now := now + dice.wait(mean)) < hours * 3600:
        times.append(now)
    return times


def bursty(per_hour: float, hours: float, dice: Dice) -> list[float]:
    """Bursts at independent times, geometric in size, close together within."""
    times = []
    for start in poisson(per_hour / BURST, hours, dice):
        now = start
        times.append(now)
        while dice.uniform() > 1 / BURST:
            now += dice.wait(BURST_GAP)
            times.append(now)
    return sorted(time for time in times if time < hours * 3600)


#: The patterns a planned line may name.
ARRIVALS: Final[MappingProxyType[str, Callable[[float, float, Dice], list[float]]]] = (
    MappingProxyType({"steady": steady, "poisson": poisson, "bursty": bursty})
)
