"""Templates: what texts begin with, but for what was filled in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.templates import Parted, template

WORDS = "be exact and kind to whoever asks you"

dates = st.dates().map(str)
fillings = st.lists(st.tuples(dates, st.text("abc {}", max_size=9)), min_size=2, max_size=5)


@given(fillings, dates)
def test_what_is_filled_in_is_told_from_what_stays(
    filled: list[tuple[str, str]], later: str
) -> None:
    """A text comes apart into what all say, what was filled in, and what is its own."""
    texts = [f"Of {date}: {WORDS}\n{'vwxyz'[at]}{rest}" for at, (date, rest) in enumerate(filled)]
    found = template(texts)
    if len({date for date, _ in filled}) == 1:
        assert found is None
        return
    assert found is not None
    assert found.name == "date"
    part = found.part(f"Of {later}: {WORDS}\nand so on")
    assert part is not None
    assert part.own == later
    assert part.stable.startswith(f"Of : {WORDS}")
    for text in texts:
        apart = found.part(text)
        assert apart is not None
        assert apart.stable == part.stable
        # Nothing is lost: what was filled in goes back to its only blank.
        assert apart.stable.replace("Of ", f"Of {apart.own}", 1) + apart.rest == text


def test_what_all_fill_in_alike_stays() -> None:
    """Only what differs is taken out."""
    found = template([f"On 2026-11-21 at 10:0{at} {WORDS}" for at in range(3)])
    assert found is not None
    assert found.part(f"On 2026-11-21 at 11:55 {WORDS}") == Parted(
        f"On 2026-11-21 at  {WORDS}", "11:55", ""
    )
    assert found.part(f"On 2026-11-22 at 11:55 {WORDS}") is None


@pytest.mark.parametrize(
    "texts",
    [
        [WORDS],
        [WORDS, WORDS],
        [f"{WORDS} a", f"{WORDS} b"],
        [f"10:15 \0 {WORDS}", f"10:16 \0 {WORDS}"],
    ],
    ids=["one", "equal", "nothing filled in", "a character that stands for a blank"],
)
def test_what_is_no_template(texts: list[str]) -> None:
    """Texts into which nothing was filled are none."""
    assert template(texts) is None
