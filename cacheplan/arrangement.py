"""The order of blocks that keeps most shared tokens in front.

A block is read if it and everything before it are as they were, so an order is worth

    sum over its blocks of tokens x the chances to stay of this block and of all before it

as far as blocks change apart from each other. Take two neighbours, of t and u tokens, that
stay with the chances p and q. With the first in front they add pt + pqu to what is read,
the other way round qu + pqt, times the same chance of what stands before them; what stands
behind them is worth the same either way. So the first belongs in front just if
t p / (1 - p) >= u q / (1 - q): any order in which these weights rise somewhere can be
bettered, or kept equal, by exchanging two neighbours, and with nothing else to obey the best
order is the one in which they fall. Of two blocks that change equally often the longer one
goes first, and a long one may stand before a short one that changes less.

Where blocks must precede others they stand in a graph. A run of blocks counts as one, of
weight (what it reads) / (1 - the chance that all of it stays): the same exchange holds for
runs. Parts of the graph with nothing between them are put in order apart and their runs
merged by weight; parts of which one is wholly before the other follow each other (Lawler
1978, Sidney 1975, for the weighted sum of completion times, of which this is the discounted
form). What is left and cannot be parted so is searched, up to ``EXACT`` blocks, and beyond
that laid out greedily: the best among each block with all that must precede it, again and
again.

Nothing here knows prompts or calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from cacheplan.errors import InputError
from cacheplan.pins import Precedence

if TYPE_CHECKING:
    from networkx import DiGraph

__all__ = ["EXACT", "Part", "arranged", "expected"]

#: Blocks that are searched in every order that is allowed: at most 2^12 sets of them are
#: looked at, which takes milliseconds, and prompts rarely have as many that cannot be parted.
EXACT: Final = 12

_Order = tuple[int, ...]


class Part(NamedTuple):
    """One block that has a place in the order."""

    #: As it is named to a user.
    name: str
    tokens: float
    #: How often it is as it was, from 0 to 1: one less its volatility.
    stays: float


class _Run(NamedTuple):
    """Blocks that follow each other, with what they are worth together."""

    blocks: _Order
    #: Tokens read of them if all before them stays, and how often all of them stay.
    reads: float
    stays: float

    @property
    def weight(self) -> float:
        """What it reads, by how often it breaks what stands behind."""
        return float("inf") if self.stays >= 1 else self.reads / (1 - self.stays)

    def then(self, other: _Run) -> _Run:
        """Return both as one, the other behind."""
        reads = self.reads + self.stays * other.reads
        return _Run(self.blocks + other.blocks, reads, self.stays * other.stays)


def expected(parts: Sequence[Part], order: Iterable[int]) -> float:
    """Return the tokens that a call reads with its blocks in an order.

    >>> parts = [Part("profile", 100, 0.2), Part("rules", 1000, 1)]
    >>> round(expected(parts, [0, 1])), round(expected(parts, [1, 0]))
    (220, 1020)
    """
    return _run(parts, order).reads


def arranged(
    parts: Sequence[Part], precedences: Sequence[Precedence] = (), *, exact: int = EXACT
) -> _Order:
    """Return the best order; blocks between which it makes no difference stay as they are.

    >>> arranged([Part("profile", 100, 0.2), Part("rules", 1000, 1)])
    (1, 0)
    """
    if not precedences:
        return _sorted(parts, range(len(parts)))
    return _Arrangement(parts, precedences, exact).order()


def _run(parts: Sequence[Part], order: Iterable[int]) -> _Run:
    """Make blocks in a row one run."""
    run = _Run((), 0.0, 1.0)
    for at in order:
        stays = parts[at].stays
        run = run.then(_Run((at,), parts[at].tokens * stays, stays))
    return run


def _sorted(parts: Sequence[Part], blocks: Iterable[int]) -> _Order:
    """Sort blocks that nothing holds, the weightiest first."""
    return tuple(sorted(blocks, key=lambda at: (-_run(parts, (at,)).weight, at)))


class _Arrangement:
    """Blocks of which some must precede others."""

    def __init__(
        self, parts: Sequence[Part], precedences: Sequence[Precedence], exact: int
    ) -> None:
        # Loading it takes a tenth of a second, more than most prompts take to be reviewed,
        # and most have nothing that must precede anything.
        import networkx as nx

        self._nx = nx
        self._parts = parts
        self._exact_up_to = exact
        said: DiGraph[int] = nx.DiGraph()
        for at, part in enumerate(parts):
            said.add_node(at, volatility=1 - part.stays, tokens=part.tokens)
        for first, then, because in precedences:
            said.add_edge(first, then, because=because)
        self._refuse_circles(said)
        #: With an arc from each block to all that must come after it, however far.
        self._graph: DiGraph[int] = nx.transitive_closure_dag(said)

    def order(self) -> _Order:
        """Return the best order of all."""
        return self._best(frozenset(self._graph))

    def _refuse_circles(self, said: DiGraph[int]) -> None:
        """Name the blocks that would each have to come before the next, all around."""
        try:
            arcs = self._nx.find_cycle(said)
        except self._nx.NetworkXNoCycle:
            return
        names = [self._parts[arc[0]].name for arc in arcs]
        causes = dict.fromkeys(str(said.edges[arc[:2]]["because"]) for arc in arcs)
        raise InputError(
            f"no order has {' before '.join([*names, names[0]])}, as is asked by"
            f" {'; '.join(causes)}"
        )

    def _best(self, blocks: frozenset[int]) -> _Order:
        """Part the blocks as far as they can be, and put each part in order."""
        if len(blocks) < 2:  # noqa: PLR2004 -- one has no order
            return tuple(blocks)
        graph = self._graph.subgraph(blocks)
        apart = [frozenset(one) for one in self._nx.weakly_connected_components(graph)]
        if len(apart) > 1:
            return self._merged(self._best(one) for one in apart)
        unordered = self._nx.complement(graph.to_undirected())
        rows = [frozenset(one) for one in self._nx.connected_components(unordered)]
        if len(rows) > 1:
            # Of two rows every block of one precedes every block of the other.
            rows.sort(key=lambda row: sum(1 for _ in self._before(min(row), blocks)))
            return tuple(at for row in rows for at in self._best(row))
        return self._searched(blocks) if len(blocks) <= self._exact_up_to else self._laid(blocks)

    def _merged(self, orders: Iterable[_Order]) -> _Order:
        """Merge orders with nothing between them, run by run."""
        runs = [run for order in orders for run in self._runs(order)]
        always = [at for run in runs if run.stays >= 1 for at in run.blocks]
        never = [at for run in runs if not run.weight for at in run.blocks]
        # The sort is stable, and of one order no two runs weigh the same.
        runs = [run for run in runs if run.stays < 1 and run.weight]
        runs.sort(key=lambda run: (-run.weight, min(run.blocks)))
        between = (at for run in runs for at in run.blocks)
        return (*self._kept(always), *between, *self._kept(never))

    def _kept(self, blocks: Sequence[int]) -> Iterator[int]:
        """Leave blocks as they are, as far as they may: it makes no difference."""
        return self._nx.lexicographical_topological_sort(self._graph.subgraph(blocks), lambda n: n)

    def _runs(self, order: _Order) -> list[_Run]:
        """Cut an order into runs whose weights fall."""
        runs: list[_Run] = []
        for at in order:
            run = _run(self._parts, (at,))
            while runs and runs[-1].weight <= run.weight:
                run = runs.pop().then(run)
            runs.append(run)
        return runs

    def _before(self, block: int, blocks: frozenset[int]) -> Iterator[int]:
        """Yield those of some blocks that must precede one."""
        return (at for at in self._graph.predecessors(block) if at in blocks)

    def _searched(self, blocks: frozenset[int]) -> _Order:
        """Try every order that is allowed, one set of blocks after another.

        What is read of the rest depends on which blocks stand before it, not on their order.
        """

        @cache
        def best(left: frozenset[int]) -> _Run:
            found = _Run((), -1.0, 1.0)
            for at in sorted(left):
                if left.isdisjoint(self._graph.predecessors(at)):
                    run = _run(self._parts, (at,)).then(best(left - {at}))
                    found = run if run.reads > found.reads else found
            return found if left else _Run((), 0.0, 1.0)

        return best(blocks).blocks

    def _laid(self, blocks: frozenset[int]) -> _Order:
        """Put the weightiest in front of what is left, each with all that must precede it."""
        order: list[int] = []
        left = set(blocks)
        while left:
            rest = frozenset(left)
            starts = (
                _run(self._parts, self._line(frozenset({at, *self._before(at, rest)})))
                for at in sorted(left)
            )
            best = max(starts, key=lambda run: run.weight)
            order += best.blocks
            left.difference_update(best.blocks)
        return tuple(order)

    def _line(self, blocks: frozenset[int]) -> Iterator[int]:
        """Put blocks in an order that is allowed, those of most weight first."""
        ranks = {at: rank for rank, at in enumerate(_sorted(self._parts, blocks))}
        return self._nx.lexicographical_topological_sort(
            self._graph.subgraph(blocks), ranks.__getitem__
        )
