"""One tree of prefixes and all that hangs on it, for as long as it is worth its memory.

A process that runs for months must not remember every prompt it sent. So a session works
on one generation until that has grown to a stated size, then begins another: what was
learned goes over (it is bounded by itself), the prompts are forgotten. The first call of
a conversation after that is read whole once, and expected to read nothing.

This file may know the tree, the simulated cache and the two ways to choose marks. It
knows no body as an object, no lock and no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from cacheplan import facts
from cacheplan.adaptive import Adaptive
from cacheplan.assumptions import Assumptions
from cacheplan.awaited import AwaitedCache
from cacheplan.entries import Marked, Step
from cacheplan.envelopes import Envelope
from cacheplan.errors import RejectedError
from cacheplan.facts import find
from cacheplan.guesses import Guess, Scale
from cacheplan.losses import Losses
from cacheplan.measures import Measures
from cacheplan.pending import Change
from cacheplan.places import BEFORE, Places, is_from_end
from cacheplan.plan import Plan
from cacheplan.prefixes import SETTINGS, PrefixTree
from cacheplan.prices import Sheet, Tariff
from cacheplan.prompt import Breakpoint
from cacheplan.simulator import SimulatedCache
from cacheplan.turns import Reading, Turns
from cacheplan.usage import Usage
from cacheplan.workload import Call

__all__ = ["CALLS", "NODES", "Chosen", "Generation", "Sending"]

#: Prefixes after which a generation is full: about 1.5 kB each, all that hangs on them
#: included, and a working day of a service that gets a call a second.
NODES: Final = 1 << 15
#: Calls after which it is full even so, for a message may be spelled in many ways.
CALLS: Final = 1 << 17
#: How long an entry of the ledger may rely on what an earlier one told, in seconds.
TOLD: Final = 3600.0
#: The rule of a mark that stands on no named place: where an earlier call ended.
EARLIER: Final = "earlier turn"
#: Why a mark stands that no plan asked for.
_LEARNED: Final = "learned from the calls before"


class Chosen(NamedTuple):
    """A breakpoint that a plan, or what was learned, asks for."""

    breakpoint: Breakpoint
    rule: str
    because: str


class Sending(NamedTuple):
    """What is expected of a call that goes out."""

    usage: Usage | None
    #: What it is taken to do in the cache, as that is imitated, and as what learns sees it.
    served: tuple[Change, ...]
    believed: tuple[Change, ...]


class Generation:
    """Reads bodies, chooses marks for them, and keeps what the cache is expected to hold."""

    def __init__(self, plan: Plan | None, sheet: Sheet, assume: Assumptions, scale: Scale) -> None:
        self.tree = PrefixTree()
        self.tree.turn = facts.MESSAGE_FRAME
        self.full = False
        self._plan = plan
        self._assume = assume
        self._sheet = sheet
        #: How long prefixes are.
        self.measures = Measures(self.tree, scale)
        self._bodies = Turns(self.tree, Guess(), assume)
        self._places = Places(self.tree)
        self._marker = plan.marker(self.tree) if plan else None
        self.policy = None if plan else Adaptive(self.tree, sheet, assume)
        # Which thinking was dropped would be looked up in the whole tree on every call.
        self._quiet = replace(assume, thinking_check="ignore")
        self._cache = AwaitedCache(self.tree, self._floor_by(sheet), self._quiet)
        #: The places of the prompt before, by node: those of a conversation stay the same.
        self._named_last: tuple[Any, dict[int, str]] = ((), {})
        #: What conversations had kept, and did not read.
        self.losses = Losses(self.tree, self._empty)
        self._because: dict[tuple[str, str | None], Mapping[str, str]] = {}
        self._keys: dict[int, bytes] = {}
        #: By node: when the path to it was last told in full.
        self._told: dict[int, float] = {}
        #: By key: what calls of batches were told of.
        self._kept: dict[bytes, Step] = {}
        self._calls = 0

    def _floor_by(self, sheet: Sheet) -> Callable[[Tariff], int | None]:
        """Return the function that says how long a prefix must be under a tariff."""
        return lambda tariff: sheet.minimum(tariff.model, tariff.platform, self._assume)

    def _empty(self) -> SimulatedCache:
        """Return an empty cache over the same tree, to try something out in."""
        return SimulatedCache(self.tree, self._floor_by(self._sheet), self._quiet)

    def read(self, body: dict[str, Any], envelope: Envelope) -> Reading | None:
        """Read one body; ``None`` if the service holds its start."""
        self._calls += 1
        try:
            return self._bodies.take(body, envelope)
        finally:
            self._bodies.count()
            self.full = len(self.tree) > NODES or self._calls > CALLS

    def choose(self, call: Call) -> list[Chosen]:
        """Return the marks wanted for a call, each with its rule and reason."""
        if self._marker is not None:
            return self._named(call, self._marker(call), self._reasons(call))
        marks = self.policy.decide(call) if self.policy else ()
        return self._named(call, marks, {}) if marks else []

    def _named(
        self, call: Call, marks: Iterable[Breakpoint], reasons: Mapping[str, str]
    ) -> list[Chosen]:
        """Name the place of each mark."""
        fixed = self._places.fixed(call.tip)
        if fixed is not self._named_last[0]:
            self._named_last = fixed, {node: place for place, node in fixed}
        names, tip = self._named_last[1], self.tree.markable(call.tip)
        tail, other = self._places.tail(call.tip), BEFORE if self._plan else EARLIER
        from_end = [place for place in reasons if is_from_end(place)]
        if from_end:
            back = {self._places.back(call.tip, place): place for place in reversed(from_end)}
            names = {**back, **names}
        named = []
        for mark in marks:
            rule = tail if mark.node == tip else names.get(mark.node, other)
            because = reasons.get(rule, "") if self._plan else _LEARNED
            named.append(Chosen(mark, rule, because))
        return named

    def _reasons(self, call: Call) -> Mapping[str, str]:
        """Return why the plan marks where it does, by place."""
        key = (call.tariff.model, call.label)
        found = self._because.get(key)
        if found is None:
            known = find(call.tariff.model)
            model = known.model.id if known else call.tariff.model
            lane = self._plan.lane(model, call.label) if self._plan else None
            found = {rule.place: rule.because for rule in lane.rules} if lane else {}
            self._because[key] = found
        return found

    def send(self, call: Call, marks: Sequence[Breakpoint], *, expecting: bool) -> Sending:
        """Note that a call goes out with these marks, and say what it should use.

        Nothing where nobody wants to know.
        """
        believed = self.policy.send(call, marks) if self.policy is not None else ()
        if not expecting:
            return Sending(None, (), believed)
        try:
            usage = self._cache.serve(call, marks)
        except RejectedError:
            return Sending(None, (), believed)
        least = min(usage.uncached, usage.write_5m, usage.write_1h, usage.read)
        if least < 0:
            # Lengths came from different answers, and do not quite agree.
            usage = Usage(
                max(0, usage.uncached),
                max(0, usage.write_5m),
                max(0, usage.write_1h),
                max(0, usage.read),
                usage.output,
            )
        return Sending(usage, self._cache.changes, believed)

    def begun(self, sending: Sending, sent: float, at: float) -> None:
        """Note when the response to a call began, which was sent at a moment."""
        self._cache.begun(sending.served, sent, at)
        if self.policy is not None:
            self.policy.begun(sending.believed, sent, at)

    def failed(self, sending: Sending) -> None:
        """Note that a call had no response, or not with these marks."""
        self._cache.failed(sending.served)
        if self.policy is not None:
            self.policy.failed(sending.believed)

    def key(self, node: int) -> bytes:
        """Return the published key of a prefix."""
        return self.tree.key(node, self._keys)

    def marked(self, call: Call) -> tuple[Marked, ...]:
        """Return the marks that a body came with, the automatic one among them."""
        target = self.tree.markable(call.tip) if call.automatic else -1
        return tuple(
            Marked(
                key=self.key(node),
                tokens=self.tree.tokens[node],
                lifetime=lifetime,
                rule="caller",
                automatic=node == target,
            )
            for node, lifetime in call.marks
        )

    def steps(self, tip: int, at: float) -> tuple[bytes, tuple[Step, ...]]:
        """Return what the ledger was not told lately of a path, and where that begins."""
        parent, told = self.tree.parent, self._told
        self.key(tip)
        path, node = [], tip
        while parent[node] >= 0 and node not in told:
            path.append(node)
            node = parent[node]
        since = told.get(node, at)
        if parent[node] >= 0 and since < at - TOLD:
            path, node, since = [*self.tree.upward(tip)], -1, at
        path.reverse()
        # What is told of with the block behind it can be nobody's beginning.
        told.update((each, since) for each in path if not self._unseen(each))
        start = self._keys[node] if node >= 0 and parent[node] >= 0 else b""
        return start, tuple(self._described(path))

    def whole(self, tip: int) -> tuple[Step, ...]:
        """Return all of a path, for an entry that may be written before those it shares it with.

        The entries of a batch are kept for a day, so what they share is held once.
        """
        self.key(tip)
        found = self._described([*self.tree.upward(tip)][::-1])
        return tuple(self._kept.setdefault(step.key, step) for step in found)

    def _unseen(self, node: int) -> bool:
        """Tell whether a prefix ends where a level begins and nothing is set."""
        block = self.tree.block[node]
        return self.tree.kind[block] == SETTINGS and len(self.tree.digest[block]) == 1

    def _described(self, path: Iterable[int]) -> Iterator[Step]:
        """Describe blocks; where a level begins and nothing is set there is none.

        What the service adds there unseen goes to the block that follows.
        """
        tree, hidden = self.tree, 0
        for node in path:
            if self._unseen(node):
                hidden += tree.tokens[node] - tree.tokens[tree.parent[node]]
            else:
                yield self._step(node, hidden)
                hidden = 0

    def _step(self, node: int, hidden: int) -> Step:
        """Describe the last block of a prefix."""
        tree = self.tree
        block = tree.block[node]
        return Step(
            key=self._keys[node],
            digest=tree.digest[block],
            tokens=tree.tokens[node] - tree.tokens[tree.parent[node]] + hidden,
            level=tree.level[block],
            kind=tree.kind[block],
            role=tree.role[block],
            refuses=tree.refuses[block],
        )
