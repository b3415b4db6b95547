"""A sample tells of all, and its interval holds the truth as often as it says."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.arrivals import Dice
from cacheplan.errors import InputError
from cacheplan.sampling import Interval, Stratum, Unit, draw, estimated, quantile, stratify

POPULATIONS = st.lists(
    st.tuples(st.sampled_from("abc"), st.floats(1, 1e6)), min_size=6, max_size=120
)


def units(population: list[tuple[str, float]]) -> list[Unit]:
    """Number the calls of a population."""
    return [Unit(at, label, size) for at, (label, size) in enumerate(population)]


def least(found: list[Unit]) -> int:
    """Return the smallest sample that tells of every label."""
    return sum(min(calls, 2) for calls in Counter(unit.label for unit in found).values())


class TestStrata:
    """Calls are parted by label and size, and draws shared out."""

    @given(population=POPULATIONS, more=st.integers(0, 150))
    def test_every_call_is_in_one(self, population: list[tuple[str, float]], more: int) -> None:
        """Each call stands in one stratum, of its label, and sizes do not overlap."""
        calls = units(population)
        strata = stratify(calls, least(calls) + more)
        assert sorted(unit for one in strata for unit in one.units) == sorted(calls)
        for label in "abc":
            own = [one for one in strata if one.label == label]
            assert all(unit.label == label for one in own for unit in one.units)
            ends = [size for one in own for size in (one.units[0].size, one.units[-1].size)]
            assert ends == sorted(ends)

    @given(population=POPULATIONS, more=st.integers(0, 150))
    def test_draws(self, population: list[tuple[str, float]], more: int) -> None:
        """As many are drawn as were asked for, two of each stratum at least, none twice."""
        calls = units(population)
        sample = least(calls) + more
        strata = stratify(calls, sample)
        assert sum(one.draws for one in strata) == min(sample, len(calls))
        for one in strata:
            assert min(2, len(one.units)) <= one.draws <= len(one.units)
        drawn = draw(strata, 7)
        assert len(drawn) == min(sample, len(calls))
        for one in strata:
            assert sum(unit.number in drawn for unit in one.units) == one.draws

    def test_large_calls_are_drawn_more_often(self) -> None:
        """A label that is a tenth of the calls and half of the tokens has half of the draws."""
        calls = units([("small", 10.0)] * 900 + [("large", 90.0)] * 100)
        strata = stratify(calls, 100)
        assert sum(one.draws for one in strata if one.label == "large") == 50

    def test_too_few(self) -> None:
        """A sample that leaves a label without two calls says how many there must be."""
        calls = units([("a", 1.0), ("a", 2.0), ("b", 3.0), ("b", 1.0), ("c", 1.0)])
        with pytest.raises(
            InputError, match=r"sample: a sample of 4 leaves labels .* 3 labels are 5"
        ):
            stratify(calls, 4)
        assert len(draw(stratify(calls, 5), 0)) == 5


class TestDraw:
    """Who is drawn is left to chance, and to a seed."""

    def test_seeds(self) -> None:
        """The same seed draws the same calls, another one others."""
        strata = [Stratum("a", units([("a", 1.0)] * 100), 10)]
        assert draw(strata, 1) == draw(strata, 1) != draw(strata, 2)

    def test_nobody_is_preferred(self) -> None:
        """Each call of a stratum is drawn as often as any other, within what chance does."""
        strata = [Stratum("a", units([("a", 1.0)] * 20), 5)]
        times = Counter(number for seed in range(4_000) for number in draw(strata, seed * 977))
        # A thousand times each is expected, with a standard deviation of 27.
        assert all(abs(times[number] - 1_000) < 130 for number in range(20))


class TestTotals:
    """What is drawn is scaled by what is known of all."""

    @given(population=POPULATIONS, factor=st.floats(0.01, 100))
    def test_sizes_that_tell_all(self, population: list[tuple[str, float]], factor: float) -> None:
        """Where values are a factor of sizes, any sample gives the total, and for certain."""
        calls = units(population)
        strata = stratify(calls, least(calls))
        values = {number: factor * calls[number].size for number in draw(strata, 3)}
        sizes = {unit.number: unit.size for unit in calls}
        whole, labels = estimated(strata, values, sizes, 0.95)
        assert whole == pytest.approx([factor * sum(sizes.values())] * 3, rel=1e-5)
        assert sum(one.total for one in labels.values()) == pytest.approx(whole.total)

    @given(population=POPULATIONS, seed=st.integers(0, 9))
    def test_everybody_drawn(self, population: list[tuple[str, float]], seed: int) -> None:
        """Where all are counted the total is exact, whatever the sizes said."""
        calls, dice = units(population), Dice(seed)
        values = {unit.number: dice.uniform() * 100 for unit in calls}
        strata = stratify(calls, len(calls))
        whole, _ = estimated(strata, values, {u.number: u.size for u in calls}, 0.9)
        assert whole == pytest.approx([sum(values.values())] * 3)

    def test_by_hand(self) -> None:
        """Of four calls two are drawn: their ratio, and what is left, make the interval."""
        calls = units([("a", 10.0), ("a", 10.0), ("a", 10.0), ("a", 10.0)])
        strata = [Stratum("a", calls, 2)]
        sizes = {unit.number: unit.size for unit in calls}
        whole, labels = estimated(strata, {0: 9.0, 1: 11.0}, sizes, 0.95)
        # Without the one it would be 44, without the other 36; half of all are drawn.
        error = quantile(0.95, 1) * math.sqrt((1 - 1 / 2) * (4**2 + 4**2) / 2)
        assert whole == pytest.approx([40, 40 - error, 40 + error])
        assert labels == {"a": whole}

    def test_nothing_is_below_zero(self) -> None:
        """However wide an interval is, no total is negative."""
        calls = units([("a", 1.0)] * 10)
        sizes = {unit.number: 1.0 for unit in calls}
        whole, _ = estimated([Stratum("a", calls, 2)], {0: 0.0, 1: 50.0}, sizes, 0.99)
        assert whole.low == 0 < whole.total < whole.high

    def test_sizes_of_nothing(self) -> None:
        """Where nothing has any size there is nothing to add up."""
        calls = units([("a", 1.0)] * 3)
        found = estimated(
            [Stratum("a", calls, 2)], {0: 0.0, 1: 0.0}, dict.fromkeys(range(3), 0.0), 0.9
        )
        assert found == (Interval(0, 0, 0), {"a": Interval(0, 0, 0)})


class TestQuantile:
    """How many standard errors hold a share of all draws."""

    @pytest.mark.parametrize(
        ("confidence", "degrees", "table"),
        [
            (0.80, 3, 1.638),
            (0.95, 3, 3.182),
            (0.95, 5, 2.571),
            (0.95, 10, 2.228),
            (0.99, 5, 4.032),
            (0.99, 30, 2.750),
            (0.95, 10**6, 1.960),
        ],
    )
    def test_table(self, confidence: float, degrees: int, table: float) -> None:
        """It is Student's t, as tables print it."""
        assert quantile(confidence, degrees) == pytest.approx(table, rel=0.005)


