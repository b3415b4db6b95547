"""Lanes: calls of one kind, told apart by model and label.

What pays differs by feature and by model, so each kind of call has rules of its own where
there are enough of them to learn from.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from cacheplan.facts import find
from cacheplan.prefixes import PrefixTree
from cacheplan.workload import Call, Workload

__all__ = ["LaneKey", "kind_of", "lanes_of", "users_of"]

#: Lanes that get rules of their own, the dearest first; the rest follow their model's.
LANES: Final = 12
#: Calls that a lane needs for rules of its own: fewer say too little about the next ones.
CALLS: Final = 8

#: Model and label; the label is ``None`` in calls without one, and in a model's lane.
LaneKey = tuple[str, str | None]


def kind_of(call: Call) -> LaneKey:
    """Return the finest lane of a call; a model has one lane under all its ids."""
    found = find(call.tariff.model)
    return (found.model.id if found else call.tariff.model, call.label)


def lanes_of(workload: Workload) -> dict[LaneKey, LaneKey]:
    """Say which lane each kind of call follows: its own, or its model's."""
    weights: dict[LaneKey, int] = {}
    calls: dict[LaneKey, int] = {}
    for call in workload:
        key = kind_of(call)
        weights[key] = weights.get(key, 0) + workload.prompt_tokens(call)
        calls[key] = calls.get(key, 0) + 1
    dearest = sorted((key for key in weights if calls[key] >= CALLS), key=lambda k: -weights[k])
    own = set(dearest[:LANES])
    return {key: key if key in own else (key[0], None) for key in weights}


def users_of(tree: PrefixTree, groups: Iterable[Iterable[Call]]) -> list[int]:
    """Return by prefix which groups of calls have it, a bit for each group.

    One pass over the tree, however often its prefixes were sent.
    """
    users = [0] * len(tree)
    for at, calls in enumerate(groups):
        for call in calls:
            users[call.tip] |= 1 << at
    for node in range(len(tree) - 1, -1, -1):
        if tree.parent[node] >= 0:
            users[tree.parent[node]] |= users[node]
    return users
