"""A stable block holds a span that changes: everything behind it is written anew.

What: blocks at the same place of the system prompt, or descriptions of the same tool, are
equal but for a span, such as a date, a time, an id, a counter, a path, an address or the
state of a repository. The span is found by comparing what calls send, and named by what it
looks like. A few unnamed variants that come back are not meant: they are prompts of their
own.

Why: a prefix is read only if it is the same to the last character, so one changed digit
at the front costs the whole prompt behind it, at the price of a write instead of a read:
12.5 times as much at a read price of 0.1. The 12 calls that fail cost $0.0904, those that
pass $0.0144.

Fails: the time stands before rules that never change.

```json
{"calls_per_hour": 120, "arrivals": "steady", "hours": 0.1, "request": {
  "system": [{"type": "text", "text": "It is {{time}}. [3000 tokens of rules]",
              "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "{{question}}"}]}}
```

Passes: the time stands in the newest message, behind everything that stays.

```json
{"calls_per_hour": 120, "arrivals": "steady", "hours": 0.1, "request": {
  "system": [{"type": "text", "text": "[3000 tokens of rules]",
              "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "It is {{time}}. {{question}}"}]}}
```

Remedy: move the span behind what is stable: to the end of the system prompt where it
stays for a conversation, else into the newest user message. The model then reads it at
another place, so the fix is not safe.

Severity: warning, since every such call pays; a note where one version serves more than 20
calls on average, as with a date. Confidence is high where the span has a name, and medium
where it has none or is a number: then somebody may have meant the difference.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from cacheplan.edits import Edit
from cacheplan.finding import Example, Finding, Fix, Severity
from cacheplan.lanes import LaneKey
from cacheplan.patterns import Variation, before, opening, variation
from cacheplan.pins import Pin, kept_last, named_by
from cacheplan.prefixes import SETTINGS
from cacheplan.prompt import Level, Place
from cacheplan.subject import Subject
from cacheplan.units import FRONT, Heads, Unit, cut, remade, worded
from cacheplan.workload import Call

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP001"
SEVERITY: Severity = "warning"
NEEDS: Final = frozenset({"system", "text"})

#: Texts compared at one place: enough to see what varies, few enough to stay quick.
COMPARED = 40
#: Calls a version from which on what varies is a note: one write in so many reads is cheap.
SLOW = 20


class _Slot(NamedTuple):
    """What is compared: system blocks by number, tools by everything but their description."""

    level: Level
    number: int
    rest: str


@dataclass(slots=True)
class _Group:
    """Versions of one text, in every lane that sends any of them."""

    slot: _Slot
    #: By lane: its calls.
    lanes: dict[LaneKey, int]
    #: By digest of a block: its text, and the first call with it.
    versions: dict[bytes, tuple[str, Call]]


def check(subject: Subject) -> Iterator[Finding]:
    """Compare what stands at the same place of the heads of each lane."""
    groups: dict[bytes, _Group] = {}
    for lane, calls in subject.lanes.items():
        for slot, found_at in _slots(subject, calls).items():
            for versions, uses in _clusters(found_at):
                # Lanes that send the same text have one finding, or its price counts twice.
                known = next((groups[one] for one in versions if one in groups), None)
                group = known or _Group(slot, {}, {})
                group.lanes[lane] = group.lanes.get(lane, 0) + uses
                group.versions |= {one: group.versions.get(one, it) for one, it in versions.items()}
                groups.update(dict.fromkeys(versions, group))
    for group in {id(group): group for group in groups.values()}.values():
        calls_in_all = sum(group.lanes.values())
        texts = [text for text, _ in group.versions.values()]
        found = variation(texts[:COMPARED])
        # As many calls as have the versions that are looked at.
        uses = calls_in_all * min(len(texts), COMPARED) // len(texts)
        if found is not None and found.made_anew(uses):
            yield _finding(subject, group, found, calls_in_all)


#: By digest of a block: its text and the first call with it; and how many have it.
_Versions = dict[bytes, tuple[str, Call]]
_Uses = dict[bytes, int]


def _slots(subject: Subject, calls: Sequence[Call]) -> dict[_Slot, tuple[_Versions, _Uses]]:
    """Return the texts that stand at each place, and how many calls have each."""
    heads: dict[tuple[int, ...], list[Call]] = {}
    for call in calls:
        heads.setdefault(subject.head(call), []).append(call)
    slots: dict[_Slot, tuple[_Versions, _Uses]] = {}
    tree = subject.tree
    for head, users in heads.items():
        seen: dict[Level, int] = {}
        for node in head:
            block = tree.block[node]
            level = tree.level[block]
            index = seen[level] = seen.get(level, -1) + 1
            body = subject.body(node)
            found = None if body is None else _text(body, level, index)
            if found is not None:
                versions, uses = slots.setdefault(found[0], ({}, {}))
                digest = tree.digest[block]
                versions.setdefault(digest, (found[1], users[0]))
                uses[digest] = uses.get(digest, 0) + len(users)
    return slots


def _text(body: Mapping[str, object], level: Level, index: int) -> tuple[_Slot, str] | None:
    """Return where a text is compared, and the text; ``None`` where there is none."""
    if level is Level.SYSTEM:
        text = body.get("text")
        return (_Slot(level, index, ""), text) if isinstance(text, str) else None
    text = body.get("description")
    if not isinstance(text, str):
        return None
    rest = {key: part for key, part in body.items() if key != "description"}
    return _Slot(level, 0, json.dumps(rest)), text


def _clusters(texts: tuple[_Versions, _Uses]) -> Iterator[tuple[_Versions, int]]:
    """Part texts into those that are one text but for a span; single ones are left out."""
    versions, uses = texts
    clusters: list[_Versions] = []
    for digest, version in [*versions.items()][:COMPARED]:
        for cluster in clusters:
            first, _ = next(iter(cluster.values()))
            if variation([first, version[0]]) is not None:
                cluster[digest] = version
                break
        else:
            clusters.append({digest: version})
    if len(clusters) == 1:
        # So are, as far as anybody looked, the rest.
        clusters = [versions]
    for cluster in clusters:
        if len(cluster) > 1:
            yield cluster, sum(uses[digest] for digest in cluster)


def _finding(subject: Subject, group: _Group, found: Variation, calls: int) -> Finding:
    """Say what varies, and how often."""
    slot, count = group.slot, len(group.versions)
    named = found.name not in {"", "number"}
    what = f"a {found.name}" if found.name else "a span"
    where = "" if slot.level is Level.SYSTEM else " of the description"
    shared = f" in {len(group.lanes)} lanes" if len(group.lanes) > 1 else ""
    versions = [*group.versions.values()]
    held = named_by(
        subject.pins, _place(subject, group), subject.bodies.get(next(iter(group.versions)))
    )
    keeps = f"; it is kept there by {' and '.join(map(str, held))}" if held else ""
    return Finding(
        rule="volatile-span",
        code=CODE,
        severity="note" if calls > SLOW * count else SEVERITY,
        confidence="high" if named else "medium",
        place=_place(subject, group),
        lane=max(group.lanes, key=lambda lane: group.lanes[lane]),
        lanes=tuple(group.lanes),
        about=f"{slot.level}[{slot.number}] {_title(slot, found)}",
        calls=calls,
        message=(
            f"{what} at character {found.start + 1}{where} differs between calls ({count} versions"
            f" in {calls} calls{shared}), so nothing from there on is shared{keeps}"
        ),
        examples=tuple(
            Example(call.number, call.id, own)
            for (_, call), (_, own) in zip(versions[:2], found.parts, strict=False)
        ),
        fix=_cut(group, found) if held else _moved(subject, group, found),
    )


def _moved(subject: Subject, group: _Group, found: Variation) -> Fix:
    """Return what puts the span behind all that stays."""
    # What changes seldom costs less in front of the messages than behind every newest one.
    often = len(group.versions) * 2 > sum(group.lanes.values())
    within = often and _within(subject, group)
    end = "messages" if within else "system prompt"
    return Fix(
        safe=False,
        what=f"move it behind the {end}; the model reads it there instead",
        edit=Edit(head=_mover(group, subject.pins, within=within)),
        safely=_cut(group, found),
    )


def _title(slot: _Slot, found: Variation) -> str:
    """Return a tool's name, or what a system prompt begins with besides what varies."""
    if slot.rest:
        return str(json.loads(slot.rest).get("name"))
    return opening(found.parts[0][0])


