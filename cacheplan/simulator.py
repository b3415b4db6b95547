"""The service's cache, imitated. This file is the only one that knows its behaviour.

What the service documents is followed to the letter; what it leaves open is a switch of
``Assumptions``; what was measured outranks both. The words A, B and C are those of the
documentation: A is how far the prompt was read, B the last 1-hour breakpoint after it,
C the last breakpoint. Reading pays up to A, a 1-hour write A to B, a 5-minute write B to
C, and the rest is uncached.

Working state is a handful of lists by node of the prefix tree, because a call is served
in microseconds or not at all: one entry a node (two where lifetimes are part of the
key), each with the moment it can be read from, the moment it dies and its lifetime.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cacheplan.assumptions import Assumptions
from cacheplan.errors import RejectedError
from cacheplan.facts import BREAKPOINTS, FIRST_DATE, PLATFORMS, find, moment
from cacheplan.prefixes import SETTINGS, PrefixTree
from cacheplan.prices import Tariff
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.refusals import THINKING_REFUSAL, number_refusal, order_refusal, target_refusal
from cacheplan.usage import Usage
from cacheplan.workload import Call

__all__ = ["SimulatedCache", "lengths", "misplaced", "positions"]

_NEVER, _EVER = float("-inf"), float("inf")
#: No prefix is this long, so nothing is cacheable where the minimum is unknown.
_UNREACHABLE = 1 << 62
#: Two moments closer than this are one: seconds since 1970 as floats are this coarse, so
#: a sum of two of them may come out later than the third that it equals.
_TICK = 1e-6
#: Farther apart than any lookback reaches.
_APART = 1 << 20
_THINKING = frozenset({"thinking", "redacted_thinking"})
_RUNS = frozenset({"tool_use", "tool_result"})
_HOUR = Lifetime.ONE_HOUR
_SECONDS = {lifetime: float(lifetime.seconds) for lifetime in Lifetime}


def positions(tree: PrefixTree, assume: Assumptions, *, collapse: bool) -> list[int]:
    """Number every node by its position on its path; the lookback counts in these.

    Everybody who asks the same of one tree is given the same list.
    """
    riding = not assume.thinking_positions
    apart = 0 if assume.lookback_crosses_levels else _APART
    numbers: list[int] = tree.derived.setdefault((positions, collapse, riding, apart), [])
    if len(numbers) == len(tree):
        return numbers
    block, kind, level = tree.block, tree.kind, tree.level
    steps: list[bool] = tree.derived.setdefault((positions, "steps", riding), [])
    runs: list[bool] = tree.derived.setdefault((positions, "runs", collapse), [])
    # At call time a tree grows by a few blocks a call, so no more than those are looked at.
    steps += [
        not (word == SETTINGS or (riding and word in _THINKING)) for word in kind[len(steps) :]
    ]
    runs += [collapse and word in _RUNS for word in kind[len(runs) :]]
    first = len(numbers)
    for above, last in zip(tree.parent[first:], block[first:], strict=True):
        if above < 0:
            numbers.append(-_APART)
            continue
        number = max(numbers[above], 0)
        before = block[above]
        if steps[last] and not (runs[last] and before >= 0 and kind[before] == kind[last]):
            number += 1
        if apart and before >= 0 and level[before] is not level[last]:
            number += apart
        numbers.append(number)
    return numbers


def misplaced(tree: PrefixTree) -> bytearray:
    """Mark every prefix that holds a thinking block whose own prefix has changed.

    A thinking block is bound to what it was made after: tools, system and earlier
    messages as they stood when it was first seen, in the order of the source. Only
    models that check this are looked at, and each scope by itself.
    """
    marked, bound = bytearray(len(tree)), bytearray(len(tree))
    for scope, start in tree.roots.items():
        found = find(scope.model.partition("@")[0])
        bound[start] = found is not None and found.model.thinking_bound
    #: By node: the same number for prefixes that differ in settings alone.
    content = list(range(len(tree)))
    numbers: dict[tuple[int, int], int] = {}
    root = list(range(len(tree)))
    made_after: dict[tuple[int, int], int] = {}
    for node, above in enumerate(tree.parent):
        if above < 0 or not bound[above]:
            continue
        block = tree.block[node]
        bound[node], marked[node], root[node] = 1, marked[above], root[above]
        if tree.kind[block] == SETTINGS:
            content[node] = content[above]
            continue
        content[node] = numbers.setdefault((content[above], block), node)
        if tree.kind[block] in _THINKING:
            first = made_after.setdefault((root[node], block), content[above])
            marked[node] |= first != content[above]
    return marked


def lengths(tree: PrefixTree, assume: Assumptions) -> list[int]:
    """Measure every prefix as it is billed: without thinking that the service drops."""
    if assume.thinking_check != "drop":
        return tree.tokens
    gone = misplaced(tree)
    measured = list(tree.tokens)
    for node, above in enumerate(tree.parent):
        if above >= 0:
            dropped = gone[node] and tree.kind[tree.block[node]] in _THINKING
            own = 0 if dropped else tree.tokens[node] - tree.tokens[above]
            measured[node] = measured[above] + own
    return measured


class SimulatedCache:
    """Serves calls in time order and says what each would have been charged.

    ``minimum`` tells how long a prefix must be to be cached under a tariff, ``None``
    where nobody knows; it is asked once per tariff.
    """

    def __init__(
        self,
        tree: PrefixTree,
        minimum: Callable[[Tariff], int | None],
        assume: Assumptions | None = None,
    ) -> None:
        self.tree = tree
        self.assume = assume = assume or Assumptions()
        self._minimum = minimum
        self._floors: dict[Tariff, int] = {}
        #: By node: tokens of the prefix as they are billed.
        self._tokens = tree.tokens
        self._misplaced = bytearray()
        #: How much of the tree there is room for.
        self._grown = 0
        self._flat: list[int] = []
        self._runs: list[int] = []
        #: By entry: readable from, dead from, and the lifetime it restores.
        self._ready: list[float] = []
        self._dead: list[float] = []
        self._lives: list[float] = []
        #: Entries found by the breakpoints of one call, where lifetimes are in the key.
        self._tied: list[int] = []
        #: Entries of the two lifetimes lie side by side where lifetimes are in the key.
        self._width = 2 if assume.lifetime_in_key else 1
        self._grace = assume.grace
        self._reach = assume.lookback
        self._restores = assume.refresh
        self._refreshes_all = assume.refreshed == "all"
        self._upgrades = assume.remark == "upgrade"
        self._from_first_token = assume.visible == "first-token"
        self._hit_rate = {"messages": assume.hit_rate, "batch": assume.batch_hit_rate}
        self._runs_since: dict[str, float] = {}
        self._credit = dict.fromkeys(self._hit_rate, 0.0)
        #: True under the usual answers, where some questions need not be asked each time:
        #: what is written is found; and reading refreshes entries, each for its own lifetime.
        self._sure = min(self._hit_rate.values()) >= 1
        self._plain = (
            self._width == 1
            and self._restores == "own"
            and assume.refreshed != "hit"
            and not assume.write_inside_read
        )

    def serve(self, call: Call, breakpoints: Sequence[Breakpoint]) -> Usage:
        """Charge one call and keep what it leaves behind; raise if the service says no.

        Calls come in time order. Where server tools made the service call itself again,
        each round is served in turn, with the service's own 5-minute breakpoint on the
        newest answer, and the sum is charged.
        """
        if self._grown < len(self.tree.parent):
            self._grow()
        if breakpoints and breakpoints is call.marks and call.refused is not None:
            raise RejectedError(call.refused)
        if self.assume.thinking_check == "reject" and self._misplaced[call.tip]:
            raise RejectedError(THINKING_REFUSAL)
        rounds = call.rounds and breakpoints and self.assume.server_tool_marks
        slots = BREAKPOINTS - 1 if rounds and self.assume.server_tool_slot else BREAKPOINTS
        usage = self._serve(call, breakpoints, call.at, call.tip, slots)
        if rounds:
            usage += self._serve_rounds(call, breakpoints)
        # Who got an error is not charged, whatever the attempt left behind.
        return Usage() if call.failed else usage

    def clear(self) -> None:
        """Forget every entry; what was worked out about the tree stays."""
        self._dead = [_NEVER] * len(self._dead)
        self._credit = dict.fromkeys(self._credit, 0.0)

    def _serve_rounds(self, call: Call, breakpoints: Sequence[Breakpoint]) -> Usage:
        """Serve the rounds after the first; what each wrote is there for the next."""
        total, at = Usage(), call.at
        for node in call.rounds:
            at += call.first_token_after
            marks = (*breakpoints, Breakpoint(node, Lifetime.FIVE_MINUTES))
            round_ = self._serve(call, marks, at, node, BREAKPOINTS + 1)
            total += Usage(round_.uncached, round_.write_5m, round_.write_1h, round_.read)
        return total

    def _serve(
        self, call: Call, breakpoints: Sequence[Breakpoint], at: float, tip: int, slots: int
    ) -> Usage:
        total = self._tokens[tip] + call.closing
        floor = self._floors.get(call.tariff)
        if floor is None:
            floor = self._floor(call.tariff)
        marks, long_end, end = self._admit(breakpoints, floor, slots)
        if not end:
            return Usage(total, 0, 0, 0, call.output)
        hit = self._look_back(call, marks, at)
        read = self._tokens[hit // self._width] if hit >= 0 else 0
        if not call.failed or self.assume.failed_calls_write:
            self._keep(call, marks, at, hit)
        long_end = max(long_end, read)
        end = max(end, read)
        return Usage(total - end, end - long_end, long_end - read, read, call.output)

    def _admit(
        self, breakpoints: Sequence[Breakpoint], floor: int, slots: int
    ) -> tuple[Sequence[Breakpoint], int, int]:
        """Refuse what the service refuses; drop what is too short to count.

        Returns the breakpoints that do anything, in prompt order, and where the last
        1-hour one and the last of all stand, in tokens. A longer prefix is a larger
        node, so prompt order is the order of the nodes.
        """
        if len(breakpoints) > slots:
            raise RejectedError(number_refusal(len(breakpoints)))
        tokens, unmarkable = self._tokens, self.tree.unmarkable
        counting = breakpoints
        long_end = end = short = 0
        before = -1
        for node, lifetime in breakpoints:
            if node < before:
                return self._admit(sorted(breakpoints), floor, slots)
            if unmarkable[node]:
                raise RejectedError(target_refusal(self.tree, node))
            before = node
            length = tokens[node]
            if lifetime is not _HOUR:
                short += 1
            elif short:
                raise RejectedError(order_refusal(self.tree, node))
            if length < floor:
                counting = [mark for mark in counting if tokens[mark.node] >= floor]
            elif length >= end:
                end = length
                if lifetime is _HOUR:
                    long_end = length
        return counting, long_end, end

    def _look_back(self, call: Call, marks: Sequence[Breakpoint], at: float) -> int:
        """Return the longest live entry within reach of a breakpoint, -1 if none.

        Breakpoints are tried last to first. A walk passes every prefix down to where it
        stops, so the first entry found is the longest of all.
        """
        if self._width > 1:
            return self._look_back_by_lifetime(call, marks, at)
        parent, ready, dead = self.tree.parent, self._ready, self._dead
        place = self._positions(call)
        alive = at - self._grace
        for mark in reversed(marks):
            node = mark[0]
            stop = place[node] - self._reach
            while place[node] > stop:
                if dead[node] > alive and ready[node] <= at:
                    return node if self._sure or self._found(call) else -1
                node = parent[node]
        return -1

    def _look_back_by_lifetime(self, call: Call, marks: Sequence[Breakpoint], at: float) -> int:
        """Do the same where a breakpoint finds only entries of its own lifetime."""
        place = self._positions(call)
        alive = at - self._grace
        best = -1
        self._tied = []
        for start, lifetime in marks:
            node, lane = start, int(lifetime is _HOUR)
            stop = place[start] - self._reach
            while place[node] > stop:
                entry = 2 * node + lane
                if self._dead[entry] > alive and self._ready[entry] <= at:
                    best = max(best, entry)
                    self._tied.append(entry)
                    break
                node = self.tree.parent[node]
        return best if best >= 0 and self._found(call) else -1

    def _found(self, call: Call) -> bool:
        """Tell whether the service still has what it promised, at the stated hit rate.

        Spread evenly rather than drawn, so that a projection is the same every time.
        """
        surface = call.tariff.surface
        rate = self._hit_rate.get(surface, 1.0)
        if rate >= 1:
            return True
        self._credit[surface] += rate
        if self._credit[surface] < 1 - 1e-9:
            return False
        self._credit[surface] -= 1
        return True

    def _keep(self, call: Call, marks: Sequence[Breakpoint], at: float, hit: int) -> None:
        """Refresh what was read and write one entry per breakpoint beyond it.

        A longer prefix is a larger node, also where its last block has no tokens.
        """
        ready, dead, lives = self._ready, self._dead, self._lives
        beyond, alive, plain = hit // self._width, at - self._grace, self._plain
        if hit >= 0:
            self._refresh_hit(hit, at, marks)
        readable = at + call.first_token_after - _TICK if self._from_first_token else at
        for mark in marks:
            node, lifetime = mark
            entry = node if self._width == 1 else 2 * node + (lifetime is _HOUR)
            if node > beyond:
                if dead[entry] > alive:
                    self._write_again(entry, readable, at, _SECONDS[lifetime])
                else:
                    ready[entry] = readable
                    lives[entry] = seconds = _SECONDS[lifetime]
                    dead[entry] = at + seconds
            elif entry != hit and not plain:
                self._touch(entry, mark, at, readable)
            elif entry != hit and dead[entry] > alive and ready[entry] <= at:
                dead[entry] = max(dead[entry], at + lives[entry])
            if self._upgrades and lifetime is _HOUR and node <= beyond:
                self._lengthen(entry, at)
        if self._refreshes_all and hit >= 0:
            self._refresh_below(hit, at, marks)

    def _refresh_hit(self, hit: int, at: float, marks: Sequence[Breakpoint]) -> None:
        """Refresh the entry that was read, and its twin where both lifetimes found one."""
        if self._plain:
            self._dead[hit] = max(self._dead[hit], at + self._lives[hit])
            return
        self._refresh(hit, at, marks)
        for entry in self._tied:
            if entry // 2 == hit // self._width:
                self._refresh(entry, at, marks)

    def _refresh_below(self, hit: int, at: float, marks: Sequence[Breakpoint]) -> None:
        """Refresh every live entry under the one that was hit."""
        for node in self.tree.upward(hit // self._width):
            for entry in range(node * self._width, (node + 1) * self._width):
                if self._dead[entry] > at - self._grace and self._ready[entry] <= at:
                    self._refresh(entry, at, marks)

    def _touch(self, entry: int, mark: Breakpoint, at: float, readable: float) -> None:
        """Do what a breakpoint inside the part that was read does to its own prefix."""
        if self._dead[entry] > at - self._grace and self._ready[entry] <= at:
            if self.assume.refreshed != "hit":
                self._refresh(entry, at, (mark,))
        elif self.assume.write_inside_read:
            self._write_again(entry, readable, at, _SECONDS[mark.lifetime])

    def _write_again(self, entry: int, readable: float, at: float, seconds: float) -> None:
        """Write an entry; one that is alive but not readable yet keeps its better half."""
        dies = at + seconds
        if self._dead[entry] > at - self._grace:
            readable = min(readable, self._ready[entry])
            seconds = max(seconds, self._lives[entry])
            dies = max(dies, self._dead[entry])
        self._ready[entry] = readable
        self._lives[entry] = seconds
        self._dead[entry] = dies

    def _refresh(self, entry: int, at: float, marks: Sequence[Breakpoint]) -> None:
        """Start an entry's lifetime anew; it never dies earlier than it would have."""
        seconds = self._lives[entry]
        if self._restores != "own" and self._width == 1:
            reader = self._reader(marks, entry)
            seconds = reader if self._restores == "reader" else max(seconds, reader)
        self._dead[entry] = max(self._dead[entry], at + seconds)

    def _reader(self, marks: Sequence[Breakpoint], entry: int) -> float:
        """Return the lifetime of the first breakpoint at or after an entry, in seconds."""
        node = entry // self._width
        return next(_SECONDS[lifetime] for start, lifetime in marks if start >= node)

    def _lengthen(self, entry: int, at: float) -> None:
        """Turn a live 5-minute entry into a 1-hour one."""
        if self._dead[entry] > at - self._grace:
            self._lives[entry] = _SECONDS[_HOUR]
            self._dead[entry] = max(self._dead[entry], at + self._lives[entry])

    def _positions(self, call: Call) -> list[int]:
        """Return the positions that count for one call: by platform, and by its day."""
        since = self._runs_since.get(call.tariff.platform)
        if since is None:
            since = self._runs_since[call.tariff.platform] = self._collapses(call.tariff.platform)
        return (
            self._runs
            if since <= call.at or (call.at < FIRST_DATE and since < _EVER)
            else self._flat
        )

    def _collapses(self, platform: str) -> float:
        """Return from when on a run of tool calls is one position."""
        if self.assume.collapse_runs != "dated":
            return _NEVER if self.assume.collapse_runs == "on" else _EVER
        row = PLATFORMS.get(platform)
        if row is None or row.collapses_runs_since is None:
            return _EVER
        return moment(row.collapses_runs_since)

    def _floor(self, tariff: Tariff) -> int:
        """Return the shortest prefix that is cached under a tariff."""
        minimum = self._minimum(tariff)
        floor = self._floors[tariff] = _UNREACHABLE if minimum is None else max(minimum, 1)
        return floor

    def _grow(self) -> None:
        """Make room for prefixes the tree has got since."""
        self._grown = len(self.tree)
        self._flat = positions(self.tree, self.assume, collapse=False)
        self._runs = positions(self.tree, self.assume, collapse=True)
        if self.assume.thinking_check != "ignore":
            self._misplaced = misplaced(self.tree)
            self._tokens = lengths(self.tree, self.assume)
        more = self._grown * self._width - len(self._dead)
        self._ready.extend([0.0] * more)
        self._dead.extend([_NEVER] * more)
        self._lives.extend([0.0] * more)

    def check(self) -> None:
        """Assert what always holds; called after each step of stress tests."""
        assert self._grown <= len(self._flat) == len(self._runs), "one position a node"
        for entry, dead in enumerate(self._dead):
            node = entry // self._width
            if dead == _NEVER:
                continue
            assert not self.tree.unmarkable[node], "an entry stands only where a mark may"
            assert self._lives[entry] in _SECONDS.values(), "an entry has one of two lifetimes"
            assert self._tokens[node] >= min(self._floors.values()), "no entry is too short"
        for node, above in enumerate(self.tree.parent[: self._grown]):
            if above >= 0:
                assert self._runs[node] <= self._flat[node], "collapsing brings nothing nearer"
