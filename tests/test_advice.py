"""What a person could do beside marking."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sketches import TOKEN, Sketch, sheet

from cacheplan.advice import LANES, PREFIXES, Advice, advise
from cacheplan.plan import Lane, Plan, Rule
from cacheplan.policies import BASELINES, Policy, automatic, static, uncached
from cacheplan.prices import Sheet
from cacheplan.projection import Marker
from cacheplan.prompt import Lifetime
from cacheplan.workload import Workload

RULES = 10_000

policies = pytest.mark.parametrize("policy", BASELINES, ids=lambda policy: policy.name)


def day(gap: float, number: int, model: str = "sketch") -> Workload:
    """Make calls with one system prompt and questions of their own."""
    sketch = Sketch(model)
    for at in range(number):
        sketch.call(at * gap, ("rules", RULES), (f"question {at}", 10))
    return sketch.workload()


def kinds(found: tuple[Advice, ...]) -> list[str]:
    """Name what was advised."""
    return [advice.kind for advice in found]


def one(found: tuple[Advice, ...], kind: str) -> Advice:
    """Return the only advice of a kind."""
    (advice,) = (advice for advice in found if advice.kind == kind)
    return advice


class TestKinds:
    """One workload for each kind of advice."""

    def test_keep_alive(self) -> None:
        """A system prompt used every nine minutes is to be kept alive, and named."""
        workload = day(540, 8)
        system = workload.tree.system_end[workload.calls[0].tip]
        advice = one(advise(workload, static(workload), sheet("0.05")), "keep-alive")
        assert "stop" in advice.what
        assert "max_tokens 0" in advice.what
        assert advice.saving is not None
        assert advice.saving > 0
        assert advice.prefix == workload.tree.key(system).hex()

    def test_fan_out_and_pre_warm(self) -> None:
        """Of calls of one moment, one should go ahead: all but one then read, or all."""
        workload = day(0, 20)
        found = advise(workload, static(workload), sheet())
        premium = Decimal("1.25") - Decimal("0.1")
        assert one(found, "fan-out").saving == TOKEN * 19 * RULES * premium
        warm = TOKEN * (19 * RULES * premium - Decimal("0.1") * RULES - 8)
        assert one(found, "pre-warm").saving == warm
        assert found.index(one(found, "fan-out")) < found.index(one(found, "pre-warm"))

    @pytest.mark.parametrize("policy", [uncached, automatic])
    def test_fan_out_says_what_to_mark(self, policy: Callable[[Workload], Marker]) -> None:
        """Where a plan marks nothing shared, because nothing would be read, marking is part of
        the advice, and only what waiting saves on top of that is booked.
        """
        workload = day(0, 20)
        advice = one(advise(workload, policy(workload), sheet()), "fan-out")
        assert "Mark what they share for 5 minutes" in advice.what
        assert advice.saving is not None
        assert advice.saving > 0

    def test_batch_order(self) -> None:
        """Calls of a batch that begin alike belong together."""
        sketch = Sketch()
        for at in range(60):
            rules = (f"rules {at % 6}", RULES)
            sketch.call(0, rules, (f"question {at}", 10), surface="batch")
        workload = sketch.workload()
        found = advise(workload, static(workload), sheet())
        assert kinds(found) == ["batch-order"]
        assert found[0].saving is not None
        assert found[0].saving > 0

    def test_break_even(self) -> None:
        """A shared prefix is set beside the rates and shares from which marks pay."""
        workload = day(90, 41)
        found = advise(workload, static(workload), sheet())
        assert kinds(found) == ["break-even"]
        assert "An hour pays from about 0.75 calls an hour on" in found[0].what
        assert "used 40 times an hour" in found[0].what
        assert found[0].saving is None


class TestAnyWorkload:
    """What holds of all advice."""

    @given(
        st.lists(
            st.tuples(
                st.lists(st.sampled_from("abcd"), min_size=1, max_size=4),
                st.sampled_from((0.0, 0.5, 200.0, 400.0, 3000.0, 4000.0, 4e7)),
                st.sampled_from(("messages", "messages", "batch")),
            ),
            max_size=25,
        ),
        st.sampled_from(BASELINES),
        st.sampled_from(("sketch", "nobody-knows")),
    )
    def test_nothing_fails_and_nothing_costs(
        self, calls: list[tuple[list[str], float, str]], policy: Policy, model: str
    ) -> None:
        """Whatever the calls, there is advice or none, bounded in number, dearest first, no
        saving below 0, and none where prices are unknown.
        """
        sketch, now = Sketch(model), 0.0
        for names, gap, surface in calls:
            now += gap
            blocks = [(name, 1000 * at) for at, name in enumerate(names, 1)]
            sketch.call(now, *blocks, surface=surface, session=names[0])
        workload = sketch.workload()
        found = advise(workload, policy.bind(workload), sheet())
        savings = [advice.saving or 0 for advice in found]
        assert savings == sorted(savings, reverse=True)
        assert all(saving >= 0 for saving in savings)
        assert model == "sketch" or all(advice.saving is None for advice in found)
        assert kinds(found).count("keep-alive") <= PREFIXES + LANES
        assert kinds(found).count("break-even") <= PREFIXES

    @policies
    def test_poor_workloads_have_none(self, policy: Policy) -> None:
        """No call, one call, and calls that share nothing are no reason for advice."""
        strangers = Sketch()
        for at in range(9):
            strangers.call(at * 400, (f"rules {at}", RULES))
        for workload in (Sketch().workload(), day(0, 1), strangers.workload()):
            assert advise(workload, policy.bind(workload), sheet()) == ()

    def test_years_apart_is_no_error(self) -> None:
        """Calls a year apart are told that nothing bridges that."""
        workload = day(3.2e7, 5)
        found = advise(workload, static(workload), sheet())
        assert kinds(found) == ["keep-alive", "break-even"]
        assert found[0].saving == 0

    def test_unknown_prices_leave_the_words(self) -> None:
        """For a model that nobody knows, there is advice and no money in it."""
        sketch = Sketch("nobody-knows")
        for at in range(6):
            for question in "abc":
                sketch.call(at * 1000, ("rules", RULES), (f"{at}{question}", 10))
        workload = sketch.workload()
        found = advise(workload, static(workload), Sheet.default())
        assert set(kinds(found)) == {"keep-alive", "fan-out", "pre-warm"}
        assert all(advice.saving is None and "$" not in str(advice) for advice in found)

    def test_a_plan_is_bound_to_the_workload(self) -> None:
        """A plan says the same as its marks do."""
        rule = Rule(place="system", lifetime=Lifetime.FIVE_MINUTES)
        plan = Plan(lanes=(Lane(model=None, label=None, rules=(rule,)),))
        workload = day(540, 20)
        assert advise(workload, plan, sheet()) == advise(workload, static(workload), sheet())


def test_a_saving_has_a_span() -> None:
    """A saving is told by the day where the calls are spread over an hour at least."""
    advice = Advice(kind="fan-out", what="Wait.", saving=Decimal(3), span=43200.0)
    assert advice.per_day == 6
    assert str(advice) == "fan-out: Wait. Saves $3.00."
    brief = Advice(kind="fan-out", what="Wait.", saving=Decimal(3), span=60.0)
    assert brief.per_day is None
    silent = Advice(kind="break-even", what="Know.", saving=None, span=1e6)
    assert silent.per_day is None
    assert str(silent) == "break-even: Know."
