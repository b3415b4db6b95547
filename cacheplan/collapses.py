"""Collapses: calls that read far less than the call before them had left to be read.

In a conversation each call should read what the one before it read and wrote. Where it
reads much less, something broke the prefix, or the entry was gone. The cause is the
API's own word where the response carries one, else what can be seen of the two prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from cacheplan.causes import CAUSES, collapsed
from cacheplan.errors import RejectedError
from cacheplan.prefixes import PrefixTree
from cacheplan.prices import Sheet
from cacheplan.projection import cache_for
from cacheplan.prompt import Lifetime
from cacheplan.simulator import SimulatedCache
from cacheplan.subject import Subject
from cacheplan.usage import Usage
from cacheplan.workload import Call, Workload

__all__ = ["CAUSES", "Collapse", "by_cause", "cause_of", "collapsed", "collapses"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collapse:
    """One call that read far less than it should have."""

    call: Call
    #: The call of the same conversation before it.
    earlier: Call
    #: Tokens that the earlier call had read or written.
    established: int
    read: int
    #: A key of ``CAUSES``, or another word of the API's.
    cause: str
    #: True where the API said so itself.
    told: bool

    @property
    def lost(self) -> int:
        """Tokens that were paid for again."""
        return self.established - self.read


def collapses(
    workload: Workload, sheet: Sheet, told: Mapping[int, str] | None = None
) -> Iterator[Collapse]:
    """Yield the collapses of a record; ``told`` are the API's words, by number of a call."""
    told, tree = told or {}, workload.tree
    subject = Subject(workload, sheet, {})
    last: dict[object, Call] = {}
    for call in workload:
        conversation = subject.conversation(call)
        if conversation is None or call.failed or call.recorded is None:
            continue
        earlier = last.get(conversation)
        last[conversation] = call
        if earlier is None or earlier.recorded is None:
            continue
        established = _kept(earlier.recorded)
        if collapsed(established, call.recorded.read):
            word = told.get(call.number)
            yield Collapse(
                call=call,
                earlier=earlier,
                established=established,
                read=call.recorded.read,
                cause=word or cause_of(tree, earlier, call, lambda: cache_for(workload, sheet)),
                told=word is not None,
            )


def _kept(usage: Usage) -> int:
    """Return how much of a prompt could be read after a call."""
    return usage.read + usage.written


def cause_of(
    tree: PrefixTree, earlier: Call, call: Call, cache: Callable[[], SimulatedCache]
) -> str:
    """Find out what a call has that the one before it had not, the first thing first.

    Both have the marks they were sent with; ``cache`` makes an empty one to serve them in.
    """
    before, after = earlier.tariff, call.tariff
    if (before.model, before.speed, before.platform) != (after.model, after.speed, after.platform):
        return "model_changed"
    if not call.marks:
        return "not_marked"
    changed = _changed(tree, earlier, call)
    if changed is not None:
        return changed
    lifetime = max((mark.lifetime for mark in earlier.marks), key=_seconds, default=None)
    if lifetime is not None and call.at - earlier.at > lifetime.seconds:
        return "ttl_expired"
    return _simulated(cache(), earlier, call)


def _seconds(lifetime: Lifetime) -> int:
    return lifetime.seconds


def _changed(tree: PrefixTree, earlier: Call, call: Call) -> str | None:
    """Name the level of the first block that differs within what had been kept."""
    kept = max((mark.node for mark in earlier.marks), default=earlier.tip)
    for old, new in zip_longest(tree.path(kept), tree.path(call.tip)):
        if old is None:
            return None
        if new is None or tree.block[old] != tree.block[new]:
            levels = [tree.level[tree.block[node]] for node in (old, new) if node is not None]
            return f"{min(levels)}_changed"
    return None


def _simulated(cache: SimulatedCache, earlier: Call, call: Call) -> str:
    """Serve the two, and say if the marks explain what was not read."""
    try:
        kept = _kept(cache.serve(earlier, earlier.marks))
        read = cache.serve(call, call.marks).read
    except RejectedError:
        return "unexplained"
    return "lookback_exceeded" if kept and collapsed(kept, read) else "unexplained"


def by_cause(found: Sequence[Collapse]) -> list[tuple[str, int, int]]:
    """Return the causes with their calls and the tokens paid again, the dearest first."""
    sums: dict[str, list[int]] = {}
    for one in found:
        row = sums.setdefault(one.cause, [0, 0])
        row[0] += 1
        row[1] += one.lost
    rows = [(cause, calls, lost) for cause, (calls, lost) in sums.items()]
    return sorted(rows, key=lambda row: -row[2])
