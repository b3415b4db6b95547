"""What a line says of its prompt from outside, and where that places the prompt.

Both forms of a prompt, bodies and digests, ask the same here: which calls can share with
this one, and where the mark lands that stands outside all blocks.
"""

from __future__ import annotations

from bisect import insort
from typing import NamedTuple

from cacheplan import facts
from cacheplan.assumptions import Assumptions
from cacheplan.prefixes import PrefixTree, Scope
from cacheplan.prices import Tariff
from cacheplan.prompt import Block, Breakpoint, Lifetime
from cacheplan.validity import mismatch_words, number_words

__all__ = ["Envelope", "Sent", "place_automatic", "scope_of"]


class Envelope(NamedTuple):
    """What a line says of its request from outside."""

    platform: str = "anthropic"
    surface: str = "messages"
    workspace: str = ""
    at: float | None = None
    #: Stands in for the model the body names.
    model: str | None = None
    #: Stands for tools or a system prompt that the body's source does not show.
    front: Block | None = None


class Sent(NamedTuple):
    """One body, taken apart."""

    tip: int
    tariff: Tariff
    marks: tuple[Breakpoint, ...]
    automatic: Lifetime | None
    closing: int
    refused: str | None


def scope_of(name: str, envelope: Envelope, assume: Assumptions) -> Scope:
    """Say within what calls of this kind share; a region is a service of its own."""
    found = facts.find(name)
    model = name if found is None else "@".join(filter(None, (found.model.id, found.region)))
    within = facts.isolation(envelope.platform, envelope.at, assume)
    shared = "" if within == "organization" else envelope.workspace
    return Scope(model, envelope.platform, envelope.surface, shared)


def place_automatic(
    tree: PrefixTree, automatic: Lifetime, node: int, marks: list[Breakpoint]
) -> str | None:
    """Add the top-level mark where the service would; return its words if it would not."""
    if len(marks) >= facts.BREAKPOINTS:
        return number_words(len(marks) + 1)
    target = tree.markable(node)
    for marked, lifetime_ in marks:
        if marked == target:
            return None if lifetime_ is automatic else mismatch_words(automatic, lifetime_)
    if target >= 0:
        # A mark may stand further on, on a block that should not carry one.
        insort(marks, Breakpoint(target, automatic))
    return None
