"""A tool's input is replayed with its keys in another order: the turns behind it are lost.

What: one ``tool_use`` block (the same id, the same values) stands in several calls with
the keys of its input in different orders.

Why: the order of keys is part of what is cached, so from that block on the conversation
is written again instead of read, at 12.5 times the price. The calls that fail cost $0.0302,
those that pass $0.0163.

Fails: the conversation went through a map that has no order before it was sent again.

```json
{"at": 0, "request": {"cache_control": {"type": "ephemeral"}, "messages": [
  {"role": "user", "content": "[2000 tokens of task]"},
  {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "read",
    "input": {"path": "a.txt", "limit": 5}}]},
  {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1",
    "content": "[4000 tokens of file]"}]}]}}
{"at": 20, "request": {"cache_control": {"type": "ephemeral"}, "messages": [
  {"role": "user", "content": "[2000 tokens of task]"},
  {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "read",
    "input": {"limit": 5, "path": "a.txt"}}]},
  {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1",
    "content": "[4000 tokens of file]"}]},
  {"role": "assistant", "content": "Done."},
  {"role": "user", "content": "Thanks. And then?"}]}}
```

Passes: the input is sent back as it came.

```json
{"at": 0, "request": {"cache_control": {"type": "ephemeral"}, "messages": [
  {"role": "user", "content": "[2000 tokens of task]"},
  {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "read",
    "input": {"path": "a.txt", "limit": 5}}]},
  {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1",
    "content": "[4000 tokens of file]"}]}]}}
{"at": 20, "request": {"cache_control": {"type": "ephemeral"}, "messages": [
  {"role": "user", "content": "[2000 tokens of task]"},
  {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "read",
    "input": {"path": "a.txt", "limit": 5}}]},
  {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1",
    "content": "[4000 tokens of file]"}]},
  {"role": "assistant", "content": "Done."},
  {"role": "user", "content": "Thanks. And then?"}]}}
```

Remedy: keep the answer's JSON as text, or sort the keys the first time it is sent back.
The model then reads its own call in another order than it wrote it, so the fix is not safe.

Severity: warning, since every such turn pays. Confidence is high: the service documents
that the order of keys in these blocks breaks what is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from cacheplan.edits import Edit
from cacheplan.finding import Example, Finding, Fix, Severity
from cacheplan.lanes import LaneKey, users_of
from cacheplan.subject import Subject
from cacheplan.units import Unit, remade
from cacheplan.witness import place_at
from cacheplan.workload import Call

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP005"
SEVERITY: Severity = "warning"
NEEDS: Final = frozenset({"text"})

#: Kinds whose input is JSON of the model's own.
_USES = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})

#: By digest of a block that stands in several orders: all of them, by digest.
_Orders = Mapping[bytes, Mapping[bytes, Mapping[str, Any]]]


def check(subject: Subject) -> Iterator[Finding]:
    """Look for blocks that are equal but for the order of keys."""
    tree = subject.tree
    same: dict[str, dict[bytes, Mapping[str, Any]]] = {}
    seen: set[int] = set()
    for node in range(len(tree)):
        block = tree.block[node]
        if block < 0 or block in seen or tree.kind[block] not in _USES:
            continue
        seen.add(block)
        body = subject.body(node)
        if body is not None:
            same.setdefault(json.dumps(body, sort_keys=True), {})[tree.digest[block]] = body
    orders = {one: bodies for bodies in same.values() if len(bodies) > 1 for one in bodies}
    if orders:
        yield from _findings(subject, orders)


class _Group(NamedTuple):
    """Lanes that replay the same blocks in several orders."""

    lanes: list[LaneKey]
    #: Calls behind such a block, and by order of a block that is the first on their way: the
    #: prefix that ends with it, and the first call there.
    calls: list[Call]
    inside: dict[bytes, tuple[int, Call]]
    #: Every order of every such block in these lanes.
    own: set[bytes]


def _findings(subject: Subject, orders: _Orders) -> Iterator[Finding]:
    """Yield a finding for each lane with such blocks, or for several that share them."""
    tree = subject.tree
    #: By prefix: the first block on the way here that stands in several orders.
    first: list[int] = []
    for node, above in enumerate(tree.parent):
        found = first[above] if above >= 0 else -1
        if found < 0 <= above and tree.digest[tree.block[node]] in orders:
            found = node
        first.append(found)
    owned = _owned(subject, orders)
    groups: list[_Group] = []
    for lane, calls in subject.lanes.items():
        behind = [call for call in calls if first[call.tip] >= 0]
        inside = {
            tree.digest[tree.block[first[call.tip]]]: (first[call.tip], call)
            for call in reversed(behind)
        }
        if not _replayed(inside, orders):
            continue
        group = _Group([lane], behind, inside, owned[lane])
        for other in [one for one in groups if not one.own.isdisjoint(group.own)]:
            # Lanes that share a conversation have one finding, or its price counts twice.
            groups.remove(other)
            group = _Group(
                other.lanes + group.lanes,
                other.calls + group.calls,
                group.inside | other.inside,
                other.own | group.own,
            )
        groups.append(group)
    for group in groups:
        yield _finding(subject, group, orders)


def _owned(subject: Subject, orders: _Orders) -> dict[LaneKey, set[bytes]]:
    """Return which of these blocks stand in the prompts of each lane."""
    tree, users = subject.tree, users_of(subject.tree, subject.lanes.values())
    found: dict[LaneKey, set[bytes]] = {lane: set() for lane in subject.lanes}
    for node, above in enumerate(tree.parent):
        if above >= 0 and tree.digest[tree.block[node]] in orders:
            for at, own in enumerate(found.values()):
                if users[node] >> at & 1:
                    own.add(tree.digest[tree.block[node]])
    return found


def _replayed(inside: Mapping[bytes, object], orders: _Orders) -> bool:
    """Say if a lane has several orders of one block; one each is nobody's loss."""
    return any(sum(other in inside for other in orders[one]) > 1 for one in inside)


