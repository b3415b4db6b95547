"""Marks written into a body and taken out of it.

Only ``cache_control`` keys change, the caller's object never does, and nothing is copied
that does not lie on the way to a mark. Marking twice is marking once.

A mark needs a block to stand on, so content given as a string becomes a list of one text
block where it is marked, and only there. That block has its ``cache_control`` before its
other keys, where nobody else puts it: by this ``unmark`` knows what ``mark`` made, and
turns it back. So ``unmark(mark(body, anything)) == unmark(body)``, and for a body without
marks that is the body itself, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from cacheplan import kinds
from cacheplan.canonical import VERBATIM
from cacheplan.errors import InputError
from cacheplan.pieces import lifetime as lifetime_of
from cacheplan.pieces import list_at, object_at
from cacheplan.prompt import Level, Lifetime, Place

__all__ = ["mark", "unmark"]

#: The keys of a block that was a string, in the order that says so.
_WAS_STRING = ["cache_control", "type", "text"]

#: A mark where none was, by its lifetime; and the keys of the levels before the messages.
_NEW = {
    Lifetime.FIVE_MINUTES: {"type": "ephemeral"},
    Lifetime.ONE_HOUR: {"type": "ephemeral", "ttl": "1h"},
}
_KEYS = {Level.TOOLS: "tools", Level.SYSTEM: "system"}

#: Why a block takes no breakpoint, as a sentence about it.
_REASONS = {
    "blank": "empty text takes no breakpoint",
    "called": "a block called by code execution is not rendered and takes no breakpoint",
    "deferred": "a deferred tool takes no breakpoint",
    "fallback": "a fallback block takes no breakpoint",
    "listing": "a tool listing takes no breakpoint",
    "thinking": "thinking takes no breakpoint; it is cached with what follows it",
}


def mark(
    body: Mapping[str, Any],
    breakpoints: Iterable[tuple[Place | Literal["automatic"], Lifetime]],
) -> dict[str, Any]:
    """Return the body with these marks added, or changed where one stood already.

    >>> body = {"messages": [{"role": "user", "content": "Hi"}]}
    >>> place = Place(level=Level.MESSAGES, index=0)
    >>> mark(body, [(place, Lifetime.FIVE_MINUTES)])["messages"][0]["content"]
    [{'cache_control': {'type': 'ephemeral'}, 'type': 'text', 'text': 'Hi'}]
    """
    marked = dict(body)
    for place, lifetime in breakpoints:
        if isinstance(place, str):
            marked["cache_control"] = _control(marked.get("cache_control"), lifetime)
        elif place.inner is not None:
            raise InputError(f"{place}: a mark stands on the outer block")
        elif place.level is Level.MESSAGES:
            _mark_message(marked, place, lifetime)
        else:
            key = _KEYS[place.level]
            marked[key] = _marked(marked.get(key), place, place.index, lifetime, (key,))
    return marked


def unmark(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body without any mark, strings that ``mark`` took apart put back."""
    clean = {key: part for key, part in body.items() if key != "cache_control"}
    try:
        if "tools" in clean:
            clean["tools"] = _clean(clean["tools"])
        if "system" in clean:
            clean["system"] = _clean(_string_back(clean["system"]))
        messages = clean.get("messages")
        if isinstance(messages, list | tuple):
            cleaned = [_clean_message(message) for message in messages]
            clean["messages"] = _unless_same(cleaned, messages)
    except RecursionError as error:
        raise InputError("this is nested too deeply") from error
    return clean


def _mark_message(marked: dict[str, Any], place: Place, lifetime: Lifetime) -> None:
    """Put a mark into a copy of one message, in a copy of the list it stands in."""
    path = ("messages", place.index)
    messages = list(list_at(marked.get("messages"), path[:1]))
    message = dict(object_at(_item(messages, place.index, path), path))
    content = message.get("content")
    number = place.content
    if number is None:
        # Written for a string; that it is a list of one by now is mark's own doing.
        number = 0
        if isinstance(content, list | tuple) and len(content) != 1:
            raise InputError("this content is no string", (*path, "content"))
    message["content"] = _marked(content, place, number, lifetime, (*path, "content"))
    messages[place.index] = message
    marked["messages"] = messages


