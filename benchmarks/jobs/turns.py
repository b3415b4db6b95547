"""A package's own side of the clock: it prepares, says so, and does its job when told.

In: a job and a folder of inputs. Out: the versions of what is installed and the seconds
that importing took; then that all is ready; then, for every line that says ``go``, the
seconds of one more turn. Reading inputs and putting them into a package's own form is no
part of a turn, and neither is a fresh copy where a package writes into what it is handed.
What a turn found is said with its time, since a package that does nothing is quick.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Body", "Job", "bodies", "by_turns", "commanded", "lines", "marks"]

Body = dict[str, Any]


class Job(NamedTuple):
    """Something that is done once a turn."""

    #: What a turn does.
    turn: Callable[[Any], Any]
    #: Makes what a turn is handed, before the clock starts.
    fresh: Callable[[], Any]
    #: Says what came of it, after the clock has stopped.
    found: Callable[[Any], dict[str, Any]] = lambda made: {"answers": len(made)}


#: Given the folder of the inputs, returns the job; imports what it needs, on the clock.
Maker = Callable[[Path], Job]


def by_turns(packages: tuple[str, ...], jobs: Mapping[str, tuple[str, Maker]]) -> None:
    """Do one job for as long as it is asked for; what packages print goes nowhere."""
    name, folder = sys.argv[1:]
    imports, make = jobs[name]
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out, Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        try:
            taken, _ = _clocked(lambda _: exec(imports, {}), None)  # noqa: S102 -- a row of ours
            versions = {name: found for name in packages if (found := _version(name))}
            print(json.dumps({"versions": versions, "imported": taken}), file=out, flush=True)
            job = make(Path(folder))
            for _ in sys.stdin:
                handed = job.fresh()
                taken, result = _clocked(job.turn, handed)
                print(json.dumps({**taken, "found": job.found(result)}), file=out, flush=True)
        except (Exception, SystemExit) as error:  # noqa: BLE001 -- a failing package is a result
            why = f"{type(error).__name__}: {error}".replace("\\n", "\n").splitlines()[0][:200]
            print(json.dumps({"failed": why}), file=out, flush=True)


def _clocked(turn: Callable[[Any], Any], handed: Any) -> tuple[dict[str, float], Any]:
    """Return the seconds that passed and those that processors spent, and what came of it."""
    gc.collect()
    began, worked = time.perf_counter(), time.process_time()
    result = turn(handed)
    passed, spent = time.perf_counter() - began, time.process_time() - worked
    return {"passed": passed, "worked": spent}, result


def lines(path: Path) -> list[Any]:
    """Return the lines of a file."""
    with path.open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def bodies(folder: Path) -> list[Body]:
    """Return the bodies that are to be marked."""
    return [line["request"] for line in lines(folder / "bodies.jsonl")]


def marks(made: list[Any]) -> dict[str, int]:
    """Count the marks of all bodies."""
    return {"marks": sum(map(_marks, made))}


def _marks(value: Any) -> int:
    if isinstance(value, dict):
        return ("cache_control" in value) + sum(map(_marks, value.values()))
    return sum(map(_marks, value)) if isinstance(value, list | tuple) else 0


def commanded(command: Callable[[list[str]], Any], words: list[str]) -> Job:
    """Return a command line as a job, which is done if it says so by its exit code."""

    def turn(given: list[str]) -> None:
        try:
            code = command(given)
        except SystemExit as left:
            code = left.code
        if code:
            raise RuntimeError(f"{given[0]} ends with {code}")

    return Job(turn, lambda: list(words), lambda _: {})


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
