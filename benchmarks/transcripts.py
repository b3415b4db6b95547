"""A folder of Claude Code's transcripts: how fast it is read, and in how much memory.

The folder is made from a seed, half of it as clients from 2.1.282 on write and half as
those before: a line a content block with usage on each, results of tools twice, pictures
in base64, compactions, a few sessions that are very long. Its time is set against that of
``json.loads`` of the same lines, what it returns let go of line by line. Each is a process
of its own, which says its own peak.
"""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from benchmarks.logs import BEGIN, MODEL, Source, head_of, turn_of
from benchmarks.tabling import publish, section
from cacheplan.fingerprints import fingerprint, message_fingerprint

__all__ = ["Session", "main"]

#: Megabytes of folder, and how much memory reading may take.
SIZE: Final = 1000
BAR: Final = 300
#: Characters of a conversation when it is compacted: some 150,000 tokens.
_FULL: Final = 600_000
#: One result in so many is a picture, of so many bytes.
_PICTURES: Final = (40, 150_000)
#: Of the programs that take seconds; the others take a minute.
_ROUNDS: Final = 3
_QUICK: Final = ("json.loads of every line", "calls told as lines")

#: What is measured, each a program that is given the folder.
_PROGRAMS: Final = {
    "json.loads of every line": """
import json
for path in paths:
    with open(path, "rb") as stream:
        for line in stream:
            json.loads(line)
            calls += 1
""",
    "calls told as lines": """
import msgspec
from cacheplan.io.documents import File
from cacheplan.io.opening import opened
from cacheplan.io.readers import claude_code
from cacheplan.io.tally import Tally
tally, write = Tally(), msgspec.json.Encoder()
for path in paths:
    with opened(path) as stream:
        for _, line in claude_code.read(File(path, stream), tally):
            write.encode(line)
            calls += 1
""",
    "read as a workload": """
from cacheplan.io.reading import read
calls = len(read(sys.argv[1], texts=False).calls)
""",
    "read with texts, as a review does": """
from cacheplan.io.reading import read
calls = len(read(sys.argv[1]).calls)
""",
}
_FRAME: Final = """
import pathlib, resource, sys, time
paths, calls = sorted(map(str, pathlib.Path(sys.argv[1]).rglob("*.jsonl"))), 0
began = time.process_time()
{program}
spent = time.process_time() - began
print(calls, spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


class Session:
    """One session, line by line."""

    def __init__(self, number: int, chance: random.Random, source: Source, *, newer: bool) -> None:
        self.name = f"00000000-0000-4000-8000-{number:012d}"
        self._chance = chance
        self._source = source
        self._newer = newer
        self._now = BEGIN + 40.0 * number
        self._parent: str | None = None
        self._count = 0
        self._calls = 0
        #: The names of the messages of the conversation, and their length.
        self._chain: list[str] = []
        self._length = 0
        self._asked = ""
        self._kept = 0

    def lines(self, turns: int) -> Iterator[bytes]:
        """Yield the lines of so many calls."""
        head = head_of(self._source.shared)
        shape = {
            "system": [{key: block[key] for key in ("type", "text")} for block in head["system"]],
            "tools": head["tools"],
        }
        self._shape = fingerprint(shape)
        if self._newer:
            yield self._record("api-request-shape", shapeHash=self._shape, shape=shape)
        yield from self._ask(self._source.text(600))
        for turn in range(turns):
            if self._length > _FULL:
                yield from self._compact()
            yield from self._call(turn)

    def _call(self, turn: int) -> Iterator[bytes]:
        """Yield a call, its answer, and the results of its tools."""
        self._now += self._chance.uniform(4, 40)
        request = f"{self.name}/{turn}"
        if self._newer:
            yield self._request(request)
        answer, results = turn_of(f"{self.name}_{turn}", self._chance, self._source, 2400)
        length = self._length // 4
        usage = {
            "input_tokens": 3,
            "cache_read_input_tokens": length,
            "cache_creation_input_tokens": 700,
            "output_tokens": 180,
        }
        for block in answer["content"]:
            message = {"id": f"msg_{request}", "role": "assistant", "model": MODEL, "usage": usage}
            more = {"requestRef": request} if self._newer else {}
            message |= {"content": [block]}
            yield self._line("assistant", message=message, requestId=f"req_{request}", **more)
        self._say(answer)
        for result in results["content"]:
            if self._chance.randrange(_PICTURES[0]) == 0:
                data = base64.b64encode(self._chance.randbytes(_PICTURES[1])).decode()
                picture = {"type": "base64", "media_type": "image/png", "data": data}
                result["content"] = [{"type": "image", "source": picture}]
            message = {"role": "user", "content": [result]}
            yield self._line("user", message=message, toolUseResult={"stdout": result["content"]})
        self._say(results)

    def _ask(self, text: str) -> Iterator[bytes]:
        """Yield what a user says."""
        message = {"role": "user", "content": text}
        yield self._line("user", message=message)
        self._say(message)

    def _compact(self) -> Iterator[bytes]:
        """Yield a compaction, and the summary that comes after it."""
        self._parent, self._chain, self._length, self._asked = None, [], 0, ""
        yield self._line("system", subtype="compact_boundary")
        yield from self._ask(self._source.text(4000))

    def _say(self, message: dict[str, Any]) -> None:
        """Note a message of the conversation."""
        self._length += sum(len(str(block)) for block in message["content"]) % 20_000
        if self._newer:
            self._chain.append(message_fingerprint(message))

    def _request(self, name: str) -> bytes:
        """Return the record of a request."""
        base = {"base": self._asked, "keep": self._kept} if self._asked else {"keep": 0}
        tail = self._chain[self._kept if self._asked else 0 :]
        self._asked, self._kept = name, len(self._chain)
        mark = {"type": "ephemeral"}
        last = {"path": ["messages", len(self._chain) - 1, "content", 0], "value": mark}
        return self._record(
            "api-request",
            id=name,
            shapeHash=self._shape,
            tail=tail,
            params={"model": MODEL, "max_tokens": 8192, "thinking": {"type": "adaptive"}},
            cacheControl=[{"path": ["system", 1], "value": mark}, last],
            # Made up: to find that it is another takes as long as to find that it is right.
            requestDigest="0" * 64,
            **base,
        )

    def _record(self, kind: str, **more: Any) -> bytes:
        """Return a record of the client's own."""
        return _written({"type": kind, "sessionId": self.name, "timestamp": self._at(), **more})

    def _line(self, kind: str, **more: Any) -> bytes:
        """Return a line of the conversation, after the one before it."""
        self._count += 1
        uuid = f"{self._count:08d}-{self.name[9:]}"
        line = {
            "parentUuid": self._parent,
            "isSidechain": False,
            "type": kind,
            "uuid": uuid,
            "timestamp": self._at(),
            "cwd": "/srv/lamps",
            "sessionId": self.name,
            "version": "2.1.330" if self._newer else "2.1.100",
        }
        self._parent = uuid
        return _written(line | more)

    def _at(self) -> str:
        """Return the time as clients write it."""
        return datetime.fromtimestamp(self._now, UTC).isoformat(timespec="milliseconds")


