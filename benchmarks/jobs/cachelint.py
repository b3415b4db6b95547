"""cachelint: two bodies compared, and all bodies of a file held against the first."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from benchmarks.jobs.turns import Job, by_turns, commanded, lines

__all__: list[str] = []

_CLI: Final = "from cachelint.cli import main"


def explain(folder: Path) -> Job:
    """``compare_requests`` of two bodies, each made canonical anew."""
    from cachelint import canonicalize_request, compare_requests  # noqa: PLC0415

    given = [line["request"] for line in lines(folder / "broken.jsonl")]

    def turn(all_: list[Any]) -> list[Any]:
        return [
            compare_requests([canonicalize_request(earlier), canonicalize_request(later)])
            for earlier, later in pairwise(all_)
        ]

    return Job(turn, lambda: given)


def _analyze(log: str) -> Any:
    """Return ``cachelint analyze`` on the bodies of a log."""

    def make(folder: Path) -> Job:
        from cachelint.cli import main  # noqa: PLC0415

        path = folder / f"cachelint-{log}"
        with path.open("w", encoding="utf-8") as stream:
            stream.writelines(json.dumps(line["request"]) + "\n" for line in lines(folder / log))
        return commanded(main, ["analyze", str(path)])

    return make


if __name__ == "__main__":
    by_turns(
        ("cachelint",),
        {
            "explain": ("from cachelint import compare_requests", explain),
            "review": (_CLI, _analyze("log.jsonl")),
            "careless": (_CLI, _analyze("careless.jsonl")),
        },
    )
