"""Choosing a plan: never dearer than the rules it starts from, and the same every time."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import digest_line, digest_workloads, workload

from cacheplan.choosing import choose
from cacheplan.edits import Edit, edited
from cacheplan.places import BEFORE, DOCUMENTS, SYSTEM, TAIL_TALK, TAIL_TOOL
from cacheplan.plan import Plan
from cacheplan.policies import BASELINES
from cacheplan.prices import Sheet
from cacheplan.projection import project
from cacheplan.prompt import Lifetime
from cacheplan.units import Unit, worded
from cacheplan.workload import Workload

SHEET = Sheet.default()
SHORT, LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR
MODEL = "claude-sonnet-4-5"


random_calls = digest_workloads((MODEL, "claude-opus-5-5")).map(workload)


def cost(calls: Workload, plan: Plan) -> Decimal:
    """Return what prompts cost under a plan."""
    found = project(calls, plan.marker(calls.tree), SHEET, "planned")
    assert found.rejected == 0
    assert found.input_cost is not None
    return found.input_cost


def jobs(gap: float, count: int = 20) -> Workload:
    """Return one long shared prompt, sent every so often with a short input of its own."""
    return workload(
        digest_line(
            [("system", 20_000, "system"), (f"input {at}", 50, "messages")],
            at=at * gap,
            model=MODEL,
        )
        for at in range(count)
    )


@given(calls=random_calls)
def test_a_plan_costs_no_more_than_no_caching_nor_than_the_uniform_rules(calls: Workload) -> None:
    """On the calls it was chosen on, a plan is at most as dear as where it started."""
    plan = choose(calls, SHEET)
    bills = {
        policy.name: project(calls, policy.bind(calls), SHEET, policy.name) for policy in BASELINES
    }
    for name in ("uncached", "automatic", "automatic-1h"):
        bill = bills[name].input_cost
        assert bill is None or cost(calls, plan) <= bill * Decimal("1.000001")


@given(calls=random_calls)
def test_the_same_calls_give_the_same_plan(calls: Workload) -> None:
    """Nothing is drawn at random, and what is stored is what was chosen."""
    plan = choose(calls, SHEET)
    assert choose(calls, SHEET) == plan
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


@given(random_calls, st.sampled_from("abcdef"))
def test_what_an_edit_leaves_alone_is_not_searched_again(calls: Workload, gone: str) -> None:
    """A plan for edited calls is the one that somebody chooses who never saw the old ones."""
    digests = {calls.tree.digest[calls.tree.block[call.tip]] for call in calls.calls[::2]}
    choose(calls, SHEET)

    def block(unit: Unit) -> Unit:
        return worded(unit, gone, unit.length) if unit.digest in digests else unit

    after = edited(calls, [Edit(block=block)])
    assert after.tree is not calls.tree
    plan = choose(after, SHEET)
    after.tree.derived.clear()
    assert choose(after, SHEET) == plan


@pytest.mark.parametrize(("gap", "lifetime"), [(60, SHORT), (25 * 60, LONG), (2 * 3600, None)])
def test_a_job_is_kept_as_long_as_its_gap_asks_for(gap: float, lifetime: Lifetime | None) -> None:
    """A minute apart is worth 5 minutes, 25 minutes an hour, and two hours nothing."""
    plan = choose(jobs(gap), SHEET)
    assert plan.lanes[0].lifetime_at(SYSTEM) == lifetime


def test_nobody_reads_the_tail_of_one_shot_calls() -> None:
    """The input of each job is its own, so no mark stands behind it."""
    plan = choose(jobs(60), SHEET)
    assert plan.lanes[0].lifetime_at(TAIL_TALK) is None


def test_nothing_shared_is_said_in_words() -> None:
    """Where no two prompts begin alike, the plan is not to cache."""
    calls = workload(digest_line([(f"own {at}", 9000, "messages")], at=at) for at in range(30))
    assert str(choose(calls, SHEET)).startswith("Nothing is worth keeping: do not cache.")


def conversation(
    name: str, start: float, gaps: list[float], kinds: list[str], *, fan: int = 1, **fields: Any
) -> list[dict[str, Any]]:
    """Return the calls of one conversation, each a turn of blocks of some kind longer."""
    blocks = [
        {"digest": "tools", "tokens": 4000, "level": "tools", "kind": "tool"},
        {"digest": name, "tokens": 500, "level": "messages", "kind": "text"},
    ]
    lines, at = [], start
    for turn, (gap, kind) in enumerate(zip(gaps, kinds, strict=True)):
        lines.append({"at": at, "model": MODEL, "blocks": list(blocks), **fields})
        at += gap
        for part in range(fan):
            digest = f"{name} {turn}.{part}"
            blocks.append({"digest": digest, "tokens": 400, "level": "messages", "kind": kind})
    return lines


def test_the_two_tails_are_told_apart() -> None:
    """Where loops are quick and people are slow, only what a person ends waits an hour."""
    lines = []
    for number in range(12):
        kinds = ["tool_result", "tool_result", "tool_result", "text"] * 3
        gaps = [10.0, 10.0, 10.0, 1200.0]
        # The gap after a call is long where that call's own prompt ends with talk.
        lines += conversation(f"c{number}", number * 5000.0, [1200.0, *gaps[:3]] * 3, kinds)
    plan = choose(workload(lines), SHEET)
    assert plan.lanes[0].lifetime_at(TAIL_TALK) is LONG
    assert plan.lanes[0].lifetime_at(TAIL_TOOL) is SHORT


def test_wide_turns_are_linked_to_the_call_before() -> None:
    """Where a turn adds more positions than the lookback, the turn before is marked too."""
    lines = []
    for number in range(6):
        lines += conversation(f"c{number}", number * 400.0, [20.0] * 8, ["text"] * 8, fan=30)
    plan = choose(workload(lines), SHEET)
    assert plan.lanes[0].lifetime_at(BEFORE) is not None


def test_what_all_begin_with_is_marked_however_late_they_part() -> None:
    """Prompts that part at many places still have in common what stands before the first."""
    lines = []
    for number in range(20):
        # A reminder ends each call, and the next one leaves it out.
        blocks = [("rules", 6000, "system")]
        for turn in range(4):
            blocks.append((f"said {number}.{turn}", 50, "messages"))
            ended = [*blocks, (f"reminder {number}.{turn}", 15, "messages")]
            lines.append(digest_line(ended, at=number * 400 + turn * 45, model=MODEL))
            blocks.append((f"answer {number}.{turn}", 200, "messages"))
    calls = workload(lines)
    plan = choose(calls, SHEET)
    assert plan.lanes[0].lifetime_at(SYSTEM) is SHORT
    for policy in BASELINES:
        other = project(calls, policy.bind(calls), SHEET, policy.name).input_cost
        assert other is not None
        assert cost(calls, plan) <= other


def test_favourites_of_a_pool_have_lifetimes_of_their_own() -> None:
    """A document asked about all day is kept though most of its kind are not."""
    lines = []
    for at in range(200):
        name = f"other {at}" if at % 5 else "favourite"
        blocks = [(name, 8000, "messages"), (f"question {at}", 30, "messages")]
        lines.append(digest_line(blocks, at=at * 40, model=MODEL))
    calls = workload(lines)
    plan = choose(calls, SHEET)
    kept = {lifetime for lifetime in plan.prefixes.values() if lifetime}
    assert plan.lanes[0].lifetime_at(DOCUMENTS) is None
    assert kept == {SHORT}


def test_short_lived_lanes_do_not_inherit_the_hour() -> None:
    """Two labels on one prompt get lifetimes by their own gaps."""
    lines = [
        line
        for n in range(10)
        for line in conversation(f"slow {n}", n * 9000.0, [1500.0] * 5, ["text"] * 5, label="slow")
    ]
    lines += [
        line
        for n in range(10)
        for line in conversation(f"quick {n}", n * 9000.0, [5.0] * 5, ["text"] * 5, label="quick")
    ]
    plan = choose(workload(lines), SHEET)
    tails = {lane.label: lane.lifetime_at(TAIL_TALK) for lane in plan.lanes if lane.like is None}
    assert tails == {"slow": LONG, "quick": SHORT}


def test_a_plan_holds_for_models_and_labels_never_seen() -> None:
    """What nobody sent before is marked as the dearest lane of its like is."""
    plan = choose(
        workload(
            line
            for n in range(10)
            for line in conversation(f"c{n}", n * 500.0, [20.0] * 5, ["text"] * 5, label="a")
        ),
        SHEET,
    )
    lane = plan.lane("claude-opus-5-5", "new")
    assert lane is not None
    assert lane.like is not None
    assert lane.lifetime_at(TAIL_TALK) is SHORT


@pytest.mark.parametrize(
    "lines",
    [
        [digest_line([("one", 5000, "messages")])],
        [digest_line([("one", 5000, "messages")])] * 40,
        [digest_line([("one", 5000, "messages")], at=at * 4e7) for at in range(5)],
        [digest_line([("one", 5000, "messages")], at=at, model="nobody-knows") for at in range(9)],
    ],
    ids=["one call", "all at one instant", "years apart", "unknown model"],
)
def test_odd_workloads_have_an_answer(lines: list[dict[str, Any]]) -> None:
    """One call, one instant, years apart, unknown models: a plan, never an exception."""
    calls = workload(lines)
    plan = choose(calls, SHEET)
    assert str(plan)
    assert project(calls, plan.marker(calls.tree), SHEET, "planned").rejected == 0
