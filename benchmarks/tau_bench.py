"""Trajectories of tau-bench: conversations of an agent with tools, with their text.

``historical_trajectories/*.json`` hold the messages of each run as chat completions. Each
answer of the assistant was a call with all that stands before it. Not in the source, and
made up here: the times (sessions start as a Poisson process with a mean of 120 seconds,
from a fixed seed, turns are 20 seconds apart) and the tools, of which only the names and
arguments that were called are known. The model is the one in the file's name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

__all__ = ["trajectories"]

Line = dict[str, Any]

_BETWEEN_SESSIONS, _BETWEEN_TURNS = 120.0, 20.0
#: What a value is called in a JSON schema.
_TYPES: Final = {bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


def trajectories(path: Path) -> Iterator[Line]:
    """Yield every call of every run of a file."""
    runs = json.loads(path.read_text(encoding="utf-8"))
    model = path.stem.rpartition("-")[0] or path.stem
    tools = _tools(message for run in runs for message in run["traj"])
    random, at = Random(path.stem), 0.0
    for run in runs:
        at += random.expovariate(1 / _BETWEEN_SESSIONS)
        session = f"{path.stem}/{run['task_id']}.{run.get('trial', 0)}"
        for turn, body in enumerate(_calls(run["traj"])):
            yield {
                "id": f"{session}/{turn}",
                "session": session,
                "at": round(at + turn * _BETWEEN_TURNS, 3),
                "request": {"model": model, "max_tokens": 1024, "tools": tools, **body},
            }


def _calls(messages: Sequence[Line]) -> Iterator[Line]:
    """Yield what was sent for each answer."""
    system = [message["content"] for message in messages if message["role"] == "system"]
    start = {"system": "\n\n".join(system)} if system else {}
    said: list[Line] = []
    for message in messages:
        if message["role"] == "system":
            continue
        if message["role"] == "assistant" and said:
            yield {**start, "messages": list(said)}
        _append(said, _message(message))


def _append(said: list[Line], message: Line) -> None:
    """Add a message; neighbours of one role are one, as the API has it."""
    if said and said[-1]["role"] == message["role"]:
        said[-1] = {**message, "content": [*said[-1]["content"], *message["content"]]}
    elif message["content"]:
        said.append(message)


def _message(message: Line) -> Line:
    """Return a message in the form of the Messages API."""
    text = message.get("content")
    if message["role"] == "tool":
        found = {"type": "tool_result", "tool_use_id": message["tool_call_id"]}
        return {"role": "user", "content": [{**found, **({"content": text} if text else {})}]}
    content: list[Line] = [{"type": "text", "text": text}] if text else []
    for call in message.get("tool_calls") or ():
        function = call["function"]
        given = json.loads(function["arguments"])
        content.append(
            {"type": "tool_use", "id": call["id"], "name": function["name"], "input": given}
        )
    return {"role": message["role"], "content": content}


def _tools(messages: Iterator[Line]) -> list[Line]:
    """Return definitions as far as calls show them, by name."""
    seen: dict[str, dict[str, Line]] = {}
    for message in messages:
        for call in message.get("tool_calls") or ():
            function = call["function"]
            arguments = seen.setdefault(function["name"], {})
            for key, value in json.loads(function["arguments"]).items():
                arguments.setdefault(key, {"type": _TYPES.get(type(value), "string")})
    return [
        {"name": name, "input_schema": {"type": "object", "properties": seen[name]}}
        for name in sorted(seen)
    ]
