"""Going over calls that are all known, weighing each write by what it will save.

The outlook says what that is, prompt by prompt and as if everything were possible. Here
it is held against what really is: which entries live and can be read, that an hour comes
before 5 minutes, that there are four breakpoints. What couples the prompts is learned
from the time before over the same calls: which entries are really read (only these are
marked), and how long one at a fork has to live when many calls go past it to longer ones.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from cacheplan.facts import BREAKPOINTS
from cacheplan.outlook import Outlook, Piece, found
from cacheplan.prices import Sheet
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.simulator import positions
from cacheplan.skeleton import Price, Skeleton
from cacheplan.sweep import last_use, readable_from, turns
from cacheplan.workload import Call, Workload

__all__ = ["Basis", "Marks", "Round"]

_SHORT, _LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR
_SECONDS: Final = {lifetime: float(lifetime.seconds) for lifetime in Lifetime}
_NEVER: Final = float("-inf")

#: By call: the breakpoints it gets.
Marks = list[Sequence[Breakpoint]]
#: What a token costs more later if a call leaves it plain, for 5 minutes or an hour.
_After = tuple[int, int, int]


class Basis:
    """What every round looks things up in."""

    def __init__(self, workload: Workload, sheet: Sheet, costs: Sequence[Price]) -> None:
        self.workload = workload
        self.costs = costs
        self.skeleton = skeleton = Skeleton(workload, sheet)
        self.outlook = Outlook(workload, skeleton, costs, cautious=True)
        #: Uncollapsed: what is near by these positions is near by the others.
        self.places = positions(workload.tree, workload.assume, collapse=False)
        #: By call: the last joint of its own prompt, answers of server tools left out.
        self.ends = [
            self._own(call, end) for call, end in zip(workload, skeleton.ends, strict=True)
        ]
        #: By call: the longest joint at which it could find an entry.
        self.turns = turns(workload, skeleton)
        #: By joint: whether two calls can go different ways from here.
        self.forks = skeleton.forks()

    def _own(self, call: Call, end: int) -> int:
        while end >= 0 and self.skeleton.nodes[end] > call.tip:
            end = self.skeleton.parent[end]
        return end


class _Stretch(NamedTuple):
    """Joints behind what is read that are decided together, and what each choice costs."""

    end: int
    plain: int
    short: int
    long: int


def _cut(stretches: Sequence[_Stretch], bonus: int) -> tuple[int, int]:
    """Return how many stretches to write for an hour, and how many to write at all.

    The hour comes first, then 5 minutes, then nothing. ``bonus`` is what the first write
    for an hour saves besides.
    """
    number = len(stretches)
    rest, stops = [0] * (number + 1), [number] * (number + 1)
    plain = 0
    for index in range(number - 1, -1, -1):
        plain += stretches[index].plain
        rest[index] = stretches[index].short + rest[index + 1]
        stops[index] = stops[index + 1]
        if plain <= rest[index]:
            rest[index], stops[index] = plain, index
    best, long, written = rest[0], 0, stops[0]
    so_far = -bonus
    for index, stretch in enumerate(stretches, 1):
        so_far += stretch.long
        if so_far + rest[index] < best:
            best, long, written = so_far + rest[index], index, stops[index]
    return long, written


class _Entries:
    """What is held while a round goes through the calls, as the service keeps it."""

    def __init__(self, skeleton: Skeleton) -> None:
        self._skeleton = skeleton
        joints = len(skeleton.nodes)
        self.ready = [0.0] * joints
        self.dead = [_NEVER] * joints
        self.lives = [0.0] * joints
        #: By line: the ranks at which entries stand, some of them dead.
        self._standing: list[list[int]] = [[] for _ in skeleton.lines]

    def alive(self, end: int, at: float) -> list[int]:
        """Return the joints of a prompt whose entries live, the longest first."""
        skeleton, alive = self._skeleton, []
        for line, stop in skeleton.stretches(end):
            standing, joints = self._standing[line], skeleton.lines[line]
            for index in range(bisect_right(standing, stop - 1) - 1, -1, -1):
                joint = joints[standing[index]]
                if self.dead[joint] > at:
                    alive.append(joint)
                else:
                    del standing[index]
        return alive

    def refresh(self, joint: int, at: float) -> None:
        """Start a lifetime anew."""
        if self.ready[joint] <= at:
            self.dead[joint] = max(self.dead[joint], at + self.lives[joint])

    def write(self, joint: int, at: float, ready: float, seconds: float) -> None:
        """Write an entry; one that is on its way keeps its better half."""
        if self.dead[joint] > at:
            ready = min(ready, self.ready[joint])
            seconds = max(seconds, self.lives[joint])
        self.ready[joint], self.lives[joint] = ready, seconds
        self.dead[joint] = at + seconds
        standing = self._standing[self._skeleton.line[joint]]
        rank = self._skeleton.rank[joint]
        index = bisect_right(standing, rank)
        if not index or standing[index - 1] != rank:
            standing.insert(index, rank)


class Round:
    """One time over the calls, with what the time before found out.

    ``eager`` is to want entries also where a call turned off before and found none; what
    it is worth to have them there shows only in the bill.
    """

    def __init__(self, basis: Basis, before: Round | None = None, *, eager: bool = False) -> None:
        self._basis = basis
        self._entries = _Entries(basis.skeleton)
        self._credit = 0.0
        #: By call: the joint it read up to, -1 if it read nothing.
        self.hits: list[int] = []
        self._wanted: dict[int, list[int]] | None = None
        self._after: dict[int, dict[int, _After]] = {}
        if before is not None:
            self._wanted = _readers(basis, before.hits, eager=eager)
            self._after = {
                joint: _values(basis, before.hits, joint)
                for joint in self._wanted
                if basis.forks[joint]
            }
        #: By line: the ranks of joints that have a worth of their own.
        self._cuts: dict[int, list[int]] = {}
        for joint in sorted(self._after):
            self._cuts.setdefault(basis.skeleton.line[joint], []).append(basis.skeleton.rank[joint])
        self.marks: Marks = [self._place(number) for number in range(len(basis.costs))]

    def _place(self, number: int) -> Sequence[Breakpoint]:
        """Choose the breakpoints of one call and keep what they leave behind."""
        basis, call = self._basis, self._basis.workload.calls[number]
        end = basis.ends[number]
        alive = self._entries.alive(end, call.at)
        hit = self._hit(number, alive)
        stretches, bonus = self._stretches(number, hit, alive)
        long, stop = _cut(stretches, bonus)
        written = stretches[:stop]
        joints = self._marked(number, hit, alive, [stretch.end for stretch in written], long)
        until = written[long - 1].end if long else hit
        marks = [(joint, _LONG if joint <= until else _SHORT) for joint in joints]
        self._keep(number, hit, marks)
        nodes = basis.skeleton.nodes
        return tuple(Breakpoint(nodes[joint], lifetime) for joint, lifetime in marks)

    def _hit(self, number: int, alive: Sequence[int]) -> int:
        """Return the longest entry a call can read, -1 if none."""
        call = self._basis.workload.calls[number]
        hit = next((joint for joint in alive if self._entries.ready[joint] <= call.at), -1)
        share = found(call, self._basis.workload)
        if hit >= 0 and share < 1:
            self._credit += share
            if self._credit < 1 - 1e-9:
                hit = -1
            else:
                self._credit -= 1
        self.hits.append(hit)
        return hit

    def _stretches(self, number: int, hit: int, alive: Sequence[int]) -> tuple[list[_Stretch], int]:
        """Return what a call may write, and what an hour on it saves of what it reads.

        A write for an hour behind a 5-minute entry holds what that entry held, too, for
        calls that go on from there.
        """
        basis = self._basis
        tokens, price = basis.skeleton.tokens, basis.costs[number]
        read = tokens[hit] if hit >= 0 else 0
        pending = next((joint for joint in alive if joint > hit), -1)
        made: list[_Stretch] = []
        before = gain = bonus = 0
        following = -1
        for piece in self._pieces(number):
            until = tokens[piece.end]
            if piece.call != following:
                following, gain = piece.call, 0
            gain += max(0, min(until, read) - before) * piece.worth
            if piece.end > hit:
                if not made and self._outlived(number, hit, following):
                    bonus = gain
                plain, short, long = self._left(number, piece, pending)
                weight = until - max(before, read)
                made.append(
                    _Stretch(
                        piece.end,
                        weight * (price.uncached + plain),
                        weight * (price.short + short),
                        weight * (price.long + long),
                    )
                )
            before = until
        return made, bonus

    def _pieces(self, number: int) -> Iterator[Piece]:
        """Yield the pieces of a call's own prompt, cut at forks that have a worth of their own."""
        skeleton, end = self._basis.skeleton, self._basis.ends[number]
        line = reached = -1
        for piece in self._basis.outlook.pieces[number]:
            last = min(piece.end, end)
            if skeleton.line[last] != line:
                line, reached = skeleton.line[last], -1
            ranks = self._cuts.get(line, ())
            rank = skeleton.rank[last]
            for inner in ranks[bisect_right(ranks, reached) : bisect_left(ranks, rank)]:
                yield piece._replace(end=skeleton.lines[line][inner])
            reached = rank
            yield piece._replace(end=last) if last < piece.end else piece
            if last == end:
                return

    def _outlived(self, number: int, hit: int, following: int) -> bool:
        """Tell whether the entry that is read dies before a next call, and an hour would not."""
        if hit < 0 or following < 0 or self._entries.lives[hit] > _SECONDS[_SHORT]:
            return False
        calls = self._basis.workload.calls
        gap = calls[following].at - calls[number].at
        return _SECONDS[_SHORT] <= gap < _SECONDS[_LONG]

    def _left(self, number: int, piece: Piece, pending: int) -> _After:
        """Return what a token costs more later, with what is really held in mind."""
        values = self._after.get(piece.end)
        if values is not None:
            return values[number]
        plain, short, long = self._basis.outlook.left(number, piece)
        if piece.call < 0:
            return plain, short, long
        following = self._basis.workload.calls[piece.call].at
        if self._basis.outlook.is_late(number, piece):
            short, long = max(short, piece.wait), max(long, piece.wait)
        if pending >= piece.end and self._entries.dead[pending] > following:
            plain = min(plain, 0 if self._entries.ready[pending] <= following else piece.wait)
        return plain, short, long

    def _marked(
        self, number: int, hit: int, alive: Sequence[int], written: Sequence[int], long: int
    ) -> list[int]:
        """Choose the joints to mark, in prompt order, with the slots there are.

        What is read and the ends of what is written come first; then forks that later
        calls read, those that hold most before the others.
        """
        basis, call = self._basis, self._basis.workload.calls[number]
        slots = BREAKPOINTS
        if call.rounds and basis.workload.assume.server_tool_slot:
            slots -= 1
        must = {written[-1]} if written else set[int]()
        if long:
            must.add(written[long - 1])
        also = [joint for joint in written if joint not in must and self._next(joint, number)]
        also += [joint for joint in alive if joint < hit and self._next(joint, number, old=True)]
        also.sort(reverse=True)
        if hit >= 0 and (len(must) + len(also) < slots or not self._near(hit, must)):
            must.add(hit)
        room = len(basis.costs) if self._wanted is None else slots - len(must)
        return sorted(must.union(also[:room]))

    def _near(self, hit: int, marked: Iterable[int]) -> bool:
        """Tell whether a breakpoint further on would find this entry by itself."""
        basis = self._basis
        nodes, places = basis.skeleton.nodes, basis.places
        reach = basis.workload.assume.lookback
        return any(places[nodes[joint]] - places[nodes[hit]] < reach for joint in marked)

    def _next(self, joint: int, number: int, *, old: bool = False) -> bool:
        """Tell whether an entry will be read that needs this call's breakpoint for it."""
        if self._wanted is None:
            return self._basis.forks[joint]
        readers = self._wanted.get(joint, ())
        index = bisect_right(readers, number)
        if index == len(readers):
            return False
        return not old or self._entries.dead[joint] <= self._basis.workload.calls[readers[index]].at

    def _keep(self, number: int, hit: int, marks: Sequence[tuple[int, Lifetime]]) -> None:
        """Leave behind what the service would keep."""
        basis, call = self._basis, self._basis.workload.calls[number]
        entries = self._entries
        if hit >= 0:
            entries.refresh(hit, call.at)
        ready = call.at
        if basis.workload.assume.visible == "first-token":
            ready = readable_from(call)
        for joint, lifetime in marks:
            if joint > hit:
                entries.write(joint, call.at, ready, _SECONDS[lifetime])
            else:
                entries.refresh(joint, call.at)
        if marks and basis.skeleton.ends[number] > basis.ends[number]:
            at = last_use(call, basis.workload)
            later = ready - call.at + at
            entries.write(basis.skeleton.ends[number], at, later, _SECONDS[_SHORT])


