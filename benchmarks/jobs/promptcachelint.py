"""promptcachelint: one body linted, two compared, and its report of a trace."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from benchmarks.jobs.turns import Job, by_turns, commanded, lines

__all__: list[str] = []

_CLI: Final = "from promptcachelint.cli import main"


def check(folder: Path) -> Job:
    """``lint_request(provider, body)``."""
    from promptcachelint import get_provider, lint_request  # noqa: PLC0415

    given = [line["request"] for line in lines(folder / "log.jsonl")]
    provider = get_provider("anthropic")
    return Job(
        lambda all_: [lint_request(provider, body) for body in all_],
        lambda: given,
        lambda found: {"findings": sum(map(len, found))},
    )


def explain(folder: Path) -> Job:
    """``diff_prefix`` of the segments of two bodies, with its excerpt of the change."""
    from promptcachelint import diff_prefix, get_provider  # noqa: PLC0415

    given = [line["request"] for line in lines(folder / "broken.jsonl")]
    provider = get_provider("anthropic")

    def turn(all_: list[Any]) -> list[Any]:
        found = []
        for earlier, later in pairwise(all_):
            before = provider.segments(earlier)
            found.append(diff_prefix(before, provider.segments(later), len(before)))
        return found

    return Job(turn, lambda: given)


def _report(log: str) -> Any:
    """Return ``promptcachelint report`` on a trace, sessions told as its recorder tells them."""

    def make(folder: Path) -> Job:
        from promptcachelint import JsonlSink, Recorder  # noqa: PLC0415
        from promptcachelint.cli import main  # noqa: PLC0415

        trace = folder / f"promptcachelint-{log}"
        with trace.open("w", encoding="utf-8") as stream:
            recorder = Recorder(JsonlSink(stream), keep=0)
            for line in lines(folder / log):
                recorder.record(
                    "anthropic",
                    line["request"],
                    response=line.get("response"),
                    session_id=line["session"],
                    at=line["at"],
                )
        return commanded(main, ["report", str(trace)])

    return make


if __name__ == "__main__":
    by_turns(
        ("promptcachelint",),
        {
            "check": ("from promptcachelint import lint_request", check),
            "explain": ("from promptcachelint import diff_prefix", explain),
            "review": (_CLI, _report("log.jsonl")),
            "careless": (_CLI, _report("careless.jsonl")),
        },
    )
