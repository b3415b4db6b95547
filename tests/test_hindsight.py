"""Hindsight against the best there is, against the baselines, and against the bounds."""

from __future__ import annotations

from dataclasses import asdict, replace
from decimal import Decimal
from random import Random

import msgspec
import pytest
from futures import (
    REFUSES,
    SHEET,
    UNIT,
    Toy,
    best,
    conversation,
    cost,
    family,
    one_prompt,
    toys,
    workload,
)
from hypothesis import given
from hypothesis import strategies as st
from oracle import Switches
from workloads import switches

from cacheplan.bounds import bounds
from cacheplan.facts import BREAKPOINTS
from cacheplan.hindsight import hindsight
from cacheplan.policies import BASELINES, automatic_1h
from cacheplan.prices import Tariff
from cacheplan.projection import project
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.workload import Workload

#: Seconds between the turns of a conversation: in each class of gaps.
PAUSES = (1, 30, 250, 299, 301, 900, 3500, 3700)


def cheapest(work: Workload) -> Decimal:
    """Return what hindsight costs, in uncached tokens."""
    return cost(work, hindsight(work, SHEET))


def highest(work: Workload) -> Decimal:
    """Return the highest bound, in uncached tokens."""
    found = bounds(work, SHEET).highest
    assert found is not None
    return found / UNIT


def with_surface(work: Workload, surface: str) -> Workload:
    """Send all calls another way."""
    tariff = work.calls[0].tariff._replace(surface=surface)
    return replace(work, calls=[msgspec.structs.replace(call, tariff=tariff) for call in work])


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0], 1),
        ([0, 60], 1.35),
        ([0, 60, 120], 1.45),
        ([0, 1000], 2),
        ([0, 1000, 2000], 2.2),
        ([0, 60, 1000], 2.2),
        ([0, 60, 1000, 5000], 3.2),
        ([0, 400, 800, 1200, 9000], 3.3),
    ],
)
def test_one_prompt(times: list[float], expected: float) -> None:
    """One prompt sent again costs what the theory works out."""
    assert float(cheapest(one_prompt(*times))) == 1000 * expected


@given(st.randoms(use_true_random=False), st.integers(1, 5), st.sampled_from((0, 0, 50, 150)))
def test_best_where_the_bound_says_so(rng: Random, calls: int, minimum: int) -> None:
    """Wherever the best there is costs what the bound says, hindsight finds it."""
    work = workload(family(rng, calls), minimum=minimum)
    found, least = cheapest(work), highest(work)
    if found > least:
        assert best(work) > least


def test_best_nearly_everywhere() -> None:
    """On drawn toys it costs what the best of all ways costs, but for one in fifty."""
    rng = Random(20261121)
    excess = []
    for _ in range(150):
        work = workload(family(rng, rng.randint(2, 4), deepest=3))
        excess.append(cheapest(work) / best(work) - 1)
    assert min(excess) == 0
    assert sum(one > 0 for one in excess) <= 3
    assert sum(excess) / len(excess) < Decimal("0.003")


@given(st.lists(st.tuples(st.sampled_from(PAUSES), st.integers(1, 2000)), min_size=1, max_size=40))
def test_one_conversation(turns: list[tuple[float, int]]) -> None:
    """In one conversation hindsight is the bound, give or take the last blocks' hours."""
    gaps, sizes = zip(*turns, strict=True)
    work = conversation(gaps, sizes)
    found, least = cheapest(work), highest(work)
    assert least <= found <= least + 2 * sum(sizes[1:])
    if all(gap < 300 for gap in gaps[1:]):
        assert found == least


@given(st.randoms(use_true_random=False), st.integers(1, 40), st.sampled_from((0, 1, 40)))
def test_never_dearer_than_a_baseline(rng: Random, calls: int, waits: float) -> None:
    """It costs no more than any placement of the field, and no less than the bound."""
    work = workload(family(rng, calls, deepest=30), waits=waits)
    found = cheapest(work)
    assert found >= highest(work)
    for policy in BASELINES:
        assert found <= cost(work, policy.bind(work)), policy.name


@given(st.randoms(use_true_random=False), st.integers(1, 20), switches())
def test_nor_under_other_answers(rng: Random, calls: int, answers: Switches) -> None:
    """The same holds under every answer to every open question."""
    work = workload(family(rng, calls, deepest=30), waits=1.0, **asdict(answers))
    found = cheapest(work)
    assert found >= highest(work)
    for policy in BASELINES:
        assert found <= cost(work, policy.bind(work)), policy.name


