"""The search: which lifetimes at which places cost one group of calls least.

The group's calls can see each other's entries and nobody else's, so what is best for them
is best whatever other calls do: the answer is a function of these calls alone. Every
trial is priced by serving them.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Final, NamedTuple

from cacheplan.gaps import Gaps, by_gaps
from cacheplan.lanes import LaneKey
from cacheplan.places import BEFORE, is_tail
from cacheplan.prefixes import PrefixTree
from cacheplan.prompt import Lifetime
from cacheplan.trials import Group, Prices, Rules, Trials

__all__ = ["Settled", "settled"]

_SHORT, _LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR
_CHOICES: Final = (None, _SHORT, _LONG)

#: Uses that a prefix needs for a lifetime of its own, and how many may have one at a place.
USES: Final = 4
EXACT: Final = 1000
#: A change has to save this share of the group's bill to be kept; less is noise that the
#: next day does not repeat.
WORTH: Final = 0.001
#: Passes over all lanes, and what the first must have saved for a second: a place may
#: look different once its neighbours have changed, but rarely does.
PASSES: Final = 2
AGAIN: Final = 0.01


class Settled(NamedTuple):
    """What was found for one group."""

    rules: Mapping[LaneKey, Rules]
    #: Prefixes with a lifetime of their own.
    own: Mapping[int, Lifetime | None]
    #: What each mark is worth.
    savings: Mapping[tuple[LaneKey, str], float]
    #: How soon prefixes were used again.
    gaps: Gaps


def settled(trials: Trials, group: Group, tree: PrefixTree) -> Settled:
    """Search for the cheapest rules of one group, once in a tree and in its copies.

    Calls that an edit leaves alone are the same prefixes at the same times as before it.
    """
    known = tree.derived.setdefault(settled, {})
    key = (trials.priced_by, *(trial[:-1] for trial in group.trials))
    found: Settled | None = known.get(key)
    if found is None:
        found = known[key] = _Search(trials, group, tree).settled()
    return found


class _Search:
    """One search in one group."""

    def __init__(self, trials: Trials, group: Group, tree: PrefixTree) -> None:
        self._trials = trials
        self._group = group
        self._gaps = Gaps(tree, group.trials)
        self._rules: dict[LaneKey, Rules] = {}
        self._savings: dict[tuple[LaneKey, str], float] = {}
        self._own: dict[int, Lifetime | None] = {}
        #: What the group costs under the rules as they are.
        self._best = float("inf")
        #: By rules that were tried: what the group costs under them, infinite where it is
        #: more than it might be; and that most.
        self._tried: dict[Hashable, tuple[float, float]] = {}

    def settled(self) -> Settled:
        """Search, and say what was found."""
        self._start()
        left = [*self._group.lanes]
        for _ in range(PASSES):
            left = [lane for lane in left if self._improve(lane)]
        for lane in self._group.lanes:
            self._prune(lane)
        for lane in self._group.lanes:
            self._look_closer(lane)
        return Settled(self._rules, self._own, self._savings, self._gaps)

    def _start(self) -> None:
        """Begin from the best of the uniform rules."""
        places = {lane: self._gaps.places(lane) for lane in self._group.lanes}
        first = len(_UNIFORM)
        for at in _LIKELY:
            fixed, tail = _UNIFORM[at]
            rules = {
                lane: {place: tail if is_tail(place) else fixed for place in wanted}
                for lane, wanted in places.items()
            }
            cost = self._cost(rules, self._best)
            if (cost, at) < (self._best, first):
                self._best, first, self._rules = cost, at, rules

    def _improve(self, lane: LaneKey) -> bool:
        """Try every lifetime at every place of one lane; say if another try may pay."""
        rules, first = self._rules[lane], self._best
        for place in rules:
            for lifetime in _CHOICES:
                kept = rules[place]
                if lifetime == kept or (place == BEFORE and lifetime is _LONG):
                    continue
                rules[place] = lifetime
                enough = self._best * (1 - WORTH)
                cost = self._cost(self._rules, enough)
                if cost < enough:
                    self._best = cost
                else:
                    rules[place] = kept
        return self._best < first * (1 - AGAIN)

    def _prune(self, lane: LaneKey) -> None:
        """Take away every mark without which the bill is no higher; price the others."""
        rules = self._rules[lane]
        for place, lifetime in rules.items():
            if lifetime is None or self._gaps.at(lane, place) is None:
                continue
            rules[place] = None
            cost = self._cost(self._rules)
            if cost > self._best:
                rules[place] = lifetime
                self._savings[lane, place] = round(cost - self._best, 6)
            else:
                self._best = cost

    def _look_closer(self, lane: LaneKey) -> None:
        """Give prefixes whose own gaps say otherwise a lifetime of their own.

        A pool of documents has favourites and others that nobody asks about twice. What
        the gaps propose is kept, place by place, if serving the calls proves it right.
        """
        for place in [place for place in self._rules[lane] if not is_tail(place)]:
            kept = dict(self._own)
            self._own.update(self._proposals(lane, place))
            if len(self._own) == len(kept):
                continue
            enough = self._best * (1 - WORTH)
            cost = self._cost(self._rules, enough)
            if cost < enough:
                self._best = cost
            else:
                self._own = kept

    def _proposals(self, lane: LaneKey, place: str) -> dict[int, Lifetime | None]:
        """Return the prefixes at a place whose own gaps call for another lifetime."""
        times: dict[int, list[float]] = {}
        prices: dict[int, Prices] = {}
        for trial in self._group.trials:
            for found, node in trial.fixed:
                if found == place and trial.lane == lane:
                    times.setdefault(node, []).append(trial.call.at)
                    prices[node] = trial.prices
        if len(times) > EXACT:
            most = sorted(times, key=lambda node: -len(times[node]))[:EXACT]
            times = {node: times[node] for node in most}
        default = self._rules[lane][place]
        proposed = {}
        for node, used in times.items():
            if len(used) >= USES:
                lifetime = by_gaps(used, prices[node])
                if lifetime is not default:
                    proposed[node] = lifetime
        return proposed

    def _cost(self, rules: Mapping[LaneKey, Rules], most: float = float("inf")) -> float:
        """Return what the group costs under some rules, or more where that is too much."""
        lifetimes = tuple(tuple(places.values()) for places in rules.values())
        tried = (lifetimes, *self._own.items())
        cost, until = self._tried.get(tried, (float("inf"), -1.0))
        if cost == float("inf") and until < most:
            cost = self._trials.cost(rules, self._own, self._group, most)
            self._tried[tried] = cost, most
        return cost if cost <= most else float("inf")


#: The rules of the field: what is marked at fixed places, and at the tail.
_UNIFORM: Final = (
    (None, None),
    (None, _SHORT),
    (None, _LONG),
    (_SHORT, None),
    (_LONG, None),
    (_SHORT, _SHORT),
    (_LONG, _SHORT),
    (_LONG, _LONG),
)
#: The order in which they are tried, those first that mostly cost least: what is dearer is
#: not finished. Of two that cost the same the one above counts.
_LIKELY: Final = (5, 6, 1, 7, 2, 3, 4, 0)
