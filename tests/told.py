"""A log read by one reader: its calls as lines, and what was counted beside them."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import msgspec

from cacheplan.io.counting import default_counter
from cacheplan.io.documents import File, Head
from cacheplan.io.tally import Tally
from cacheplan.records import Intake
from cacheplan.simulator import SimulatedCache
from cacheplan.stated import recorded_usage
from cacheplan.usage import Usage
from cacheplan.workload import Workload

__all__ = [
    "LOGS",
    "charged",
    "head_of",
    "logged",
    "other_logs",
    "replayed",
    "told",
    "total",
    "workload_of",
]

LOGS: Final = Path(__file__).parent / "logs"


def logged(name: str) -> bytes:
    """Return a log that is kept beside the tests, unpacked."""
    raw = (LOGS / name).read_bytes()
    return gzip.decompress(raw) if name.endswith(".gz") else raw


def other_logs(own: str) -> list[bytes]:
    """Return all logs that are kept here but those of one format, unpacked."""
    paths = (path for path in sorted(LOGS.glob("*.gz")) if not path.name.startswith(own))
    return [logged(path.name) for path in paths]


def charged(name: str) -> list[Usage]:
    """Return what the service charged for the calls of a log."""
    return [recorded_usage(each) for each in json.loads((LOGS / name).read_bytes())]


def told(
    reader: ModuleType, raw: bytes | str, *, skip_bad: bool = False
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Return the lines that a reader makes of a log, and what it counted."""
    raw = raw.encode() if isinstance(raw, str) else raw
    tally = Tally(skip_bad=skip_bad)
    file = File("log", io.BufferedReader(io.BytesIO(raw), 1 << 20))
    lines = [json.loads(msgspec.json.encode(line)) for _, line in reader.read(file, tally)]
    notes = dict(note.rsplit(": ", 1) for note in tally.notes())
    return lines, {what: int(number) for what, number in notes.items()}


def head_of(raw: bytes) -> Head:
    """Return how a log begins."""
    return File("log", io.BufferedReader(io.BytesIO(raw), 1 << 20)).head


def workload_of(lines: list[dict[str, Any]]) -> Workload:
    """Return the calls of lines."""
    intake = Intake(default_counter())
    for line in lines:
        intake.add(json.dumps(line).encode())
    return intake.workload()


def total(lines: list[dict[str, Any]]) -> Usage:
    """Add up what lines say was charged."""
    said = (line.get("response", {}).get("usage") for line in lines)
    return sum((recorded_usage(each) for each in said if each), Usage())


def replayed(workload: Workload) -> list[tuple[Usage, Usage]]:
    """Return, for each call whose charge is known, that and what the simulator charges."""
    cache = SimulatedCache(workload.tree, lambda _: 512, workload.assume)
    served = ((call.recorded, cache.serve(call, call.marks)) for call in workload.calls)
    return [(recorded, usage) for recorded, usage in served if recorded is not None]