def _cut(group: _Group, found: Variation) -> Fix | None:
    """Return what lets all that stands before the span be shared; a tool cannot be cut."""
    if group.slot.level is not Level.SYSTEM:
        return None
    text, _ = next(iter(group.versions.values()))
    front = before(text, found.start)
    if len(front) < FRONT:
        return None
    return Fix(
        safe=True,
        what="cut the block in two before what differs, so that calls share what stands there",
        edit=Edit(head=cut(front, frozenset(group.versions))),
    )


def _place(subject: Subject, group: _Group) -> Place:
    """Return where the first call has it."""
    digest, (_, call) = next(iter(group.versions.items()))
    tree, level = subject.tree, group.slot.level
    blocks = [tree.block[node] for node in subject.head(call)]
    index = [tree.digest[one] for one in blocks if tree.level[one] is level].index(digest)
    return Place(level=level, index=index)


def _within(subject: Subject, group: _Group) -> bool:
    """Say if the text changes while one conversation goes on."""
    tree = subject.tree
    heads: dict[tuple[int, ...], bytes | None] = {}
    found = []
    for call in subject.workload:
        head = subject.head(call)
        if head not in heads:
            digests = (tree.digest[tree.block[node]] for node in head)
            heads[head] = next((one for one in digests if one in group.versions), None)
        if heads[head] is not None:
            found.append((call, heads[head]))
    return subject.changes_within(found, alone=True)


