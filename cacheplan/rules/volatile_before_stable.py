"""A block that is always another one stands before blocks that stay the same.

What: at one place of the system prompt nearly every conversation, or every call, has a
block of its own, and behind it stand blocks that all of them share.

Why: a prefix holds everything before it, so blocks behind one that changes are never read,
however often they are sent: they cost their full price, or even that of a write. The calls
that fail cost $0.0426, those that pass $0.0140.

Fails: what is known of a customer stands before rules that are the same for all.

```json
{"times": 5, "every": 30, "at": 0, "request": {"system": [
    {"type": "text", "text": "[400 tokens of customer#]"},
    {"type": "text", "text": "[3000 tokens of rules]",
     "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "Question #?"}]}}
```

Passes: the rules stand first, and are marked.

```json
{"times": 5, "every": 30, "at": 0, "request": {"system": [
    {"type": "text", "text": "[3000 tokens of rules]",
     "cache_control": {"type": "ephemeral"}},
    {"type": "text", "text": "[400 tokens of customer#]"}],
  "messages": [{"role": "user", "content": "Question #?"}]}}
```

Remedy: move the block behind the stable ones of the system prompt; where it changes within
a conversation, behind the messages. The model then reads it at another place, so the fix
is not safe.

Severity: warning, since every such call pays. Confidence is high: what stands behind the block
is compared in full, and is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cacheplan.edits import Edit, Heads, Unit, behind
from cacheplan.finding import Example, Finding, Fix, Severity
from cacheplan.lanes import LaneKey
from cacheplan.patterns import variation
from cacheplan.prefixes import SETTINGS
from cacheplan.prompt import Level, Place
from cacheplan.subject import Subject
from cacheplan.workload import Call

__all__ = ["CODE", "SEVERITY", "check"]

CODE = "CP002"
SEVERITY: Severity = "warning"

#: Fewer versions may be as many agents.
VERSIONS = 3
#: Texts held against the first, to see if they are one text with a span.
COMPARED = 8
#: Characters of each version shown.
SHOWN = 60


class _Spot(NamedTuple):
    """A place of the system prompt with another block nearly every time."""

    number: int
    #: By block: the first call with it.
    versions: dict[int, Call]
    #: Tokens of the blocks behind it that several versions share.
    behind: int


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each place of the system prompts of each lane."""
    reported: set[int] = set()
    for lane, calls in subject.lanes.items():
        spots = [
            spot
            for spot in _spots(subject, calls)
            if reported.isdisjoint(spot.versions) and not _spans(subject, spot)
        ]
        if not spots:
            continue
        within = _within(subject, calls, spots[0])
        spots = [spot for spot in spots if spot.behind or within]
        if spots:
            reported.update(*(spot.versions for spot in spots))
            yield _finding(subject, lane, calls, spots, within=within)


def _spots(subject: Subject, calls: Sequence[Call]) -> Iterator[_Spot]:
    """Yield the places where nearly every conversation has a block of its own."""
    tree = subject.tree
    heads: dict[tuple[int, ...], dict[int, Call]] = {}
    for call in calls:
        blocks = tuple(tree.block[node] for node in subject.head(call))
        system = tuple(block for block in blocks if tree.level[block] is Level.SYSTEM)
        heads.setdefault(system, {}).setdefault(_opening(subject, call), call)
    for index in range(max(map(len, heads))):
        versions: dict[int, Call] = {}
        behind: dict[int, set[int]] = {}
        conversations = 0
        for system, openings in heads.items():
            if len(system) > index:
                conversations += len(openings)
                versions.setdefault(system[index], next(iter(openings.values())))
                for later in system[index + 1 :]:
                    behind.setdefault(later, set()).add(system[index])
        if len(versions) >= VERSIONS and len(versions) * 2 > conversations:
            shared = [one for one, under in behind.items() if len(under) * 2 > len(versions)]
            yield _Spot(index, versions, sum(tree.size[one] for one in shared))


def _opening(subject: Subject, call: Call) -> int:
    """Return the first block of a call's messages."""
    first = -1
    for node in subject.messages(call):
        first = subject.tree.block[node]
    return first


def _spans(subject: Subject, spot: _Spot) -> bool:
    """Say if the versions are one text with a span in it, which is another rule's."""
    texts = [_text(subject, block) for block in [*spot.versions][:COMPARED]]
    return any(variation([texts[0], text]) is not None for text in texts[1:] if texts[0] and text)


def _text(subject: Subject, block: int) -> str:
    """Return the text of a block, empty where nobody knows it."""
    return str(subject.bodies.get(subject.tree.digest[block], {}).get("text") or "")


def _within(subject: Subject, calls: Sequence[Call], spot: _Spot) -> bool:
    """Say if the block changes while one conversation goes on."""
    tree = subject.tree
    found = []
    for call in calls:
        blocks = (tree.block[node] for node in subject.head(call))
        block = next((one for one in blocks if one in spot.versions), -1)
        if block >= 0:
            found.append((call, block))
    return subject.changes_within(found)


def _finding(
    subject: Subject, lane: LaneKey, calls: Sequence[Call], spots: Sequence[_Spot], *, within: bool
) -> Finding:
    """Say how often the block changes, and what stands behind it."""
    tree, spot = subject.tree, spots[0]
    versions = spot.versions
    stays = f"{spot.behind} tokens of system blocks that stay" if spot.behind else "messages"
    where = "messages" if within else "blocks of the system prompt that stay"
    moved = frozenset(tree.digest[block] for spot in spots for block in spot.versions)
    return Finding(
        rule="volatile-before-stable",
        code=CODE,
        severity=SEVERITY,
        place=Place(level=Level.SYSTEM, index=spot.number),
        lane=lane,
        about=f"system[{spot.number}]",
        calls=len(calls),
        message=(
            f"this block is another one nearly every time ({len(versions)} versions in"
            f" {len(calls)} calls), so the {stays} behind it cannot be shared"
        ),
        examples=tuple(
            Example(call.number, call.id, _text(subject, block)[:SHOWN])
            for block, call in [*versions.items()][:2]
        ),
        fix=Fix(
            safe=False,
            what=f"move it behind the {where}; the model reads it there instead",
            edit=Edit(head=_mover(moved, within=within)),
        ),
    )


def _mover(moves: frozenset[bytes], *, within: bool) -> Heads:
    """Return what moves blocks to the end of the system prompt, or behind the messages."""

    def head(units: Sequence[Unit]) -> tuple[list[Unit], list[Unit]]:
        moved = [
            one
            for one in units
            if one.digest in moves and one.level is Level.SYSTEM and one.kind != SETTINGS
        ]
        kept = [one for one in units if one not in moved]
        return (kept, [*map(behind, moved)]) if within else ([*kept, *moved], [])

    return head
