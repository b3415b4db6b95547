"""Costs from call frequencies alone, held to the simulator."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sketches import cost_in_tokens, ratios, sheet

from cacheplan.breakevens import Ratios
from cacheplan.facts import Model
from cacheplan.frequencies import (
    Frequency,
    break_evens,
    expected,
    said,
    sampled,
    sampled_break_evens,
)
from cacheplan.projection import cache_for
from cacheplan.prompt import Block, Breakpoint, Lifetime
from cacheplan.records import Intake
from cacheplan.tokens import Count

SHORT, LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR
CHOICES = (None, SHORT, LONG)
TODAY = ratios("0.1")

reads = st.sampled_from(("0.1", "0.05", "0.025"))


class Words:
    """Counts a token a word."""

    name = "words"

    def count(self, blocks: Sequence[Block], model: Model | None) -> list[Count]:
        """Count each block's words."""
        del model
        return [Count(len(str(block.body).split()), 0) for block in blocks]


def within_error(costs: Sequence[float], uses: Sequence[int], cost: float) -> bool:
    """Tell whether the cost of one use is within four standard errors of a sample's."""
    residues = [spent - cost * number for spent, number in zip(costs, uses, strict=True)]
    return abs(sum(residues)) <= 4 * math.sqrt(sum(residue**2 for residue in residues)) + 1e-9


class TestClosedForms:
    """Steady and independent calls."""

    @given(reads, st.integers(1, 7300), st.integers(1, 30), st.sampled_from(CHOICES))
    def test_steady_calls_cost_exactly_that(
        self, read: str, gap: int, number: int, lifetime: Lifetime | None
    ) -> None:
        """Evenly spaced calls from a cold start, served, cost what the formula says."""
        served = cost_in_tokens([gap * call for call in range(number)], ratios(read), lifetime)
        cost = expected(
            ratios(read), lifetime, Frequency(3600 / gap, "steady"), hours=gap * number / 3600
        )
        assert float(served) == pytest.approx(cost * number)

    @pytest.mark.parametrize("lifetime", CHOICES)
    @pytest.mark.parametrize("arrivals", ["steady", "poisson"])
    @pytest.mark.parametrize(("rate", "hours"), [(0.3, 5.0), (2.0, 24.0), (20.0, 0.5), (7.0, 0.05)])
    def test_sampled_calls_cost_that_on_average(
        self, lifetime: Lifetime | None, arrivals: str, rate: float, hours: float
    ) -> None:
        """Sampled and served, calls cost the formula's mean, to four standard errors."""
        frequency = Frequency(rate, arrivals)
        costs, uses = [], []
        for seed in range(150):
            times = frequency.times(hours, seed)
            costs.append(float(cost_in_tokens(times, TODAY, lifetime)))
            uses.append(len(times))
        assert within_error(costs, uses, expected(TODAY, lifetime, frequency, hours))

    @pytest.mark.parametrize("arrivals", ["steady", "poisson"])
    @pytest.mark.parametrize("lifetime", [SHORT, LONG])
    def test_planned_lines_cost_that_on_average(self, arrivals: str, lifetime: Lifetime) -> None:
        """A planned line, read as the commands read it and served, costs the formula's mean."""
        body = {
            "model": "claude-sonnet-5",
            "max_tokens": 1,
            "system": [{"type": "text", "text": "rule " * 3000}],
            "messages": [{"role": "user", "content": "{{question}}"}],
        }
        line = {"request": body, "calls_per_hour": 2, "hours": 12, "arrivals": arrivals}
        costs, uses = [], []
        for seed in range(40):
            intake = Intake(Words(), seed=seed)
            intake.add(json.dumps(line).encode())
            workload = intake.workload()
            serve, cost, tokens = cache_for(workload, sheet()).serve, 0.0, 1
            for call in workload:
                node = workload.tree.system_end[call.tip]
                tokens = workload.tree.tokens[node]
                usage = serve(call, (Breakpoint(node, lifetime),))
                cost += (
                    float(usage.read * TODAY.read + usage.written * TODAY.write(lifetime)) / tokens
                )
            costs.append(cost)
            uses.append(len(workload))
        assert within_error(costs, uses, expected(TODAY, lifetime, Frequency(2, arrivals), 12))

    @given(reads, st.floats(0.01, 100), st.sampled_from(("steady", "poisson")))
    def test_long_plans_cost_what_the_long_run_does(
        self, read: str, rate: float, arrivals: str
    ) -> None:
        """The longer a plan runs, the less its cold start counts."""
        for lifetime in CHOICES:
            frequency = Frequency(rate, arrivals)
            ever = expected(ratios(read), lifetime, frequency)
            hours = [
                expected(ratios(read), lifetime, frequency, hours) for hours in (10, 1000, 1e6)
            ]
            assert hours == sorted(hours, reverse=True)
            assert hours[-1] == pytest.approx(ever, abs=1e-3)

    def test_nothing_planned_is_a_cold_write(self) -> None:
        """A prefix that is never used, or for no time, costs what a lone use would."""
        for frequency in (Frequency(0), Frequency(-1), Frequency(0, "steady")):
            assert expected(TODAY, LONG, frequency) == 2
        assert expected(TODAY, SHORT, Frequency(5), hours=0) == 1.25

    def test_bursts_have_no_closed_form(self) -> None:
        """Asking for one is an error of the caller's, not a wrong number."""
        for frequency in (Frequency(1, "bursty"), Frequency(1, turns=2)):
            with pytest.raises(ValueError, match="closed form"):
                expected(TODAY, SHORT, frequency)
            with pytest.raises(ValueError, match="closed form"):
                break_evens(TODAY, frequency)


