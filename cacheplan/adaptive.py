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
everywhere would have cost, its forecasts have failed. It then follows the rule that on
one prefix is never worse than 13/8 of the best: 5 minutes at first and after a gap of
more than an hour, 1 hour after a gap between. This is a brake, not a guarantee: it looks
at recent costs, and what was lost before it took hold stays lost. An adversary that saw
every mark before it chose the next gap made it pay 1.635 times the best fixed policy.

This file may know the tree, prices, minimums, and the calls it was shown, never those of
a workload. What is alive is what it believes from the marks it was told of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from cacheplan.assumptions import Assumptions
from cacheplan.facts import BREAKPOINTS, LOOKBACK
from cacheplan.memory import Seen
from cacheplan.pending import Change, State, begin, take_back
from cacheplan.places import DOCUMENTS, SYSTEM, TOOLS
from cacheplan.prefixes import PrefixTree
from cacheplan.prices import Sheet
from cacheplan.projection import Marker
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.reuse import STEM, Forecast
from cacheplan.sight import Sight, Viewer
from cacheplan.workload import Call, Workload

__all__ = ["Adaptive", "adaptive"]

_SHORT, _LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR

#: How much worse than the best the fallback is at worst on one prefix, and so the loss
#: that calls it.
WORST: Final = 13 / 8
#: How much of a lane's costs is left after each further call: about 500 calls count.
FADING: Final = 0.998
#: Least chance that an hour's entry dies unread, so that no forecast is worth infinity.
SURELY: Final = 0.02
#: How often new prompts are taken to part from earlier ones at a place before any did.
FORKS: Final = {SYSTEM: 1.0, DOCUMENTS: 0.5, TOOLS: 0.3}
FORKS_ELSEWHERE: Final = 0.1


