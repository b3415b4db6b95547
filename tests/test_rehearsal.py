"""Workloads served with something changed."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from sketches import MODEL, TOKEN, Sketch, sheet

from cacheplan.policies import automatic, uncached
from cacheplan.prices import Sheet
from cacheplan.projection import project
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.rehearsal import Cost, Rehearsal, Step, marked

SHORT, LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR


def test_unchanged_costs_what_a_projection_says() -> None:
    """Without a change the cost is that of the projection."""
    sketch = Sketch()
    for at in range(0, 4000, 130):
        sketch.call(at, ("all", 900), (str(at), 50))
    workload = sketch.workload()
    for policy in (uncached(workload), automatic(workload)):
        rehearsal = Rehearsal(workload, sheet())
        cost = rehearsal.cost(rehearsal.steps(policy))
        assert cost == Cost(project(workload, policy, sheet(), "same").input_cost or Decimal(), 0)


def test_refused_calls_cost_nothing_and_are_counted() -> None:
    """A change that the service refuses is not mistaken for a saving."""
    sketch = Sketch()
    tip = sketch.call(0, ("a", 5), ("b", 5))
    marks = (Breakpoint(sketch.tree.parent[tip], SHORT), Breakpoint(tip, LONG))
    rehearsal = Rehearsal(sketch.workload(), sheet())
    assert rehearsal.cost([Step(sketch.calls[0], marks)]) == Cost(Decimal(), 1)
    assert rehearsal.cost([Step(sketch.calls[0], ())]) == Cost(10 * TOKEN, 0)


def test_unknown_models_get_stand_ins_and_are_named() -> None:
    """Of a model that nobody knows, no money can be said."""
    sketch = Sketch("nobody-knows")
    sketch.call(0, ("a", 5))
    rehearsal = Rehearsal(sketch.workload(), Sheet.default())
    assert rehearsal.unknown(sketch.calls) == ["nobody-knows"]
    assert rehearsal.floor(sketch.calls[0].tariff) == 1
    assert rehearsal.cost([Step(sketch.calls[0], ())]).dollars == 5
    known = Sketch()
    known.call(0, ("a", 5))
    assert Rehearsal(known.workload(), sheet()).unknown(known.calls) == []
    assert known.calls[0].tariff.model == MODEL


@given(
    st.dictionaries(st.integers(1, 9), st.booleans(), max_size=4),
    st.integers(1, 9),
    st.sampled_from((SHORT, LONG, None)),
)
def test_marks_stay_within_the_rules(
    found: dict[int, bool], node: int, lifetime: Lifetime | None
) -> None:
    """However a mark is set, hours come first, four are the most, and it is there or all are
    as they were.
    """
    hours = sorted(found)[: sum(found.values())]
    before = tuple(Breakpoint(at, LONG if at in hours else SHORT) for at in sorted(found))
    after = marked(before, node, lifetime)
    lifetimes = [mark.lifetime for mark in after]
    assert lifetimes == sorted(lifetimes)  # "1h" sorts before "5m"
    assert len(after) <= 4
    assert [mark.node for mark in after] == sorted({mark.node for mark in after})
    own = {mark.node: mark.lifetime for mark in after}.get(node)
    assert own == lifetime or (len(found) == 4 and after == before)


def test_readable_at_once_is_another_service() -> None:
    """Entries that need not wait for a first token are read by calls of the same moment."""
    sketch = Sketch()
    sketch.call(0, ("a", 50))
    sketch.call(0, ("a", 50))
    rehearsal = Rehearsal(sketch.workload(), sheet())
    steps = rehearsal.steps(automatic(rehearsal.workload))
    now = [usage.read for usage in rehearsal.serve(steps) if usage]
    then = [usage.read for usage in rehearsal.serve(steps, readable_at_once=True) if usage]
    assert (now, then) == ([0, 0], [0, 50])
