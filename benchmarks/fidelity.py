"""Recorded usage against the simulated cache, call by call.

Calls are served with the marks they were sent with, and what is read is compared with
the record. A record shows one client's calls, not everything that reached
the service, so calls are grouped by how much of their past is in the file:

* **tool turn**: goes on with tool results after a call in the file, on the same model,
  within the lifetime of that call's marks. All of its past is known. The test.
* **human turn**: goes on with a new message; clients send calls in between that their
  transcript does not have.
* **changed prefix**: the file proves that the client changed what it had sent.
* **expired**: goes on after the lifetime ended.
* **start**: goes on after nothing in the file.
* **request**: a whole body, from a file without turns. What was written before the
  recording began is read, and cannot be foretold.
* **rounds**: the same with a tool that runs on the server, or with context management:
  the service calls itself again, and its usage is the sum of rounds that no body shows.

Tool turns are split once more, by the record alone and whatever the simulator says: in
a *kept* one the service read what the call before had left (what it read and wrote),
in a *fallen* one less, though that was moments old. A fall is the client's doing or the
service's, and nothing in a record foretells it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from benchmarks.tabling import publish, section, watched
from cacheplan.calibration import CLOSING
from cacheplan.io.counting import estimate
from cacheplan.io.reading import lines
from cacheplan.policies import as_marked
from cacheplan.prices import Sheet
from cacheplan.projection import Served, replay
from cacheplan.records import Intake
from cacheplan.tokens import TokenCounter
from cacheplan.usage import Usage
from cacheplan.workload import Call, Workload

__all__ = ["BAR", "Case", "Group", "cases", "gathered", "main", "measure", "read"]

ROOT: Final = Path(__file__).parents[1]
#: Where recorded usage lies when it lies beside the repository.
BESIDE: Final = ROOT.parent / "shared" / "traces"
#: The share of tool turns that must read what was recorded, and how far their cost may
#: be off.
BAR: Final = (0.994, 0.01)
#: Lines of a file that are looked at for usage before it is left out.
_FIRST: Final = 50

GROUPS: Final = (
    "tool turn", "human turn", "changed prefix", "expired", "start", "request", "rounds",
)  # fmt: skip

KEPT: Final = "read what the call before it left"
MORE: Final = "read more than the call before it left"
NOTHING: Final = "read nothing"
START: Final = "read the shared start (tools and system) and nothing of the conversation"
PART: Final = "read less than the shared start"
EARLIER: Final = "read what a call further back had left, past the one before it"
BETWEEN: Final = "read up to a point that no call in the file left"
UNKNOWN: Final = "the call before it has no usage"
#: How a tool turn fell, as the two records and the shape of the prompt show it.
FALLS: Final = (START, PART, NOTHING, EARLIER, BETWEEN)


class _Turn(msgspec.Struct):
    """What a line says beyond the contract."""

    id: str | None = None
    turn: str | None = None
    extends: str | None = None
    client_changed_prefix: bool = False
    request: msgspec.Raw = msgspec.Raw()

    @property
    def rounds(self) -> bool:
        """Tell whether the service may have called itself again."""
        return any(sign in bytes(self.request) for sign in _ROUNDS)


#: Signs in a body of what makes the service run several rounds, as recorded in 2026-02.
_ROUNDS: Final = (b'"code_execution_', b'"context_management"')

_TURN = msgspec.json.Decoder(_Turn)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One call with its record, and what the simulator made of it."""

    call: Call
    simulated: Usage
    recorded: Usage
    group: str
    #: For tool turns: what the record alone shows.
    shows: str = ""
    simulated_cost: Decimal | None = None
    recorded_cost: Decimal | None = None

    @property
    def off(self) -> int:
        """How much more was simulated to be read than was."""
        return self.simulated.read - self.recorded.read

    @property
    def exact(self) -> bool:
        """Tell whether both read the same, give or take a prompt's closing tokens."""
        return abs(self.off) <= CLOSING


class Recorded(NamedTuple):
    """A file's calls, and what its lines say beyond the contract, by the call's id."""

    workload: Workload
    turns: Mapping[str | None, _Turn]


