"""How texts grow from one tokenizer to the other, by kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.content import KINDS
from cacheplan.facts import Model, find
from cacheplan.growth import MEASURED, OTHER, REST, STATED, Growth, growths, parted, stated
from cacheplan.io.counting import estimate
from cacheplan.prompt import Block, Level

PROSE = "The old man went down to the sea and thought of what he had seen that day. " * 40
CHINESE = "我们的客户服务团队会在一个工作日内回复您的问题。" * 40


def model(name: str) -> Model:
    """Return the model that an id names."""
    found = find(name)
    assert found is not None
    return found.model


OLD, NEW = model("claude-sonnet-4-6"), model("claude-sonnet-5")


def said(*texts: str) -> list[Block]:
    """Return text blocks."""
    return [
        Block(level=Level.MESSAGES, kind="text", role="user", body={"text": text}) for text in texts
    ]


def test_every_kind_has_a_range() -> None:
    """Each kind of text that is told apart has a range, from 1 to 1.47 at most."""
    assert set(MEASURED) == {*KINDS, OTHER, STATED, REST}
    for low, high in MEASURED.values():
        assert 1 <= low <= high <= 1.47


def test_english_grows_and_chinese_does_not() -> None:
    """English prose takes a third more tokens and up, Chinese as many as before."""
    english, chinese = parted(said(PROSE, CHINESE), OLD, NEW, estimate())
    assert set(english) == {"prose"}
    assert set(chinese) == {OTHER}
    assert 1.3 < english["prose"][1] / english["prose"][0] < 1.5
    assert chinese[OTHER][0] == chinese[OTHER][1]


def test_a_mixed_block_is_parted() -> None:
    """A block of several kinds is counted kind by kind, and its parts make up the whole."""
    mixed = PROSE * 3 + "\n" + CHINESE * 8
    (parts,) = parted(said(mixed), OLD, NEW, estimate())
    assert set(parts) == {"prose", OTHER}
    (whole,) = estimate().count(said(mixed), NEW)
    assert sum(after for _, after in parts.values()) == pytest.approx(whole.tokens, rel=0.03)


def test_no_text() -> None:
    """A block without any text has no parts."""
    assert parted(said(""), OLD, NEW, estimate()) == [{}]


def test_ranges_widen() -> None:
    """A ratio that is found outside of what was measured widens the range."""
    found = growths([({"prose": (100, 160)}, 1.0), ({"code": (100, 120)}, 2.0)])
    assert found["prose"][2] == Growth(1.6, 1.45, 1.6)
    assert found["code"][:2] == (200, 240)
    assert found["code"][2] == Growth(1.2, 1.13, 1.36)


@given(
    st.dictionaries(
        st.sampled_from(sorted(KINDS)),
        st.tuples(st.integers(1, 10_000), st.integers(1, 10_000)),
        min_size=1,
    )
)
def test_back_is_the_other_way_round(part: dict[str, tuple[int, int]]) -> None:
    """From the newer tokenizer to the older every ratio and its range stand upside down."""
    there = growths([(part, 1.0)])
    back = growths([({kind: (b, a) for kind, (a, b) in part.items()}, 1.0)], older=True)
    for kind, (_, _, growth) in there.items():
        other = back[kind][2]
        assert growth.low <= growth.ratio <= growth.high
        assert (1 / other.ratio, 1 / other.high, 1 / other.low) == pytest.approx(growth)


def test_lengths_that_are_only_stated() -> None:
    """Of a block that is but a length any growth is possible that was ever measured."""
    assert stated(older=False) == Growth(1.3, 1.0, 1.47)
    assert stated(older=True) == pytest.approx((1 / 1.3, 1 / 1.47, 1.0))
