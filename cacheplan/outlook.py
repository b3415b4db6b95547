"""What it is worth to hold a prefix, seen from the end of time.

A token can be read by a call only if the call before it that used the same prefix left it
held, and within the lifetime. So going backward through the calls, each joint of the
skeleton has one number: how much cheaper its next use is if it is held by then. That is
theory enough for a lower bound, because no plan does better than what is supposed here:

* a prefix is held or not by itself, whatever holds the shorter one;
* reading it restores whichever lifetime is wanted, at no cost;
* what a call writes can be read at once.

Every reading of undocumented behaviour is dearer than this or as dear. Joints on one line
whose next use is the same call, to the same advantage, form one piece; a call meets few.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cacheplan.prompt import Lifetime
from cacheplan.skeleton import Price, Skeleton
from cacheplan.workload import Call, Workload

__all__ = ["Outlook", "Piece", "found", "last_use"]

_SHORT, _LONG = (float(lifetime.seconds) for lifetime in Lifetime)


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


def last_use(call: Call, workload: Workload) -> float:
    """Return from when on the lifetime of what a call used is counted.

    Where server tools answer, the service calls itself again, and uses it again.
    """
    if call.rounds and workload.assume.server_tool_marks:
        return call.at + len(call.rounds) * call.first_token_after
    return call.at


def found(call: Call, workload: Workload) -> float:
    """Return what share of the live entries a call finds."""
    assume = workload.assume
    return assume.batch_hit_rate if call.tariff.surface == "batch" else assume.hit_rate


class Outlook:
    """The pieces each call meets, and the least that all calls can cost.

    ``cautious`` is for planning: it counts on no second beyond a lifetime, and on finding
    only the stated share of what lives. Then ``least`` is no bound.
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
        self._skeleton = skeleton
        self._grace = 0.0 if cautious else workload.assume.grace
        self._cautious = cautious
        #: By line: pieces not used before some call, the shortest on top; each is how
        #: many joints of the line lie before its end, and the rest of a ``Piece``.
        self._stacks: list[list[tuple[int, int, int, int]]] = [[] for _ in skeleton.lines]
        #: By call: what it meets, from the beginning of the prompt on.
        self.pieces: list[list[Piece]] = [[] for _ in workload.calls]
        #: In units of the prices.
        self.least = 0
        for number in range(len(workload.calls) - 1, -1, -1):
            self._meet(number, costs[number])
        self._open()

    def _meet(self, number: int, price: Price) -> None:
        """Go one call back: what its prompt is worth before it, given what it is after."""
        workload, skeleton = self._workload, self._skeleton
        call = workload.calls[number]
        end = skeleton.ends[number]
        held = skeleton.tokens[end] if end >= 0 else 0
        self.least += price.uncached * (workload.prompt_tokens(call) - held)
        met = self.pieces[number]
        for line, stop in skeleton.stretches(end):
            met.extend(reversed(self._touch(line, stop, number, price)))
        met.reverse()

    def _touch(self, line: int, stop: int, number: int, price: Price) -> list[Piece]:
        """Use the first joints of a line: they become few pieces, the rest stays."""
        skeleton, stack = self._skeleton, self._stacks[line]
        joints, tokens = skeleton.lines[line], skeleton.tokens
        hangs = skeleton.hangs[line]
        before = tokens[hangs] if hangs >= 0 else 0
        met: list[Piece] = []
        made: list[tuple[int, int, int, int]] = []
        reached = 0
        while reached < stop:
            reached, following, worth, wait = stack.pop() if stack else (stop, -1, 0, 0)
            if reached > stop:
                stack.append((reached, following, worth, wait))
                reached = stop
            piece = Piece(joints[reached - 1], following, worth, wait)
            met.append(piece)
            least, gain, loss = self._weigh(number, piece, price)
            until = tokens[piece.end]
            self.least += least * (until - before)
            before = until
            if made and made[-1][2:] == (gain, loss):
                made.pop()
            made.append((reached, number, gain, loss))
        stack.extend(reversed(made))
        return met

    def _weigh(self, number: int, piece: Piece, price: Price) -> tuple[int, int, int]:
        """Return the least a held token costs from a call on, and how much more others do.

        The second number is for a token that is not held, the third for one that is held
        and cannot be read.
        """
        uncached, short, long, read = price
        plain, after_short, after_long = self.left(number, piece)
        late = piece.wait if self._cautious and self.is_late(number, piece) else 0
        cold = min(uncached + plain, short + max(after_short, late), long + max(after_long, late))
        held = min(read + after_long, cold)
        waiting = min(uncached + after_short, cold)
        gain, loss = cold - held, max(waiting - held, 0)
        if self._cautious:
            share = found(self._workload.calls[number], self._workload)
            gain, loss = int(gain * share), int(loss * share)
        return held, gain, loss

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
        call = calls[number]
        return piece.call >= 0 and calls[piece.call].at < call.at + call.first_token_after

    def _open(self) -> None:
        """Nothing is held before the first call, so every first use is a cold one."""
        skeleton = self._skeleton
        for line, stack in enumerate(self._stacks):
            hangs = skeleton.hangs[line]
            before = skeleton.tokens[hangs] if hangs >= 0 else 0
            for reached, _, worth, _ in reversed(stack):
                until = skeleton.tokens[skeleton.lines[line][reached - 1]]
                self.least += worth * (until - before)
                before = until
