"""The README's figures, written from the kept results so that they cannot drift."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.costs_page import worst
from benchmarks.peers import quicker
from benchmarks.tabling import RESULTS

__all__ = ["SECTIONS", "cost_figures", "figures", "main", "peer_figures"]

README: Final = Path(__file__).parents[1] / "README.md"

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


#: Rows of the cost benchmark shown besides ours, by their name in the results, in words.
FIELD: Final = {
    "pydantic-ai, cache=True": "pydantic-ai, `cache=True`",
    "langchain-anthropic": "LangChain's caching middleware",
    "litellm, automatic": "LiteLLM, automatic",
    "Strands, CacheConfig()": "Strands, `CacheConfig()`",
    "OpenHands": "OpenHands",
    "Claude Code": "Claude Code's rule",
    "VS Code": "VS Code's rule",
    "goose": "goose's rule",
    "automatic": "the service's automatic caching",
    "no caching": "no caching",
}


def main(arguments: Sequence[str]) -> int:
    """Write the figures into the README, each table where it has its place."""
    del arguments
    text = README.read_text(encoding="utf-8")
    for name, render in SECTIONS.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, found, rest = text.partition(begin)
        if found:
            _, _, after = rest.partition(end)
            text = f"{before}{begin}\n{render()}\n{end}{after}"
    README.write_text(text, encoding="utf-8")
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


def cost_figures() -> str:
    """Return the table of the cost benchmark: ours beside what people already use."""
    found = json.loads((RESULTS / "cost.json").read_text(encoding="utf-8"))
    rows = [row for row in found["workloads"] if row["text"]]
    told = found["headline"]
    best = told["best_rival"]
    shown = {
        **{name: f"**`{name}`**" for name in found["ours"]},
        **({} if best in FIELD else {best: f"{best}, the best at worst"}),
        **FIELD,
    }
    lines = [
        "| who places the marks | worst workload | of the bound there | of no caching, overall |",
        "|---|---|---|---|",
    ]
    plain = sum(row["uncached_usd"] for row in rows)
    for name, words in shown.items():
        least = worst(rows, name)
        if least is None or any(name not in row["scores"] for row in rows):
            continue
        over, workload = least
        dollars = sum(row["scores"][name]["dollars"] for row in rows)
        lines.append(f"| {words} | {workload} | {over:.2f} | {dollars / plain:.2f} |")
    made = found["made"]
    stamp = (
        f"{len(rows)} workloads, measured on {made['date']} (Python {made['python']}) by"
        " `python -m benchmarks cost`, which asks the real packages where there are any and"
        " keeps the whole table in [benchmarks/results](benchmarks/results/cost.md)."
    )
    return "\n".join([*lines, "", stamp])


def peer_figures() -> str:
    """Return the table of who does a like job, in times of ours."""
    found = json.loads((RESULTS / "peers.json").read_text(encoding="utf-8"))
    lines = [
        "| job | ours | quicker, in times of ours | slower |",
        "|---|---|---|---|",
        *(
            f"| {one['title']} | {one['rows'][0]['name']} |"
            f" {quicker(one, than_ours=True) or '–'} | {quicker(one, than_ours=False) or '–'} |"
            for one in found["sections"].values()
        ),
    ]
    made = found["made"]
    stamp = (
        f"Measured on {made['date']} ({made['cores']} cores, Python {made['python']}) by"
        " `python -m benchmarks peers`: the same bodies, log or usages, in turns."
        " [The whole table](benchmarks/results/peers.md) says what each does and does not."
    )
    return "\n".join([*lines, "", stamp])


#: By the name of its two comments: who writes what stands between them.
SECTIONS: Final[dict[str, Callable[[], str]]] = {
    "figures": figures,
    "cost": cost_figures,
    "peers": peer_figures,
}
