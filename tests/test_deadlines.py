"""Batch or now: which way each call is better sent, and what a deadline leaves of it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from batched import MODEL, sharing
from small import digest_line, workload

from cacheplan.assumptions import Assumptions
from cacheplan.choosing import choose
from cacheplan.deadlines import Choice, choice, seconds
from cacheplan.errors import InputError
from cacheplan.prices import Sheet

SHEET = Sheet.default()
HOUR = 3600.0


def weighed(
    lines: list[dict[str, Any]], left: float = 6 * HOUR, assume: Assumptions | None = None
) -> Choice:
    """Weigh calls, those sent now under the plan chosen for them."""
    calls = workload(lines, assume)
    return choice(calls, choose(calls, SHEET).marker(calls.tree), SHEET, left)


def alone(calls: int, **more: Any) -> list[dict[str, Any]]:
    """Return calls that share nothing."""
    return [
        digest_line([(f"alone{at}", 20_000, "messages")], model=MODEL, at=at, **more)
        for at in range(calls)
    ]


def test_nothing_shared_is_half_the_price() -> None:
    """Calls that share nothing cost half in a batch, whatever is found."""
    found = weighed(alone(10))
    assert (found.verdict, found.batched) == ("batch", 10)
    assert found.now == Decimal("0.6")
    assert (found.batch.low, found.batch.high) == (Decimal("0.3"), Decimal("0.3"))
    assert [part.share for part in found.parts] == [0.0]


def test_much_shared_is_better_now() -> None:
    """Where a prompt is nearly all shared, reading it now beats half of not finding it."""
    found = weighed(sharing(1000))
    assert (found.verdict, found.batched) == ("now", 0)
    assert found.now == Decimal("6.069")
    assert (found.batch.low, found.batch.high) == (Decimal("3.7245"), Decimal("27.1845"))
    (part,) = found.parts
    assert part.open
    # 37.5 without any hit, 3.0345 with every one, and 6.069 now.
    assert part.share == pytest.approx((37.5 - 6.069) / (37.5 - 3.0345))
    assert "91% of hits" in str(found)


def test_both_are_split() -> None:
    """Each call goes where it costs less, and the split costs less than either way."""
    found = weighed(sharing(1000) + alone(10))
    assert (found.verdict, found.batched) == ("split", 10)
    assert found.split.high is not None
    assert found.now is not None
    assert found.batch.high is not None
    assert float(found.split.high) == pytest.approx(6.069 + 0.3)
    assert found.split.high < min(found.now, found.batch.high)


def test_what_somebody_knows_of_hits_decides() -> None:
    """Whoever knows that nearly all is found sends the same calls as a batch."""
    found = weighed(sharing(1000), assume=Assumptions(batch_hit_rate=0.97))
    assert found.verdict == "batch"
    assert found.batch.low == found.batch.high


def test_conversations_cannot_wait() -> None:
    """A call that goes on from the answer to another is sent now; so is what no batch takes."""
    talk = [
        digest_line([("s", 1_000, "system"), ("q", 100, "messages")], id="a", model=MODEL),
        digest_line([("r", 100, "messages")], id="b", extends="a", at=60, model=MODEL),
    ]
    other = alone(1, platform="bedrock", id="c")
    found = weighed([*talk, *other])
    assert found.batched == 1
    reasons = {part.because for part in found.parts if part.because}
    assert reasons == {
        "goes on from the answer to another of these calls",
        "there are no Message Batches on bedrock",
    }
    for reason in reasons:
        assert reason in str(found)


@pytest.mark.parametrize(
    ("left", "verdict"), [(0.5, "now"), (HOUR - 1, "now"), (HOUR, "batch"), (25 * HOUR, "batch")]
)
def test_deadlines(left: float, verdict: str) -> None:
    """Within less than an hour no batch can be counted on; below a day none is promised."""
    found = weighed(alone(2), left)
    assert found.verdict == verdict
    assert ("none is promised" in found.because) is (left == HOUR)
    assert any("If nothing of the batch is ready" in note for note in found.notes) is (left == HOUR)


@pytest.mark.parametrize(
    ("left", "words"),
    [(0, "has come;"), (-1.0, "has passed 1 s ago;"), (-HOUR, "has passed 1 h ago;")],
)
def test_a_deadline_in_the_past(left: float, words: str) -> None:
    """A deadline that has passed is an error, and says for how long."""
    with pytest.raises(InputError, match=words):
        weighed(alone(1), left)


def test_json_has_the_band() -> None:
    """As JSON the cost of a batch has two ends, and the documented shares stand beside it."""
    found = json.loads(json.dumps(weighed(sharing(100) + alone(2)).to_json()))
    assert found["hit_rate"] == {"low": 0.3, "high": 0.98}
    assert found["batch"]["cost_usd"]["low"] < found["batch"]["cost_usd"]["high"]
    assert found["split"]["batch_calls"] + found["split"]["now_calls"] == found["calls"] == 102
    assert sum(part["calls"] for part in found["parts"]) == 102
    assert {part["where"] for part in found["parts"]} == {"batch", "now"}


def test_an_unknown_price_is_no_money() -> None:
    """Where nobody states a price, no cost is said, and the model is named."""
    found = weighed(sharing(3, model="a-new-one"))
    assert (found.now, found.batch.low, found.split.low) == (None, None, None)
    assert found.unpriced == ("a-new-one",)
    assert "unknown" in str(found)


@pytest.mark.parametrize(
    ("words", "expected"),
    [("6h", 21_600), ("90m", 5_400), ("1d", 86_400), ("1h30m", 5_400), ("45s", 45), ("0.5h", 1800)],
)
def test_spans(words: str, expected: float) -> None:
    """Days, hours, minutes and seconds, alone or together."""
    assert seconds(words) == expected


@pytest.mark.parametrize("words", ["", "6", "h", "-3h", "6 h 3", "soon", "1h1d", "٣h!"])
def test_no_spans(words: str) -> None:
    """Anything else is an error that shows how it is written."""
    with pytest.raises(InputError, match="is not a time such as 6h"):
        seconds(words)