class Adaptive:
    """Decides where to mark the calls it is shown, in the order they are made.

    ``decide`` says where to mark a call, ``learn`` is told what was marked in the end.
    Together they take some 30 microseconds, and both follow from the calls shown before
    and nothing else. ``state`` is what was learned, as JSON; ``restore`` adds such a state
    to what is known, so a policy can be carried on, over to another tree, or merged.
    """

    def __init__(self, tree: PrefixTree, sheet: Sheet, assume: Assumptions | None = None) -> None:
        self._assume = assume = assume or Assumptions()
        self._tree = tree
        #: One is left to the service's own mark, where that takes one of the four.
        self._slots = BREAKPOINTS - assume.server_tool_slot
        self._viewer = Viewer(tree, sheet, assume)
        self._memory = self._viewer.memory

    def decide(self, call: Call) -> tuple[Breakpoint, ...]:
        """Return the breakpoints for a call that is about to be sent."""
        sight = self._viewer.see(call)
        if not sight.spots:
            return ()
        paid, *others = sight.lane.costs
        if paid > WORST * (min(others) + sight.spots[-1].tokens):
            return self._place(sight, *_react(sight))
        return self._place(sight, *self._weigh(sight))

    def learn(self, call: Call, marks: Sequence[Breakpoint]) -> None:
        """Take note of a call that was sent with these marks."""
        sight = self._viewer.see(call)
        self._viewer.done()
        before = sight.before
        if not sight.spots:
            return
        lane, memory, at = sight.lane, self._memory, call.at
        self._book(sight, marks)
        if before is not None:
            memory.use(before.node, lane, at)
        end = before
        for place, node, _ in sight.spots:
            end = memory.use(node, lane, at)
            memory.open(end, place)
            end.stem = end.stem or place.startswith(STEM) or place == DOCUMENTS
        if end is not None:
            end.tip = True
            end.anchor = end.anchor if before is None else before.anchor
            self._keep(sight, marks, end)

    def send(self, call: Call, marks: Sequence[Breakpoint]) -> tuple[Change, ...]:
        """Do the same for a call whose end is still to come; return what to believe of it."""
        sight, seen = self._viewer.see(call), self._memory.seen
        nodes = {mark.node for mark in marks}
        if sight.alive is not None:
            nodes.add(sight.alive.node)
        before = {node: seen[node].entry() if node in seen else State() for node in nodes}
        self.learn(call, marks)
        changes = []
        for node, earlier in before.items():
            after = seen[node].entry() if node in seen else earlier
            if after != earlier:
                wrote = after.ready > call.at
                changes.append(Change(node, earlier, after, wrote))
        return tuple(changes)

    def begun(self, changes: Sequence[Change], sent: float, at: float) -> None:
        """The response to a call that was sent at a moment began at another."""
        begin(changes, sent, at, self._memory.entry, self._memory.put)

    def failed(self, changes: Sequence[Change]) -> None:
        """A call had no response, or not with these marks; a failure may leave entries."""
        if not self._assume.failed_calls_write:
            take_back(changes, self._memory.entry, self._memory.put)

    def state(self) -> dict[str, Any]:
        """Return what was learned, in the shape of JSON."""
        return self._viewer.state()

    def restore(self, state: Any) -> None:
        """Add what another policy, or this one on another day, has learned."""
        self._viewer.restore(state)

    def cool(self) -> None:
        """Believe no entry alive, as where calls are served from an empty cache."""
        self._viewer.done()
        for known in self._memory.seen.values():
            known.dead = 0.0

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
            _, node, tokens = spots[at]
            if node <= alive:
                break
            new = tokens - (spots[at - 1].tokens if at and spots[at - 1].node > alive else kept)
            forecast = self._forecast(sight, at)
            short, long = max(short, forecast.short), max(long, forecast.long)
            worth = new * (short * (write - read) - (write - 1))
            extra = new * (write_long - write)
            if node <= sight.pending:
                # Another call is just writing it: it will be there without this one.
                found.append((node, -new * (write - 1), -extra))
                continue
            saved = (long - short) * (write - read)
            # The next call of a conversation writes its own end, so of that one gap
            # counts; what stays is read until it is not used for an hour.
            moves = self._moves(sight, at)
            if worth < 0:
                uses = 1.0 if moves else 1 / max(1 - long, SURELY)
                more = uses * new * (long * (write_long - read) - (write_long - 1)) - worth
            else:
                # The longer prefixes of this call tell of the next use alone: those after
                # it are like any of this prefix.
                usual = forecast if self._own(sight, at) else Forecast(short, long)
                uses = 0.0 if moves else long / max(1 - usual.long, SURELY)
                later = (usual.long - usual.short) * (write - read)
                more = new * (saved + uses * later) - extra
            if at == len(spots) - 1:
                more += self._rescued(sight, new, short, saved, more)
            found.append((node, worth, more))
        found.reverse()
        return found

    def _own(self, sight: Sight, at: int) -> bool:
        """Tell whether the uses of the prefix at a place are counted for itself."""
        seen = sight.known[at]
        return seen is not None and seen.own is not None

    def _moves(self, sight: Sight, at: int) -> bool:
        """Tell whether the prefix at a place belongs to one call of a conversation."""
        if self._own(sight, at):
            return False
        return at == len(sight.spots) - 1 or sight.spots[at].place.startswith(STEM)

    def _rescued(self, sight: Sight, new: int, short: float, saved: float, more: float) -> float:
        """Return what an hour's mark at the end is worth for what is alive before it.

        Not for what stands before the anchor, nor for what other conversations keep warm:
        the share of the system's reuse that this conversation does not account for. That
        is looked up only where it could still matter.
        """
        rest = sight.spots[-1].tokens - new
        risk = float(rest)
        if sight.anchor is not None:
            risk = min(risk, rest - self._tree.tokens[sight.anchor.node])
        if saved * risk + more <= 0:
            return saved * risk
        for at, spot in enumerate(sight.spots[:-1]):
            if spot.place in (SYSTEM, TOOLS):
                others = (self._forecast(sight, at).short - short) / max(1 - short, SURELY)
                risk = min(risk, rest - spot.tokens * max(0.0, others))
        return saved * risk

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
            if len(found) >= self._slots:
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
        at, seen, tokens = sight.call.at, self._memory.seen, self._tree.tokens
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
            if known.dead > at >= known.ready:
                known.dead = max(known.dead, at + known.lives)
            elif node > read:
                readable = at + sight.call.first_token_after
                known.ready = min(known.ready, readable) if known.dead > at else readable
                known.lives = float(lifetime.seconds)
                known.dead = at + known.lives
                if lifetime is _LONG:
                    end.anchor = node

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
        if sight.pending >= 0:
            # What is just being written nobody can read, wherever marks are.
            there = 0 if sight.alive is None else tokens[sight.alive.node]
            coming = tokens[sight.pending]
            soon = there if there < soon <= coming else soon
            late = there if there < late <= coming else late
        costs[0] = FADING * costs[0] + total - kept + paid
        costs[1] = FADING * costs[1] + total
        costs[2] = FADING * costs[2] + write * (total - soon) + read * soon
        costs[3] = FADING * costs[3] + write_long * (total - late) + read * late


def _react(sight: Sight) -> tuple[int, int]:
    """Keep all: for an hour after a gap of 5 minutes to an hour, else for 5 minutes."""
    end = sight.spots[-1].node
    missed = sight.late > sight.soon and sight.alive is None
    return (end if missed else -1), end


def adaptive(workload: Workload, sheet: Sheet | None = None, past: Iterable[Call] = ()) -> Marker:
    """Learn from each call what to do with the next.

    ``past`` are earlier calls of the same tree to learn from; what they left in the cache
    is not there any more.
    """
    policy = Adaptive(workload.tree, sheet or Sheet.default(), workload.assume)

    def marker(call: Call) -> Sequence[Breakpoint]:
        marks = policy.decide(call)
        policy.learn(call, marks)
        return marks

    for call in past:
        marker(call)
    policy.cool()
    return marker
