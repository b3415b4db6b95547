"""Public data into workload files, for whoever wants to repeat the tables on them.

    python -m benchmarks convert mooncake conversation_trace.jsonl -o calls.jsonl
    python -m benchmarks convert kv-cache-tester traces/ -o calls.jsonl
    python -m benchmarks convert tau-bench gpt-4o-airline.json -o calls.jsonl
    python -m benchmarks convert claude-code ~/.claude/projects/NAME -o calls.jsonl

Nothing is fetched: the data come from their own places, under their own licences. What a
source does not say is said at the head of the module that reads it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from benchmarks.block_traces import kv_cache_tester, mooncake
from benchmarks.tau_bench import trajectories
from cacheplan.io.documents import File
from cacheplan.io.opening import opened
from cacheplan.io.readers import claude_code
from cacheplan.io.tally import Tally

__all__ = ["SOURCES", "convert", "main"]

Line = dict[str, Any]


def transcripts(path: Path) -> Iterator[Line]:
    """Yield the calls of one transcript of Claude Code, as the product reads them."""
    tally = Tally()
    with opened(path) as stream:
        for _, line in claude_code.read(File(str(path), stream), tally):
            yield msgspec.json.decode(msgspec.json.encode(line))
    for note in tally.notes():
        print(f"{path.name}: {note}", file=sys.stderr)


class Source(NamedTuple):
    """A kind of public data, and who reads one file of it."""

    read: Callable[[Path], Iterator[Line]]
    #: Which files of a folder.
    pattern: str


SOURCES: Final = {
    "mooncake": Source(mooncake, "*.jsonl"),
    "kv-cache-tester": Source(kv_cache_tester, "*.json"),
    "tau-bench": Source(trajectories, "*.json"),
    "claude-code": Source(transcripts, "*.jsonl"),
}


def main(arguments: Sequence[str]) -> int:
    """Write the calls of a file or a folder of one source."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks convert")
    parser.add_argument("source", choices=SOURCES)
    parser.add_argument("path", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args(arguments)
    try:
        count = convert(asked.source, asked.path, asked.output)
    except (OSError, ValueError, KeyError, TypeError) as error:
        said = f"{error!r} is missing" if isinstance(error, KeyError) else str(error)
        print(f"{asked.path}: not of the form of {asked.source}: {said}", file=sys.stderr)
        return 2
    print(f"{count:,} calls", file=sys.stderr)
    return 0 if count else 2


def convert(source: str, path: Path, output: Path) -> int:
    """Write a workload file, and return how many calls are in it."""
    read, pattern = SOURCES[source]
    paths = sorted(path.rglob(pattern)) if path.is_dir() else [path]
    calls = [line for each in paths for line in read(each)]
    calls.sort(key=lambda line: str(line["at"]) if isinstance(line["at"], str) else "")
    calls.sort(key=lambda line: 0.0 if isinstance(line["at"], str) else line["at"])
    with output.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(line, separators=(",", ":")) + "\n" for line in calls)
    return len(calls)
