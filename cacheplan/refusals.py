"""What the service says to breakpoints given as prefixes.

The words are those of ``validity``; here they get the place of a prefix's last block.
"""

from __future__ import annotations

from cacheplan.prefixes import SETTINGS, PrefixTree
from cacheplan.prompt import Level
from cacheplan.validity import number_words, order_words

#: Our words: the refusal is documented (Opus 5.5 notes, 2026-09-24), its text is not.
THINKING_REFUSAL = (
    "a thinking block is replayed after its prefix changed; it is bound to the prefix that it was"
    " made after"
)

__all__ = ["THINKING_REFUSAL", "number_refusal", "order_refusal", "place_of", "target_refusal"]


def number_refusal(found: int) -> str:
    """Too many marks."""
    return number_words(found)


def order_refusal(tree: PrefixTree, node: int) -> str:
    """A 1-hour mark stands behind a 5-minute one."""
    return order_words(f"{place_of(tree, node)}.cache_control.ttl")


def target_refusal(tree: PrefixTree, node: int) -> str:
    """A mark stands on a block that takes none."""
    block, place = tree.block[node], place_of(tree, node)
    kind = tree.kind[block] if block >= 0 else SETTINGS
    if kind == "text":
        typed = place if tree.level[block] is Level.SYSTEM else f"{place}.text"
        return f"{typed}: cache_control cannot be set for empty text blocks"
    return f"{place}.{kind}.cache_control: Extra inputs are not permitted"


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
            outer, inner = outer + 1, 0
            role = tree.role[block] if level is Level.MESSAGES else None
    return f"{level}.{outer}" + (f".content.{inner}" if level is Level.MESSAGES else "")