def _parts(group: _Group) -> dict[bytes, tuple[str, str]]:
    """Return what stays and what varies, by version; one that is no version is left out."""
    versions = [(digest, text) for digest, (text, _) in group.versions.items()]
    found = variation([text for _, text in versions[:COMPARED]])
    if found is None:
        return {}
    compared = [digest for digest, _ in versions[:COMPARED]]
    parts = dict(zip(compared, found.parts, strict=True))
    for digest, text in versions[COMPARED:]:
        own = found.part(text)
        if own is not None:
            parts[digest] = own
    return parts


def _mover(group: _Group, pins: Sequence[Pin], *, within: bool) -> Heads:
    """Return what takes the span out and puts it behind the system prompt or the messages.

    What a pin keeps last of the system prompt stays last.
    """
    parts: dict[bytes, tuple[str, str]] = {}

    def head(units: Sequence[Unit]) -> tuple[list[Unit], list[Unit]]:
        if not parts:
            parts.update(_parts(group))
        kept, moved = [], []
        for unit in units:
            if unit.digest not in parts or unit.kind == SETTINGS:
                kept.append(unit)
                continue
            stable, own = parts[unit.digest]
            # A tool is longer than its description, and stays what it is.
            whole = len(stable) + len(own) + len(group.slot.rest)
            span = round(unit.length * len(own) / max(whole, 1))
            kept.append(remade(unit, _without(group.slot, unit, stable), unit.length - span))
            level, role = (Level.MESSAGES, "user") if within else (Level.SYSTEM, "")
            block = worded(unit, own, span, level=level, role=role)
            # It is new, and stands for nothing of the old prompt.
            moved.append(msgspec.structs.replace(block, source=-1))
        if within:
            return kept, moved
        said = [(unit.level, unit.body) for unit in kept if unit.kind != SETTINGS]
        end = len(kept) - kept_last(pins, said)
        return [*kept[:end], *moved, *kept[end:]], []

    return head


def _without(slot: _Slot, unit: Unit, stable: str) -> dict[str, Any]:
    """Return the block without what varies."""
    if slot.level is Level.TOOLS:
        return {**json.loads(slot.rest), "description": stable}
    return {**(unit.body or {}), "type": "text", "text": stable}
