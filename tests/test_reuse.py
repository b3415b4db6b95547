"""Forecasts of reuse: what is counted, when, and what is believed before anything is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.places import SYSTEM, TAIL_TALK, TAIL_TOOL, TOOLS
from cacheplan.reuse import (
    AGAIN,
    AGES,
    LATE,
    PRIORS,
    SOON,
    START_PLAIN,
    START_TOOLS,
    STARTS,
    STEM,
    Counts,
    prior,
)

#: Shares from which on 5 minutes pay, at the three read prices (a = 1.25).
PAYS = {read: 0.25 / (1.25 - read) for read in (0.1, 0.05, 0.025)}
FLAT = (0.5,) * LATE


def live(counts: Counts, gap: float | None, start: float = 0.0) -> None:
    """Let one case live until its prefix is used again, or through all ages."""
    counts.enter(0, start)
    for age, edge in enumerate(AGES):
        used = gap is not None and gap < edge
        counts.leave(age, start + STARTS[age])
        counts.count(age, used=used)
        if used:
            return
        if age + 1 < LATE:
            counts.enter(age + 1, start + edge)


class TestPriors:
    """What is believed of a place before anything was seen there."""

    @pytest.mark.parametrize("place", [TOOLS, SYSTEM, "system[0]", START_TOOLS, TAIL_TALK])
    def test_what_mostly_comes_again_is_marked_from_the_first_call_on(self, place: str) -> None:
        """The prior of a place that programs reuse is above what pays at every price."""
        assert Counts(prior(place)).forecast(0).short > max(PAYS.values())

    @pytest.mark.parametrize("place", [START_PLAIN, "messages[0]", "documents", STEM + START_PLAIN])
    def test_what_is_mostly_sent_once_is_not(self, place: str) -> None:
        """The prior of a place that is rather sent once is below what pays."""
        assert Counts(prior(place)).forecast(0).short < min(PAYS.values())

    def test_what_came_twice_is_believed_to_come_again(self) -> None:
        """A prefix seen before has a higher prior than a new one at the same place."""
        for place in (TOOLS, SYSTEM, "system[3]", "documents", "messages[2]"):
            assert Counts(prior(AGAIN + place)).forecast(0) > Counts(prior(place)).forecast(0)

    def test_a_loop_goes_on_more_surely_than_a_talk(self) -> None:
        """After a tool's result the next call comes at once; a person may take an hour."""
        loop, talk = (Counts(PRIORS[place]).forecast(0) for place in (TAIL_TOOL, TAIL_TALK))
        assert loop.short > talk.short
        assert loop.long - loop.short < talk.long - talk.short

    @pytest.mark.parametrize("place", PRIORS)
    def test_shares_are_shares(self, place: str) -> None:
        """Every prior is a chance at each age, and the hour's share is the larger."""
        assert all(0 < share < 1 for share in PRIORS[place])
        found = Counts(PRIORS[place]).forecast(0)
        assert found.short < found.long < 1


class TestCounts:
    """What is counted, and what it makes of the forecast."""

    @given(gaps=st.lists(st.none() | st.floats(0, 10_000), min_size=200, max_size=300))
    def test_the_forecast_becomes_the_share(self, gaps: list[float | None]) -> None:
        """After many cases the forecast is the share that was used again in time."""
        counts = Counts(FLAT)
        for gap in gaps:
            live(counts, gap)
        found = counts.forecast(AGES[-1])
        for share, limit in ((found.short, AGES[SOON - 1]), (found.long, AGES[-1])):
            real = sum(gap is not None and gap < limit for gap in gaps) / len(gaps)
            assert share == pytest.approx(real, abs=0.03)

    @given(number=st.integers(1, 50), now=st.floats(0, 60))
    def test_a_case_still_open_counts_for_the_time_it_has_lived(
        self, number: int, now: float
    ) -> None:
        """Cases that just began say nothing; at the end of an age they count in full."""
        counts = Counts(FLAT)
        for _ in range(number):
            counts.enter(0, 0.0)
        share = counts.ages(now)[0]
        assert share == pytest.approx(2 * 0.5 / (2 + number * now / 60))

    def test_nobody_is_missing_before_time_has_passed(self) -> None:
        """A thousand calls in one instant leave the forecast as it was."""
        counts = Counts(FLAT)
        before = counts.forecast(100)
        for _ in range(1000):
            counts.enter(0, 100.0)
        assert counts.forecast(100) == before

    @given(gaps=st.lists(st.none() | st.floats(0, 10_000), max_size=50))
    def test_closed_cases_leave_nothing_open(self, gaps: list[float | None]) -> None:
        """Every case that ended is out of the ages it was in, in the parent too."""
        parent = Counts(FLAT)
        own = Counts(FLAT, parent)
        for start, gap in enumerate(gaps):
            live(own, gap, start * 0.1)
        assert own.open == parent.open == [0] * LATE
        assert own.since == parent.since == [0.0] * LATE
        assert own.hits == parent.hits

    def test_one_case_of_its_own_outweighs_the_place(self) -> None:
        """Where no other prefix was seen, a prefix is believed what it did once."""
        own = Counts(FLAT, Counts(prior(AGAIN + SYSTEM)))
        own.passes = [1.0] * LATE
        assert own.forecast(0).short < min(PAYS.values())

    def test_many_other_prefixes_outweigh_one_case(self) -> None:
        """Where many others came again, one that did not once is still expected to."""
        place = Counts(prior(AGAIN + "documents"))
        for _ in range(50):
            live(place, 10.0)
        own = Counts(FLAT, place)
        live(own, None)
        assert own.forecast(3600).short > max(PAYS.values())

    def test_old_habits_fade(self) -> None:
        """However long prefixes came again, as many that do not make up for it."""
        counts = Counts(FLAT)
        for _ in range(100_000):
            live(counts, 1.0)
        for _ in range(1000):
            live(counts, None)
        assert counts.forecast(3600).short < min(PAYS.values())