def _readers(basis: Basis, hits: Sequence[int], *, eager: bool) -> dict[int, list[int]]:
    """Return by joint the calls that read exactly up to it, or turned off there."""
    readers: dict[int, list[int]] = {}
    for number, hit in enumerate(hits):
        turn = min(basis.turns[number], basis.ends[number]) if eager else hit
        for joint in {hit, turn}:
            if joint >= 0:
                readers.setdefault(joint, []).append(number)
    return readers


def _values(basis: Basis, hits: Sequence[int], joint: int) -> dict[int, _After]:
    """Weigh lifetimes at one fork by which calls read exactly there, and which beyond.

    A call that reads beyond a fork keeps the entry there alive but cannot make it, so one
    that dies stays dead until a call comes that reads no further. It also needs whatever
    wrote what it reads, and a call that leaves the fork plain has not written it. What a
    call writes may not be readable yet at the next one; what it found is.
    """
    calls, skeleton = basis.workload.calls, basis.skeleton
    after: dict[int, _After] = {}
    # What a token costs from the following call on, by how it stands there, over the least
    # of these; ``bare`` is cold with nothing written beyond either.
    cold = bare = held_short = held_long = waiting = 0
    following, beyond = _NEVER, -1
    for number in reversed(skeleton.through(joint)):
        uncached, short, long, read = basis.costs[number]
        call = calls[number]
        gap = following - call.at
        reads_on = hits[number] > joint
        plain = bare if not reads_on and skeleton.passes(number, beyond) else cold
        left_short = held_short if 0 <= gap < _SECONDS[_SHORT] else cold
        left_long = held_long if 0 <= gap < _SECONDS[_LONG] else cold
        late = waiting if call.at <= following < readable_from(call) else 0
        write_short = max(left_short if gap < _SECONDS[_SHORT] else plain, late)
        write_long = max(left_long if gap < _SECONDS[_LONG] else plain, late)
        after[number] = plain, write_short, write_long
        held_short, held_long = read + left_short, read + left_long
        bare = min(uncached + plain, short + write_short, long + write_long)
        if reads_on:
            cold, waiting = read + plain, read + left_short
        else:
            cold, waiting = bare, min(bare, uncached + left_short)
            share = found(call, basis.workload)
            held_short = int(cold + share * (held_short - cold))
            held_long = int(cold + share * (held_long - cold))
        least = min(cold, bare, held_short, held_long, waiting)
        cold, bare, waiting = cold - least, bare - least, waiting - least
        held_short, held_long = held_short - least, held_long - least
        following, beyond = call.at, hits[number]
    return after
