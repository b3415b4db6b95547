"""The arithmetic of marks and keep-alive calls, held to the simulator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sketches import Sketch, cost_in_tokens, ratios, sheet

from cacheplan.breakevens import (
    HOURLY_PING,
    Growth,
    Idle,
    Ratios,
    best_pings,
    cost_of_pinging,
    gap_bridged,
    hour_over_5m,
    pings_needed,
    pings_over_hour,
    pings_over_hour_until,
    pings_worth,
    reads_to_repay,
    return_chance,
    share_for_1h,
    share_for_1h_over_5m,
    share_for_5m,
)
from cacheplan.pauses import keep_alive, pauses
from cacheplan.prices import Rate, Sheet, Tariff
from cacheplan.projection import cache_for
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.rehearsal import Rehearsal, Step

SHORT, LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR
READS = ("0.1", "0.05", "0.025")

#: Whole seconds on both sides of both lifetimes.
gaps = st.sampled_from((1, 60, 284, 285, 286, 299, 300, 301, 570, 1200, 3540, 3599, 3600, 9000))
thousandths = st.integers(1, 400).map(lambda number: Fraction(number, 1000))
prices = st.builds(
    lambda read, short, more: Ratios(read, short, short + more),
    thousandths,
    st.integers(1001, 2000).map(lambda number: Fraction(number, 1000)),
    thousandths,
)


def served(found: Sequence[int], prices: Ratios, lifetime: Lifetime | None) -> Fraction:
    """Serve uses with these gaps; leave the first out, which has none."""
    first = Fraction(1) if lifetime is None else prices.write(lifetime)
    return cost_in_tokens([0, *accumulate(found)], prices, lifetime) - first


class TestMarks:
    """Theory C.4.1 to C.4.3: shares of gaps."""

    @pytest.mark.parametrize(
        ("read", "short", "once", "long"),
        [
            ("0.1", 0.2174, 0.2778, 0.5263),
            ("0.05", 0.2083, 0.2632, 0.5128),
            ("0.025", 0.2041, 0.2564, 0.5063),
        ],
    )
    def test_known_shares(self, read: str, short: float, once: float, long: float) -> None:
        """The shares at today's three read prices are those worked out by hand."""
        today = ratios(read)
        assert share_for_5m(today) == pytest.approx(short, abs=5e-5)
        assert share_for_5m(today, rewritten=False) == pytest.approx(once, abs=5e-5)
        assert share_for_1h(today) == pytest.approx(long, abs=5e-5)

    def test_known_share_of_an_hour_over_five_minutes(self) -> None:
        """With 90 % of gaps within 5 minutes, 94 % have to be within the hour."""
        assert share_for_1h_over_5m(ratios("0.1"), 0.9) == pytest.approx(0.9395, abs=5e-5)

    @given(prices, st.lists(gaps, min_size=1, max_size=12))
    def test_marks_pay_above_their_share(self, prices: Ratios, found: list[int]) -> None:
        """Served gap by gap, a lifetime is cheaper than no mark just where its share says."""
        for lifetime, share in ((SHORT, share_for_5m(prices)), (LONG, share_for_1h(prices))):
            within = Fraction(sum(gap < lifetime.seconds for gap in found), len(found))
            difference = served(found, prices, lifetime) - served(found, prices, None)
            if abs(float(within) - share) > 1e-9:
                assert (difference < 0) == (within > share)

    @given(prices, st.lists(gaps, min_size=1, max_size=12))
    def test_an_hour_pays_over_5_minutes_above_its_share(
        self, prices: Ratios, found: list[int]
    ) -> None:
        """Served gap by gap, an hour is cheaper than 5 minutes just where its share says."""
        short, long = (
            sum(gap < life.seconds for gap in found) / len(found) for life in (SHORT, LONG)
        )
        share = share_for_1h_over_5m(prices, short)
        difference = served(found, prices, LONG) - served(found, prices, SHORT)
        if abs(long - share) > 1e-9:
            assert (difference < 0) == (long > share)

    @given(prices, st.sampled_from(tuple(Lifetime)))
    def test_reads_repay_a_write(self, prices: Ratios, lifetime: Lifetime) -> None:
        """So many reads make marks cheaper than none, and one read fewer does not."""
        reads = reads_to_repay(prices, lifetime)
        assert reads is not None
        times = list(range(reads + 1))
        assert cost_in_tokens(times, prices, lifetime) < len(times)
        assert reads == 0 or cost_in_tokens(times[:-1], prices, lifetime) >= reads

    def test_odd_prices_have_an_answer(self) -> None:
        """Writes cheaper than reading uncached always pay; reads dearer than writes never."""
        assert share_for_5m(ratios("0.1", short="0.9")) == 0
        assert share_for_5m(ratios("1.3")) == math.inf
        assert share_for_1h(ratios("3")) == math.inf
        assert reads_to_repay(ratios("1"), SHORT) is None
        assert reads_to_repay(ratios("0.1", short="0.5"), SHORT) == 0

    def test_ratios_come_from_a_rate(self) -> None:
        """A rate's factors drop out of its ratios, and free prompts have none."""
        rate = Sheet.default().rate(Tariff("claude-opus-4-8", surface="batch"), None, 0)
        assert rate is not None
        assert Ratios.of(rate) == ratios("0.1")
        free = Rate(
            **dict.fromkeys(("uncached", "write_5m", "write_1h", "read", "output"), Decimal())
        )
        assert Ratios.of(free) is None


