"""What a call that is under way is believed to leave in the cache, until its end is known.

When a call goes out nobody knows when its response begins, nor whether there will be one.
What it writes is entered as if the response began after a second; the truth comes with
the answer. A change is one entry before and after a call, so it can be taken back, made
again when the call is sent again, and put right, without looking at any other call: where
another one has changed the entry since, that stands.

This file may know moments. It knows no prompt and no mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

__all__ = ["Change", "State", "begin", "take_back"]


class State(NamedTuple):
    """One entry."""

    #: From when on it can be read, when it dies, and the lifetime that a read restores.
    ready: float = 0.0
    dead: float = 0.0
    lives: float = 0.0


class Change(NamedTuple):
    """What one call does to one entry."""

    entry: int
    before: State
    after: State
    #: Whether it writes the entry; else it only keeps it alive.
    wrote: bool


#: How the state of an entry is asked for, and set.
Look = Callable[[int], State]
Put = Callable[[int, State], object]


def begin(changes: Iterable[Change], sent: float, began: float, look: Look, put: Put) -> None:
    """Put right what a call left whose response began; ``sent`` is when it went out.

    What it wrote can be read from then on. Where it was taken back, for an earlier
    attempt had failed, it is there after all.
    """
    for entry, before, after, wrote in changes:
        now = look(entry)
        if now == before != after:
            ready = min(now.ready, began) if now.dead > sent or not wrote else began
            put(entry, State(ready, max(now.dead, sent + after.lives), after.lives))
        elif wrote and now.ready > began and began < after.dead:
            put(entry, now._replace(ready=began))


def take_back(changes: Iterable[Change], look: Look, put: Put) -> None:
    """Undo what a call did that failed."""
    for entry, before, after, _ in changes:
        if look(entry) == after:
            put(entry, before)
