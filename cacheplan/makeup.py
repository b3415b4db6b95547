"""What a block is made of: texts that a counter has to count, and tokens known without.

This file may know the kinds of block and what the service wraps them in; it knows no
tokenizer. The numbers called "recorded" are from 313 published calls with their usage
(pydantic-ai's test recordings of 2025-09 to 2026-08), after exact counts of their texts
were taken off.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar

from cacheplan import facts
from cacheplan.pictures import pdf_pages, picture_size
from cacheplan.prompt import Block, Level

__all__ = ["Makeup", "makeup", "written"]

T = TypeVar("T")

#: Tokens around a call of a tool and its result, without turn, name and values; each
#: parameter adds more. Recorded, old: 44 a pair without parameters, 53 with one, 64 with
#: two; calls side by side up to 30 more a pair. New: 28, and 37 with one.
_CALL: Final = MappingProxyType({"old": 24, "new": 16})
_RESULT: Final = MappingProxyType({"old": 20, "new": 12})
_PARAMETER: Final = 10
_CALL_DOUBT: Final = 15

#: Tokens around the text of a document. Recorded: 33 to 39.
_DOCUMENT: Final = 36

#: Recorded: a tool definition is its name, description and schema as JSON, plus 1 to 5.
_TOOL: Final = 1
_TOOL_DOUBT: Final = 3

#: Tokens of the service's own tools that no page states, by the beginning of their type,
#: on the old tokenizer; recorded. The new one's are taken to be as much longer as other
#: tools' definitions are (1.3, the ratio for tool schemas).
_SERVER_TOOLS: Final = MappingProxyType(
    {
        "code_execution_2025": 1300,
        "code_execution_2026": 1740,
        "memory_": 1068,
        "tool_search_tool_": 200,
        "web_fetch_": 525,
        "web_search_": 1710,
    }
)
_SERVER_TOOL_GROWTH: Final = 1.3
#: What a tool that stands nowhere may be: those that stand somewhere have 200 to 6,600.
_UNKNOWN_TOOL: Final = 1000

#: A signature holds the whole thinking, sealed, also where the text is a summary or left
#: out: three quarters of its characters, less 174 to 255, are the thinking's bytes
#: (recorded on six models, against ``thinking_tokens``: 0.22 to 0.45 tokens a byte).
_SEAL: Final = 200
_SEAL_SPREAD: Final = 60
_SEALED_TOKENS: Final = 0.28

#: Keys that hold text sealed by the service; their tokens follow their length.
_SEALED_KEYS: Final = frozenset({"encrypted_content", "encrypted_stdout", "encrypted_index"})

#: A recorded picture was off its rule by 2 to 5 tokens, 18 once.
_PICTURE_DOUBT: Final = 6
#: Pages of a document nobody can see: a guess, and as wide a doubt.
_UNSEEN_PAGES: Final = 2
#: A page is shown as a picture of about this shape (recorded: 1,560 tokens a page).
_PAGE_SIZE: Final = (1224, 1584)


@dataclass(slots=True)
class Makeup:
    """What a counter needs to know about one block."""

    generation: Literal["old", "new"]
    texts: list[str] = field(default_factory=list)
    tokens: float = 0
    doubt: float = 0
    #: Whether some of those tokens are a guess and not a rule.
    guessed: bool = False

    def add(self, tokens: float, doubt: float = 0, *, guessed: bool = False) -> None:
        """Put in tokens that need no counting."""
        self.tokens += tokens
        self.doubt += doubt
        self.guessed |= guessed

    def guess(self, low: float, high: float) -> None:
        """Put in tokens of which only the bounds are known."""
        self.add((low + high) / 2, (high - low) / 2, guessed=True)

    def write(self, *texts: Any) -> None:
        """Put in texts that need counting; what is no text, or empty, is left out."""
        self.texts += [text for text in texts if isinstance(text, str) and text]

    def put(self, body: Any) -> None:
        """Put in a block (or text) that stands inside another."""
        if isinstance(body, str):
            self.write(body)
        elif isinstance(body, Mapping):
            kind = str(body.get("type", ""))
            _KINDS.get(kind, _unknown)(self, body)
        elif isinstance(body, list | tuple):
            for part in body:
                self.put(part)


def makeup(block: Block, generation: Literal["old", "new"]) -> Makeup:
    """Take a block apart."""
    made = Makeup(generation)
    definition = block.level is Level.TOOLS or (
        block.level is Level.SYSTEM and block.kind != "text"
    )
    (_tool if definition else _KINDS.get(block.kind, _unknown))(made, block.body)
    return made


def written(value: Any) -> str:
    """Write JSON as the service shows it to the model: a blank after comma and colon."""
    return _WRITER.encode(value)


#: Made once: ``json.dumps`` makes one a call, which takes longer than a short input.
_WRITER: Final = json.JSONEncoder(ensure_ascii=False, default=str)


def _tool(made: Makeup, body: Mapping[str, Any]) -> None:
    """A definition the user wrote, or the name of a tool whose definition is hidden."""
    kind = str(body.get("type") or "custom")
    if kind == "custom":
        keys = ("name", "description", "input_schema", "input_examples")
        made.write(written({key: body[key] for key in keys if body.get(key) is not None}))
        made.add(_TOOL, _TOOL_DOUBT)
    elif stated := _starting(kind, facts.BUILT_IN_TOOLS):
        made.add(stated[made.generation], 0.1 * stated[made.generation])
    elif recorded := _starting(kind, _SERVER_TOOLS):
        tokens = recorded * (_SERVER_TOOL_GROWTH if made.generation == "new" else 1)
        made.add(tokens, 0.25 * tokens, guessed=True)
    else:
        made.guess(0, 2 * _UNKNOWN_TOOL)


def _starting(kind: str, table: Mapping[str, T]) -> T | None:
    """Look a dated type up by its beginning."""
    return next((row for start, row in table.items() if kind.startswith(start)), None)


def _text(made: Makeup, body: Mapping[str, Any]) -> None:
    """Text, and what a compaction left of a conversation."""
    made.put(body.get("text") or body.get("content"))


def _thinking(made: Makeup, body: Mapping[str, Any]) -> None:
    """Thinking counts whole, of which the text may show a part or nothing."""
    text = str(body.get("thinking") or "")
    made.write(text)
    seal = len(str(body.get("signature") or body.get("data") or ""))
    unseen = 0.75 * seal - _SEAL - len(text.encode(errors="replace"))
    if unseen > _SEAL_SPREAD or (seal and not text):
        tokens = max(unseen, 0) * _SEALED_TOKENS
        made.add(tokens, 0.4 * tokens + _SEAL_SPREAD * _SEALED_TOKENS, guessed=True)


def _tool_use(made: Makeup, body: Mapping[str, Any]) -> None:
    """A call: the tool's name and its values, in a frame the service draws."""
    values = body.get("input")
    made.write(body.get("name"), written(values if values is not None else {}))
    parameters = len(values) if isinstance(values, Mapping) else 0
    made.add(_CALL[made.generation] + _PARAMETER * min(parameters, 20), _CALL_DOUBT)


