"""A projection is the sum of what was served, and its money is worked out exactly."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import digest_line, digest_workloads, policy, workload

from cacheplan.assumptions import Assumptions
from cacheplan.policies import BASELINES
from cacheplan.prices import Sheet
from cacheplan.projection import Projection, project, replay, unmeasured
from cacheplan.usage import Usage
from cacheplan.workload import Call, Workload

SHEET = Sheet.default()
#: 2026-10-07 00:00 UTC, when reads of Sonnet 5.5 became half as dear.
HALF_READ = 1_791_331_200
#: Dollars per million tokens: uncached, 5m write, 1h write, read, output. Read off the
#: price pages, not off the list under test.
SONNET_5 = ("2", "2.5", "4", "0.2", "10")
SONNET_5_5 = ("2", "2.5", "4", "0.1", "10")
HAIKU_LOWER = ("0.1", "0.125", "0.2", "0.01", "0.5")
HAIKU_UPPER = ("0.5", "0.625", "1", "0.05", "2.5")


def projected(lines: list[dict[str, Any]], name: str = "as-marked", **switches: Any) -> Projection:
    """Project lines under a policy."""
    calls = workload(lines, Assumptions(**switches))
    return project(calls, policy(name)(calls), SHEET, name)


def by_hand(usage: Usage, prices: tuple[str, ...], factor: str = "1") -> Decimal:
    """Multiply five numbers of tokens with five prices."""
    counters = (usage.uncached, usage.write_5m, usage.write_1h, usage.read, usage.output)
    dollars = sum(
        (count * Decimal(price) for count, price in zip(counters, prices, strict=True)), Decimal()
    )
    return dollars * Decimal(factor) / 1_000_000


def independent(call: Call, usage: Usage) -> Decimal:
    """Price one call without the price list."""
    prices = {"claude-sonnet-5": SONNET_5, "claude-sonnet-5-5": SONNET_5_5}.get(call.tariff.model)
    if call.tariff.model == "claude-sonnet-5-5" and 1e9 <= call.at < HALF_READ:
        prices = SONNET_5
    if prices is None:
        prices = HAIKU_UPPER if usage.prompt > 100_000 else HAIKU_LOWER
    return by_hand(usage, prices, "0.5" if call.tariff.surface == "batch" else "1")


class TestSums:
    """Whatever a projection says is the sum of what each call was served."""

    MODELS = ("claude-sonnet-5", "claude-sonnet-5-5", "claude-haiku-5-5")

    @given(lines=digest_workloads(MODELS), name=st.sampled_from([one.name for one in BASELINES]))
    def test_usage_and_money(self, lines: list[dict[str, Any]], name: str) -> None:
        """Usage, money and refusals are those of the calls, priced one by one by hand."""
        calls = workload(lines)
        served = list(replay(calls, policy(name)(calls), SHEET))
        found = project(calls, policy(name)(calls), SHEET, name)
        taken = [one for one in served if one.refused is None]
        assert found.usage == sum((one.usage for one in taken), Usage())
        assert found.cost == sum((independent(one.call, one.usage) for one in taken), Decimal())
        prompts = (independent(one.call, _silent(one.usage)) for one in taken)
        assert found.input_cost == sum(prompts, Decimal())
        assert found.rejected == len(served) - len(taken)
        assert dict(found.refusals).keys() == {one.refused for one in served} - {None}

    @given(lines=digest_workloads(MODELS))
    def test_every_policy_reads_the_same_prompts(self, lines: list[dict[str, Any]]) -> None:
        """Marks decide how a prompt is charged, never how long it is."""
        calls = workload(lines)
        whole = sum(calls.prompt_tokens(call) for call in calls)
        for name in ("uncached", "automatic", "tools-system-tail"):
            assert project(calls, policy(name)(calls), SHEET, name).usage.prompt == whole


def _silent(usage: Usage) -> Usage:
    """Return the prompt's part of a usage."""
    return Usage(usage.uncached, usage.write_5m, usage.write_1h, usage.read)


