"""How soon prefixes are used again: forecasts made of counts, and what they rest on.

A case is one use of a prefix at a place of a lane (the calls of one model and one
label). It ends when the prefix is used again, and it is counted as not used again at an
age only once it has reached that age: nobody is taken to stay away because not enough
time has passed. So two shares are known of every place, reuse within five minutes and
reuse within the hour; they start from a prior that the place's role gives, and a prefix
that was used twice has shares of its own, which soon outweigh its place's.

This file may know nodes, places and the times it is told. It knows no price and no mark,
and all it remembers is bounded: of too much, what was not used for longest goes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from cacheplan.places import SYSTEM, TAIL_TALK, TAIL_TOOL, TOOLS

__all__ = [
    "AGAIN",
    "AGES",
    "LANES",
    "LATE",
    "PREFIXES",
    "SOON",
    "START_PLAIN",
    "START_TOOLS",
    "START_UNKNOWN",
    "STEM",
    "TAIL_UNKNOWN",
    "Counts",
    "Forecast",
    "Lane",
    "Memory",
    "Seen",
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
_STARTS: Final = (0.0, *AGES[:-1])
_SPANS: Final = tuple(end - start for start, end in zip(_STARTS, AGES, strict=True))

#: Prefixes remembered: an hour of two new ones (a stem and a tip) every second.
PREFIXES: Final = 8192
#: Lanes remembered. Labels are the caller's, so there may be any number.
LANES: Final = 128
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

Ages = tuple[float, ...]


def _prior(short: float, long: float) -> Ages:
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
#: call of its own. Breaking even takes about .2 within 5 minutes (theory: (a-1)/(a-r)).
PRIORS: Final[Mapping[str, Ages]] = {
    TOOLS: _prior(0.6, 0.7),
    SYSTEM: _prior(0.6, 0.7),
    AGAIN + TOOLS: _prior(0.75, 0.83),
    AGAIN + SYSTEM: _prior(0.75, 0.83),
    START_TOOLS: _prior(0.6, 0.63),
    START_PLAIN: _prior(0.1, 0.12),
    START_UNKNOWN: _prior(0.5, 0.53),
    TAIL_TALK: _prior(0.75, 0.83),
    TAIL_UNKNOWN: _prior(0.85, 0.89),
    TAIL_TOOL: _prior(0.95, 0.96),
}
#: Any other place is a block of the messages: most are sent once, but one that came
#: twice may well come again.
_ELSEWHERE: Final = _prior(0.1, 0.12)
_ELSEWHERE_AGAIN: Final = _prior(0.5, 0.57)
#: How many cases a prior counts as. Two: the third case may overrule it.
_PRIOR_CASES: Final = 2.0
#: How many cases of its own its place's shares count as for a prefix: next to nothing
#: while no other prefix was seen there, up to four once sixteen were.
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
        #: What these cases are part of: the place, for those of one prefix.
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


class Lane:
    """What is known of the calls of one model and one label."""

    __slots__ = ("costs", "forks", "places")

    def __init__(self) -> None:
        self.places: dict[str, Counts] = {}
        #: By place: how often it was the last thing a new prompt shared with earlier ones.
        self.forks: dict[str, float] = {}
        #: What was paid of late, and what no marks, 5 minutes and an hour would have cost.
        self.costs = [0.0, 0.0, 0.0, 0.0]

    def at(self, place: str) -> Counts:
        """Return the counts of a place."""
        found = self.places.get(place)
        if found is None:
            found = self.places[place] = Counts(_prior_of(place))
        return found


def _prior_of(place: str) -> Ages:
    """Return the prior of a place by its role."""
    again = AGAIN if place.startswith(AGAIN) else ""
    role = place.removeprefix(AGAIN).removeprefix(STEM)
    if role.startswith("system["):
        role = SYSTEM
    return PRIORS.get(again + role, _ELSEWHERE_AGAIN if again else _ELSEWHERE)


class Seen:
    """One prefix: when it was last used, and what is believed to be kept of it."""

    __slots__ = (
        "anchor", "case", "dead", "lane", "last", "lives", "node", "own", "place", "ready",
        "stage", "stem", "tip",
    )  # fmt: skip

    def __init__(self, node: int, lane: Lane) -> None:
        self.node = node
        self.lane = lane
        self.last = 0.0
        #: How many of the ages it has reached since.
        self.stage = 0
        #: The place it was last used at, and the counts its next use goes to, if any.
        self.place = ""
        self.case: Counts | None = None
        #: Counts of this very prefix, once it was used twice at a place.
        self.own: Counts | None = None
        #: From when on its entry can be read, when it dies, and the lifetime that a read
        #: restores, in seconds.
        self.ready = 0.0
        self.dead = 0.0
        self.lives = 0.0
        #: Whether a prompt ended here; whether one ended a block later.
        self.tip = False
        self.stem = False
        #: The longest prefix of its conversation that was written for an hour.
        self.anchor = -1


class Memory:
    """Prefixes by node and lanes by name, in the order of their last use."""

    def __init__(self) -> None:
        self.seen: dict[int, Seen] = {}
        self.lanes: OrderedDict[tuple[str, str | None], Lane] = OrderedDict()
        #: By stage: its prefixes, the one used longest ago first.
        self._stages: tuple[OrderedDict[int, Seen], ...] = tuple(
            OrderedDict() for _ in range(LATE + 1)
        )

    def lane(self, model: str, label: str | None) -> Lane:
        """Return a lane, making it if nobody asked for it before."""
        key = (model, label)
        found = self.lanes.get(key)
        if found is None:
            found = self.lanes[key] = Lane()
            if len(self.lanes) > LANES:
                self.lanes.popitem(last=False)
        else:
            self.lanes.move_to_end(key)
        return found

    def advance(self, now: float) -> None:
        """Let time pass: count the cases that have reached an age."""
        stages = self._stages
        for age, edge in enumerate(AGES):
            stage = stages[age]
            while stage:
                known = next(iter(stage.values()))
                then = known.last + edge
                if then > now:
                    break
                del stage[known.node]
                known.stage = age + 1
                stages[age + 1][known.node] = known
                if known.case is not None:
                    known.case.leave(age, known.last + _STARTS[age])
                    known.case.count(age, used=False)
                    if age + 1 < LATE:
                        known.case.enter(age + 1, then)

    def close(self, known: Seen) -> None:
        """End a case: its prefix is used again."""
        if known.case is not None and known.stage < LATE:
            known.case.leave(known.stage, known.last + _STARTS[known.stage])
            known.case.count(known.stage, used=True)
        known.case = None

    def open(self, known: Seen, place: str, case: Counts) -> None:
        """Begin a case: a prefix was used just now at a place."""
        known.place = place
        known.case = case
        case.enter(0, known.last)

    def own(self, known: Seen, lane: Lane, place: str) -> Counts:
        """Return the counts of a prefix that is used again at a place.

        The first time, they begin with the case that this use has just closed.
        """
        found = known.own
        if found is None:
            found = known.own = Counts((0,) * LATE, lane.at(AGAIN + place))
            for age in range(known.stage):
                found.passes[age] = 1
            if known.stage < LATE:
                found.hits[known.stage] = 1
        return found

    def use(self, node: int, lane: Lane, at: float) -> Seen:
        """Note that a prefix is used now, and return what is known of it."""
        known = self.seen.get(node)
        if known is None:
            known = self.seen[node] = Seen(node, lane)
            if len(self.seen) > PREFIXES:
                self._forget()
            self._stages[0][node] = known
        elif known.stage:
            del self._stages[known.stage][node]
            self._stages[0][node] = known
            known.stage = 0
        else:
            self._stages[0].move_to_end(node)
        known.last = at
        known.lane = lane
        return known

    def _forget(self) -> None:
        """Drop the prefix that was not used for longest; its case stays uncounted."""
        for stage, prefixes in reversed(list(enumerate(self._stages))):
            if prefixes:
                node, known = prefixes.popitem(last=False)
                if known.case is not None and stage < LATE:
                    known.case.leave(stage, known.last + _STARTS[stage])
                del self.seen[node]
                return
