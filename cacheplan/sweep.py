"""One walk from the last call to the first, over pieces of prompts instead of joints.

Joints of one line that the same call uses next, and that stand the same, form one piece.
A call touches the beginning of a few lines and leaves each in few pieces, so a walk is
near linear in the calls. What standing means is the walker's own: this module knows where
prompts lie, and when a use counts for a lifetime.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from cacheplan.prompt import Lifetime
from cacheplan.skeleton import Skeleton
from cacheplan.workload import Call, Workload

__all__ = ["Met", "State", "last_use", "readable_from", "sweep", "turns"]

_TICK: Final = 1e-6

#: What tokens of a piece cost from the call on that uses them next, over the least of it.
State = tuple[int, ...]


class Met(NamedTuple):
    """A piece as a call meets it."""

    #: The last of its joints on the way of that call.
    end: int
    #: The number of the call that uses it next, -1 if none does.
    call: int
    state: State


def last_use(call: Call, workload: Workload) -> float:
    """Return from when on the lifetime of what a call used is counted.

    Where server tools answer, the service calls itself again, and uses it again.
    """
    if call.rounds and workload.assume.server_tool_marks:
        return call.at + len(call.rounds) * call.first_token_after
    return call.at


def readable_from(call: Call) -> float:
    """Return when what a call writes can be read, if not at once.

    Two moments a microsecond apart are one, as they are to the simulator.
    """
    return call.at + call.first_token_after - _TICK


def sweep(
    skeleton: Skeleton,
    weigh: Callable[[int, Met, bool], tuple[int, State]],
    never: State,
    apart: Sequence[int] = (),
) -> tuple[list[list[Met]], list[int]]:
    """Walk back over the calls; return what each met, and the least by family of prompts.

    ``weigh`` is given a call, a piece it uses, and whether the piece is the joint that is
    to be kept ``apart`` for this call; it returns the least a token costs from there on,
    and how much more it costs by how it stands. ``never`` is the state of what is not used
    again. At the beginning everything stands as the first number of a state says.
    """
    return _Sweep(skeleton, weigh, never, apart).outcome()


class _Sweep:
    """A walk under way."""

    def __init__(
        self,
        skeleton: Skeleton,
        weigh: Callable[[int, Met, bool], tuple[int, State]],
        never: State,
        apart: Sequence[int],
    ) -> None:
        self._skeleton = skeleton
        self._weigh = weigh
        self._never = never
        self._apart = apart
        #: By line: pieces, the shortest on top; how many joints of the line lie before
        #: the end of each, the call that uses it next, and its state.
        self._stacks: list[list[tuple[int, int, State]]] = [[] for _ in skeleton.lines]
        self._least = [0] * len(skeleton.lines)

    def outcome(self) -> tuple[list[list[Met]], list[int]]:
        """Walk to the first call, and count everything as not held before it."""
        skeleton = self._skeleton
        met: list[list[Met]] = [[] for _ in skeleton.ends]
        for number in range(len(skeleton.ends) - 1, -1, -1):
            for line, stop in skeleton.stretches(skeleton.ends[number]):
                met[number].extend(reversed(self._touch(line, stop, number)))
            met[number].reverse()
        for line, stack in enumerate(self._stacks):
            before = self._length(skeleton.hangs[line])
            for reached, _, state in reversed(stack):
                until = self._length(skeleton.lines[line][reached - 1])
                self._least[skeleton.family[line]] += state[0] * (until - before)
                before = until
        return met, self._least

    def _length(self, joint: int) -> int:
        return self._skeleton.tokens[joint] if joint >= 0 else 0

    def _touch(self, line: int, stop: int, number: int) -> list[Met]:
        """Use the first joints of a line: they become few pieces, the rest stays."""
        skeleton, stack = self._skeleton, self._stacks[line]
        joints, tokens = skeleton.lines[line], skeleton.tokens
        rank = self._apart_at(line, number)
        before = self._length(skeleton.hangs[line])
        met: list[Met] = []
        made: list[tuple[int, int, State]] = []
        reached = least = 0
        while reached < stop:
            limit = stop
            if reached <= rank:
                limit = rank + (reached == rank)
            apart = limit == rank + 1 and reached == rank
            reached, following, state = stack.pop() if stack else (limit, -1, self._never)
            if reached > limit:
                stack.append((reached, following, state))
                reached = limit
            piece = Met(joints[reached - 1], following, state)
            met.append(piece)
            each, state = self._weigh(number, piece, apart)
            until = tokens[piece.end]
            least += each * (until - before)
            before = until
            if made and made[-1][2] == state:
                made.pop()
            made.append((reached, number, state))
        stack.extend(reversed(made))
        self._least[skeleton.family[line]] += least
        return met

    def _apart_at(self, line: int, number: int) -> int:
        """Return the rank of the joint to keep apart, -1 if it is not on this line."""
        joint = self._apart[number] if self._apart else -1
        return (
            self._skeleton.rank[joint] if joint >= 0 and self._skeleton.line[joint] == line else -1
        )


def turns(workload: Workload, skeleton: Skeleton) -> list[int]:
    """Return by call the longest joint used in the hour before, -1 if none.

    Beyond it nothing lives on this prompt, so the call can read it only from an entry
    that stands right there.
    """
    #: By line: how many joints were used last by one call, and when; the shortest on top.
    stacks: list[list[tuple[int, float]]] = [[] for _ in skeleton.lines]
    found = []
    for call, end in zip(workload.calls, skeleton.ends, strict=True):
        turn = -1
        alive = call.at - workload.assume.grace - Lifetime.ONE_HOUR.seconds
        for line, stop in skeleton.stretches(end):
            stack = stacks[line]
            for reached, used in reversed(stack if turn < 0 else ()):
                if used <= alive:
                    break
                turn = skeleton.lines[line][min(reached, stop) - 1]
                if reached >= stop:
                    break
            while stack and stack[-1][0] <= stop:
                stack.pop()
            stack.append((stop, last_use(call, workload)))
        found.append(turn)
    return found
