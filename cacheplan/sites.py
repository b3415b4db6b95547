"""Where in a body its prefixes end, found by counting.

A body that was just read into the tree has its blocks in the order of its path, so the
place of a prefix follows from its number on the way. Counting looks at no text. Where a
body is not so simple, because the model is not shown some block, the two are matched by
digest instead, which reads everything.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

from cacheplan import kinds
from cacheplan.assumptions import Assumptions
from cacheplan.marking import places_of
from cacheplan.prefixes import SETTINGS, PrefixTree
from cacheplan.prompt import Level, Place
from cacheplan.turns import Reading

__all__ = ["sites"]

#: The first block of Claude Code's system prompt, which the service reads before caching;
#: a mark there breaks requests of that client.
_BILLING = "x-anthropic-billing-header"


def sites(
    body: Mapping[str, Any], tree: PrefixTree, reading: Reading, wanted: Sequence[int],
    assume: Assumptions,
) -> dict[int, Place]:  # fmt: skip
    """Return the places where the wanted prefixes of a body end, as far as a mark may."""
    found: dict[int, Place | None] = {}
    ends = reading.ends
    for node in wanted if ends is not None else ():
        if tree.level[tree.block[node]] is Level.MESSAGES:
            found[node] = _in_messages(body["messages"], tree, ends or (), node)
        else:
            if node not in reading.places:
                reading.places.update(_before_messages(body, tree, reading.sent.tip))
            found[node] = reading.places[node]
    if ends is None or None in found.values():
        by_digest = places_of(body, tree, reading.sent.tip, assume)
        found = {node: by_digest.get(node) for node in wanted}
    return {node: at for node, at in found.items() if at is not None and not _reserved(body, at)}


def _in_messages(
    messages: Sequence[Any], tree: PrefixTree, ends: Sequence[int], node: int
) -> Place | None:
    """Return where a prefix ends that ends in a message; ``None`` where counting fails."""
    index = bisect_left(ends, node)
    message, before = messages[index], ends[index - 1] if index else -1
    inside = blocks = 0
    above = ends[index]
    while above != before and _spoken(tree, above):
        blocks += 1
        inside += above < node
        above = tree.parent[above]
    content = message["content"]
    whole = 1 if isinstance(content, str) else len(content)
    whole += message["role"] == "system" and bool(message.get("output_config"))
    if blocks != whole:
        return None
    place = None if isinstance(content, str) else inside
    return Place(level=Level.MESSAGES, index=index, content=place)


def _spoken(tree: PrefixTree, node: int) -> bool:
    """Tell whether a prefix ends in a block of the messages; a root ends nowhere."""
    block = tree.block[node]
    return block >= 0 and tree.level[block] is Level.MESSAGES and tree.kind[block] != SETTINGS


def _before_messages(body: Mapping[str, Any], tree: PrefixTree, tip: int) -> dict[int, Place]:
    """Return where the prefixes end that hold no message."""
    head = max(tree.tools_end[tip], tree.system_end[tip])
    path = [node for node in tree.path(head) if tree.kind[tree.block[node]] != SETTINGS]
    places = [*_tools(body.get("tools")), *_system(body.get("system"))]
    return dict(zip(path, places, strict=True))


def _tools(tools: Any) -> list[Place]:
    """Return the places of tools in the order of the prompt: those of the web come last."""
    shown = [(at, tool) for at, tool in enumerate(tools or ()) if not kinds.deferred(tool)]
    shown.sort(key=lambda pair: kinds.web(pair[1]))
    return [Place(level=Level.TOOLS, index=at) for at, _ in shown]


def _system(system: Any) -> list[Place]:
    """Return the places of system blocks; a string is one, and an empty one none."""
    number = int(bool(system)) if isinstance(system, str) else len(system or ())
    return [Place(level=Level.SYSTEM, index=at) for at in range(number)]


def _reserved(body: Mapping[str, Any], place: Place) -> bool:
    """Tell whether a block is one that no client may mark."""
    if place.level is not Level.SYSTEM or place.index:
        return False
    system: Any = body.get("system")
    first = system if isinstance(system, str) else system[0].get("text")
    return str(first).startswith(_BILLING)
