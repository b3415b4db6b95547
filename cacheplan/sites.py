"""Where in a body its prefixes end, found by counting.

A body that was just read into the tree has its blocks in the order of its path, so the
place of a prefix follows from its number on the way. Counting looks at no text. Where the
numbers do not agree, because the model is not shown some block, the two are matched by
digest instead, which reads everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cacheplan import kinds
from cacheplan.assumptions import Assumptions
from cacheplan.marking import places_of
from cacheplan.prefixes import SETTINGS, PrefixTree
from cacheplan.prompt import Level, Place

__all__ = ["sites"]

#: The first block of Claude Code's system prompt, which the service reads before caching;
#: a mark there breaks requests of that client.
_BILLING = "x-anthropic-billing-header"


def sites(
    body: Mapping[str, Any], tree: PrefixTree, tip: int, wanted: Sequence[int], assume: Assumptions
) -> dict[int, Place]:
    """Return the places where the wanted prefixes of a body end, as far as a mark may."""
    kind, block = tree.kind, tree.block
    path = [node for node in tree.path(tip) if kind[block[node]] != SETTINGS]
    found = _counted(body, path, wanted)
    if found is None:
        places = places_of(body, tree, tip, assume)
        found = {node: places[node] for node in wanted if node in places}
    return {node: place for node, place in found.items() if not _reserved(body, place)}


def _counted(
    body: Mapping[str, Any], path: Sequence[int], wanted: Sequence[int]
) -> dict[int, Place] | None:
    """Find the places by number; ``None`` where there are more blocks than prefixes."""
    head = [*_tools(body.get("tools")), *_system(body.get("system"))]
    messages = body.get("messages") or ()
    sizes = [_size(message) for message in messages]
    if len(head) + sum(sizes) != len(path):
        return None
    number = {node: at for at, node in enumerate(path)}
    found = {}
    message, before = 0, len(head)
    for node in sorted(wanted):
        at = number[node]
        if at < len(head):
            found[node] = head[at]
            continue
        while before + sizes[message] <= at:
            before += sizes[message]
            message += 1
        text = isinstance(messages[message].get("content"), str)
        inside = None if text and at == before else at - before
        found[node] = Place(level=Level.MESSAGES, index=message, content=inside)
    return found


def _tools(tools: Any) -> list[Place]:
    """Return the places of tools in the order of the prompt: those of the web come last."""
    shown = [(at, tool) for at, tool in enumerate(tools or ()) if not kinds.deferred(tool)]
    shown.sort(key=lambda pair: kinds.web(pair[1]))
    return [Place(level=Level.TOOLS, index=at) for at, _ in shown]


def _system(system: Any) -> list[Place]:
    """Return the places of system blocks; a string is one, and an empty one none."""
    number = int(bool(system)) if isinstance(system, str) else len(system or ())
    return [Place(level=Level.SYSTEM, index=at) for at in range(number)]


def _size(message: Mapping[str, Any]) -> int:
    """Return how many blocks a message has, as far as its shape tells."""
    content = message.get("content")
    number = 1 if isinstance(content, str) else len(content or ())
    own = message.get("role") == "system" and message.get("output_config")
    return number + 1 if own else number


def _reserved(body: Mapping[str, Any], place: Place) -> bool:
    """Tell whether a block is one that no client may mark."""
    if place.level is not Level.SYSTEM or place.index:
        return False
    system: Any = body.get("system")
    first = system if isinstance(system, str) else system[0].get("text")
    return str(first).startswith(_BILLING)
