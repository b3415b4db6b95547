"""A message, or a level, as it is kept: numbers of blocks, and what they ask of the body.

This file knows what one message can mean for the rest of its body, and no body: that it
holds an image, say, which is another prompt for every message of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

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
    return Part(
        blocks=tuple(blocks),
        marks=tuple((at, piece.mark) for at, piece in enumerate(pieces) if piece.mark),
        answers=tuple(at for at, piece in enumerate(pieces) if _is_answer(piece)),
        traits=IMAGES * images_in(pieces)
        | CITATIONS * citations_in(pieces)
        | THINKS * any(piece.block.kind in THINKING for piece in pieces)
        | ENTANGLED * any(map(_is_entangled, pieces)),
    )


def traits_of(parts: Iterable[Part]) -> int:
    """Return the traits of all of them together."""
    traits = 0
    for part in parts:
        traits |= part.traits
    return traits


def newest_question(messages: Sequence[Part]) -> int:
    """Return the newest message of a person; older models drop the thinking before it."""
    return max((at for at, part in enumerate(messages) if part.human), default=0)


def _is_answer(piece: Piece) -> bool:
    """Tell whether a block is what a server tool answered."""
    return piece.block.role == "assistant" and piece.block.kind.endswith("_tool_result")


def _is_entangled(piece: Piece) -> bool:
    """Tell whether what is rendered of a block depends on the messages around it."""
    return piece.block.kind == "compaction" or piece.block.refuses in PASSING
