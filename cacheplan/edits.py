"""Edits of prompts, made on the tree: what calls would cost if their prompts were so.

An edit says what becomes of a head (tools and system) and of single blocks; everything
else of a prompt is hung under the new head as it was. It can also hang a call's own
blocks on an earlier call's prompt, and send calls at another time. Each head and each
prefix is edited once, however many calls have it. The edited prompts are added to a copy
of the tree, in which what nobody edits stays where it is, so an edit costs as much as it
changes.

An edit that knows what a block says makes the block that stands there instead (see
``remade``), so that what is simulated here is what ``patches`` writes into bodies.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import is_
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from cacheplan.lanes import kind_of
from cacheplan.prefixes import SETTINGS, PrefixTree
from cacheplan.prompt import Block, Breakpoint, Level
from cacheplan.units import Heads, Unit, empty
from cacheplan.workload import Call, Workload

__all__ = ["Edit", "Sequel", "Turn", "edited", "going_on"]


#: Returns the blocks of the first user turn in another order, none more and none less; or
#: in the order they have, some of them cut into several.
Openings = Callable[[Sequence[Unit]], Sequence[Unit]]


class Sequel(NamedTuple):
    """A prompt that goes on where an earlier call's ends."""

    #: Number of the earlier call; its prompt is taken as edited.
    call: int
    #: What follows, as the prefixes that end with it: each is one block.
    nodes: Sequence[int]


#: Returns, by number of a call, what its prompt is made of instead; others stay.
Sequels = Callable[[Workload], Mapping[int, Sequel]]


class Turn(Protocol):
    """A call that goes on from an earlier one, though its prompt begins otherwise."""

    @property
    def earlier(self) -> Call:
        """The call it goes on from."""
        ...

    @property
    def later(self) -> Call:
        """The call itself."""
        ...

    @property
    def node(self) -> int:
        """Where the later prompt has repeated what the earlier one said."""
        ...


