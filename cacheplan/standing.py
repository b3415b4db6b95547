"""What entries can be where prompts part, seen from the end of time: a higher bound.

The outlook lets every read lengthen a lifetime. By default the service does not: an entry
keeps the lifetime it was written with, and none is written inside what a call reads. A
longer prompt gets around that by writing an hour behind what it reads, but only for calls
that go on from there. A call that turns off earlier can read up to the turn only from an
entry that stands exactly there, and such an entry exists only since some call paid for
writing it, with the lifetime that it paid for.

Nor can an entry be read before the answer of the call that writes it begins.

So tokens have two things told of them here: whether anything that lives holds them, and
which entry stands at their own prefix. That holds where a joint is one block longer than
the longest prefix before it that can hold an entry, so this takes a fine skeleton.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cacheplan.assumptions import Assumptions
from cacheplan.prompt import Lifetime
from cacheplan.skeleton import Price, Skeleton
from cacheplan.sweep import Met, State, last_use, readable_from, sweep, turns
from cacheplan.workload import Workload

__all__ = ["applies", "standing"]

_SHORT, _LONG = (float(lifetime.seconds) for lifetime in Lifetime)
#: Not held; held from elsewhere; with an entry of 5 minutes or an hour of its own; and
#: with one that cannot be read yet.
_NEVER: Final = (0, 0, 0, 0, 0, 0)


def applies(assume: Assumptions) -> bool:
    """Tell whether entries keep their lifetime, and none is written inside a read."""
    return assume.refresh == "own" and assume.remark == "keep" and not assume.write_inside_read


def standing(workload: Workload, skeleton: Skeleton, costs: Sequence[Price]) -> list[int]:
    """Return by family of prompts the least it can cost, in units of the prices."""
    calls, grace = workload.calls, workload.assume.grace
    delayed = workload.assume.visible == "first-token"

    def weigh(number: int, met: Met, turned: bool) -> tuple[int, State]:  # noqa: FBT001 -- the shape of ``sweep``
        cold, held, held_short, held_long, late_short, late_long = met.state
        # What a token costs more later if a call leaves it plain, writes it (and nothing
        # else holds it), or leaves it held, with an entry of its own or without.
        write_short = write_long = only = with_short = with_long = cold
        is_late = False
        if met.call >= 0:
            since, until = last_use(calls[number], workload), calls[met.call].at
            if since + _LONG > until - grace:
                write_long = with_long = held_long
                with_short = only = held
            if since + _SHORT > until - grace:
                write_short = with_short = held_short
            is_late = delayed and readable_from(calls[number]) > until
        uncached, short, long, read = costs[number]
        anew = min(short + with_short, long + with_long)
        after = (
            min(
                uncached + cold,
                short + (late_short if is_late else write_short),
                long + (late_long if is_late else write_long),
            ),
            min(anew, (uncached if turned else read) + only),
            min(anew, read + with_short),
            min(anew, read + with_long),
            min(uncached + write_short, long + write_long),
            uncached + write_long,
        )
        least = min(after)
        return least, tuple(each - least for each in after)

    return sweep(skeleton, weigh, _NEVER, turns(workload, skeleton))[1]
