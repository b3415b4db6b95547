"""The same tools in another order: the prompt differs from its first block on.

What: calls to one model define exactly the same tools, but not always in the same order.

Why: tools come first in the prompt, so another order leaves nothing to read: tools,
system and messages are written anew, at 12.5 times the price of reading them. The calls
that fail cost $0.0210, those that pass $0.0133.

Fails: tools come out of a set, or from servers that answer in any order.

```json
{"times": 4, "every": 60, "at": 0, "request": {"tools": [
    {"name": "fetch", "description": "[1500 tokens of pages]", "input_schema": {}},
    {"name": "search", "description": "[1500 tokens of words]", "input_schema": {},
     "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "Question #?"}]}}
{"times": 4, "every": 60, "at": 30, "request": {"tools": [
    {"name": "search", "description": "[1500 tokens of words]", "input_schema": {}},
    {"name": "fetch", "description": "[1500 tokens of pages]", "input_schema": {},
     "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "And #?"}]}}
```

Passes: the same tools, sorted by name in every call.

```json
{"times": 8, "every": 30, "at": 0, "request": {"tools": [
    {"name": "fetch", "description": "[1500 tokens of pages]", "input_schema": {}},
    {"name": "search", "description": "[1500 tokens of words]", "input_schema": {},
     "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "Question #?"}]}}
```

Remedy: sort the tools by name before sending them. The model then reads them in another
order in some calls, so the fix is not safe.

Severity: warning, since every change of order is paid for. Confidence is high: the
definitions are compared in full, and are equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from cacheplan.arrangement import Part, arranged
from cacheplan.edits import Edit
from cacheplan.finding import Example, Finding, Fix, Severity
from cacheplan.lanes import kind_of
from cacheplan.pins import precedences
from cacheplan.prefixes import SETTINGS
from cacheplan.prompt import Level, Place
from cacheplan.subject import Subject
from cacheplan.units import Heads, Unit
from cacheplan.workload import Call

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP003"
SEVERITY: Severity = "warning"
NEEDS: Final = frozenset({"tools"})

#: Names of tools as they stand; where nobody knows a name, the digest in its place.
_Order = tuple[str, ...]


def check(subject: Subject) -> Iterator[Finding]:
    """Look for sets of tools that stand in more than one order."""
    sets: dict[tuple[str, _Order], dict[_Order, list[Call]]] = {}
    names: dict[bytes, str] = {}
    known: dict[int, _Order] = {}
    for call in subject.workload:
        end = subject.tree.tools_end[call.tip]
        if end not in known:
            known[end] = _order(subject, call, names)
        order = known[end]
        if len(order) > 1:
            # Labels are left out: features that send the same tools could share them.
            key = kind_of(call)[0], tuple(sorted(order))
            sets.setdefault(key, {}).setdefault(order, []).append(call)
    for (_, tools), orders in sets.items():
        if len(orders) > 1:
            yield _finding(subject, tools, orders, names)


def _order(subject: Subject, call: Call, names: dict[bytes, str]) -> _Order:
    """Return a call's tools as they stand, and note their names."""
    tree = subject.tree
    nodes = [node for node in subject.head(call) if tree.level[tree.block[node]] is Level.TOOLS]
    digests = [tree.digest[tree.block[node]] for node in nodes]
    for digest, node in zip(digests, nodes, strict=True):
        names[digest] = str((subject.body(node) or {}).get("name") or digest.hex())
    return tuple(names[digest] for digest in digests)


def _finding(
    subject: Subject,
    tools: _Order,
    orders: Mapping[_Order, Sequence[Call]],
    names: Mapping[bytes, str],
) -> Finding:
    """Say where the orders part, and how often each comes."""
    first, second, *_ = orders
    at = next(at for at, (a, b) in enumerate(zip(first, second, strict=True)) if a != b)
    calls = [call for users in orders.values() for call in users]
    kinds = [kind_of(call) for call in calls]
    best = _pinned(subject, tools, first)
    far = "" if best == tools else ", as far as the pins allow"
    return Finding(
        rule="tools-reordered",
        code=CODE,
        severity=SEVERITY,
        place=Place(level=Level.TOOLS, index=at),
        lane=max(dict.fromkeys(kinds), key=kinds.count),
        lanes=tuple(dict.fromkeys(kinds)),
        about=" ".join(tools),
        calls=len(calls),
        message=(
            f"the same {len(tools)} tools stand in {len(orders)} orders in {len(calls)} calls,"
            " so calls with different orders share nothing"
        ),
        examples=tuple(
            Example(orders[order][0].number, orders[order][0].id, order[at])
            for order in (first, second)
        ),
        fix=Fix(
            safe=False,
            what=(f"sort the tools by name{far}; the model reads them in that order in every call"),
            edit=Edit(head=_sorter(best, names), models=frozenset(model for model, _ in kinds)),
        ),
    )


def _pinned(subject: Subject, tools: _Order, first: _Order) -> _Order:
    """Return tools sorted by name in the order that pins allow; ``tools`` are so already.

    A place means the tool that stands there in the first call. The same tools in every call
    stay, whichever comes first.
    """
    blocks = [(Place(level=Level.TOOLS, index=first.index(name)), {"name": name}) for name in tools]
    order = arranged([Part(name, 1, 1) for name in tools], precedences(subject.pins, blocks))
    return tuple(tools[at] for at in order)


def _sorter(tools: _Order, names: Mapping[bytes, str]) -> Heads:
    """Return what puts these tools in order, where a head has exactly these."""
    ranks = {name: rank for rank, name in enumerate(tools)}

    def head(units: Sequence[Unit]) -> tuple[list[Unit], list[Unit]]:
        own = [one for one in units if one.level is Level.TOOLS and one.kind != SETTINGS]
        if {names.get(one.digest) for one in own} != ranks.keys():
            return list(units), []
        own.sort(key=lambda one: (ranks[names[one.digest]], one.digest))
        at = iter(own)
        moves = [one.level is Level.TOOLS and one.kind != SETTINGS for one in units]
        return [next(at) if moved else one for one, moved in zip(units, moves, strict=True)], []

    return head
