"""Choosing a plan: which places of which calls are worth a mark, and for how long.

Two steps, and the simulator decides in both. First the calls themselves say where a mark
could matter: the places at which prompts were seen to part from what was sent before,
and how long it takes until a prefix is used again. Then lifetimes are tried place by
place and lane by lane, every trial priced by serving the calls, and whatever lowers the
bill stays. The search starts from the uniform rules that the field uses and from no
marks at all, so a plan never costs more than any of them on the calls it was chosen on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from cacheplan.gaps import Gaps, by_gaps
from cacheplan.lanes import LaneKey, kind_of
from cacheplan.places import BEFORE, SYSTEM, TAIL_TALK, TAIL_TOOL, TOOLS, is_tail
from cacheplan.plan import Lane, Plan, Rule, name_of
from cacheplan.pricelist import READ_ON
from cacheplan.prices import Sheet
from cacheplan.prompt import Lifetime
from cacheplan.trials import Prices, Rules, Trial, Trials
from cacheplan.workload import Workload

__all__ = ["choose"]

_SHORT, _LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR
_CHOICES: Final = (None, _SHORT, _LONG)

#: Uses that a prefix needs for a lifetime of its own, and how many may have one at a place.
USES: Final = 4
EXACT: Final = 1000
#: A change has to save this share of the lane's bill to be kept; less is noise that the
#: next day does not repeat.
WORTH: Final = 0.001
#: Passes over all lanes, and what the first must have saved for a second: a place may
#: look different once its neighbours have changed, but rarely does.
PASSES: Final = 2
AGAIN: Final = 0.01


def choose(workload: Workload, sheet: Sheet) -> Plan:
    """Choose a plan for calls like these."""
    return _Choice(workload, sheet).plan()


class _Choice:
    """One choice on one workload."""

    def __init__(self, workload: Workload, sheet: Sheet) -> None:
        self._workload = workload
        self._sheet = sheet
        self._trials = Trials(workload, sheet)
        self._gaps = Gaps(workload.tree, self._trials.all)
        self._rules: dict[LaneKey, Rules] = {}
        #: What each mark is worth.
        self._savings: dict[tuple[LaneKey, str], float] = {}
        #: Prefixes with a lifetime of their own.
        self._own: dict[int, Lifetime | None] = {}

    def plan(self) -> Plan:
        """Search, and say what was found."""
        places = {lane: self._gaps.places(lane) for lane in self._trials.lanes.values()}
        self._start(places)
        left = list(places)
        for _ in range(PASSES):
            left = [lane for lane in left if self._improve(lane)]
        for lane in places:
            self._prune(lane)
        self._look_closer()
        return self._written()

    # --- the search ------------------------------------------------------------------

    def _start(self, places: Mapping[LaneKey, list[str]]) -> None:
        """Begin from the best of the uniform rules."""
        best = float("inf")
        for fixed, tail in _UNIFORM:
            rules = {
                lane: {place: tail if is_tail(place) else fixed for place in wanted}
                for lane, wanted in places.items()
            }
            cost = self._trials.cost(rules, self._own)
            if cost < best:
                best, self._rules = cost, rules

    def _improve(self, lane: LaneKey) -> bool:
        """Try every lifetime at every place of one lane; say if another try may pay."""
        rules = self._rules[lane]
        relevant = self._trials.touched[lane]
        best = first = self._cost(relevant)
        for place in rules:
            for lifetime in _CHOICES:
                kept = rules[place]
                if lifetime == kept or (place == BEFORE and lifetime is _LONG):
                    continue
                rules[place] = lifetime
                cost = self._cost(relevant)
                if cost < best * (1 - WORTH):
                    best = cost
                else:
                    rules[place] = kept
        return best < first * (1 - AGAIN)

    def _prune(self, lane: LaneKey) -> None:
        """Take away every mark without which the bill is no higher; price the others."""
        rules, relevant = self._rules[lane], self._trials.touched[lane]
        best = self._cost(relevant)
        for place, lifetime in rules.items():
            if lifetime is None or self._gaps.at(lane, place) is None:
                continue
            rules[place] = None
            cost = self._cost(relevant)
            if cost > best:
                rules[place] = lifetime
                self._savings[lane, place] = round(cost - best, 6)
            else:
                best = cost

    def _look_closer(self) -> None:
        """Give prefixes whose own gaps say otherwise a lifetime of their own.

        A pool of documents has favourites and others that nobody asks about twice. What
        the gaps propose is kept, place by place, if serving the calls proves it right.
        """
        for lane in self._rules:
            relevant = self._trials.touched[lane]
            best = self._cost(relevant)
            for place in [place for place in self._rules[lane] if not is_tail(place)]:
                kept = dict(self._own)
                self._own.update(self._proposals(lane, place))
                if len(self._own) == len(kept):
                    continue
                cost = self._cost(relevant)
                if cost < best * (1 - WORTH):
                    best = cost
                else:
                    self._own = kept

    def _proposals(self, lane: LaneKey, place: str) -> dict[int, Lifetime | None]:
        """Return the prefixes at a place whose own gaps call for another lifetime."""
        times: dict[int, list[float]] = {}
        prices: dict[int, Prices] = {}
        for trial in self._trials.all:
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

    def _cost(self, calls: Sequence[Trial]) -> float:
        """Return what some calls cost under the rules as they are now."""
        return self._trials.cost(self._rules, self._own, calls)

    # --- the answer ------------------------------------------------------------------

    def _written(self) -> Plan:
        """Write the rules down, each with its reason and what it is worth."""
        lanes = []
        for (model, label), rules in self._rules.items():
            written = []
            for place in sorted(rules, key=_order):
                reuse = self._gaps.at((model, label), place)
                if reuse is None:
                    other = TAIL_TALK if place == TAIL_TOOL else TAIL_TOOL
                    lifetime, because = rules.get(other), "as the other tail; none was seen"
                else:
                    lifetime, because = rules[place], reuse.said()
                saving = self._savings.get(((model, label), place))
                written.append(Rule(place=place, lifetime=lifetime, because=because, saving=saving))
            lanes.append(Lane(model=model, label=label, rules=tuple(written)))
        workload = self._workload
        return Plan(
            lanes=(*lanes, *self._for_others(lanes)),
            prefixes={workload.tree.key(node).hex(): own for node, own in self._own.items()},
            expires=_expires(workload, self._sheet),
            chosen_on=f"Chosen on {len(workload):,} calls over {workload.span / 3600:.1f} hours.",
        )

    def _for_others(self, lanes: Sequence[Lane]) -> Iterator[Lane]:
        """Yield lanes for labels and models not seen: as the dearest of their like."""
        bills: dict[LaneKey, float] = {}
        for trial in self._trials.all:
            tokens = self._workload.prompt_tokens(trial.call)
            bills[trial.lane] = bills.get(trial.lane, 0.0) + tokens * trial.prices[0]
        dearest = sorted(lanes, key=lambda lane: -bills[lane.model or "", lane.label])
        known = {(lane.model, lane.label) for lane in lanes}
        for lane in dearest:
            for model, label in ((lane.model, None), (None, lane.label), (None, None)):
                if (model, label) not in known:
                    known.add((model, label))
                    rules = tuple(replace(rule, saving=None) for rule in lane.rules)
                    yield Lane(model=model, label=label, rules=rules, like=name_of(lane))


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


def _order(place: str) -> tuple[int, str]:
    """Sort places as they stand in a prompt."""
    heads = (TOOLS, SYSTEM)
    if place in heads:
        return heads.index(place) * 2, place
    if place.startswith(SYSTEM):
        return 1, place
    return (4 if is_tail(place) else 3), place


def _expires(workload: Workload, sheet: Sheet) -> str | None:
    """Return the next day on which a price of these models is known to change."""
    models = {kind_of(call)[0] for call in workload}
    days = {
        day
        for row in sheet.rows
        if row.model in models
        for day in (row.from_date, row.until)
        if day and day > READ_ON
    }
    return min(days, default=None)