class TestBreakEvens:
    """From how many calls an hour on marks pay."""

    def test_known_rates(self) -> None:
        """At a read price of a tenth, an hour pays from 0.75 independent calls an hour on."""
        rates = break_evens(TODAY, Frequency(40))
        assert rates.long == pytest.approx(0.7472, abs=1e-4)
        assert rates.short == pytest.approx(2.9415, abs=1e-4)
        assert rates.long_over_short == pytest.approx(0.5477, abs=1e-4)
        assert break_evens(TODAY, Frequency(1, "steady")) == (12, 1, 1, 12)

    @given(reads, st.sampled_from(("steady", "poisson")), st.floats(0.01, 100))
    def test_costs_cross_there(self, read: str, arrivals: str, rate: float) -> None:
        """In the long run the cheaper of two is the one that the break-even names."""
        prices, frequency = ratios(read), Frequency(rate, arrivals)
        rates = break_evens(prices, frequency)
        none, short, long = (expected(prices, life, frequency) for life in CHOICES)
        if abs(none - short) > 1e-9:
            assert (short < none) == (rate > rates.short)
        if abs(none - long) > 1e-9:
            assert (long < none) == (rate > rates.long)
        if abs(short - long) > 1e-9:
            assert (long < short) == (rates.long_over_short < rate < rates.until)

    @pytest.mark.parametrize(
        ("prices", "arrivals", "rates"),
        [
            (ratios("0.1", short="0.9", long="0.8"), "poisson", (0, 0, 0, math.inf)),
            (ratios("0.1", short="0.9", long="0.8"), "steady", (0, 0, 0, 12)),
            (ratios("1.5"), "poisson", (math.inf, math.inf, math.inf, math.inf)),
            (ratios("1.5"), "steady", (math.inf, math.inf, math.inf, math.inf)),
            (ratios("1.1"), "steady", (math.inf, math.inf, 1, 12)),
        ],
    )
    def test_odd_prices_have_an_answer(
        self, prices: Ratios, arrivals: str, rates: tuple[float, ...]
    ) -> None:
        """Prices that nobody has yet make marks pay always or never, without an error."""
        assert break_evens(prices, Frequency(1, arrivals)) == rates


class TestSamples:
    """What has no closed form."""

    @pytest.mark.parametrize("lifetime", [SHORT, LONG])
    @pytest.mark.parametrize("rate", [0.5, 5.0])
    def test_samples_hold_the_closed_form(self, lifetime: Lifetime, rate: float) -> None:
        """Where both exist, the interval holds the closed form about 19 times in 20."""
        frequency = Frequency(rate)
        cost = expected(TODAY, lifetime, frequency, 24)
        samples = [sampled(TODAY, lifetime, frequency, seed=seed) for seed in range(40)]
        assert sum(sample.low <= cost <= sample.high for sample in samples) >= 33
        assert all(sample.low <= sample.mean <= sample.high for sample in samples)

    @pytest.mark.parametrize(
        "frequency", [Frequency(3, "bursty"), Frequency(1, turns=4, turn_gap=90)]
    )
    @pytest.mark.parametrize("lifetime", CHOICES)
    def test_samples_are_what_serving_costs(
        self, frequency: Frequency, lifetime: Lifetime | None
    ) -> None:
        """Served call by call, other samples of the same pattern cost as much."""
        costs, uses = [], []
        for seed in range(1000, 1040):
            times = frequency.times(24, seed)
            costs.append(float(cost_in_tokens(times, TODAY, lifetime)))
            uses.append(len(times))
        sample = sampled(TODAY, lifetime, frequency)
        assert sample.low - 0.02 <= sum(costs) / sum(uses) <= sample.high + 0.02

    def test_bursts_count_as_one_call(self) -> None:
        """Bursts of eight, seconds apart, pay for an hour from about eight times the rate on
        at which single calls do; 5 minutes pay at any rate.
        """
        short, long, over = sampled_break_evens(TODAY, Frequency(1, "bursty"))
        assert short.mean == long.mean == 0
        single = break_evens(TODAY, Frequency(1)).long_over_short
        assert over.low - 0.3 <= 8 * single <= over.high + 0.3
        assert over.low < over.mean < over.high

    def test_dear_reads_never_pay(self) -> None:
        """Where no rate pays, there is no interval to give."""
        short, long, _ = sampled_break_evens(ratios("3"), Frequency(1, turns=2))
        assert short == long == (math.inf, math.inf, math.inf)

    def test_nothing_planned(self) -> None:
        """No call at all has the cost of a lone one."""
        assert sampled(TODAY, LONG, Frequency(0, "bursty")) == (2, 2, 2)
        assert sampled(TODAY, None, Frequency(5), hours=0) == (1, 1, 1)


class TestWords:
    """What a person reads."""

    def test_closed_forms_are_named(self) -> None:
        """The answer names its break-evens, the plan, and the cheapest choice."""
        words = said(TODAY, Frequency(40))
        assert "An hour pays from about 0.75 calls an hour on" in words
        assert "you plan 40" in words
        assert "an hour, at 0.10" in words

    def test_rare_calls_get_no_mark(self) -> None:
        """Below its break-even nothing is marked."""
        assert "no mark, at 1.00" in said(TODAY, Frequency(0.3))

    def test_samples_say_their_interval(self) -> None:
        """Where there is no closed form, the numbers say how sure they are."""
        assert "sampled)" in said(TODAY, Frequency(40, "bursty"))
        assert "conversations an hour on" in said(
            ratios("0.9"), Frequency(1, turns=3, turn_gap=400)
        )

    def test_never_is_said(self) -> None:
        """What pays at no rate is said to."""
        assert "An hour pays at no rate, 5 minutes at no rate" in said(ratios("1.5"), Frequency(4))
