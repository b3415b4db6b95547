"""How long every prefix is, with recorded usage outranking every estimate.

A block's length is an estimate or a count; a call's usage is the truth about its whole
prompt, and about the part up to its last breakpoint. Going through these ends from the
shortest prefix to the longest, whatever is new is stretched or shrunk so that the prefix has
its recorded length; what a shorter one settled stays, in whatever order the calls were
logged. No number is ever fitted to what was read and what was written apart: only to their
sum.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from cacheplan.prefixes import PrefixTree
from cacheplan.workload import Call

__all__ = ["settle"]

#: An estimate off by more than this factor is not the same prompt: what was recorded
#: holds parts that the body does not show, or lacks some that it does.
PLAUSIBLE = 3.0


def settle(
    tree: PrefixTree,
    calls: list[Call],
    counted: Iterable[int],
    *,
    trust_usage: bool,
    estimated: bool = True,
) -> tuple[list[Call], Literal["usage", "counted", "estimated"]]:
    """Measure the tree; return the calls with what their usage says, and the source.

    ``counted`` names the calls whose blocks were counted here, ``estimated`` says whether
    by an estimate; the others state their lengths themselves.
    """
    settled = bytearray(len(tree))
    counted = list(counted)
    fitting = set()
    for length, node, number in sorted(_ends(calls, counted)) if trust_usage else ():
        if _stretch(tree, node, length, settled):
            fitting.add(number)
    _carry(tree, settled)
    for number in fitting:
        call = calls[number]
        if call.recorded is not None:
            closing = max(call.recorded.prompt - tree.tokens[call.tip], 0)
            calls[number] = msgspec.structs.replace(call, closing=closing)
    # A call that failed was counted by nobody.
    answered = [number for number in counted if not calls[number].failed]
    if answered and fitting.issuperset(answered):
        return calls, "usage"
    return calls, "estimated" if counted and estimated else "counted"


def _ends(calls: Sequence[Call], counted: Iterable[int]) -> Iterator[tuple[int, int, int]]:
    """Yield what usage says: a length, the prefix that has it, and the call that says so."""
    for number in counted:
        call = calls[number]
        recorded = call.recorded
        if recorded is None or not recorded.prompt:
            continue
        cached = recorded.read + recorded.written
        reached = call.marks[-1].node if call.marks and cached else -1
        if reached >= 0:
            yield cached, reached, number
        if reached != call.tip:
            yield recorded.prompt - call.closing, call.tip, number


def _stretch(tree: PrefixTree, node: int, length: int, settled: bytearray) -> bool:
    """Give a prefix its length, and what is new on the way its share of it."""
    fresh = []
    above = node
    while tree.parent[above] >= 0 and not settled[above]:
        fresh.append(above)
        above = tree.parent[above]
    if not fresh:
        return tree.tokens[node] == length
    base = tree.tokens[above]
    guess, truth = sum(map(tree.own, fresh)), length - base
    if truth < 0 or not guess or not 1 / PLAUSIBLE <= truth / guess <= PLAUSIBLE:
        return False
    total, before = 0, tree.doubt[above]
    after = sum(tree.error[tree.block[step]] for step in fresh)
    for step in reversed(fresh):
        error = tree.error[tree.block[step]]
        total, before, after = total + tree.own(step), before + error, after - error
        tree.tokens[step] = base + round(total * truth / guess)
        # Added up from either end, the estimates are off by no more than their errors;
        # stretching moved the step away from both sums, by its share of the difference.
        moved = abs(truth - guess)
        bound = min(before + moved * total / guess, after + moved * (guess - total) / guess)
        tree.doubt[step] = math.floor(bound + 0.5)
        settled[step] = 1
    return True


def _carry(tree: PrefixTree, settled: bytearray) -> None:
    """Lay what was not settled on top of what was."""
    for node, above in enumerate(tree.parent):
        if above >= 0 and not settled[node]:
            tree.tokens[node] = tree.tokens[above] + tree.own(node)
            tree.doubt[node] = tree.doubt[above] + tree.error[tree.block[node]]
