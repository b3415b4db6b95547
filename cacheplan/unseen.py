"""The front of a prompt that its source does not show: tools, or a system prompt.

Every call of one feature is taken to begin with the same one, which is what features do.
Nobody knows what it says. How long it is shows in recorded usage: it is what the prompt
with the fewest words leaves over, since there an estimate of the words weighs least. A
prompt whose words are not all told leaves over more than that, and is asked last.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from cacheplan.prefixes import PrefixTree
from cacheplan.prompt import Block, Level
from cacheplan.workload import Call

__all__ = ["UNSEEN", "front", "measure_fronts"]

#: The kind of the block that stands for it; no ``type`` of the API's.
UNSEEN: Final = "#unseen"


def front(lacks: Iterable[str], label: str | None) -> Block | None:
    """Return the block that stands for what a call does not show; ``None`` if it shows all.

    >>> front(("marks", "system"), "chat").level
    <Level.SYSTEM: 1>
    """
    hidden = sorted({"tools", "system"}.intersection(lacks))
    if not hidden:
        return None
    level = Level.TOOLS if "tools" in hidden else Level.SYSTEM
    name = "\0".join((UNSEEN, *hidden, label or ""))
    digest = blake2b(name.encode(), digest_size=16).digest()
    return Block(level=level, kind=UNSEEN, digest=digest, tokens=0)


def measure_fronts(tree: PrefixTree, calls: Iterable[Call]) -> None:
    """Say how long every unseen front is, where usage shows it; the others stay empty."""
    if UNSEEN not in tree.kind:
        return
    tree.measure()
    least: dict[int, tuple[bool, int, int, int]] = {}
    for call in calls:
        used = call.recorded
        block = _front_of(tree, call.tip) if call.lacks and used and used.prompt else -1
        if block < 0 or used is None:
            continue
        shown = tree.tokens[call.tip]
        left = max(used.prompt - call.closing - shown, 0)
        found = "text" in call.lacks, shown, left, tree.doubt[call.tip]
        least[block] = min(least.get(block, found), found)
    for block, (_, _, left, doubt) in least.items():
        tree.size[block], tree.error[block] = left, doubt


def _front_of(tree: PrefixTree, tip: int) -> int:
    """Return the block of a prompt that nobody saw, -1 where there is none.

    It ends the head, or stands in it before what is shown.
    """
    node = max(tree.tools_end[tip], tree.system_end[tip])
    while node >= 0 and tree.block[node] >= 0:
        if tree.kind[tree.block[node]] == UNSEEN:
            return tree.block[node]
        node = tree.parent[node]
    return -1