def population(seed: int, calls: int) -> tuple[list[Unit], dict[int, float]]:
    """Return calls as they are in logs: sizes over three decades, labels that differ.

    Their values follow their sizes by a ratio of their label's, a fifth off either way, and
    now and then have something on top that no size shows.
    """
    dice = Dice(seed)

    def normal() -> float:
        return sum(dice.uniform() for _ in range(12)) - 6

    found, values = [], {}
    for number in range(calls):
        label, ratio = [("chat", 0.25), ("chat", 0.25), ("files", 0.31), ("rare", 0.4)][
            min(int(dice.uniform() * 4.0), 3)
        ]
        size = math.exp(6 + 1.2 * normal())
        found.append(Unit(number, label, size))
        extra = 50.0 if dice.uniform() < 0.2 else 0.0
        values[number] = size * ratio * math.exp(0.2 * normal()) + extra
    return found, values


def coverage(draws: int, sample: int, confidence: float) -> float:
    """Return in which share of draws the interval holds the true total."""
    calls, values = population(5, 1_500)
    sizes = {unit.number: unit.size for unit in calls}
    truth = sum(values.values())
    strata = stratify(calls, sample)
    held = 0
    for seed in range(draws):
        drawn = draw(strata, seed * 7_919)
        whole, _ = estimated(strata, {n: values[n] for n in drawn}, sizes, confidence)
        held += whole.low <= truth <= whole.high
    return held / draws


@pytest.mark.parametrize(
    ("sample", "confidence"), [(30, 0.8), (30, 0.95), (150, 0.8), (150, 0.95), (600, 0.99)]
)
def test_intervals_hold(sample: int, confidence: float) -> None:
    """Over 1,000 draws the interval holds the true total as often as it says, within what
    chance does to such a share (three standard deviations).
    """
    allowed = 3 * math.sqrt(confidence * (1 - confidence) / 1_000)
    assert coverage(1_000, sample, confidence) > confidence - allowed
