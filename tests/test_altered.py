"""Calls with something of them otherwise are calls like any other."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import digest_line, digest_workloads, workload

from cacheplan.altered import (
    Alteration,
    Graft,
    Scopes,
    able_to_wait,
    alter,
    days,
    repeated,
    shared,
)
from cacheplan.assumptions import Assumptions
from cacheplan.policies import BASELINES
from cacheplan.prices import Sheet
from cacheplan.projection import project
from cacheplan.workload import Workload

SHEET = Sheet.default()
MODELS = ("claude-sonnet-5", "claude-haiku-5-5")
HEAD = ("s", 3_000, "system")


def one(name: str, **fields: Any) -> dict[str, Any]:
    """Return a line that asks its own question after the same system prompt."""
    return digest_line([HEAD, (name, 500, "messages")], **fields)


def numbers(found: frozenset[int]) -> list[int]:
    """Return numbers of calls in order."""
    return sorted(found)


def lengths(calls: Workload) -> list[int]:
    """Return how long each prompt is."""
    return [calls.prompt_tokens(call) for call in calls]


class TestNothing:
    """Where nothing is altered, nothing is another."""

    @given(lines=digest_workloads(MODELS))
    def test_every_policy_costs_the_same(self, lines: list[dict[str, Any]]) -> None:
        """Calls laid into a tree of their own are served as they were, under any policy."""
        calls = workload(lines)
        copy = alter(calls, Alteration())
        copy.tree.check()
        assert lengths(copy) == lengths(calls)
        for policy in BASELINES:
            before = project(calls, policy.bind(calls), SHEET, policy.name)
            assert project(copy, policy.bind(copy), SHEET, policy.name) == before

    def test_the_original_is_untouched(self) -> None:
        """What is altered is a copy."""
        calls = workload([one("a", at=0), one("b", at=9)])
        before = lengths(calls), len(calls.tree)
        alter(calls, Alteration(stable=0.5, volatile=0.1, batched=frozenset({0, 1})))
        assert (lengths(calls), len(calls.tree)) == before


class TestShorter:
    """Parts of prompts get shorter, by who sends them."""

    def test_parts(self) -> None:
        """What several calls send and what one call sends are cut apart."""
        calls = workload([one("a", at=0), one("b", at=9)])
        assert lengths(alter(calls, Alteration(stable=0.5))) == [2_000, 2_000]
        assert lengths(alter(calls, Alteration(volatile=0.5))) == [3_250, 3_250]

    @given(lines=digest_workloads(MODELS), left=st.sampled_from([0.0, 0.3, 0.5, 0.99]))
    def test_whole_prompts(self, lines: list[dict[str, Any]], left: float) -> None:
        """Cut alike in both parts, a prompt is that much shorter, however it is made up."""
        calls = workload(lines)
        shorter = alter(calls, Alteration(stable=left, volatile=left))
        shorter.tree.check()
        for before, after in zip(lengths(calls), lengths(shorter), strict=True):
            assert after == pytest.approx(before * left, abs=0.51)

    def test_what_is_added_unseen_stays(self) -> None:
        """The service's own tokens around a prompt are nobody's to cut."""
        tools = [{"name": "t", "input_schema": {"type": "object"}}]
        said = [{"role": "user", "content": "Hello"}]
        request = {"model": "claude-opus-4-7", "max_tokens": 9, "tools": tools, "messages": said}
        calls = workload([{"at": 0, "request": request}])
        (left,) = lengths(alter(calls, Alteration(stable=0, volatile=0)))
        assert left >= 675

    def test_answers(self) -> None:
        """Answers get shorter by themselves."""
        calls = workload([one("a", output_tokens=100)])
        assert [call.output for call in alter(calls, Alteration(output=0.25))] == [25]

    def test_who_shares(self) -> None:
        """A prefix is shared if more than one call sends it, be it the same prompt twice."""
        calls = workload([one("a", at=0), one("a", at=1), one("b", at=9)])
        several = shared(calls)
        assert [several[call.tip] for call in calls] == [1, 1, 0]


class TestBatched:
    """Calls that wait go to another surface."""

    @given(lines=digest_workloads(MODELS))
    def test_all_for_half(self, lines: list[dict[str, Any]]) -> None:
        """Where a batch finds all that a call finds, it costs half of it."""
        assume = Assumptions(batch_hit_rate=1.0)
        calls = workload([{**line, "surface": "messages"} for line in lines], assume)
        batch = alter(calls, Alteration(batched=frozenset(call.number for call in calls)))
        for policy in BASELINES:
            now = project(calls, policy.bind(calls), SHEET, "").cost
            then = project(batch, policy.bind(batch), SHEET, "").cost
            assert now is not None
            assert then == now / 2

    def test_entries_are_not_shared(self) -> None:
        """A call in a batch reads nothing that one outside has written."""
        assume = Assumptions(batch_hit_rate=1.0)
        calls = workload([one("a", at=0, automatic="5m"), one("a", at=9, automatic="5m")], assume)
        parted = alter(calls, Alteration(batched=frozenset({1})))
        assert project(calls, lambda call: call.marks, SHEET, "").usage.read == 3_500
        assert project(parted, lambda call: call.marks, SHEET, "").usage.read == 0
        assert [call.tariff.surface for call in parted] == ["messages", "batch"]


class TestRepeated:
    """Calls that repeat another exactly need not be sent."""

    def test_within_hours(self) -> None:
        """An answer is given again until it is too old, counted from the call that was sent."""
        calls = workload([one("a", at=3_600 * hour) for hour in (0, 1, 2, 3, 4)])
        assert numbers(repeated(calls, 2)) == [1, 2, 4]
        assert numbers(repeated(calls, 0)) == []

    @pytest.mark.parametrize(
        "other",
        [
            one("b", at=9),
            one("a", at=9, model="claude-opus-5"),
            one("a", at=9, workspace="w"),
            one("a", at=9, platform="aws"),
        ],
    )
    def test_what_makes_another(self, other: dict[str, Any]) -> None:
        """Another word, model, workspace or platform is another call."""
        assert not repeated(workload([one("a", at=0), other]), 24)

    def test_left_out(self) -> None:
        """What is not sent is gone, and what is left keeps its number."""
        calls = workload([one("a", at=0), one("b", at=1), one("a", at=2)])
        left = alter(calls, Alteration(unsent=repeated(calls, 24)))
        assert [call.number for call in left] == [0, 1]


class TestWaiting:
    """Who could go into a batch."""

    def test_conversations_cannot(self) -> None:
        """Turns of one conversation need each other's answers, by prompt or by session."""
        turn = {"extends": "first", "id": "next"}
        calls = workload(
            [
                one("a", at=0, id="first"),
                digest_line([("more", 9, "messages")], at=9, **turn),
                one("b", at=10, session="s"),
                one("c", at=11, session="s"),
                one("d", at=12, session="alone"),
                one("e", at=13),
            ]
        )
        assert numbers(able_to_wait(calls, None)) == [4, 5]

    def test_labels(self) -> None:
        """Whoever names labels knows better than any look."""
        calls = workload([one("a", at=0, label="x"), one("b", at=1, label="y"), one("c", at=2)])
        assert numbers(able_to_wait(calls, ["x"])) == [0]

    @pytest.mark.parametrize(
        "fields", [{"platform": "bedrock"}, {"speed": "fast"}, {"surface": "batch"}]
    )
    def test_who_is_not_taken(self, fields: dict[str, str]) -> None:
        """Where there are no batches, for fast calls, and in a batch already, none can."""
        assert not able_to_wait(workload([one("a", **fields)]), None)