@dataclass(slots=True)
class Group:
    """Cases added up."""

    calls: int = 0
    exact: int = 0
    more: int = 0
    less: int = 0
    recorded_cost: Decimal = field(default_factory=Decimal)
    simulated_cost: Decimal = field(default_factory=Decimal)
    priced: bool = True

    def add(self, case: Case) -> None:
        """Book one case; ``more`` and ``less`` are what the record read."""
        self.calls += 1
        self.exact += case.exact
        self.more += case.off < -CLOSING
        self.less += case.off > CLOSING
        if case.recorded_cost is None or case.simulated_cost is None:
            self.priced = False
        else:
            self.recorded_cost += case.recorded_cost
            self.simulated_cost += case.simulated_cost

    @property
    def share(self) -> float | None:
        """The share that read what was recorded."""
        return self.exact / self.calls if self.calls else None

    @property
    def cost_error(self) -> float | None:
        """How far the simulated cost of all prompts together is off."""
        if not self.priced or not self.recorded_cost:
            return None
        return float(self.simulated_cost / self.recorded_cost - 1)

    def to_json(self) -> dict[str, Any]:
        """Return the row for the result file."""
        return {
            "calls": self.calls,
            "exact": self.exact,
            "share": self.share,
            "recorded_read_more": self.more,
            "recorded_read_less": self.less,
            "cost_error": self.cost_error,
        }


def read(path: Path, counter: TokenCounter) -> Recorded | None:
    """Read a file; ``None`` if its first lines carry no usage."""
    intake = Intake(counter)
    turns: dict[str | None, _Turn] = {}
    for number, line in watched(lines(path), path.name):
        if number == _FIRST and not any(b'"usage"' in line for line in _head(path)):
            return None
        intake.add(line)
        turn = _TURN.decode(line)
        turns[turn.id] = turn
    return Recorded(intake.workload(), turns)


def _head(path: Path) -> Iterator[bytes]:
    """Yield the first lines of a file."""
    for number, line in lines(path):
        if number > _FIRST:
            return
        yield line


def cases(recorded: Recorded, sheet: Sheet) -> Iterator[Case]:
    """Serve every call as it was marked, and yield those whose usage is recorded."""
    workload, turns = recorded
    by_id: dict[str | None, Call] = {call.id: call for call in workload.calls}
    for served in replay(workload, as_marked(workload), sheet):
        usage = served.call.recorded
        if usage is not None and served.refused is None and not served.call.failed:
            yield _case(workload, served, turns, by_id, sheet)


def _case(
    workload: Workload,
    served: Served,
    turns: Mapping[str | None, _Turn],
    by_id: Mapping[str | None, Call],
    sheet: Sheet,
) -> Case:
    """Group one call and price both of its usages at its one rate."""
    call, simulated, recorded = served.call, served.usage, served.call.recorded
    assert recorded is not None
    turn = turns[call.id]
    before = by_id.get(turn.extends) if turn.extends else None
    group = _group(call, turn, before)
    shows = ""
    if group == "tool turn" and before is not None:
        shows = _shows(workload, call, before, _left_before(before, turns, by_id))
    rate = sheet.rate(call.tariff, call.at, recorded.prompt)
    return Case(
        call=call,
        simulated=simulated,
        recorded=recorded,
        group=group,
        shows=shows,
        simulated_cost=None if rate is None else rate.input_cost(simulated),
        recorded_cost=None if rate is None else rate.input_cost(recorded),
    )


def _group(call: Call, turn: _Turn, before: Call | None) -> str:
    """Say how much of a call's past the file holds."""
    if turn.turn is None:
        return "rounds" if turn.rounds else "request"
    if turn.client_changed_prefix:
        return "changed prefix"
    if before is None:
        return "start"
    if before.tariff != call.tariff:
        return "changed prefix"
    lifetime = max((mark.lifetime.seconds for mark in before.marks), default=0)
    if call.at - before.at >= lifetime:
        return "expired"
    return f"{turn.turn} turn"


def _left_before(
    before: Call, turns: Mapping[str | None, _Turn], by_id: Mapping[str | None, Call]
) -> Iterator[int]:
    """Yield what the calls further back had left in the cache, the newest first."""
    name = turns[before.id].extends
    while name is not None:
        earlier = by_id[name]
        if earlier.recorded is not None:
            yield earlier.recorded.read + earlier.recorded.written
        name = turns[earlier.id].extends


