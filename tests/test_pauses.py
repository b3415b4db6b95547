"""Pauses between uses, and the calls that bridge them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sketches import Sketch

from cacheplan.pauses import PLACEHOLDER, Pause, keep_alive, nearest, pauses, warm_up
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.rehearsal import Step

SHORT, LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR

#: Names of blocks, so few that prompts share their beginnings.
prompts = st.lists(st.sampled_from("ab"), min_size=1, max_size=6)


def steps_of(sketch: Sketch) -> list[Step]:
    """Mark each call to its end."""
    return [Step(call, (Breakpoint(call.tip, SHORT),)) for call in sketch.workload()]


def ends(steps: list[Step]) -> list[int]:
    """Keep alive the end of every prompt."""
    return [step.call.tip for step in steps]


@given(st.lists(st.tuples(prompts, st.integers(0, 900)), min_size=1, max_size=12))
def test_a_pause_ends_with_the_next_call_that_begins_alike(
    calls: list[tuple[list[str], int]],
) -> None:
    """Found by going through all pairs of calls, the pauses are the same."""
    sketch, now = Sketch(), 0.0
    for names, gap in calls:
        now += gap
        sketch.call(now, *((name, 10) for name in names))
    steps = steps_of(sketch)
    expected = set()
    for number, (names, _) in enumerate(calls):
        later = [n for n in range(number + 1, len(calls)) if calls[n][0][: len(names)] == names]
        tip = steps[number].call.tip
        pause = steps[later[0]].call.at - steps[number].call.at if later else None
        expected.add(Pause(number, tip, pause))
    assert set(pauses(sketch.tree, steps, ends(steps))) == expected


@given(st.lists(prompts, min_size=1, max_size=8), st.lists(prompts, min_size=1, max_size=4))
def test_nearest_is_the_longest_wanted_beginning(
    sent: list[list[str]], wanted: list[list[str]]
) -> None:
    """By brute force over each path, the nearest wanted prefix is the same."""
    sketch = Sketch()
    tips = [sketch.node([(name, 1) for name in names]) for names in sent]
    nodes = {sketch.node([(name, 1) for name in names]) for names in wanted}
    near = nearest(sketch.tree, nodes)
    for tip in tips:
        assert near[tip] == max((n for n in sketch.tree.path(tip) if n in nodes), default=-1)


def test_a_branch_of_the_same_session_ends_a_pause() -> None:
    """A conversation that goes on from somewhat earlier shows that its last end is left."""
    for session, left in (("s", 400.0), (None, None)):
        sketch = Sketch()
        sketch.call(0, ("a", 90), ("b", 10), session=session)
        sketch.call(400, ("a", 90), ("c", 10), session=session)
        steps = steps_of(sketch)
        first = min(pauses(sketch.tree, steps, ends(steps)))
        assert (first.gap, first.left) == (None, left)


def test_a_sub_agent_ends_no_pause() -> None:
    """A call of the same session that shares little leaves the conversation waiting."""
    sketch = Sketch()
    sketch.call(0, ("a", 10), ("b", 90), session="s")
    sketch.call(400, ("a", 10), ("c", 90), session="s")
    steps = steps_of(sketch)
    assert {pause.left for pause in pauses(sketch.tree, steps, ends(steps))} == {None}


@pytest.mark.parametrize(
    ("pause", "times"),
    [
        (Pause(0, 1, 200.0), []),
        (Pause(0, 1, 285.0), []),
        (Pause(0, 1, 600.0), [385.0, 670.0]),
        (Pause(0, 1, 9000.0), [385.0, 670.0, 955.0]),
        (Pause(0, 1, None), [385.0, 670.0, 955.0]),
        (Pause(0, 1, None, 600.0), [385.0, 670.0]),
    ],
)
def test_calls_go_out_until_the_use_or_the_last(pause: Pause, times: list[float]) -> None:
    """Every 285 seconds from the start of the use; all of them after the last one."""
    sketch = Sketch()
    sketch.call(100, ("a", 50), ("b", 50), output=7)
    steps = steps_of(sketch)
    found = keep_alive(steps, [pause], 3, SHORT)
    assert [step.call.at for step in found] == [100, *times]


def test_an_hours_calls_are_an_hour_apart() -> None:
    """A 1-hour entry needs one call a minute before its hour is over."""
    sketch = Sketch()
    sketch.call(0, ("a", 50))
    found = keep_alive(steps_of(sketch), [Pause(0, 1, None)], 2, LONG)
    assert [step.call.at for step in found] == [0, 3540, 7080]


def test_such_a_call_is_the_prefix_alone() -> None:
    """It ends at the prefix, pays for a short message, answers nothing, and keeps its marks."""
    sketch = Sketch()
    tip = sketch.call(0, ("a", 50), ("b", 50), output=7, closing=3, id="x", refused="no")
    system = sketch.tree.parent[tip]
    call = warm_up(sketch.calls[0], system, 285)
    assert (call.tip, call.output, call.closing, call.at) == (system, 0, PLACEHOLDER, 285)
    assert (call.refused, call.id, call.tariff) == (None, None, sketch.calls[0].tariff)
    marks = (Breakpoint(system, SHORT), Breakpoint(tip, SHORT))
    found = keep_alive([Step(sketch.calls[0], marks)], [Pause(0, system, None)], 1, SHORT)
    assert found[1].marks == marks[:1]
