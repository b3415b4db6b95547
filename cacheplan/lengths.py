"""How long every prefix is, with recorded usage outranking every estimate.

A block's length is an estimate or a count; a call's usage is the truth about its whole
prompt, and about the part up to its last breakpoint. Going through the calls in order,
whatever is new in a prompt is stretched or shrunk so that the prompt has its recorded
length; what an earlier call settled stays. No number is ever fitted to what was read
and what was written apart: only to their sum.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import msgspec

from cacheplan.prefixes import PrefixTree
from cacheplan.usage import Usage
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
    by_usage = 0
    counted = list(counted)
    for number in counted if trust_usage else ():
        call = calls[number]
        recorded = call.recorded
        if recorded is None or recorded.prompt <= 0 or not _fit(tree, call, recorded, settled):
            continue
        by_usage += 1
        closing = recorded.prompt - tree.tokens[call.tip]
        calls[number] = msgspec.structs.replace(call, closing=max(closing, 0))
    _carry(tree, settled)
    if counted and by_usage == len(counted):
        return calls, "usage"
    return calls, "estimated" if counted and estimated else "counted"


def _fit(tree: PrefixTree, call: Call, recorded: Usage, settled: bytearray) -> bool:
    """Stretch what is new in one prompt to its recorded length."""
    reached = call.marks[-1].node if call.marks else -1
    cached = recorded.read + recorded.written
    fits = reached >= 0 and cached > 0 and _stretch(tree, reached, cached, settled)
    if reached != call.tip or not fits:
        fits = _stretch(tree, call.tip, recorded.prompt - call.closing, settled) or fits
    return fits


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
