"""System prompts that are nearly the same: they could have one prefix.

What: several agents or tenants of one model send the same tools and system prompts that
differ in a small span only, and they take turns.

Why: each prompt has an entry of its own, written and kept alive by its own calls. With
the difference behind it, the common part would have one entry, kept alive by all. The
calls that fail cost $0.0188, those that pass $0.0119.

Fails: the name of a tenant stands before rules that are the same for all.

```json
{"times": 4, "every": 200, "at": 0, "request": {"system": [{"type": "text",
    "text": "You work for Initech. [3000 tokens of rules]",
    "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "Question #?"}]}}
{"times": 4, "every": 200, "at": 100, "request": {"system": [{"type": "text",
    "text": "You work for Hooli. [3000 tokens of rules]",
    "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "And #?"}]}}
```

Passes: the rules are a first block that is the same for all, the name is a second one.

```json
{"times": 4, "every": 200, "at": 0, "request": {"system": [{"type": "text",
    "text": "[3000 tokens of rules]", "cache_control": {"type": "ephemeral"}},
    {"type": "text", "text": "You work for Initech."}],
  "messages": [{"role": "user", "content": "Question #?"}]}}
{"times": 4, "every": 200, "at": 100, "request": {"system": [{"type": "text",
    "text": "[3000 tokens of rules]", "cache_control": {"type": "ephemeral"}},
    {"type": "text", "text": "You work for Hooli."}],
  "messages": [{"role": "user", "content": "And #?"}]}}
```

Remedy: put what differs into a block of its own at the end of the system prompt. The
model then reads it at another place, so the fix is not safe.

Order: a span that changes within a conversation is one of ``volatile-span`` or
``volatile-before-stable``; prompts of a parent and its sub-agent are of
``subagents-apart``.

Severity: note, since two prompts may be meant to be two. Confidence is medium: the texts
are compared, but whether the difference may stand elsewhere is for their author to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import msgspec

from cacheplan.edits import Edit
from cacheplan.finding import Example, Finding, Fix, Severity
from cacheplan.lanes import LaneKey, kind_of
from cacheplan.patterns import Variation, before, opening, variation
from cacheplan.prefixes import SETTINGS
from cacheplan.prompt import Level, Place
from cacheplan.subject import Subject
from cacheplan.units import FRONT, Heads, Unit, cut, worded
from cacheplan.workload import Call

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP007"
SEVERITY: Severity = "note"
NEEDS: Final = frozenset({"tools", "system", "text", "times"})

#: Texts compared behind one prefix.
COMPARED = 40

#: By prefix that ends with a system block: the calls that have it.
_Users = dict[int, list[Call]]


class _Group(NamedTuple):
    """Prompts that are one text but for a span."""

    users: _Users
    found: Variation


def check(subject: Subject) -> Iterator[Finding]:
    """Compare what follows the same blocks in the heads of one model."""
    tree = subject.tree
    ends: dict[int, list[Call]] = {}
    for call in subject.workload:
        if tree.system_end[call.tip] >= 0:
            ends.setdefault(tree.system_end[call.tip], []).append(call)
    behind: dict[int, _Users] = {}
    for end, calls in ends.items():
        for node in subject.head(calls[0]):
            if node <= end and tree.level[tree.block[node]] is Level.SYSTEM:
                behind.setdefault(tree.parent[node], {}).setdefault(node, []).extend(calls)
    for users in behind.values():
        if len(users) > 1:
            for group in _groups(subject, users):
                yield _finding(subject, group)


def _groups(subject: Subject, users: _Users) -> Iterator[_Group]:
    """Part prompts that go on from one prefix into those that are nearly the same."""
    texts = {node: _text(subject, node) for node in [*users][:COMPARED]}
    clusters: list[list[int]] = []
    for node, text in texts.items():
        for cluster in clusters:
            if text and variation([texts[cluster[0]], text]) is not None:
                cluster.append(node)
                break
        else:
            clusters.append([node])
    for cluster in clusters:
        found = variation([texts[node] for node in cluster])
        own = {node: users[node] for node in cluster}
        calls = sum(map(len, own.values()))
        # What is made for each call is another rule's.
        if found is None or found.made_anew(calls):
            continue
        if _take_turns(own) and _long(subject, own, found):
            yield _Group(own, found)


def _text(subject: Subject, node: int) -> str:
    """Return a block's text, empty where nobody knows it."""
    return str((subject.body(node) or {}).get("text") or "")


