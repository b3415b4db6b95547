"""The policy that learns while it runs, and sees only the past.

At every place of a call one question is asked: is this prefix used again within five
minutes, and within the hour? ``reuse`` answers from what was seen before. Whether a
prefix comes again shows whatever was marked, so nothing is tried out for the sake of
learning, and a mark is set only where the forecast says that it pays:

* 5 minutes, where the chance of reuse times what reading saves is more than the premium;
* 1 hour, where the chance of a gap between 5 minutes and the hour, times what it would
  cost, is more than what the longer lifetime adds to the price of what is newly written.
  In a conversation that is little, for an hour's entry at its end keeps all before it,
  and it need not be written anew while an earlier one (the anchor) stands close by;
* no mark, where neither pays.

Where a lane has of late cost more than 13/8 of what no marks, 5 minutes or an hour
everywhere would have cost, its forecasts have failed. It then follows the rule that is
never worse than 13/8 of the best (theory C.3): 5 minutes at first and after a gap of
more than an hour, 1 hour after a gap between.

This file may know the tree, prices, minimums, and the calls it was shown, never those of
a workload. What is alive is what it believes from the marks it was told of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from cacheplan.assumptions import Assumptions
from cacheplan.facts import BREAKPOINTS, LOOKBACK
from cacheplan.places import DOCUMENTS, SYSTEM, TAIL_TALK, TOOLS, Places
from cacheplan.plan import within_rules
from cacheplan.prefixes import PrefixTree
from cacheplan.prices import Rate, Sheet
from cacheplan.projection import Marker
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.reuse import (
    LATE,
    SOON,
    START_PLAIN,
    START_TOOLS,
    START_UNKNOWN,
    STEM,
    TAIL_UNKNOWN,
    Forecast,
    Lane,
    Memory,
    Seen,
)
from cacheplan.workload import Call, Workload

__all__ = ["Adaptive", "adaptive"]

_SHORT, _LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR

#: How much worse than the best the fallback is at worst, and so the loss that calls it.
WORST: Final = 13 / 8
#: How much of a lane's costs is left after each further call: about 500 calls count.
FADING: Final = 0.998
#: Least chance that an hour's entry dies unread, so that no forecast is worth infinity.
SURELY: Final = 0.02
#: How often new prompts are taken to part from earlier ones at a place before any did.
FORKS: Final = {SYSTEM: 1.0, DOCUMENTS: 0.5, TOOLS: 0.3}
FORKS_ELSEWHERE: Final = 0.1
#: What writing and reading cost where no price is known: the multipliers of all models
#: but the newest (facts 2).
_USUAL: Final = (0.1, 1.25, 2.0)


class Spot(NamedTuple):
    """A place of one call, and the prefix that stands there."""

    place: str
    node: int
    tokens: int


class Terms(NamedTuple):
    """Prices as multiples of an uncached token, and the shortest prefix that is cached."""

    read: float
    short: float
    long: float
    minimum: int


class Sight(NamedTuple):
    """What is seen of one call before it is sent."""

    call: Call
    lane: Lane
    terms: Terms
    #: In prompt order, the end of the prompt last; none if the prompt is too short.
    spots: Sequence[Spot]
    #: The end of an earlier prompt, or the stem of one, that this one goes on from, and
    #: the blocks since.
    before: Seen | None
    far: int
    #: The longest prefix that is believed alive, and how far one reaches that was written
    #: so lately that it cannot be read yet.
    alive: Seen | None
    pending: int
    #: The longest one of this conversation that is alive for an hour.
    anchor: Seen | None
    #: When the prefix nearest to the end was last used, as an age.
    stage: int


class Adaptive:
    """Decides where to mark the calls it is shown, in the order they are made.

    ``decide`` says where to mark a call, ``learn`` is told what was marked in the end.
    Both take a few microseconds for each place of a prompt; both are exact functions of
    the calls shown before.
    """

    def __init__(self, tree: PrefixTree, sheet: Sheet, assume: Assumptions | None = None) -> None:
        self._tree = tree
        self._sheet = sheet
        self._assume = assume or Assumptions()
        self._places = Places(tree)
        self.memory = Memory()
        self._terms: dict[int, tuple[Rate | None, Terms]] = {}
        self._sight: Sight | None = None

    def decide(self, call: Call) -> tuple[Breakpoint, ...]:
        """Return the breakpoints for a call that is about to be sent."""
        sight = self._see(call)
        if not sight.spots:
            return ()
        paid, *others = sight.lane.costs
        if paid > WORST * (min(others) + sight.spots[-1].tokens):
            return self._place(sight, *_react(sight))
        return self._place(sight, *self._weigh(sight))

    def learn(self, call: Call, marks: Sequence[Breakpoint]) -> None:
        """Take note of a call that was sent with these marks."""
        sight = self._see(call)
        self._sight = None
        if not sight.spots:
            return
        lane, memory, at = sight.lane, self.memory, call.at
        self._book(sight, marks)
        before = sight.before
        if before is not None:
            memory.use(before.node, lane, at)
        for place, node, _ in sight.spots:
            known = memory.use(node, lane, at)
            memory.open(known, place, known.own or lane.at(place))
        end = memory.seen[sight.spots[-1].node]
        end.tip = True
        if before is not None:
            end.anchor = before.anchor
        stem = memory.seen.get(self._tree.parent[end.node])
        if stem is not None and len(sight.spots) > 1 and stem.node == sight.spots[-2].node:
            stem.stem = True
        self._keep(sight, marks, end)

    # ------------------------------------------------------------------ what is seen

    def _see(self, call: Call) -> Sight:
        """Look at a call once: what it shares with earlier ones ends their cases."""
        if self._sight is not None and self._sight.call is call:
            return self._sight
        memory, tree, tip = self.memory, self._tree, call.tip
        memory.advance(call.at)
        lane = memory.lane(call.tariff.model, call.label)
        terms = self._prices(call)
        end = tree.markable(tip) if tree.unmarkable[tip] else tip
        if end < 0 or tree.tokens[end] < terms.minimum:
            sight = Sight(call, lane, terms, (), None, 0, None, -1, None, LATE)
        else:
            before, far = self._earlier(end)
            spots = self._spots(call.tip, end, before, terms.minimum)
            alive, pending, anchor = self._alive(call.at, spots, before)
            stage = self._note(lane, spots, before)
            sight = Sight(call, lane, terms, spots, before, far, alive, pending, anchor, stage)
        self._sight = sight
        return sight

    def _earlier(self, end: int) -> tuple[Seen | None, int]:
        """Return the nearest end or stem of an earlier prompt, and how far up it is."""
        tree, seen = self._tree, self.memory.seen
        parent = tree.parent
        head = max(tree.tools_end[end], tree.system_end[end])
        node, far = end, 0
        while node > head and parent[node] >= 0:
            known = seen.get(node)
            if known is not None and (known.tip or known.stem):
                return known, far
            node = parent[node]
            far += 1
        return None, far

    def _spots(self, tip: int, end: int, before: Seen | None, minimum: int) -> list[Spot]:
        """Return the places of a prompt.

        In a conversation that goes on, the first blocks of the messages are behind us.
        """
        tree = self._tree
        tokens = tree.tokens
        goes_on = before is not None and before.tip and before.node != end
        if goes_on:
            heads = ((TOOLS, tree.tools_end[tip]), (SYSTEM, tree.system_end[tip]))
            fixed = [(place, node) for place, node in heads if node >= 0]
            kind = self._places.tail(tip)
            if kind == TAIL_TALK and not tree.role[tree.block[tip]]:
                kind = TAIL_UNKNOWN
        else:
            fixed = list(self._places.fixed(tip))
            if tree.tools_end[tip] >= 0:
                kind = START_TOOLS
            else:
                kind = START_PLAIN if tree.role[tree.block[tip]] else START_UNKNOWN
        spots = [
            Spot(place, node, tokens[node])
            for place, node in fixed
            if node < end and tokens[node] >= minimum and not tree.unmarkable[node]
        ]
        stem = tree.parent[end]
        behind = spots[-1].node if spots else max(tree.tools_end[tip], tree.system_end[tip])
        if goes_on and before is not None:
            behind = max(behind, before.node)
        if stem > behind and not tree.unmarkable[stem] and tokens[stem] >= minimum:
            spots.append(Spot(STEM + kind, stem, tokens[stem]))
        spots.append(Spot(kind, end, tokens[end]))
        return spots

    def _alive(
        self, at: float, spots: Sequence[Spot], before: Seen | None
    ) -> tuple[Seen | None, int, Seen | None]:
        """Return the longest prefix believed alive, the longest pending, and the anchor."""
        seen = self.memory.seen
        alive = anchor = None
        pending = -1
        known = None if before is None else seen.get(before.anchor)
        if known is not None and known.dead > at >= known.ready:
            alive = anchor = known
        candidates = [seen.get(spot.node) for spot in spots]
        candidates.append(before)
        for known in candidates:
            if known is not None and known.dead > at:
                if known.ready > at:
                    pending = max(pending, known.node)
                elif alive is None or known.node > alive.node:
                    alive = known
        return alive, pending, anchor

    def _note(self, lane: Lane, spots: Sequence[Spot], before: Seen | None) -> int:
        """End the cases of what this call uses again; return the age of the nearest."""
        memory, stage, fork = self.memory, LATE, ""
        for place, node, _ in spots:
            known = memory.seen.get(node)
            if known is None:
                continue
            stage = known.stage
            memory.close(known)
            if known.place == place:
                memory.own(known, lane, place)
            if stage < LATE:
                fork = place
        if before is not None:
            stage = before.stage
            memory.close(before)
            if before.stem and not before.tip:
                fork = before.place
        if fork and (before is None or not before.tip):
            lane.forks[fork] = lane.forks.get(fork, 0.0) + 1
        return stage

    def _prices(self, call: Call) -> Terms:
        """Return what a call's tokens cost in terms of its uncached ones."""
        tariff = call.tariff
        rate = self._sheet.rate(tariff, call.at, self._tree.tokens[call.tip])
        found = self._terms.get(id(rate))
        if found is None or rate is None:
            minimum = self._sheet.minimum(tariff.model, tariff.platform, self._assume) or 0
            if rate is None:
                return Terms(*_USUAL, minimum)
            one = rate.uncached
            terms = Terms(
                float(rate.read / one),
                float(rate.write_5m / one),
                float(rate.write_1h / one),
                minimum,
            )
            found = self._terms[id(rate)] = (rate, terms)
        return found[1]

    # ------------------------------------------------------------------ what pays

    def _forecast(self, lane: Lane, spot: Spot, now: float) -> Forecast:
        """Return the forecast for a prefix: its own, or that of its place."""
        known = self.memory.seen.get(spot.node)
        if known is not None and known.own is not None:
            return known.own.forecast(now)
        return lane.at(spot.place).forecast(now)

    def _weigh(self, sight: Sight) -> tuple[int, int]:
        """Return the ends of what to keep for an hour, and at all; -1 for nothing.

        Only what is not alive costs anything. What is kept is the beginning of the
        prompt, and what is kept for an hour is the beginning of that, so both are found
        in one pass over the places, adding up what each stretch is worth.
        """
        best, choice = 0.0, (-1, -1)
        total = extra = most = 0.0
        long_end = -1
        for node, worth, more in self._worths(sight):
            total += worth
            extra += more
            if extra > most:
                most, long_end = extra, node
            if total + most > best:
                best, choice = total + most, (long_end, node)
        return choice

    def _worths(self, sight: Sight) -> list[tuple[int, float, float]]:
        """Return what keeping each stretch for 5 minutes is worth, and what an hour adds.

        A prefix is used whenever a longer one is, so no forecast is below the next one's.
        """
        read, write, write_long, _ = sight.terms
        spots, lane = sight.spots, sight.lane
        alive = -1 if sight.alive is None else sight.alive.node
        kept = 0 if alive < 0 else self._tree.tokens[alive]
        premium = write_long - write
        found = []
        short = long = 0.0
        for at in range(len(spots) - 1, -1, -1):
            spot = spots[at]
            if spot.node <= alive:
                break
            above = spots[at - 1].tokens if at and spots[at - 1].node > alive else kept
            new = spot.tokens - above
            forecast = self._forecast(lane, spot, sight.call.at)
            short, long = max(short, forecast.short), max(long, forecast.long)
            # What another call is just writing will be there without this one.
            gain = 0.0 if spot.node <= sight.pending else short * (write - read)
            worth = new * (gain - (write - 1))
            moves = at == len(spots) - 1 or spot.place.startswith(STEM)
            if moves and not self._stays(spot):
                # The next call of a conversation writes its own end: one gap counts.
                saved = (long - short) * (write - read)
                whole = at == len(spots) - 1
                more = saved * (self._at_risk(sight, short) if whole else new) - premium * new
            else:
                lost = max(1 - long, SURELY)
                more = new * ((long - short) / lost * (write - read) - premium)
                if worth < 0:
                    more = new * (long * (write_long - read) - (write_long - 1)) / lost - worth
            found.append((spot.node, worth, more))
        found.reverse()
        return found

    def _stays(self, spot: Spot) -> bool:
        """Tell whether a prefix has itself come again."""
        known = self.memory.seen.get(spot.node)
        return known is not None and known.own is not None

    def _at_risk(self, sight: Sight, short: float) -> float:
        """Return the tokens a gap of more than 5 minutes would lose without an hour's mark.

        Not those up to the anchor, nor those that other conversations keep warm: the
        share of the system's reuse that this conversation does not account for.
        """
        end = sight.spots[-1].tokens
        safe = 0.0
        for spot in sight.spots[:-1]:
            if spot.place in (SYSTEM, TOOLS):
                warm = self._forecast(sight.lane, spot, sight.call.at).short
                safe = max(safe, spot.tokens * max(0.0, warm - short) / max(1 - short, SURELY))
        if sight.anchor is not None:
            safe = max(safe, float(self._tree.tokens[sight.anchor.node]))
        return end - safe

    def _place(self, sight: Sight, long_end: int, end: int) -> tuple[Breakpoint, ...]:
        """Turn ends into breakpoints: those first that write and read, then what is free.

        A mark inside what is read costs nothing, keeps its entry alive, and is found by
        prompts that part there.
        """
        alive = -1 if sight.alive is None else sight.alive.node
        reach = max(end, alive)
        if reach < 0:
            return ()
        found = {reach: _SHORT}
        if end >= 0:
            found[end] = _SHORT
        if long_end >= 0:
            found[long_end] = _LONG
        near = sight.before is not None and alive == sight.before.node and sight.far < LOOKBACK
        if alive >= 0 and not (near and reach == sight.spots[-1].node):
            found[alive] = _SHORT
        room = BREAKPOINTS - len(found)
        if room > 0:
            for node in self._wanted(sight, reach)[:room]:
                found.setdefault(node, _SHORT)
        return within_rules(found)

    def _wanted(self, sight: Sight, reach: int) -> list[int]:
        """Return the prefixes worth a free mark, those first that new prompts part at."""
        forks = sight.lane.forks
        wanted = [
            ((forks.get(spot.place, 0.0) + FORKS.get(spot.place, FORKS_ELSEWHERE)) * spot.tokens,
             spot.node)
            for spot in sight.spots
            if spot.node < reach
        ]  # fmt: skip
        if sight.anchor is not None:
            node = sight.anchor.node
            wanted.append((FORKS_ELSEWHERE * self._tree.tokens[node], node))
        wanted.sort(reverse=True)
        return [node for _, node in wanted]

    # ------------------------------------------------------------------ what is believed

    def _keep(self, sight: Sight, marks: Sequence[Breakpoint], end: Seen) -> None:
        """Believe what the service does: it reads the longest entry, and writes the rest."""
        at, seen, tokens = sight.call.at, self.memory.seen, self._tree.tokens
        if not marks:
            return
        alive, last = sight.alive, marks[-1].node
        read = -1
        if alive is not None and alive.node <= last:
            read = alive.node
            alive.dead = max(alive.dead, at + alive.lives)
        for node, lifetime in marks:
            known = seen.get(node)
            if known is None or tokens[node] < sight.terms.minimum:
                continue
            if node > read:
                readable = at + sight.call.first_token_after
                known.ready = min(known.ready, readable) if known.dead > at else readable
                known.lives = float(lifetime.seconds)
                known.dead = at + known.lives
                if lifetime is _LONG:
                    end.anchor = node
            elif known.dead > at:
                known.dead = max(known.dead, at + known.lives)

    def _book(self, sight: Sight, marks: Sequence[Breakpoint]) -> None:
        """Add up what was paid, and what no marks, 5 minutes or an hour would have cost."""
        tokens = self._tree.tokens
        read, write, write_long, _ = sight.terms
        total = tokens[sight.call.tip]
        short = long = 0
        nodes = [spot.node for spot in sight.spots]
        if sight.before is not None:
            nodes.append(sight.before.node)
        for node in nodes:
            known = self.memory.seen.get(node)
            if known is not None and known.stage < LATE:
                long = max(long, tokens[node])
                if known.stage < SOON:
                    short = max(short, tokens[node])
        kept = long_kept = start = 0
        if marks:
            if sight.alive is not None and sight.alive.node <= marks[-1].node:
                start = tokens[sight.alive.node]
            kept = max(start, tokens[marks[-1].node])
            longs = [tokens[mark.node] for mark in marks if mark.lifetime is _LONG]
            long_kept = max(start, *longs) if longs else start
        paid = write * (kept - long_kept) + write_long * (long_kept - start) + read * start
        costs = (
            total - kept + paid,
            total,
            write * (total - short) + read * short,
            write_long * (total - long) + read * long,
        )
        sight.lane.costs = [
            FADING * old + new for old, new in zip(sight.lane.costs, costs, strict=True)
        ]


def _react(sight: Sight) -> tuple[int, int]:
    """Keep all: for an hour after a gap of 5 minutes to an hour, else for 5 minutes."""
    end = sight.spots[-1].node
    return (end if sight.alive is None and SOON <= sight.stage < LATE else -1), end


def adaptive(workload: Workload, sheet: Sheet | None = None) -> Marker:
    """Learn from each call what to do with the next."""
    policy = Adaptive(workload.tree, sheet or Sheet.default(), workload.assume)

    def marker(call: Call) -> Sequence[Breakpoint]:
        marks = policy.decide(call)
        policy.learn(call, marks)
        return marks

    return marker