def _marked(
    blocks: Any, place: Place, index: int, lifetime: Lifetime, path: tuple[str | int, ...]
) -> list[Any]:
    """Return a copy of a list of blocks (or of the string for one) with one marked."""
    if isinstance(blocks, str) and place.level is not Level.TOOLS:
        if index != 0:
            raise InputError("there is no such block", (*path, index))
        _refuse("blank" if kinds.blank(blocks) else "", path)
        return [{"cache_control": _control(None, lifetime), "type": "text", "text": blocks}]
    copy = list(list_at(blocks, path))
    path = (*path, index)
    block = object_at(_item(copy, index, path), path)
    if place.level is Level.TOOLS:
        _refuse("deferred" if kinds.deferred(block) else "", path)
    else:
        _refuse(kinds.refusal(block), path)
    copy[index] = {**block, "cache_control": _control(block.get("cache_control"), lifetime)}
    return copy


def _control(old: Any, lifetime: Lifetime) -> Mapping[str, Any]:
    """Return the mark for a lifetime: the old one if it says the same.

    What else stands in an old mark is kept; only its lifetime is ours to set.
    """
    if old is None:
        return dict(_NEW[lifetime])
    try:
        if lifetime_of(old) is lifetime:
            return dict(old)
        kept = dict(old or {})
    except InputError:
        kept = {}
    kept.pop("ttl", None)
    kept["type"] = "ephemeral"
    if lifetime is Lifetime.ONE_HOUR:
        kept["ttl"] = str(lifetime)
    return kept


def _item(items: list[Any], index: int, path: tuple[str | int, ...]) -> Any:
    """Return an item, or say that there is none; from the end nothing is counted."""
    if not 0 <= index < len(items):
        raise InputError("there is no such block", path)
    return items[index]


def _refuse(reason: str, path: tuple[str | int, ...]) -> None:
    """Raise if there is a reason not to mark."""
    if reason:
        raise InputError(_REASONS[reason], path)


def _clean_message(message: Any) -> Any:
    """Return a message without marks, its content a string again where it was one."""
    if not isinstance(message, Mapping):
        return message
    content = _string_back(message.get("content"))
    if isinstance(content, list | tuple):
        content = _unless_same([_clean_block(block) for block in content], content)
    if content is message.get("content") and "cache_control" not in message:
        return message
    clean = {key: part for key, part in message.items() if key != "cache_control"}
    return clean if "content" not in clean else {**clean, "content": content}


def _clean_block(block: Any) -> Any:
    """Return a block without marks; an opaque one can carry one on its outside only."""
    if isinstance(block, Mapping) and kinds.opaque(block):
        if "cache_control" not in block:
            return block
        return {key: part for key, part in block.items() if key != "cache_control"}
    return _clean(block)


def _string_back(content: Any) -> Any:
    """Return the string that ``mark`` made a list of; anything else as it is."""
    if isinstance(content, list | tuple) and len(content) == 1:
        block = content[0]
        if isinstance(block, Mapping) and list(block) == _WAS_STRING and block["type"] == "text":
            return block["text"]
    return content


def _clean(value: Any) -> Any:
    """Take marks out of a typed value at any depth; the same object if there is none.

    What the user wrote as JSON of their own is left alone: a key there that is called
    ``cache_control`` is content.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, (dict, Mapping)):
        cleaned = {
            key: part if key in VERBATIM else _clean(part)
            for key, part in value.items()
            if key != "cache_control"
        }
        if len(cleaned) == len(value) and all(cleaned[key] is value[key] for key in cleaned):
            return value
        return cleaned
    if isinstance(value, list | tuple):
        return _unless_same([_clean(part) for part in value], value)
    return value


def _unless_same(cleaned: list[Any], value: Any) -> Any:
    """Return the old list if nothing in it changed."""
    return value if all(new is old for new, old in zip(cleaned, value, strict=True)) else cleaned
