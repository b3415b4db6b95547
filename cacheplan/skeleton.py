"""A workload reduced to what a plan can change: where prompts part, and where they end.

An entry can only stand on a prefix that takes a mark and is long enough, so tokens
between two such prefixes are read together or not at all; and prefixes that exactly the
same calls go through are best treated alike. What remains is a tree with at most two
joints a call, however long the prompts are.

The joints are cut into lines (heavy paths), so that a prompt is the beginnings of a few
lines. A call touches each of these as a whole, which leaves the touched part in few
pieces; so work over a whole workload is near linear in its calls, where going through
each prompt would be quadratic in the turns of a conversation. This module knows lengths,
minimums and prices, and which calls are billed; it knows nothing of entries.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from cacheplan.prices import Rate, Sheet
from cacheplan.simulator import lengths as measured
from cacheplan.simulator import misplaced
from cacheplan.workload import Call, Workload

__all__ = ["Price", "Skeleton", "billed", "prices", "roots"]

#: No prefix is this long, so nothing is cacheable where the minimum is unknown.
_UNREACHABLE = 1 << 62


class Price(NamedTuple):
    """What one prompt token of a call costs, in whole units that make every sum exact."""

    uncached: int
    short: int
    long: int
    read: int


class Skeleton:
    """The joints of a workload's tree, in lines, and the joint each call ends at.

    A ``fine`` one has a joint just before each joint, too.
    """

    def __init__(self, workload: Workload, sheet: Sheet, *, fine: bool = False) -> None:
        lengths = measured(workload.tree, workload.assume)
        above, holds = _holders(workload, sheet, lengths)
        deepest = [holds[_last(workload, call)] for call in workload.calls]
        joints = _joints(above, deepest)
        if fine:
            for node in [node for node, kept in enumerate(joints) if kept and above[node] >= 0]:
                joints[above[node]] = 1
        #: By joint: its node of the workload's tree. A longer prefix is a larger joint.
        self.nodes = [node for node, kept in enumerate(joints) if kept]
        #: By joint: tokens of the whole prefix.
        self.tokens = [lengths[node] for node in self.nodes]
        #: By call: tokens of the whole prompt.
        self.prompts = [lengths[call.tip] + call.closing for call in workload]
        number = {node: joint for joint, node in enumerate(self.nodes)}
        number[-1] = -1
        #: By call: the joint that ends what of it an entry can hold, -1 if nothing.
        self.ends = [number[node] for node in deepest]
        kept_above = list(above)
        for node, shorter in enumerate(above):
            if shorter >= 0 and not joints[shorter]:
                kept_above[node] = kept_above[shorter]
        #: By joint: the joint before it, -1 if there is none.
        self.parent = [number[kept_above[node]] for node in self.nodes]
        self._cut()
        self._first, self._behind = _walk(self.parent)
        #: Where each call ends in the order of that walk, and its number.
        self._order = sorted(
            (self._first[end], number) for number, end in enumerate(self.ends) if end >= 0
        )

    def _cut(self) -> None:
        """Cut the joints into lines: a line goes on where most calls go on."""
        calls = [0] * len(self.nodes)
        for end in self.ends:
            if end >= 0:
                calls[end] += 1
        most = [0] * len(calls)
        heavy = [-1] * len(calls)
        for joint in range(len(calls) - 1, -1, -1):
            shorter = self.parent[joint]
            if shorter >= 0:
                calls[shorter] += calls[joint]
                if calls[joint] >= most[shorter]:
                    most[shorter], heavy[shorter] = calls[joint], joint
        #: By joint: its line and its place in it.
        self.line = [-1] * len(calls)
        self.rank = [0] * len(calls)
        #: By line: its joints, the shortest first, and the joint it hangs off.
        self.lines: list[list[int]] = []
        self.hangs: list[int] = []
        #: By line: the first line of its family, whose prompts begin with one joint.
        self.family: list[int] = []
        for joint, shorter in enumerate(self.parent):
            if shorter >= 0 and heavy[shorter] == joint:
                line = self.line[shorter]
            else:
                line = len(self.lines)
                self.lines.append([])
                self.hangs.append(shorter)
                self.family.append(line if shorter < 0 else self.family[self.line[shorter]])
            self.line[joint] = line
            self.rank[joint] = len(self.lines[line])
            self.lines[line].append(joint)

    def stretches(self, end: int) -> Iterator[tuple[int, int]]:
        """Yield the lines a prompt runs through and how many joints of each, deepest first."""
        while end >= 0:
            line = self.line[end]
            yield line, self.rank[end] + 1
            end = self.hangs[line]

    def through(self, joint: int) -> list[int]:
        """Return the calls whose prompts go through a joint, in time order."""
        start = bisect_left(self._order, (self._first[joint], -1))
        stop = bisect_left(self._order, (self._behind[joint], -1))
        return sorted(number for _, number in self._order[start:stop])

    def passes(self, number: int, joint: int) -> bool:
        """Tell whether a call's prompt goes through a joint; none goes through -1."""
        return joint >= 0 and (
            self._first[joint] <= self._first[self.ends[number]] < self._behind[joint]
        )

    def forks(self) -> list[bool]:
        """Tell by joint whether a call ends there, or turns off there, that others passed."""
        joints = len(self.nodes)
        ways, ended, first = [0] * joints, [-1] * joints, [len(self.ends)] * joints
        for number, end in enumerate(self.ends):
            if end >= 0:
                ways[end] += ended[end] >= 0
                ended[end] = number
                first[end] = min(first[end], number)
        for joint in range(joints - 1, -1, -1):
            shorter = self.parent[joint]
            if shorter >= 0:
                ways[shorter] += 1
                first[shorter] = min(first[shorter], first[joint])
        return [ways[joint] > 1 or first[joint] < ended[joint] for joint in range(joints)]


