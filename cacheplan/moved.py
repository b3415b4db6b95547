"""Calls under another model: the same words, in tokens of the other tokenizer.

A call is read twice, for the model it was sent to and for the other one. What the service
counted outranks every estimate, so where a recorded length differs from what was estimated,
the length under the other model is corrected by as much, block by block. What remains is
the doubt about how the other tokenizer would cut these texts: a low and a high length
beside the likely one, by kind of text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from cacheplan import facts
from cacheplan.altered import Graft, Scopes
from cacheplan.errors import InputError
from cacheplan.growth import SAME, STATED, Growth, Parted, growths, parted, stated
from cacheplan.parts import THINKING
from cacheplan.prefixes import SETTINGS, PrefixTree
from cacheplan.prices import Sheet, Tariff
from cacheplan.prompt import Block
from cacheplan.tokens import TokenCounter
from cacheplan.workload import Call, Workload

__all__ = ["Moved", "Which", "lay", "move"]

#: Which of the three lengths.
Which = Literal["ratio", "low", "high"]
_WHICH: tuple[Which, ...] = ("ratio", "low", "high")

_ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """All calls of a workload, as they would be under one other model."""

    model: str
    #: The same calls read for that model; lengths as estimated there.
    then: Workload
    #: By call number.
    calls: Mapping[int, Call]
    #: By prefix of ``then``: tokens of its last block, likely, at least and at most.
    lengths: Mapping[Which, list[float]]
    #: Of the calls whose tokenizer changes: tokens before and after by kind of text.
    kinds: Mapping[str, tuple[float, float, Growth]]
    #: How answers grow; taken from what Claude said in these prompts, else from all text.
    answers: Growth
    #: Calls whose tokenizer changes, by number.
    changed: frozenset[int]

    def output(self, call: Call, which: Which) -> int:
        """Return how long the answer to a call would be, if it said the same."""
        growth = self.answers if call.number in self.changed else SAME
        return round(call.output * float(getattr(growth, which)))


def move(
    now: Workload, then: Workload, model: str, counter: TokenCounter, answers: float | None = None
) -> Moved:
    """Hold calls that were read for another model against those that were sent.

    ``answers`` says how answers grow, where somebody knows better than the prompts tell.
    """
    return _Move(now, then, model, counter).moved(answers)


class _Move:
    """Finds the lengths of one workload under one other model."""

    def __init__(self, now: Workload, then: Workload, model: str, counter: TokenCounter) -> None:
        self._now, self._then, self._model = now, then, model
        self._counter = counter
        found = facts.find(model)
        self._target = None if found is None else found.model
        self._older = self._target is not None and self._target.generation == "old"
        self._calls = {call.number: call for call in then}
        if [call.at for call in now] != [call.at for call in then]:
            raise InputError(
                "some lines can be read for another model only; give each its own, or leave it out"
            )
        #: By prefix of ``then``: the same prefix as it was sent, and how far its length as
        #: estimated there is off what was recorded.
        self._twin = [-1] * len(then.tree)
        self._off = [1.0] * len(then.tree)
        #: By prefix of ``then``: calls that go through it, of those whose tokenizer changes.
        self._times = [0] * len(then.tree)
        self._roles = dict(zip(then.tree.digest, then.tree.role, strict=True))
        self._changed = frozenset(call.number for call in now if self._changes(call))

    def moved(self, answers: float | None) -> Moved:
        """Pair the prompts, part their texts, and work out the lengths."""
        for call in self._now:
            other = self._calls[call.number]
            self._times[other.tip] += call.number in self._changed
            for node, twin in self._pairs(call, other):
                self._twin[node] = twin
                self._off[node] = _off(self._now.tree, twin)
        tree = self._then.tree
        for node in range(len(tree) - 1, -1, -1):
            if tree.parent[node] >= 0:
                self._times[tree.parent[node]] += self._times[node]
        parts = self._parts()
        kinds = dict(growths(self._weighed(parts), older=self._older))
        bands = {digest: _band(part, kinds) for digest, part in parts.items()}
        lengths = {which: self._lengths(bands, which) for which in _WHICH}
        kinds |= self._stated()
        said = {d: p for d, p in parts.items() if self._role(d) == _ASSISTANT}
        spoken = growths(self._weighed(said), older=self._older) or kinds
        growth = _whole(spoken) if answers is None else Growth(answers, answers, answers)
        return Moved(
            model=self._model,
            then=self._then,
            calls=self._calls,
            lengths=lengths,
            kinds=kinds,
            answers=growth,
            changed=self._changed,
        )

    def _changes(self, call: Call) -> bool:
        """Tell whether a call would meet another tokenizer; an unknown model has the newer."""
        found = facts.find(call.tariff.model)
        before = "new" if found is None else found.model.generation
        return (before == "old") != self._older

    def _pairs(self, call: Call, other: Call) -> Iterator[tuple[int, int]]:
        """Yield the prefixes of a call under both models, the longest first, up to known ones.

        What is set has no pair, nor has thinking that only one of the models keeps.
        """
        now, then = self._now.tree, self._then.tree
        nodes, others = _said(now, call.tip), _said(then, other.tip)
        twin = next(nodes, -1)
        for node in others:
            while twin >= 0 and not _alike(now, twin, then, node) and _thinks(now, twin):
                twin = next(nodes, -1)
            if self._twin[node] >= 0 or twin < 0:
                return
            if _alike(now, twin, then, node):
                yield node, twin
                twin = next(nodes, -1)
            elif not _thinks(then, node):
                return

    def _parts(self) -> dict[bytes, Parted]:
        """Part the text of every block whose tokenizer changes, each once."""
        tree, texts = self._then.tree, self._now.texts
        wanted: dict[bytes, Block] = {}
        for node, times in enumerate(self._times):
            block = tree.block[node]
            digest = tree.digest[block] if times and block >= 0 else b""
            body = texts.get(digest)
            if body is not None and digest not in wanted:
                wanted[digest] = Block(
                    level=tree.level[block], kind=tree.kind[block], role=tree.role[block], body=body
                )
        before = next(
            (
                found.model
                for call in self._now
                if call.number in self._changed and (found := facts.find(call.tariff.model))
            ),
            None,
        )
        parts = parted([*wanted.values()], before, self._target, self._counter)
        return dict(zip(wanted, parts, strict=True))

    def _weighed(self, parts: Mapping[bytes, Parted]) -> Iterator[tuple[Parted, float]]:
        """Yield parts as often as calls send them, as long as they were recorded."""
        tree = self._then.tree
        for node, times in enumerate(self._times):
            part = parts.get(tree.digest[tree.block[node]]) if times else None
            if part is not None and tree.block[node] >= 0:
                yield part, times * self._off[node]

    def _lengths(self, bands: Mapping[bytes, tuple[float, float]], which: Which) -> list[float]:
        """Return the length of the last block of each prefix."""
        tree = self._then.tree
        unread = stated(older=self._older)
        lengths = []
        for node, above in enumerate(tree.parent):
            if above < 0:
                lengths.append(0.0)
                continue
            block = tree.block[node]
            length = (tree.tokens[node] - tree.tokens[above]) * self._off[node]
            if self._times[node] and self._is_stated(block):
                length *= float(getattr(unread, which))
            elif self._times[node] and which != "ratio":
                low, high = bands.get(tree.digest[block], (1.0, 1.0))
                length *= low if which == "low" else high
            lengths.append(length)
        return lengths

    def _is_stated(self, block: int) -> bool:
        """Tell whether a block's length is all that is known of it."""
        tree = self._then.tree
        return tree.kind[block] != SETTINGS and tree.digest[block] not in self._now.texts

    def _stated(self) -> dict[str, tuple[float, float, Growth]]:
        """Return the row of blocks of which only the length is known, if there are any."""
        tree, growth = self._then.tree, stated(older=self._older)
        tokens = sum(
            times * (tree.tokens[node] - tree.tokens[tree.parent[node]])
            for node, times in enumerate(self._times)
            if times and tree.block[node] >= 0 and self._is_stated(tree.block[node])
        )
        return {STATED: (float(tokens), tokens * growth.ratio, growth)} if tokens else {}

    def _role(self, digest: bytes) -> str:
        """Return who says a block."""
        return self._roles.get(digest, "")


