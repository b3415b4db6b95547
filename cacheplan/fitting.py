"""What of the wanted marks a body can take: what is refused, too short, or has no slot.

Each mark that is left out is said with its reason. This file may know the limits of the
service and the marks a body carries; where marks pay it does not know.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from cacheplan import facts
from cacheplan.decision import Placed
from cacheplan.envelopes import Sent
from cacheplan.generation import Chosen
from cacheplan.guesses import DOUBT
from cacheplan.marked import marks_of
from cacheplan.marking import lengthened
from cacheplan.places import is_tail
from cacheplan.plan import longer
from cacheplan.prefixes import PrefixTree
from cacheplan.prompt import Breakpoint, Level, Lifetime
from cacheplan.tokens import reaches

__all__ = [
    "Dropped",
    "Limits",
    "beside",
    "in_written_order",
    "may_be_short",
    "names",
    "permitted",
    "too_short",
    "without_tails",
]

#: Which rule, and why its mark is left out.
Dropped = list[tuple[str, str]]
_LONG, _SHORT = Lifetime.ONE_HOUR, Lifetime.FIVE_MINUTES


#: One tool that is marked is in order with itself.
_TWO: Final = 2
#: A prompt of more messages is looked at whatever its length: its frames alone may count.
_FEW: Final = 16
#: Tokens that so few messages may have around them, the system prompt's included.
_FRAMES: Final = 100
#: Bytes that a character has at the most.
_WIDEST: Final = 4


class Limits(NamedTuple):
    """What holds for the calls of one kind."""

    #: The shortest prefix that is cached; ``None`` where nobody knows.
    minimum: int | None
    #: Whether an hour may be asked for.
    hours: bool
    #: Tokens a byte, at a guess; ``None`` where nobody knows the model.
    per_byte: float | None = None


def permitted(
    tree: PrefixTree,
    chosen: Iterable[Chosen],
    limits: Limits,
    barred: Collection[str],
    dropped: Dropped,
) -> list[Chosen]:
    """Leave out what was refused before or is surely too short; shorten where it must be."""
    minimum = limits.minimum
    kept = []
    for each in chosen:
        node, lifetime = each.breakpoint
        if each.rule in barred:
            dropped.append((each.rule, "the service refused this mark before"))
        elif minimum and reaches(tree.tokens[node], tree.doubt[node], minimum) == "no":
            dropped.append((each.rule, f"shorter than the {minimum:,} tokens it takes"))
        elif lifetime is _LONG and not limits.hours:
            kept.append(each._replace(breakpoint=Breakpoint(node, _SHORT)))
        else:
            kept.append(each)
    return kept


def without_tails(chosen: Iterable[Chosen], dropped: Dropped) -> list[Chosen]:
    """Leave out marks on the end of a call that only fills the cache: it is a placeholder."""
    kept = []
    for each in chosen:
        if is_tail(each.rule):
            dropped.append((each.rule, "the end of a call that only fills the cache"))
        else:
            kept.append(each)
    return kept


def beside(
    body: Mapping[str, Any], sent: Sent, chosen: Sequence[Chosen], dropped: Dropped
) -> list[Chosen]:
    """Fit marks between those of the caller: in the slots left, in the order of lifetimes.

    Of too many the earliest go, as in a plan. A lifetime follows its neighbours: an hour
    before an hour, 5 minutes behind 5 minutes.
    """
    slots = facts.BREAKPOINTS - len(list(marks_of(body))) - (sent.automatic is not None)
    taken = {node for node, _ in sent.marks}
    kept: list[Chosen] = []
    for each in reversed(chosen):
        node, lifetime = each.breakpoint
        if node in taken:
            continue
        before = [theirs for at, theirs in sent.marks if at < node]
        behind = [theirs for at, theirs in sent.marks if at > node]
        if _LONG in behind and _SHORT in before:
            dropped.append((each.rule, "the marks around it are in no order"))
        elif len(kept) >= slots:
            dropped.append((each.rule, "no slot is left"))
        else:
            fits = longer(_LONG if _LONG in behind else None, lifetime)
            fits = _SHORT if _SHORT in before else fits
            kept.append(each._replace(breakpoint=Breakpoint(node, fits)))
    return kept[::-1]


def in_written_order(marks: dict[int, Placed]) -> dict[int, Placed]:
    """Lengthen lifetimes so that they stand in order where they are written, too."""
    if sum(mark.place.level is Level.TOOLS for mark in marks.values()) < _TWO:
        return marks
    fitting = dict(lengthened((mark.place, mark.lifetime) for mark in marks.values()))
    for node, placed in marks.items():
        if placed.lifetime is not fitting[placed.place]:
            marks[node] = replace(placed, lifetime=fitting[placed.place])
    return marks


def may_be_short(body: Mapping[str, Any]) -> bool:
    """Tell whether a prompt is so plain that its length can be seen at a glance."""
    messages = body.get("messages")
    if not isinstance(messages, list) or len(messages) > _FEW:
        return False
    return not (body.get("tools") or body.get("output_config") or body.get("mcp_servers"))


def too_short(body: Mapping[str, Any], per_byte: float, minimum: int) -> bool:
    """Tell whether a prompt is plain text, and shorter than any prefix that is cached.

    By the guess and doubt that would leave out each of its marks, but without taking it
    apart: most short calls are one of their kind, and nothing is ever read of them.
    """
    if not may_be_short(body):
        return False
    messages, system = body["messages"], body.get("system")
    size = 0
    for holder in (system, *messages):
        content = holder.get("content") if isinstance(holder, dict) else holder
        for block in content if isinstance(content, list) else (content,):
            text = block
            if isinstance(block, dict):
                text = block.get("text") if block.get("type") == "text" else ()
            if isinstance(text, str):
                size += len(text) if text.isascii() else len(text) * _WIDEST
            elif text is not None:
                return False
    return size * per_byte * (1 + DOUBT) + _FRAMES < minimum


def names(complaint: str, placed: Placed) -> bool:
    """Tell whether the service's complaint names the block that a mark stands on."""
    place = placed.place
    path = f"{place.level}.{place.index}"
    if str(place.level) == "messages":
        path += f".content.{place.content or 0}"
    at = complaint.find(path)
    behind = complaint[at + len(path) : at + len(path) + 1]
    return at >= 0 and not behind.isdigit()
