"""Transcripts of Claude Code whose client recorded what it sent (2.1.282 and later).

A call's record names the parts of its body by hash: the shape (system and tools), and the
messages, as a chain that goes on from an earlier call's. Messages that the transcript shows
anyway are not recorded again, so they are hashed here to be found. What the client puts
before the system prompt to say who pays is in no record and is missing. Form as of client
2.1.329, read 2026-11; calls of older clients, or with parts that are not found, are left
out, and how many is said on standard error.
"""

from __future__ import annotations

import copy
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

__all__ = ["transcripts"]

Line = dict[str, Any]

#: Members of a record's ``params`` that are members of a body.
_MEMBERS: Final = (
    "model", "max_tokens", "thinking", "output_config", "tool_choice", "speed",
    "context_management", "temperature",
)  # fmt: skip
#: Lines of one role in a row that may have been sent as one message.
_IN_A_ROW: Final = 64


def transcripts(path: Path) -> Iterator[Line]:
    """Yield the calls of one transcript, marks and usage included."""
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    shapes = {
        each["shapeHash"]: each["shape"] for each in entries if _is(each, "api-request-shape")
    }
    messages = _spoken(entries) | {
        each["hash"]: each["message"] for each in entries if _is(each, "api-request-blob")
    }
    answers = _answers(entries)
    chains: dict[str, list[str]] = {}
    lost = 0
    for each in entries:
        if not _is(each, "api-request"):
            continue
        before = chains.get(each.get("base") or "", [])[: each.get("keep", 0)]
        chain = chains[each["id"]] = [*before, *each["tail"]]
        if each["shapeHash"] not in shapes or any(part not in messages for part in chain):
            lost += 1
            continue
        body = _body(each, shapes[each["shapeHash"]], [messages[part] for part in chain])
        yield _line(each, body, answers.get(each["id"]))
    older = sum(1 for _ in answers) if not chains else 0
    if lost or older:
        print(f"{path.name}: {lost + older} calls cannot be rebuilt", file=sys.stderr)


def _is(entry: Mapping[str, Any], kind: str) -> bool:
    return entry.get("type") == kind


def _line(record: Line, body: Line, answer: Line | None) -> Line:
    """Return a call with what was answered to it."""
    line = {
        "id": record["id"],
        "at": record["timestamp"],
        "label": record.get("querySource", "main"),
        "request": body,
    }
    if record.get("sessionId"):
        line["session"] = record["sessionId"]
    if answer is not None:
        line["response"] = {"id": answer["message"]["id"], "usage": answer["message"]["usage"]}
    return line


def _body(record: Line, shape: Line, messages: Sequence[Line]) -> Line:
    """Return the body of a call, its marks where they were."""
    params = record.get("params") or {}
    body: Line = {key: params[key] for key in _MEMBERS if key in params}
    body |= {key: copy.deepcopy(shape[key]) for key in ("system", "tools") if shape.get(key)}
    body["messages"] = [
        {"role": message["role"], "content": copy.deepcopy(_parts(message["content"]))}
        for message in messages
    ]
    for mark in record.get("cacheControl") or ():
        holder: Any = body
        for step in mark["path"]:
            holder = holder[step]
        holder["cache_control"] = mark["value"]
    return body


def _answers(entries: Sequence[Line]) -> dict[str, Line]:
    """Return by request what answered it: the last of its lines has the final usage."""
    found = {}
    for entry in entries:
        if _is(entry, "assistant") and "usage" in entry["message"]:
            found[entry.get("requestRef") or entry["message"]["id"]] = entry
    return found


def _spoken(entries: Sequence[Line]) -> dict[str, Line]:
    """Return by hash the messages that lines of the transcript make up.

    A message is one line, or several of one role in a row.
    """
    found: dict[str, Line] = {}
    run: list[Line] = []
    for entry in entries:
        if entry.get("type") not in ("user", "assistant") or "message" not in entry:
            continue
        message = entry["message"]
        if run and run[-1]["role"] != message["role"]:
            run.clear()
        run.append(message)
        content: list[Line] = []
        for each in reversed(run[-_IN_A_ROW:]):
            content = [*_parts(each["content"]), *content]
            made = {"role": message["role"], "content": content}
            found[_hash(made)] = made
    return found


def _hash(message: Line) -> str:
    """Return a message's name in the records."""
    content = [
        {key: value for key, value in part.items() if key != "cache_control"}
        for part in _parts(message["content"])
    ]
    plain = {**message, "content": content}
    written = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(written.encode()).hexdigest()


def _parts(content: Any) -> list[Line]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