def going_on(turns: Callable[[Workload], Iterable[Turn]], numbers: Collection[int]) -> Sequels:
    """Return what hangs these calls, and all that go on from them, on what came before."""

    def sequels(workload: Workload) -> dict[int, Sequel]:
        tree = workload.tree
        found: dict[int, Sequel] = {}
        for turn in turns(workload):
            number = turn.later.number
            if number in numbers or turn.earlier.number in found:
                path = tree.path(turn.later.tip)
                found[number] = Sequel(turn.earlier.number, path[path.index(turn.node) + 1 :])
        return found

    return sequels


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What to do to every prompt."""

    #: Returns the new head of a call (settings included), and what is moved behind the
    #: last message of each call; ``None`` leaves heads alone.
    head: Heads | None = None
    #: Models whose heads these are, named as lanes are; ``None`` is all of them.
    models: frozenset[str] | None = None
    #: Returns what a user says first in another order; ``None`` leaves it alone.
    opening: Openings | None = None
    #: Returns what stands in a block's place; ``None`` leaves blocks alone.
    block: Callable[[Unit], Unit] | None = None
    #: Returns which calls go on from another's prompt than they did.
    sequels: Sequels | None = None
    #: By number of a call: when it starts instead.
    times: Mapping[int, float] = field(default_factory=dict)

    def heads(self, model: str) -> Heads | None:
        """Return what becomes of the heads of calls to one model, named as lanes are."""
        return self.head if self.models is None or model in self.models else None


def edited(workload: Workload, edits: Sequence[Edit]) -> Workload:
    """Return the workload with its prompts edited, one edit after another."""
    for edit in edits:
        workload = _Rewrite(workload, edit).workload()
    return workload


#: Heads whose blocks are kept for the next edit: a few kilobytes each.
KNOWN: Final = 2000


class _Rewrite:
    """One edit of one workload, into a tree of its own.

    Where thinking is checked, it counts what was sent first: then the tree begins empty.
    """

    def __init__(self, workload: Workload, edit: Edit) -> None:
        self._workload = workload
        self._old = workload.tree
        self._forked = workload.assume.thinking_check == "ignore"
        self._new = self._old.fork() if self._forked else PrefixTree()
        self._edit = edit
        #: Ends of heads that stay as they are, with everything behind them.
        self._kept: set[int] = set()
        #: By block and length: what stands in its place, ``None`` where that is itself.
        self._instead: dict[tuple[int, int], Unit | None] = {}
        #: By digest and length: the block of that name; none of these has a tokenizer.
        self._sized: dict[tuple[bytes, str, int], int] = {}
        #: By old prefix: the new one that ends with what became of its last block.
        self._becomes: dict[int, int] = {}
        #: By the end of an old head: what moves behind the messages of its calls.
        self._moved: dict[int, Sequence[Unit]] = {}
        self._sequels = edit.sequels(workload) if edit.sequels is not None else {}
        #: By number of a call: its new prompt.
        self._tips: dict[int, int] = {}
        #: By old prefix behind a first user turn: where that turn ends. By that end: the new
        #: prefix for each of the turn.
        self._turns: dict[int, int] = {}
        self._opened: dict[int, dict[int, int]] = {}
        #: By digest: what blocks say, old ones and new.
        self._texts: dict[bytes, Mapping[str, Any]] = dict(workload.texts)

    def workload(self) -> Workload:
        """Rewrite every call."""
        for scope, root in self._old.roots.items():
            self._becomes[root] = self._new.root(scope)
        calls = [self._call(call) for call in self._workload]
        if self._edit.times:
            calls.sort(key=lambda call: call.at)
        return replace(self._workload, tree=self._new, calls=calls, texts=self._texts)

    def _call(self, call: Call) -> Call:
        """Rewrite one call: its prompt, and where its marks stand."""
        head = max(self._old.system_end[call.tip], self._old.tools_end[call.tip])
        if head >= 0:
            self._head(head, self._edit.heads(kind_of(call)[0]))
        if head in self._kept and call.number not in self._sequels:
            self._tips[call.number] = call.tip
            at = self._edit.times.get(call.number, call.at)
            return msgspec.structs.replace(call, at=at, refused=None)
        became, tip = self._prompt(call)
        if moved := self._moved.get(head, ()):
            became, tip = self._with(moved, call, became)
        self._tips[call.number] = tip
        marks: dict[int, Breakpoint] = {}
        for node, lifetime in call.marks:
            at = self._new.markable(became(node))
            if at >= 0:
                marks.setdefault(at, Breakpoint(at, lifetime))
        return msgspec.structs.replace(
            call,
            at=self._edit.times.get(call.number, call.at),
            tip=tip,
            marks=tuple(sorted(marks.values())),
            rounds=tuple(became(node) for node in call.rounds),
            refused=None,
        )

    def _prompt(self, call: Call) -> tuple[Callable[[int], int], int]:
        """Return what becomes of the prefixes of a call, and its new prompt."""
        sequel = self._sequels.get(call.number)
        if sequel is None:
            became = self._node if self._edit.opening is None else self._opening(call.tip)
            return became, became(call.tip)
        start = tip = self._tips[sequel.call]
        own: dict[int, int] = {}
        for node in sequel.nodes:
            tip = own[node] = self._add(tip, self._unit(node, -1))
        own[call.tip] = tip

        def found(node: int) -> int:
            """Return the new prefix; what the earlier call brings along ends with it."""
            if node in own:
                return own[node]
            if node < call.tip:
                return start
            above = found(self._old.parent[node])
            own[node] = self._add(above, self._unit(node, -1))
            return own[node]

        return found, tip

    def _opening(self, tip: int) -> Callable[[int], int]:
        """Put the first user turn of a prompt in order; a mark stays as far into it as it was.

        One prompt may end where another's first turn goes on, so each end has its own.
        """
        end = self._turn(tip)
        if end not in self._opened:
            self._opened[end] = self._reordered(end)
        own = self._opened[end]
        if end in own:
            self._becomes[end] = own[end]
        return lambda node: own[node] if node in own else self._node(node)

    def _turn(self, tip: int) -> int:
        """Return where the first user turn of a prompt ends; before it, if it has none."""
        behind = []
        node = tip
        while node not in self._turns and self._said(node):
            behind.append(node)
            node = self._old.parent[node]
        end = self._turns.get(node, node)
        if end == node:
            while behind and self._old.role[self._old.block[behind[-1]]] == "user":
                end = behind.pop()
        self._turns.update(dict.fromkeys(behind, end))
        return end

    def _said(self, node: int) -> bool:
        """Tell whether a prefix ends with a caller's own block of the messages."""
        block = self._old.block[node]
        if block < 0 or self._old.kind[block] == SETTINGS:
            return False
        return self._old.level[block] is Level.MESSAGES

    def _reordered(self, end: int) -> dict[int, int]:
        """Return what becomes of the prefixes of one first user turn."""
        nodes: list[int] = []
        for node in self._old.upward(end):
            if not self._said(node):
                break
            nodes.insert(0, node)
        units = [self._unit(node, source) for source, node in enumerate(nodes)]
        made = self._edit.opening(units) if self._edit.opening is not None else units
        became: dict[int, int] = {}
        new = self._node(self._old.parent[nodes[0]]) if nodes else -1
        cut = len(made) > len(nodes)
        for at, unit in enumerate(made):
            new = self._add(new, unit)
            became[nodes[unit.source if cut else at]] = new
        return became

    def _with(
        self, moved: Sequence[Unit], call: Call, became: Callable[[int], int]
    ) -> tuple[Callable[[int], int], int]:
        """Hang up what moves behind the last words of a user: an answer may have begun."""
        begun = []
        for node in self._old.upward(call.tip):
            block = self._old.block[node]
            if self._old.level[block] is not Level.MESSAGES or self._old.role[block] == "user":
                break
            begun.append(node)
        tip = became(self._old.parent[begun[-1]] if begun else call.tip)
        for unit in moved:
            tip = self._add(tip, unit)
        own: dict[int, int] = {}
        for node in reversed(begun):
            tip = own[node] = self._add(tip, self._unit(node, -1))
        return (lambda node: own[node] if node in own else became(node)), tip

    def _head(self, end: int, edit: Heads | None) -> None:
        """Rewrite one head, once; those of two models are never one."""
        if end in self._becomes:
            return
        path, units = self._path(end)
        moved: Sequence[Unit] = ()
        made: Sequence[Unit] = units
        if edit is not None:
            found, more = edit(units)
            made = [unit for unit in found if not empty(unit)]
            moved = [unit for unit in more if not empty(unit)]
        if self._forked and self._stays(units, made, moved):
            self._kept.add(end)
            self._moved[end] = moved
            self._becomes.update(zip(path, path, strict=True))
            return
        root = self._old.parent[path[0]]
        node = self._becomes[root]
        ends: dict[Level, int] = {}
        by_source: dict[int, int] = {}
        for unit in made:
            node = self._add(node, unit)
            ends[unit.level] = node
            by_source[unit.source] = node
        self._moved[end] = moved
        last = self._becomes[root]
        for source, old in enumerate(path):
            level = self._old.level[self._old.block[old]]
            at_end = old in {self._old.tools_end[end], self._old.system_end[end]}
            last = ends.get(level, last) if at_end else by_source.get(source, last)
            self._becomes[old] = last
        self._becomes[end] = node

    def _path(self, end: int) -> tuple[list[int], list[Unit]]:
        """Return a head as it was: its prefixes, and the blocks that end them.

        The next edit asks for the same heads.
        """
        known = self._old.derived.setdefault((Unit, bool(self._workload.texts)), {})
        if end in known and self._edit.block is None:
            path, units = known[end]
            return path, units
        path = self._old.path(end)
        units = [self._unit(node, source) for source, node in enumerate(path)]
        if self._edit.block is None and len(known) < KNOWN:
            known[end] = path, units
        return path, units

    def _node(self, old: int) -> int:
        """Return what became of a prefix, hanging up whatever was not rewritten."""
        pending = []
        while old not in self._becomes:
            pending.append(old)
            old = self._old.parent[old]
        node = self._becomes[old]
        if self._forked and self._edit.block is None:
            return self._carry(node, pending[::-1])
        for below in reversed(pending):
            node = self._becomes[below] = self._again(node, below)
        return node

    def _carry(self, node: int, below: Sequence[int]) -> int:
        """Hang up prefixes as they are, each one block longer than the one before."""
        old, new = self._old, self._new
        known = 0
        while known < len(below):
            found = new.find(node, old.block[below[known]])
            if found < 0:
                break
            node = self._becomes[below[known]] = found
            known += 1
        rest, first = below[known:], len(new)
        if not rest:
            return node
        above = old.parent[rest[0]]
        longer_by = new.tokens[node] - old.tokens[above]
        doubtful_by = new.doubt[node] - old.doubt[above]
        tip = new.extend(node, [old.block[longer] for longer in rest])
        new.tokens[first:] = [old.tokens[longer] + longer_by for longer in rest]
        new.doubt[first:] = [old.doubt[longer] + doubtful_by for longer in rest]
        self._becomes.update(zip(rest, range(first, tip + 1), strict=True))
        return tip

    def _again(self, node: int, below: int) -> int:
        """Hang up the last block of an old prefix, or what the edit puts in its place."""
        if not self._forked:
            return self._add(node, self._unit(below, -1))
        old, block = self._old, self._old.block[below]
        length = old.tokens[below] - old.tokens[old.parent[below]]
        instead = None
        if self._edit.block is not None:
            key = (block, length)
            if key not in self._instead:
                unit = self._unit(below, -1)
                same = (unit.digest, unit.refuses) == (old.digest[block], old.refuses[block])
                self._instead[key] = None if same and unit.length == length else unit
            instead = self._instead[key]
        return self._add(node, instead) if instead else self._hang(node, block, length)

    def _stays(self, units: Sequence[Unit], made: Sequence[Unit], moved: Sequence[Unit]) -> bool:
        """Tell whether a prompt stays as it is, given what becomes of its head."""
        if self._edit.block is not None or self._edit.opening is not None or moved:
            return False
        return len(made) == len(units) and all(map(is_, made, units))

    def _unit(self, node: int, source: int) -> Unit:
        """Return the last block of an old prefix, as the edit would have it."""
        old, block = self._old, self._old.block[node]
        unit = Unit(
            level=old.level[block],
            kind=old.kind[block],
            digest=old.digest[block],
            length=old.tokens[node] - old.tokens[old.parent[node]],
            role=old.role[block],
            refuses=old.refuses[block],
            source=source,
            body=self._texts.get(old.digest[block]),
            variant=old.variant[block],
        )
        if self._edit.block is not None and unit.kind != SETTINGS:
            unit = self._edit.block(unit)
        return unit

    def _add(self, node: int, unit: Unit) -> int:
        """Go one block further in the new tree."""
        if unit.body is not None:
            self._texts.setdefault(unit.digest, unit.body)
        return self._hang(node, self._block(unit), unit.length)

    def _block(self, unit: Unit) -> int:
        """Return the number of a block: that of one that says the same, if there is one."""
        tree = self._new
        block = Block(
            level=unit.level,
            kind=unit.kind,
            role=unit.role,
            digest=unit.digest,
            tokens=unit.length,
            refuses=unit.refuses,
        )
        if unit.variant < 0:
            return tree.intern(block, unit.variant)
        if not self._sized:
            for number, variant in enumerate(tree.variant):
                if variant >= 0:
                    key = (tree.digest[number], tree.refuses[number], tree.size[number])
                    self._sized.setdefault(key, number)
        key = (unit.digest, unit.refuses, unit.length)
        found = self._sized.get(key)
        if found is None:
            found = self._sized[key] = tree.intern(block, unit.length)
        return found

    def _hang(self, node: int, block: int, length: int) -> int:
        """Return the prefix one block longer; a new one is as long as its block is here."""
        tree = self._new
        size = len(tree.parent)
        found = tree.child(node, block)
        if found == size:
            tree.tokens[found] = tree.tokens[node] + length
            tree.doubt[found] = tree.doubt[node] + tree.error[block]
        return found