def billed(workload: Workload) -> Workload:
    """Return the workload without the calls that, however marked, cost and leave nothing."""
    assume, calls = workload.assume, list(workload)
    if not assume.failed_calls_write:
        calls = [call for call in calls if not call.failed]
    if assume.thinking_check == "reject":
        refused = misplaced(workload.tree)
        calls = [call for call in calls if not refused[call.tip]]
    return workload if len(calls) == len(workload) else replace(workload, calls=calls)


def prices(workload: Workload, sheet: Sheet) -> tuple[list[Price], int] | None:
    """Return each call's price in whole units, and how many units make a dollar.

    ``None`` where a price is unknown. A call that server tools split into rounds may be
    charged in a higher band than its prompt alone; the lower one is taken. Nor can its
    answers be written for an hour, so there an hour is no dearer than what they can be.
    A call that failed is not charged.
    """
    lengths = measured(workload.tree, workload.assume)
    rates = [
        sheet.rate(call.tariff, call.at, lengths[call.tip] + call.closing) for call in workload
    ]
    known: dict[int, Rate] = {}
    for rate in rates:
        if rate is None:
            return None
        known[id(rate)] = rate
    places = max((_places(rate) for rate in known.values()), default=0)
    units = 10**places
    whole = {key: _whole(rate, units) for key, rate in known.items()}
    each = [whole[id(rate)] for rate in rates]
    for number, call in enumerate(workload):
        if call.failed:
            each[number] = Price(0, 0, 0, 0)
        elif call.rounds:
            one = each[number]
            each[number] = one._replace(long=min(one.long, one.short + one.uncached))
    return each, units


def _places(rate: Rate) -> int:
    """Count the decimal places that the prices of a prompt token need."""
    each = (rate.uncached, rate.write_5m, rate.write_1h, rate.read)
    return max(max(0, -_exponent(price)) for price in each)


def _exponent(price: Decimal) -> int:
    exponent = price.normalize().as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _whole(rate: Rate, units: int) -> Price:
    each = (rate.uncached, rate.write_5m, rate.write_1h, rate.read)
    return Price(*(int(price * units) for price in each))


def _last(workload: Workload, call: Call) -> int:
    """Return the longest prefix a call can leave an entry for, answers of tools included."""
    rounds = call.rounds if workload.assume.server_tool_marks else ()
    return max((call.tip, *rounds))


def _holders(
    workload: Workload, sheet: Sheet, lengths: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Find where entries can stand.

    By node: the nearest shorter prefix that can hold one, and the same with the node
    itself counted; -1 if there is none.
    """
    tree = workload.tree
    root = roots(workload)
    floors = _floors(workload, sheet, root)
    above, holds = [-1] * len(tree), [-1] * len(tree)
    for node, shorter in enumerate(tree.parent):
        if shorter >= 0:
            above[node] = holds[shorter]
            long = lengths[node] >= floors.get(root[node], _UNREACHABLE)
            holds[node] = node if long and not tree.unmarkable[node] else above[node]
    return above, holds


def roots(workload: Workload) -> list[int]:
    """Return the root of every node."""
    root = list(range(len(workload.tree)))
    for node, shorter in enumerate(workload.tree.parent):
        if shorter >= 0:
            root[node] = root[shorter]
    return root


def _floors(workload: Workload, sheet: Sheet, root: list[int]) -> dict[int, int]:
    """Return by root the shortest prefix that is cached; the least of all its tariffs."""
    floors: dict[int, int] = {}
    for top, tariff in {(root[call.tip], call.tariff) for call in workload}:
        least = sheet.minimum(tariff.model, tariff.platform, workload.assume)
        if least is not None:
            floors[top] = min(floors.get(top, _UNREACHABLE), max(least, 1))
    return floors


def _joints(above: list[int], deepest: list[int]) -> bytearray:
    """Mark the nodes where a call ends, and those where the paths of two calls part."""
    kept, branches = bytearray(len(above)), bytearray(len(above))
    for node in deepest:
        if node >= 0:
            kept[node] = branches[node] = 1
    for node in range(len(above) - 1, -1, -1):
        if branches[node]:
            shorter = above[node]
            if shorter >= 0:
                kept[shorter] |= branches[shorter]
                branches[shorter] = 1
    return kept


def _walk(parent: Sequence[int]) -> tuple[list[int], list[int]]:
    """Number a forest so that whatever hangs behind a joint follows it without a gap."""
    size = [1] * len(parent)
    for joint in range(len(parent) - 1, -1, -1):
        if parent[joint] >= 0:
            size[parent[joint]] += size[joint]
    first, room = [0] * len(parent), [0] * len(parent)
    free = 0
    for joint, shorter in enumerate(parent):
        if shorter < 0:
            first[joint] = free
            free += size[joint]
        else:
            first[joint] = room[shorter]
            room[shorter] += size[joint]
        room[joint] = first[joint] + 1
    return first, [start + length for start, length in zip(first, size, strict=True)]
