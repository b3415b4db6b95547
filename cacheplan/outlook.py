"""What it is worth to hold a prefix, seen from the end of time.

A token can be read by a call only if the call before it that used the same prefix left it
held, and within the lifetime. So going backward through the calls, each joint of the
skeleton has one number: how much cheaper its next use is if it is held by then. That is
theory enough for a lower bound, because no plan does better than what is supposed here:

* a prefix is held or not by itself, whatever holds the shorter one;
* reading it restores whichever lifetime is wanted, at no cost;
* what a call writes can be read at once.

Every reading of undocumented behaviour is dearer than this or as dear.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from cacheplan.prompt import Lifetime
from cacheplan.skeleton import Price, Skeleton
from cacheplan.sweep import Met, State, last_use, readable_from, sweep
from cacheplan.workload import Call, Workload

__all__ = ["Outlook", "Piece", "found"]

_SHORT, _LONG = (float(lifetime.seconds) for lifetime in Lifetime)
_NEVER: Final = (0, 0)


class Piece(NamedTuple):
    """Joints of one line that the same call uses next, to the same advantage."""

    #: The last of its joints on the way of the call that meets it.
    end: int
    #: The number of the call that uses them next, -1 if none does.
    call: int
    #: What that call saves by token if it can read them.
    worth: int
    #: What it loses by token, of that, if they are held but cannot be read yet.
    wait: int


def found(call: Call, workload: Workload) -> float:
    """Return what share of the live entries a call finds."""
    assume = workload.assume
    return assume.batch_hit_rate if call.tariff.surface == "batch" else assume.hit_rate


class Outlook:
    """The pieces each call meets, and the least that all calls can cost.

    ``cautious`` is for planning: it counts on no second beyond a lifetime, on finding only
    the stated share of what lives, and on reading nothing too early. Then ``least`` is no
    bound.
    """

    def __init__(
        self,
        workload: Workload,
        skeleton: Skeleton,
        costs: Sequence[Price],
        *,
        cautious: bool = False,
    ) -> None:
        self._workload = workload
        self._costs = costs
        self._grace = 0.0 if cautious else workload.assume.grace
        self._cautious = cautious
        met, least = sweep(skeleton, self._weigh, _NEVER)
        #: By call: what it meets, from the beginning of the prompt on.
        self.pieces = [[Piece(end, call, *state) for end, call, state in each] for each in met]
        #: By family of prompts, in units of the prices: the least it can cost.
        self.least = least

    def _weigh(self, number: int, met: Met, _apart: bool) -> tuple[int, State]:  # noqa: FBT001 -- the shape of ``sweep``
        """Return the least a held token costs from a call on, and how much more others do."""
        uncached, short, long, read = self._costs[number]
        piece = Piece(met.end, met.call, *met.state)
        plain, after_short, after_long = self.left(number, piece)
        late = piece.wait if self._cautious and self.is_late(number, piece) else 0
        cold = min(uncached + plain, short + max(after_short, late), long + max(after_long, late))
        held = min(read + after_long, cold)
        waiting = min(uncached + after_short, cold)
        worth, wait = cold - held, max(waiting - held, 0)
        if self._cautious:
            share = found(self._workload.calls[number], self._workload)
            worth, wait = int(worth * share), int(wait * share)
        return held, (worth, wait)

    def left(self, number: int, piece: Piece) -> tuple[int, int, int]:
        """Return what a token costs more later, left plain, for 5 minutes or an hour."""
        if piece.call < 0:
            return 0, 0, 0
        calls = self._workload.calls
        since = last_use(calls[number], self._workload)
        until = calls[piece.call].at - self._grace
        worth = piece.worth
        return (
            worth,
            0 if since + _SHORT > until else worth,
            0 if since + _LONG > until else worth,
        )

    def is_late(self, number: int, piece: Piece) -> bool:
        """Tell whether what a call writes cannot be read yet by the call that needs it."""
        calls = self._workload.calls
        return piece.call >= 0 and calls[piece.call].at < readable_from(calls[number])