class TestDays:
    """How many days calls are of."""

    def test_a_day(self) -> None:
        """A thousand calls evenly over a day are of one day, not of a thousandth less."""
        assert days(workload([one("a", at=86.4 * at) for at in range(1_000)])) == 1

    def test_too_little(self) -> None:
        """One call, or calls of minutes, say nothing about a day."""
        assert days(workload([one("a", at=0)])) is None
        assert days(workload([one("a", at=0), one("a", at=3_599)])) is None
        assert days(workload([one("a", at=0), one("a", at=3_600)])) == Decimal(7_200) / 86_400


class TestGraft:
    """Prompts of several trees in one."""

    @given(first=digest_workloads(MODELS, 5), second=digest_workloads(MODELS, 5))
    def test_two_trees(self, first: list[dict[str, Any]], second: list[dict[str, Any]]) -> None:
        """Laid into one tree, equal prompts are one prefix and others are not."""
        graft, keys = Graft(), set()
        for calls in (workload(first), workload(second)):
            scopes = Scopes(calls.tree)
            for call in calls:
                node = graft.node(calls.tree, call.tip, scopes[call.tip])
                key = calls.tree.key(call.tip)
                assert graft.tree.key(node) == key
                keys.add((key, node))
        graft.tree.check()
        assert len({key for key, _ in keys}) <= len(keys)
