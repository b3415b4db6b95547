"""Collapses seen when they happen: a session's own memory of what each conversation had kept.

The same is found in a ledger later (``collapses``), from the same words and the same
threshold. Here the answer is at hand when the call ends, and may be told at once.

This file may know the tree, calls as they went out, and what was billed for them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from cacheplan.causes import Shortfall, collapsed
from cacheplan.collapses import cause_of
from cacheplan.places import Places
from cacheplan.prefixes import PrefixTree
from cacheplan.simulator import SimulatedCache
from cacheplan.subject import SAID
from cacheplan.usage import Usage
from cacheplan.workload import Call

__all__ = ["Losses"]

#: Conversations remembered, those last that were heard of last.
CONVERSATIONS: Final = 1024


class _Kept(NamedTuple):
    """The newest call of a conversation that is over."""

    call: Call
    over: float
    #: Tokens that it read or wrote.
    established: int


class Losses:
    """Holds each answer against what the call before it had left to be read."""

    def __init__(self, tree: PrefixTree, cache: Callable[[], SimulatedCache]) -> None:
        self._tree = tree
        self._cache = cache
        self._places = Places.of(tree)
        self._kept: OrderedDict[object, _Kept] = OrderedDict()

    def ended(
        self, call: Call, session: str | None, usage: Usage, word: str | None, at: float
    ) -> Shortfall | None:
        """Take note of an answer; return what was lost, if that was a collapse.

        ``call`` has the marks that went out, ``word`` is the API's for what changed. Calls
        of one conversation that overlap owe nothing to each other.
        """
        conversation = self._conversation(call, session)
        if conversation is None:
            return None
        earlier = self._kept.pop(conversation, None)
        if earlier is not None and earlier.call.at > call.at:
            self._kept[conversation] = earlier
            return None
        self._kept[conversation] = _Kept(call, at, usage.read + usage.written)
        if len(self._kept) > CONVERSATIONS:
            self._kept.popitem(last=False)
        if earlier is None or earlier.over > call.at:
            return None
        if not collapsed(earlier.established, usage.read):
            return None
        cause = word or cause_of(self._tree, earlier.call, call, self._cache)
        lost = earlier.established - usage.read
        return Shortfall(cause=cause, lost=lost, told=word is not None)

    def _conversation(self, call: Call, session: str | None) -> object | None:
        """Return what tells a conversation from others, as ``Subject`` does for a record."""
        tree = self._tree
        blocks = tuple(tree.block[node] for node in self._places.opening(call.tip))
        if session is not None:
            return (session, *blocks[:1])
        for at, block in enumerate(blocks):
            if tree.kind[block] == "tool_use" or at + 1 == SAID:
                return blocks[: at + 1]
        return None