def _take_turns(users: _Users) -> bool:
    """Say if prompts are in use side by side; one that replaces another is its next version."""
    spans = sorted((calls[0].at, calls[-1].at) for calls in map(_in_order, users.values()))
    return any(after[0] < before[1] for before, after in pairwise(spans))


def _in_order(calls: Sequence[Call]) -> list[Call]:
    """Return calls by time."""
    return sorted(calls, key=lambda call: call.at)


def _long(subject: Subject, users: _Users, found: Variation) -> bool:
    """Say if the prompt up to the common part is long enough to be cached."""
    node, calls = next(iter(users.items()))
    tariff = calls[0].tariff
    least = subject.sheet.minimum(tariff.model, tariff.platform, subject.workload.assume)
    stable, own = found.parts[0]
    share = len(stable) / max(len(stable) + len(own), 1)
    common = subject.tree.tokens[subject.tree.parent[node]] + subject.length(node) * share
    return least is not None and common >= least


def _finding(subject: Subject, group: _Group) -> Finding:
    """Say how many prompts there are, and how much of them is the same."""
    tree, (users, found) = subject.tree, group
    calls = [call for own in users.values() for call in own]
    lanes: dict[LaneKey, int] = {}
    for call in calls:
        lanes[kind_of(call)] = lanes.get(kind_of(call), 0) + 1
    first = next(iter(users))
    stable, own = found.parts[0]
    common = round(subject.length(first) * len(stable) / max(len(stable) + len(own), 1))
    system = [
        node
        for node in subject.head(users[first][0])
        if tree.level[tree.block[node]] is Level.SYSTEM
    ]
    shared = f" of {len(lanes)} lanes" if len(lanes) > 1 else ""
    digests = [tree.digest[tree.block[node]] for node in users]
    return Finding(
        rule="near-identical-systems",
        code=CODE,
        severity=SEVERITY,
        confidence="medium",
        place=Place(level=Level.SYSTEM, index=system.index(first)),
        lane=max(lanes, key=lambda lane: lanes[lane]),
        lanes=tuple(lanes),
        about=opening(stable),
        calls=len(calls),
        message=(
            f"{len(users)} prompts{shared} are the same but for a span at character"
            f" {found.start + 1}: {common} tokens could be one prefix of {len(calls)} calls"
        ),
        examples=tuple(
            Example(own_calls[0].number, own_calls[0].id, differs)
            for own_calls, (_, differs) in zip([*users.values()][:2], found.parts, strict=False)
        ),
        fix=Fix(
            safe=False,
            what="put what differs into a block at the end of the system prompt; the model"
            " reads it there instead",
            edit=Edit(head=_splitter(dict(zip(digests, found.parts, strict=True)))),
            safely=_cut(before(_text(subject, first), found.start), digests),
        ),
    )


def _cut(front: str, digests: Sequence[bytes]) -> Fix | None:
    """Return what lets all that stands before the difference be shared."""
    if len(front) < FRONT:
        return None
    return Fix(
        safe=True,
        what="cut the block in two before what differs, so that calls share what stands there",
        edit=Edit(head=cut(front, digests)),
    )


def _splitter(parts: Mapping[bytes, tuple[str, str]]) -> Heads:
    """Return what puts the difference behind the last system block."""

    def head(units: Sequence[Unit]) -> tuple[list[Unit], list[Unit]]:
        kept, moved = [], []
        for unit in units:
            if unit.digest not in parts or unit.kind == SETTINGS:
                kept.append(unit)
                continue
            stable, own = parts[unit.digest]
            span = round(unit.length * len(own) / max(len(stable) + len(own), 1))
            kept.append(worded(unit, stable, unit.length - span))
            # It is new, and stands for nothing of the old prompt.
            moved.append(msgspec.structs.replace(worded(unit, own, span), source=-1))
        return [*kept, *moved], []

    return head
