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
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, NamedTuple

from cacheplan.errors import RejectedError
from cacheplan.facts import find
from cacheplan.places import (
    BEFORE,
    SYSTEM,
    TAIL_TALK,
    TAIL_TOOL,
    TOOLS,
    Places,
    is_tail,
    turn_before,
)
from cacheplan.plan import Lane, Plan, Rule, longer, name_of, within_rules
from cacheplan.pricelist import READ_ON
from cacheplan.prices import Rate, Sheet
from cacheplan.projection import cache_for
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.workload import Call, Workload

__all__ = ["choose"]

_SHORT, _LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR
_CHOICES: Final = (None, _SHORT, _LONG)

#: Lanes that get rules of their own, the dearest first; the rest follow their model's.
LANES: Final = 12
#: Calls that a lane needs for rules of its own: fewer say too little about the next ones.
CALLS: Final = 8
#: Fixed places tried per lane, beside the tails: four slots less one for the tail.
FIXED: Final = 3
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

_LaneKey = tuple[str, str | None]
#: What a lane does at each of its places.
_Rules = dict[str, Lifetime | None]


class _Ready(NamedTuple):
    """One call, with everything about it that does not depend on the rules."""

    call: Call
    lane: _LaneKey
    fixed: tuple[tuple[str, int], ...]
    tail: str
    tip: int
    before: int
    #: Dollars per token: uncached, 5m, 1h, read.
    prices: tuple[float, float, float, float]


@dataclass(slots=True)
class _Reuse:
    """How soon the prefixes at one place of one lane were used again."""

    uses: int = 0
    within_5m: int = 0
    within_1h: int = 0
    tokens: int = 0
    #: Prompt tokens at stake here: of calls that read up to this place and no farther.
    stake: int = 0

    def book(self, gap: float, tokens: int) -> None:
        """Book one use, so long after the one before it."""
        self.uses += 1
        self.tokens += tokens
        self.within_5m += gap <= _SHORT.seconds
        self.within_1h += gap <= _LONG.seconds

    def said(self) -> str:
        """Say it in a sentence."""
        if not self.uses:
            return "never used again"
        short, long = self.within_5m / self.uses, self.within_1h / self.uses
        return (
            f"{self.tokens // self.uses:,} tokens, used {self.uses:,} times:"
            f" {short:.0%} within 5 minutes, {long:.0%} within the hour"
        )


def choose(workload: Workload, sheet: Sheet) -> Plan:
    """Choose a plan for calls like these."""
    return _Choice(workload, sheet).plan()


