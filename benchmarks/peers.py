"""The same jobs beside the packages that do a like one, in times of ours.

Each package runs in an environment and a process of its own, and so do we. All are handed
the same bodies, the same log or the same usages, in the form that each reads, and take
turns; quoted is the middle of the ratios of one round, so that a busy machine slows both.
Importing is no part of a turn and stands apart, and so does the first turn, in
which much is still imported. What a package finds in its turn is kept
beside its time, and what it does not do is said in its row: most do less than ours.

    python -m benchmarks peers [--environments DIR] [--sections NAMES] [--rounds N]

A package that cannot be installed, fails or takes too long is a row that says so.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Self

from benchmarks.jobs.inputs import inputs
from benchmarks.jobs.rows import ENVIRONMENTS, SECTIONS, Peer, Section
from benchmarks.rivals.environments import QUIET, Unavailable, environment
from benchmarks.tabling import RESULTS, publish, section

__all__ = ["main", "measured", "page", "quicker"]

_ROOT: Final = Path(__file__).parents[1]
_ROUNDS: Final = 5
#: Seconds after which a turn is given up.
_PATIENCE: Final = 120.0


@dataclass(slots=True)
class Taken:
    """What one row took, round by round."""

    peer: Peer
    versions: dict[str, str] = field(default_factory=dict)
    imported: float | None = None
    #: The first turn, in which much is still imported and vocabularies are loaded.
    first: float | None = None
    passed: list[float] = field(default_factory=list)
    worked: list[float] = field(default_factory=list)
    found: Any = None
    failed: str | None = None


def main(arguments: Sequence[str]) -> int:
    """Measure the sections asked for; the others keep the figures they have."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks peers")
    parser.add_argument("--environments", type=Path, default=os.environ.get("CACHEPLAN_RIVALS"))
    parser.add_argument("--sections", default=",".join(SECTIONS))
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    given = parser.parse_args(arguments)
    kept = RESULTS / "peers.json"
    found = json.loads(kept.read_text(encoding="utf-8"))["sections"] if kept.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        inputs(place)
        environments = Path(given.environments or place / "environments")
        for name in given.sections.split(","):
            found[name] = measured(SECTIONS[name], place, environments, given.rounds)
    found = {name: found[name] for name in SECTIONS if name in found}
    publish("peers", "The same jobs, beside packages that do a like one",
            {"rounds": given.rounds, "sections": found}, page(found))  # fmt: skip
    return 0


def measured(asked: Section, folder: Path, environments: Path, rounds: int) -> dict[str, Any]:
    """Let all of a section take turns, and say how long each took beside ours."""
    takings = [Taken(peer) for peer in asked.rows]
    with ExitStack() as stack:
        running = []
        for taken in takings:
            try:
                process = stack.enter_context(_Turns(taken.peer, folder, environments))
                taken.versions, taken.imported = process.begin()
                running.append((taken, process))
            except Unavailable as why:
                taken.failed = str(why)
        for number in range(rounds + 1):
            if sys.stderr.isatty():
                print(f"\r{asked.title}: round {number + 1}", end="", file=sys.stderr, flush=True)
            for taken, process in running:
                if not taken.failed:
                    _one(taken, process)
    rows = list(_rows(takings))
    return {"title": asked.title, "what": asked.what, "why": asked.why, "rows": rows}


def _one(taken: Taken, process: _Turns) -> None:
    """Take one turn."""
    try:
        spent = process.turn()
    except Unavailable as why:
        taken.failed = str(why)
        return
    taken.found = spent["found"]
    if taken.first is None:
        taken.first = spent["passed"]
        return
    taken.passed.append(spent["passed"])
    taken.worked.append(spent["worked"])


def _rows(takings: Sequence[Taken]) -> Iterator[dict[str, Any]]:
    """Yield each row with its ratio to the row of ours that it stands beside."""
    ours = {taken.peer.job: taken for taken in takings if not taken.peer.environment}
    first = next(iter(ours.values()))
    for taken in takings:
        beside = ours.get(taken.peer.beside, first)
        row = {
            **{key: value for key, value in asdict(taken).items() if key in {"versions", "found"}},
            "name": taken.peer.name,
            "ours": not taken.peer.environment,
            "lacks": taken.peer.lacks,
            "beside": beside.peer.name,
            "import_seconds": taken.imported,
            "first_seconds": taken.first,
            "failed": taken.failed,
        }
        if taken.passed and not taken.failed:
            row["seconds"] = statistics.median(taken.passed)
            row["ratio"] = _middle(taken.passed, beside.passed)
            row["processor_ratio"] = _middle(taken.worked, beside.worked)
        yield row


