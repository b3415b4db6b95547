"""What users say first, text by text: where instructions stand that no system prompt holds.

A text is told of once for each kind of calls and each place in the first user turn, with
the calls that send it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from cacheplan.lanes import LaneKey
from cacheplan.layouts import Turns
from cacheplan.subject import Subject
from cacheplan.units import FRONT
from cacheplan.workload import Call

__all__ = ["Said", "beginnings", "lasts"]

#: What a common beginning must be of the whole prompt: less is not worth a block.
WORTH: Final = 0.05


class Said(NamedTuple):
    """One text that stands in a first user turn."""

    text: str
    digest: bytes
    #: Its tokens, the first call with it, and how many calls have it.
    tokens: int
    call: Call
    calls: int


def beginnings(subject: Subject) -> Iterator[tuple[LaneKey, int, list[Said]]]:
    """Yield what stands at each place of the first user turns of each lane."""
    turns, tree = Turns(subject), subject.tree
    for lane, calls in subject.lanes.items():
        places: dict[int, dict[int, list[Call]]] = {}
        for call in calls:
            for number, block in enumerate(turns.blocks(call)):
                places.setdefault(number, {}).setdefault(block, []).append(call)
        for number, blocks in places.items():
            found = []
            for block, users in blocks.items():
                digest = tree.digest[block]
                text = (subject.bodies.get(digest) or {}).get("text")
                if isinstance(text, str) and len(text) >= FRONT:
                    found.append(Said(text, digest, tree.size[block], users[0], len(users)))
            yield lane, number, found


def lasts(subject: Subject, said: Said, number: int, front: int) -> bool:
    """Say if so many characters of a text are worth a block, and would be kept in front."""
    tree, call = subject.tree, said.call
    tariff = call.tariff
    floor = subject.sheet.minimum(tariff.model, tariff.platform, subject.workload.assume)
    share = said.tokens * front // max(len(said.text), 1)
    if front < FRONT or share * 2 < said.tokens or share < WORTH * tree.tokens[call.tip]:
        return False
    # What stands in front of a later block may be another one each time.
    head = max(tree.system_end[call.tip], tree.tools_end[call.tip])
    above = tree.tokens[head] if head >= 0 and not number else 0
    return above + share >= (floor or 1)
