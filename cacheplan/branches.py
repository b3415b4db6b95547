"""The tree of prefixes as boxes: as wide as a prefix is long, as high as calls have it.

Knows a tree and its calls, and nothing of how boxes are drawn. The area of all boxes is
that of all prompt tokens, so what is small on the drawing is small on the bill.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from typing import Final, NamedTuple

from cacheplan.lanes import LaneKey, kind_of
from cacheplan.subject import Subject

__all__ = ["Box", "branches"]

#: Boxes beyond which those with the least tokens are drawn as one with their neighbours.
BOXES: Final = 300
#: A branch of fewer calls than this part of all is drawn as one with its neighbours, and a
#: box goes on where it loses fewer: on a screen that is two lines of dots.
PART: Final = 180


class Box(NamedTuple):
    """A prefix that some calls have, from where it parts from others to where it forks."""

    #: In tokens from the start of the prompt.
    start: float
    end: float
    #: How many calls are above it, and how many have its beginning.
    top: int
    calls: int
    #: How many have it on average: some may end within it.
    high: float
    #: How many branches are drawn as this one; where it is more than one, ``end`` is where
    #: their calls end on average.
    branches: int
    #: Up to where several calls have it; beyond, each call has its own.
    shared: float
    #: Which calls, by label and model; empty where they are of several kinds.
    lane: str


def branches(subject: Subject) -> tuple[Box, ...]:
    """Return the boxes of a workload, those with the most tokens first."""
    return tuple(_Forest(subject).boxes())


class _Forest:
    """One pass over a tree."""

    def __init__(self, subject: Subject) -> None:
        self._tree = subject.tree
        size = len(subject.tree)
        #: By prefix: how many calls have it, the tokens of all calls from there on, those of
        #: them that several calls have, and the kind of calls, if it is one.
        self._through = [0] * size
        self._area = [0] * size
        self._shared = [0] * size
        self._kinds: list[LaneKey | None] = [None] * size
        self._mixed = bytearray(size)
        self._children: dict[int, list[int]] = {}
        for call in subject.workload:
            self._through[call.tip] += 1
            self._kind(call.tip, kind_of(call))
        self._count()

    def _kind(self, node: int, kind: LaneKey | None) -> None:
        """Note which calls have a prefix."""
        if self._kinds[node] is None:
            self._kinds[node] = kind
        elif self._kinds[node] != kind:
            self._mixed[node] = 1

    def _count(self) -> None:
        """Add up every branch, from the ends of prompts to their beginnings."""
        tree, through = self._tree, self._through
        for node in range(len(tree) - 1, -1, -1):
            above, calls = tree.parent[node], through[node]
            if above < 0 or not calls:
                continue
            own = (tree.tokens[node] - tree.tokens[above]) * calls
            self._area[node] += own
            self._shared[node] += own if calls > 1 else 0
            through[above] += calls
            self._area[above] += self._area[node]
            self._shared[above] += self._shared[node]
            self._kind(above, self._kinds[node])
            self._mixed[above] |= self._mixed[node]
            self._children.setdefault(above, []).append(node)

    def boxes(self) -> Iterator[Box]:
        """Yield boxes, opening the largest first."""
        roots = [node for node in self._tree.roots.values() if self._through[node]]
        total = sum(self._through[root] for root in roots)
        #: Forks that were not opened yet: the largest first, by area.
        waiting: list[tuple[int, int, int]] = []
        top = 0
        for root in sorted(roots, key=lambda each: -self._through[each]):
            heappush(waiting, (-self._area[root], root, top))
            top += self._through[root]
        drawn = 0
        while waiting:
            _, fork, top = heappop(waiting)
            small = []
            for node in sorted(self._children.get(fork, []), key=lambda n: (-self._through[n], n)):
                if drawn >= BOXES or self._through[node] * PART < total:
                    small.append(node)
                    continue
                box, end = self._one(node, top, total // PART)
                yield box
                heappush(waiting, (-self._area[end], end, top))
                drawn += 1
                top += box.calls
            if small:
                yield self._several(small, self._tree.tokens[fork], top)
                drawn += 1

    def _one(self, node: int, top: int, fewer: int) -> tuple[Box, int]:
        """Return one branch up to its fork, and the prefix at the fork.

        It goes on where only a few calls end, so that a conversation is no endless stair.
        """
        tree, first = self._tree, node
        calls, start, area = self._through[node], tree.tokens[tree.parent[node]], self._own(node)
        while len(below := self._children.get(node, [])) == 1:
            left = self._through[below[0]]
            if left + fewer < calls or (left == 1) != (calls == 1):
                break
            node = below[0]
            area += self._own(node)
        end = tree.tokens[node]
        high = area / (end - start) if end > start else float(calls)
        shared = end if calls > 1 else start
        return Box(start, end, top, calls, high, 1, shared, self._lane([first])), node

    def _own(self, node: int) -> int:
        """Return the tokens of the block that ends a prefix, of all calls together."""
        tree = self._tree
        return (tree.tokens[node] - tree.tokens[tree.parent[node]]) * self._through[node]

    def _several(self, nodes: Sequence[int], start: int, top: int) -> Box:
        """Return branches drawn as one, as wide as their calls are on average."""
        calls = sum(self._through[node] for node in nodes)
        end = start + sum(self._area[node] for node in nodes) / calls
        shared = start + sum(self._shared[node] for node in nodes) / calls
        return Box(start, end, top, calls, calls, len(nodes), shared, self._lane(nodes))

    def _lane(self, nodes: Sequence[int]) -> str:
        """Name the calls that have these prefixes, if they are of one kind."""
        kinds = {self._kinds[node] for node in nodes}
        if len(kinds) != 1 or any(self._mixed[node] for node in nodes):
            return ""
        (kind,) = kinds
        model, label = kind or ("", None)
        return " / ".join(filter(None, (label, model)))
