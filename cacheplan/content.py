"""What kind of text a text is, and how many tokens that kind makes.

This file may know characters, and the tables that turn them into tokens; it knows no
block and no model, only the two generations of Claude's tokenizer. Neither is published.
tiktoken's ``o200k_base`` serves as the ruler: a text is cut into chunks, each chunk's
kind is told from shares of its characters, and the kind says what a token of the ruler,
a small letter and a capital are worth.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

__all__ = ["KINDS", "Chunk", "Kind", "chunks", "kind_of_text", "weigh"]


class Kind(NamedTuple):
    """What one kind of text costs.

    Both generations pay ``token`` for each token of o200k and ``letter`` for each small
    ASCII letter. The new one pays ``more`` a small letter and ``capital`` a capital on
    top: its vocabulary has a third of the old one's pieces (15,283 and 48,792, ctok 1.3),
    so that Latin words fall apart, while digits, signs and other scripts cost the same in
    both (real counts of 115 languages, equal to three digits).
    """

    token: float
    letter: float
    more: float
    capital: float
    #: The band as a share of the count, by generation.
    old: float
    new: float


#: Where the two could be compared, ``token`` is the ratio old/o200k and ``more`` and
#: ``capital`` give the ratio new/o200k of a table made with ctok 1.3 in 2026-11: prose 1.06
#: and 1.56, Markdown 1.16 and 1.62, Python 1.19 and 1.59, JavaScript 1.24 and 1.58, JSON
#: lines 1.09 and 1.29, base64 1.27 and 1.39, hex 1.02 and 1.14, integers 1.00 and 1.00;
#: German, French and Spanish 1.33 to 1.57, and 1.72 to 2.22.
#: The bands are the 95th percentile of the error, rounded up, of 7,475 samples (14.8 MB)
#: against ctok 1.3 on 2026-11-21, by ``benchmarks/token_error.py``: sources, documents,
#: data and translations from nine folders. Over all kinds half of the samples were off by
#: less than 4.6 % (old) and 5.0 % (new), 95 % by less than 18.2 %, and 96 % were inside
#: their band. ``unbroken`` is wider than measured, for its samples were of two sorts only.
KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "prose": Kind(1.08, 0.00, 0.10, 0.5, old=0.13, new=0.19),
        "language": Kind(0.92, 0.13, 0.13, 0.4, old=0.20, new=0.18),
        "docs": Kind(1.14, 0.00, 0.11, 0.5, old=0.19, new=0.19),
        "code": Kind(1.22, 0.00, 0.135, 0.5, old=0.18, new=0.18),
        "json": Kind(1.10, 0.00, 0.16, 0.4, old=0.16, new=0.19),
        "data": Kind(1.06, 0.00, 0.13, 0.4, old=0.21, new=0.17),
        "digits": Kind(1.00, 0.00, 0.20, 0.0, old=0.12, new=0.20),
        "hex": Kind(1.03, 0.00, 0.18, 0.0, old=0.06, new=0.05),
        "capitals": Kind(1.35, 0.00, 0.13, 0.42, old=0.31, new=0.23),
        "unbroken": Kind(1.2, 0.00, 0.15, 0.3, old=0.30, new=0.50),
        "base64": Kind(1.27, 0.00, 0.24, 0.0, old=0.08, new=0.07),
    }
)

#: Scripts by their first code point: tokens a character, and the band. Claude's pieces
#: for them are few, so characters are the better ruler (the ratio to o200k ranges from
#: 0.5 to 4.7). Rates from real counts of the UDHR in 115 languages, 2026-08, which lie
#: within half the band; translated messages (213 of the samples above) need all of it.
#: Cyrillic runs from Russian 0.37 to Tatar 0.64; what is not named is written byte by byte.
_SCRIPTS: Final = (
    (0x0370, 0.74, 0.25),  # Greek
    (0x0400, 0.48, 0.45),  # Cyrillic
    (0x0530, 0.65, 0.25),  # Armenian
    (0x0590, 0.83, 0.25),  # Hebrew
    (0x0600, 0.84, 0.25),  # Arabic
    (0x0700, 2.20, 0.60),
    (0x0780, 1.15, 0.25),  # Thaana
    (0x07C0, 2.20, 0.60),
    (0x0900, 0.86, 0.25),  # Devanagari
    (0x0980, 1.02, 0.25),  # Bengali
    (0x0A00, 2.70, 0.25),  # Gurmukhi
    (0x0A80, 1.10, 0.25),  # Gujarati
    (0x0B00, 2.60, 0.30),  # Odia
    (0x0B80, 0.89, 0.25),  # Tamil
    (0x0C00, 0.96, 0.25),  # Telugu
    (0x0C80, 2.10, 0.25),  # Kannada
    (0x0D00, 1.15, 0.25),  # Malayalam
    (0x0D80, 1.10, 0.25),  # Sinhala
    (0x0E00, 0.87, 0.25),  # Thai
    (0x0E80, 1.39, 0.25),  # Lao
    (0x0F00, 1.34, 0.25),  # Tibetan
    (0x1000, 1.40, 0.30),  # Myanmar
    (0x10A0, 0.73, 0.25),  # Georgian
    (0x1100, 2.80, 0.50),
    (0x1200, 1.60, 0.25),  # Ethiopic
    (0x13A0, 3.30, 0.25),
    (0x1780, 1.08, 0.25),  # Khmer
    (0x1800, 3.00, 0.30),
    (0x1E00, 1.60, 0.40),  # Latin letters with two accents: Vietnamese
    (0x2190, 2.00, 0.60),  # arrows, boxes, signs: 0.25 in a row, up to 5 alone
    (0x2E80, 1.15, 0.25),  # Han and its punctuation
    (0x3040, 0.83, 0.25),  # kana
    (0x3100, 1.15, 0.25),  # Han
    (0xA000, 3.00, 0.30),
    (0xAC00, 1.32, 0.25),  # Hangul
    (0xD7B0, 2.00, 0.50),
    (0xFF00, 1.30, 0.40),  # full-width forms
    (0x10000, 3.80, 0.25),
    (0x1F000, 3.50, 0.50),  # emoji
)
_STARTS: Final = [start for start, _, _ in _SCRIPTS]
#: Everything that table covers; kana apart from Han, for they cost differently.
_FOREIGN: Final = re.compile(
    "[\u3040-\u30ff]+|[\u0370-\u1eff\u2190-\u2bff\u2e80-\u303f\u3100-\ud7ff\ue000-\U0010ffff]+"
)

_SMALL: Final = bytes(range(ord("a"), ord("z") + 1))
_CAPITALS: Final = bytes(range(ord("A"), ord("Z") + 1))
_DIGITS: Final = b"0123456789"
_BLANKS: Final = b" \n\t"
_HEX: Final = _DIGITS + b"abcdefABCDEF-:\n "
#: Words that no paragraph lacks, each as it stands between blanks: of English, and of
#: French, Spanish, German, Italian, Dutch, Indonesian, Swahili and Tagalog.
# fmt: off
_ENGLISH: Final = (
    " the ", " of ", " and ", " to ", " in ", " is ", " for ", " with ", " you ", " that ",
)
_OTHERS: Final = (
    " de ", " la ", " que ", " en ", " und ", " der ", " di ", " che ", " el ", " van ",
    " yang ", " na ", " ya ", " ng ", " i ",
)
# fmt: on
#: Characters in which one such word is to be expected, and those of no word.
_PARAGRAPH: Final = 400
_WORD: Final = 60


class _Shape(NamedTuple):
    """How many of its characters are what."""

    length: int
    small: int
    capitals: int
    digits: int
    blanks: int
    #: Outside ASCII: letters with accents, mostly.
    accents: int

    @property
    def letters(self) -> int:
        """Letters of any Latin alphabet."""
        return self.small + self.capitals + self.accents

    @property
    def signs(self) -> int:
        """What is left: punctuation."""
        return self.length - self.letters - self.digits - self.blanks


def _shape(text: str, raw: bytes) -> _Shape:
    """Count characters by deleting them, which is the fastest way to count.

    Of each sort is what the text lost by it; the most frequent go first.
    """
    length = len(raw)
    rest = raw.translate(None, _SMALL)
    small, left = length - len(rest), len(rest)
    rest = rest.translate(None, _BLANKS)
    blanks, left = left - len(rest), len(rest)
    rest = rest.translate(None, _CAPITALS)
    capitals, left = left - len(rest), len(rest)
    digits = left - len(rest.translate(None, _DIGITS))
    accents = 0 if text.isascii() else length - len(text.encode("ascii", "ignore"))
    return _Shape(length, small, capitals, digits, blanks, accents)


def kind_of_text(text: str) -> str:
    """Tell the kind of a text in Latin script, from shares of characters alone.

    >>> kind_of_text("To be, or not to be, that is the question of the day")
    'prose'
    >>> kind_of_text('{"id": 17, "name": "Ada", "tags": ["a", "b"]}')
    'json'
    """
    raw = text.encode("latin-1", "replace")
    return _kind(text, raw, _shape(text, raw))


def _kind(text: str, raw: bytes, shape: _Shape) -> str:
    """Ask the cheap questions first; the limits are where the measured kinds part."""
    length, letters, signs = shape.length, shape.letters, shape.signs
    if random := _random(raw, shape):
        return random
    if raw.count(b'"') > 0.03 * length and raw.count(b":") + raw.count(b",") > 0.02 * length:
        # Indented JSON costs what code does: both pay for the indents.
        return "json" if raw.count(b"\n") < 0.012 * length else "code"
    if shape.digits > 0.15 * length:
        return "data"
    if shape.capitals > 0.5 * letters:
        return "capitals"
    accented = shape.accents > 0.012 * letters and letters > 0.6 * length
    if (letters > 0.7 * length and signs < 0.06 * length) or (accented and signs < 0.08 * length):
        return _prose_or_language(text, shape)
    return "code" if signs > 0.1 * length else "docs"


def _random(raw: bytes, shape: _Shape) -> str:
    """Tell what no vocabulary finds words in: numbers, encoded bytes; else nothing."""
    length, letters = shape.length, shape.letters
    if shape.digits > 0.4 * length and letters < 0.12 * length:
        return "digits"
    if shape.digits > 0.25 * length and len(raw.translate(None, _HEX)) < 0.04 * length:
        return "hex"
    if shape.blanks > 0.03 * length or shape.signs > 0.12 * length:
        return ""
    if shape.digits > 0.06 * length and shape.capitals > 0.25 * letters:
        return "base64"
    return "unbroken" if length > _WORD else ""


def _prose_or_language(text: str, shape: _Shape) -> str:
    """Tell English from other languages by the words that no sentence lacks."""
    if shape.accents > 0.03 * shape.letters:
        return "language"
    english, other = sum(map(text.count, _ENGLISH)), sum(map(text.count, _OTHERS))
    if english > other:
        return "prose"
    # Too short for such words, and plain: English is the likelier.
    plain = not other and shape.accents <= 0.012 * shape.letters
    return "prose" if plain and shape.length < _PARAGRAPH else "language"


#: Characters encoded at a time: mixed documents change kind about this often, and it
#: bounds what a piece without blanks can cost.
_CHUNK: Final = 4096
#: The same where there is no blank to cut at: up to 0.12, tiktoken takes time with the
#: square of such a run (at 1,024 a microsecond a character, at 65,536 twenty).
_RUN: Final = 1024


def chunks(text: str) -> Iterator[str]:
    """Cut a text before line ends, else before blanks, where a tokenizer cuts as well."""
    start = 0
    while len(text) - start > _CHUNK:
        half, end = start + _CHUNK // 2, start + _CHUNK
        cut = text.rfind("\n", half, end)
        if cut < 0:
            cut = text.rfind(" ", half, end)
        end = cut if cut > 0 else start + _RUN
        yield text[start:end]
        start = end
    yield text[start:]


class Chunk(NamedTuple):
    """A chunk with all that can be said of it before it is held against the ruler."""

    #: The part the ruler measures.
    latin: str
    kind: Kind
    small: int
    capitals: int
    #: Tokens of the scripts that are counted by character, and their doubt.
    foreign: float
    doubt: float

    def tokens(self, ruler: int, generation: Literal["old", "new"]) -> tuple[float, float]:
        """Return tokens and doubt, given what the ruler says of the Latin part."""
        kind = self.kind
        latin, band = kind.token * ruler + kind.letter * self.small, kind.old
        if generation == "new":
            latin += kind.more * self.small + kind.capital * self.capitals
            band = kind.new
        return latin + self.foreign, latin * band + self.doubt


def weigh(text: str) -> Chunk:
    """Part a chunk into what the ruler measures and what is counted by character."""
    foreign = doubt = 0.0
    if not text.isascii():
        # As Claude's tokenizers begin, by ctok's account: composed, and one kind of blank.
        text = unicodedata.normalize("NFC", text).replace("\xa0", " ")
        for run in _FOREIGN.findall(text):
            _, each, band = _SCRIPTS[bisect(_STARTS, ord(run[0])) - 1]
            foreign += each * len(run)
            doubt += each * len(run) * band
        if foreign:
            text = _FOREIGN.sub("", text)
    raw = text.encode("latin-1", "replace")
    shape = _shape(text, raw)
    kind = KINDS[_kind(text, raw, shape)]
    return Chunk(text, kind, shape.small, shape.capitals, foreign, doubt)
