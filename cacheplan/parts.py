"""A message, or a level, as it is kept: numbers of blocks, and what they ask of the body.

This file knows what one message can mean for the rest of its body, and no body: that it
holds an image, say, which is another prompt for every message of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from cacheplan import kinds
from cacheplan.pieces import Piece
from cacheplan.prompt import Lifetime
from cacheplan.settings import citations_in, images_in

__all__ = [
    "CITATIONS",
    "ENTANGLED",
    "IMAGES",
    "PASSING",
    "THINKING",
    "THINKS",
    "Part",
    "newest_question",
    "part_of",
    "traits_of",
]

THINKING: Final = frozenset({"thinking", "redacted_thinking"})
#: Why a block takes no mark, where the reason is that it may not be rendered.
PASSING: Final = frozenset({"called", "cleared"})

#: Traits, as bits: it has images, or citations, or thinking; or what is rendered of it
#: depends on the messages around it.
IMAGES, CITATIONS, THINKS, ENTANGLED = 1, 2, 4, 8


class Part(NamedTuple):
    """Neighbouring blocks of one body: a level's, or a message's."""

    blocks: tuple[int, ...]
    #: Which of them carry a mark.
    marks: tuple[tuple[int, Lifetime], ...] = ()
    #: Which of them are answers of server tools.
    answers: tuple[int, ...] = ()
    traits: int = 0
    #: True for a message that a person wrote: not tool results alone.
    human: bool = False
    #: The same without thinking blocks, where it has any.
    bare: Part | None = None


def part_of(pieces: Sequence[Piece], blocks: Iterable[int]) -> Part:
    """Say what pieces ask of a body; ``blocks`` are their numbers."""
    marks, answers, traits = [], [], 0
    for at, (block, _, mark) in enumerate(pieces):
        kind, refuses = block.kind, block.refuses
        if mark:
            marks.append((at, mark))
        if kind == "image" or (kind in kinds.INNER and _may_hold(block.body)):
            alone = pieces[at : at + 1]
            traits |= IMAGES * images_in(alone) | CITATIONS * citations_in(alone)
        elif kind in THINKING:
            traits |= THINKS
        if kind == "compaction" or refuses in PASSING:
            traits |= ENTANGLED
        if block.role == "assistant" and kind.endswith("_tool_result"):
            answers.append(at)
    return Part(tuple(blocks), tuple(marks), tuple(answers), traits)


def _may_hold(body: Mapping[str, Any]) -> bool:
    """Tell whether a block is worth a look inside; most results of tools are a string."""
    return "citations" in body or bool(kinds.inner(body))


def traits_of(parts: Iterable[Part]) -> int:
    """Return the traits of all of them together."""
    traits = 0
    for part in parts:
        traits |= part.traits
    return traits


def newest_question(messages: Sequence[Part]) -> int:
    """Return the newest message of a person; older models drop the thinking before it."""
    return max((at for at, part in enumerate(messages) if part.human), default=0)
