"""The cache for calls under way: told the truth later, it is as if it had known at once."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from oracle import Counts, Mark, NaiveService, RefusedError, Switches, ToyCall
from workloads import Simulator, calls, prompt, served, switches

from cacheplan.awaited import AwaitedCache
from cacheplan.pending import Change, State, begin, take_back

Workload = list[ToyCall]


class Awaiting(Simulator):
    """Serves toy calls whose end is told after they were sent."""

    cache: AwaitedCache

    def __init__(self, answers: Switches | None = None, **more: Any) -> None:
        super().__init__(answers, **more)
        self.cache = AwaitedCache(self.tree, self.minimum, self.cache.assume)

    def sent(self, toy: ToyCall) -> tuple[Counts | None, tuple[Change, ...]]:
        """Send one whose first token nobody knows of yet."""
        try:
            return self.serve(toy._replace(first_token_after=1.0)), self.cache.changes
        except RefusedError:
            return None, self.cache.changes


def one_by_one(workload: Workload) -> Workload:
    """Have no call sent before the response to the one before it has begun."""
    late, calm = 0.0, workload[:1]
    for earlier, call in pairwise(workload):
        late += max(0.0, earlier.first_token_after - (call.at - earlier.at))
        calm.append(call._replace(at=call.at + late))
    return calm


@given(calls(tools=False), switches())
def test_beginnings_told_later(workload: Workload, answers: Switches) -> None:
    """Each call is sent as if it took a second, and then told when it began."""
    workload = one_by_one(workload)
    awaiting, counts = Awaiting(answers), []
    for call in workload:
        found, changes = awaiting.sent(call)
        awaiting.cache.begun(changes, call.at, call.at + call.first_token_after)
        awaiting.cache.check()
        counts.append(found)
    assert counts == served(NaiveService(answers), workload)


@given(calls(tools=False), switches(), st.data())
def test_failures_told_later(workload: Workload, answers: Switches, data: st.DataObject) -> None:
    """A call that failed left nothing, and one that is sent again leaves what it should."""
    workload = one_by_one(workload)
    awaiting, service = Awaiting(answers), NaiveService(answers)
    for call in workload:
        end = data.draw(st.sampled_from(["well", "failed", "again"]))
        found, changes = awaiting.sent(call)
        if end != "well":
            awaiting.cache.failed(changes)
        if end != "failed":
            awaiting.cache.begun(changes, call.at, call.at + call.first_token_after)
            assert served(service, [call]) == [found]
    last = workload[-1]._replace(at=workload[-1].at + 500)
    assert served(awaiting, [last]) == served(service, [last])


def test_failures_may_leave_entries() -> None:
    """Where the switch says so, what a failed call wrote stays."""
    awaiting = Awaiting(failed_calls_write=True)
    call = ToyCall(prompt(("text", 1), tokens=10), (Mark(0, "5m"),), 0.0)
    _, changes = awaiting.sent(call)
    awaiting.cache.failed(changes)
    assert awaiting.serve(call._replace(at=5.0)).read == 10


def test_what_came_between_stands() -> None:
    """An entry that another call has changed since is not taken back for the first."""
    held = {7: State(1.0, 302.0, 300.0)}
    change = Change(7, State(), State(1.0, 300.0, 300.0), wrote=True)
    take_back([change], held.__getitem__, held.__setitem__)
    assert held == {7: State(1.0, 302.0, 300.0)}


def test_an_entry_that_died_since() -> None:
    """A response that begins after its entries died revives none of them."""
    held = {7: State(306.0, 605.0, 300.0)}
    change = Change(7, State(), State(1.0, 300.0, 300.0), wrote=True)
    begin([change], 0.0, 305.5, held.__getitem__, held.__setitem__)
    assert held == {7: State(306.0, 605.0, 300.0)}
