"""Trials: the bill of some rules, by groups of calls that never see each other's entries."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from small import digest_line, digest_workloads, workload

from cacheplan import lanes
from cacheplan.assumptions import Assumptions
from cacheplan.errors import RejectedError
from cacheplan.gaps import Gaps
from cacheplan.lanes import LaneKey
from cacheplan.plan import placed
from cacheplan.prices import Sheet
from cacheplan.projection import cache_for
from cacheplan.prompt import Lifetime
from cacheplan.trials import Group, Rules, Trial, Trials
from cacheplan.workload import Workload

SHEET = Sheet.default()
MODELS = ("claude-sonnet-4-5", "claude-opus-5-5")
CHOICES = (None, Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR)

labels = st.lists(st.sampled_from(["one", "two", "three", None]), min_size=20, max_size=20)


def labelled(lines: list[dict[str, Any]], names: list[str | None], **given: Any) -> Workload:
    """Read lines with labels, which tell lanes apart."""
    for line, name in zip(lines, names, strict=False):
        line["label"] = name
    return workload(lines, **given)


def drawn(trials: Trials, calls: Workload, rng: Random) -> dict[LaneKey, Rules]:
    """Draw a lifetime for every place of every lane."""
    gaps = Gaps(calls.tree, trials.all)
    return {
        lane: {place: rng.choice(CHOICES) for place in gaps.places(lane)}
        for lane in trials.lanes.values()
    }


def together(trials: Trials) -> Group:
    """Return all calls as one group, about which nothing is known beforehand."""
    lanes = tuple(dict.fromkeys(trials.lanes.values()))
    return Group(lanes, trials.all, [0.0] * len(trials.all))


def served(calls: Workload, trials: list[Trial], rules: dict[LaneKey, Rules]) -> float:
    """Serve calls one after the other, each marked by the rules as a plan marks it."""
    cache = cache_for(calls, SHEET)
    total = 0.0
    for one in trials:
        marks = placed(rules[one.lane], one.fixed, {}, (one.tail, one.tip), one.before)
        try:
            usage = cache.serve(one.call, marks)
        except RejectedError:
            return float("inf")
        counts = (usage.uncached, usage.write_5m, usage.write_1h, usage.read)
        total += sum(count * price for count, price in zip(counts, one.prices, strict=True))
    return total


@pytest.fixture(autouse=True)
def few_calls_are_a_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the smallest workload have lanes."""
    monkeypatch.setattr(lanes, "CALLS", 1)


@given(digest_workloads(MODELS), labels, st.randoms())
def test_what_rules_cost(lines: list[dict[str, Any]], names: list[str | None], rng: Random) -> None:
    """The bill is that of serving every call with the marks that a plan would give it."""
    calls = labelled(lines, names)
    trials = Trials(calls, SHEET)
    rules = drawn(trials, calls, rng)
    assert trials.cost(rules, {}, together(trials)) == pytest.approx(
        served(calls, trials.all, rules), rel=1e-12
    )


@given(digest_workloads(MODELS), labels, st.randoms(), st.floats(0, 1.5))
def test_what_is_too_dear_is_worthless(
    lines: list[dict[str, Any]], names: list[str | None], rng: Random, share: float
) -> None:
    """A bill above the most that it may be is infinite, and any other is what it was."""
    calls = labelled(lines, names)
    trials = Trials(calls, SHEET)
    rules = drawn(trials, calls, rng)
    for group in trials.groups:
        cost = trials.cost(rules, {}, group._replace(least=[0.0] * len(group.trials)))
        assume(cost < float("inf"))
        found = trials.cost(rules, {}, group, cost * share)
        assert found == (cost if cost <= cost * share else float("inf"))
        assert trials.cost(rules, {}, group, cost) == cost


@given(digest_workloads(MODELS), labels, st.randoms())
def test_what_the_rest_costs_at_least(
    lines: list[dict[str, Any]], names: list[str | None], rng: Random
) -> None:
    """Whatever the rules, the calls behind each cost no less than is said beforehand."""
    calls = labelled(lines, names)
    trials = Trials(calls, SHEET)
    rules = drawn(trials, calls, rng)
    for group in trials.groups:
        bills = [0.0]
        for number in range(1, len(group.trials) + 1):
            first = group._replace(trials=group.trials[:number], least=[0.0] * number)
            bills.append(trials.cost(rules, {}, first))
        if bills[-1] < float("inf"):
            left = [bills[-1] - bill for bill in bills[1:]]
            assert all(most <= rest + 1e-9 for most, rest in zip(group.least, left, strict=True))
            assert group.least[-1] == 0


@given(digest_workloads(MODELS), labels, st.randoms(), st.sampled_from([1.0, 0.5]))
def test_groups_never_see_each_other(
    lines: list[dict[str, Any]], names: list[str | None], rng: Random, hit_rate: float
) -> None:
    """Whatever the rules, all calls together cost what the groups cost by themselves."""
    switches = Assumptions(hit_rate=hit_rate, batch_hit_rate=hit_rate)
    calls = labelled(lines, names, assume=switches)
    trials = Trials(calls, SHEET)
    rules = drawn(trials, calls, rng)
    apart = [served(calls, group.trials, rules) for group in trials.groups]
    assert sum(apart) == pytest.approx(served(calls, trials.all, rules), rel=1e-12)
    assert sorted(one.call.number for group in trials.groups for one in group.trials) == sorted(
        call.number for call in calls
    )
    own = [lane for group in trials.groups for lane in group.lanes]
    assert sorted(own, key=str) == sorted(set(trials.lanes.values()), key=str)


@pytest.mark.parametrize(("tokens", "groups"), [(900, 2), (5_000, 1)])
def test_what_is_too_short_to_keep_joins_nobody(tokens: int, groups: int) -> None:
    """Features with the same short tools and longer prompts of their own are two groups."""
    lines = [
        digest_line(
            [("tools", tokens, "tools"), (f"system {at % 2}", 9_000, "system")],
            at=at,
            label=f"feature {at % 2}",
            model=MODELS[0],
        )
        for at in range(20)
    ]
    assert len(Trials(workload(lines), SHEET).groups) == groups
