"""What changing text looks like: dates, ids, counters; and text with nothing left to read.

A pattern only gives a name to a difference that was found by comparing; on its own it is
a hint, since a date may well be part of a fixed example.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

__all__ = [
    "PATTERNS",
    "Match",
    "Variation",
    "before",
    "first_difference",
    "name_at",
    "opening",
    "shape",
    "stretches",
    "variation",
    "volatile",
]

#: By name, the most telling first: at one place the first that matches names it.
PATTERNS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    (
        "UUID",
        re.compile(
            r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE
        ),
    ),
    (
        "date and time",
        re.compile(
            r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?",
        ),
    ),
    ("date", re.compile(r"\b(?:\d{4}[-/]\d\d[-/]\d\d|\d\d?[./]\d\d?[./]\d{4})(?!\d)")),
    (
        "date",
        re.compile(
            r"\b(?:(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day,? )?"
            r"(?:(?:\d\d? )?(?:January|February|March|April|May|June|July|August|September"
            r"|October|November|December)(?: \d\d?)?,? \d{4})\b"
        ),
    ),
    (
        "git status",
        re.compile(
            r"\b(?:On branch|HEAD detached at|[Cc]urrent branch:|[Gg]it branch:|Branch:) ?\S+"
            r"|^ ?(?:[MADRCTU]{1,2}|\?\?) {1,2}[\w./-]+$",
            re.MULTILINE,
        ),
    ),
    ("time", re.compile(r"\b\d\d?:\d\d(?::\d\d)?(?: ?[AaPp]\.?[Mm]\.?)?\b")),
    ("URL", re.compile(r"\bhttps?://[^\s\"'<>]+")),
    ("session or request id", re.compile(r"\b[a-z]{2,12}_[0-9A-Za-z]{12,}\b")),
    ("hash", re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,64}\b")),
    ("timestamp", re.compile(r"\b1[5-9]\d{8}(?:\d{3})?\b")),
    ("path", re.compile(r"(?<![\w/])(?:/[\w.-]+){2,}|\b[A-Z]:\\[\w.\\-]+")),
    ("number", re.compile(r"\b\d+(?:[.,]\d+)*\b")),
)

#: Names that by themselves suggest a part which differs on every call.
_EVERY_CALL: Final = frozenset(
    {"UUID", "date and time", "time", "timestamp", "session or request id"}
)
_LETTER: Final = re.compile(r"[^\W\d_]")
_DIGIT: Final = re.compile(r"\d")


class Match(NamedTuple):
    """A stretch of text that has a name."""

    name: str
    start: int
    end: int


#: Words that tell one text from others.
_FIRST: Final = 8
_WORD: Final = re.compile(r"[^\W\d_]{2,}")


def opening(text: str) -> str:
    """Return the first words of a text, numbers and punctuation left out.

    >>> opening("2026-11-21: you are a clerk.")
    'you are clerk'
    """
    return " ".join(found.group() for found in islice(_WORD.finditer(text), _FIRST))


def name_at(text: str, offset: int) -> Match | None:
    """Return the named stretch that covers an offset.

    >>> name_at("Today is 2026-11-21.", 17)
    Match(name='date', start=9, end=19)
    """
    start = max(offset - 200, 0)
    for name, pattern in PATTERNS:
        for found in pattern.finditer(text, start, offset + 200):
            if found.start() <= offset <= found.end():
                return Match(name, found.start(), found.end())
    return None


#: Characters of a line that are left behind a cut rather than cut it.
_LINE: Final = 200
#: Two texts with less in common than this share are two texts, not one with a span.
_ALIKE: Final = 0.8
#: Any named stretch; where several begin at one place, the most telling.
_ANY: Final = re.compile(
    "|".join(
        f"(?{'i' if pattern.flags & re.IGNORECASE else ''}:{pattern.pattern})"
        for _, pattern in PATTERNS
    )
)


class Variation(NamedTuple):
    """What several texts have in common, and what each has of its own."""

    #: The first offset at which any two of them differ.
    start: int
    #: What the difference looks like; empty where it has no name.
    name: str
    #: By text: what is left without what varies, and what varies.
    parts: tuple[tuple[str, str], ...]
    #: What stands, in every text, before, between and behind what varies.
    frame: tuple[str, ...]

    def made_anew(self, uses: int) -> bool:
        """Say if this is made for each use; a few unnamed variants that stay are not."""
        versions = len(self.parts)
        telling = self.name not in {"", "number"}
        return telling or (versions > 2 and versions * 2 > uses)  # noqa: PLR2004 -- two may be a change of mind

    def part(self, text: str) -> tuple[str, str] | None:
        """Part one more text likewise; ``None`` where it has not the same frame.

        >>> variation(["It is 10:15 now.", "It is 11:15 now."]).part("It is late now.")
        ('It is  now.', 'late')
        """
        first, *between = self.frame
        last = between.pop()
        end = len(text) - len(last)
        if not text.startswith(first) or not text.endswith(last) or end < len(first):
            return None
        own, at = [], len(first)
        for piece in between:
            found = text.find(piece, at, end)
            if found < 0:
                return None
            own.append(text[at:found])
            at = found + len(piece)
        return "".join(self.frame), " ".join([*own, text[at:end]])


def variation(texts: Sequence[str]) -> Variation | None:
    """Compare texts that may be one text with something that varies in it.

    Either one stretch differs and the rest is most of each text, or several do and all
    of them look alike; otherwise these are different texts, and nothing is returned.

    >>> variation(["It is 10:15 now.", "It is 11:15 now."]).parts[0]
    ('It is  now.', '10:15')
    """
    first, *others = texts
    if not others or any(other == first for other in others):
        return None
    start = min(first_difference(first, other) for other in others)
    found = name_at(first, start)
    name = found.name if found else ""
    alike = _alike(texts)
    if alike is not None:
        return Variation(start, name, *alike)
    end = min(first_difference(first[::-1], other[::-1]) for other in others)
    shortest = min(map(len, texts))
    end = min(end, shortest - start)
    if start + end < _ALIKE * shortest:
        return None
    cut = [
        (text[:start] + text[len(text) - end :], text[start : len(text) - end]) for text in texts
    ]
    return Variation(start, name, tuple(cut), (first[:start], first[len(first) - end :]))


def _alike(
    texts: Sequence[str],
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]] | None:
    """Part texts that are equal but for named stretches, of which some differ."""
    frames = [_ANY.split(text) for text in texts]
    if any(frame != frames[0] for frame in frames):
        return None
    rows = [_ANY.findall(text) for text in texts]
    varies = [len(set(column)) > 1 for column in zip(*rows, strict=True)]
    parts = []
    for frame, row in zip(frames, rows, strict=True):
        kept = ["" if moves else value for value, moves in zip(row, varies, strict=True)]
        stable = "".join(text + value for text, value in zip(frame, [*kept, ""], strict=True))
        moved = " ".join(value for value, moves in zip(row, varies, strict=True) if moves)
        parts.append((stable, moved))
    frame = [""]
    for text, value, moves in zip(frames[0], [*rows[0], ""], [*varies, False], strict=True):
        frame[-1] += text + ("" if moves else value)
        if moves:
            frame.append("")
    return tuple(parts), tuple(frame)


def before(text: str, offset: int) -> str:
    """Return how a text begins, up to the line or the word in which an offset lies.

    Cut there, no word is read in two pieces.

    >>> before("Be kind. It is 10:15 now.", 17)
    'Be kind. It is '
    """
    # A line may be a page long.
    line = text.rfind("\n", max(offset - _LINE, 0), offset) + 1
    return text[: line or text.rfind(" ", 0, offset) + 1]


def stretches(text: str) -> Iterator[Match]:
    """Yield every named stretch of a text; where several begin, the most telling one.

    >>> [found.name for found in stretches("On 2026-11-21, at 10:15, 42 came.")]
    ['date', 'time', 'number']
    """
    for found in _ANY.finditer(text):
        named = (
            name
            for name, pattern in PATTERNS
            if (own := pattern.match(text, found.start())) and own.end() == found.end()
        )
        yield Match(next(named, ""), found.start(), found.end())


def volatile(text: str) -> Iterator[Match]:
    """Yield what looks as if it were made anew for every call."""
    for name, pattern in PATTERNS:
        if name in _EVERY_CALL:
            for found in pattern.finditer(text):
                yield Match(name, found.start(), found.end())


def first_difference(before: str, after: str) -> int:
    """Return the first offset at which two texts differ, their common length if none does.

    >>> first_difference("abcd", "abXd"), first_difference("ab", "abc")
    (2, 2)
    """
    low, high = 0, min(len(before), len(after))
    # Slices compare at memory speed, so the place is found by halving.
    while low < high:
        middle = (low + high + 1) // 2
        if before[low:middle] == after[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def shape(text: str) -> str:
    """Redact text to its shape: what it looks like, and nothing of what it says.

    >>> shape("Call Anna at 10:30!")
    'aaaa aaaa aa 99:99!'
    """
    return _DIGIT.sub("9", _LETTER.sub("a", text))
