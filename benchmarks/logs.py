"""Logs to measure on: agents that send the whole conversation again with every call.

Every log is made from a seed. What tools answer is source code of Python's standard
library, so that text is as compressible, and as slow to count, as real text.
"""

from __future__ import annotations

import json
import random
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["BEGIN", "MODEL", "Agents", "Source", "head_of", "turn_of", "written"]

#: Opus 4.6 keeps thinking in the prompt, as the models after it do.
MODEL: Final = "claude-opus-4-6"
#: 2026-11-02, on a Monday morning.
BEGIN: Final = 1_793_606_400.0
_TOOLS: Final = ("bash", "read", "write", "edit", "grep", "glob", "fetch", "search", "task", "todo")
_MARK: Final = {"cache_control": {"type": "ephemeral"}}
#: How many features a careless log is of.
_FEATURES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Agents:
    """A log of conversations; two calls of one are some seconds apart."""

    conversations: int
    turns: int
    #: Characters that a tool answers, on average.
    answer: int = 2400
    usage: bool = False
    #: Written as Anthropic's SDK for Python sends bodies: messages before the model, the
    #: system prompt and the tools, no blanks, nothing escaped that need not be.
    sdk: bool = False
    #: Everything wrong at once: the system prompt tells the time, tools are listed in any
    #: order, and features share the prompt without being told apart by it.
    careless: bool = False
    seed: int = 1

    def lines(self) -> Iterator[bytes]:
        """Yield the lines in the order of their times, a few conversations at once."""
        chance = random.Random(self.seed)
        source = Source(chance)
        begun = [
            self._conversation(
                f"s{number}", BEGIN + 150.0 * number, random.Random(chance.random()), source
            )
            for number in range(self.conversations)
        ]
        yield from _by_time(begun)

    def _conversation(
        self, name: str, at: float, chance: random.Random, source: Source
    ) -> Iterator[tuple[float, bytes]]:
        """Yield one conversation's calls, each with all messages so far."""
        write = _as_sent if self.sdk else json.dumps
        head = head_of(source.shared)
        before, behind = _around(head, self.sdk)
        sent = [write({"role": "user", "content": source.text(600)})]
        length, label = 0, ""
        for turn in range(self.turns):
            if self.careless:
                _spoil(head, at, chance)
                before, behind = _around(head, self.sdk)
                label = f', "label": "feature {int(name[1:]) % _FEATURES}"'
            said = [*sent[:-1], write(_marked(json.loads(sent[-1])))]
            body = f"{before}{(',' if self.sdk else ', ').join(said)}{behind}"
            usage = ""
            if self.usage:
                usage = f', "response": {json.dumps(_usage(length, len(body) // 4))}'
                length = len(body) // 4
            names = f'"id": "{name}/{turn}", "session": "{name}"{label}'
            line = f'{{"at": {at}, {names}, "request": {body}{usage}}}'
            yield at, line.encode()
            at += chance.uniform(4, 40)
            sent += map(write, turn_of(f"{name}_{turn}", chance, source, self.answer))


class Source:
    """Text to quote from."""

    def __init__(self, chance: random.Random) -> None:
        folder = Path(sysconfig.get_path("stdlib"))
        texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("[a-u]*.py"))]
        self._text = "\n".join(texts)
        self._chance = chance
        self.shared = self.text(9000)

    def text(self, length: int) -> str:
        """Return a stretch from anywhere."""
        start = self._chance.randrange(len(self._text) - length)
        return self._text[start : start + length]


def _as_sent(value: Any) -> str:
    """Write JSON as httpx does, which the SDK hands its bodies to."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _around(head: dict[str, Any], sdk: bool) -> tuple[str, str]:  # noqa: FBT001 -- Agents' own
    """Write what stands before and behind the messages, with their brackets."""
    if not sdk:
        return f'{json.dumps(head)[:-1]}, "messages": [', "]}"
    limit = {"max_tokens": head["max_tokens"]}
    rest = {key: value for key, value in head.items() if key not in limit}
    return f'{_as_sent(limit)[:-1]},"messages":[', f"],{_as_sent(rest)[1:]}"


def head_of(text: str) -> dict[str, Any]:
    """Make everything besides the messages, the last system block marked."""
    tools = [
        {
            "name": name,
            "description": text[900 * at : 900 * (at + 1)],
            "input_schema": {
                "type": "object",
                "properties": {key: {"type": "string"} for key in ("path", "query", "limit")},
                "required": ["path"],
            },
        }
        for at, name in enumerate(_TOOLS)
    ]
    system = [
        {"type": "text", "text": "You are a careful agent."},
        {"type": "text", "text": text, **_MARK},
    ]
    return {"model": MODEL, "max_tokens": 8192, "system": system, "tools": tools}


def _spoil(head: dict[str, Any], at: float, chance: random.Random) -> None:
    """Make a head anew, as careless programs do for every call."""
    chance.shuffle(head["tools"])
    head["system"][0] = {"type": "text", "text": f"You are a careful agent. It is now {at}."}


def turn_of(
    name: str, chance: random.Random, source: Source, answer: int
) -> Iterator[dict[str, Any]]:
    """Make what a turn adds: an answer with one or two tool calls, and their results."""
    calls = [f"toolu_{name}_{number}" for number in range(chance.choice((1, 1, 1, 2)))]
    spoken: list[dict[str, Any]] = [{"type": "text", "text": source.text(120)}]
    spoken += [
        {
            "type": "tool_use",
            "id": call,
            "name": chance.choice(_TOOLS),
            "input": {"path": f"/src/{call}.py", "query": source.text(60)},
        }
        for call in calls
    ]
    yield {"role": "assistant", "content": spoken}
    yield {
        "role": "user",
        "content": [
            {
                "type": "tool_result",
                "tool_use_id": call,
                "content": source.text(round(chance.uniform(0.3, 1.7) * answer / len(calls))),
            }
            for call in calls
        ],
    }


def _marked(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message with a mark on its last block."""
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return {**message, "content": [*blocks[:-1], {**blocks[-1], **_MARK}]}


def _usage(read: int, length: int) -> dict[str, Any]:
    """Make a response as it looks from outside, its numbers only roughly right."""
    usage = {
        "input_tokens": 3,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": length - read - 3,
        "cache_creation": {
            "ephemeral_5m_input_tokens": length - read - 3,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": 180,
    }
    return {"id": "msg_0", "usage": usage}


def _by_time(begun: Iterable[Iterator[tuple[float, bytes]]]) -> Iterator[bytes]:
    """Merge conversations; only those that overlap are held at a time."""
    waiting = iter(begun)
    coming = next(waiting, None)
    following = next(coming) if coming else None
    running: list[tuple[float, bytes, Iterator[tuple[float, bytes]]]] = []
    while running or following:
        if following and (not running or following[0] <= running[0][0]):
            assert coming is not None
            running.append((*following, coming))
            coming = next(waiting, None)
            following = next(coming) if coming else None
        else:
            _, line, more = running.pop(0)
            yield line
            after = next(more, None)
            if after is not None:
                running.append((*after, more))
        running.sort(key=lambda entry: entry[0])


def written(agents: Agents, path: Path, *, most: int | None = None) -> int:
    """Write a log, up to a number of bytes; return how many."""
    size = 0
    with path.open("wb") as stream:
        for line in agents.lines():
            size += stream.write(line + b"\n")
            if most is not None and size >= most:
                break
    return size
