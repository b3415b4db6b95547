"""How soon prefixes are used again: forecasts made of counts.

A case is one use of a prefix at a place. It ends when the prefix is used again, and it
is counted as not used again at an age only as far as it has lived through that age:
nobody is taken to stay away because not enough time has passed. So two shares are known
of every place, reuse within five minutes and reuse within the hour. They start from a
prior that the place's role gives; the shares of one prefix start from its place's, and
so do those of conversations that have just paused.

This file may know the names of places and the times it is told: no prompt, no price, no
mark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from cacheplan.places import SYSTEM, TAIL_TALK, TAIL_TOOL, TOOLS

__all__ = [
    "AGAIN",
    "AGES",
    "LATE",
    "PAUSED",
    "SOON",
    "STARTS",
    "START_PLAIN",
    "START_TOOLS",
    "START_UNKNOWN",
    "STEM",
    "TAIL_UNKNOWN",
    "Counts",
    "Forecast",
    "prior",
]

#: Ages at which a prefix that was not used again is counted as such, in seconds. Two are
#: the lifetimes. The others are there to learn early, and because the chance of reuse
#: falls with time: conversations that go on mostly do so within a minute, and those that
#: are taken up again mostly within a quarter of an hour.
AGES: Final = (60.0, 300.0, 900.0, 3600.0)
#: How many of them are within the shorter lifetime.
SOON: Final = 2
#: Stage of a prefix that was not used for an hour.
LATE: Final = len(AGES)
#: When each age begins, and how long it is.
STARTS: Final = (0.0, *AGES[:-1])
_SPANS: Final = tuple(end - start for start, end in zip(STARTS, AGES, strict=True))

#: Counts above this are halved, so that new habits outweigh old ones within as many uses.
RECENT: Final = 400.0

#: A tail that goes on from no earlier prompt: in an agent's tools, without tools, and
#: where nobody says who speaks.
START_TOOLS: Final = "start with tools"
START_PLAIN: Final = "start without tools"
START_UNKNOWN: Final = "start of unknown role"
#: A tail that goes on, where nobody says who speaks.
TAIL_UNKNOWN: Final = "tail of unknown role"
#: Before the name of a tail: the block before it, for prompts that end in a block that
#: is not sent again.
STEM: Final = "before "
#: Before the name of a place: the prefix stood there before.
AGAIN: Final = "again at "
#: Behind the name of a tail: its conversation goes on after a gap between the lifetimes.
PAUSED: Final = " after a pause"

Ages = tuple[float, ...]


def _shares(short: float, long: float) -> Ages:
    """Part shares of reuse within 5 minutes and within the hour by age.

    Four fifths of what comes within 5 minutes is taken to come within the first, and
    half of what comes after 5 minutes within a quarter of an hour.
    """
    one, three = 0.8 * short, (short + long) / 2
    return (
        one,
        (short - one) / (1 - one),
        (three - short) / (1 - short),
        (long - three) / (1 - three),
    )


#: Shares of reuse before anything was seen, by the role of a place. They are arguments,
#: not measurements, and matter for the first few cases only:
#: what a program puts first it sends with every call; an agent that was given a result
#: goes on at once; a person answers within minutes, or leaves; what opens a prompt with
#: tools is rather an agent's first step than a call of its own, without tools rather a
#: call of its own. For 5 minutes to pay takes about .2: the premium, as a share of what a
#: read saves over a write.
PRIORS: Final[Mapping[str, Ages]] = {
    TOOLS: _shares(0.6, 0.7),
    SYSTEM: _shares(0.6, 0.7),
    AGAIN + TOOLS: _shares(0.75, 0.83),
    AGAIN + SYSTEM: _shares(0.75, 0.83),
    START_TOOLS: _shares(0.6, 0.63),
    START_PLAIN: _shares(0.1, 0.12),
    START_UNKNOWN: _shares(0.5, 0.53),
    TAIL_TALK: _shares(0.75, 0.83),
    TAIL_UNKNOWN: _shares(0.85, 0.89),
    TAIL_TOOL: _shares(0.95, 0.96),
}
#: Any other place is a block of the messages: most are sent once, but one that came
#: twice may well come again.
_ELSEWHERE: Final = _shares(0.1, 0.12)
_ELSEWHERE_AGAIN: Final = _shares(0.5, 0.57)
#: How many cases a prior counts as. Two: the third case may overrule it.
_PRIOR_CASES: Final = 2.0
#: How many cases of its own its place's shares count as for a prefix: next to nothing
#: while no other prefix was seen there, up to four once fifteen were.
_OWN_LEAST: Final = 0.25
_OWN_MOST: Final = 4.0
_OWN_PART: Final = 0.25


class Forecast(NamedTuple):
    """The chance that a prefix is used again within 5 minutes, and within the hour."""

    short: float
    long: float


class Counts:
    """How often prefixes were used again at each age, and how often they were not."""

    __slots__ = ("hits", "open", "parent", "passes", "prior", "since")

    def __init__(self, prior: Ages, parent: Counts | None = None) -> None:
        self.prior = prior
        #: What these cases are part of: the place, for those of one prefix or after a pause.
        self.parent = parent
        self.hits = [0.0] * LATE
        self.passes = [0.0] * LATE
        #: By age: the cases that are at it now, and the sum of the times they came to it.
        self.open = [0] * LATE
        self.since = [0.0] * LATE

    def enter(self, age: int, at: float) -> None:
        """Take in a case that comes to an age now."""
        each: Counts | None = self
        while each is not None:
            each.open[age] += 1
            each.since[age] += at
            each = each.parent

    def leave(self, age: int, since: float) -> None:
        """Let go of a case that is at an age since then."""
        each: Counts | None = self
        while each is not None:
            each.open[age] -= 1
            # An empty sum is set to 0, so that what rounding left does not add up.
            each.since[age] = each.since[age] - since if each.open[age] else 0.0
            each = each.parent

    def count(self, age: int, *, used: bool) -> None:
        """Count a case that ended at an age, by use or by growing older."""
        each: Counts | None = self
        while each is not None:
            hits, passes = each.hits, each.passes
            (hits if used else passes)[age] += 1
            if hits[age] + passes[age] > RECENT:
                each.hits = [number / 2 for number in hits]
                each.passes = [number / 2 for number in passes]
            each = each.parent

    def ages(self, now: float) -> list[float]:
        """Return the chance of reuse at each age, given that there was none before.

        A case that is at an age still counts as not used for as much of it as is over.
        """
        hits, passes, since, parent = self.hits, self.passes, self.since, self.parent
        if parent is None:
            before: Sequence[float] = self.prior
            weight = _PRIOR_CASES
        else:
            before = parent.ages(now)
            others = parent.hits[0] + parent.passes[0] - hits[0] - passes[0]
            weight = min(_OWN_LEAST + max(0.0, others) * _OWN_PART, _OWN_MOST)
        found = []
        for age, number in enumerate(self.open):
            hit, cases = hits[age], hits[age] + passes[age] + weight
            if number:
                cases += min(number, max(0.0, (now * number - since[age]) / _SPANS[age]))
            found.append((hit + weight * before[age]) / cases)
        return found

    def forecast(self, now: float) -> Forecast:
        """Return the two shares."""
        one, two, three, four = self.ages(now)
        short = 1 - (1 - one) * (1 - two)
        return Forecast(short, 1 - (1 - short) * (1 - three) * (1 - four))


def prior(place: str) -> Ages:
    """Return the prior of a place by its role."""
    again = AGAIN if place.startswith(AGAIN) else ""
    role = place.removeprefix(AGAIN).removeprefix(STEM)
    if role.startswith("system["):
        role = SYSTEM
    return PRIORS.get(again + role, _ELSEWHERE_AGAIN if again else _ELSEWHERE)