def _middle(theirs: Sequence[float], ours: Sequence[float]) -> float | None:
    """Return the middle of the ratios of one round each."""
    pairs = list(zip(theirs, ours, strict=False))
    return statistics.median(one / other for one, other in pairs) if pairs else None


class _Turns:
    """A program under ``jobs`` in its environment, as a process that takes turns."""

    def __init__(self, peer: Peer, folder: Path, environments: Path) -> None:
        python = Path(sys.executable)
        if peer.environment:
            python = environment(ENVIRONMENTS[peer.environment], environments)
        words = [str(python), "-m", f"benchmarks.jobs.{peer.program}", peer.job, str(folder)]
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_ROOT,
            env={**os.environ, **QUIET, "PYTHONPATH": str(_ROOT)},
            text=True,
            encoding="utf-8",
        )
        assert self._process.stdin
        assert self._process.stdout
        self._to: IO[str] = self._process.stdin
        self._from: IO[str] = self._process.stdout

    def begin(self) -> tuple[dict[str, str], float]:
        """Return what is installed, and how long its import took."""
        said = self._said()
        return said["versions"], said["imported"]["passed"]

    def turn(self) -> dict[str, Any]:
        """Let it take a turn; one that has stopped may have said why."""
        with suppress(OSError):
            print("go", file=self._to, flush=True)
        return self._said()

    def _said(self) -> dict[str, Any]:
        """Return what it says next; one that says nothing for too long is stopped."""
        watch = threading.Timer(_PATIENCE, self._process.kill)
        watch.start()
        line = self._from.readline()
        late = not watch.is_alive()
        watch.cancel()
        if not line:
            raise Unavailable(
                f"takes more than {_PATIENCE:.0f} s" if late else "does not start, or stopped"
            )
        said: dict[str, Any] = json.loads(line)
        if "failed" in said:
            raise Unavailable(f"fails: {said['failed']}")
        return said

    def __enter__(self) -> Self:
        """Hand out the process."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


def page(found: dict[str, Any]) -> list[str]:
    """Return the tables: seconds are of this machine, ratios are what counts."""
    columns = (
        "who",
        "version",
        "a turn, ms",
        "times ours",
        "of processor time",
        "first time, ms",
        "found",
        "what it does and does not",
    )
    return [
        section(
            one["title"],
            columns,
            [_shown(row) for row in one["rows"]],
            f"{one['what']}. Above 1 is slower than ours. The first time: importing, and a turn"
            " in which much is still loaded.",
            _said(one),
        )
        for one in found.values()
    ]


def quicker(one: dict[str, Any], *, than_ours: bool) -> str:
    """Name the rows that are quicker than our first, or those that are not, with ratios."""
    rows = [row for row in one["rows"][1:] if not row["failed"]]
    rows = [row for row in rows if (row["ratio"] < 1) == than_ours]
    rows.sort(key=lambda row: row["ratio"])
    return " · ".join(f"{row['name']} {_times(row['ratio'])}" for row in rows)


def _times(ratio: float) -> str:
    """Write a ratio with two digits that mean something."""
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2g}"


def _said(one: dict[str, Any]) -> str:
    """Say plainly who is quicker, and why."""
    names = quicker(one, than_ours=True)
    return f"Quicker than ours: {names}. {one['why']}".rstrip() if names else "None is quicker."


def _shown(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return the cells of one row."""
    cells: tuple[Any, ...] = (row["name"], ", ".join(row["versions"].values()))
    if row["failed"]:
        return (*cells, None, None, None, None, None, row["failed"])
    told = row["lacks"] if row["ours"] else f"{row['lacks']} (beside {row['beside']})"
    found = ", ".join(f"{count:,} {what}" for what, count in row["found"].items())
    return (
        *cells,
        1e3 * row["seconds"],
        row["ratio"],
        row["processor_ratio"],
        1e3 * (row["import_seconds"] + row["first_seconds"]),
        found or None,
        told,
    )
