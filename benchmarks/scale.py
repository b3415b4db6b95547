"""How reading, simulating, planning and reviewing grow, from a thousand calls to a million.

Each size has a process of its own, which says what each step took and its peak of memory.
The calls are those of agents in the digest form, a line a turn, so the files are small and
what is measured is the work by the call; `json.loads` of the same lines is the yardstick.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

from benchmarks.tabling import publish, section, watched

__all__ = ["lines", "main"]

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
#: Turns of a conversation, and how many of them go on at once.
TURNS: Final = 50
AT_ONCE: Final = 20
_SEED: Final = 20261121
_STEPS: Final = ("json.loads", "reading", "simulating", "planning", "comparing", "reviewing")
#: Comparing serves every call under eleven policies and reviewing under as many edits; what
#: they take of a million calls follows from the line they grow by.
_MOST: Final = {"comparing": 100_000, "reviewing": 100_000}

#: Does each step once, and prints the seconds of processor time each took.
_WORKER: Final = """
import json, resource, sys, time
import cacheplan
from cacheplan.contest import contest
from cacheplan.linter import lint
from cacheplan.policies import as_marked
from cacheplan.prices import Sheet
from cacheplan.projection import replay
from cacheplan.subject import Subject
path, wanted, sheet, took = sys.argv[1], sys.argv[2].split(","), Sheet.default(), {}
def timed(name, work):
    if name in wanted:
        began = time.process_time()
        found = work()
        took[name] = time.process_time() - began
        return found
def loads():
    with open(path, "rb") as stream:
        for line in stream:
            json.loads(line)
def simulate():
    for _ in replay(calls, as_marked(calls), sheet):
        pass
timed("json.loads", loads)
calls = timed("reading", lambda: cacheplan.read(path))
timed("simulating", simulate)
timed("planning", lambda: cacheplan.choose(calls))
timed("comparing", lambda: contest(calls, sheet))
timed("reviewing", lambda: lint(Subject(calls, sheet, calls.texts)))
print(json.dumps([took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""


def lines(calls: int) -> Iterator[str]:
    """Yield agents' calls in time order: each goes on from its conversation's last."""
    chance = Random(_SEED)
    head = [
        {"digest": "tools", "tokens": 3_000, "level": "tools", "kind": "tool"},
        {"digest": "system", "tokens": 2_000, "level": "system"},
    ]
    talks = [(number, 0) for number in range(AT_ONCE)]
    begun, at = AT_ONCE, 0.0
    for _ in range(calls):
        at += chance.expovariate(1.0)
        which = chance.randrange(AT_ONCE)
        talk, turn = talks[which]
        said = f"{talk}.{turn}"
        line: dict[str, Any] = {"id": said, "at": round(at, 3), "model": "claude-sonnet-5"}
        own = [{"digest": f"u{said}", "tokens": chance.randint(20, 900), "level": "messages"}]
        if turn:
            own.insert(0, {"digest": f"a{said}", "tokens": 200, "level": "messages"})
            line |= {"extends": f"{talk}.{turn - 1}", "blocks": own}
        else:
            line["blocks"] = [*head, *own]
        last = len(head) + 2 * turn
        line["marks"] = [{"block": 1, "ttl": "5m"}, {"block": last, "ttl": "5m"}]
        yield json.dumps(line)
        talks[which] = (talk, turn + 1)
        if turn + 1 == TURNS:
            talks[which], begun = (begun, 0), begun + 1


def main(arguments: Sequence[str]) -> int:
    """Measure every size; arguments are numbers of calls instead."""
    rows = [_measured(int(size)) for size in arguments or SIZES]
    took = [
        (row["calls"], *(row["seconds"].get(step) for step in _STEPS), row["peak_megabytes"])
        for row in rows
    ]
    each = [(row["calls"], *(_micro(row, step) for step in _STEPS)) for row in rows]
    seconds = section("Seconds of processor time", ("calls", *_STEPS, "peak, MB"), took)
    by_call = section(
        "Microseconds a call",
        ("calls", *_STEPS),
        each,
        f"Conversations of {TURNS} turns, {AT_ONCE} at once, in the digest form, two marks a"
        " call. A step that grows in line with the calls keeps its figure from row to row."
        " Comparing and reviewing are measured up to 100,000 calls.",
    )
    publish("scale", "Scale", {"sizes": rows}, [seconds, by_call])
    return 0


def _measured(calls: int) -> dict[str, Any]:
    """Write a log of so many calls, and let a process of its own go through it."""
    steps = [step for step in _STEPS if calls <= _MOST.get(step, calls)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "calls.jsonl"
        with path.open("w", encoding="utf-8") as stream:
            stream.writelines(f"{line}\n" for line in watched(lines(calls), f"{calls:,} calls"))
        size = path.stat().st_size
        done = subprocess.run(
            [sys.executable, "-c", _WORKER, str(path), ",".join(steps)],
            capture_output=True,
            text=True,
            check=True,
        )
    seconds, peak = json.loads(done.stdout)
    # Kilobytes on Linux, bytes on macOS.
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return {
        "calls": calls,
        "megabytes": size / 1e6,
        "seconds": seconds,
        "peak_megabytes": round(peak / unit),
    }


def _micro(row: dict[str, Any], step: str) -> float | None:
    """Return what a step takes by the call."""
    taken = row["seconds"].get(step)
    return None if taken is None else taken / row["calls"] * 1e6