class _Choice:
    """One choice on one workload."""

    def __init__(self, workload: Workload, sheet: Sheet) -> None:
        self._workload = workload
        self._sheet = sheet
        self._lanes = _lanes(workload)
        self._cache = cache_for(workload, sheet)
        self._ready = list(self._get_ready())
        self._reuse: dict[tuple[_LaneKey, str], _Reuse] = {}
        self._look_at_reuse()
        self._rules: dict[_LaneKey, _Rules] = {}
        self._groups = self._grouped()
        #: What each mark is worth.
        self._savings: dict[tuple[_LaneKey, str], float] = {}
        #: Prefixes with a lifetime of their own.
        self._own: dict[int, Lifetime | None] = {}

    def plan(self) -> Plan:
        """Search, and say what was found."""
        places = {lane: self._places(lane) for lane in self._lanes.values()}
        self._start(places)
        left = list(places)
        for _ in range(PASSES):
            left = [lane for lane in left if self._improve(lane)]
        for lane in places:
            self._prune(lane)
        self._look_closer()
        return self._written()

    # --- what the calls say ----------------------------------------------------------

    def _get_ready(self) -> Iterator[_Ready]:
        """Work out once what every trial needs of each call."""
        tree, places = self._workload.tree, Places(self._workload.tree)
        tips: set[int] = set()
        for call in self._workload:
            tip = tree.markable(call.tip)
            before = turn_before(tree, call.tip, tips)
            tips.add(call.tip)
            rate = self._sheet.rate(call.tariff, call.at, self._workload.prompt_tokens(call))
            yield _Ready(
                call,
                self._lanes[_key(call)],
                places.fixed(call.tip),
                places.tail(call.tip),
                tip,
                before if before >= 0 and not tree.unmarkable[before] else -1,
                _prices(rate),
            )

    def _look_at_reuse(self) -> None:
        """Measure, place by place, how soon prefixes came back, and what hangs on it."""
        tree = self._workload.tree
        last: dict[int, float] = {}
        tips: dict[int, tuple[float, _LaneKey, str]] = {}
        for ready in self._ready:
            self._reuse.setdefault((ready.lane, ready.tail), _Reuse())
            at, parted = ready.call.at, None
            for place, node in ready.fixed:
                reuse = self._reuse.setdefault((ready.lane, place), _Reuse())
                gap = at - last.get(node, float("-inf"))
                reuse.book(gap, tree.tokens[node])
                if gap <= _LONG.seconds:
                    parted = (reuse, node)
                last[node] = at
            earlier = self._continued(ready, tips)
            if earlier is None and parted is not None:
                parted[0].stake += tree.tokens[parted[1]]
            tips[ready.call.tip] = (at, ready.lane, ready.tail)

    def _continued(
        self, ready: _Ready, tips: Mapping[int, tuple[float, _LaneKey, str]]
    ) -> float | None:
        """Book the earlier call that this one continues, if it does."""
        tree = self._workload.tree
        stop = max(tree.system_end[ready.call.tip], tree.tools_end[ready.call.tip])
        node = ready.call.tip
        steps = 0
        while node > stop and tree.parent[node] >= 0:
            found = tips.get(node)
            if found is not None:
                at, lane, place = found
                reuse = self._reuse.setdefault((lane, place), _Reuse())
                gap = ready.call.at - at
                reuse.book(gap, tree.tokens[node])
                if steps >= _FAR:
                    self._reuse.setdefault((ready.lane, BEFORE), _Reuse()).book(
                        gap, tree.tokens[node]
                    )
                return gap
            node = tree.parent[node]
            steps += 1
        return None

    def _places(self, lane: _LaneKey) -> list[str]:
        """Return the places worth trying in a lane, those first on which most hangs."""
        stakes = [
            (reuse.stake, place)
            for (owner, place), reuse in self._reuse.items()
            if owner == lane and not is_tail(place) and reuse.stake
        ]
        fixed = [place for _, place in sorted(stakes, reverse=True)[:FIXED]]
        before = [BEFORE] if (lane, BEFORE) in self._reuse else []
        return [*fixed, TAIL_TALK, TAIL_TOOL, *before]

    # --- the search ------------------------------------------------------------------

    def _start(self, places: Mapping[_LaneKey, list[str]]) -> None:
        """Begin from the best of the uniform rules."""
        best = float("inf")
        for fixed, tail in _UNIFORM:
            rules = {
                lane: {place: tail if is_tail(place) else fixed for place in wanted}
                for lane, wanted in places.items()
            }
            cost = self._cost(rules, None)
            if cost < best:
                best, self._rules = cost, rules

    def _improve(self, lane: _LaneKey) -> bool:
        """Try every lifetime at every place of one lane; say if another try may pay."""
        rules = self._rules[lane]
        relevant = self._touched_by(lane)
        best = first = self._cost(self._rules, relevant)
        for place in rules:
            for lifetime in _CHOICES:
                kept = rules[place]
                if lifetime == kept or (place == BEFORE and lifetime is _LONG):
                    continue
                rules[place] = lifetime
                cost = self._cost(self._rules, relevant)
                if cost < best * (1 - WORTH):
                    best = cost
                else:
                    rules[place] = kept
        return best < first * (1 - AGAIN)

    def _prune(self, lane: _LaneKey) -> None:
        """Take away every mark without which the bill is no higher; price the others."""
        rules, relevant = self._rules[lane], self._touched_by(lane)
        best = self._cost(self._rules, relevant)
        for place, lifetime in rules.items():
            if lifetime is None or (lane, place) not in self._reuse:
                continue
            rules[place] = None
            cost = self._cost(self._rules, relevant)
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
            relevant = self._touched_by(lane)
            best = self._cost(self._rules, relevant)
            for place in [place for place in self._rules[lane] if not is_tail(place)]:
                kept = dict(self._own)
                self._own.update(self._proposals(lane, place))
                if len(self._own) == len(kept):
                    continue
                cost = self._cost(self._rules, relevant)
                if cost < best * (1 - WORTH):
                    best = cost
                else:
                    self._own = kept

    def _proposals(self, lane: _LaneKey, place: str) -> dict[int, Lifetime | None]:
        """Return the prefixes at a place whose own gaps call for another lifetime."""
        times: dict[int, list[float]] = {}
        prices: dict[int, tuple[float, float, float, float]] = {}
        for ready in self._ready:
            for found, node in ready.fixed:
                if found == place and ready.lane == lane:
                    times.setdefault(node, []).append(ready.call.at)
                    prices[node] = ready.prices
        if len(times) > EXACT:
            most = sorted(times, key=lambda node: -len(times[node]))[:EXACT]
            times = {node: times[node] for node in most}
        default = self._rules[lane][place]
        proposed = {}
        for node, used in times.items():
            if len(used) >= USES:
                lifetime = _by_gaps(used, prices[node])
                if lifetime is not default:
                    proposed[node] = lifetime
        return proposed

    def _touched_by(self, lane: _LaneKey) -> list[_Ready]:
        """Return the calls whose bill a lane's rules can change."""
        return self._groups[lane]

    def _grouped(self) -> dict[_LaneKey, list[_Ready]]:
        """Put lanes that share prefixes together: their rules act on one another."""
        group = {lane: lane for lane in self._lanes.values()}

        def root(lane: _LaneKey) -> _LaneKey:
            while group[lane] != lane:
                lane = group[lane]
            return lane

        owner: dict[int, _LaneKey] = {}
        for ready in self._ready:
            for node in (*(node for _, node in ready.fixed), ready.tip):
                other = owner.setdefault(node, ready.lane)
                if other != ready.lane:
                    group[root(ready.lane)] = root(other)
        calls: dict[_LaneKey, list[_Ready]] = {}
        for ready in self._ready:
            calls.setdefault(root(ready.lane), []).append(ready)
        return {lane: calls[root(lane)] for lane in group}

    def _cost(self, rules: Mapping[_LaneKey, _Rules], calls: Sequence[_Ready] | None) -> float:
        """Return what prompts cost under some rules, by serving them."""
        self._cache.clear()
        serve = self._cache.serve
        total = 0.0
        for ready in self._ready if calls is None else calls:
            marks = _marks(ready, rules[ready.lane], self._own)
            try:
                usage = serve(ready.call, marks)
            except RejectedError:
                return float("inf")
            uncached, short, long, read = ready.prices
            total += (
                usage.uncached * uncached
                + usage.write_5m * short
                + usage.write_1h * long
                + usage.read * read
            )
        return total

    # --- the answer ------------------------------------------------------------------

    def _written(self) -> Plan:
        """Write the rules down, each with its reason and what it is worth."""
        lanes = []
        for (model, label), rules in self._rules.items():
            written = []
            for place in sorted(rules, key=_order):
                reuse = self._reuse.get(((model, label), place))
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
        bills: dict[_LaneKey, float] = {}
        for ready in self._ready:
            tokens = self._workload.prompt_tokens(ready.call)
            bills[ready.lane] = bills.get(ready.lane, 0.0) + tokens * ready.prices[0]
        dearest = sorted(lanes, key=lambda lane: -bills[lane.model or "", lane.label])
        known = {(lane.model, lane.label) for lane in lanes}
        for lane in dearest:
            for model, label in ((lane.model, None), (None, lane.label), (None, None)):
                if (model, label) not in known:
                    known.add((model, label))
                    rules = tuple(replace(rule, saving=None) for rule in lane.rules)
                    yield Lane(model=model, label=label, rules=rules, like=name_of(lane))


