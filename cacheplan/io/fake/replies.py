"""What the imitation says: what it was told to, or else the question back.

The same body is always answered the same. This file may know what content looks like;
it knows no usage and no wire format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

__all__ = ["Content", "Reply", "Script", "blocks_of"]

#: What a test may have said: text, one block, or several.
Content = str | Mapping[str, Any] | Sequence[Mapping[str, Any]]

#: How much of a question is said back.
_ECHO: Final = 200
#: How deep an example of a schema goes; one that names itself has no bottom.
_DEPTH: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer: content, or a function from the body to content."""

    content: Content | Callable[[dict[str, Any]], Content]
    #: Left out, it follows from the content.
    stop_reason: str | None = None
    #: Members that replace those of the usage that was worked out.
    usage: Mapping[str, Any] = field(default_factory=dict)
    #: Left out, the content is counted.
    output_tokens: int | None = None
    #: How many calls it answers; ``None``: all from here on.
    times: int | None = 1


class Script:
    """Replies in the order in which they are to be said."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Reply, int | None]] = []

    def add(self, reply: Reply) -> None:
        """Say this when everything before it was said."""
        self._waiting.append((reply, reply.times))

    def next(self) -> Reply:
        """Return the reply to the next call."""
        if not self._waiting:
            return _ECHOED
        reply, left = self._waiting[0]
        if left == 1:
            del self._waiting[0]
        elif left is not None:
            self._waiting[0] = reply, left - 1
        return reply


def blocks_of(reply: Reply, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a reply to one body as blocks."""
    content = reply.content(body) if callable(reply.content) else reply.content
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if isinstance(content, Mapping):
        return [dict(content)]
    return [dict(block) for block in content]


def _echo(body: dict[str, Any]) -> Content:
    """Answer as the body asks for it: a forced tool, JSON of a schema, or the question."""
    choice = body.get("tool_choice")
    kind = choice.get("type") if isinstance(choice, Mapping) else None
    tools = [tool for tool in body.get("tools") or () if "input_schema" in tool]
    if kind == "tool":
        tools = [tool for tool in tools if tool.get("name") == choice.get("name")]  # type: ignore[union-attr]
    if kind in ("any", "tool") and tools:
        return _call(tools[0], len(body["messages"]))
    settings = body.get("output_config")
    wanted = settings.get("format") if isinstance(settings, Mapping) else None
    wanted = wanted or body.get("output_format")
    if isinstance(wanted, Mapping) and isinstance(wanted.get("schema"), Mapping):
        return _json(_example(wanted["schema"], wanted["schema"]))
    return f"You said: {_question(body)[:_ECHO]}"


_ECHOED: Final = Reply(content=_echo, times=None)


def _json(document: Any) -> str:
    """Write JSON as a model would."""
    return msgspec.json.encode(document).decode()


def _call(tool: Mapping[str, Any], turn: int) -> dict[str, Any]:
    """Call a tool with the least input that its schema allows."""
    schema = tool["input_schema"]
    return {
        "type": "tool_use",
        "id": f"toolu_{turn:024d}",
        "name": tool.get("name"),
        "input": _example(schema, schema),
    }


def _question(body: Mapping[str, Any]) -> str:
    """Return the text of the newest message that has some."""
    for message in reversed(body["messages"]):
        content = message["content"]
        if isinstance(content, str):
            return content
        texts = [block["text"] for block in content if block.get("type") == "text"]
        if texts:
            return str(texts[-1])
    return "nothing"


def _example(schema: Any, whole: Mapping[str, Any], depth: int = 0) -> Any:
    """Return the least value that a JSON schema allows, as far as it is plain."""
    if not isinstance(schema, Mapping) or depth > _DEPTH:
        return None
    inner = _elsewhere(schema, whole)
    if inner is not None:
        return _example(inner, whole, depth + 1)
    stated = [schema[key] for key in ("const", "default") if key in schema] or schema.get("enum")
    if stated:
        return stated[0]
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        needed, parts = schema.get("required") or (), schema.get("properties") or {}
        return {name: _example(parts.get(name), whole, depth + 1) for name in needed}
    if kind == "array":
        least = range(schema.get("minItems", 0))
        return [_example(schema.get("items"), whole, depth + 1) for _ in least]
    number = schema.get("minimum", 0)
    words = _FORMATS.get(schema.get("format"), "x" * schema.get("minLength", 1))
    return {"string": words, "integer": number, "number": number, "boolean": False}.get(str(kind))


#: Texts of a format that whoever reads the answer may insist on.
_FORMATS: Final[Mapping[Any, str]] = {
    "date": "2026-11-02",
    "date-time": "2026-11-02T09:00:00Z",
    "duration": "PT1S",
    "email": "somebody@example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "time": "09:00:00Z",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def _elsewhere(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Any:
    """Return the schema that stands for this one: what it refers to, or its first choice."""
    if isinstance(schema.get("$ref"), str):
        found: Any = whole
        for step in schema["$ref"].removeprefix("#").split("/")[1:]:
            found = found.get(step) if isinstance(found, Mapping) else None
        return found
    return next((schema[key][0] for key in ("anyOf", "oneOf", "allOf") if schema.get(key)), None)
