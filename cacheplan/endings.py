"""Prompts that end in something which the next one leaves out.

A reminder, the time or what was searched for stands behind the newest words, and in the
next call it is gone or another. A mark at the end keeps nothing then; one before that end
does. How many blocks are left out is the same in calls of one kind, since a program puts
them there, so it is a place like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cacheplan.lanes import LaneKey, kind_of
from cacheplan.places import LAST_BLOCKS, Places, from_end
from cacheplan.prompt import Lifetime
from cacheplan.workload import Workload

__all__ = ["endings"]

#: Calls of a lane that another must have gone on from so, and their share of all: less is
#: a message that somebody sent anew, and not worth a trial.
_CALLS: Final = 3
_SHARE: Final = 0.1


def endings(workload: Workload, lanes: Mapping[LaneKey, LaneKey]) -> dict[LaneKey, str]:
    """Return, by lane, the place before what the next call leaves out, if there is one."""
    tree = workload.tree
    places = Places(tree)
    #: By prefix that some call ended with, or nearly: when, in which lane, how far before.
    ended: dict[int, tuple[float, LaneKey, int]] = {}
    found: dict[LaneKey, dict[int, int]] = {}
    calls: dict[LaneKey, int] = {}
    for call in workload:
        lane = lanes[kind_of(call)]
        calls[lane] = calls.get(lane, 0) + 1
        fixed = places.fixed(call.tip)
        stop = max(tree.system_end[call.tip], tree.tools_end[call.tip], 0)
        node = call.tip
        while node > stop and node not in ended:
            node = tree.parent[node]
        at, owner, back = ended.get(node, (float("-inf"), lane, 0))
        if back and call.at - at <= Lifetime.ONE_HOUR.seconds:
            seen = found.setdefault(owner, {})
            seen[back] = seen.get(back, 0) + 1
        stop = max([stop, *(node for _, node in fixed)])
        node = call.tip
        for back in range(LAST_BLOCKS):
            if node <= stop:
                break
            # A prompt that ends here, and is gone on from, leaves nothing out.
            if not back or ended.get(node, (at, lane, back))[2]:
                ended[node] = call.at, lane, back
            node = tree.parent[node]
    best = {lane: max(seen, key=lambda back: seen[back]) for lane, seen in found.items()}
    return {
        lane: from_end(back)
        for lane, back in best.items()
        if found[lane][back] >= max(_CALLS, _SHARE * calls[lane])
    }