#: Blocks behind an earlier prompt's end from which on one lookback may miss it.
_FAR: Final = 20
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


def _by_gaps(used: Sequence[float], prices: tuple[float, float, float, float]) -> Lifetime | None:
    """Return the lifetime under which a prefix used at these times costs least."""
    uncached, short, long, read = prices
    gaps = [later - earlier for earlier, later in pairwise(used)]
    costs = {
        None: uncached * len(used),
        _SHORT: short + sum(read if gap < _SHORT.seconds else short for gap in gaps),
        _LONG: long + sum(read if gap < _LONG.seconds else long for gap in gaps),
    }
    return min(costs, key=lambda lifetime: costs[lifetime])


def _marks(
    ready: _Ready, rules: _Rules, own: Mapping[int, Lifetime | None]
) -> Sequence[Breakpoint]:
    """Place one call's marks; the same look-up that a plan does."""
    found: dict[int, Lifetime] = {}
    for place, node in ready.fixed:
        lifetime = own[node] if node in own else rules.get(place)
        if lifetime is not None:
            found[node] = lifetime
    lifetime = rules.get(ready.tail)
    if lifetime is not None and ready.tip >= 0:
        found[ready.tip] = longer(found.get(ready.tip), lifetime)
        if ready.before >= 0 and rules.get(BEFORE) is not None:
            found[ready.before] = longer(found.get(ready.before), lifetime)
    return within_rules(found)


def _key(call: Call) -> _LaneKey:
    """Return the finest lane of a call."""
    found = find(call.tariff.model)
    return (found.model.id if found else call.tariff.model, call.label)


def _lanes(workload: Workload) -> dict[_LaneKey, _LaneKey]:
    """Say which lane each kind of call follows: its own, or its model's."""
    weights: dict[_LaneKey, int] = {}
    calls: dict[_LaneKey, int] = {}
    for call in workload:
        key = _key(call)
        weights[key] = weights.get(key, 0) + workload.prompt_tokens(call)
        calls[key] = calls.get(key, 0) + 1
    dearest = sorted((key for key in weights if calls[key] >= CALLS), key=lambda k: -weights[k])
    own = set(dearest[:LANES])
    return {key: key if key in own else (key[0], None) for key in weights}


def _prices(rate: Rate | None) -> tuple[float, float, float, float]:
    """Return dollars per token as floats; where nobody knows them, the usual ratios.

    A plan's structure is worth having even where money is unknown.
    """
    if rate is None:
        return 1.0, 1.25, 2.0, 0.1
    return float(rate.uncached), float(rate.write_5m), float(rate.write_1h), float(rate.read)


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
    models = {_key(call)[0] for call in workload}
    days = {
        day
        for row in sheet.rows
        if row.model in models
        for day in (row.from_date, row.until)
        if day and day > READ_ON
    }
    return min(days, default=None)
