"""Templates: texts that begin as one text does, but for what was filled in.

A program that sends instructions and question as one text fills in a date here and a
name there. What several such texts have in common is their frame: all that stands
between named stretches, up to where the texts go on as texts of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from cacheplan.patterns import before, first_difference, stretches

__all__ = ["Parted", "Template", "template"]

#: Stands for a named stretch; no prompt holds it.
_BLANK = "\0"


class Parted(NamedTuple):
    """A text, taken apart."""

    #: What all texts of the template say, then what this one has filled in, then the rest.
    stable: str
    own: str
    rest: str


class Template(NamedTuple):
    """What several texts begin with, but for what was filled in."""

    #: The common beginning, with a blank for each named stretch.
    frame: str
    #: What stands in each blank, ``None`` where that differs.
    filled: tuple[str | None, ...]
    #: The first offset at which any two of the texts differ, and what that is called.
    start: int
    name: str

    def part(self, text: str) -> Parted | None:
        """Take one more text apart; ``None`` where it does not begin so."""
        masked, found = _masked(text)
        if not masked.startswith(self.frame) or _BLANK in text:
            return None
        values = [value for _, value in found[: len(self.filled)]]
        pairs = [*zip(values, self.filled, strict=True)]
        if any(one not in {None, value} for value, one in pairs):
            return None
        own = " ".join(value for value, one in pairs if one is None)
        length = len(_with(self.frame, values))
        return Parted(_with(self.frame, [one or "" for one in self.filled]), own, text[length:])


def template(texts: Sequence[str]) -> Template | None:
    """Return what texts have in common; ``None`` where nothing was filled into it.

    >>> found = template(["On 2026-11-21, be kind to Ann.", "On 2026-11-22, be kind to Bob."])
    >>> found.part("On 2026-11-23, be kind to Eve.")
    Parted(stable='On , be kind to ', own='2026-11-23', rest='Eve.')
    """
    first, *others = texts
    if not others or any(_BLANK in text for text in texts):
        return None
    masked = [_masked(text) for text in texts]
    length = min((first_difference(masked[0][0], one) for one, _ in masked[1:]), default=0)
    frame = before(masked[0][0], length) if length < len(masked[0][0]) else masked[0][0]
    blanks = frame.count(_BLANK)
    rows = [[value for _, value in found[:blanks]] for _, found in masked]
    filled = tuple(
        column[0] if len(set(column)) == 1 else None for column in zip(*rows, strict=True)
    )
    if None not in filled:
        return None
    start = min(first_difference(first, other) for other in others)
    name = masked[0][1][filled.index(None)][0]
    return Template(frame, filled, start, name)


def _with(frame: str, values: Sequence[str]) -> str:
    """Return a frame with its blanks filled in."""
    pieces = frame.split(_BLANK)
    return "".join(chain.from_iterable(zip(pieces, [*values, ""], strict=True)))


def _masked(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Return a text with its named stretches blank, and these, each with its name."""
    made, found, at = [], [], 0
    for match in stretches(text):
        made += [text[at : match.start], _BLANK]
        found.append((match.name, text[match.start : match.end]))
        at = match.end
    return "".join([*made, text[at:]]), found
