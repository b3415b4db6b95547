"""Every policy on every workload: what it costs, beside the bound and the fixed rules.

Three tables. The first scores on the second half of each workload's time what was learned
on the first; the second learns and scores on everything, ``adaptive`` from its first call
on; the third says how long a comparison takes as a workload grows. Workloads are the
scenarios of this folder and, where present, recorded traces.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import cacheplan
from benchmarks.scenarios import SCENARIOS, lines
from benchmarks.tabling import publish, section
from cacheplan.comparison import Comparison
from cacheplan.contest import NAMES, contest
from cacheplan.io.counting import default_counter
from cacheplan.policies import BASELINES
from cacheplan.prices import Sheet
from cacheplan.records import Intake
from cacheplan.workload import Workload

__all__ = ["main"]

#: Recorded workloads by name, with the model that stands in where theirs is unknown.
TRACES: Final = {
    "claude_sessions/entire_cli": None,
    "claude_sessions/context_evaluator": None,
    "claude_sessions/agentv": None,
    "kv_cache_tester": None,
    "mooncake_conversation": "claude-sonnet-4-5",
    "lmcache_miniswe": "claude-sonnet-4-5",
    "lmcache_taubench": "claude-sonnet-5-5",
    "tau_bench_airline": "claude-sonnet-4-5",
}
#: Where the traces lie if no folder is named.
BESIDE: Final = Path(__file__).parents[2] / "shared" / "traces"
#: The rules that a user could have set without this library.
FIXED: Final = tuple(policy.name for policy in BASELINES if policy.name != "as-marked")
_SIZES: Final = (2_000, 5_000, 10_000, 20_000)
#: Compares the first calls of a file; prints processor seconds, and the most memory in
#: kilobytes after reading and in the end.
_GROWN: Final = """
import resource, sys, time
from dataclasses import replace
import cacheplan
from cacheplan.contest import contest
from cacheplan.prices import Sheet
path, size, model = sys.argv[1:]
workload = cacheplan.read(path, model=model or None)
workload = replace(workload, calls=workload.calls[: int(size)])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.process_time()
contest(workload, Sheet.default(), train=0)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(time.process_time() - start, before, peak)
"""


def main(arguments: Sequence[str]) -> int:
    """Make the tables; an argument is a folder of workload files beside the scenarios."""
    folder = Path(arguments[0]) if arguments else BESIDE
    parted, whole, sheet = [], [], Sheet.default()
    growth: list[dict[str, Any]] = []
    for name, workload, source in _workloads(folder):
        parted.append(_row(name, contest(workload, sheet)))
        whole.append(_row(name, contest(workload, sheet, train=0)))
        if source is not None and len(workload) >= _SIZES[-1] and not growth:
            growth = [_timed(name, *source, size) for size in _SIZES]
    found = {"second_half": parted, "everything": whole, "growth": growth}
    pages = [
        _page("Learned on the first half, scored on the second", parted),
        _page("Learned and scored on everything", whole),
        _growth(growth),
    ]
    publish("policies", "Policies", found, pages)
    return 0


def _workloads(
    folder: Path,
) -> Iterator[tuple[str, Workload, tuple[Path, str | None] | None]]:
    """Yield the scenarios, then the recorded workloads that are there with their source."""
    for name in SCENARIOS:
        intake = Intake(default_counter())
        for line in lines(name):
            intake.add(json.dumps(line).encode())
        yield name, intake.workload(), None
    if folder == BESIDE:
        files = {folder / f"{name}.jsonl.gz": model for name, model in TRACES.items()}
    else:
        files = dict.fromkeys(sorted(folder.glob("*.jsonl*")))
    for path, model in files.items():
        if path.exists():
            read = cacheplan.read(path, model=model)
            yield path.name.partition(".")[0], read, (path, model)


def _row(name: str, found: Comparison) -> dict[str, Any]:
    """Return one workload's figures."""
    fixed = {rule: found[rule].input_cost for rule in FIXED}
    best = min(fixed, key=lambda rule: fixed[rule] or Decimal())
    least = fixed[best]
    return {
        "workload": name,
        "calls": found.calls,
        "bound": found.bounds.name,
        "bound_usd": _number(found.bounds.highest),
        "loose_usd": _number(found.bounds.loose),
        "best_fixed": best,
        "ratio_to_bound": {
            rule: _over(found[rule].input_cost, found.bounds.highest) for rule in NAMES
        },
        "ratio_to_best_fixed": {
            rule: _over(found[rule].input_cost, least)
            for rule in ("planned", "adaptive", "hindsight")
        },
        "rejected": {rule: found[rule].rejected for rule in NAMES if found[rule].rejected},
    }


def _timed(name: str, path: Path, model: str | None, size: int) -> dict[str, Any]:
    """Compare the first so many calls in a process of its own, which says what it took."""
    words = [sys.executable, "-c", _GROWN, str(path), str(size), model or ""]
    found = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    seconds, before, peak = map(float, found)
    return {
        "workload": name,
        "calls": size,
        "cpu_seconds": round(seconds, 2),
        "megabytes_read": round(before / 1024),
        "megabytes_peak": round(peak / 1024),
    }


def _page(title: str, rows: Sequence[dict[str, Any]]) -> str:
    """Write one table: ratios to the bound, and to the best fixed rule."""
    shown = ("automatic", "automatic-1h", "system-tail", "last-two-turns", "static")
    columns = (
        "workload", "calls", "bound", "uncached", *shown, "planned", "adaptive", "hindsight",
        "best fixed rule", "planned / it", "adaptive / it",
    )  # fmt: skip
    cells = [
        (
            row["workload"],
            row["calls"],
            row["bound"],
            *(
                _three(row["ratio_to_bound"][name])
                for name in ("uncached", *shown, "planned", "adaptive", "hindsight")
            ),
            row["best_fixed"],
            _three(row["ratio_to_best_fixed"]["planned"]),
            _three(row["ratio_to_best_fixed"]["adaptive"]),
        )
        for row in rows
    ]
    return section(title, columns, cells, "Prompt cost as a ratio to the bound named beside it.")


def _growth(rows: Sequence[dict[str, Any]]) -> str:
    """Write how the time of a comparison grows."""
    columns = ("workload", "calls", "CPU seconds", "µs a call", "MB read", "MB at most")
    cells = [
        (
            row["workload"],
            row["calls"],
            row["cpu_seconds"],
            round(1e6 * row["cpu_seconds"] / row["calls"]),
            row["megabytes_read"],
            row["megabytes_peak"],
        )
        for row in rows
    ]
    note = (
        "All eleven policies, both bounds and the choice of a plan; one core. The file is read"
        " whole before its first calls are compared."
    )
    return section("One comparison, by size", columns, cells, note)


def _over(part_: Decimal | None, whole: Decimal | None) -> float | None:
    return None if part_ is None or not whole else round(float(part_ / whole), 4)


def _three(ratio: float | None) -> str | None:
    return None if ratio is None else f"{ratio:.3f}"


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else round(float(amount), 6)
