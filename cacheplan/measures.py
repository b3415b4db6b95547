"""How long prefixes are at call time: guessed when they are new, exact once an answer says.

An answer says two lengths: that of the whole prompt, and that of the prefix which the last
mark ends, for this is what was read and written. Both are kept. What lies between two
known lengths is stretched to fit, and what goes on from a known one is laid on top of it.
What was new corrects the guesses that follow.

This file may know the tree, the guesses' scale, marks and usage. It knows no time.
"""

from __future__ import annotations

from collections.abc import Sequence

from cacheplan.guesses import LEAST, PLAUSIBLE, Scale
from cacheplan.prefixes import PrefixTree
from cacheplan.prompt import Breakpoint
from cacheplan.usage import Usage
from cacheplan.workload import Call

__all__ = ["Measures"]

#: Longer than any prompt.
_ENDLESS = 1 << 62


class Measures:
    """The lengths of one tree's prefixes."""

    def __init__(self, tree: PrefixTree, scale: Scale) -> None:
        self._tree = tree
        self._scale = scale
        self._measured = 0
        #: By node: how long it is by the service's word.
        self._exact: dict[int, int] = {}
        #: Nodes whose word did not fit what was known, so that nobody asks again.
        self._odd: set[int] = set()

    def grow(self, model: str) -> None:
        """Measure what is new in the tree since the last call."""
        tree = self._tree
        if self._measured == len(tree):
            return
        tokens, parent, factor = tree.tokens, tree.parent, self._scale.factor(model)
        for node in range(self._measured, len(tree)):
            above = parent[node]
            if above >= 0:
                tokens[node] = tokens[above] + round(factor * tree.own(node))
                tree.doubt[node] = tree.doubt[above] + tree.error[tree.block[node]]
        self._measured = len(tree)

    def settle(self, call: Call, marks: Sequence[Breakpoint], usage: Usage) -> None:
        """Learn lengths from what was billed for a prompt that was sent with these marks."""
        cached = usage.read + usage.written
        last = max(marks).node if marks and cached else -1
        if last >= 0:
            self._know(call.tariff.model, last, cached)
        if last != call.tip:
            self._know(call.tariff.model, call.tip, max(cached, usage.prompt - call.closing))

    def _know(self, model: str, node: int, length: int) -> None:
        """Take the service's word for the length of a prefix."""
        exact, tree = self._exact, self._tree
        if exact.get(node) == length or node in self._odd:
            return
        fresh, above = [node], tree.parent[node]
        while tree.parent[above] >= 0 and above not in exact:
            fresh.append(above)
            above = tree.parent[above]
        known = exact.get(above, 0)
        new, guessed = length - known, sum(map(tree.own, fresh))
        fits = guessed / PLAUSIBLE - LEAST <= new <= guessed * PLAUSIBLE + LEAST and new >= 0
        if node in exact or not fits:
            # Two words that do not agree: the newer one is taken once, and no third is
            # asked; what is out of all proportion is of another prompt.
            self._odd.add(node)
        if not fits:
            return
        if node not in exact:
            self._scale.learn(model, guessed, new)
        exact[node] = length
        if tree.tokens[node] != length:
            self._stretch(fresh[::-1], known, length)
        tree.doubt[node] = 0

    def _stretch(self, fresh: Sequence[int], known: int, length: int) -> None:
        """Fit what lies between two known lengths, and move all that goes on from it."""
        tree, exact = self._tree, self._exact
        tokens, parent = tree.tokens, tree.parent
        first, end = fresh[0], self._measured
        # Mostly it is the newest part of the tree, and nothing else goes on from it.
        alone = end - first == len(fresh)
        most = {} if alone else self._most(first)
        steps = [tokens[node] - tokens[max(parent[node], 0)] for node in range(first, end)]
        total, done = sum(steps[node - first] for node in fresh), 0
        for node in fresh:
            done += steps[node - first]
            share = (length - known) * done // total if total else 0
            tokens[node] = min(known + share, most.get(node, length))
        tokens[fresh[-1]] = length
        if alone:
            return
        moved = set(fresh)
        for node in range(first, end):
            above = parent[node]
            if node in moved or above not in moved or exact.get(node, -1) >= tokens[above]:
                continue
            exact.pop(node, None)
            moved.add(node)
            going = min(tokens[above] + steps[node - first], most.get(node, _ENDLESS))
            tokens[node] = max(tokens[above], going)

    def _most(self, first: int) -> dict[int, int]:
        """Return how long prefixes may be, from a node on, for longer ones are known.

        A prefix comes after those it goes on from, so going backwards meets it first.
        """
        exact, parent = self._exact, self._tree.parent
        most: dict[int, int] = {}
        for node in range(self._measured - 1, first - 1, -1):
            cap = min(exact.get(node, _ENDLESS), most.get(node, _ENDLESS))
            above = parent[node]
            if cap < most.get(above, _ENDLESS):
                most[above] = cap
        return most
