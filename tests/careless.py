"""Logs written without care: every fault of a layout that a fix can mend, drawn at random."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

__all__ = ["logs", "read_by_the_model"]

#: Long enough to be cached where a token is a character.
STABLE = "Be exact and kind. " * 120
#: One that keeps thinking bound to its prefix, one that drops old thinking, one that does
#: neither.
MODELS = ("claude-opus-5-5", "claude-haiku-4-5", "claude-sonnet-5")
MARKS = ({"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"})


@st.composite
def logs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw the lines of a few conversations."""
    model = draw(st.sampled_from(MODELS))
    log = _Log(draw, model)
    lines = [line for name in range(draw(st.integers(1, 3))) for line in log.conversation(name)]
    return _Lines(sorted(lines, key=lambda line: str(line["id"])))


class _Lines(list[dict[str, Any]]):
    """Lines that are shown without what all of them say at length."""

    def __repr__(self) -> str:
        return super().__repr__().replace(STABLE, "…")


class _Log:
    """One draw."""

    def __init__(self, draw: st.DrawFn, model: str) -> None:
        self.draw = draw
        self.model = model
        self.system = draw(
            st.sampled_from(["none", "string", "list", "dated", "dated", "first", "named", "flips"])
        )
        self.tools = draw(st.sampled_from([0, 0, 1, 2]))
        self.clock = draw(st.booleans())

    def coin(self) -> bool:
        """Toss."""
        return self.draw(st.booleans())

    def conversation(self, name: int) -> Iterator[dict[str, Any]]:
        """Yield the calls of one conversation; each repeats what was said before."""
        said: list[dict[str, Any]] = []
        at = self.draw(st.sampled_from([0.0, 0.2, 30.0]))
        for turn in range(self.draw(st.integers(1, 4))):
            said = [*said, *self.turn(name, turn)]
            body = self.body(said, name, turn)
            when: float | str = at
            if self.clock:
                when = datetime.fromtimestamp(1_790_000_000 + at, tz=UTC).isoformat()
            yield {"at": when, "id": f"{turn}-{name}", "session": str(name), "request": body}
            at += self.draw(st.sampled_from([2, 20, 20, 299, 400, 4000]))

    def turn(self, name: int, turn: int) -> Iterator[dict[str, Any]]:
        """Yield what is new in a turn: a question, or a tool's use and result."""
        if turn == 0 or self.coin():
            if turn:
                yield {"role": "assistant", "content": f"Answer {turn} of {name}."}
            text = f"Question {turn} of {name}. {STABLE if self.coin() else ''}"
            yield {"role": "user", "content": self.written(text)}
            return
        thought = {"type": "thinking", "thinking": f"Hm {turn}.", "signature": "c2ln"}
        use = {"type": "tool_use", "id": f"toolu_{name}_{turn}", "name": "tool0", "input": {}}
        use["input"] = {"path": f"{turn}.txt", "limit": 5}
        yield {"role": "assistant", "content": [*([thought] if self.coin() else ()), use]}
        result = {"type": "tool_result", "tool_use_id": use["id"]}
        yield {"role": "user", "content": [result | {"content": self.written(f"Row {turn}.")}]}

    def written(self, text: str) -> Any:
        """Write a text as a string or as a list."""
        return text if self.coin() else [{"type": "text", "text": text}]

    def body(self, said: list[dict[str, Any]], name: int, turn: int) -> dict[str, Any]:
        """Return a body, its history spelled as it happens to be."""
        body: dict[str, Any] = {"model": self.model, "max_tokens": 100}
        if self.tools:
            body["tools"] = self.definitions()
        if (system := self.prompt(name, turn)) is not None:
            body["system"] = system
        body["messages"] = json.loads(json.dumps(said))
        for block in _blocks(body["messages"]):
            if block["type"] == "tool_use" and self.coin():
                block["input"] = dict(reversed(block["input"].items()))
        self.mark(body)
        return body

    def definitions(self) -> list[dict[str, Any]]:
        """Return tools in any order, with keys in any order, some of them deferred."""
        found: list[dict[str, Any]] = []
        for number in self.draw(st.permutations(range(self.tools))):
            keys = {"city": {"type": "string"}, "unit": {"type": "string"}}
            if self.coin():
                keys = dict(reversed(keys.items()))
            schema = {"type": "object", "properties": keys}
            text = f"Tool {number}. {STABLE}"
            found.append({"name": f"tool{number}", "description": text, "input_schema": schema})
        if self.coin():
            late = {"name": "late", "input_schema": {"type": "object"}, "defer_loading": True}
            found.insert(self.draw(st.integers(0, len(found))), late)
        return found

    def prompt(self, name: int, turn: int) -> Any:
        """Return a system prompt with the fault that this log has."""
        stable = {"type": "text", "text": f"Rules. {STABLE}"}
        minute = self.draw(st.integers(0, 59))
        words = self.draw(st.text("abcdefgh ", min_size=8, max_size=20))
        return {
            "none": None,
            "string": stable["text"],
            "list": [stable, {"type": "text", "text": f"Brief. {turn}"}],
            "flips": self.written(stable["text"]),
            "dated": f"Rules. {STABLE}It is 2026-11-21 10:{minute:02}.\nMore rules. {STABLE}",
            "first": [{"type": "text", "text": f"{words}."}, stable],
            "named": [stable, {"type": "text", "text": f"You work for {name}. {STABLE}"}],
        }[self.system]

    def mark(self, body: dict[str, Any]) -> None:
        """Put marks where people put them; some of them are refused."""
        places = self.draw(st.sets(st.sampled_from(["top", "system", "tools", "last", "first"])))
        control = self.draw(st.sampled_from(MARKS))
        if "top" in places:
            body["cache_control"] = control
        lists = {"system": body.get("system"), "tools": body.get("tools")}
        lists |= {"last": body["messages"][-1]["content"], "first": body["messages"][0]["content"]}
        for place in places - {"top"}:
            found = lists[place]
            if isinstance(found, list) and found:
                found[-1]["cache_control"] = control


def _blocks(messages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the blocks of all messages."""
    for message in messages:
        if isinstance(message["content"], list):
            yield from message["content"]


def read_by_the_model(body: Mapping[str, Any]) -> str:
    """Write out a prompt from top to bottom: all that it says, in its order, and no more.

    Texts that follow each other at one place are one text. What the service reads by name
    has its keys sorted; what it reads as it stands has not.
    """
    tools = [_said(tool) for tool in body.get("tools", ()) if not tool.get("defer_loading")]
    system = body.get("system", "")
    if not isinstance(system, str):
        system = "".join(block["text"] for block in system)
    parts = [*tools, system]
    for message in body["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        parts.append(message["role"] + ": ")
        parts += [one["text"] if one["type"] == "text" else _said(one) for one in blocks]
    return "".join(parts)


def _said(block: Mapping[str, Any]) -> str:
    """Write a block that is no text."""
    plain = {key: part for key, part in block.items() if key != "cache_control"}
    if plain.get("type") == "tool_result" and isinstance(plain["content"], list):
        plain["content"] = "".join(part["text"] for part in plain["content"])
    return json.dumps({key: plain[key] for key in sorted(plain)})
