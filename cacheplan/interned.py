"""Blocks as numbers in the tree, each counted once a tokenizer.

This file knows how a piece becomes a node and who waits for the counter; it knows no
body. Blocks are counted many at a time, for that is how counters are quick.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Final, NamedTuple

from cacheplan import facts
from cacheplan.parts import PASSING, Part, part_of
from cacheplan.pieces import Piece
from cacheplan.prefixes import PrefixTree
from cacheplan.prompt import Block, Breakpoint
from cacheplan.tokens import TokenCounter

__all__ = ["Interned", "Look"]

#: Decoded blocks that wait until they are handed to the counter together.
_WAITING: Final = 256


class Look(NamedTuple):
    """How text is looked at: for which model, and by which tokenizer."""

    model: facts.Model | None
    #: Tells blocks apart that are equal but for their length.
    variant: int

    @classmethod
    @functools.cache
    def of(cls, name: str) -> Look:
        """Return the look of a model's id; what nobody knows is taken for new."""
        found = facts.find(name)
        old = found is not None and found.model.generation == "old"
        return cls(found.model if found else None, 0 if old else 1)


class Interned:
    """Gives blocks their numbers, and has each new one counted."""

    def __init__(self, tree: PrefixTree, counter: TokenCounter) -> None:
        self.tree = tree
        #: True once a length was an estimate.
        self.estimated = False
        self._counter = counter
        self._waiting: list[tuple[Block, int, facts.Model | None]] = []

    def part(self, pieces: Iterable[Piece], look: Look) -> Part:
        """Intern blocks and remember what a body asks of them."""
        pieces = list(pieces)
        tree, blocks = self.tree, []
        for piece in pieces:
            before = len(tree.kind)
            # What passes takes no mark, which the same words elsewhere do.
            passes = piece.block.refuses in PASSING
            number = tree.intern(piece.block, ~(look.variant + 2 * passes))
            if number == before:
                self._waiting.append((piece.block, number, look.model))
            blocks.append(number)
        if len(self._waiting) >= _WAITING:
            self.count()
        return part_of(pieces, blocks)

    def count(self) -> None:
        """Have the blocks that wait for it counted."""
        waiting, self._waiting = self._waiting, []
        by_model: dict[str, list[tuple[Block, int, facts.Model | None]]] = {}
        for entry in waiting:
            by_model.setdefault(entry[2].id if entry[2] else "", []).append(entry)
        for entries in by_model.values():
            blocks, numbers, models = zip(*entries, strict=True)
            counts = self._counter.count(blocks, models[0])
            for number, count in zip(numbers, counts, strict=True):
                self.tree.size[number] = count.tokens
                self.tree.error[number] = count.doubt
                self.estimated = self.estimated or count.source == "estimated"

    def walk(self, node: int, part: Part, marks: list[Breakpoint]) -> int:
        """Follow one part's blocks down the tree, noting where its marks fall."""
        if not part.marks:
            return self.tree.extend(node, part.blocks)
        lifetimes = dict(part.marks)
        for at, block in enumerate(part.blocks):
            node = self.tree.child(node, block)
            if at in lifetimes:
                marks.append(Breakpoint(node, lifetimes[at]))
        return node