def _off(tree: PrefixTree, node: int) -> float:
    """Return by what factor a block is longer than it was estimated."""
    estimated = tree.own(node)
    return (tree.tokens[node] - tree.tokens[tree.parent[node]]) / estimated if estimated else 1.0


def _said(tree: PrefixTree, tip: int) -> Iterator[int]:
    """Yield the prefixes of a prompt that end with a block of its caller's."""
    return (node for node in tree.upward(tip) if tree.kind[tree.block[node]] != SETTINGS)


def _alike(one: PrefixTree, node: int, other: PrefixTree, twin: int) -> bool:
    """Tell whether two prefixes end with the same block."""
    return one.digest[one.block[node]] == other.digest[other.block[twin]]


def _thinks(tree: PrefixTree, node: int) -> bool:
    """Tell whether a prefix ends with thinking."""
    return tree.kind[tree.block[node]] in THINKING


def _band(part: Parted, kinds: Mapping[str, tuple[float, float, Growth]]) -> tuple[float, float]:
    """Return how much shorter and longer a block may be than is likely, as factors."""
    likely = sum(before * kinds[kind][2].ratio for kind, (before, _) in part.items())
    if not likely:
        return 1.0, 1.0
    low = sum(before * kinds[kind][2].low for kind, (before, _) in part.items())
    high = sum(before * kinds[kind][2].high for kind, (before, _) in part.items())
    return low / likely, high / likely


