"""When calls go out: after the first token of what they share, or in the order of the tree.

An entry can be read only once the answer that wrote it begins. So calls sent together
write what one of them could have written for all. Here calls are moved in time; what that
saves, others say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from cacheplan.pauses import warm_up
from cacheplan.prefixes import PrefixTree
from cacheplan.rehearsal import Rehearsal, Step

__all__ = ["BATCH_GAP", "Wait", "batches", "delayed", "in_tree_order", "prewarmed", "waits"]

#: Calls of a batch are noted at its start or as they are put in: within a minute.
BATCH_GAP: Final = 60.0
#: A batch that has not ended after a day expires (documentation, read 2026-09).
_BATCH_SECONDS: Final = 24 * 3600.0


class Wait(NamedTuple):
    """A call that starts before the first token of one that writes what it could read."""

    step: int
    leader: int
    #: What both begin with.
    node: int
    #: When it can be read.
    until: float


def waits(rehearsal: Rehearsal, steps: Sequence[Step]) -> list[Wait]:
    """Find the calls that would read more if entries were readable at once.

    A call that waits begins later, and so does what waits for it in turn. Calls of a batch
    are served when the service likes.
    """
    now = rehearsal.serve(steps)
    then = rehearsal.serve(steps, readable_at_once=True)
    readable: dict[int, tuple[float, int]] = {}
    found = []
    for number, (step, real, ideal) in enumerate(zip(steps, now, then, strict=True)):
        at = step.call.at
        together = step.call.tariff.surface != "batch"
        if together and real is not None and ideal is not None and ideal.read > real.read:
            wait = _leader(rehearsal.workload.tree, number, step, readable)
            if wait is not None:
                found.append(wait)
                at = wait.until
        for mark in step.marks:
            if ideal is not None and rehearsal.workload.tree.tokens[mark.node] > ideal.read:
                readable[mark.node] = (at + step.call.first_token_after, number)
    return found


def _leader(
    tree: PrefixTree, number: int, step: Step, readable: dict[int, tuple[float, int]]
) -> Wait | None:
    """Find the longest prefix of a call that is being written as it starts."""
    for node in tree.upward(step.call.tip):
        until, leader = readable.get(node, (step.call.at, number))
        if until > step.call.at:
            return Wait(number, leader, node, until)
    return None


def delayed(steps: Sequence[Step], found: Iterable[Wait]) -> list[Step]:
    """Let each call wait until what it shares can be read."""
    moved = list(steps)
    for wait in found:
        call, marks = steps[wait.step]
        moved[wait.step] = Step(msgspec.structs.replace(call, at=wait.until), marks)
    return sorted(moved, key=lambda step: step.call.at)


def prewarmed(steps: Sequence[Step], found: Iterable[Wait]) -> list[Step]:
    """Write what calls share just before the first of them starts, and let none wait."""
    added = {}
    for wait in found:
        call, marks = steps[wait.leader]
        early = warm_up(call, wait.node, call.at - call.first_token_after)
        up_to = tuple(mark for mark in marks if mark.node <= wait.node)
        added[wait.leader, wait.node] = Step(early, up_to)
    return sorted((*steps, *added.values()), key=lambda step: step.call.at)


def batches(steps: Sequence[Step], roots: Sequence[int]) -> Iterator[list[int]]:
    """Yield the steps of each batch: calls of one scope that were put in together."""
    open_: dict[int, list[int]] = {}
    for number, step in enumerate(steps):
        if step.call.tariff.surface != "batch":
            continue
        batch = open_.setdefault(roots[step.call.tip], [])
        if batch and step.call.at - steps[batch[-1]].call.at > BATCH_GAP:
            yield batch
            batch = open_[roots[step.call.tip]] = []
        batch.append(number)
    yield from open_.values()


def in_tree_order(
    tree: PrefixTree, steps: Sequence[Step], groups: Iterable[Sequence[int]]
) -> list[Step]:
    """Put each batch in the order of the tree, each call after the last one's first token.

    Neighbours then share the most, and what they share is used again at once.
    """
    rank = _ranks(tree)
    moved = list(steps)
    for group in groups:
        at = steps[group[0]].call.at
        for number in sorted(group, key=lambda number: rank[steps[number].call.tip]):
            call, marks = steps[number]
            moved[number] = Step(msgspec.structs.replace(call, at=at), marks)
            at += min(call.first_token_after, _BATCH_SECONDS / len(group))
    return sorted(moved, key=lambda step: step.call.at)


def _ranks(tree: PrefixTree) -> list[int]:
    """Number the nodes so that a prefix comes just before all that begin with it."""
    size = [1] * len(tree)
    for node in range(len(tree) - 1, -1, -1):
        if tree.parent[node] >= 0:
            size[tree.parent[node]] += size[node]
    rank, free = [0] * len(tree), [0] * len(tree)
    next_root = 0
    for node, above in enumerate(tree.parent):
        if above < 0:
            rank[node], next_root = next_root, next_root + size[node]
        else:
            rank[node] = free[above]
            free[above] += size[node]
        free[node] = rank[node] + 1
    return rank