def _shows(workload: Workload, call: Call, before: Call, further: Iterable[int]) -> str:
    """Say what two records show of the cache, without asking the simulator."""
    assert call.recorded is not None
    if before.recorded is None:
        return UNKNOWN
    found, left = call.recorded.read, before.recorded.read + before.recorded.written
    tree = workload.tree
    if found >= left - CLOSING:
        return KEPT if found <= left + CLOSING else MORE
    if found <= CLOSING:
        return NOTHING
    ends = (tree.tools_end[call.tip], tree.system_end[call.tip])
    starts = [tree.tokens[end] for end in ends if end >= 0]
    if any(abs(found - start) <= CLOSING for start in starts):
        return START
    if any(abs(found - earlier) <= CLOSING for earlier in further):
        return EARLIER
    return PART if found < max(starts, default=0) else BETWEEN


def gathered(found: Iterable[Case], key: Callable[[Case], str]) -> dict[str, Group]:
    """Add cases up by some property of theirs."""
    groups: dict[str, Group] = {}
    for case in found:
        groups.setdefault(key(case), Group()).add(case)
    return groups


def measure(found: Sequence[Case]) -> dict[str, Any]:
    """Return everything that is said of one file."""
    groups = gathered(found, lambda case: case.group)
    tool = [case for case in found if case.group == "tool turn"]
    kept = [case for case in tool if case.shows in {KEPT, MORE}]
    shown = gathered(tool, lambda case: case.shows)
    misses = [case for case in found if not case.exact and case.group in {"tool turn", "request"}]
    return {
        "groups": {name: groups[name].to_json() for name in GROUPS if name in groups},
        "tool turns": {
            "all": _total(tool).to_json(),
            "kept": _total(kept).to_json(),
            "by record": {what: group.to_json() for what, group in sorted(shown.items())},
        },
        "misses": [
            {
                "id": case.call.id,
                "shows": case.shows,
                "simulated_read": case.simulated.read,
                "recorded_read": case.recorded.read,
            }
            for case in misses
        ],
    }


def _total(found: Iterable[Case]) -> Group:
    total = Group()
    for case in found:
        total.add(case)
    return total


def main(arguments: Sequence[str]) -> int:
    """Measure every file of a folder that carries usage, and all of them together."""
    folder = Path(arguments[0]) if arguments else BESIDE
    paths = sorted(folder.rglob("*.jsonl*"))
    if not paths:
        print("no workload files there; give a folder that has some", file=sys.stderr)
        return 2
    counter, sheet = estimate(), Sheet.default()
    files: dict[str, Any] = {}
    together: list[Case] = []
    for path in paths:
        recorded = read(path, counter)
        if recorded is None:
            continue
        found = list(cases(recorded, sheet))
        if found:
            files[path.name.split(".")[0]] = measure(found)
            together += found
    files["all together"] = measure(together)
    publish("fidelity", "Simulated against recorded usage", {"files": files}, _page(files))
    return 0


def _page(files: Mapping[str, Any]) -> list[str]:
    """Lay the numbers out for people."""
    tool = [
        (
            name,
            which,
            row["calls"],
            row["exact"],
            _percent(row["share"]),
            _percent(row["cost_error"]),
        )
        for name, found in files.items()
        for which, row in found["tool turns"].items()
        if which in {"all", "kept"} and row["calls"]
    ]
    shown = [
        (what, row["calls"], row["exact"], _percent(row["cost_error"]))
        for what, row in files["all together"]["tool turns"]["by record"].items()
    ]
    groups = [
        (name, group, row["calls"], row["exact"], row["recorded_read_more"],
         row["recorded_read_less"], _percent(row["cost_error"]))
        for name, found in files.items()
        for group, row in found["groups"].items()
    ]  # fmt: skip
    share, cost = BAR
    return [
        section(
            "Tool turns",
            ("file", "which", "calls", "exact", "share", "cost off by"),
            tool,
            f"The bar: {share:.1%} exact, cost within {cost:.0%}. *Exact*: reads the recorded"
            f" number of tokens, give or take {CLOSING} closing tokens. *Kept*: the calls in"
            " which the service read at least what the call before had left; told from the"
            " record alone.",
        ),
        section(
            "What the record of a tool turn shows, all files",
            ("the call …", "calls", "simulated so", "cost off by"),
            shown,
        ),
        section(
            "Every group",
            ("file", "group", "calls", "exact", "read more", "read less", "cost off by"),
            groups,
            "*Read more*, *read less*: the record, than was simulated. Only tool turns and"
            " requests have their whole past in the file.",
        ),
    ]


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:+.2%}" if share < 0.5 else f"{share:.2%}"
