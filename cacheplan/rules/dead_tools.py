"""Tools are defined in every call and called in none: they are paid for all the same.

What: of the tools that calls define, some are called in no answer that the log holds,
while others are called again and again.

Why: a definition is part of every prompt. Even read, it costs its tokens at a tenth of
the price in every call, and it fills the context; uncached, it costs all of them. The calls
that fail cost $0.0151, those that pass $0.00576.

Fails: a server's tools are all connected, of which one is used.

```json
{"times": 4, "every": 30, "at": 0, "request": {"cache_control": {"type": "ephemeral"},
  "tools": [{"name": "read", "description": "[100 tokens of files]", "input_schema": {}},
    {"name": "draw", "description": "[3000 tokens of shapes]", "input_schema": {}}],
  "messages": [{"role": "user", "content": "[100 tokens of task]"},
    {"role": "assistant", "content": [{"times": 20, "type": "tool_use", "id": "toolu_#",
      "name": "read", "input": {"path": "#.txt"}}]},
    {"role": "user", "content": [{"times": 20, "type": "tool_result",
      "tool_use_id": "toolu_#", "content": "[50 tokens of file]"}]}]}}
```

Passes: what is not used is not defined.

```json
{"times": 4, "every": 30, "at": 0, "request": {"cache_control": {"type": "ephemeral"},
  "tools": [{"name": "read", "description": "[100 tokens of files]", "input_schema": {}}],
  "messages": [{"role": "user", "content": "[100 tokens of task]"},
    {"role": "assistant", "content": [{"times": 20, "type": "tool_use", "id": "toolu_#",
      "name": "read", "input": {"path": "#.txt"}}]},
    {"role": "user", "content": [{"times": 20, "type": "tool_result",
      "tool_use_id": "toolu_#", "content": "[50 tokens of file]"}]}]}}
```

Remedy: leave the tools out, or defer loading them (``defer_loading`` with tool search),
which keeps them out of the prompt until they are asked for. The model then no longer sees
them, so the fix is not safe. Drop them for all calls at once: a set of tools that changes
is a new prompt.

Beware: a call of a tool is seen when it is sent back in a later prompt. A tool that ends
conversations, such as one that hands in the result, is called unseen and looks dead.

Severity: note, since a tool may be there for the one day it is needed. Confidence is low:
a log shows what was called, not what will be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from cacheplan.edits import Edit
from cacheplan.finding import Example, Finding, Fix, Severity
from cacheplan.lanes import LaneKey, kind_of
from cacheplan.prefixes import SETTINGS
from cacheplan.prompt import Level, Place
from cacheplan.subject import Subject
from cacheplan.units import Heads, Unit
from cacheplan.workload import Call

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP008"
SEVERITY: Severity = "note"
NEEDS: Final = frozenset({"tools", "text"})

#: Tool calls a set of tools must have seen before one without any counts as dead: were it
#: called once in seven times, the chance to see none in 20 would be 1 in 20.
SEEN = 20
#: Names shown.
SHOWN = 8


def check(subject: Subject) -> Iterator[Finding]:
    """Compare the tools of each head with what answers behind it call."""
    tree = subject.tree
    numbers: dict[str, int] = {}
    used = _used(subject, numbers)
    #: By end of the tools: the calls behind it, what they call, and how many blocks.
    calls: dict[int, list[Call]] = {}
    names: dict[int, int] = {}
    for call in subject.workload:
        end = tree.tools_end[call.tip]
        if end >= 0:
            calls.setdefault(end, []).append(call)
            names[end] = names.get(end, 0) | used[call.tip]
    counts = _counts(subject)
    alive: set[bytes] = set()
    tools = {end: _tools(subject, users[0]) for end, users in calls.items()}
    for end, own in tools.items():
        # Too little was seen to say anything of these tools, in this head or another.
        short = counts.get(end, 0) < SEEN
        for block, name in own.items():
            if short or names[end] >> numbers.get(name, len(numbers)) & 1:
                alive.add(tree.digest[block])
    groups: dict[tuple[str, frozenset[bytes]], list[int]] = {}
    for end, own in tools.items():
        dead = frozenset(tree.digest[block] for block in own) - alive
        if dead and len(dead) < len(own):
            groups.setdefault((kind_of(calls[end][0])[0], dead), []).append(end)
    for (_, dead), ends in groups.items():
        behind = [call for end in ends for call in calls[end]]
        named = {tree.digest[block]: name for block, name in tools[ends[0]].items()}
        yield _finding(subject, behind, {one: named[one] for one in named if one in dead})


def _used(subject: Subject, numbers: dict[str, int]) -> list[int]:
    """Return, by prefix, the names called in it: a bit each, by ``numbers``."""
    tree = subject.tree
    used: list[int] = []
    for node, above in enumerate(tree.parent):
        bits = used[above] if above >= 0 else 0
        if above >= 0 and tree.kind[tree.block[node]] == "tool_use":
            name = str((subject.body(node) or {}).get("name", ""))
            bits |= 1 << numbers.setdefault(name, len(numbers))
        used.append(bits)
    return used


def _counts(subject: Subject) -> dict[int, int]:
    """Return how many tool calls stand behind each set of tools, each counted once."""
    tree = subject.tree
    counts: dict[int, int] = {}
    for node, block in enumerate(tree.block):
        if block >= 0 and tree.kind[block] == "tool_use" and subject.body(node):
            end = tree.tools_end[node]
            counts[end] = counts.get(end, 0) + 1
    return counts


def _tools(subject: Subject, call: Call) -> dict[int, str]:
    """Return the names of a call's own tools by block; what the service runs is left out."""
    tree = subject.tree
    found = {}
    for node in subject.head(call):
        block = tree.block[node]
        body = subject.body(node)
        if tree.level[block] is Level.TOOLS and tree.kind[block] == "tool" and body:
            found[block] = str(body.get("name", ""))
    return found


