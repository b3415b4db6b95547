"""The README's figures, written from the kept results so that they cannot drift."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.tabling import RESULTS

__all__ = ["figures", "main"]

README: Final = Path(__file__).parents[1] / "README.md"
_BEGIN, _END = "<!-- figures -->", "<!-- end of figures -->"

#: Workloads shown, by their name in the results, in words.
SHOWN: Final = {
    "entire_cli": "coding agent, six weeks recorded",
    "context_evaluator": "coding agent, three weeks recorded",
    "mooncake_conversation": "chat service, one hour recorded",
    "tau_bench_airline": "airline agent",
    "idle agents": "agents whose users pause (made up)",
    "document pool": "questions about documents (made up)",
    "job every 25 minutes": "a job every 25 minutes (made up)",
    "job every 2 hours": "a job every 2 hours (made up)",
    "one-shot": "tickets, one shared prompt (made up)",
}


def main(arguments: Sequence[str]) -> int:
    """Write the figures into the README."""
    del arguments
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    README.write_text(f"{before}{_BEGIN}\n{figures()}\n{_END}{after}", encoding="utf-8")
    return 0


def figures() -> str:
    """Return the section that stands between the two comments."""
    found = json.loads((RESULTS / "policies.json").read_text(encoding="utf-8"))
    rows = {row["workload"]: row for row in found["second_half"]}
    lines = [
        "| workload | calls | no caching | best fixed rule | `planned` | `adaptive` |",
        "|---|---|---|---|---|---|",
        *(_line(words, rows[name]) for name, words in SHOWN.items()),
    ]
    made = found["made"]
    stamp = (
        f"Measured on {made['date']} ({made['cores']} cores, Python {made['python']}) by"
        " `python -m benchmarks policies`, which keeps the whole table in"
        " [benchmarks/results](benchmarks/results/policies.md)."
    )
    return "\n".join([*lines, "", stamp])


def _line(words: str, row: dict[str, Any]) -> str:
    """Write one workload: every cost as a ratio to the bound."""
    ratios = row["ratio_to_bound"]
    best = row["best_fixed"]
    cells = (
        words,
        f"{row['calls']:,}",
        f"{ratios['uncached']:.2f}",
        f"{ratios[best]:.2f} (`{best}`)",
        f"{ratios['planned']:.2f}",
        f"{ratios['adaptive']:.2f}",
    )
    return f"| {' | '.join(cells)} |"