def _whole(kinds: Mapping[str, tuple[float, float, Growth]]) -> Growth:
    """Return how all kinds together grow."""
    before = sum(one for one, _, _ in kinds.values())
    if not before:
        return SAME
    return Growth(
        sum(after for _, after, _ in kinds.values()) / before,
        sum(one * growth.low for one, _, growth in kinds.values()) / before,
        sum(one * growth.high for one, _, growth in kinds.values()) / before,
    )


def lay(now: Workload, moves: Mapping[int, Moved], which: Which, sheet: Sheet) -> Workload:
    """Return the calls, some of them (by number) under another model, in one workload."""
    tables = {id(moved.then.tree): moved.lengths[which] for moved in moves.values()}

    def length(tree: PrefixTree, node: int) -> float:
        table = tables.get(id(tree))
        return tree.tokens[node] - tree.tokens[tree.parent[node]] if table is None else table[node]

    graft, calls = Graft(length), []
    trees = [now.tree, *(moved.then.tree for moved in moves.values())]
    scopes = {at: Scopes(tree) for at, tree in {id(tree): tree for tree in trees}.items()}
    for call in now:
        moved = moves.get(call.number)
        if moved is None:
            calls.append(graft.call(now, call, scopes[id(now.tree)][call.tip]))
            continue
        tree, other = moved.then.tree, moved.calls[call.number]
        laid = graft.call(moved.then, other, scopes[id(tree)][other.tip])
        tariff = _taken(other.tariff, other.at, sheet)
        output = moved.output(call, which)
        calls.append(msgspec.structs.replace(laid, tariff=tariff, output=output))
    return replace(now, tree=graft.tree, calls=calls)


def _taken(tariff: Tariff, at: float, sheet: Sheet) -> Tariff:
    """Return the tariff a call would have: a speed that a model does not have is none."""
    plain = tariff._replace(speed="standard")
    unknown = sheet.rate(tariff, at, 0) is None and sheet.rate(plain, at, 0) is not None
    return plain if unknown else tariff
