"""What shows a finding: the place, and calls in which it can be seen.

A rule says at which prefixes it saw what; what stands at their ends is the span. Text is
shown as its shape unless somebody asks for it, which is the reports' affair.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from cacheplan.finding import Example
from cacheplan.prefixes import PrefixTree
from cacheplan.prompt import Place
from cacheplan.refusals import place_of
from cacheplan.subject import Subject
from cacheplan.workload import Call

__all__ = ["SHOWN", "place_at", "witnesses"]

#: Characters of a block that are shown: enough to know it again.
SHOWN: Final = 60
#: Calls that are shown: one may be a slip, and a third says nothing new.
_CALLS: Final = 2


def place_at(tree: PrefixTree, node: int) -> Place:
    """Return where the block at the end of a prefix stands in its body.

    What is set stands nowhere; it is told where its level begins.
    """
    level = tree.level[tree.block[node]]
    parts = (part for part in place_of(tree, node).split(".")[1:] if part != "content")
    numbers = [max(int(part), 0) for part in parts]
    return Place(level=level, index=numbers[0], content=numbers[1] if len(numbers) > 1 else None)


def witnesses(subject: Subject, seen: Iterable[tuple[Call, int]]) -> tuple[Example, ...]:
    """Return the first two calls of some, each with the block at the end of a prefix."""
    found: dict[int, Example] = {}
    for call, node in seen:
        if call.number not in found:
            text = (subject.text(node) or "") if node >= 0 else ""
            found[call.number] = Example(call.number, call.id, text[:SHOWN])
        if len(found) == _CALLS:
            break
    return tuple(found.values())
