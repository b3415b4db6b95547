"""Makes ``claude_code_lighthouse.jsonl.gz``: the common conversation as a transcript.

Run as ``python tests/logs/make_claude_code_lighthouse.py``. Claude Code cannot be made to
send another program's bodies, so the lines are written here in the form that its client
2.1.330 gives them (see ``make_claude_code.py``, 2026-11-21): the conversation of
``lighthouse`` was sent to the imitated service, and what it charged stands in
``claude_code_lighthouse.usage.json``.
"""

from __future__ import annotations

import copy
import gzip
import hashlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import anthropic

HERE: Final = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]

from lighthouse import ANSWERS, BODIES  # noqa: E402 -- found by the path above

from cacheplan.testing import FakeAnthropic  # noqa: E402 -- likewise

SESSION: Final = "00000000-0000-4000-8000-000000000007"
AROUND: Final = {"sessionId": SESSION, "version": "2.1.330"}
#: Members of a body that are in a record's parts and not among its parameters.
PARTS: Final = ("messages", "system", "tools")


def name_of(part: Any) -> str:
    """Return the name that the client gives to a part."""
    written = json.dumps(part, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(written.encode()).hexdigest()


def parted(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[dict[str, Any]]:
    """Take the marks off a value, and yield where they were."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    if isinstance(value, dict) and "cache_control" in value:
        yield {"path": list(path), "value": value.pop("cache_control")}
    for key, part in list(pairs):
        if isinstance(part, dict | list):
            yield from parted(part, (*path, key))


class Log:
    """The lines, each after the one before it."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self._parent: str | None = None

    def record(self, kind: str, **more: Any) -> None:
        """Add a record of the client's own."""
        self.lines.append({"type": kind, **AROUND, **more})

    def say(self, kind: str, at: float, **more: Any) -> None:
        """Add a line of the conversation."""
        uuid = f"00000000-0000-4000-8000-{len(self.lines):012d}"
        place = {"parentUuid": self._parent, "isSidechain": False, "cwd": "/srv/lamps"}
        self.lines.append({**place, "type": kind, "uuid": uuid, "timestamp": moment(at)})
        self.lines[-1] |= {**AROUND, **more}
        self._parent = uuid


def moment(at: float) -> str:
    """Return a time as the client writes it."""
    written = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return written.replace("+00:00", "Z")


def main() -> None:
    """Send, and write down what Claude Code would have written."""
    log = Log()
    before: list[str] = []
    base: str | None = None
    with (
        FakeAnthropic() as fake,
        anthropic.Anthropic(base_url=fake.url, api_key="any") as client,
    ):
        for number, (sent, content) in enumerate(zip(BODIES, ANSWERS, strict=True)):
            at = fake.now
            fake.say(content)
            answer = client.messages.create(**sent).to_dict(mode="json")
            body = copy.deepcopy(sent)
            marks = list(parted(body))
            said = body["messages"][-1]
            result = {"toolUseResult": "4 litres"} if number == 1 else {}
            log.say("user", at, message=said, **result)
            shape = {"system": body["system"], "tools": body["tools"]}
            if not number:
                log.record("api-request-shape", shapeHash=name_of(shape), shape=shape)
            names = [name_of(message) for message in body["messages"]]
            request = f"00000000-0000-4000-9000-{number:012d}"
            going_on = {"base": base, "keep": len(before)} if base else {"keep": 0}
            log.record(
                "api-request",
                id=request,
                timestamp=moment(at),
                querySource="repl_main_thread",
                shapeHash=name_of(shape),
                params={key: part for key, part in body.items() if key not in PARTS},
                tail=names[len(before) :],
                cacheControl=marks,
                **going_on,
            )
            before, base = names, request
            for block in content:
                spoken = {**answer, "content": [block]}
                log.say("assistant", at + 1, message=spoken, requestRef=request, requestId=None)
        usage = [line["response"]["usage"] for line in fake.lines()]
    with gzip.GzipFile(HERE / "claude_code_lighthouse.jsonl.gz", "wb", mtime=0) as packed:
        lines = (json.dumps(line, ensure_ascii=False) for line in log.lines)
        packed.write("".join(f"{line}\n" for line in lines).encode())
    written = json.dumps(usage, indent=1) + "\n"
    (HERE / "claude_code_lighthouse.usage.json").write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
