"""Calls moved in time: waiting for a first token, and batches in the order of the tree."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from sketches import Sketch, sheet

from cacheplan.orders import batches, delayed, in_tree_order, prewarmed, waits
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.rehearsal import Rehearsal, Step

SHORT = Lifetime.FIVE_MINUTES

prompts = st.lists(st.sampled_from("abc"), min_size=1, max_size=4)


def fan(number: int, every: float = 0.0) -> tuple[Rehearsal, list[Step]]:
    """Make calls with one system prompt, marked there, started close together."""
    sketch = Sketch()
    for at in range(number):
        sketch.call(at * every, ("rules", 1000), (f"question {at}", 10))
    workload = sketch.workload()
    tree = workload.tree
    steps = [Step(c, (Breakpoint(tree.system_end[c.tip], SHORT),)) for c in workload]
    return Rehearsal(workload, sheet()), steps


def read(rehearsal: Rehearsal, steps: list[Step]) -> int:
    """Add up what is read."""
    return sum(usage.read for usage in rehearsal.serve(steps) if usage is not None)


class TestFanOut:
    """Calls that start before the first token of one like them."""

    def test_all_wait_for_one(self) -> None:
        """Of twenty calls of one moment nineteen wait for the first, and then read."""
        rehearsal, steps = fan(20)
        found = waits(rehearsal, steps)
        assert {(wait.leader, wait.until) for wait in found} == {(0, 1.0)}
        assert read(rehearsal, steps) == 0
        assert read(rehearsal, delayed(steps, found)) == 19 * 1000

    def test_warming_up_lets_none_wait(self) -> None:
        """One call more, just before, and all twenty read at their own time."""
        rehearsal, steps = fan(20)
        warm = prewarmed(steps, waits(rehearsal, steps))
        assert len(warm) == 21
        assert read(rehearsal, warm) == 20 * 1000
        assert [step.call for step in warm[1:]] == [step.call for step in steps]

    def test_calls_far_enough_apart_wait_for_nobody(self) -> None:
        """From the first token on an entry is read without any waiting."""
        rehearsal, steps = fan(5, every=1.0)
        assert waits(rehearsal, steps) == []
        assert delayed(steps, []) == steps

    @given(st.lists(st.tuples(prompts, st.sampled_from((0.0, 0.4, 1.0, 90.0))), max_size=10))
    def test_nobody_waits_twice_or_forever(self, calls: list[tuple[list[str], float]]) -> None:
        """Calls only move later, by waiting; none is lost, and the time stays in order."""
        sketch, now = Sketch(), 0.0
        for names, gap in calls:
            now += gap
            sketch.call(now, *((name, 20) for name in names))
        rehearsal = Rehearsal(sketch.workload(), sheet())
        steps = [Step(call, (Breakpoint(call.tip, SHORT),)) for call in rehearsal.workload]
        found = waits(rehearsal, steps)
        moved = delayed(steps, found)
        before = {step.call.number: step.call.at for step in steps}
        assert len({wait.step for wait in found}) == len(found)
        assert all(step.call.at >= before[step.call.number] for step in moved)
        assert all(one.call.at <= other.call.at for one, other in pairwise(moved))
        assert sorted(step.call.number for step in moved) == sorted(before)


class TestBatches:
    """Calls of Message Batches."""

    def test_a_batch_is_what_was_put_in_together(self) -> None:
        """A minute without a call ends a batch; other calls belong to none."""
        sketch = Sketch()
        for at in (0, 10, 50, 200, 210):
            sketch.call(at, ("rules", 9), (str(at), 1), surface="batch")
        sketch.call(20, ("rules", 9))
        steps = [Step(call, ()) for call in sketch.workload()]
        parents = sketch.tree.parent
        roots = [node if above < 0 else 1 for node, above in enumerate(parents)]
        found = [[steps[at].call.at for at in group] for group in batches(steps, roots)]
        assert found == [[0, 10, 50], [200, 210]]

    @given(st.lists(prompts, min_size=1, max_size=12))
    def test_calls_that_begin_alike_are_neighbours(self, sent: list[list[str]]) -> None:
        """In tree order the calls through any prefix come without others between them, each
        after the one before it has begun to answer.
        """
        sketch = Sketch()
        for names in sent:
            sketch.call(5, *((name, 20) for name in names), surface="batch")
        steps = [Step(call, ()) for call in sketch.workload()]
        moved = in_tree_order(sketch.tree, steps, [range(len(steps))])
        assert [step.call.at for step in moved] == [5.0 + at for at in range(len(steps))]
        for node in range(1, len(sketch.tree)):
            at = [n for n, step in enumerate(moved) if node in sketch.tree.path(step.call.tip)]
            assert not at or at == list(range(at[0], at[-1] + 1))

    def test_a_long_batch_ends_within_its_day(self) -> None:
        """Calls are nearer together where a day would not be enough."""
        sketch = Sketch()
        for at in range(3):
            sketch.call(0, ("rules", 9), (str(at), 1), surface="batch", first_token_after=1e6)
        steps = [Step(call, ()) for call in sketch.workload()]
        moved = in_tree_order(sketch.tree, steps, [[0, 1, 2]])
        assert moved[-1].call.at < 24 * 3600
