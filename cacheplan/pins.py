"""Pins: what a user says must stay where it is, whatever another order would save.

One line each, as a list in ``pyproject.toml`` holds them::

    [tool.cacheplan]
    pins = [
        "system[0] first",
        '"You are a clerk" before "Today is"',
        "tool:search before tool:fetch",
    ]

A block is named by its place in the prompt as it is sent, by its tool, or by the words it
begins with; in names and words ``*`` stands for anything. ``first`` and ``last`` are meant
among the blocks of its own level. Nothing here knows calls or money.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final, Literal, NamedTuple, get_args

from cacheplan.errors import InputError
from cacheplan.prompt import Level, Place

__all__ = ["Pick", "Pin", "Precedence", "kept_last", "named_by", "pins_from", "precedences"]

Word = Literal["first", "last", "before", "after"]
_WORDS: Final[tuple[Word, ...]] = get_args(Word)
_LEVELS: Final = {str(level): level for level in Level}

#: A block: a place, a tool or the first words of a text.
_PICK: Final = (
    r"(?:tools|system)\[\d+\]|messages\[0\]\.content\[\d+\]"
    r"""|tool:\S+|"[^"]+"|'[^']+'"""
)
_PIN: Final = re.compile(rf"\s*({_PICK})\s+(\w+)(?:\s+({_PICK}))?\s*")
_PLACE: Final = re.compile(r"(\w+)\[(\d+)\](?:\.content\[(\d+)\])?")
_FORM: Final = (
    "a pin is BLOCK first, BLOCK last, BLOCK before BLOCK or BLOCK after BLOCK, where BLOCK is"
    ' tools[N], system[N], messages[0].content[N], tool:NAME or "the first words of a text"'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """Which block is meant."""

    #: As it was written.
    text: str
    #: Where it stands; ``None`` where its name or its words say which it is.
    place: Place | None = None
    #: The name of a tool, ``None`` where none is meant.
    tool: re.Pattern[str] | None = None
    #: What a text begins with, ``None`` where its place or its name says which it is.
    words: re.Pattern[str] | None = None

    @property
    def level(self) -> Level | None:
        """The level it stands at, ``None`` where any can be meant."""
        if self.place is not None:
            return self.place.level
        return Level.TOOLS if self.tool is not None else None

    def picks(self, place: Place, body: Mapping[str, Any] | None) -> bool:
        """Tell whether it means the block at a place that says this."""
        if self.place is not None:
            return place == self.place
        if self.tool is not None:
            name = (body or {}).get("name")
            return place.level is Level.TOOLS and self.tool.fullmatch(str(name)) is not None
        text = (body or {}).get("text")
        return isinstance(text, str) and bool(self.words and self.words.match(text.strip()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One thing that a user has said about the order."""

    what: Pick
    word: Word
    #: The block it is held against; ``None`` for ``first`` and ``last``.
    other: Pick | None = None

    def __str__(self) -> str:
        """Write it as it can be read again."""
        other = "" if self.other is None else f" {self.other.text}"
        return f"{self.what.text} {self.word}{other}"

    def pair(self) -> tuple[Pick, Pick] | None:
        """Return what comes before what, ``None`` for ``first`` and ``last``."""
        if self.other is None:
            return None
        return (self.what, self.other) if self.word == "before" else (self.other, self.what)


class Precedence(NamedTuple):
    """Two blocks of one prompt, by number, of which one must come before the other."""

    first: int
    then: int
    #: Who says so: a pin, or the words of a text.
    because: str


def pins_from(texts: Iterable[str]) -> tuple[Pin, ...]:
    """Read pins; the first that cannot be one, or cannot be kept, is named by its number.

    >>> [str(pin) for pin in pins_from(["system[0] first", "tool:b after tool:a"])]
    ['system[0] first', 'tool:b after tool:a']
    """
    pins = []
    for at, text in enumerate(texts):
        try:
            pins.append(_pin(str(text)))
        except InputError as error:
            raise error.within(at) from error
    _ends(pins)
    _circles(pins)
    return tuple(pins)


def precedences(
    pins: Sequence[Pin], blocks: Sequence[tuple[Place, Mapping[str, Any] | None]]
) -> list[Precedence]:
    """Return what pins say about the blocks of one prompt, by number."""
    levels = [place.level for place, _ in blocks]
    found: dict[tuple[int, int], str] = {}
    settled: dict[Word, set[int]] = {"first": set(), "last": set()}
    for pin in pins:
        mine = _picked(pin.what, blocks)
        pair = pin.pair()
        if pair is not None:
            for first in _picked(pair[0], blocks):
                for then in _picked(pair[1], blocks):
                    if first != then:
                        found.setdefault((first, then), str(pin))
            continue
        # Of several that are to be first, the one that is named first is.
        done = settled[pin.word]
        for at in mine:
            rest = (n for n, level in enumerate(levels) if level is levels[at] and n not in done)
            for other in rest:
                ends = (at, other) if pin.word == "first" else (other, at)
                if other not in mine or ends[0] < ends[1]:
                    found.setdefault(ends, str(pin))
        done.update(mine)
    return [Precedence(*ends, because) for ends, because in found.items()]


def named_by(pins: Iterable[Pin], place: Place, body: Mapping[str, Any] | None) -> tuple[Pin, ...]:
    """Return the pins that speak of a block."""
    return tuple(
        pin
        for pin in pins
        if any(pick is not None and pick.picks(place, body) for pick in (pin.what, pin.other))
    )


def kept_last(pins: Iterable[Pin], blocks: Sequence[tuple[Level, Mapping[str, Any] | None]]) -> int:
    """Return how many blocks at the end of a head are pinned last of their level."""
    picks = [pin.what for pin in pins if pin.word == "last"]
    seen: dict[Level, int] = {}
    last = 0
    for level, body in blocks:
        index = seen[level] = seen.get(level, -1) + 1
        place = Place(level=level, index=index)
        last = last + 1 if any(pick.picks(place, body) for pick in picks) else 0
    return last


def _picked(pick: Pick, blocks: Sequence[tuple[Place, Mapping[str, Any] | None]]) -> list[int]:
    """Return which of these blocks are meant."""
    return [at for at, (place, body) in enumerate(blocks) if pick.picks(place, body)]


def _pin(text: str) -> Pin:
    """Read one pin."""
    found = _PIN.fullmatch(text)
    word = next((word for word in _WORDS if found and word == found[2]), None)
    if found is None or word is None:
        raise InputError(f"this cannot be read; {_FORM}")
    what, other = _pick(found[1]), _pick(found[3]) if found[3] else None
    if (other is None) != (word in {"first", "last"}):
        needs = "needs a second block" if other is None else "names one block"
        raise InputError(f'"{word}" {needs}')
    pin = Pin(what=what, word=word, other=other)
    pair = pin.pair()
    if pair is not None:
        first, then = pair
        if first.text == then.text:
            raise InputError(f"{first.text} cannot stand before itself")
        if first.level is not None and then.level is not None and first.level > then.level:
            raise InputError(f"{first.text} cannot stand before {then.text}: {_ORDER}")
    return pin


_ORDER: Final = "tools come before system, and system before messages"


def _pick(text: str) -> Pick:
    """Read which block is meant."""
    if text.startswith("tool:"):
        return Pick(text=text, tool=_pattern(text.removeprefix("tool:")))
    if text[0] in "\"'":
        return Pick(text=text, words=_pattern(text[1:-1].strip()))
    found = _PLACE.fullmatch(text)
    # The pattern of a pin has let nothing else through.
    level, index, content = found.groups() if found else ("", "", "")
    place = Place(
        level=_LEVELS[level], index=int(index), content=None if content is None else int(content)
    )
    return Pick(text=text, place=place)


def _pattern(text: str) -> re.Pattern[str]:
    """Return what matches a name or words in which ``*`` stands for anything."""
    return re.compile(re.escape(text).replace(r"\*", ".*").replace(r"\ ", r"\s+"), re.DOTALL)


def _ends(pins: Sequence[Pin]) -> None:
    """Refuse pins that want one block at both ends."""
    last = {pin.what.text for pin in pins if pin.word == "last"}
    for at, pin in enumerate(pins):
        if pin.word == "first" and pin.what.text in last:
            raise InputError(f"{pin.what.text} cannot be first and last", (at,))


def _circles(pins: Sequence[Pin]) -> None:
    """Refuse pins that go round in a circle."""
    pairs = [pair for pin in pins if (pair := pin.pair()) is not None]
    order = TopologicalSorter[str]()
    for first, then in pairs:
        order.add(then.text, first.text)
    try:
        order.prepare()
    except CycleError as error:
        circle = " before ".join(error.args[1])
        raise InputError(f"these pins go round in a circle: {circle}") from error
