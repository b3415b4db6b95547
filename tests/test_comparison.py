"""Every policy on the same calls, in the shape that the contract promises."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from small import digest_line, digest_workloads, policy, workload

from cacheplan.comparison import Comparison, compare, usage_json
from cacheplan.policies import BASELINES
from cacheplan.prices import Sheet
from cacheplan.projection import replay
from cacheplan.usage import Usage

SHEET = Sheet.default()
ANSWER = {"usage": {"input_tokens": 0, "cache_creation_input_tokens": 5_000, "output_tokens": 10}}
LINE = digest_line([("s", 3_000, "system"), ("a", 2_000, "messages")], automatic="5m")
RECORDED = {**LINE, "response": ANSWER}
UNKNOWN = {**LINE, "model": "<b>new</b>"}


def compared(*lines: dict[str, Any]) -> Comparison:
    """Compare all baselines on lines."""
    return compare(workload(lines), SHEET)


class TestShape:
    """The JSON has the keys of the contract, and the numbers of the projections."""

    def test_keys(self) -> None:
        """Every key that is promised is there, at every depth."""
        found = compared(RECORDED).to_json()
        promised = {"workload", "policies", "bound", "bounds", "billed", "calibration"}
        assert promised <= set(found)
        assert set(found["workload"]) == {"calls", "prompt_tokens", "output_tokens", "tokens_from"}
        for row in found["policies"]:
            assert set(row) >= {
                "name",
                "usage",
                "input_cost_usd",
                "cost_usd",
                "ratio_to_uncached",
                "ratio_to_bound",
                "rejected",
            }
            assert set(row["usage"]) == {"read", "write_5m", "write_1h", "uncached", "output"}
        assert set(found["billed"]) == {"input_cost_usd", "cost_usd"}
        assert set(found["calibration"]) >= {"calls", "exact", "cost_error"}
        assert json.loads(json.dumps(found)) == found

    def test_workload(self) -> None:
        """The workload is described once: it is the same under every policy."""
        found = compared(LINE, {**LINE, "at": 9, "output_tokens": 4}).to_json()["workload"]
        assert found == {
            "calls": 2,
            "prompt_tokens": 10_000,
            "output_tokens": 4,
            "tokens_from": "counted",
        }

    def test_row(self) -> None:
        """A row has the usage, the money and how it compares to no caching."""
        found = compared(LINE, {**LINE, "at": 9})
        rows = {row["name"]: row for row in found.to_json()["policies"]}
        assert list(rows) == [one.name for one in BASELINES]
        assert rows["automatic"]["usage"] == usage_json(Usage(write_5m=5_000, read=5_000))
        assert rows["automatic"]["input_cost_usd"] == 0.0135
        assert rows["automatic"]["ratio_to_uncached"] == 0.675
        assert rows["uncached"]["ratio_to_uncached"] == 1
        assert rows["static"]["usage"]["uncached"] == 4_000
        assert rows["automatic"]["rejected"] == 0

    def test_usage_by_name(self) -> None:
        """Each counter goes under its own name."""
        assert usage_json(Usage(uncached=1, write_5m=2, write_1h=3, read=4, output=5)) == {
            "read": 4,
            "write_5m": 2,
            "write_1h": 3,
            "uncached": 1,
            "output": 5,
        }

    @given(lines=digest_workloads(("claude-sonnet-5", "claude-haiku-5-5")))
    def test_rows_are_the_sums_of_calls(self, lines: list[dict[str, Any]]) -> None:
        """A row of the comparison is the sum of what each of its calls was served."""
        calls = workload(lines)
        for row in compare(calls, SHEET).to_json()["policies"]:
            served = list(replay(calls, policy(row["name"])(calls), SHEET))
            total = sum((one.usage for one in served), Usage())
            assert row["usage"] == usage_json(total)
            assert row["rejected"] == sum(one.refused is not None for one in served)


class TestBilled:
    """What was billed is known where every call says so."""

    def test_all_recorded(self) -> None:
        """The recorded usage is priced: prompts alone, and everything."""
        assert compared(RECORDED).billed == (Decimal("0.0125"), Decimal("0.0126"))
        assert compared(RECORDED).to_json()["billed"] == {
            "input_cost_usd": 0.0125,
            "cost_usd": 0.0126,
        }

    def test_some_failed(self) -> None:
        """A call that came to nothing was billed to nobody, and the rest is known."""
        failed = {**LINE, "at": 9, "response": {"type": "error"}}
        found = compared(RECORDED, failed)
        assert found.billed == compared(RECORDED).billed
        assert compared(failed).billed is None

    def test_some_recorded(self) -> None:
        """A bill of which a part is missing is none, while the calibration stands."""
        found = compared(RECORDED, {**LINE, "at": 9})
        assert found.billed is None
        assert found.to_json()["billed"] is None
        assert found.calibration is not None
        assert found.to_json()["calibration"]["calls"] == 1

    def test_none_recorded(self) -> None:
        """Without any record there is neither."""
        found = compared(LINE).to_json()
        assert found["billed"] is found["calibration"] is None

    def test_recorded_at_an_unknown_price(self) -> None:
        """A bill at a price that nobody states is a bill of unknown money."""
        found = compared({**UNKNOWN, "response": ANSWER}).to_json()
        assert found["billed"] == {"input_cost_usd": None, "cost_usd": None}


class TestUnknown:
    """An unknown model leaves the structure and takes the money."""

    def test_money_is_null(self) -> None:
        """Usage stands, every cost and ratio is null, and the model is named."""
        found = compared(UNKNOWN)
        for row in found.to_json()["policies"]:
            assert row["usage"]["uncached"] == 5_000
            assert row["cost_usd"] is row["input_cost_usd"] is row["ratio_to_uncached"] is None
        assert found.unpriced == found.unmeasured == ("<b>new</b>",)


class TestShowing:
    """Printed or in a notebook, it is one table and what it rests on."""

    def test_table(self) -> None:
        """Each policy has a line, under the head."""
        lines = str(compared(RECORDED)).splitlines()
        assert [line.split()[0] for line in lines[1:9]] == [one.name for one in BASELINES]
        assert lines[0].startswith("policy")
        assert "$0.0125" in lines[3]

    def test_footing(self) -> None:
        """Below stand the size, the bill and the calibration."""
        text = str(compared(RECORDED))
        assert "1 calls, 5,000 prompt tokens (counted), 10 output tokens." in text
        assert "Billed for prompts: $0.0125." in text
        assert "1 of 1 recorded calls read what is simulated; the simulated bill is 0.00 %" in text

    def test_unknown_is_said(self) -> None:
        """What is unknown is said in words, and no error is made up for it."""
        text = str(compared({**UNKNOWN, "response": ANSWER}))
        assert "No price is known for <b>new</b>" in text
        assert "No minimum is known for <b>new</b>" in text
        assert "recorded calls read what is simulated." in text

    def test_notebook_escapes(self) -> None:
        """What a file says of its model is text in a notebook, whatever it looks like."""
        shown = compared(UNKNOWN)._repr_html_()
        assert "&lt;b&gt;new&lt;/b&gt;" in shown
        assert "<b>new" not in shown

    def test_by_name(self) -> None:
        """A policy's projection is found by its name, and no other name is."""
        found = compared(LINE)
        assert found["static"].policy == "static"
        with pytest.raises(KeyError):
            found["dynamic"]

    def test_watching(self) -> None:
        """Who watches hears of each policy before it runs."""
        heard: list[str] = []
        compare(workload([LINE]), SHEET, watch=heard.append)
        assert heard == [one.name for one in BASELINES]