class TestConversations:
    """Theory C.4.4 and C.4.6: prompts that grow, written to their end at every turn."""

    @pytest.mark.parametrize(
        ("growth", "expected"),
        [
            ((14_910, 45_110, 50_220, 5_260), -8_793),
            ((3_260, 5_990, 18_540, 3_250), -11_946),
            ((3_620, 4_530, 3_940, 750), 2_144),
            ((290, 730, 6_560, 1_810), -5_421.5),
            ((1_920, 3_070, 30, 0), 3_708),
            ((62_510, 139_000, 232_320, 10_680), -108_025.5),
        ],
    )
    def test_known_differences(self, growth: tuple[int, int, int, int], expected: float) -> None:
        """The differences of six recorded sets are those that were measured on them."""
        assert float(hour_over_5m(ratios("0.1"), Growth(*growth))) == expected

    @given(st.lists(st.tuples(gaps, st.integers(1, 500)), max_size=10), st.integers(1, 5000))
    def test_identity_with_the_simulator(self, turns: list[tuple[int, int]], first: int) -> None:
        """Served turn by turn, an hour costs more than 5 minutes by just the formula."""
        sketch, now, blocks = Sketch(), 0.0, [("0", first)]
        sketch.call(now, *blocks, first_token_after=0.0)
        middle = long = 0
        for gap, tokens in turns:
            reusable = sum(size for _, size in blocks)
            middle += reusable * (SHORT.seconds <= gap < LONG.seconds)
            long += reusable * (gap >= LONG.seconds)
            now += gap
            blocks.append((str(len(blocks)), tokens))
            sketch.call(now, *blocks, first_token_after=0.0)
        today = ratios("0.1")
        totals = []
        for lifetime in (SHORT, LONG):
            serve = cache_for(sketch.workload(), sheet()).serve
            used = [serve(call, (Breakpoint(call.tip, lifetime),)) for call in sketch.calls]
            totals.append(
                sum(
                    u.read * today.read + u.write_5m * today.short + u.write_1h * today.long
                    for u in used
                )
            )
        growth = Growth(first, sum(tokens for _, tokens in turns), middle, long)
        assert totals[1] - totals[0] == hour_over_5m(today, growth)

    @given(prices, st.integers(1, 1000), st.integers(1, 12))
    def test_one_pause_is_the_smallest_conversation(
        self, prices: Ratios, tokens: int, pings: int
    ) -> None:
        """With no turn added and every pause bridged, the two formulas for pings agree."""
        growth = Growth(first=tokens, added=0, middle=tokens, long=0)
        difference = pings_over_hour(prices, growth, pinged=pings * tokens)
        assert difference == tokens * (prices.read * pings - (prices.long - prices.short))


