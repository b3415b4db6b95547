"""Drawings as numbers: every axis begins at zero, and every width is its share."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reviews import dated, reviewed, steady
from small import digest_line

from cacheplan import drawings
from cacheplan.portraits import Part, Portrait
from cacheplan.prompt import Level, Lifetime, Place
from cacheplan.report import Review
from cacheplan.shared import STEPS


@pytest.fixture(scope="module")
def found() -> Review:
    """Review calls whose instructions begin with the time, beside calls that share theirs."""
    return reviewed([*dated(), *steady(label="steady", every=60)])


def part(tokens: int, calls: int, same: float, marked: Lifetime | None = None) -> Part:
    """Return a block of a system prompt."""
    place = Place(level=Level.SYSTEM, index=0)
    return Part(place, "text", "", tokens, calls, same, marked, None)


def test_bills(found: Review) -> None:
    """The dearest bill is as wide as the page, and every other one its share of that."""
    drawn = drawings.sums(found.sums())
    costs = [row.amount or Decimal() for row in found.sums()]
    assert [one["width"] for one in drawn] == [
        pytest.approx(float(cost / max(costs)) * 100, abs=0.01) for cost in costs
    ]


def test_policies(found: Review) -> None:
    """The dearest policy is as wide as the column, and the bound is no further than any."""
    drawn = drawings.policies(found.comparison)
    costs = [one.input_cost or Decimal() for one in found.comparison.projections]
    widths = [row["width"] for row in drawn["rows"]]
    assert widths == [pytest.approx(float(cost / max(costs)) * 100, abs=0.01) for cost in costs]
    assert 0 < drawn["bound"] <= min(widths)
    assert {row["name"]: row["look"] for row in drawn["rows"]}["planned"] == "good"


def test_unknown_money_has_no_bars() -> None:
    """Where nobody knows a price no bar is drawn, and the cost says so."""
    lines = steady(4)
    for line in lines:
        line["request"]["model"] = "a-new-one"
    drawn = drawings.policies(reviewed(lines).comparison)
    assert {row["width"] for row in drawn["rows"]} == {0.0}
    assert {row["cost"] for row in drawn["rows"]} == {"unknown"}
    assert drawn["bound"] is None


blocks = st.lists(
    st.builds(
        part,
        st.integers(0, 50_000),
        st.integers(1, 9),
        st.floats(0, 1),
        st.sampled_from([None, *Lifetime]),
    ),
    min_size=1,
    max_size=40,
)


@given(blocks)
def test_blocks_fill_the_bar(parts: list[Part]) -> None:
    """Blocks stand one after another and are as wide as they are long, merged or not."""
    whole = sum(one.tokens for one in parts)
    drawn = drawings.portrait(
        Portrait(lane="a", calls=9, number=0, id=None, tokens=whole, parts=tuple(parts)), show=False
    )
    at = 0.0
    for block in drawn["blocks"]:
        assert block["x"] == pytest.approx(at, abs=0.3)
        at = block["x"] + block["width"]
    assert at == pytest.approx(100 if whole else 0, abs=0.3)
    assert len(drawn["sent"]) == sum(one.marked is not None for one in parts)
    assert len(drawn["rows"]) == len(parts)


def test_three_looks() -> None:
    """A block is read by others, or the same but lost, or new; one can be partly lost."""
    parts = (part(1_000, 5, 1.0), part(1_000, 1, 0.75), part(1_000, 1, 0.0))
    drawn = drawings.portrait(
        Portrait(lane="a", calls=5, number=0, id=None, tokens=3_000, parts=parts), show=False
    )
    looks = [(block["look"], round(block["width"])) for block in drawn["blocks"]]
    assert looks == [("good", 33), ("lost", 25), ("rest", 8), ("rest", 33)]


@given(st.integers(1, 10**9))
def test_axis(tokens: int) -> None:
    """An axis begins at zero, has a few round ticks at equal distances, and stays inside."""
    one = Portrait(lane="a", calls=1, number=0, id=None, tokens=tokens, parts=(part(tokens, 1, 0),))
    ticks = drawings.portrait(one, show=False)["ticks"]
    assert (ticks[0]["x"], ticks[0]["label"]) == (0.0, "0 tokens")
    assert 1 <= len(ticks) <= 6
    places = [tick["x"] for tick in ticks]
    assert all(0 <= place <= 100 for place in places)
    steps = [after - before for before, after in pairwise(places)]
    assert all(step == pytest.approx(steps[0], abs=0.02) for step in steps)


def test_gaps(found: Review) -> None:
    """A bar is as high as its number, and both lines stand where their bar of gaps ends."""
    row = found.shared[0]
    drawn = drawings.gaps(row)
    most = max(row.gaps)
    highest = max(bar["high"] for bar in drawn["bars"])
    for bar, number in zip(drawn["bars"], row.gaps, strict=True):
        assert bar["high"] == pytest.approx(number / most * highest, abs=0.1)
        assert bar["top"] + bar["high"] == pytest.approx(drawn["floor"], abs=0.1)
    edges = {edge["label"]: edge["x"] for edge in drawn["edges"]}
    assert {limit["label"]: limit["x"] for limit in drawn["limits"]} == {
        "5 minutes": edges["5m"],
        "1 hour": edges["1h"],
    }


def test_every_step_has_a_label() -> None:
    """Every step of the gaps ends at a label that says how long it is."""
    seconds = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
    assert tuple(int(label[:-1]) * seconds[label[-1]] for label in drawings.LABELS) == STEPS


def test_tree() -> None:
    """A box is as high as its calls and as wide as its tokens, and the largest has words."""
    prompt = [("s", 3_000, "system")]
    calls = [digest_line([*prompt, (f"q{at}", 1_000, "messages")], at=at) for at in range(3)]
    drawn = drawings.tree(reviewed(calls).branches)
    first, *rest = drawn["boxes"]
    assert (first["x"], first["wide"], first["shared"]) == (0.0, 75.0, 100.0)
    assert first["high"] == drawn["high"]
    assert first["words"] == "3 calls of claude-sonnet-5"
    assert {(box["x"], box["wide"], box["shared"]) for box in rest} == {(75.0, 25.0, 0.0)}
    assert sum(box["high"] for box in rest) == pytest.approx(drawn["high"], abs=0.2)


def test_nothing_is_drawn_of_nothing(found: Review) -> None:
    """A review without a tree has a drawing without boxes."""
    assert drawings.tree(replace(found, branches=()).branches)["boxes"] == []
