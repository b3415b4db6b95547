"""The simulated cache for calls that are under way: what is not known yet is put right later.

Between two calls of a log everything about the first is known. At call time it is not, so
each call is served as if all went well, and what it did to the cache is handed out, to be
put right when the answer comes.
"""

from __future__ import annotations

from collections.abc import Sequence

from cacheplan.pending import Change, State, begin, take_back
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.simulator import SimulatedCache
from cacheplan.usage import Usage
from cacheplan.workload import Call

__all__ = ["AwaitedCache"]


class AwaitedCache(SimulatedCache):
    """A simulated cache that can be told how a call went on."""

    #: What the latest call is taken to have done.
    changes: tuple[Change, ...] = ()

    def serve(self, call: Call, breakpoints: Sequence[Breakpoint]) -> Usage:
        """Serve a call that goes out now, as if all goes well."""
        self.changes = ()
        return super().serve(call, breakpoints)

    def begun(self, changes: Sequence[Change], sent: float, at: float) -> None:
        """The response to a call that was sent at a moment began at another."""
        begin(changes, sent, at, self._state, self._put)

    def failed(self, changes: Sequence[Change]) -> None:
        """A call had no response, or not with these marks; a failure may leave entries."""
        if not self.assume.failed_calls_write:
            take_back(changes, self._state, self._put)

    def _keep(self, call: Call, marks: Sequence[Breakpoint], at: float, hit: int) -> None:
        """Do it, and note what it does."""
        width = self._width
        own = {
            node if width == 1 else 2 * node + (lifetime is Lifetime.ONE_HOUR)
            for node, lifetime in marks
        }
        touched = own | {entry for entry in (hit, *self._tied) if entry >= 0}
        if self._refreshes_all and hit >= 0:
            for node in self.tree.upward(hit // width):
                touched.update(range(node * width, (node + 1) * width))
        before = {entry: self._state(entry) for entry in touched}
        super()._keep(call, marks, at, hit)
        inside = self.assume.write_inside_read
        changes = []
        for entry, earlier in before.items():
            after = self._state(entry)
            beyond = entry in own and (entry // width > hit // width or inside)
            wrote = after.ready > at and (beyond or after.ready != earlier.ready)
            if wrote or after != earlier:
                changes.append(Change(entry, earlier, after, wrote))
        self.changes = tuple(changes)

    def _state(self, entry: int) -> State:
        """Return what is kept of an entry."""
        return State(self._ready[entry], self._dead[entry], self._lives[entry])

    def _put(self, entry: int, state: State) -> None:
        """Set it."""
        self._ready[entry], self._dead[entry], self._lives[entry] = state