class TestKeepAlive:
    """Theory C.4.5 to C.4.8: calls that only keep an entry alive."""

    @pytest.mark.parametrize(
        ("read", "worth", "minutes", "hourly", "until", "chance"),
        [
            ("0.1", 11, 57, 19, 38, 0.087),
            ("0.05", 24, 118.75, 39, 76, 0.042),
            ("0.025", 49, 237.5, 79, 152, 0.020),
        ],
    )
    def test_known_numbers(
        self, read: str, worth: int, minutes: float, hourly: int, until: float, chance: float
    ) -> None:
        """The numbers at today's three read prices are those worked out by hand."""
        today = ratios(read)
        assert pings_worth(today) == worth
        assert gap_bridged(worth) == minutes * 60
        assert pings_worth(today, LONG) == hourly
        assert pings_over_hour_until(today) == until * 60
        assert return_chance(today) == pytest.approx(chance, abs=5e-4)

    @given(
        prices,
        st.lists(st.tuples(gaps, st.booleans()), min_size=1, max_size=6),
        st.integers(0, 14),
        st.sampled_from(tuple(Lifetime)),
    )
    def test_cost_is_that_of_the_calls(
        self, prices: Ratios, found: list[tuple[int, bool]], pings: int, lifetime: Lifetime
    ) -> None:
        """Sent as real calls, keep-alive calls cost what the formula says, the last ones too."""
        sketch = Sketch()
        for number, (gap, again) in enumerate(found):
            sketch.call(number * 1e6, (str(number), 10), first_token_after=0.0)
            if again:
                sketch.call(number * 1e6 + gap, (str(number), 10), first_token_after=0.0)
        idles = [Idle(gap if again else None, 10) for gap, again in found]
        idles += [Idle(None, 10) for _, again in found if again]
        workload = sketch.workload()
        steps = [Step(call, (Breakpoint(call.tip, lifetime),)) for call in workload]
        there = pauses(workload.tree, steps, [call.tip for call in workload])
        used = Rehearsal(workload, sheet()).serve(keep_alive(steps, there, pings, lifetime))
        cost = -len(found) * 10 * prices.write(lifetime)
        for usage in used:
            assert usage is not None
            cost += usage.read * prices.read + usage.written * prices.write(lifetime)
        assert cost == cost_of_pinging(prices, idles, pings, lifetime)

    @given(prices, st.integers(300, 20_000))
    def test_bridging_pays_up_to_the_number_worth(self, prices: Ratios, gap: int) -> None:
        """A pause is cheaper bridged than written again as long as it needs no more calls."""
        worth = pings_worth(prices)
        assert worth is not None
        needed = pings_needed(gap)
        bridged = cost_of_pinging(prices, [Idle(gap)], needed)
        assert (bridged <= prices.short) == (needed <= worth)

    @given(prices, st.integers(1, 200_000))
    def test_pings_beat_the_hour_until_then(self, prices: Ratios, gap: int) -> None:
        """After the pause the formula names, 5 minutes kept alive are never cheaper again."""
        short = prices.short + cost_of_pinging(prices, [Idle(gap)], pings_needed(gap))
        needed = pings_needed(gap, HOURLY_PING)
        long = prices.long + cost_of_pinging(prices, [Idle(gap)], needed, LONG)
        until = pings_over_hour_until(prices)
        if gap > until:
            assert short >= long
        elif gap > until - 1:
            assert short < long

    @given(prices, st.lists(gaps, min_size=1, max_size=20))
    def test_best_is_best(self, prices: Ratios, found: list[int]) -> None:
        """No other number of calls would have cost less on the same pauses."""
        idles = [Idle(float(gap)) for gap in found] + [Idle(None), Idle(None, 1, 400.0)]
        best = best_pings(prices, idles, range(15))
        least = min(cost_of_pinging(prices, idles, pings) for pings in range(15))
        assert cost_of_pinging(prices, idles, best) == least

    @given(prices, st.lists(st.integers(0, 30), min_size=1, max_size=20), st.integers(1, 200))
    def test_chance_says_when_to_stop(self, prices: Ratios, returns: list[int], lost: int) -> None:
        """Where returns get rarer call by call, it is best to stop when the chance says."""
        left, chances, idles = sum(returns) + lost, [], [Idle(None, lost)]
        for number, back in enumerate(returns, 1):
            chances.append(back / left)
            idles.append(Idle(gap_bridged(number) - 1, back))
            left -= back
        assume(chances == sorted(chances, reverse=True))
        stop = sum(chance > return_chance(prices) for chance in chances)
        costs = [cost_of_pinging(prices, idles, pings) for pings in range(len(returns) + 1)]
        assert costs[stop] == min(costs)

    def test_free_reads_have_no_end(self) -> None:
        """Where reading is free, nothing ever says stop."""
        free = ratios("0")
        assert pings_worth(free) is None
        assert pings_over_hour_until(free) == math.inf
        assert return_chance(free) == 0
        assert pings_over_hour_until(ratios("0.1", short="2", long="2")) == 0
