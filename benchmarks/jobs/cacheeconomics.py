"""cacheeconomics: its plugin, its allocator, and its commands on logged bodies."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.jobs.turns import Job, by_turns, commanded, lines, marks
from benchmarks.rivals.packages.cacheeconomics import request_of

__all__: list[str] = []

_KEY: Final = b"no secret in here"
_DIRECT: Final = "anthropic/direct"
_IMPORTS: Final = "from cacheeconomics.plugin import CachePlugin"
_CLI: Final = "from cacheeconomics.cli import main"


def mark(folder: Path) -> Job:
    """``CachePlugin.on_request`` with ``apply=True``, told the time of each call."""
    from cacheeconomics.plugin import CachePlugin  # noqa: PLC0415

    given = lines(folder / "bodies.jsonl")

    def turn(placing: Any) -> list[Any]:
        return [
            placing.on_request(
                line["request"],
                model=line["request"]["model"],
                target_id=_DIRECT,
                apply=True,
                at=datetime.fromtimestamp(line["at"], UTC),
            )[0]
            for line in given
        ]

    return Job(turn, lambda: CachePlugin(key=_KEY), marks)


def choose(folder: Path) -> Job:
    """``allocator_full_no_relocation`` for every call, with what was observed of all."""
    from cacheeconomics import allocate  # noqa: PLC0415
    from cacheeconomics.allocator import allocator_full_no_relocation  # noqa: PLC0415

    given = [request_of(line, at) for at, line in enumerate(lines(folder / "log.jsonl"))]

    def turn(known: list[Any]) -> list[Any]:
        rates = allocate.observed_change_rates_by_chain(known)
        gaps = allocate.observed_gaps_by_chain(known)
        plans = []
        for one in known:
            chain = allocate.reuse_chain_of(one)
            plans.append(
                allocator_full_no_relocation(
                    one, rates=rates.get(chain, {}), gaps=gaps.get(chain, [])
                )
            )
        return plans

    return Job(turn, lambda: given, lambda plans: {"marks": sum(len(p.ttls) for p in plans)})


def _command(name: str, log: str, *words: str) -> Any:
    """Return a command of its on a log of bodies, times and sessions where it looks."""

    def make(folder: Path) -> Job:
        from cacheeconomics.cli import main  # noqa: PLC0415

        os.environ["CACHEECONOMICS_HMAC_KEY"] = _KEY.decode()
        path = folder / f"cacheeconomics-{name}-{log}"
        with path.open("w", encoding="utf-8") as stream:
            for line in lines(folder / log):
                sent_at = datetime.fromtimestamp(line["at"], UTC).isoformat()
                stream.write(json.dumps({**line, "sent_at": sent_at}) + "\n")
        where = ["--from", "bodies", "--target-id", _DIRECT]
        return commanded(main, [name, *where, *words, str(path)])

    return make


if __name__ == "__main__":
    drafts = "--allow-unreconciled"
    by_turns(
        ("cacheeconomics",),
        {
            "mark": (_IMPORTS, mark),
            "choose": ("from cacheeconomics import allocate, allocator, registry", choose),
            "review": (_CLI, _command("analyze", "log.jsonl", drafts)),
            "careless": (_CLI, _command("analyze", "careless.jsonl", drafts)),
            "compare": (_CLI, _command("bakeoff", "log.jsonl", drafts)),
        },
    )
