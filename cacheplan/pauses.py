"""Pauses between the uses of a prefix, and the calls that would bridge them.

A keep-alive call is a real call with the prefix as its prompt and ``max_tokens: 0``. It
goes out a fixed time after the last use began, again and again, until the prefix is used
or enough is enough; nobody knows that a use was the last, so those after it are paid too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from cacheplan.breakevens import HOURLY_PING, PING, Idle
from cacheplan.prefixes import PrefixTree
from cacheplan.prompt import Lifetime
from cacheplan.rehearsal import Step
from cacheplan.workload import Call

__all__ = ["PLACEHOLDER", "Pause", "keep_alive", "nearest", "pauses", "warm_up"]

#: Tokens after the prefix that such a call pays uncached: its own short message. The
#: documentation's sample has 8 (read 2026-09).
PLACEHOLDER: Final = 8


#: A call that shares this much of a prompt goes on with it on another branch (an answer
#: thought over, history cleared) and so shows that the prompt will not come back.
_BRANCH: Final = 0.5


class Pause(NamedTuple):
    """Time between a use of a prefix and the next."""

    #: Which step used it.
    step: int
    node: int
    #: Seconds, ``None`` if nothing used it again.
    gap: float | None
    #: Seconds until its conversation went on without it, if it did.
    left: float | None = None

    def idle(self, tree: PrefixTree) -> Idle:
        """Return what the arithmetic needs to know of it."""
        return Idle(self.gap, tree.tokens[self.node], self.left)


def nearest(tree: PrefixTree, wanted: Iterable[int]) -> list[int]:
    """Return, by node, the longest of the wanted prefixes up to it, -1 if none."""
    near = [-1] * len(tree)
    for node in wanted:
        near[node] = node
    for node, above in enumerate(tree.parent):
        if above >= 0 and near[node] < 0:
            near[node] = near[above]
    return near


def pauses(tree: PrefixTree, steps: Sequence[Step], targets: Sequence[int]) -> list[Pause]:
    """Find the pauses after each step for the prefix it would keep alive, -1 for none.

    A use is any call whose prompt begins with the prefix: a turn that goes on with a
    conversation ends the pause of the turn before it. So does, without a use, a call of
    the same session that goes on from somewhat earlier.
    """
    near = nearest(tree, {node for node in targets if node >= 0})
    waiting: dict[int, int] = {}
    sessions: dict[str, set[int]] = {}
    found = []
    for number, (step, target) in enumerate(zip(steps, targets, strict=True)):
        call = step.call
        own = sessions.setdefault(call.session, set()) if call.session else set()
        used = list(_used(tree, near, waiting, call.tip))
        for node in used:
            since = waiting.pop(node)
            found.append(Pause(since, node, call.at - steps[since].call.at))
        if not used:
            for node in [node for node in own & waiting.keys() if _branches(tree, call.tip, node)]:
                since = waiting.pop(node)
                found.append(Pause(since, node, None, call.at - steps[since].call.at))
        own.difference_update(own - waiting.keys())
        if target >= 0:
            waiting[target] = number
            own.add(target)
    return found + [Pause(since, node, None) for node, since in waiting.items()]


def _used(
    tree: PrefixTree, near: Sequence[int], waiting: Mapping[int, int], tip: int
) -> Iterator[int]:
    """Yield the waiting prefixes that a prompt begins with."""
    node = near[tip]
    while node >= 0:
        if node in waiting:
            yield node
        node = near[tree.parent[node]]


def _branches(tree: PrefixTree, tip: int, node: int) -> bool:
    """Tell whether a prompt shares most of a prefix. Its parts are the smaller nodes."""
    parent = tree.parent
    one, other = tip, node
    while one != other and one >= 0 and other >= 0:
        if one > other:
            one = parent[one]
        else:
            other = parent[other]
    return one == other and tree.tokens[one] >= _BRANCH * tree.tokens[node]


def keep_alive(
    steps: Sequence[Step], found: Iterable[Pause], pings: int, lifetime: Lifetime
) -> list[Step]:
    """Return the steps with up to ``pings`` calls in every pause, in time order."""
    every = HOURLY_PING if lifetime is Lifetime.ONE_HOUR else PING
    added = []
    for step, node, gap, left in found:
        call, marks = steps[step]
        end = left if gap is None else gap
        up_to = tuple(mark for mark in marks if mark.node <= node)
        for ping in range(1, pings + 1):
            if end is not None and ping * every >= end:
                break
            added.append(Step(warm_up(call, node, call.at + ping * every), up_to))
    return sorted((*steps, *added), key=lambda step: step.call.at)


def warm_up(call: Call, node: int, at: float) -> Call:
    """Return a call like another that ends at a prefix and asks for no answer."""
    return msgspec.structs.replace(
        call, at=at, tip=node, marks=(), automatic=None, output=0, closing=PLACEHOLDER,
        rounds=(), refused=None, failed=False, recorded=None, id=None,
    )  # fmt: skip
