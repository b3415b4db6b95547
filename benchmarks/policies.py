"""Every policy on every workload: what it costs, beside the bound and the fixed rules.

Three tables. The first scores on the second half of each workload's time what was learned
on the first; the second learns and scores on everything, ``adaptive`` from its first call
on; the third says how long a comparison takes as a workload grows. Workloads are the
scenarios of this folder and, where present, recorded traces.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import cacheplan
from benchmarks.scenarios import SCENARIOS, lines
from benchmarks.tabling import publish, section
from cacheplan.comparison import Comparison, compare
from cacheplan.contest import NAMES, contest, part, policies
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


def main(arguments: Sequence[str]) -> int:
    """Make the tables; an argument is a folder of workload files beside the scenarios."""
    folder = Path(arguments[0]) if arguments else BESIDE
    parted, whole, sheet = [], [], Sheet.default()
    growth: list[dict[str, Any]] = []
    for name, workload in _workloads(folder):
        parted.append(_row(name, contest(workload, sheet)))
        whole.append(_row(name, contest(workload, sheet, train=0)))
        if len(workload) >= _SIZES[-1] and not growth:
            growth = [_timed(name, workload, size, sheet) for size in _SIZES]
    found = {"second_half": parted, "everything": whole, "growth": growth}
    pages = [
        _page("Learned on the first half, scored on the second", parted),
        _page("Learned and scored on everything", whole),
        _growth(growth),
    ]
    publish("policies", "Policies", found, pages)
    return 0


def _workloads(folder: Path) -> Iterator[tuple[str, Workload]]:
    """Yield the scenarios, then the recorded workloads that are there."""
    for name in SCENARIOS:
        intake = Intake(default_counter())
        for line in lines(name):
            intake.add(json.dumps(line).encode())
        yield name, intake.workload()
    if folder == BESIDE:
        files = {folder / f"{name}.jsonl.gz": model for name, model in TRACES.items()}
    else:
        files = dict.fromkeys(sorted(folder.glob("*.jsonl*")))
    for path, model in files.items():
        if path.exists():
            yield path.name.partition(".")[0], cacheplan.read(path, model=model)


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


def _timed(name: str, workload: Workload, size: int, sheet: Sheet) -> dict[str, Any]:
    """Time one comparison of the first so many calls, in processor seconds."""
    first = replace(workload, calls=workload.calls[:size])
    start = time.process_time()
    compare(first, sheet, policies(part(first, 0), sheet))
    return {"workload": name, "calls": size, "cpu_seconds": round(time.process_time() - start, 2)}


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
    columns = ("workload", "calls", "CPU seconds", "µs a call")
    cells = [
        (
            row["workload"],
            row["calls"],
            row["cpu_seconds"],
            round(1e6 * row["cpu_seconds"] / row["calls"]),
        )
        for row in rows
    ]
    note = "All eleven policies, both bounds and the choice of a plan; one core."
    return section("One comparison, by size", columns, cells, note)


def _over(part_: Decimal | None, whole: Decimal | None) -> float | None:
    return None if part_ is None or not whole else round(float(part_ / whole), 4)


def _three(ratio: float | None) -> str | None:
    return None if ratio is None else f"{ratio:.3f}"


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else round(float(amount), 6)
