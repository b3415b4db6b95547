"""The least that prompts can cost if a prefix is held only with the shorter ones before it.

After each call, each joint on its way is held for 5 minutes or more, or not; for an hour,
or not. What that costs compares two such answers at a time, and so does the order: who
holds a prefix holds what is shorter, for as long. A sum of such terms is least at a
minimum cut through a network with one knot an answer. That is exact for what it supposes
and holds under every answer to every open question; but a cut takes long, so it is made
only for families of prompts that are small and in which the order matters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from cacheplan.outlook import Outlook
from cacheplan.prompt import Lifetime
from cacheplan.skeleton import Price, Skeleton
from cacheplan.sweep import last_use
from cacheplan.workload import Workload

__all__ = ["Network", "nested"]

_SHORT, _LONG = (float(lifetime.seconds) for lifetime in Lifetime)
#: Joints on the way of all calls that are cut, call by call. Cuts of this size together
#: take about a second (measured on drawn families of 1,500 to 20,000 calls).
_LIMIT: Final = 50_000


class Network:
    """Knots and pipes; knot 0 is the source, knot 1 the sink."""

    def __init__(self) -> None:
        self._pipes: list[list[int]] = [[], []]
        self._to: list[int] = []
        self._room: list[int] = []

    def knot(self) -> int:
        """Add a knot and return its number."""
        self._pipes.append([])
        return len(self._pipes) - 1

    def pipe(self, one: int, other: int, room: int) -> None:
        """Let this much flow from one knot to another."""
        if room > 0:
            for start, end, space in ((one, other, room), (other, one, 0)):
                self._pipes[start].append(len(self._to))
                self._to.append(end)
                self._room.append(space)

    def flow(self) -> int:
        """Return how much flows from source to sink at most: what the least cut costs."""
        total = 0
        while (levels := self._levels())[1] >= 0:
            tried = [0] * len(self._pipes)
            while pushed := self._push(levels, tried):
                total += pushed
        return total

    def _levels(self) -> list[int]:
        """Return how far each knot is from the source, -1 if nothing gets there."""
        levels = [-1] * len(self._pipes)
        levels[0] = 0
        queue = [0]
        for knot in queue:
            for pipe in self._pipes[knot]:
                if self._room[pipe] and levels[self._to[pipe]] < 0:
                    levels[self._to[pipe]] = levels[knot] + 1
                    queue.append(self._to[pipe])
        return levels

    def _push(self, levels: Sequence[int], tried: list[int]) -> int:
        """Send as much as fits along one shortest way; 0 if no such way is left."""
        way: list[int] = []
        knot = 0
        while knot != 1:
            pipes = self._pipes[knot]
            while tried[knot] < len(pipes):
                pipe = pipes[tried[knot]]
                if self._room[pipe] and levels[self._to[pipe]] == levels[knot] + 1:
                    way.append(pipe)
                    knot = self._to[pipe]
                    break
                tried[knot] += 1
            else:
                if not way:
                    return 0
                knot = self._to[way.pop() ^ 1]
                tried[knot] += 1
        room = min(self._room[pipe] for pipe in way)
        for pipe in way:
            self._room[pipe] -= room
            self._room[pipe ^ 1] += room
        return room


def nested(
    workload: Workload, skeleton: Skeleton, costs: Sequence[Price], outlook: Outlook
) -> list[int]:
    """Return by family the least it can cost; what the outlook says where no cut is made."""
    least = list(outlook.least)
    room = _LIMIT
    for family, numbers in _families(skeleton).items():
        paths = _paths(skeleton, numbers, room)
        ordered = all(
            costs[number].read
            <= costs[number].uncached
            <= costs[number].short
            <= costs[number].long
            for number in numbers
        )
        if paths is None or not ordered:
            continue
        if _in_order(workload, costs, outlook, paths):
            continue
        room -= sum(map(len, paths.values()))
        least[family] = max(least[family], _cut(workload, skeleton, costs, paths))
    return least


def _families(skeleton: Skeleton) -> dict[int, list[int]]:
    """Return the calls of each family, in time order."""
    families: dict[int, list[int]] = {}
    for number, end in enumerate(skeleton.ends):
        if end >= 0:
            families.setdefault(skeleton.family[skeleton.line[end]], []).append(number)
    return families


def _paths(skeleton: Skeleton, numbers: Sequence[int], most: int) -> dict[int, list[int]] | None:
    """Return the joints of each call, the shortest first; ``None`` if they are too many."""
    paths: dict[int, list[int]] = {}
    size = 0
    for number in numbers:
        path = []
        joint = skeleton.ends[number]
        while joint >= 0:
            path.append(joint)
            joint = skeleton.parent[joint]
        paths[number] = path[::-1]
        size += len(path)
        if size > most:
            return None
    return paths


def _reach(workload: Workload, before: int, number: int) -> int:
    """Return which lifetime lasts from one call to another: 1 any, 2 the hour, 0 none."""
    since = last_use(workload.calls[before], workload)
    until = workload.calls[number].at - workload.assume.grace
    if since + _SHORT > until:
        return 1
    return 2 if since + _LONG > until else 0


def _in_order(
    workload: Workload,
    costs: Sequence[Price],
    outlook: Outlook,
    paths: dict[int, list[int]],
) -> bool:
    """Tell whether the best for each joint by itself holds nothing longer than its start.

    Where two choices are as good, the longer that the order allows is taken.
    """
    held: dict[int, tuple[int, int]] = {}
    for number, path in paths.items():
        most = 2
        for joint, choices in zip(path, _choices(costs, outlook, number, path), strict=True):
            before, state = held.get(joint, (-1, 0))
            reach = _reach(workload, before, number) if before >= 0 else 0
            if reach and state >= reach:
                state = 2
            else:
                best = min(choices)
                allowed = [one for one in range(most + 1) if choices[one] == best]
                if not allowed:
                    return False
                most = state = allowed[-1]
            held[joint] = number, state
    return True


def _choices(
    costs: Sequence[Price], outlook: Outlook, number: int, path: Sequence[int]
) -> Iterator[tuple[int, int, int]]:
    """Yield by joint what it costs in the end to leave it plain, or write it."""
    uncached, short, long, _ = costs[number]
    pieces = iter(outlook.pieces[number])
    piece, choices = None, (0, 0, 0)
    for joint in path:
        if piece is None or piece.end < joint:
            piece = next(pieces)
            plain, after_short, after_long = outlook.left(number, piece)
            choices = uncached + plain, short + after_short, long + after_long
        yield choices


def _cut(
    workload: Workload,
    skeleton: Skeleton,
    costs: Sequence[Price],
    paths: dict[int, list[int]],
) -> int:
    """Return the least one family can cost with its prefixes held in order."""
    network = Network()
    always = 0
    endless = 1 + sum(
        max(costs[number]) * skeleton.tokens[path[-1]] for number, path in paths.items()
    )
    #: By joint: the call that used it last, and the knots of its two answers after it.
    held: dict[int, tuple[int, int, int]] = {}
    for number, path in paths.items():
        uncached, short, long, read = costs[number]
        above, length = None, 0
        for joint in path:
            weight, length = skeleton.tokens[joint] - length, skeleton.tokens[joint]
            some, hour = network.knot(), network.knot()
            network.pipe(hour, some, endless)
            if above is not None:
                network.pipe(some, above[0], endless)
                network.pipe(hour, above[1], endless)
            above = some, hour
            alive = 1
            if joint in held:
                before, *answers = held[joint]
                reach = _reach(workload, before, number)
                alive = answers[reach - 1] if reach else 1
            if alive != 1:
                network.pipe(0, alive, weight * (uncached - read))
            always += weight * (uncached if alive == 1 else read)
            network.pipe(some, alive, weight * (short - uncached))
            network.pipe(hour, alive, weight * (long - short))
            held[joint] = number, some, hour
    return always + network.flow()