def _written(line: dict[str, Any]) -> bytes:
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def main(arguments: Sequence[str]) -> int:
    """Make a folder, of so many megabytes if that is said, and measure all programs."""
    size = int(arguments[0]) if arguments else SIZE
    with tempfile.TemporaryDirectory() as folder:
        made = _made(Path(folder), size * 1_000_000)
        rows = [_measured(name, program, folder) for name, program in _PROGRAMS.items()]
    least = rows[0]["seconds"]
    for row in rows:
        row["ratio"] = row["seconds"] / least
    columns = ("what", "lines or calls", "seconds of one processor", "ratio", "peak, MB")
    keys = ("what", "count", "seconds", "ratio", "peak_megabytes")
    page = section(
        "A folder of transcripts",
        columns,
        [[row[key] for key in keys] for row in rows],
        f"The bar: {BAR} MB for a folder of 1 GB. {made['files']} files of {made['megabytes']} MB,"
        f" the largest {made['largest']} MB; half as clients before 2.1.282 wrote, half with the"
        " client's record of its requests, every part of which is proved. Told: bodies rebuilt"
        f" and written as lines that extend one another; median of {_ROUNDS} rounds. Read: with"
        " every text counted by the default counter, and kept or not.",
    )
    publish("transcripts", "Transcripts", {"folder": made, "reading": rows}, [page])
    return 0


def _made(folder: Path, size: int) -> dict[str, Any]:
    """Fill a folder; sessions are short or long, and a few are very long."""
    chance = random.Random(1)
    source = Source(chance)
    sizes: list[int] = []
    while sum(sizes) < size:
        turns = min(round(chance.lognormvariate(5, 1.2)), 12_000)
        session = Session(len(sizes), chance, source, newer=len(sizes) % 2 == 0)
        with (folder / f"{session.name}.jsonl").open("wb") as stream:
            sizes.append(_filled(stream, session.lines(turns), size - sum(sizes)))
        if sys.stderr.isatty():
            print(f"\r{sum(sizes) / 1e6:,.0f} MB", end="", file=sys.stderr)
    return {
        "files": len(sizes),
        "megabytes": round(sum(sizes) / 1e6),
        "largest": round(max(sizes) / 1e6),
    }


def _filled(stream: BinaryIO, lines: Iterator[bytes], most: int) -> int:
    """Write lines, up to a number of bytes; return how many."""
    size = 0
    for line in lines:
        size += stream.write(line)
        if size >= most:
            break
    return size


def _measured(name: str, program: str, folder: str) -> dict[str, Any]:
    """Run one program a few times, and return its median."""
    runs: list[tuple[float, ...]] = []
    for _ in range(_ROUNDS if name in _QUICK else 1):
        command = [sys.executable, "-c", _FRAME.format(program=program), folder]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        runs.append(tuple(map(float, said.split())))
    runs.sort(key=lambda run: run[1])
    count, seconds, peak = runs[len(runs) // 2]
    # Kilobytes on Linux, bytes on macOS.
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return {
        "what": name,
        "count": round(count),
        "seconds": seconds,
        "peak_megabytes": round(peak / unit),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
