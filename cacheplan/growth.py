"""By how much one tokenizer makes more of a text than another, by kind of text.

There is no one factor: English grows by half from the older to the newer tokenizer of
Claude, Chinese not at all. So a text is parted by kind, each part counted under both, and
beside the ratio so found stands what others have measured for that kind. This file knows
kinds of text and ranges; it knows no prompt and no price.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Final, NamedTuple

from cacheplan.content import KINDS, chunks, weigh
from cacheplan.facts import Model
from cacheplan.makeup import makeup
from cacheplan.prompt import Block, Level
from cacheplan.tokens import Count, TokenCounter

__all__ = [
    "MEASURED",
    "OTHER",
    "REST",
    "SAME",
    "STATED",
    "Growth",
    "Parted",
    "growths",
    "parted",
    "stated",
]

#: Text of scripts other than Latin, and blocks whose length is all that is known of them.
OTHER: Final = "other scripts"
STATED: Final = "of stated length"
#: What is no text: pictures, frames, and what the service adds unseen.
REST: Final = "not text"

#: Lowest and highest ratio of new tokens to old that was measured, by kind of text: counts
#: with ctok 1.3 (2026-11) and, apart from it, some 200 answers of ``count_tokens`` for Opus
#: 4.7 and 4.6 (sol.ava.dev, 2026-04-17; Claude Code Camp, 2026). What nobody measured has
#: the range of all. Of models after Opus 5 nobody has measured any.
MEASURED: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "prose": (1.45, 1.47),
        "language": (1.24, 1.46),
        "docs": (1.30, 1.47),
        "code": (1.13, 1.36),
        "json": (1.19, 1.32),
        "data": (1.06, 1.31),
        "digits": (1.00, 1.00),
        "hex": (1.06, 1.11),
        "capitals": (1.00, 1.47),
        "unbroken": (1.00, 1.47),
        "base64": (1.10, 1.10),
        OTHER: (1.00, 1.01),
        STATED: (1.00, 1.47),
        REST: (1.00, 1.00),
    }
)
#: What the documentation says of text in general (model overview, 2026-08-22), for blocks
#: of which only the length is known.
_ABOUT: Final = 1.3

#: Tokens of other scripts a character of Latin ones, above which a chunk counts as theirs:
#: a name or an emoji in a paragraph does not make it Greek.
_MOSTLY: Final = 0.5

_NAMES: Final = {kind: name for name, kind in KINDS.items()}


class Growth(NamedTuple):
    """A ratio of lengths, and between what it may be."""

    ratio: float
    low: float
    high: float


#: The same length under both.
SAME: Final = Growth(1.0, 1.0, 1.0)

#: By kind of text: how many tokens of it there are under either tokenizer.
Parted = Mapping[str, tuple[int, int]]
_Counted = Iterable[tuple[str, tuple[Count, Count]]]


def parted(
    blocks: Sequence[Block], before: Model | None, after: Model | None, counter: TokenCounter
) -> list[Parted]:
    """Part each block by kind of text, and count the parts for two models."""
    parts: list[Block] = []
    made: list[list[str]] = []
    for block in blocks:
        texts: dict[str, list[str]] = {}
        for text in makeup(block, "new").texts:
            for chunk in chunks(text):
                texts.setdefault(_kind(chunk), []).append(chunk)
        made.append(list(texts))
        parts += [
            Block(level=Level.MESSAGES, kind="text", role="user", body={"text": "".join(told)})
            for told in texts.values()
        ]
    counts = iter(zip(counter.count(parts, before), counter.count(parts, after), strict=True))
    return [
        {kind: (one.tokens, other.tokens) for kind, (one, other) in _so_many(kinds, counts)}
        for kinds in made
    ]


def _so_many(kinds: Sequence[str], counts: Iterator[tuple[Count, Count]]) -> _Counted:
    """Take as many counts as there are kinds."""
    return zip(kinds, islice(counts, len(kinds)), strict=True)


def _kind(chunk: str) -> str:
    """Tell the kind of a chunk."""
    found = weigh(chunk)
    return OTHER if found.foreign > _MOSTLY * len(found.latin) else _NAMES[found.kind]


def growths(
    parts: Iterable[tuple[Parted, float]], *, older: bool = False
) -> Mapping[str, tuple[float, float, Growth]]:
    """Add parts up, each weighed; return tokens before and after, and the ratio, by kind.

    ``older`` says that the way leads back to the older tokenizer: what was measured then
    holds upside down. A ratio outside of what was measured widens the range.
    """
    sums: dict[str, tuple[float, float]] = {}
    for part, weight in parts:
        for kind, (before, after) in part.items():
            one, other = sums.get(kind, (0.0, 0.0))
            sums[kind] = one + weight * before, other + weight * after
    found = {}
    for kind, (one, other) in sums.items():
        low, high = MEASURED[kind]
        if older:
            low, high = 1 / high, 1 / low
        ratio = other / one if one else 1.0
        found[kind] = one, other, Growth(ratio, min(low, ratio), max(high, ratio))
    return found


def stated(*, older: bool) -> Growth:
    """Return how blocks grow of which only the length is known."""
    low, high = MEASURED[STATED]
    return Growth(1 / _ABOUT, 1 / high, 1 / low) if older else Growth(_ABOUT, low, high)