def _tool_result(made: Makeup, body: Mapping[str, Any]) -> None:
    """A result: whatever the tool gave back, in its frame."""
    made.put(body.get("content"))
    made.add(_RESULT[made.generation], _CALL_DOUBT)


def _image(made: Makeup, body: Mapping[str, Any]) -> None:
    """A picture costs its area, which only base64 shows; else it is anything up to the most."""
    tier: Literal["standard", "high"] = "high" if made.generation == "new" else "standard"
    source = body.get("source")
    data = source.get("data") if isinstance(source, Mapping) else None
    size = picture_size(data) if isinstance(data, str) else None
    if size:
        made.add(facts.image_tokens(*size, tier), _PICTURE_DOUBT)
    else:
        made.guess(0, facts.image_tokens(10_000, 10_000, tier))


def _document(made: Makeup, body: Mapping[str, Any]) -> None:
    """A document is text, blocks, or pages that are shown as pictures besides."""
    made.write(body.get("title"), body.get("context"))
    made.add(_DOCUMENT, 5)
    source = body.get("source")
    if not isinstance(source, Mapping):
        return
    kind, data = source.get("type"), source.get("data")
    if kind == "text":
        made.write(data)
    elif kind == "content":
        made.put(source.get("content"))
    elif kind == "base64" and isinstance(data, str):
        _pages(made, *pdf_pages(data))
    else:
        _pages(made, _UNSEEN_PAGES, seen=False)


