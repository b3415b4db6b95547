"""What calls have in common: prefixes that several of them begin with, and how soon.

A prefix is told of where prompts part: one that is always continued in the same way is
part of the longer one. A conversation shares a longer prefix at every turn, so the turns
of one kind of calls are told of together.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import Any, Final

from cacheplan.lanes import LaneKey, kind_of
from cacheplan.places import Places
from cacheplan.plan import Plan
from cacheplan.prompt import Level, Lifetime
from cacheplan.subject import Subject
from cacheplan.tables import count
from cacheplan.workload import Call

__all__ = ["SHOWN", "STEPS", "Shared", "shared"]

#: Gaps shorter than each are counted together; both lifetimes end a step, so what they
#: cover can be read off: after exactly that long an entry is gone.
STEPS: Final = (10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 1800.0, 3600.0, 14400.0, 86400.0)
#: Prefixes told of, those with the most to read first: more are not looked at by anybody.
SHOWN: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """A prefix that several calls begin with, or the turns of one kind of calls."""

    #: The prefix's key; empty where it is another one at every turn.
    prefix: str
    level: Level
    #: Its length; of turns the mean.
    tokens: int
    #: How many calls begin with it; of turns, how many continue an earlier call.
    calls: int
    #: Which calls, by label and model.
    lanes: tuple[str, ...]
    #: How many uses came so long after the one before, by ``STEPS``; the last are longer.
    gaps: tuple[int, ...]
    #: Where the plan would mark it, by the names of places, and for how long.
    breakpoint: str
    lifetime: Lifetime | None
    because: str

    @property
    def again(self) -> int:
        """How often it was used again."""
        return sum(self.gaps)

    def within(self, lifetime: Lifetime) -> int:
        """Return how many of these came within a lifetime."""
        return sum(self.gaps[: STEPS.index(lifetime.seconds) + 1])

    def to_json(self) -> dict[str, Any]:
        """Return the shape that ``review --format json`` prints."""
        return {
            "prefix": self.prefix or None,
            "level": str(self.level),
            "tokens": self.tokens,
            "calls": self.calls,
            "lanes": list(self.lanes),
            "gaps": {
                "count": self.again,
                "within_5m": self.within(Lifetime.FIVE_MINUTES),
                "within_1h": self.within(Lifetime.ONE_HOUR),
                "histogram": [
                    {"to_seconds": step, "count": number}
                    for step, number in zip((*STEPS, None), self.gaps, strict=True)
                ],
            },
            "breakpoint": self.breakpoint,
            "ttl": self.lifetime,
            "because": self.because,
        }


class _Uses:
    """The uses of one prefix; a log may have a million, so what is rare is made late."""

    __slots__ = ("begun", "calls", "gaps", "kinds", "last", "marked", "place", "tokens", "vague")

    def __init__(self, place: str, kind: LaneKey) -> None:
        self.place = place
        self.kinds: tuple[LaneKey, ...] = (kind,)
        self.calls = 0
        #: Calls that continue no other: turns of one conversation share by themselves.
        self.begun = 0
        #: Tokens of all uses together.
        self.tokens = 0
        self.last = float("-inf")
        self.gaps: list[int] | None = None
        #: How often it was used again nobody knows how soon.
        self.vague = 0
        #: How often the plan marks it, by lifetime.
        self.marked: dict[Lifetime, int] | None = None

    def book(self, gap: float, tokens: int, kind: LaneKey, lifetime: Lifetime | None) -> None:
        """Book one use, so long after the one before it."""
        self.calls += 1
        self.tokens += tokens
        if isnan(gap):
            self.vague += 1
        elif gap != float("inf"):
            self.gaps = self.gaps or [0] * (len(STEPS) + 1)
            self.gaps[bisect_right(STEPS, gap)] += 1
        if kind not in self.kinds:
            self.kinds = (*self.kinds, kind)
        if lifetime is not None:
            self.marked = self.marked or {}
            self.marked[lifetime] = self.marked.get(lifetime, 0) + 1


def shared(subject: Subject, plan: Plan) -> tuple[Shared, ...]:
    """Return what is worth telling of, that with the most to read first."""
    return _Look(subject, plan).told()


class _Look:
    """One pass over the calls of a subject."""

    def __init__(self, subject: Subject, plan: Plan) -> None:
        self._subject = subject
        self._tree = subject.tree
        #: By prefix, at places that do not move.
        self._fixed: dict[int, _Uses] = {}
        #: By kind of calls and tail.
        self._turns: dict[tuple[LaneKey, str], _Uses] = {}
        places, marker = Places.of(subject.tree), plan.marker(subject.tree)
        ends: dict[int, Lifetime | None] = {}
        for call in subject.workload:
            marks = dict(marker(call))
            self._book_fixed(call, places.fixed(call.tip), marks)
            ends[call.number] = marks.get(self._tree.markable(call.tip))
            earlier = subject.continued.get(call.number)
            if earlier is not None:
                key = kind_of(earlier), places.tail(earlier.tip)
                uses = self._turns.setdefault(key, _Uses(key[1], key[0]))
                tokens = self._tree.tokens[earlier.tip]
                gap = _moment(call) - _moment(earlier)
                uses.book(gap, tokens, key[0], ends[earlier.number])

    def _book_fixed(
        self, call: Call, fixed: Sequence[tuple[str, int]], marks: dict[int, Lifetime]
    ) -> None:
        """Book one call at every place of it that does not move."""
        kind, begun = kind_of(call), call.number not in self._subject.continued
        at = _moment(call)
        for place, node in fixed:
            uses = self._fixed.get(node)
            if uses is None:
                uses = self._fixed[node] = _Uses(place, kind)
            # What was not used before is no gap, whatever is known of moments.
            gap = at - uses.last if uses.calls else float("inf")
            uses.book(gap, self._tree.tokens[node], kind, marks.get(node))
            uses.last = at
            uses.begun += begun

    def told(self) -> tuple[Shared, ...]:
        """Choose what to tell of: where prompts part, and the turns."""
        rows = [(stake, self._row(node, uses)) for stake, node, uses in self._parting()]
        rows += [(uses.tokens, self._row(-1, uses)) for uses in self._turns.values()]
        rows.sort(key=lambda row: -row[0])
        return tuple(row for _, row in rows[:SHOWN])

    def _parting(self) -> Iterator[tuple[int, int, _Uses]]:
        """Yield shared prefixes, each with the tokens that later calls can read for it."""
        several = {node: uses for node, uses in self._fixed.items() if uses.begun > 1}
        above = {node: self._above(node, several) for node in several}
        # A prefix that is always continued in one way is part of the longer one.
        whole = {
            up for node, up in above.items() if up >= 0 and several[up].calls == several[node].calls
        }
        for node, uses in several.items():
            up = above[node]
            while up in whole:
                up = above[up]
            own = self._tree.tokens[node] - (self._tree.tokens[up] if up >= 0 else 0)
            if node not in whole and own > 0:
                yield own * (uses.calls - 1), node, uses

    def _above(self, node: int, several: dict[int, _Uses]) -> int:
        """Return the next shorter prefix that is shared too, -1 if there is none."""
        node = self._tree.parent[node]
        while node >= 0 and node not in several:
            node = self._tree.parent[node]
        return node

    def _row(self, node: int, uses: _Uses) -> Shared:
        """Say it."""
        marked = uses.marked or {}
        lifetime = max(marked, key=lambda each: marked[each]) if marked else None
        level = self._tree.level[self._tree.block[node]] if node >= 0 else Level.MESSAGES
        row = Shared(
            prefix=self._tree.key(node).hex() if node >= 0 else "",
            level=level,
            tokens=round(uses.tokens / uses.calls),
            calls=uses.calls,
            lanes=tuple(" / ".join(filter(None, (label, model))) for model, label in uses.kinds),
            gaps=tuple(uses.gaps or [0] * (len(STEPS) + 1)),
            breakpoint=uses.place,
            lifetime=lifetime,
            because="",
        )
        return _explained(row, self._least(uses.kinds[0]), uses.vague)

    def _least(self, kind: LaneKey) -> int | None:
        """Return the shortest prefix that the service keeps for calls of a kind."""
        call, *_ = self._subject.lanes[kind]
        workload, sheet = self._subject.workload, self._subject.sheet
        return sheet.minimum(call.tariff.model, call.tariff.platform, workload.assume)


def _moment(call: Call) -> float:
    """Return when a call was sent; no number where its source does not say it."""
    return float("nan") if "times" in call.lacks else call.at


def _explained(row: Shared, minimum: int | None, vague: int) -> Shared:
    """Give a row its reason, in a sentence with its numbers."""
    again = row.again
    short, long = (row.within(lifetime) / max(again, 1) for lifetime in Lifetime)
    said = (
        f"used again {count(again)} times: {short:.0%} within 5 minutes, {long:.0%} within the hour"
    )
    if vague:
        said = f"used again {count(again + vague)} times; of {count(vague)} nobody knows how soon"
    if row.lifetime is None:
        if minimum is None:
            said += "; nobody states the minimum of this model"
        elif row.tokens < minimum:
            said += f"; shorter than the {count(minimum)} tokens a prefix needs"
        else:
            said += "; a mark here would not lower the bill"
    return replace(row, because=said)
