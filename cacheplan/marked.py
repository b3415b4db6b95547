"""Where a body carries marks, and where the automatic one would land.

The body is walked in the service's order (``tools``, ``system``, ``messages``) without
reading what the blocks say: a call of 400 messages has four marks at most, and finding
them must not cost more than looking.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from cacheplan import kinds
from cacheplan.errors import InputError
from cacheplan.pieces import lifetime, list_at, object_at
from cacheplan.prompt import Level, Lifetime, Place

__all__ = ["Mark", "lifetimes_of", "marks_of", "target_of"]

Path = tuple[str | int, ...]
_LEVELS = {str(level): level for level in Level}
_HOLDERS = frozenset(kinds.INNER)


class Mark(NamedTuple):
    """A mark as it was found, be it allowed or not."""

    path: Path
    block: Mapping[str, Any]
    #: The value of ``cache_control``.
    control: Any
    #: Why the block takes no mark; empty where it does.
    refusal: str
    #: Stands inside another block, and not at its end: the service does not hoist it.
    lost: bool

    @property
    def place(self) -> Place:
        """The block that carries it, as a place."""
        numbers = [step for step in self.path if isinstance(step, int)]
        level = _LEVELS[str(self.path[0])]
        if level is not Level.MESSAGES:
            return Place(level=level, index=numbers[0])
        content, inner = (*numbers[1:3], None, None)[:2]
        return Place(level=level, index=numbers[0], content=content, inner=inner)

    @property
    def lifetime(self) -> Lifetime | None:
        """How long it asks for; ``None`` where it cannot be read."""
        try:
            return lifetime(self.control)
        except InputError:
            return None

    @property
    def at(self) -> str:
        """The block, in the service's spelling of a path."""
        return ".".join(map(str, self.path))

    @property
    def typed(self) -> str:
        """The same with the block's type, as in the service's complaints about form."""
        if self.path[0] == "system" or "role" in self.block:
            return self.at
        return f"{self.at}.{self.block.get('type') or 'custom'}"


def marks_of(body: Mapping[str, Any]) -> Iterator[Mark]:
    """Find the marks, in the order in which the service processes them.

    A mark on the last inner block counts for the block around it, unless that has its
    own; a mark on any other inner block is ``lost``.
    """
    for index, tool in enumerate(list_at(body.get("tools"), ("tools",))):
        if "cache_control" in object_at(tool, ("tools", index)):
            refusal = "deferred" if kinds.deferred(tool) else ""
            yield from _on_block(tool, ("tools", index), refusal)
    system = body.get("system")
    for index, block in enumerate(() if isinstance(system, str) else list_at(system, ("system",))):
        path: Path = ("system", index)
        yield from _on_block(object_at(block, path), path, kinds.refusal(block))
    called: set[str] = set()
    for index, message in enumerate(list_at(body.get("messages"), ("messages",))):
        path = ("messages", index, "content")
        content = object_at(message, path[:2]).get("content")
        if (control := message.get("cache_control")) is not None:
            yield Mark(path[:2], message, control, "message", lost=False)
        if not isinstance(content, str):
            yield from _in_message(list_at(content, path), path, called)


def lifetimes_of(body: Mapping[str, Any]) -> set[str]:
    """Return the lifetimes that a body asks for, whatever else is wrong with it.

    >>> sorted(lifetimes_of({"cache_control": {"ttl": "1h"}, "system": [{"cache_control": {}}]}))
    ['1h', '5m']
    """
    found: set[str] = set()
    pending: list[Any] = [body, *map(body.get, ("tools", "system", "messages"))]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending += item
        elif isinstance(item, Mapping):
            mark = item.get("cache_control")
            if isinstance(mark, Mapping):
                found.add(str(mark.get("ttl") or "5m"))
            pending += (item.get("content"), item.get("source"))
    return found


def _in_message(content: Any, path: Path, called: set[str]) -> Iterator[Mark]:
    """Find a message's marks, and note which tools were called by code execution."""
    for index, block in enumerate(content):
        kind = object_at(block, (*path, index)).get("type")
        if "caller" in block and kinds.called(block):
            called.add(str(block.get("id")))
        if "cache_control" in block or (isinstance(kind, str) and kind in _HOLDERS):
            answers = bool(called) and str(block.get("tool_use_id")) in called
            refusal = "called" if answers else kinds.refusal(block)
            yield from _on_block(block, (*path, index), refusal)


def _on_block(block: Mapping[str, Any], path: Path, refusal: str) -> Iterator[Mark]:
    """Find the marks of one outer block: its own, one handed up, and lost ones."""
    own = block.get("cache_control")
    if own is not None:
        yield Mark(path, block, own, refusal, lost=False)
    for inner_path, inner, last in _inner(block, path, last=True):
        control = inner.get("cache_control")
        if control is None:
            continue
        if not last:
            yield Mark(inner_path, inner, control, "", lost=True)
        elif own is None:
            yield Mark(path, block, control, refusal, lost=False)


def _inner(
    block: Mapping[str, Any], path: Path, *, last: bool
) -> Iterator[tuple[Path, Mapping[str, Any], bool]]:
    """Walk the blocks inside a block, and tell which stand at the very end of it."""
    blocks = kinds.inner(block)
    if not blocks:
        return
    path = (*path, *kinds.INNER[block["type"]])
    for index, inner in enumerate(blocks):
        if isinstance(inner, Mapping):
            at_end = last and index == len(blocks) - 1
            yield (*path, index), inner, at_end
            yield from _inner(inner, (*path, index), last=at_end)


def target_of(body: Mapping[str, Any]) -> Path | None:
    """Return the path of the last block that takes a mark, as automatic caching does.

    A string is one block, and its path is that of a list's first.
    """
    messages = list_at(body.get("messages"), ("messages",))
    for index in range(len(messages) - 1, -1, -1):
        message = object_at(messages[index], ("messages", index))
        if message.get("clear_at") == "next_user_message":
            continue
        before = messages[index - 1] if index else None
        if (found := _last(message.get("content"), before)) is not None:
            return ("messages", index, "content", found)
    if (found := _last(body.get("system"))) is not None:
        return ("system", found)
    tools = list_at(body.get("tools"), ("tools",))
    for index in range(len(tools) - 1, -1, -1):
        if not kinds.deferred(object_at(tools[index], ("tools", index))):
            return ("tools", index)
    return None


def _last(content: Any, before: Any = None) -> int | None:
    """Return the index of the last block that takes a mark."""
    if isinstance(content, str):
        return None if kinds.blank(content) else 0
    blocks = list_at(content, ())
    for index in range(len(blocks) - 1, -1, -1):
        block = object_at(blocks[index], ())
        if kinds.rendered(block) and not kinds.refusal(block) and not _unseen(block, before):
            return index
    return None


def _unseen(block: Mapping[str, Any], before: Any) -> bool:
    """Tell whether a block answers a tool that code execution called just before."""
    answered = block.get("tool_use_id")
    content = before.get("content") if answered and isinstance(before, Mapping) else None
    return isinstance(content, list | tuple) and any(
        isinstance(asked, Mapping) and asked.get("id") == answered and kinds.called(asked)
        for asked in content
    )
