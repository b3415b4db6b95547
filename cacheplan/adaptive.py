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
from cacheplan.places import DOCUMENTS, SYSTEM, TAIL_TALK, TAIL_TOOL, TOOLS, Places
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
    #: What is known of the prefix at each.
    known: Sequence[Seen | None]
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
    #: Tokens that were used within 5 minutes, and within the hour.
    soon: int
    late: int


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
        spots, before = sight.spots, sight.before
        if not spots:
            return
        lane, memory, at = sight.lane, self.memory, call.at
        self._book(sight, marks)
        if before is not None:
            memory.use(before.node, lane, at)
        for place, node, _ in spots:
            end = memory.use(node, lane, at)
            memory.open(end, place, end.own or lane.at(place))
            if place.startswith(STEM) or place == DOCUMENTS:
                end.stem = True
        end.tip = True
        if before is not None:
            end.anchor = before.anchor
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
            sight = Sight(call, lane, terms, (), (), None, 0, None, -1, None, 0, 0)
        else:
            before, far = self._earlier(end)
            spots = self._spots(call.tip, end, before, terms.minimum)
            known = [memory.seen.get(spot.node) for spot in spots]
            soon, late = self._meet(lane, spots, known, before)
            alive, pending, anchor = self._alive(call.at, known, before)
            sight = Sight(
                call, lane, terms, spots, known, before, far, alive, pending, anchor, soon, late
            )
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
        tokens, tools, system = tree.tokens, tree.tools_end[tip], tree.system_end[tip]
        goes_on = before is not None and before.tip and before.node != end
        if goes_on:
            fixed: Sequence[tuple[str, int]] = ((TOOLS, tools), (SYSTEM, system))
            kind = self._places.tail(tip)
            if kind == TAIL_TALK and not tree.role[tree.block[tip]]:
                kind = TAIL_UNKNOWN
        else:
            fixed = self._places.fixed(tip)
            if tools >= 0:
                kind = START_TOOLS
            else:
                kind = START_PLAIN if tree.role[tree.block[tip]] else START_UNKNOWN
        spots = [
            Spot(place, node, tokens[node])
            for place, node in fixed
            if 0 <= node < end and tokens[node] >= minimum and not tree.unmarkable[node]
        ]
        if kind is not TAIL_TALK and kind is not TAIL_TOOL:
            stem = tree.parent[end]
            behind = spots[-1].node if spots else max(tools, system)
            if goes_on and before is not None:
                behind = max(behind, before.node)
            if stem > behind and not tree.unmarkable[stem] and tokens[stem] >= minimum:
                spots.append(Spot(STEM + kind, stem, tokens[stem]))
        spots.append(Spot(kind, end, tokens[end]))
        return spots

    def _meet(
        self, lane: Lane, spots: Sequence[Spot], known: Sequence[Seen | None], before: Seen | None
    ) -> tuple[int, int]:
        """End the cases of what this call uses again.

        Returns how many tokens were used within 5 minutes, and within the hour.
        """
        memory, tokens, fork = self.memory, self._tree.tokens, ""
        soon = late = -1
        for spot, seen in zip(spots, known, strict=True):
            if seen is None:
                continue
            if seen.stage < LATE:
                fork, late = spot.place, spot.node
            if seen.stage < SOON:
                soon = spot.node
            memory.close(seen)
            if seen.place == spot.place:
                memory.own(seen, lane, spot.place)
        if before is not None:
            late = max(late, before.node) if before.stage < LATE else late
            soon = max(soon, before.node) if before.stage < SOON else soon
            fork = "" if before.tip else before.place
            memory.close(before)
        if fork:
            lane.forks[fork] = lane.forks.get(fork, 0.0) + 1
        return (tokens[soon] if soon >= 0 else 0), (tokens[late] if late >= 0 else 0)

    def _alive(
        self, at: float, known: Sequence[Seen | None], before: Seen | None
    ) -> tuple[Seen | None, int, Seen | None]:
        """Return the longest prefix believed alive, the longest pending, and the anchor."""
        alive = anchor = None
        pending = -1
        if before is not None and before.anchor >= 0:
            held = self.memory.seen.get(before.anchor)
            if held is not None and held.dead > at >= held.ready:
                alive = anchor = held
        for seen in (*known, before):
            if seen is not None and seen.dead > at:
                if seen.ready > at:
                    pending = max(pending, seen.node)
                elif alive is None or seen.node > alive.node:
                    alive = seen
        return alive, pending, anchor

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

    def _forecast(self, sight: Sight, at: int) -> Forecast:
        """Return the forecast for the prefix at a place: its own, or that of its place."""
        seen = sight.known[at]
        counts = None if seen is None else seen.own
        if counts is None:
            counts = sight.lane.at(sight.spots[at].place)
        return counts.forecast(sight.call.at)

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
        spots = sight.spots
        alive = -1 if sight.alive is None else sight.alive.node
        kept = 0 if alive < 0 else self._tree.tokens[alive]
        found = []
        short = long = 0.0
        for at in range(len(spots) - 1, -1, -1):
            place, node, tokens = spots[at]
            if node <= alive:
                break
            new = tokens - (spots[at - 1].tokens if at and spots[at - 1].node > alive else kept)
            forecast = self._forecast(sight, at)
            short, long = max(short, forecast.short), max(long, forecast.long)
            # What another call is just writing will be there without this one.
            gain = 0.0 if node <= sight.pending else short * (write - read)
            worth = new * (gain - (write - 1))
            extra = (write_long - write) * new
            saved = (long - short) * (write - read)
            seen = sight.known[at]
            if seen is not None and seen.own is not None:
                stays = True
            else:
                stays = at < len(spots) - 1 and not place.startswith(STEM)
            if not stays:
                # The next call of a conversation writes its own end: one gap counts.
                whole = at == len(spots) - 1
                more = saved * (self._at_risk(sight, short, saved, extra) if whole else new) - extra
            elif worth < 0:
                lost = max(1 - long, SURELY)
                more = new * (long * (write_long - read) - (write_long - 1)) / lost - worth
            else:
                more = new * saved / max(1 - long, SURELY) - extra
            found.append((node, worth, more))
        found.reverse()
        return found

    def _at_risk(self, sight: Sight, short: float, saved: float, extra: float) -> float:
        """Return the tokens a gap of more than 5 minutes would lose without an hour's mark.

        Not those up to the anchor, nor those that other conversations keep warm: the
        share of the system's reuse that this conversation does not account for. That is
        looked up only where it could still matter.
        """
        end = risk = float(sight.spots[-1].tokens)
        if sight.anchor is not None:
            risk -= self._tree.tokens[sight.anchor.node]
        if saved * risk <= extra:
            return risk
        for at, spot in enumerate(sight.spots[:-1]):
            if spot.place in (SYSTEM, TOOLS):
                others = (self._forecast(sight, at).short - short) / max(1 - short, SURELY)
                risk = min(risk, end - spot.tokens * max(0.0, others))
        return risk

    def _place(self, sight: Sight, long_end: int, end: int) -> tuple[Breakpoint, ...]:
        """Turn ends into breakpoints: those first that write and read, then what is free.

        A mark inside what is read costs nothing, keeps its entry alive, and is found by
        prompts that part there.
        """
        alive = -1 if sight.alive is None else sight.alive.node
        reach = max(end, alive)
        if reach < 0:
            return ()
        found = {reach, end, long_end}
        near = sight.before is not None and alive == sight.before.node and sight.far < LOOKBACK
        if not (near and reach == sight.spots[-1].node):
            found.add(alive)
        found.discard(-1)
        for node in self._wanted(sight, reach):
            if len(found) >= BREAKPOINTS:
                break
            found.add(node)
        return tuple(
            Breakpoint(node, _LONG if node <= long_end else _SHORT) for node in sorted(found)
        )

    def _wanted(self, sight: Sight, reach: int) -> list[int]:
        """Return the prefixes worth a free mark, those first that new prompts part at."""
        forks = sight.lane.forks
        wanted = []
        for place, node, tokens in sight.spots:
            if node < reach:
                often = forks.get(place, 0.0) + FORKS.get(place, FORKS_ELSEWHERE)
                wanted.append((often * tokens, node))
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
        start = kept = long_kept = 0
        if marks:
            last = marks[-1].node
            if sight.alive is not None and sight.alive.node <= last:
                start = long_kept = tokens[sight.alive.node]
            kept = max(start, tokens[last])
            for node, lifetime in marks:
                if lifetime is _LONG:
                    long_kept = max(long_kept, tokens[node])
        paid = write * (kept - long_kept) + write_long * (long_kept - start) + read * start
        soon, late, costs = sight.soon, sight.late, sight.lane.costs
        costs[0] = FADING * costs[0] + total - kept + paid
        costs[1] = FADING * costs[1] + total
        costs[2] = FADING * costs[2] + write * (total - soon) + read * soon
        costs[3] = FADING * costs[3] + write_long * (total - late) + read * late


def _react(sight: Sight) -> tuple[int, int]:
    """Keep all: for an hour after a gap of 5 minutes to an hour, else for 5 minutes."""
    end = sight.spots[-1].node
    missed = sight.late > sight.soon and sight.alive is None
    return (end if missed else -1), end


def adaptive(workload: Workload, sheet: Sheet | None = None) -> Marker:
    """Learn from each call what to do with the next."""
    policy = Adaptive(workload.tree, sheet or Sheet.default(), workload.assume)

    def marker(call: Call) -> Sequence[Breakpoint]:
        marks = policy.decide(call)
        policy.learn(call, marks)
        return marks

    return marker
