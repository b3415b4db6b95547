"""One tool's definition is not always the same: every version is a prompt of its own.

What: calls that define tools of the same names do not define one of them the same way.
Its description or schema differs, or only the order of the schema's keys does. A version
that is replaced by the next for good is a change that somebody made, and is not meant.

Why: tools come first in the prompt, so another word in one of them, or another order of
keys, leaves nothing behind it to read: all of it is written, at 12.5 times the price. The
calls that fail cost $0.0210, those that pass $0.0133.

Fails: the schema is built from a set, so its keys come in any order.

```json
{"times": 4, "every": 60, "at": 0, "request": {"tools": [{"name": "weather",
    "input_schema": {"properties": {"city": {}, "unit": {}}, "type": "object"}}],
  "system": [{"type": "text", "text": "[3000 tokens of rules]",
              "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "Question #?"}]}}
{"times": 4, "every": 60, "at": 30, "request": {"tools": [{"name": "weather",
    "input_schema": {"properties": {"unit": {}, "city": {}}, "type": "object"}}],
  "system": [{"type": "text", "text": "[3000 tokens of rules]",
              "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "And #?"}]}}
```

Passes: the keys come in one order in every call.

```json
{"times": 8, "every": 30, "at": 0, "request": {"tools": [{"name": "weather",
    "input_schema": {"properties": {"city": {}, "unit": {}}, "type": "object"}}],
  "system": [{"type": "text", "text": "[3000 tokens of rules]",
              "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "Question #?"}]}}
```

Remedy: build the definitions once, with keys in a fixed order, and send the same ones in
every call. The model then reads another version in some calls, so the fix is not safe.

Severity: warning, since every change of version is paid for. Confidence is high where the
versions differ in the order of keys alone, or come back; the service documents that the
order of keys breaks what is kept for inputs of tools, and schemas are rendered the same way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from cacheplan.edits import Edit
from cacheplan.finding import Example, Finding, Fix, Severity
from cacheplan.lanes import LaneKey
from cacheplan.patterns import variation
from cacheplan.prompt import Level, Place
from cacheplan.subject import Subject
from cacheplan.units import Unit, remade
from cacheplan.workload import Call

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP004"
SEVERITY: Severity = "warning"
NEEDS: Final = frozenset({"tools", "text", "times"})

#: Versions compared in full.
COMPARED = 40
#: Characters of each version shown.
SHOWN = 60

#: Prefixes that end with a version of a tool, by its block, with the calls that have it.
_Versions = dict[int, list[tuple[int, Call]]]


def check(subject: Subject) -> Iterator[Finding]:
    """Compare tools of the same name in calls whose tools have the same names."""
    #: By digests of the versions: where they were met first, and in which lanes.
    drifting: dict[frozenset[bytes], tuple[_Versions, list[LaneKey]]] = {}
    for lane, calls in subject.lanes.items():
        for versions in _tools(subject, calls):
            digests = frozenset(subject.tree.digest[block] for block in versions)
            if digests in drifting:
                drifting[digests][1].append(lane)
            elif _drifts(subject, versions):
                # Lanes that send the same versions have one finding, or it counts twice.
                drifting[digests] = versions, [lane]
    for versions, lanes in drifting.values():
        yield _finding(subject, lanes, versions)


def _tools(subject: Subject, calls: Sequence[Call]) -> Iterator[_Versions]:
    """Yield the versions of each tool that has several, one set of names at a time."""
    tree = subject.tree
    named: dict[int, dict[str, int]] = {}
    tools: dict[tuple[frozenset[str], str], _Versions] = {}
    for call in calls:
        end = tree.tools_end[call.tip]
        if end not in named:
            named[end] = {}
            for node in subject.head(call):
                body = subject.body(node)
                if tree.level[tree.block[node]] is Level.TOOLS and body and body.get("name"):
                    named[end][str(body["name"])] = node
        names = frozenset(named[end])
        for name, node in named[end].items():
            versions = tools.setdefault((names, name), {})
            versions.setdefault(tree.block[node], []).append((node, call))
    for versions in tools.values():
        if len(versions) > 1:
            yield versions


def _drifts(subject: Subject, versions: _Versions) -> bool:
    """Say if versions take turns, or differ in nothing but order.

    A version that is replaced once is a change somebody made. A description made anew
    for each call is another rule's.
    """
    bodies = [_body(subject, versions, block) for block in [*versions][:COMPARED]]
    texts = [str(body.get("description", "")) for body in bodies]
    found = variation(list(dict.fromkeys(texts)))
    if found is not None and found.made_anew(sum(map(len, versions.values()))):
        return False
    if len({json.dumps(body, sort_keys=True) for body in bodies}) < len(bodies):
        return True
    spans = sorted((users[0][1].at, users[-1][1].at) for users in versions.values())
    return any(after[0] < before[1] for before, after in pairwise(spans))


def _body(subject: Subject, versions: _Versions, block: int) -> Mapping[str, Any]:
    """Return a version as it was sent."""
    return subject.body(versions[block][0][0]) or {}


def _finding(subject: Subject, lanes: Sequence[LaneKey], versions: _Versions) -> Finding:
    """Say which field differs, and how often each version comes."""
    tree = subject.tree
    often = sorted(versions, key=lambda block: -len(versions[block]))
    bodies = [_body(subject, versions, block) for block in often[:2]]
    field, parts = _difference(bodies[0], bodies[1])
    calls = sum(map(len, versions.values()))
    kept, call = versions[often[0]][0]
    head = [node for node in subject.head(call) if tree.level[tree.block[node]] is Level.TOOLS]
    return Finding(
        rule="tool-drift",
        code=CODE,
        severity=SEVERITY,
        place=Place(level=Level.TOOLS, index=head.index(kept)),
        lane=lanes[0],
        lanes=tuple(lanes),
        about=f"{bodies[0].get('name')} {field}",
        calls=calls,
        message=(
            f"{field} of this tool differs between calls ({len(versions)} versions in {calls}"
            " calls), so calls with different versions share nothing from this tool on"
        ),
        examples=tuple(
            Example(versions[block][0][1].number, versions[block][0][1].id, part)
            for block, part in zip(often, parts, strict=False)
        ),
        fix=Fix(
            safe=False,
            what="send the most frequent version in every call; the others are read no more",
            edit=Edit(block=_settled(subject, kept, [users[0][0] for users in versions.values()])),
        ),
    )


def _difference(one: Any, two: Any, path: str = "") -> tuple[str, tuple[str, str]]:
    """Return the first field in which two values differ, and what each has there."""
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        for key in one:
            if key in two and json.dumps(one[key]) != json.dumps(two[key]):
                return _difference(one[key], two[key], f"{path}.{key}" if path else str(key))
        what = "the order of keys" if set(one) == set(two) else "the set of keys"
        return f"{what} in {path or 'the definition'}", (", ".join(one), ", ".join(two))
    shown = json.dumps(one, ensure_ascii=False), json.dumps(two, ensure_ascii=False)
    # Characters before the difference say nothing.
    start = next((at for at, (a, b) in enumerate(zip(*shown, strict=False)) if a != b), 0)
    return path, (shown[0][start : start + SHOWN], shown[1][start : start + SHOWN])


def _settled(subject: Subject, kept: int, nodes: Sequence[int]) -> Callable[[Unit], Unit]:
    """Return what puts one version in the place of all."""
    tree = subject.tree
    body, length = subject.body(kept) or {}, subject.length(kept)
    lengths = {(tree.digest[tree.block[node]], subject.length(node)) for node in nodes}
    digests = {digest for digest, _ in lengths}

    def block(unit: Unit) -> Unit:
        if unit.digest not in digests:
            return unit
        # To another tokenizer all versions are as long as its own one.
        own = length if (unit.digest, unit.length) in lengths else unit.length
        return remade(unit, body, own)

    return block