@given(st.randoms(use_true_random=False), st.integers(1, 30))
def test_batches_find_less(rng: Random, calls: int) -> None:
    """Where only a share of the entries is found, it is still no dearer than a baseline."""
    work = with_surface(workload(family(rng, calls, deepest=10)), "batch")
    found = cheapest(work)
    assert found >= highest(work)
    assert found <= min(cost(work, policy.bind(work)) for policy in BASELINES)


@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_marks_can_be_sent(rng: Random, calls: int) -> None:
    """Each call gets at most four breakpoints, on blocks that take one."""
    toy = [
        (at, [(REFUSES if name == "h" else name, size) for name, size in blocks])
        for at, blocks in family(rng, calls, deepest=40)
    ]
    work = workload(toy)
    marker = hindsight(work, SHEET)
    for call in work:
        marks = marker(call)
        assert len(marks) <= BREAKPOINTS
        assert not any(work.tree.unmarkable[mark.node] for mark in marks)
    assert not project(work, marker, SHEET, "hindsight").refusals


def test_many_turns_from_one_prompt_share_slots() -> None:
    """Where more places are wanted than there are slots, the longest prefixes are kept."""
    trunk = [(str(number), 1000) for number in range(6)]
    toy: list[Toy] = [(0, [*trunk, ("own", 1)])]
    toy += [(60 + n, [*trunk[: n + 1], (f"turn{n}", 1)]) for n in range(6)]
    work = workload(toy)
    marker = hindsight(work, SHEET)
    assert len(marker(work.calls[0])) == BREAKPOINTS
    assert cost(work, marker) < min(cost(work, policy.bind(work)) for policy in BASELINES)


def test_far_entry_gets_its_own_breakpoint() -> None:
    """An entry beyond the lookback of the end of the prompt is read by a mark on it."""
    long = [(str(number), 100) for number in range(50)]
    work = workload([(0, long[:20]), (60, long)])
    assert cheapest(work) == 2000 * Decimal("1.25") + 2000 * Decimal("0.1") + 3000


def test_failed_calls() -> None:
    """A call that failed costs nothing; it writes for the others only where that is assumed."""
    for writes, expected in ((False, 1250 + 100), (True, 100 + 100)):
        work = one_prompt(0, 60, 120, failed_calls_write=writes)
        failed = msgspec.structs.replace(work.calls[0], failed=True)
        work = replace(work, calls=[failed, *work.calls[1:]])
        assert cheapest(work) == highest(work) == expected


def test_waits_for_the_first_token() -> None:
    """While an entry is on its way no second one is paid for that nobody needs."""
    assert cheapest(one_prompt(0, 1, 5, waits=2.0)) == 1250 + 1000 + 100


def test_scopes_are_chosen_apart() -> None:
    """What is best for one model is not given up for another."""
    alone = one_prompt(0, 60)
    rare = one_prompt(0, 4000)
    assert cheapest(alone) + cheapest(rare) == 1350 + 2000


def test_others_are_tried() -> None:
    """A policy that is handed in is followed where it is cheaper."""
    work = one_prompt(0, 60, 1000)
    handed = list[Breakpoint]()

    def other(call: object) -> tuple[Breakpoint, ...]:
        handed.extend(marks := (Breakpoint(work.calls[0].tip, Lifetime.ONE_HOUR),))
        return marks

    assert cost(work, hindsight(work, SHEET, [other])) == cost(work, automatic_1h(work))
    assert len(handed) == len(work)


def test_unknown_price_still_gets_marks() -> None:
    """Without a price the documented multiples decide."""
    work = one_prompt(0, 60, 120)
    strange = Tariff("nobody-knows")
    calls = [msgspec.structs.replace(call, tariff=strange) for call in work.calls]
    work = replace(work, calls=calls, assume=replace(work.assume, minimums=(("nobody-knows", 0),)))
    projection = project(work, hindsight(work, SHEET), SHEET, "hindsight")
    assert projection.input_cost is None
    assert projection.usage.read == 2000


def test_calls_of_others_get_no_marks() -> None:
    """It knows the future of its own calls only."""
    assert hindsight(one_prompt(0, 60), SHEET)(one_prompt(0, 60).calls[0]) == ()


def test_no_calls() -> None:
    """An empty workload has nothing to mark."""
    assert project(workload([]), hindsight(workload([]), SHEET), SHEET, "hindsight").calls == 0


@given(toys())
def test_same_calls_same_marks(drawn: list[Toy]) -> None:
    """Nothing is left to chance."""
    work = workload(drawn)
    one, other = hindsight(work, SHEET), hindsight(work, SHEET)
    assert [one(call) for call in work] == [other(call) for call in work]
