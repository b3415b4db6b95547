"""Calls that the service would not have answered, whatever their marks: talk without sense.

The rules are ``conversations``'; here they are held against prefixes, each looked at once,
however many calls have it. Nothing is said where nobody can know: of blocks whose text was
not kept, of prompts that the service holds in part, of calls that were answered.
"""

from __future__ import annotations

from typing import NamedTuple

from cacheplan.conversations import BEGINNING, EMPTY, TWICE, Gap, Turn, said, twice
from cacheplan.prefixes import SETTINGS
from cacheplan.prompt import Level
from cacheplan.subject import Subject
from cacheplan.witness import place_at
from cacheplan.workload import Call

__all__ = ["Unsound", "unsound"]


class Unsound(NamedTuple):
    """Why a call makes no sense: in the service's words, and the prefix where it shows."""

    words: str
    node: int


class _State(NamedTuple):
    """What is known at one prefix: how far the talk is, and the first gap on the way."""

    turn: Turn
    gap: Gap | None = None


#: ``None`` stands for prefixes of which nothing can be said.
_START = _State(BEGINNING)


def unsound(subject: Subject) -> dict[int, Unsound]:
    """Return, by number, the calls that would be refused for what they hold.

    A response with usage says that a call was taken.
    """
    if subject.workload.assume.partial_bodies == "keep":
        return {}
    looked = _Looked(subject)
    found: dict[int, Unsound] = {}
    for call in subject.workload:
        fault = looked.at(call) if call.recorded is None else None
        if fault is not None:
            found[call.number] = fault
    return found


class _Looked:
    """Prefixes that were looked at."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._tree = subject.tree
        self._states: dict[int, _State | None] = {}
        #: By role: what is known where no tool was called.
        self._closed: dict[str, _State] = {}
        #: By the end of a call's tools: whether two have one name.
        self._twice: dict[int, bool] = {}

    def at(self, call: Call) -> Unsound | None:
        """Say what is wrong with one call, if anything is."""
        end = self._tree.tools_end[call.tip]
        if end not in self._twice:
            self._twice[end] = self._named_twice(call)
        if self._twice[end]:
            return Unsound(TWICE, end)
        state = self._state(call.tip)
        if state is None:
            return None
        if state is _START:
            return None if self._subject.head(call) == () else self._silent(call)
        gap = state.gap or state.turn.left()
        if gap is None:
            return None
        return Unsound(said(gap, place_at(self._tree, gap.at).index), gap.at)

    def _silent(self, call: Call) -> Unsound | None:
        """Say that a call asks nothing, where what it does say is known."""
        known = all(self._subject.body(node) is not None for node in self._subject.head(call))
        return Unsound(EMPTY, call.tip) if known else None

    def _named_twice(self, call: Call) -> bool:
        """Tell whether two tools of a call have one name."""
        tree = self._tree
        nodes = (n for n in self._subject.head(call) if tree.level[tree.block[n]] is Level.TOOLS)
        return twice((self._subject.body(node) or {}).get("name") for node in nodes)

    def _state(self, tip: int) -> _State | None:
        """Return how far the talk is at the end of a prompt."""
        pending = []
        for node in self._tree.upward(tip):
            if node in self._states:
                break
            pending.append(node)
        state: _State | None = _START
        if pending:
            above = self._tree.parent[pending[-1]]
            state = self._states.get(above, _START)
        elif tip in self._states:
            return self._states[tip]
        for node in reversed(pending):
            state = self._states[node] = self._next(state, node)
        return state

    def _next(self, state: _State | None, node: int) -> _State | None:
        """Go over one block."""
        tree, block = self._tree, self._tree.block[node]
        if state is None or block < 0 or tree.level[block] is not Level.MESSAGES:
            return state
        kind, role = tree.kind[block], tree.role[block]
        if kind == "compaction":
            return None  # What was said before it is gone, and may have asked for tools.
        tools = kind in ("tool_use", "tool_result")
        if kind == SETTINGS or (role == state.turn.role and not tools):
            return state
        turn, gap = state.turn.to(role, node)
        if tools and role != "system":
            body = self._subject.body(node)
            if body is None:
                return None
            turn, more = turn.over(body, node)
            gap = gap or more
        gap = state.gap or gap
        # Most prefixes have nothing open, and share what is known of them.
        if gap is None and not (turn.called or turn.answered):
            return self._closed.setdefault(role, _State(turn))
        return _State(turn, gap)