def _finding(subject: Subject, group: _Group, orders: _Orders) -> Finding:
    """Say how many conversations were replayed in another order, and show two calls."""
    inside, calls = group.inside, len(group.calls)
    talks = len({min(orders[one]) for one in inside})
    one = next(one for one in inside if sum(other in inside for other in orders[one]) > 1)
    shown = [other for other in orders[one] if other in inside][:2]
    where = "1 conversation" if talks == 1 else f"{talks:,} conversations"
    return Finding(
        rule="input-key-order",
        code=CODE,
        severity=SEVERITY,
        place=place_at(subject.tree, inside[shown[0]][0]),
        lane=group.lanes[0],
        lanes=tuple(group.lanes),
        calls=calls,
        message=(
            f"the input of a tool call is sent again with its keys in another order ({where},"
            f" {calls:,} calls), so nothing from it on is shared"
        ),
        examples=tuple(
            Example(
                inside[other][1].number,
                inside[other][1].id,
                json.dumps(orders[one][other].get("input"), ensure_ascii=False),
            )
            for other in shown
        ),
        fix=Fix(
            safe=False,
            what="send every input back with sorted keys; the model wrote them in another order",
            edit=Edit(block=_sorter(subject, {own: orders[own] for own in group.own})),
        ),
    )


def _sorter(subject: Subject, orders: _Orders) -> Callable[[Unit], Unit]:
    """Return what sorts the keys of these blocks."""
    becomes: dict[bytes, dict[str, Any]] = {}
    form = subject.workload.assume.string_form

    def block(unit: Unit) -> Unit:
        bodies = orders.get(unit.digest)
        if bodies is None:
            return unit
        if unit.digest not in becomes:
            becomes[unit.digest] = json.loads(json.dumps(bodies[unit.digest], sort_keys=True))
        return remade(unit, becomes[unit.digest], string_form=form)

    return block
