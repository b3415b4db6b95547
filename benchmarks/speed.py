"""How long reading, simulating and reviewing take, against ``json.loads`` of the same lines.

Both are run in turn in one process and only their ratio is reported, so that a busy
machine slows both. It is taken of the time that passed, and of the time that processors
spent. What ``json.loads`` returns is let go of line by line, which is the least that it can
take. A program that looks at a log as a whole keeps all of it; that takes longer and is set
beside ours as well. Texts are measured by toktok, an extra, where it is installed, and then
by tiktoken, too. Either loads its vocabulary before; what that takes, once in a process, is
said apart.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest import mock

from benchmarks.logs import Agents, written
from benchmarks.tabling import publish, section
from cacheplan.io.counting import default_counter
from cacheplan.io.door import review
from cacheplan.io.reading import read
from cacheplan.policies import as_marked
from cacheplan.prefixes import PrefixTree, Scope
from cacheplan.prices import Sheet, Tariff
from cacheplan.projection import cache_for, replay
from cacheplan.prompt import Block, Breakpoint, Level, Lifetime
from cacheplan.workload import Call, Workload

__all__ = ["main"]

#: Neither reading and simulating nor reviewing may take longer than ``json.loads``; and how
#: many calls are to be simulated a second on one core.
BARS: Final = (1.0, 200_000)
_ROUNDS: Final = 5
#: The first is what the bar is for; shorter conversations repeat less.
LOGS: Final = (
    ("40 conversations × 60 turns", Agents(conversations=40, turns=60)),
    ("the same, with usage", Agents(conversations=40, turns=60, usage=True)),
    ("the same, as the SDK writes bodies", Agents(conversations=40, turns=60, sdk=True)),
    ("80 conversations × 25 turns", Agents(conversations=80, turns=25)),
    ("200 conversations × 10 turns", Agents(conversations=200, turns=10)),
)
#: The first is the log that a review is measured on; in the last nearly every call is
#: priced anew for every finding.
REVIEWED: Final = (
    ("10 conversations × 60 turns", Agents(conversations=10, turns=60)),
    ("the same, with usage", Agents(conversations=10, turns=60, usage=True)),
    ("the same, careless", Agents(conversations=10, turns=60, careless=True)),
)


def main(arguments: Sequence[str]) -> int:
    """Measure all four: reading, reviewing, simulating, start-up."""
    del arguments
    fast = importlib.util.find_spec("toktok") is not None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        vocabularies = {"toktok": _vocabulary(path)} if fast else {}
        vocabularies["tiktoken"] = _plainly(_vocabulary, path)
        reading = [_timed(name, agents, path, _read_and_simulate) for name, agents in LOGS]
        reviewing = [_timed(name, agents, path, _review) for name, agents in REVIEWED]
    simulating, starting = _simulating(), _starting()
    found = {
        "counter": default_counter().name,
        "vocabulary_seconds": vocabularies,
        "reading": reading,
        "reviewing": reviewing,
        "simulating": simulating,
        "starting": starting,
    }
    publish("speed", "Speed", found, _page(found))
    return 0


def _vocabulary(path: Path) -> float:
    """Return the seconds that the first count takes, of a log that is all but empty."""
    written(Agents(conversations=1, turns=1), path)
    return _seconds(partial(read, path, counter=default_counter())).passed


def _plainly(way: Callable[[Path], Any], path: Path) -> Any:
    """Do something as if toktok were not installed."""
    with mock.patch("cacheplan.io.counting._toktok", return_value=None):
        return way(path)


def _timed(name: str, agents: Agents, path: Path, way: Callable[[Path], object]) -> dict[str, Any]:
    """Time a way of going through one log, with either engine, against ``json.loads`` in turn."""
    size = written(agents, path)
    ways: tuple[Callable[[Path], object], ...] = way, partial(_plainly, way), _kept
    parsing: list[_Spent] = []
    others: list[list[_Spent]] = [[] for _ in ways]
    for number in range(_ROUNDS):
        if sys.stderr.isatty():
            print(f"\r{name}: round {number + 1} of {_ROUNDS}", end="", file=sys.stderr, flush=True)
        parsing.append(_seconds(partial(_loads, path)))
        for spent, each in zip(others, ways, strict=True):
            spent.append(_seconds(partial(each, path)))
    calls = agents.conversations * agents.turns
    whole, plain, kept = others
    return {
        "log": name,
        "calls": calls,
        "megabytes": size / 1e6,
        "kilobytes_a_call": size / calls / 1e3,
        "json_megabytes_a_second": size
        / 1e6
        / statistics.median(spent.passed for spent in parsing),
        "our_megabytes_a_second": size / 1e6 / statistics.median(spent.passed for spent in whole),
        "ratio": _ratio(whole, parsing, "passed"),
        "processor_ratio": _ratio(whole, parsing, "worked"),
        "kept_ratio": _ratio(whole, kept, "passed"),
        "tiktoken_ratio": _ratio(plain, parsing, "passed"),
        "tiktoken_kept_ratio": _ratio(plain, kept, "passed"),
    }


def _ratio(ours: Sequence[_Spent], theirs: Sequence[_Spent], clock: str) -> float:
    """Return the median over the rounds."""
    clock_of = attrgetter(clock)
    pairs = zip(map(clock_of, ours), map(clock_of, theirs), strict=True)
    return float(statistics.median(mine / other for mine, other in pairs))


def _loads(path: Path) -> None:
    with path.open("rb") as stream:
        for line in stream:
            json.loads(line)


def _read_and_simulate(path: Path) -> None:
    workload = read(path, counter=default_counter())
    for _ in replay(workload, as_marked(workload), Sheet.default()):
        pass


def _kept(path: Path) -> None:
    with path.open("rb") as stream:
        deque(map(json.loads, stream))


def _review(path: Path) -> None:
    str(review(read(path, counter=default_counter())))


class _Spent(NamedTuple):
    """Seconds of one run: on the clock, and of all processors together."""

    passed: float
    worked: float


def _seconds(what: Callable[[], object]) -> _Spent:
    """Time one run; what an earlier one left behind is collected first."""
    gc.collect()
    began, worked = time.perf_counter(), time.process_time()
    what()
    return _Spent(time.perf_counter() - began, time.process_time() - worked)


def _simulating() -> dict[str, Any]:
    """Serve calls that are already in the tree, each marked at three places."""
    workload = _digests(conversations=400, turns=100)
    rates = []
    for _ in range(_ROUNDS):
        serve = cache_for(workload, Sheet.default()).serve
        taken = _seconds(partial(_serve, serve, workload.calls))
        rates.append(len(workload) / taken.worked)
    return {"calls": len(workload), "calls_a_second": statistics.median(rates)}


def _serve(serve: Callable[..., object], calls: Sequence[Call]) -> None:
    for call in calls:
        serve(call, call.marks)


def _digests(conversations: int, turns: int) -> Workload:
    """Make conversations of three new blocks a turn, without any text."""
    tree = PrefixTree()
    root = tree.root(Scope("claude-opus-4-6", "anthropic", "messages", ""))
    head = tree.child(root, tree.intern(_block(Level.SYSTEM, "text", b"head", 5000)))
    tariff = Tariff("claude-opus-4-6", "anthropic", "messages", "standard", "")
    calls = []
    for conversation in range(conversations):
        before = tip = head
        for turn in range(turns):
            for kind in ("text", "tool_use", "tool_result"):
                name = f"{conversation}/{turn}/{kind}".encode()
                tip = tree.child(tip, tree.intern(_block(Level.MESSAGES, kind, name, 400)))
            marks = tuple(Breakpoint(node, Lifetime.FIVE_MINUTES) for node in (head, before, tip))
            at = 1.8e9 + 20.0 * turn + conversation
            calls.append(Call(at=at, tip=tip, tariff=tariff, marks=marks[turn == 0 :]))
            before = tip
    tree.measure()
    return Workload(tree=tree, calls=sorted(calls, key=lambda call: call.at))


def _block(level: Level, kind: str, name: bytes, tokens: int) -> Block:
    return Block(level=level, kind=kind, digest=name, tokens=tokens)


def _starting() -> list[dict[str, Any]]:
    """Time whole processes, in turn."""
    programs = {
        "python -c pass": ["-c", "pass"],
        "import cacheplan": ["-c", "import cacheplan"],
        "cacheplan --help": ["-c", "from cacheplan.io.cli import main; main(['--help'])"],
    }
    taken: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(2 * _ROUNDS + 1):
        for name, program in programs.items():
            command = [sys.executable, *program]
            taken[name].append(
                _seconds(
                    partial(subprocess.run, command, stdout=subprocess.DEVNULL, check=True)
                ).passed
            )
    return [
        {"program": name, "milliseconds": 1e3 * statistics.median(times)}
        for name, times in taken.items()
    ]


def _page(found: dict[str, Any]) -> list[str]:
    ratio, rate = BARS
    columns = (
        "log",
        "calls",
        "MB",
        "kB a call",
        "json.loads MB/s",
        "ours MB/s",
        "ratio",
        "of processor time",
        "to all kept",
        "with tiktoken",
        "to all kept",
    )
    keys = (
        "log", "calls", "megabytes", "kilobytes_a_call",
        "json_megabytes_a_second", "our_megabytes_a_second", "ratio", "processor_ratio",
        "kept_ratio", "tiktoken_ratio", "tiktoken_kept_ratio",
    )  # fmt: skip
    loading = " and ".join(
        f"{seconds:.1f} s by {engine}" for engine, seconds in found["vocabulary_seconds"].items()
    )
    engine = next(iter(found["vocabulary_seconds"]))
    means = (
        "Ratios are to json.loads of every line, what it returns let go of at once; to all kept:"
        " to json.loads with all that it returns kept, as whoever looks at a whole log does."
    )
    simulating = found["simulating"]
    reading, reviewing = (
        [[row[key] for key in keys] for row in found[part]] for part in ("reading", "reviewing")
    )
    return [
        section(
            "Reading and simulating, in times of json.loads",
            columns,
            reading,
            f"The bar: a ratio of at most {ratio} on the first log. {means} Median of {_ROUNDS}"
            f" rounds, counter: {found['counter']}, texts measured by {engine} and, in the last"
            f" two columns, by tiktoken. Loading the vocabulary, once in a process, takes"
            f" {loading} and is not in the ratios.",
        ),
        section(
            "Reading and reviewing, in times of json.loads",
            columns,
            reviewing,
            f"The bar: a ratio of at most {ratio} on the first log. Columns as above. The careless"
            " program tells the time in its system prompt and lists its tools in any order.",
        ),
        section(
            "Simulating alone",
            ("calls", "calls a second"),
            [(simulating["calls"], round(simulating["calls_a_second"]))],
            f"The bar: {rate:,} a second of one processor. Conversations of 100 turns with three"
            " new blocks each, three marks a call.",
        ),
        section(
            "Starting",
            ("program", "ms"),
            [(row["program"], row["milliseconds"]) for row in found["starting"]],
        ),
    ]
