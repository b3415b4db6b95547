"""What a policy remembers of the calls it saw: prefixes, and how each lane uses them.

A lane is the calls of one model and one label. Everything here is bounded: of too many
prefixes or lanes, those go that were not used for longest. It can be stored as JSON, in
which a prefix goes by its published key, and what was stored can be added to what is
known already, so that two memories make one.

This file may know nodes, keys and times. It knows no price, and no mark but what became
of it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec

from cacheplan.errors import InputError
from cacheplan.pending import State
from cacheplan.reuse import AGAIN, AGES, LATE, PAUSED, STARTS, Counts, prior

__all__ = ["LANES", "PREFIXES", "Lane", "Memory", "Seen", "Stored", "StoredPrefix", "read_stored"]

#: Prefixes remembered: those of more than an hour at one call a second.
PREFIXES: Final = 8192
#: Lanes remembered. Labels are the caller's, so there may be any number.
LANES: Final = 128


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
            if place.endswith(PAUSED):
                found = Counts((0.0,) * LATE, self.at(place.removesuffix(PAUSED)))
            else:
                found = Counts(prior(place))
            self.places[place] = found
        return found


class Seen:
    """One prefix: when it was last used, and what is believed to be kept of it."""

    __slots__ = (
        "anchor", "case", "dead", "home", "lane", "last", "lives", "node", "own", "place",
        "ready", "stage", "stem", "tip",
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
        #: Counts of this very prefix, once it was used twice at a place: its home.
        self.own: Counts | None = None
        self.home: tuple[Lane, str] | None = None
        #: From when on its entry can be read, when it dies, and the lifetime that a read
        #: restores, in seconds.
        self.ready = 0.0
        self.dead = 0.0
        self.lives = 0.0
        #: Whether a prompt ended here; whether prompts may part from each other here.
        self.tip = False
        self.stem = False
        #: The longest prefix of its conversation that was written for an hour.
        self.anchor = -1

    def entry(self) -> State:
        """Return what is believed of its entry."""
        return State(self.ready, self.dead, self.lives)


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
                case = known.case
                if case is not None:
                    case.leave(age, known.last + STARTS[age])
                    case.count(age, used=False)
                    if age + 1 < LATE:
                        case.enter(age + 1, then)

    def close(self, known: Seen) -> None:
        """End a case: its prefix is used again."""
        if known.case is not None and known.stage < LATE:
            known.case.leave(known.stage, known.last + STARTS[known.stage])
            known.case.count(known.stage, used=True)
        known.case = None

    def open(self, known: Seen, place: str) -> None:
        """Begin a case: a prefix was used just now at a place."""
        known.place = place
        known.case = known.own or known.lane.at(place)
        known.case.enter(0, known.last)

    def own(self, known: Seen, lane: Lane, place: str) -> None:
        """Give a prefix that is used again at a place counts of its own.

        They begin with the case that this use has just closed.
        """
        if known.own is None:
            known.home = lane, place
            known.own = own = Counts((0.0,) * LATE, lane.at(AGAIN + place))
            for age in range(known.stage):
                own.passes[age] = 1.0
            if known.stage < LATE:
                own.hits[known.stage] = 1.0

    def use(self, node: int, lane: Lane, at: float) -> Seen:
        """Note that a prefix is used now, and return what is known of it."""
        known = self.seen.get(node)
        if known is None:
            known = self.seen[node] = Seen(node, lane)
            self._stages[0][node] = known
            if len(self.seen) > PREFIXES:
                self._forget()
        elif known.stage:
            del self._stages[known.stage][node]
            self._stages[0][node] = known
            known.stage = 0
        else:
            self._stages[0].move_to_end(node)
        known.last = at
        known.lane = lane
        return known

    def entry(self, node: int) -> State:
        """Return what is believed of the entry of a prefix; nothing if it is forgotten."""
        known = self.seen.get(node)
        return State() if known is None else known.entry()

    def put(self, node: int, entry: State) -> None:
        """Believe something else of it."""
        known = self.seen.get(node)
        if known is not None:
            known.ready, known.dead, known.lives = entry

    def rename(self, old: int, node: int) -> Seen | None:
        """Give what is known of a prefix another node; ``None`` where it was forgotten."""
        known = self.seen.pop(old, None)
        if known is not None:
            del self._stages[known.stage][old]
            known.node = node
            self.seen[node] = known
            self._insert(known)
        return known

    def _forget(self) -> None:
        """Drop the prefix that was not used for longest; its case stays uncounted."""
        for stage, prefixes in reversed(list(enumerate(self._stages))):
            if prefixes:
                node, known = prefixes.popitem(last=False)
                if known.case is not None and stage < LATE:
                    known.case.leave(stage, known.last + STARTS[stage])
                del self.seen[node]
                return

    def store(self, key: Callable[[int], str]) -> Stored:
        """Return all of it, prefixes by the keys that ``key`` gives their nodes."""
        numbers = {id(lane): number for number, lane in enumerate(self.lanes.values())}
        lanes = [
            StoredLane(
                model=model,
                label=label,
                costs=(lane.costs[0], lane.costs[1], lane.costs[2], lane.costs[3]),
                forks=lane.forks,
                places={place: _ages(counts) for place, counts in lane.places.items()},
            )
            for (model, label), lane in self.lanes.items()
        ]
        # Oldest first, which is the order they go in. A lane that was dropped takes along
        # what was known of its prefixes.
        prefixes = [
            _stored(known, numbers, key)
            for stage in reversed(self._stages)
            for known in stage.values()
            if id(known.lane) in numbers
        ]
        return Stored(lanes=lanes, prefixes=prefixes)

    def add_lanes(self, stored: Iterable[StoredLane]) -> list[Lane]:
        """Add stored lanes to those known, and return them in the order stored."""
        lanes = []
        for each in stored:
            lane = self.lane(each.model, each.label)
            lane.costs = [a + b for a, b in zip(lane.costs, each.costs, strict=True)]
            for place, number in each.forks.items():
                lane.forks[place] = lane.forks.get(place, 0.0) + number
            for place, ages in each.places.items():
                _add(lane.at(place), ages)
            lanes.append(lane)
        return lanes

    def add_prefix(
        self, node: int, anchor: int, lanes: Sequence[Lane], stored: StoredPrefix
    ) -> None:
        """Add a stored prefix; of one that is known here too, the later use counts."""
        known, lane = self.seen.get(node), lanes[stored.lane]
        if known is None:
            known = self.seen[node] = Seen(node, lane)
            known.last = float("-inf")
        else:
            del self._stages[known.stage][node]
        known.tip = known.tip or stored.tip
        known.stem = known.stem or stored.stem
        if stored.own is not None and stored.home is not None:
            if known.own is None:
                known.home = lanes[stored.home[0]], stored.home[1]
                known.own = Counts((0.0,) * LATE, known.home[0].at(AGAIN + known.home[1]))
            _add(known.own, stored.own)
        if stored.last > known.last:
            self._replace(known, lane, anchor, stored)
        self._insert(known)
        while len(self.seen) > PREFIXES:
            self._forget()

    def _replace(self, known: Seen, lane: Lane, anchor: int, stored: StoredPrefix) -> None:
        """Take over the last use of a prefix, and the case it began."""
        if known.case is not None and known.stage < LATE:
            known.case.leave(known.stage, known.last + STARTS[known.stage])
        known.lane, known.anchor = lane, anchor
        known.last, known.stage, known.place = stored.last, stored.stage, stored.place
        known.ready, known.dead, known.lives = stored.ready, stored.dead, stored.lives
        known.case = None
        if stored.open:
            known.case = known.own or lane.at(known.place)
            if known.stage < LATE:
                known.case.enter(known.stage, known.last + STARTS[known.stage])

    def _insert(self, known: Seen) -> None:
        """Put a prefix where it belongs in its stage, which is in the order of last use."""
        stage = self._stages[known.stage]
        later = []
        for other in reversed(stage.values()):
            if other.last <= known.last:
                break
            later.append(other.node)
        stage[known.node] = known
        for node in reversed(later):
            stage.move_to_end(node)


#: A number for each age.
_Ages = Annotated[list[float], msgspec.Meta(min_length=LATE, max_length=LATE)]


class StoredCounts(msgspec.Struct, array_like=True):
    """Counts as they are stored; open cases are stored with their prefixes."""

    hits: _Ages
    passes: _Ages


class StoredLane(msgspec.Struct):
    """A lane as it is stored."""

    model: str
    label: str | None
    costs: tuple[float, float, float, float]
    forks: dict[str, float]
    places: dict[str, StoredCounts]


class StoredPrefix(msgspec.Struct, omit_defaults=True):
    """A prefix as it is stored."""

    #: Its published key.
    key: str
    #: The number of its lane.
    lane: int
    last: float
    stage: Annotated[int, msgspec.Meta(ge=0, le=LATE)]
    place: str
    open: bool = False
    #: The number of the lane that its own counts are part of, and the place.
    home: tuple[int, str] | None = None
    own: StoredCounts | None = None
    ready: float = 0.0
    dead: float = 0.0
    lives: float = 0.0
    tip: bool = False
    stem: bool = False
    anchor: str | None = None


class Stored(msgspec.Struct, kw_only=True):
    """A memory as it is stored."""

    format: Literal["cacheplan.memory/1"] = "cacheplan.memory/1"
    lanes: list[StoredLane]
    prefixes: list[StoredPrefix]


def read_stored(found: Any) -> Stored:
    """Read decoded JSON; what cannot be a memory is an error that says where."""
    try:
        stored = msgspec.convert(found, Stored)
    except msgspec.ValidationError as error:
        raise InputError(f"this is not a stored memory: {error}") from error
    for number, prefix in enumerate(stored.prefixes):
        home = prefix.lane if prefix.home is None else prefix.home[0]
        if not 0 <= min(prefix.lane, home) <= max(prefix.lane, home) < len(stored.lanes):
            raise InputError("no lane has this number", ("prefixes", number, "lane"))
    return stored


def _ages(counts: Counts) -> StoredCounts:
    """Return what is stored of counts."""
    return StoredCounts(list(counts.hits), list(counts.passes))


def _add(counts: Counts, stored: StoredCounts) -> None:
    """Add stored counts. What they are part of was stored with them in it."""
    counts.hits = [a + b for a, b in zip(counts.hits, stored.hits, strict=True)]
    counts.passes = [a + b for a, b in zip(counts.passes, stored.passes, strict=True)]


def _stored(known: Seen, lanes: Mapping[int, int], key: Callable[[int], str]) -> StoredPrefix:
    """Return what is stored of a prefix; ``lanes`` are the numbers of lanes by identity."""
    home = own = None
    if known.own is not None and known.home is not None and id(known.home[0]) in lanes:
        home, own = (lanes[id(known.home[0])], known.home[1]), _ages(known.own)
    return StoredPrefix(
        key=key(known.node),
        lane=lanes[id(known.lane)],
        last=known.last,
        stage=known.stage,
        place=known.place,
        open=known.case is not None,
        home=home,
        own=own,
        ready=known.ready,
        dead=known.dead,
        lives=known.lives,
        tip=known.tip,
        stem=known.stem,
        anchor=None if known.anchor == -1 else key(known.anchor),
    )
