"""What a policy sees of a call before it is sent: what of it was seen before.

Where a prompt goes on from an earlier one, where it parts from others, what of it is
believed to be alive, and what its tokens cost. Looking is also learning: a call that
uses a prefix again ends the case of its last use, whatever is marked.

This file may know the tree, the prices and what is remembered of earlier calls. It never
decides anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any, Final, NamedTuple

from msgspec import to_builtins

from cacheplan.assumptions import Assumptions
from cacheplan.memory import Lane, Memory, Seen, read_stored
from cacheplan.places import SYSTEM, TAIL_TALK, TAIL_TOOL, TOOLS, Places
from cacheplan.prefixes import PrefixTree
from cacheplan.prices import Rate, Sheet
from cacheplan.reuse import (
    LATE,
    PAUSED,
    SOON,
    START_PLAIN,
    START_TOOLS,
    START_UNKNOWN,
    STEM,
    TAIL_UNKNOWN,
)
from cacheplan.workload import Call

__all__ = ["Sight", "Spot", "Terms", "Viewer"]

#: Places of one prompt that are looked at, half of them its first and half its last: a
#: system prompt of a thousand blocks must not cost a thousand look-ups a call.
MOST_PLACES: Final = 16
#: Keys worked out in search of stored prefixes before the search is given up: whoever
#: has not come by then is not expected any more.
MOST_KEYS: Final = 1 << 16
#: What writing and reading cost where no price is known: the multipliers of all models
#: but the newest.
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


class Viewer:
    """Looks at calls in the order they are made."""

    def __init__(self, tree: PrefixTree, sheet: Sheet, assume: Assumptions) -> None:
        self.memory = Memory()
        self._tree = tree
        self._sheet = sheet
        self._assume = assume
        self._places = Places.of(tree)
        self._terms: dict[int, tuple[Rate | None, Terms]] = {}
        self._latest: Sight | None = None
        #: Stored prefixes that no call has had yet have numbers below -1: by key, and the
        #: keys by number. And the keys of the nodes that were looked up among them.
        self._waiting: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._keys: dict[int, bytes] = {}

    def done(self) -> None:
        """Look anew at the next call, even if it is the same one."""
        self._latest = None

    def state(self) -> dict[str, Any]:
        """Return what is remembered, in the shape of JSON."""
        known: dict[int, bytes] = {}

        def key(node: int) -> str:
            return self._names[node] if node < 0 else self._tree.key(node, known).hex()

        found: dict[str, Any] = to_builtins(self.memory.store(key))
        return found

    def restore(self, state: Any) -> None:
        """Add what was remembered elsewhere; its prefixes wait for a call that has them."""
        stored = read_stored(state)
        known: dict[int, bytes] = {}
        nodes = {self._tree.key(node, known).hex(): node for node in self.memory.seen if node >= 0}
        nodes |= self._waiting
        for prefix in stored.prefixes:
            if prefix.key not in nodes:
                number = -2 - len(self._names)
                self._names[number] = prefix.key
                nodes[prefix.key] = self._waiting[prefix.key] = number
        lanes = self.memory.add_lanes(stored.lanes)
        for prefix in stored.prefixes:
            anchor = nodes.get(prefix.anchor or "", -1)
            self.memory.add_prefix(nodes[prefix.key], anchor, lanes, prefix)
        self._keys.clear()

    def _claim(self, tip: int) -> None:
        """Give the stored prefixes that a prompt begins with their nodes."""
        tree, keys = self._tree, self._keys
        new = list(takewhile(lambda node: node not in keys, tree.upward(tip)))
        if not new:
            return
        tree.key(tip, keys)
        nodes: dict[str, int] = {}
        for node in tree.path(tip):
            nodes.setdefault(keys[node].hex(), node)
        for node in reversed(new):
            number = self._waiting.pop(keys[node].hex(), None)
            known = None if number is None else self.memory.rename(number, node)
            if known is not None and known.anchor < -1:
                known.anchor = nodes.get(self._names[known.anchor], -1)
        if not self._waiting or len(keys) > MOST_KEYS:
            self._waiting.clear()
            keys.clear()

    def see(self, call: Call) -> Sight:
        """Look at a call once: what it shares with earlier ones ends their cases."""
        if self._latest is not None and self._latest.call is call:
            return self._latest
        memory, tree, tip = self.memory, self._tree, call.tip
        memory.advance(call.at)
        if self._waiting:
            self._claim(tip)
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
        self._latest = sight
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
            if len(fixed) > MOST_PLACES:
                fixed = fixed[: MOST_PLACES // 2] + fixed[-MOST_PLACES // 2 :]
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
        if goes_on and before is not None and SOON <= before.stage < LATE:
            # Whether who paused will pause again is learned, so it is counted for itself.
            tails = (kind, STEM + kind)
            return [
                spot._replace(place=spot.place + PAUSED) if spot.place in tails else spot
                for spot in spots
            ]
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