def _finding(subject: Subject, calls: Sequence[Call], dead: Mapping[bytes, str]) -> Finding:
    """Say which tools, and how long they are."""
    tree = subject.tree
    lanes: dict[LaneKey, int] = {}
    for call in calls:
        lanes[kind_of(call)] = lanes.get(kind_of(call), 0) + 1
    first = [node for node in subject.head(calls[0]) if tree.level[tree.block[node]] is Level.TOOLS]
    places = [at for at, node in enumerate(first) if tree.digest[tree.block[node]] in dead]
    tokens = sum(subject.length(first[at]) for at in places)
    names = [*dead.values()]
    shown = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    what = "1 tool is" if len(dead) == 1 else f"{len(dead)} tools are"
    return Finding(
        rule="dead-tools",
        code=CODE,
        severity=SEVERITY,
        confidence="low",
        place=Place(level=Level.TOOLS, index=places[0]),
        lane=max(lanes, key=lambda lane: lanes[lane]),
        lanes=tuple(lanes),
        about=" ".join(sorted(names)),
        calls=len(calls),
        message=(
            f"{what} defined in {len(calls)} calls and called in no answer sent back"
            f" in them, for {tokens} tokens in each"
        ),
        examples=tuple(Example(call.number, call.id, shown) for call in calls[:2]),
        fix=Fix(
            safe=False,
            what=(
                "leave them out, or defer loading them, unless their calls end conversations and"
                " are never sent back; the model no longer sees them"
            ),
            edit=Edit(head=_without(frozenset(dead))),
        ),
    )


def _without(dead: frozenset[bytes]) -> Heads:
    """Return what drops these tools from a head."""

    def head(units: Sequence[Unit]) -> tuple[list[Unit], list[Unit]]:
        return [one for one in units if one.digest not in dead or one.kind == SETTINGS], []

    return head
