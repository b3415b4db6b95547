"""The bounds against everything that could be tried, and against their own definitions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from decimal import Decimal
from itertools import product
from random import Random
from typing import Any

import msgspec
import pytest
from futures import (
    GAPS,
    MODEL,
    REFUSES,
    SHEET,
    UNIT,
    Toy,
    best,
    conversation,
    cost,
    family,
    markings,
    one_prompt,
    toys,
    workload,
)
from hypothesis import given
from hypothesis import strategies as st
from oracle import Switches
from workloads import switches

from cacheplan.bounds import Bounds, bounds
from cacheplan.cuts import Network, nested
from cacheplan.errors import RejectedError
from cacheplan.outlook import Outlook
from cacheplan.policies import BASELINES
from cacheplan.prices import Tariff
from cacheplan.projection import cache_for, project
from cacheplan.prompt import Block, Breakpoint, Level
from cacheplan.skeleton import Skeleton, prices
from cacheplan.standing import standing
from cacheplan.workload import Call, Workload

INFINITE = float("inf")
#: One fork: 10 for all, 1 more for three of seven.
FORK: list[Toy] = [
    (at, [("a", 1000), ("b", 100)] if at % 750 == 0 else [("a", 1000)])
    for at in range(0, 1501, 250)
]


def units(bound: Decimal | None) -> Decimal:
    """Tell a bound in uncached tokens."""
    assert bound is not None
    return bound / UNIT


def answered(drawn: Switches) -> dict[str, Any]:
    """Return switches as keyword arguments of ``workload``."""
    return asdict(drawn)


def by_node(work: Workload, *, lengthens: bool) -> float:
    """Add up what each prefix costs by itself, going forward; C.2.1 of the theory.

    Where a read does not lengthen, a lifetime is what was paid for.
    """
    state: dict[int, tuple[float, float, float]] = {}
    last: dict[int, float] = {}
    for call in work:
        for node in work.tree.path(call.tip):
            plain, short, long = state.get(node, (0.0, INFINITE, INFINITE))
            gap = call.at - last.get(node, -INFINITE)
            least = min(plain, short, long)
            short = short + 0.1 if gap < 300 else INFINITE
            long = long + 0.1 if gap < 3600 else INFINITE
            if lengthens:
                short = long = min(short, long)
            state[node] = least + 1, min(least + 1.25, short), min(least + 2, long)
            last[node] = call.at
    return sum(work.tree.own(node) * min(one) for node, one in state.items())


def by_entries(work: Workload, waits: float) -> float:
    """Add up what each prefix costs if entries keep the lifetime they were written with.

    Going forward, with what holds a prefix, which entry of its own it has, and whether
    that is new. A call that turns off at a prefix reads it only from that entry.
    """
    last: dict[int, float] = {}
    state: dict[int, dict[tuple[str, str, bool], float]] = {}
    for call in work:
        path = work.tree.path(call.tip)
        used = [node for node in path if last.get(node, -INFINITE) > call.at - 3600]
        for node in path:
            after: dict[tuple[str, str, bool], float] = {}
            gap = call.at - last.get(node, -INFINITE)
            for (holder, own, new), spent in state.get(node, {("", "", False): 0.0}).items():
                if new and gap < waits:
                    ways = {("h", "h", False): 2.0} | {(holder, own, False): 1.0}
                elif gap < {"": 0, "f": 300, "h": 3600}[holder]:
                    kept = own if gap < {"": 0, "f": 300, "h": 3600}[own] else ""
                    price = 1.0 if used[-1] == node and not kept else 0.1
                    ways = {("h", "f", False): 1.25, ("h", "h", False): 2.0}
                    ways["h", kept, False] = price
                else:
                    ways = {("", "", False): 1.0, ("f", "f", True): 1.25, ("h", "h", True): 2.0}
                for way, price in ways.items():
                    after[way] = min(after.get(way, INFINITE), spent + price)
            state[node] = after
        last.update(dict.fromkeys(path, call.at))
    return sum(work.tree.own(node) * min(ways.values()) for node, ways in state.items())


def by_answers(work: Workload) -> float:
    """Try every answer to "is it held, and for an hour?" that keeps the order; C.2.3."""
    uses = [(call, node) for call in work for node in work.tree.path(call.tip)]
    least = INFINITE
    for held in product((0, 1, 2), repeat=len(uses)):
        answers = dict(zip(((call.number, node) for call, node in uses), held, strict=True))
        parents = work.tree.parent
        if any(
            (call.number, parents[node]) in answers
            and answers[call.number, parents[node]] < answers[call.number, node]
            for call, node in uses
        ):
            continue
        total, last = 0.0, dict[int, tuple[float, int]]()
        for call, node in uses:
            before, answer = last.get(node, (-INFINITE, 0))
            gap = call.at - before
            alive = (gap < 300 and answer >= 1) or (gap < 3600 and answer == 2)
            now = answers[call.number, node]
            total += work.tree.own(node) * (0.1 if alive else (1, 1.25, 2)[now])
            last[node] = call.at, now
        least = min(least, total)
    return least


def cut(work: Workload) -> float:
    """Return what the cuts alone say, in uncached tokens."""
    known = prices(work, SHEET)
    assert known is not None
    costs, scale = known
    skeleton = Skeleton(work, SHEET)
    least = sum(nested(work, skeleton, costs, Outlook(work, skeleton, costs)))
    return float(Decimal(least) / scale / UNIT)


def answer(number: int) -> Block:
    """Return what a server tool answered."""
    digest = f"answer{number}".encode()
    return Block(level=Level.MESSAGES, kind="web_search_tool_result", digest=digest, tokens=100)


def three(work: Workload, call: Call) -> Iterator[tuple[Breakpoint, ...]]:
    """Mark at most three blocks: what a server tool may leave of the slots."""
    return (marks for marks in markings(work, call) if len(marks) <= 3)


@pytest.mark.parametrize(
    ("times", "loose", "tree"),
    [
        ([0], 1, 1),
        ([0, 60], 1.35, 1.35),
        ([0, 60, 120], 1.45, 1.45),
        ([0, 1000], 2, 2),
        ([0, 1000, 2000], 2.2, 2.2),
        ([0, 60, 1000], 1.45, 2.2),
        ([0, 60, 1000, 5000], 2.45, 3.2),
        ([0, 400, 800, 1200, 9000], 3.3, 3.3),
    ],
)
def test_one_prefix(times: list[float], loose: float, tree: float) -> None:
    """One prompt sent again costs what the theory works out, and no less can be paid."""
    work = one_prompt(*times)
    found = bounds(work, SHEET)
    assert float(units(found.loose)) == 1000 * loose
    assert float(units(found.tree)) == 1000 * tree == float(best(work))


def test_order_costs() -> None:
    """An hour on a longer prompt is paid for on the shorter one, which ``tree`` knows."""
    work = workload(FORK)
    found = bounds(work, SHEET)
    assert units(found.loose) == 2070
    assert units(found.tree) == 2150 == best(work)
    assert cut(work) == 2150


def test_three_ways_from_one_beginning() -> None:
    """Three prompts that part behind a shared beginning share what it costs to write."""
    work = workload([(30 * n, [("s", 1000), (f"own{n}", 200)]) for n in range(3)])
    found = bounds(work, SHEET)
    assert units(found.loose) == units(found.tree) == 2050 == best(work)


@given(toys())
def test_loose_is_the_sum_over_prefixes(drawn: list[Toy]) -> None:
    """Walking back over pieces gives what going forward over every prefix gives."""
    work = workload(drawn)
    assert float(units(bounds(work, SHEET).loose)) == pytest.approx(by_node(work, lengthens=True))


@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_loose_is_that_sum_on_longer_workloads(rng: Random, calls: int) -> None:
    """It does so where pieces are split and joined many times, too."""
    work = workload(family(rng, calls, deepest=12))
    assert float(units(bounds(work, SHEET).loose)) == pytest.approx(by_node(work, lengthens=True))


@given(st.randoms(use_true_random=False), st.integers(1, 40), st.sampled_from((0.0, 40.0, 350.0)))
def test_standing_is_a_sum_over_prefixes(rng: Random, calls: int, waits: float) -> None:
    """So does the walk that knows where entries stand, though it parts pieces at turns."""
    work = workload(family(rng, calls, deepest=12), waits=waits)
    known = prices(work, SHEET)
    assert known is not None
    fine = Skeleton(work, SHEET, fine=True)
    least = Decimal(sum(standing(work, fine, known[0]))) / known[1] / UNIT
    assert float(least) == pytest.approx(by_entries(work, waits))


@given(toys(most=3, deepest=3))
def test_cut_is_the_least_over_all_answers(drawn: list[Toy]) -> None:
    """The minimum cut finds the cheapest set of answers that keeps the order."""
    work = workload(drawn)
    uses = sum(len(work.tree.path(call.tip)) for call in work)
    if uses <= 8:
        assert cut(work) == pytest.approx(by_answers(work))


@given(toys(), st.sampled_from((0, 1, 70, 500)), st.sampled_from((0, 0, 50, 150)))
def test_nothing_goes_below(drawn: list[Toy], waits: float, minimum: int) -> None:
    """Loose, tree, and the best of all ways to mark come in this order."""
    work = workload(drawn, waits=waits, minimum=minimum)
    found = bounds(work, SHEET)
    assert units(found.loose) <= units(found.tree) <= best(work)


@given(toys(most=4, deepest=3), switches())
def test_nothing_goes_below_whatever_the_service_does(drawn: list[Toy], answers: Switches) -> None:
    """They do so under every answer to every open question."""
    work = workload(drawn, waits=1.0, **answered(answers))
    found = bounds(work, SHEET)
    assert units(found.loose) <= units(found.tree) <= best(work)


@given(st.randoms(use_true_random=False), st.integers(1, 60), st.sampled_from((0, 1, 40)))
def test_no_baseline_goes_below(rng: Random, calls: int, waits: float) -> None:
    """No placement of the field costs less than the higher bound."""
    work = workload(family(rng, calls, deepest=30), waits=waits)
    least = bounds(work, SHEET).highest
    assert least is not None
    for policy in BASELINES:
        projected = project(work, policy.bind(work), SHEET, policy.name)
        assert projected.input_cost is not None
        assert projected.input_cost >= least


def test_a_read_does_not_lengthen_at_a_turn() -> None:
    """Whoever turns off where an entry of 5 minutes died has to write it again."""
    head = [("head", 1000)]
    times = (0, 250, 1200)
    work = workload([(at, [*head, (f"own{at}", 1)]) for at in times])
    found = bounds(work, SHEET)
    assert units(found.loose) == 1450 + 3
    assert units(found.tree) == 2200 + 3 == best(work)


def test_a_longer_prompt_lengthens_for_itself() -> None:
    """Whoever goes on from a prompt can have the hour for what was new in it alone."""
    work = conversation([0, 250, 950, 10], [1000, 1, 1, 1])
    found = bounds(work, SHEET)
    # 5 minutes on the first block, an hour on the second, 5 minutes on the third.
    assert units(found.loose) == units(found.tree) == best(work) == Decimal("1554.55")


def test_what_is_on_its_way_cannot_be_read() -> None:
    """A call that starts before the answer of the one that writes pays in full."""
    work = one_prompt(0, 1, 5, waits=2.0)
    found = bounds(work, SHEET)
    assert units(found.loose) == 1450
    assert units(found.tree) == 1250 + 1000 + 100 == best(work)
    assert units(bounds(one_prompt(0, 1, 5, waits=2.0, visible="start"), SHEET).tree) == 1450


def test_short_prompts_are_plain() -> None:
    """Below the minimum nothing is held, and its tokens are read only with longer ones."""
    short = one_prompt(0, 60, 120, tokens=1000, minimum=1024)
    assert units(bounds(short, SHEET).loose) == 3000
    shared = workload(
        [(60 * n, [("s", 600), (f"own{n}", 600)]) for n in range(3)],
        minimum=1024,
    )
    assert units(bounds(shared, SHEET).loose) == 3600 == best(shared)


def test_tail_that_takes_no_mark_is_plain() -> None:
    """Tokens behind the last block that takes a mark are uncached in every plan."""
    work = workload([(60 * n, [("a", 1000), (REFUSES, 500)]) for n in range(3)])
    assert units(bounds(work, SHEET).loose) == 1450 + 3 * 500 == best(work)
    closing = replace(work, calls=[msgspec.structs.replace(call, closing=7) for call in work.calls])
    assert units(bounds(closing, SHEET).loose) == 1450 + 3 * 507 == best(closing)


@given(toys(most=3), st.integers(1, 2), st.booleans())
def test_rounds_of_server_tools(drawn: list[Toy], rounds: int, slot: bool) -> None:
    """Answers of server tools cost nothing in a call without marks, and the bound knows."""
    work = workload(drawn, waits=60.0, server_tool_slot=slot)
    tree = work.tree
    calls = []
    for call in work.calls:
        node, ends = call.tip, []
        for number in range(rounds):
            node = tree.child(node, tree.intern(answer(number)))
            ends.append(node)
        calls.append(msgspec.structs.replace(call, rounds=tuple(ends)))
    tree.measure()
    work = replace(work, calls=calls)
    found = bounds(work, SHEET)
    assert units(found.loose) <= units(found.tree) <= best(work, ways=three)


@given(toys(), st.sampled_from((1, 3, 30)))
def test_prices_that_change(drawn: list[Toy], factor: int) -> None:
    """The bound follows the price of each call, however far a price falls."""
    dear = {"model": MODEL, "input": 3 * factor, "write_5m": 3.75 * factor, "until": "2027-01-01"}
    dear |= {"write_1h": 6 * factor, "read": 0.3 * factor, "output": 15, "minimum": 0}
    cheap = dear | {"input": 3, "write_5m": 3.75, "write_1h": 6, "read": 0.3}
    cheap |= {"from": "2027-01-01"}
    del cheap["until"]
    sheet = SHEET.override([dear, cheap])
    turn = 1798761600 - 900  # 2027-01-01 begins between the calls
    work = workload([(turn + at, blocks) for at, blocks in drawn])
    found = bounds(work, sheet)
    assert units(found.loose) <= units(found.tree) <= best(work, sheet)


@pytest.mark.parametrize("check", ["ignore", "drop", "reject"])
@given(toys(most=3))
def test_thinking_that_moved(check: str, drawn: list[Toy]) -> None:
    """What the service drops or refuses is not in the bound either."""
    thinking = [
        (at, [(REFUSES if name in "abcd" else name, 100) for name, _ in blocks] + [("end", 50)])
        for at, blocks in drawn
    ]
    work = workload(thinking, model="claude-opus-5-5", thinking_check=check)
    cache = cache_for(work, SHEET)
    refused = []
    for call in work:
        try:
            cache.serve(call, ())
        except RejectedError:
            refused.append(call)
    found = bounds(work, SHEET)
    left = replace(work, calls=[call for call in work if call not in refused])
    assert units(found.loose) <= units(found.tree) <= best(left)
    if not refused and check == "ignore":
        assert units(found.loose) > 0


@given(toys(), st.sampled_from((0.0, 0.3, 0.5, 0.99)), st.randoms(use_true_random=False))
def test_nothing_goes_below_where_few_are_found(drawn: list[Toy], rate: float, rng: Random) -> None:
    """A bound that knows how few entries are found is a bound all the same."""
    work = workload(drawn, hit_rate=rate)

    def anyhow(call: Call) -> tuple[Breakpoint, ...]:
        return rng.choice(list(markings(work, call)))

    least = bounds(work, SHEET).tree
    assert least is not None
    assert (project(work, anyhow, SHEET, "anyhow").input_cost or 0) >= least


def test_calls_that_find_nothing_pay_for_all() -> None:
    """At three hits in ten calls, seven of ten equal prompts are paid for in full."""
    work = workload([(at, [("a", 1000)]) for at in range(10)], hit_rate=0.3)
    assert units(bounds(work, SHEET).tree) == Decimal(7000 + 300)


def test_unknown_price_gives_no_bound() -> None:
    """Where one price is unknown, no sum is known, and none is made up."""
    work = one_prompt(0, 60)
    strange = [msgspec.structs.replace(call, tariff=Tariff("nobody-knows")) for call in work.calls]
    found = bounds(replace(work, calls=strange), SHEET)
    assert found == Bounds(loose=None, tree=None)
    assert found.highest is None


def test_highest_says_which_it_is() -> None:
    """The bound to hold a plan against is ``tree`` where it is known."""
    assert Bounds(loose=Decimal(1), tree=Decimal(2)).highest == 2
    assert Bounds(loose=Decimal(1), tree=Decimal(2)).name == "tree"
    assert Bounds(loose=Decimal(1), tree=None).highest == 1
    assert Bounds(loose=Decimal(1), tree=None).name == "loose"


def test_no_calls_cost_nothing() -> None:
    """An empty workload has bounds, and they are zero."""
    assert bounds(workload([]), SHEET) == Bounds(loose=Decimal(0), tree=Decimal(0))


def test_work_is_linear_in_turns() -> None:
    """A call of a long conversation meets a few pieces, however many turns came before."""
    rng = Random(1)
    turns = 2000
    work = conversation([rng.choice(GAPS) for _ in range(turns)], [10] * turns)
    known = prices(work, SHEET)
    assert known is not None
    pieces = Outlook(work, Skeleton(work, SHEET), known[0]).pieces
    assert sum(map(len, pieces)) < 3 * turns


def test_network_finds_the_least_cut() -> None:
    """What flows is what the cheapest way to part source from sink costs."""
    network = Network()
    one, other = network.knot(), network.knot()
    for start, end, room in (
        (0, one, 4),
        (0, other, 2),
        (one, other, 3),
        (one, 1, 1),
        (other, 1, 9),
    ):
        network.pipe(start, end, room)
    assert network.flow() == 6


def test_cost_of_no_marks_is_the_prompt() -> None:
    """Toys cost what their prompts are long when nothing is marked."""
    assert cost(workload(FORK), lambda _: ()) == 7 * 1000 + 3 * 100
