"""The recorded calls, replayed: what agrees, what does not, and the likely cause."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from small import digest_line, digest_workloads, workload

from cacheplan.calibration import CLOSING, KINDS, Calibration, calibrate
from cacheplan.prices import Sheet
from cacheplan.projection import replay

SHEET = Sheet.default()
HEAD = [("s", 3_000, "system"), ("a", 2_000, "messages")]
MARKS = [{"block": 0, "ttl": "5m"}]


def usage(read: int = 0, written: int = 0, uncached: int = 0) -> dict[str, Any]:
    """Return usage as the API writes it."""
    return {
        "usage": {
            "input_tokens": uncached,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": written,
            "output_tokens": 1,
        }
    }


def first(**fields: Any) -> dict[str, Any]:
    """Return the first call of a conversation: all of it written."""
    line = digest_line(HEAD, id="one", marks=MARKS, automatic="5m", response=usage(0, 5_000))
    return {**line, **fields}


def second(read: int, at: float = 60, kind: str = "text", **fields: Any) -> dict[str, Any]:
    """Return the call that goes on, with what it is recorded to have read."""
    block = {"digest": "b", "tokens": 100, "level": "messages", "kind": kind}
    line = {"id": "two", "at": at, "model": "claude-sonnet-5", "extends": "one", "blocks": [block]}
    answer = usage(read, 5_100 - read)
    return {**line, "marks": MARKS, "automatic": "5m", "response": answer, **fields}


def calibrated(*lines: dict[str, Any]) -> Calibration | None:
    """Replay lines as they were sent and compare."""
    calls = workload(lines)
    return calibrate(calls, replay(calls, lambda call: call.marks, SHEET), SHEET)


def found(*lines: dict[str, Any]) -> Calibration:
    """Do the same where something is recorded."""
    result = calibrated(*lines)
    assert result is not None
    return result


class TestAgreement:
    """A call is exact where it read what is simulated, give or take its closing tokens."""

    def test_all_exact(self) -> None:
        """Where every read is as simulated, nothing is missed and no money is off."""
        result = found(first(), second(5_000))
        assert (result.calls, result.exact, result.misses) == (2, 2, ())
        assert result.cost_error == 0
        assert result.causes() == []

    @pytest.mark.parametrize("off", [-CLOSING, -1, 0, 1, CLOSING])
    def test_closing_tokens_are_allowed(self, off: int) -> None:
        """A reading that is off by up to the closing tokens is the same reading."""
        assert CLOSING == 16
        assert found(first(), second(5_000 + off)).exact == 2

    @pytest.mark.parametrize(("off", "more", "less"), [(-17, 0, 1), (17, 1, 0)])
    def test_one_token_more_is_a_miss(self, off: int, more: int, less: int) -> None:
        """Beyond that it is a miss, named by what the record has of it: more or less."""
        result = found(first(), second(5_000 + off))
        assert result.exact == 1
        assert (result.groups[0].more, result.groups[0].less) == (more, less)

    def test_cost_error_is_a_share(self) -> None:
        """The error is that of the simulated bill for prompts, over the recorded one."""
        result = found(first(), second(3_000))
        recorded = Decimal("2.5") * (5_000 + 2_100) + Decimal("0.2") * 3_000
        simulated = Decimal("2.5") * (5_000 + 100) + Decimal("0.2") * 5_000
        assert result.cost_error == pytest.approx(float(simulated / recorded - 1))

    @given(lines=digest_workloads(("claude-sonnet-5", "claude-haiku-5-5")))
    def test_own_record_is_exact(self, lines: list[dict[str, Any]]) -> None:
        """What the simulated cache itself recorded, it finds exact."""
        calls = workload(lines)
        for line, one in zip(lines, replay(calls, lambda call: call.marks, SHEET), strict=True):
            line["response"] = usage(one.usage.read, one.usage.written, one.usage.uncached)
            split = {"ephemeral_1h_input_tokens": one.usage.write_1h}
            line["response"]["usage"]["cache_creation"] = split
            if one.refused is not None:
                line["response"] = {"type": "error"}
        result = calibrated(*lines)
        if result is not None:
            assert (
                result.exact == result.calls == sum("usage" in line["response"] for line in lines)
            )
            assert result.cost_error in {0, None}
            assert sum(group.calls for group in result.groups) == result.calls


class TestCauses:
    """Each miss says what most likely lies behind it."""

    @pytest.mark.parametrize(
        ("read", "cause"),
        [
            (0, "read nothing: its entry was gone, or the prompt's start had changed unseen"),
            (3_000, "read only a shared start: the prompt had changed behind it unseen"),
            (4_000, "read less: an earlier entry, or one that the record does not show"),
            (5_100, "read more than the record explains: by calls that are not in it"),
        ],
    )
    def test_cause(self, read: int, cause: str) -> None:
        """Nothing, a shared start, something in between, or more than is known."""
        (miss,) = found(first(), second(read)).misses
        assert miss.cause == cause
        assert (miss.simulated, miss.recorded) == (5_000, read)
        assert miss.call.id == "two"

    def test_causes_are_counted(self) -> None:
        """The most frequent cause comes first."""
        third = {**second(0, at=70), "id": "three"}
        fourth = {**second(5_000, at=80), "id": "four"}
        counted = found(first(), second(0), third, fourth).causes()
        assert [calls for _, calls in counted] == [2, 1]
        assert counted[0][0].startswith("read nothing")


class TestGroups:
    """Calls are reported by how much of their past the record holds."""

    @pytest.mark.parametrize(
        ("line", "kind"),
        [
            (second(5_000), "new turn"),
            (second(5_000, kind="tool_result"), "tool turn"),
            (second(0, at=300), "expired"),
            (second(0, at=299.5), "new turn"),
        ],
    )
    def test_kind(self, line: dict[str, Any], kind: str) -> None:
        """A new turn, a turn with tool results, or one that came when all was gone."""
        groups = {group.kind: group.calls for group in found(first(), line).groups}
        assert groups == {kind: 1, "start": 1}

    def test_groups_keep_their_order(self) -> None:
        """The most telling group comes first, and empty ones are left out."""
        tools = {**second(0, kind="tool_result", at=90), "id": "three"}
        result = found(first(), second(5_000), tools)
        assert [group.kind for group in result.groups] == ["tool turn", "new turn", "start"]
        assert [kind for kind, _ in KINDS] == ["tool turn", "new turn", "expired", "start"]

    def test_each_group_has_its_own_error(self) -> None:
        """How far the bill is off is said by group as well."""
        groups = {group.kind: group for group in found(first(), second(5_000)).groups}
        assert groups["start"].recorded_cost == Decimal("0.0125")
        assert groups["start"].cost_error == groups["new turn"].cost_error == 0

    def test_hour_lives_an_hour(self) -> None:
        """The lifetime is that of the call which went before."""
        hour = [{"block": 0, "ttl": "1h"}]
        late = second(5_000, at=3_000, marks=hour, automatic="1h")
        result = found(first(marks=hour, automatic="1h"), late)
        assert {group.kind for group in result.groups} == {"new turn", "start"}

    def test_last_mark_decides(self) -> None:
        """A long-lived system does not keep a short-lived conversation."""
        hour = [{"block": 0, "ttl": "1h"}]
        result = found(first(marks=hour), second(3_000, at=600, marks=hour))
        assert {group.kind for group in result.groups} == {"expired", "start"}

    def test_reading_prolongs(self) -> None:
        """A prompt that was read in the meantime is not older than its lifetime."""
        fork = {**second(5_000, at=500), "id": "three"}
        fork["blocks"] = [{"digest": "c", "tokens": 100, "level": "messages"}]
        result = found(first(), second(5_000, at=250), fork)
        assert {group.kind: group.calls for group in result.groups} == {"new turn": 2, "start": 1}
        assert result.exact == 3

    def test_unmarked_calls_leave_nothing(self) -> None:
        """What was sent without a mark is no past that a call could read."""
        bare = first(response=usage(uncached=5_000))
        del bare["automatic"], bare["marks"]
        assert {group.kind for group in found(bare, second(0)).groups} == {"start"}

    def test_failed_calls_leave_nothing(self) -> None:
        """A call that failed is not compared, and is no past either."""
        result = found(first(response={"type": "error"}), second(0))
        assert (result.calls, result.exact) == (1, 1)
        assert result.groups[0].kind == "start"

    def test_refused_calls_are_not_compared(self) -> None:
        """A call that the service would have refused says nothing about its cache."""
        marks = [{"block": 0, "ttl": "5m"}, {"block": 1, "ttl": "1h"}]
        assert found(first(marks=marks, automatic=None), second(0)).calls == 1


class TestUnknown:
    """Without a record there is no calibration, without a price no error."""

    def test_no_record(self) -> None:
        """Calls that carry no usage are not compared."""
        line = first()
        del line["response"]
        assert calibrated(line) is None

    def test_unrecorded_calls_are_a_past(self) -> None:
        """A call without usage still explains what a later one read."""
        line = first()
        del line["response"]
        result = found(line, second(5_000))
        assert (result.calls, result.exact) == (1, 1)
        assert result.groups[0].kind == "new turn"

    def test_unknown_price(self) -> None:
        """Where a price is unknown the reads are compared, and the money is not."""
        result = found(first(model="a-new-one"))
        assert result.groups[0].recorded_cost is None
        assert result.cost_error is None
        assert result.exact == 1
