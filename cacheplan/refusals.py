"""The service's own words for the breakpoints it does not take.

Each text is the one its users have reported seeing, so that it can be searched for.
"""

from __future__ import annotations

from cacheplan.facts import BREAKPOINTS
from cacheplan.prefixes import SETTINGS, PrefixTree
from cacheplan.prompt import Level, Lifetime

__all__ = ["conflict_refusal", "order_refusal", "place_of", "slot_refusal", "target_refusal"]


def slot_refusal(found: int) -> str:
    """Too many marks."""
    return f"A maximum of {BREAKPOINTS} blocks with cache_control may be provided. Found {found}."


def conflict_refusal(automatic: Lifetime, marked: Lifetime) -> str:
    """The top-level mark falls on a block marked with another lifetime."""
    return (
        f"Top-level cache_control has ttl='{automatic}' but the target block already has"
        f" cache_control with ttl='{marked}'"
    )


def order_refusal(tree: PrefixTree, node: int) -> str:
    """A 1-hour mark stands behind a 5-minute one."""
    return (
        f"{place_of(tree, node)}.cache_control.ttl: a ttl='1h' cache_control block must not come"
        " after a ttl='5m' cache_control block. Note that blocks are processed in the following"
        " order: `tools`, `system`, `messages`."
    )


def target_refusal(tree: PrefixTree, node: int) -> str:
    """A mark stands on a block that takes none."""
    kind = tree.kind[tree.block[node]] if tree.block[node] >= 0 else SETTINGS
    if kind == "text":
        return f"{place_of(tree, node)}.text: cache_control cannot be set for empty text blocks"
    return f"{place_of(tree, node)}: cache_control cannot be set for {kind} blocks"


def place_of(tree: PrefixTree, node: int) -> str:
    """Write where the last block of a prefix stands, as the service does.

    The tree does not keep messages apart that one role sent in a row, and neither does
    the service.
    """
    level = tree.level[tree.block[node]] if tree.block[node] >= 0 else Level.TOOLS
    outer = inner = -1
    role = None
    for step in tree.path(node):
        block = tree.block[step]
        if tree.level[block] is not level or tree.kind[block] == SETTINGS:
            continue
        if level is Level.MESSAGES and tree.role[block] == role:
            inner += 1
        else:
            role, outer, inner = tree.role[block], outer + 1, 0
        if level is not Level.MESSAGES:
            role = None
    return f"{level}.{outer}" + (f".content.{inner}" if level is Level.MESSAGES else "")
