"""How well the simulated cache agrees with the real one: the recorded calls, replayed.

Calls that carry usage are served with the marks they were sent with, and what was read
is compared one by one. A record cannot show everything that reached the service (calls
of other processes, a prompt that the client changed on the way), so calls are reported
in groups by how much of their past the record holds, and every miss with its likely
cause. Nothing here is tuned; a miss stays a miss. Calls of which nobody knows how they were
marked, or when they were sent, are held against nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from cacheplan.prefixes import PrefixTree
from cacheplan.prices import Sheet
from cacheplan.projection import Served
from cacheplan.workload import Call, Workload

__all__ = ["CLOSING", "KINDS", "Calibration", "Group", "Miss", "calibrate"]

#: A prompt's closing tokens are never cached, and a record may count them to its last
#: block: up to 14 in recorded usage of 2026. Two readings this close are one.
CLOSING: Final = 16

Kind = Literal["tool turn", "new turn", "expired", "start"]
#: What the record holds of a call's past, the most telling group first.
KINDS: Final[tuple[tuple[Kind, str], ...]] = (
    ("tool turn", "continues an earlier call with tool results, in its lifetime"),
    ("new turn", "continues an earlier call with a new message, in its lifetime"),
    ("expired", "continues an earlier call that is older than its lifetime"),
    ("start", "continues nothing in the record"),
)

_UNSEEN = "read more than the record explains: by calls that are not in it"
_GONE = "read nothing: its entry was gone, or the prompt's start had changed unseen"
_CHANGED = "read only a shared start: the prompt had changed behind it unseen"
_SHORTER = "read less: an earlier entry, or one that the record does not show"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Calls of whose past the record holds equally much."""

    kind: Kind
    calls: int
    #: Calls that read what was simulated, give or take their closing tokens.
    exact: int
    more: int
    less: int
    recorded_cost: Decimal | None
    simulated_cost: Decimal | None

    @property
    def cost_error(self) -> float | None:
        """How far the simulated bill for prompts is off; 0.01 is 1 % too high."""
        if not self.recorded_cost or self.simulated_cost is None:
            return None
        return float(self.simulated_cost / self.recorded_cost - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """One call that did not read what was simulated."""

    call: Call
    kind: Kind
    simulated: int
    recorded: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The agreement between simulated and recorded reads."""

    groups: tuple[Group, ...]
    misses: tuple[Miss, ...]

    @property
    def calls(self) -> int:
        """Calls that carry usage."""
        return sum(group.calls for group in self.groups)

    @property
    def exact(self) -> int:
        """Calls that read what was simulated."""
        return sum(group.exact for group in self.groups)

    @property
    def cost_error(self) -> float | None:
        """How far the simulated bill of all of them is off."""
        recorded = [group.recorded_cost for group in self.groups]
        simulated = [group.simulated_cost for group in self.groups]
        if None in recorded or None in simulated or not sum(filter(None, recorded)):
            return None
        both = sum(filter(None, simulated), Decimal()), sum(filter(None, recorded), Decimal())
        return float(both[0] / both[1] - 1)

    def causes(self) -> list[tuple[str, int]]:
        """Return the likely causes of the misses, the most frequent first."""
        counts: dict[str, int] = {}
        for miss in self.misses:
            counts[miss.cause] = counts.get(miss.cause, 0) + 1
        return sorted(counts.items(), key=lambda pair: -pair[1])


def calibrate(workload: Workload, served: Iterable[Served], sheet: Sheet) -> Calibration | None:
    """Compare calls served as they were sent with their record; ``None`` if none has one."""
    past = _Past(workload)
    tallies = {kind: _Tally() for kind, _ in KINDS}
    misses = []
    for call, usage, refused, _ in served:
        recorded = call.recorded
        if call.failed or refused is not None or "marks" in call.lacks or "times" in call.lacks:
            continue
        if recorded is None:
            past.add(call)
            continue
        kind = past.kind(call)
        tally = tallies[kind]
        tally.add(usage.read - recorded.read)
        rate = sheet.rate(call.tariff, call.at, recorded.prompt)
        if rate is None:
            tally.priced = False
        else:
            tally.recorded += rate.input_cost(recorded)
            tally.simulated += rate.input_cost(usage)
        if abs(usage.read - recorded.read) > CLOSING:
            cause = _cause(workload.tree, call, usage.read, recorded.read)
            miss = Miss(
                call=call, kind=kind, simulated=usage.read, recorded=recorded.read, cause=cause
            )
            misses.append(miss)
        past.add(call)
    groups = tuple(tally.group(kind) for kind, tally in tallies.items() if tally.calls)
    return Calibration(groups=groups, misses=tuple(misses)) if groups else None


class _Tally:
    """Adds up one group."""

    def __init__(self) -> None:
        self.calls = self.exact = self.more = self.less = 0
        self.recorded = self.simulated = Decimal()
        self.priced = True

    def add(self, difference: int) -> None:
        """Book a call by how much more was simulated than recorded."""
        self.calls += 1
        self.exact += abs(difference) <= CLOSING
        self.more += difference < -CLOSING
        self.less += difference > CLOSING

    def group(self, kind: Kind) -> Group:
        """Return the sum."""
        return Group(
            kind=kind,
            calls=self.calls,
            exact=self.exact,
            more=self.more,
            less=self.less,
            recorded_cost=self.recorded if self.priced else None,
            simulated_cost=self.simulated if self.priced else None,
        )


class _Past:
    """Knows which marked prompts were sent before, and until when they lived.

    What was sent without a mark, or failed, left nothing behind.
    """

    def __init__(self, workload: Workload) -> None:
        self._tree = workload.tree
        #: By prompt: until when it lives, and for how long a read of it prolongs that.
        self._lives: dict[int, tuple[float, int]] = {}

    def add(self, call: Call) -> None:
        """Remember a call, and that it read the prompt it continues."""
        if not call.marks:
            return
        earlier = self._continued(call)
        if earlier is not None:
            dead, own = self._lives[earlier]
            if dead > call.at:
                self._lives[earlier] = (call.at + own, own)
        dead, _ = self._lives.get(call.tip, (call.at, 0))
        if dead <= call.at:
            # The last mark, for it is the one that covers the whole prompt.
            lifetime = call.marks[-1].lifetime.seconds
            self._lives[call.tip] = (call.at + lifetime, lifetime)

    def kind(self, call: Call) -> Kind:
        """Tell how much of a call's past is known."""
        earlier = self._continued(call)
        if earlier is None:
            return "start"
        if self._lives[earlier][0] <= call.at:
            return "expired"
        last = self._tree.block[call.tip]
        return "tool turn" if self._tree.kind[last] == "tool_result" else "new turn"

    def _continued(self, call: Call) -> int | None:
        """Return the longest prompt sent before that this one begins with."""
        upward = self._tree.upward(call.tip)
        return next((node for node in upward if node in self._lives), None)


def _cause(tree: PrefixTree, call: Call, simulated: int, recorded: int) -> str:
    """Name the likely cause of a miss from the two numbers and the prompt's shape."""
    if recorded > simulated:
        return _UNSEEN
    if recorded <= CLOSING:
        return _GONE
    starts = (tree.tools_end[call.tip], tree.system_end[call.tip])
    if any(node >= 0 and abs(tree.tokens[node] - recorded) <= CLOSING for node in starts):
        return _CHANGED
    return _SHORTER