class TestMoney:
    """Costs are those on the price page, to the last digit."""

    def test_write_read_and_tail(self) -> None:
        """A write at 1.25, a read at a tenth, the rest and the answer add up."""
        head = [("s", 5_000, "system"), ("q", 40, "messages")]
        line = {"marks": [{"block": 0, "ttl": "5m"}], "output_tokens": 7}
        found = projected([digest_line(head, **line), digest_line(head, **line, at=30)])
        assert found.usage == Usage(80, 5_000, 0, 5_000, 14)
        assert found.input_cost == Decimal("0.01366")
        assert found.cost == Decimal("0.01380")
        assert found.hit_rate == pytest.approx(5_000 / 10_080)

    def test_haiku_band_is_chosen_by_the_call(self) -> None:
        """At 100,000 prompt tokens the lower price holds, one more and all cost the upper."""
        lines = [
            digest_line([("a", tokens, "messages")], model="claude-haiku-5-5", output_tokens=1)
            for tokens in (100_000, 100_001)
        ]
        expected = by_hand(Usage(100_000, output=1), HAIKU_LOWER)
        expected += by_hand(Usage(100_001, output=1), HAIKU_UPPER)
        assert projected(lines).cost == expected == Decimal("0.0600035")

    def test_haiku_band_counts_what_is_read(self) -> None:
        """A prompt that is read as well as new is in the band of its whole length."""
        line = digest_line([("a", 100_000, "messages")], model="claude-haiku-5-5", id="one")
        longer = digest_line([("b", 1, "messages")], model="claude-haiku-5-5", extends="one", at=9)
        found = projected([{**line, "automatic": "5m"}, {**longer, "automatic": "5m"}])
        expected = by_hand(Usage(write_5m=100_000), HAIKU_LOWER)
        expected += by_hand(Usage(write_5m=1, read=100_000), HAIKU_UPPER)
        assert found.cost == expected

    @pytest.mark.parametrize(("at", "read"), [(HALF_READ - 60, "0.2"), (HALF_READ, "0.1")])
    def test_sonnet_reads_by_date(self, at: int, read: str) -> None:
        """Reads of Sonnet 5.5 cost half from 2026-10-07 on, writes what they did."""
        line = digest_line([("a", 10_000, "messages")], model="claude-sonnet-5-5", automatic="5m")
        found = projected([{**line, "at": at}, {**line, "at": at + 30}])
        assert found.usage == Usage(write_5m=10_000, read=10_000)
        assert found.cost == (Decimal("2.5") + Decimal(read)) / 100

    def test_batch_is_half(self) -> None:
        """A batch costs half, and shares no entry with messages."""
        line = digest_line([("a", 10_000, "messages")], output_tokens=100, automatic="5m")
        found = projected([line, {**line, "at": 30, "surface": "batch"}])
        assert found.usage == Usage(write_5m=20_000, output=200)
        assert found.cost == by_hand(Usage(write_5m=10_000, output=100), SONNET_5, "1.5")

    def test_refused_calls_cost_nothing(self) -> None:
        """A call that the service refuses is counted as refused and nowhere else."""
        blocks = [(name, 2_000, "messages") for name in "abcde"]
        marks = [{"block": at, "ttl": "5m"} for at in range(5)]
        found = projected([digest_line(blocks, marks=marks, output_tokens=5)])
        assert found.usage == Usage()
        assert found.cost == 0
        words = "A maximum of 4 blocks with cache_control may be provided. Found 5."
        assert found.refusals == ((words, 1),)

    def test_rounding_is_a_switch(self) -> None:
        """Money is exact unless cents are asked for."""
        lines = [digest_line([("a", 4_321, "messages")])]
        assert projected(lines).cost == Decimal("0.008642")
        assert projected(lines, rounding="cent").cost == Decimal("0.01")


class TestUnknown:
    """What nobody states is unknown, and never nothing."""

    LINE = digest_line([("a", 50_000, "messages")], model="a-new-one", automatic="5m")

    def test_unknown_model(self) -> None:
        """An unknown model keeps its structure: nothing cached, no money, both said."""
        found = projected([self.LINE, {**self.LINE, "at": 9}])
        assert found.usage == Usage(uncached=100_000)
        assert found.cost is found.input_cost is None
        assert found.unpriced == found.unmeasured == ("a-new-one",)

    def test_one_unknown_call_makes_the_sum_unknown(self) -> None:
        """A sum of which one part is unknown is unknown, while usage counts all."""
        known = digest_line([("a", 50_000, "messages")])
        found = projected([self.LINE, known])
        assert found.cost is None
        assert found.usage.prompt == 100_000

    def test_minimum_matters_to_marks_alone(self) -> None:
        """A price without a minimum is enough where nothing is marked, and no more."""
        row = {"model": "a-new-one", "input": 1, "write_5m": 1.25, "write_1h": 2, "read": 0.1}
        sheet = SHEET.override([{**row, "output": 5}])
        calls = workload([self.LINE])
        plain = project(calls, policy("uncached")(calls), sheet, "uncached")
        assert (plain.cost, plain.unmeasured) == (Decimal("0.05"), ())
        marked = project(calls, policy("automatic")(calls), sheet, "automatic")
        assert (marked.cost, marked.unmeasured) == (Decimal("0.05"), ("a-new-one",))

    def test_minimum_by_switch(self) -> None:
        """A minimum that the caller states is a known one."""
        found = projected([self.LINE], minimums=(("a-new-one", 1_024),))
        assert found.usage == Usage(write_5m=50_000)
        assert found.unmeasured == ()

    def test_each_model_is_named_once(self) -> None:
        """However many tariffs a model has, it is named once."""
        lines = [self.LINE, {**self.LINE, "surface": "batch"}, digest_line([("a", 1, "messages")])]
        calls = workload(lines)
        tariffs = [call.tariff for call in calls]
        assert unmeasured(tariffs, SHEET, calls.assume) == ("a-new-one",)


class TestShowing:
    """A projection says itself."""

    FOUND = projected([digest_line([("a", 50_000, "messages")], automatic="5m")])

    def test_as_text(self) -> None:
        """Printed, it names its policy, its usage and its money."""
        lines = dict(line.rsplit("  ", 1) for line in str(self.FOUND).splitlines())
        lines = {key.strip(): value.strip() for key, value in lines.items()}
        assert lines["policy"] == "as-marked"
        assert lines["written 5m"] == "50,000"
        assert lines["prompt cost"] == "$0.1250"

    def test_in_a_notebook(self) -> None:
        """In a notebook it is a table of the same."""
        shown = self.FOUND._repr_html_()
        assert shown.startswith("<table>")
        assert "50,000" in shown

    def test_unknown_money_is_called_unknown(self) -> None:
        """Where no price is known the line says so."""
        assert "unknown" in str(projected([TestUnknown.LINE]))

    def test_no_calls(self) -> None:
        """Of no calls, nothing is read and nothing divided by."""
        empty = Workload(tree=workload([]).tree, calls=())
        assert project(empty, policy("automatic")(empty), SHEET, "automatic").hit_rate == 0
