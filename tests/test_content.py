"""Kinds of text told apart, and what each is worth in tokens."""

from __future__ import annotations

import base64
import json
import random
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.content import KINDS, chunks, kind_of_text, weigh

CHANCE = random.Random(7)
BYTES = CHANCE.randbytes(3000)
RECORDS = [{"id": at, "name": "Ada", "city": "London", "tags": ["a", "b"]} for at in range(30)]

SAMPLES = {
    "prose": "To be, or not to be, that is the question of the day. Whether it is nobler in the"
    " mind to suffer, and to bear it with patience, is for you to say.",
    "language": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit"
    " Vernunft und Gewissen begabt und sollen einander im Geiste der Brüderlichkeit begegnen.",
    "docs": "## Usage\n\nRun `plan` before anything else, then `mark` the bodies you send:\n\n"
    "* one line per call, in any order\n* blank lines are skipped, unknown keys are kept\n",
    "code": "def add(a: int, b: int) -> int:\n    return self._add(a, b)[0] or {'a': (a, b)}\n" * 5,
    "json": json.dumps(RECORDS),
    "data": "2026-11-21 17:05:33 INFO worker 12 GET /users/48151 200 34ms\n" * 10,
    "digits": "\n".join(f"{CHANCE.randrange(10**6)},{CHANCE.random():.4f}" for _ in range(50)),
    "hex": BYTES.hex(),
    "base64": base64.b64encode(BYTES).decode(),
    "capitals": "SELECT NAME FROM USERS WHERE CITY = LONDON AND AGE IS NOT NULL\n" * 4,
    "unbroken": "x" * 500,
}
texts = st.text() | st.text(st.characters(codec="ascii"), max_size=3000)


@pytest.mark.parametrize("kind", SAMPLES)
def test_kind_is_told(kind: str) -> None:
    """A plain specimen of each kind is recognised, and every kind has one."""
    assert kind_of_text(SAMPLES[kind]) == kind
    assert SAMPLES.keys() == KINDS.keys()


def test_indented_json_counts_as_code() -> None:
    """Indents cost in JSON what they cost in code, so the two are one kind."""
    assert kind_of_text(json.dumps(RECORDS, indent=4)) == "code"


@given(texts)
def test_every_text_has_a_kind(text: str) -> None:
    """No text is too short or too odd to have a kind, half surrogate pairs included."""
    assert kind_of_text(text) in KINDS
    assert kind_of_text(text + "\ud800") in KINDS


@given(st.text(st.sampled_from("ab \né中"), max_size=20_000))
def test_chunks_make_up_the_text(text: str) -> None:
    """Chunks put together are the text, and none is longer than 4,096 characters."""
    parts = list(chunks(text))
    assert "".join(parts) == text
    assert max(map(len, parts)) <= 4096


def test_chunks_end_before_lines() -> None:
    """A text of lines is cut before line ends, so that no word is torn."""
    parts = list(chunks("A line of twelve words or so, give or take a few.\n" * 500))
    assert all(part.startswith("\n") for part in parts[1:])


def test_unbroken_runs_are_cut_short() -> None:
    """Where there is no blank to cut at, 1,024 characters are a chunk: tiktoken up to 0.12
    takes time with the square of a run.
    """
    parts = list(chunks("x" * 10_000))
    assert {len(part) for part in parts[:-4]} == {1024}


@given(texts)
def test_the_new_tokenizer_never_makes_fewer_tokens(text: str) -> None:
    """Of the same text the new tokenizer makes at least as many tokens as the old."""
    chunk = weigh(text)
    old, _ = chunk.tokens(len(chunk.latin), "old")
    new, _ = chunk.tokens(len(chunk.latin), "new")
    assert 0 <= old <= new


@given(st.text(st.characters(min_codepoint=0x370, max_codepoint=0x1DFF), min_size=1))
def test_other_scripts_cost_the_same_in_both(text: str) -> None:
    """Text in other scripts leaves nothing to the ruler and costs both generations alike."""
    chunk = weigh(unicodedata.normalize("NFC", text))
    if not chunk.latin:
        assert chunk.tokens(0, "old") == chunk.tokens(0, "new")
        assert chunk.foreign > 0
        assert chunk.doubt > 0


def test_blanks_and_forms_are_folded_first() -> None:
    """A no-break space is a blank, and a letter with its accent apart is one letter."""
    assert weigh("a\xa0b").latin == "a b"
    assert weigh("cafe\u0301").latin == "café"


# Ratios of Claude's tokens to o200k's by text, measured with ctok 1.3 in 2026-11 by
# somebody else: (kind, characters a token of o200k, small letters and capitals a
# character, old ratio, new ratio).
@pytest.mark.parametrize(
    ("kind", "token", "small", "capitals", "old", "new"),
    [
        ("prose", 5.43, 0.80, 0.017, 1.06, 1.56),
        ("docs", 3.94, 0.66, 0.040, 1.16, 1.62),
        ("code", 3.80, 0.60, 0.035, 1.19, 1.59),
        ("json", 3.60, 0.58, 0.020, 1.05, 1.39),
        ("base64", 1.47, 0.40, 0.400, 1.27, 1.39),
        ("hex", 1.75, 0.37, 0.0, 1.02, 1.14),
        ("digits", 1.78, 0.0, 0.0, 1.00, 1.00),
    ],
)
def test_factors_agree_with_published_ratios(
    kind: str, token: float, small: float, capitals: float, old: float, new: float
) -> None:
    """With letters as frequent as that kind has them, the ratios come out within 8 %."""
    row = KINDS[kind]
    ratio = row.token + row.letter * small * token
    assert ratio == pytest.approx(old, rel=0.08)
    more = row.more * small * token + row.capital * capitals * token
    assert ratio + more == pytest.approx(new, rel=0.08)
