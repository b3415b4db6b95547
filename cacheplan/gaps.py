"""How soon prefixes are used again, place by place: what the calls say of marks.

A mark can matter only at a place where prompts part from what was sent before, or at the
end of one that another call continues. What is measured here proposes; whether it pays is
for the simulator to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import add
from typing import Final

from cacheplan.facts import LOOKBACK
from cacheplan.lanes import LaneKey
from cacheplan.places import BEFORE, TAIL_TALK, TAIL_TOOL, is_from_end, is_tail
from cacheplan.prefixes import PrefixTree
from cacheplan.prompt import Lifetime
from cacheplan.trials import Prices, Trial

__all__ = ["Gaps", "Reuse", "by_gaps"]

_SHORT, _LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR
_MINUTES, _HOUR = _SHORT.seconds, _LONG.seconds

#: Fixed places tried per lane, beside the tails: four slots less one for the tail.
FIXED: Final = 3


@dataclass(slots=True)
class Reuse:
    """How soon the prefixes at one place of one lane were used again."""

    uses: int = 0
    within_5m: int = 0
    within_1h: int = 0
    tokens: int = 0

    def book(self, gap: float, tokens: int) -> None:
        """Book one use, so long after the one before it."""
        self.uses += 1
        self.tokens += tokens
        self.within_5m += gap <= _MINUTES
        self.within_1h += gap <= _HOUR

    def said(self, *, timed: bool = True) -> str:
        """Say it in a sentence; without gaps where they are not known."""
        if not self.uses:
            return "never used again"
        if not timed:
            return f"{self.tokens // self.uses:,} tokens, used {self.uses:,} times"
        short, long = self.within_5m / self.uses, self.within_1h / self.uses
        return (
            f"{self.tokens // self.uses:,} tokens, used {self.uses:,} times:"
            f" {short:.0%} within 5 minutes, {long:.0%} within the hour"
        )


class Gaps:
    """The reuse seen in some calls, by lane and place."""

    def __init__(self, tree: PrefixTree, trials: Sequence[Trial]) -> None:
        self._tree = tree
        self._reuse: dict[tuple[LaneKey, str], Reuse] = {}
        #: By lane and the places that a call passes on its way to where it parts: the
        #: tokens up to each, of all such calls.
        self._passed: dict[LaneKey, dict[tuple[str, ...], list[int]]] = {}
        self._look(trials)

    def at(self, lane: LaneKey, place: str) -> Reuse | None:
        """Return what was seen at a place, ``None`` if no call of the lane has it."""
        return self._reuse.get((lane, place))

    def places(self, lane: LaneKey) -> list[str]:
        """Return the places worth trying in a lane, those first on which most hangs."""
        moving = [
            place
            for owner, place in self._reuse
            if owner == lane and is_tail(place) and place not in {TAIL_TALK, TAIL_TOOL}
        ]
        return [*self._fixed(lane), TAIL_TALK, TAIL_TOOL, *moving]

    def _fixed(self, lane: LaneKey) -> list[str]:
        """Return the fixed places at which most more can be read than at those before them.

        A mark far in front is read by every call that parts behind it as well, so where
        prompts part often and late is not all that hangs on a place.
        """
        found: list[str] = []
        passed = self._passed.get(lane, {})
        left = {places[-1] for places in passed}
        while left and len(found) < FIXED:
            more = _more(passed, found)
            found.append(max(left, key=lambda place: (more.get(place, 0), place)))
            left.remove(found[-1])
        return found

    def _look(self, trials: Sequence[Trial]) -> None:
        """Measure, place by place, how soon prefixes came back, and what hangs on it."""
        tree = self._tree
        last: dict[int, float] = {}
        tips: dict[int, tuple[float, LaneKey, str]] = {}
        for trial in trials:
            self._reuse.setdefault((trial.lane, trial.tail), Reuse())
            at, passed = trial.call.at, list[tuple[str, int]]()
            for place, node in trial.fixed:
                reuse = self._reuse.setdefault((trial.lane, place), Reuse())
                if is_from_end(place):
                    # It moves: whoever comes back to it goes on from there.
                    continue
                gap = at - last.get(node, float("-inf"))
                reuse.book(gap, tree.tokens[node])
                if gap <= _HOUR:
                    passed.append((place, tree.tokens[node]))
                last[node] = at
            earlier = self._continued(trial, tips)
            if earlier is None and passed:
                self._part(trial.lane, passed)
            tips[trial.call.tip] = (at, trial.lane, trial.tail)
            for place, node in trial.fixed[-1:]:
                if is_from_end(place) and is_from_end(tips.get(node, (at, trial.lane, place))[2]):
                    tips[node] = (at, trial.lane, place)

    def _part(self, lane: LaneKey, passed: Sequence[tuple[str, int]]) -> None:
        """Book a call that parts from all others at the last of these places."""
        places, lengths = zip(*passed, strict=True)
        sums = self._passed.setdefault(lane, {}).setdefault(places, [0] * len(places))
        sums[:] = map(add, sums, lengths)

    def _continued(
        self, trial: Trial, tips: Mapping[int, tuple[float, LaneKey, str]]
    ) -> float | None:
        """Book the earlier call that this one continues, if it does."""
        tree = self._tree
        stop = max(tree.system_end[trial.call.tip], tree.tools_end[trial.call.tip])
        node = trial.call.tip
        steps = 0
        while node > stop and tree.parent[node] >= 0:
            found = tips.get(node)
            if found is not None:
                at, lane, place = found
                reuse = self._reuse.setdefault((lane, place), Reuse())
                gap = trial.call.at - at
                reuse.book(gap, tree.tokens[node])
                if steps >= LOOKBACK:
                    self._reuse.setdefault((trial.lane, BEFORE), Reuse()).book(
                        gap, tree.tokens[node]
                    )
                return gap
            node = tree.parent[node]
            steps += 1
        return None


def _more(passed: Mapping[tuple[str, ...], list[int]], marked: Sequence[str]) -> dict[str, int]:
    """Return by place the tokens that can be read there and at none of those marked."""
    more: dict[str, int] = {}
    for places, tokens in passed.items():
        last = max((at for at, place in enumerate(places) if place in marked), default=-1)
        known = tokens[last] if last >= 0 else 0
        for place, length in zip(places[last + 1 :], tokens[last + 1 :], strict=True):
            more[place] = more.get(place, 0) + length - known
    return more


def by_gaps(used: Sequence[float], prices: Prices) -> Lifetime | None:
    """Return the lifetime under which a prefix used at these times costs least."""
    uncached, short, long, read = prices
    gaps = [later - earlier for earlier, later in pairwise(used)]
    costs = {
        None: uncached * len(used),
        _SHORT: short + sum(read if gap < _SHORT.seconds else short for gap in gaps),
        _LONG: long + sum(read if gap < _LONG.seconds else long for gap in gaps),
    }
    return min(costs, key=lambda lifetime: costs[lifetime])
