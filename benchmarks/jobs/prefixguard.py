"""prefixguard: its guard, asked before every call."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from benchmarks.jobs.turns import Job, by_turns, lines

__all__: list[str] = []

_IMPORTS: Final = "from prefixguard import PrefixGuard"


def _seen(guard: Any, body: Any, session: str) -> Any:
    return guard.observe(
        body["messages"], system=body["system"], tools=body["tools"], session=session
    )


def explain(folder: Path) -> Job:
    """``observe`` of one body and then the other, and what it says of it."""
    from prefixguard import PrefixGuard  # noqa: PLC0415

    given = [line["request"] for line in lines(folder / "broken.jsonl")]

    def turn(all_: list[Any]) -> list[str]:
        said = []
        for earlier, later in pairwise(all_):
            guard = PrefixGuard()
            _seen(guard, earlier, "")
            said.append(_seen(guard, later, "").explain())
        return said

    return Job(turn, lambda: given)


def _log(log: str) -> Any:
    """Return the way through a log, read as it is."""

    def make(folder: Path) -> Job:
        from prefixguard import PrefixGuard  # noqa: PLC0415

        def turn(guard: Any) -> int:
            broken = 0
            with (folder / log).open("rb") as stream:
                for each in stream:
                    line = json.loads(each)
                    report = _seen(guard, line["request"], line["session"])
                    broken += bool(report.broken and report.explain())
            return broken

        return Job(turn, PrefixGuard, lambda broken: {"broken": broken})

    return make


if __name__ == "__main__":
    by_turns(
        ("prefixguard",),
        {
            "explain": (_IMPORTS, explain),
            "review": (_IMPORTS, _log("log.jsonl")),
            "careless": (_IMPORTS, _log("careless.jsonl")),
        },
    )
