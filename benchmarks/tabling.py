"""Results as files: JSON for programs, Markdown for people, both dated.

This file knows how a table is written and on what class of machine; it measures
nothing. Names of hosts and paths stay out, since results are published.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["RESULTS", "machine", "publish", "section", "watched"]

RESULTS = Path(__file__).parent / "results"

_T = TypeVar("_T")


def machine() -> dict[str, Any]:
    """Say when and on what class of machine a table was made."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        # Processes that wanted a core just then: absolute times mean little where they
        # are more than there are cores.
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def section(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *notes: str) -> str:
    """Write one table as Markdown, with what has to be said of it below."""
    lines = [f"## {title}", "", _line(columns), _line("---" for _ in columns)]
    lines += [_line(map(_shown, row)) for row in rows]
    return "\n".join([*lines, *(text for note in notes for text in ("", note)), ""])


def publish(name: str, title: str, found: Mapping[str, Any], sections: Sequence[str]) -> None:
    """Write both files of a result, and the Markdown to standard output."""
    made = machine()
    RESULTS.mkdir(exist_ok=True)
    whole = {"made": made, **found}
    (RESULTS / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    stamp = (
        f"{made['date']}, {made['cores']} cores, {made['system']} {made['machine']},"
        f" Python {made['python']}, load {made['load']}"
    )
    page = "\n".join(
        [f"# {title}", "", f"Made by `python -m benchmarks {name}`: {stamp}.", "", *sections]
    )
    (RESULTS / f"{name}.md").write_text(page.rstrip() + "\n", encoding="utf-8")
    print(page)


def watched(items: Iterable[_T], what: str) -> Iterator[_T]:
    """Yield the items; count them on a terminal, for whoever waits."""
    shown = sys.stderr.isatty()
    for number, item in enumerate(items):
        if shown and number % 1000 == 0:
            print(f"\r{what}: {number:,}", end="", file=sys.stderr, flush=True)
        yield item
    if shown:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _shown(cell: Any) -> str:
    """Write a number as people read it; nothing known is a dash."""
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return f"{cell:,.2f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
