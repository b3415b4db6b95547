"""What everybody is handed: bodies, logs, transcripts and usages, all from a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.logs import Agents, written
from cacheplan.wire import unmark

__all__ = ["USAGES", "inputs"]

#: Usages that are priced in a turn.
USAGES: Final = 10_000
_MODELS: Final = ("claude-opus-4-6", "claude-sonnet-4-5", "claude-haiku-4-5")
#: 2026-11-02, as the logs begin.
_BEGIN: Final = 1_793_606_400.0

Line = dict[str, Any]


def inputs(folder: Path, scale: int = 10) -> None:
    """Write what all are handed: bodies, logs, transcripts, usages."""
    turns = 6 * scale
    written(Agents(conversations=1, turns=turns), folder / "marked.jsonl")
    _write(folder / "bodies.jsonl", (
        {**line, "request": unmark(line["request"])} for line in _lines(folder / "marked.jsonl")
    ))  # fmt: skip
    log = Agents(conversations=scale, turns=3 * scale, usage=True)
    written(log, folder / "log.jsonl")
    written(
        Agents(conversations=scale, turns=3 * scale, usage=True, careless=True),
        folder / "careless.jsonl",
    )
    _write(folder / "broken.jsonl", (
        line for line in _lines(folder / "careless.jsonl") if line["session"] == "s0"
    ))  # fmt: skip
    audited = Agents(conversations=6 * scale, turns=25, answer=1200, usage=True)
    written(audited, folder / "audited.jsonl")
    _transcripts(_lines(folder / "audited.jsonl"), folder / "claude" / "projects" / "project")
    _write(folder / "usages.jsonl", _usages(USAGES * scale // 10))


def _usages(count: int) -> Iterator[dict[str, Any]]:
    """Yield usages as an agent's calls have them."""
    chance = random.Random(1)
    for number in range(count):
        counters = {
            "uncached": chance.randrange(50),
            "write_5m": chance.randrange(4000),
            "write_1h": chance.choice((0, 0, chance.randrange(9000))),
            "read": chance.randrange(150_000),
            "output": chance.randrange(2000),
        }
        yield {"model": _MODELS[number % 3], "at": _BEGIN + number, "counters": counters}


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            yield json.loads(line)


def _write(path: Path, lines: Iterator[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(line) + "\n" for line in lines)


def _transcripts(lines: Iterable[Line], folder: Path) -> None:
    """Write calls as Claude Code does: a file a session, each message once."""
    folder.mkdir(parents=True)
    entries: dict[str, list[Line]] = {}
    answered: dict[str, int] = {}
    for line in lines:
        session, body = line["session"], unmark(line["request"])
        made = entries.setdefault(session, [])
        # What is new since the last call: its answer, and what was said to that.
        for message in body["messages"][answered.get(session, 0) :]:
            if message["role"] == "assistant":
                made[-1]["message"]["content"] = message["content"]
            else:
                made.append(_entry(line, len(made), "user", message))
        answered[session] = len(body["messages"])
        answer = {
            "id": f"msg_{line['id'].replace('/', '_')}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [],
            "stop_reason": "tool_use",
            "usage": line["response"]["usage"],
        }
        made.append(_entry(line, len(made), "assistant", answer))
    for session, made in entries.items():
        _write(folder / f"{session}.jsonl", iter(made))


def _entry(line: Line, number: int, kind: str, message: Line) -> Line:
    """Return one entry of a transcript, in the form of client 2.1.329."""
    at = datetime.fromtimestamp(line["at"], UTC).isoformat(timespec="milliseconds")
    return {
        "type": kind,
        "uuid": f"{line['session']}-{number}",
        "parentUuid": f"{line['session']}-{number - 1}" if number else None,
        "sessionId": line["session"],
        "timestamp": at.replace("+00:00", "Z"),
        "requestId": f"req_{line['id'].replace('/', '_')}",
        "cwd": "/src",
        "version": "2.1.329",
        "isSidechain": False,
        "userType": "external",
        "message": message,
    }