def _pages(made: Makeup, pages: int, seen: bool) -> None:  # noqa: FBT001 -- pdf_pages' own pair
    """Pages cost their picture and their text.

    The documentation states 1,500 to 3,000 tokens of text a page; recorded pages had 10
    and 1,100, so the band begins at nothing.
    """
    tier: Literal["standard", "high"] = "high" if made.generation == "new" else "standard"
    picture, most = facts.image_tokens(*_PAGE_SIZE, tier), facts.PDF_PAGE_TEXT[1]
    if seen:
        made.guess(pages * picture, pages * (picture + most))
    else:
        made.guess(0, pages * (2 * picture + most))


def _search_result(made: Makeup, body: Mapping[str, Any]) -> None:
    """A search result of the user's own: where it is from, its title, its text."""
    made.write(body.get("source"), body.get("title"))
    made.put(body.get("content"))
    made.add(_DOCUMENT, _CALL_DOUBT, guessed=True)


def _server_result(made: Makeup, body: Mapping[str, Any]) -> None:
    """What a tool of the service's own gave back, in the same frame as any result."""
    made.write(written(_plain(made, body.get("content"))))
    made.add(_RESULT[made.generation], _CALL_DOUBT, guessed=True)


def _unknown(made: Makeup, body: Mapping[str, Any]) -> None:
    """A kind that stands nowhere costs about what its JSON does."""
    made.write(written(_plain(made, body)))
    made.add(0, _CALL_DOUBT, guessed=True)


def _plain(made: Makeup, value: Any) -> Any:
    """Return JSON without what is no text of its own: pictures, pages, seals, marks."""
    if isinstance(value, Mapping):
        if value.get("type") in ("image", "document"):
            made.put(value)
            return ""
        return {
            key: _sealed(made, part) if key in _SEALED_KEYS else _plain(made, part)
            for key, part in value.items()
            if key != "cache_control"
        }
    return [_plain(made, part) for part in value] if isinstance(value, list | tuple) else value


def _sealed(made: Makeup, value: Any) -> str:
    """Count what is sealed by its length alone."""
    tokens = 0.75 * len(str(value)) * _SEALED_TOKENS
    made.add(tokens, 0.5 * tokens, guessed=True)
    return ""


#: By kind of block; kinds that are missing count as their JSON.
_KINDS: Final[Mapping[str, Callable[[Makeup, Mapping[str, Any]], None]]] = MappingProxyType(
    {
        "text": _text,
        "compaction": _text,
        "thinking": _thinking,
        "redacted_thinking": _thinking,
        "tool_use": _tool_use,
        "server_tool_use": _tool_use,
        "mcp_tool_use": _tool_use,
        "tool_result": _tool_result,
        "mcp_tool_result": _tool_result,
        "image": _image,
        "document": _document,
        "search_result": _search_result,
        "web_search_tool_result": _server_result,
        "web_fetch_tool_result": _server_result,
        "advisor_tool_result": _server_result,
        "code_execution_tool_result": _server_result,
        "bash_code_execution_tool_result": _server_result,
        "text_editor_code_execution_tool_result": _server_result,
        "tool_search_tool_result": _server_result,
        "custom": _tool,
        "tool": _tool,
    }
)
