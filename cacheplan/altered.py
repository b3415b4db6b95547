"""The same calls with something of them otherwise: shorter, in a batch, or not sent.

Prompts are laid into a tree of their own, block by block, so that whoever simulates the
altered calls cannot tell them from recorded ones. This file knows prompts and calls; what
an alteration is worth, and whether anybody should make it, is for others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

import msgspec

from cacheplan.facts import PLATFORMS
from cacheplan.prefixes import SETTINGS, PrefixTree, Scope
from cacheplan.prompt import Block, Breakpoint
from cacheplan.workload import Call, Workload

__all__ = ["Alteration", "Graft", "Scopes", "able_to_wait", "alter", "days", "repeated", "shared"]

_DAY: Final = 86_400
#: Calls over less than an hour say little about a day, as elsewhere.
_HOUR: Final = 3_600


class Graft:
    """Lays prompts of any trees into one new tree.

    A prompt may go under another scope, and its lengths may be others: ``length`` says how
    many tokens the block that ends a prefix has there. What two prompts share in their own
    tree they share in the new one, unless their scopes part them.
    """

    def __init__(self, length: Callable[[PrefixTree, int], float] | None = None) -> None:
        self.tree = PrefixTree()
        self._length = length or _as_long
        #: By tree and scope: where each node of the one stands in the new tree.
        self._nodes: dict[tuple[int, Scope], dict[int, int]] = {}
        self._blocks: dict[tuple[int, int], int] = {}
        #: By new node: its length before rounding, so that roundings do not add up.
        self._exact: list[float] = []

    def node(self, tree: PrefixTree, node: int, scope: Scope) -> int:
        """Return where a prefix of another tree stands, laying it there if nobody has."""
        known = self._nodes.setdefault((id(tree), scope), {})
        fresh = []
        while node not in known and tree.parent[node] >= 0:
            fresh.append(node)
            node = tree.parent[node]
        if node not in known:
            known[node] = self._keep(self.tree.root(scope), 0.0, 0)
        found = known[node]
        for old in reversed(fresh):
            above, found = found, self.tree.child(found, self._block(tree, tree.block[old]))
            doubt = tree.doubt[old] - tree.doubt[tree.parent[old]]
            known[old] = self._keep(
                found,
                self._exact[above] + self._length(tree, old),
                self.tree.doubt[above] + doubt,
            )
        return found

    def call(self, workload: Workload, call: Call, scope: Scope) -> Call:
        """Return a call whose prompt stands in the new tree; what was recorded is not its own."""
        tree = workload.tree
        marks = [Breakpoint(self.node(tree, m.node, scope), m.lifetime) for m in call.marks]
        return msgspec.structs.replace(
            call,
            tip=self.node(tree, call.tip, scope),
            marks=tuple(marks),
            rounds=tuple(self.node(tree, node, scope) for node in call.rounds),
            recorded=None,
        )

    def _keep(self, node: int, length: float, doubt: int) -> int:
        """Note the length of a node that is new; whoever came first has said it."""
        if node == len(self._exact):
            self._exact.append(length)
            self.tree.tokens[node] = round(length)
            self.tree.doubt[node] = doubt
        return node

    def _block(self, tree: PrefixTree, number: int) -> int:
        """Return the number a block of another tree has here."""
        self.tree.turn = tree.turn
        found = self._blocks.get((id(tree), number))
        if found is None:
            block = Block(
                level=tree.level[number],
                kind=tree.kind[number],
                role=tree.role[number],
                digest=tree.digest[number],
                tokens=tree.size[number],
                refuses=tree.refuses[number],
            )
            found = self._blocks[id(tree), number] = self.tree.intern(block, tree.variant[number])
            self.tree.error[found] = tree.error[number]
        return found


def _as_long(tree: PrefixTree, node: int) -> float:
    """Leave a length as it is."""
    return tree.tokens[node] - tree.tokens[tree.parent[node]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alteration:
    """What is to be otherwise; by itself, nothing is."""

    #: Calls that are not sent, by number.
    unsent: frozenset[int] = frozenset()
    #: Calls that go into a batch, by number.
    batched: frozenset[int] = frozenset()
    #: What is left of the length of what several calls send, and of what only one does.
    stable: float = 1.0
    volatile: float = 1.0
    #: What is left of the length of answers.
    output: float = 1.0


def alter(workload: Workload, change: Alteration) -> Workload:
    """Return the calls altered; what the service adds to a prompt unseen keeps its length."""
    several = shared(workload)
    tree, scopes = workload.tree, Scopes(workload.tree)

    def length(of: PrefixTree, node: int) -> float:
        tokens = _as_long(of, node)
        if of.kind[of.block[node]] == SETTINGS:
            return tokens
        return tokens * (change.stable if several[node] else change.volatile)

    graft, calls = Graft(length), []
    for call in workload:
        if call.number in change.unsent:
            continue
        scope, tariff = scopes[call.tip], call.tariff
        if call.number in change.batched:
            scope, tariff = scope._replace(surface="batch"), tariff._replace(surface="batch")
        moved = graft.call(workload, call, scope)
        output = round(call.output * change.output)
        calls.append(msgspec.structs.replace(moved, tariff=tariff, output=output))
    graft.tree.turn = tree.turn
    return replace(workload, tree=graft.tree, calls=calls)


def shared(workload: Workload) -> bytearray:
    """Return, by prefix, whether more than one call sends it."""
    tree = workload.tree
    times = [0] * len(tree)
    for call in workload:
        times[call.tip] += 1
    for node in range(len(tree) - 1, -1, -1):
        if tree.parent[node] >= 0:
            times[tree.parent[node]] += times[node]
    return bytearray(number > 1 for number in times)


def repeated(workload: Workload, hours: float) -> frozenset[int]:
    """Return the calls that repeat an earlier one word for word, within so many hours.

    Prompt, settings, model and place are the same. The hours count from the call that was
    sent, as an answer in a store would age.
    """
    sent: dict[tuple[object, ...], float] = {}
    found = set()
    for call in workload:
        key = (call.tip, call.tariff, call.workspace)
        since = sent.get(key)
        if since is not None and call.at - since <= hours * _HOUR:
            found.add(call.number)
        else:
            sent[key] = call.at
    return frozenset(found)


def able_to_wait(workload: Workload, labels: Iterable[str] | None) -> frozenset[int]:
    """Return the calls that could go into a batch, of these labels or by their looks.

    By its looks a call can wait that is no part of a conversation: nobody goes on from it,
    it goes on from nobody, and it is alone in its session. Whether its user can wait it
    does not show. Only calls that a batch takes are among them.
    """
    wanted = None if labels is None else frozenset(labels)
    talking = _talking(workload) if wanted is None else frozenset[int]()
    found = set()
    for call in workload:
        platform = PLATFORMS.get(call.tariff.platform)
        takes = platform is not None and platform.batch and call.tariff.speed == "standard"
        waits = call.number not in talking if wanted is None else call.label in wanted
        if takes and waits and call.tariff.surface != "batch":
            found.add(call.number)
    return frozenset(found)


def _talking(workload: Workload) -> frozenset[int]:
    """Return the calls that are part of a conversation."""
    tree = workload.tree
    tips: dict[int, list[int]] = {}
    sessions: dict[str, list[int]] = {}
    for call in workload:
        tips.setdefault(call.tip, []).append(call.number)
        if call.session is not None:
            sessions.setdefault(call.session, []).append(call.number)
    found = {number for calls in sessions.values() if len(calls) > 1 for number in calls}
    for tip, calls in tips.items():
        for node in tree.upward(tree.parent[tip]):
            if node in tips:
                found.update(calls, tips[node])
                break
    return frozenset(found)


def days(workload: Workload) -> Decimal | None:
    """Return how many days the calls are of, ``None`` where they are of less than an hour.

    The last call stands for as much time as the others do on average: a thousand calls
    86.4 seconds apart are of one day.
    """
    calls = len(workload)
    if calls < 2 or workload.span < _HOUR:  # noqa: PLR2004 -- one call has no pace
        return None
    return Decimal(str(workload.span)) * calls / (calls - 1) / _DAY


class Scopes:
    """Tells the scope of any prefix of a tree."""

    def __init__(self, tree: PrefixTree) -> None:
        self._named = {root: scope for scope, root in tree.roots.items()}
        self._root = list(range(len(tree)))
        for node, above in enumerate(tree.parent):
            if above >= 0:
                self._root[node] = self._root[above]

    def __getitem__(self, node: int) -> Scope:
        """Return the scope of a prefix."""
        return self._named[self._root[node]]
