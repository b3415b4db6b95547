"""Sub-agents carry nearly their parent's head, but do not share it.

What: calls of another label start while a conversation lives whose tools and system prompt
are nearly theirs, in another order, with a tool less or with another first paragraph.

Why: prompts share what they begin with and nothing else, so each sub-agent that starts
cold writes a head of which nearly every word is being kept already, at 12.5 times the
price of reading it. The calls that fail cost $0.0332, those that pass $0.0185.

Fails: a sub-agent has the parent's tools but the first, and the same system prompt.

```json
{"at": 0, "label": "main", "request": {"cache_control": {"type": "ephemeral"},
  "tools": [{"name": "delegate", "input_schema": {}}, {"name": "read", "input_schema": {}}],
  "system": [{"type": "text", "text": "[6000 tokens of rules]",
              "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "Write a survey."}]}}
{"at": 10, "label": "search", "request": {"cache_control": {"type": "ephemeral"},
  "tools": [{"name": "read", "input_schema": {}}],
  "system": [{"type": "text", "text": "[6000 tokens of rules]",
              "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "Search."}]}}
{"at": 20, "label": "main", "request": {"cache_control": {"type": "ephemeral"},
  "tools": [{"name": "delegate", "input_schema": {}}, {"name": "read", "input_schema": {}}],
  "system": [{"type": "text", "text": "[6000 tokens of rules]",
              "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "Write a survey."},
    {"role": "assistant", "content": "I have it searched."},
    {"role": "user", "content": "Found: nothing."}]}}
```

Passes: the parent's tools and system prompt to the letter, then what is the sub-agent's
own: a last system block, or its first message.

```json
{"at": 0, "label": "main", "request": {"cache_control": {"type": "ephemeral"},
  "tools": [{"name": "delegate", "input_schema": {}}, {"name": "read", "input_schema": {}}],
  "system": [{"type": "text", "text": "[6000 tokens of rules]",
              "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "Write a survey."}]}}
{"at": 10, "label": "search", "request": {"cache_control": {"type": "ephemeral"},
  "tools": [{"name": "delegate", "input_schema": {}}, {"name": "read", "input_schema": {}}],
  "system": [{"type": "text", "text": "[6000 tokens of rules]",
              "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "Search. Do not delegate."}]}}
{"at": 20, "label": "main", "request": {"cache_control": {"type": "ephemeral"},
  "tools": [{"name": "delegate", "input_schema": {}}, {"name": "read", "input_schema": {}}],
  "system": [{"type": "text", "text": "[6000 tokens of rules]",
              "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "Write a survey."},
    {"role": "assistant", "content": "I have it searched."},
    {"role": "user", "content": "Found: nothing."}]}}
```

Remedy: give both the same tools in the same order and the same system prompt, and put what
differs behind. The sub-agent then sees tools and rules that it did not, so the fix is not
safe; which tools it may call can be said in its task.

Order: where both have the same tools and only their order differs, ``tools-reordered`` says
so instead; where the sub-agent carries its parent's messages as well, ``head-changes``.

Severity: warning, since every sub-agent pays for a head that is kept already. Confidence is
medium: who runs on whose behalf is told by labels, times and likeness.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from cacheplan.edits import Edit
from cacheplan.finding import Finding, Fix, Severity
from cacheplan.lanes import LaneKey, kind_of
from cacheplan.patterns import first_difference
from cacheplan.prefixes import SETTINGS
from cacheplan.prompt import Level, Lifetime, Place
from cacheplan.subject import Subject
from cacheplan.units import Heads, Unit, worded
from cacheplan.witness import witnesses
from cacheplan.workload import Call

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP204"
SEVERITY: Severity = "warning"
NEEDS: Final = frozenset({"tools", "system", "text", "times"})

#: Heads with less in common than this share of the longer one are two heads.
ALIKE: Final = 0.7
#: Where prompts already share this much of what they could, little is left to gain.
SHARED: Final = 0.5
#: Heads compared, those of most calls first: enough for every kind of agent in a program.
COMPARED: Final = 16


@dataclass(frozen=True, slots=True)
class _Head:
    """Calls of one lane with one head, in time order."""

    lane: LaneKey
    nodes: tuple[int, ...]
    calls: list[Call]
    times: list[float]
    #: Calls that begin a conversation.
    begins: list[Call]


@dataclass(frozen=True, slots=True)
class _Pair:
    """A sub-agent's head and its parent's."""

    child: _Head
    parent: _Head
    #: Calls that began while the parent's head lived and the sub-agent's did not.
    cold: list[Call]
    #: Tokens that both heads have, and those that both begin with.
    common: int
    shared: int


def check(subject: Subject) -> Iterator[Finding]:
    """Compare the most frequent heads of each lane with those of lanes beside it."""
    heads = _heads(subject)
    best: dict[LaneKey, _Pair] = {}
    for child in heads:
        for parent in heads:
            if parent.lane[0] != child.lane[0] or parent.lane == child.lane:
                continue
            pair = _pair(subject, child, parent)
            if pair is None:
                continue
            known = best.get(child.lane)
            if known is None or len(pair.cold) * pair.common > len(known.cold) * known.common:
                best[child.lane] = pair
    for pair in best.values():
        yield _finding(subject, pair)


def _heads(subject: Subject) -> list[_Head]:
    """Group calls by lane and head."""
    found: dict[tuple[LaneKey, tuple[int, ...]], list[Call]] = {}
    for call in subject.workload:
        nodes = subject.head(call)
        if nodes and call.tariff.surface != "batch":
            found.setdefault((kind_of(call), nodes), []).append(call)
    most = sorted(found.items(), key=lambda item: -len(item[1]))[:COMPARED]
    return [
        _Head(
            lane,
            nodes,
            calls,
            [call.at for call in calls],
            [call for call in calls if call.number not in subject.continued],
        )
        for (lane, nodes), calls in most
    ]


def _pair(subject: Subject, child: _Head, parent: _Head) -> _Pair | None:
    """Tell whether one kind of calls is run on behalf of another, with nearly its head."""
    if parent.times[0] > child.times[0] or len(parent.begins) == len(parent.calls):
        # A parent comes first, and is a conversation.
        return None
    cold = [call for call in child.begins if _lives(parent, call) and not _lives(child, call)]
    if not cold:
        return None
    tree = subject.tree
    shared = 0
    for one, other in zip(child.nodes, parent.nodes, strict=False):
        if one != other:
            break
        shared += subject.length(one)
    own = {tree.block[node] for node in parent.nodes}
    common = sum(subject.length(node) for node in child.nodes if tree.block[node] in own)
    common += sum(_alike(subject, node, parent.nodes)[0] for node in child.nodes)
    longer = max(sum(map(subject.length, nodes)) for nodes in (child.nodes, parent.nodes))
    least = subject.sheet.minimum(
        cold[0].tariff.model, cold[0].tariff.platform, subject.workload.assume
    )
    if common < max(ALIKE * longer, least or 0) or shared > SHARED * common:
        return None
    return _Pair(child, parent, cold, common, shared)


def _lives(head: _Head, call: Call) -> bool:
    """Tell whether a head was used, in the five minutes before a call, by another."""
    at = bisect_left(head.times, call.at) - 1
    return at >= 0 and call.at - head.times[at] <= Lifetime.FIVE_MINUTES.seconds


def _alike(subject: Subject, node: int, others: Sequence[int]) -> tuple[int, str]:
    """Return how many tokens a text has in common with one like it, and what is its own."""
    tree = subject.tree
    block = tree.block[node]
    if tree.level[block] is not Level.SYSTEM or any(tree.block[o] == block for o in others):
        return 0, ""
    text, best = subject.text(node) or "", (0, "")
    for other in others:
        like = subject.text(other) or ""
        if tree.level[tree.block[other]] is not Level.SYSTEM or not text or not like:
            continue
        start = first_difference(text, like)
        end = min(first_difference(text[::-1], like[::-1]), min(len(text), len(like)) - start)
        tokens = subject.length(node) * (start + end) // len(text)
        # Two texts that merely end or begin alike are two texts.
        if start + end >= ALIKE * max(len(text), len(like)) and tokens > best[0]:
            best = tokens, text[start : len(text) - end]
    return best


def _finding(subject: Subject, pair: _Pair) -> Finding:
    """Say who could share what with whom."""
    child, parent, tree = pair.child, pair.parent, subject.tree
    first = pair.cold[0]
    at = next(
        (
            number
            for number, (one, other) in enumerate(zip(child.nodes, parent.nodes, strict=False))
            if one != other
        ),
        min(len(child.nodes), len(parent.nodes)) - 1,
    )
    level = tree.level[tree.block[child.nodes[at]]]
    index = sum(tree.level[tree.block[node]] is level for node in child.nodes[:at])
    calls = "1 call starts" if len(pair.cold) == 1 else f"{len(pair.cold):,} calls start"
    name = "calls without a label" if parent.lane[1] is None else f'"{parent.lane[1]}"'
    return Finding(
        rule="subagents-apart",
        code=CODE,
        severity=SEVERITY,
        confidence="medium",
        place=Place(level=level, index=index),
        lane=child.lane,
        lanes=(child.lane, parent.lane),
        about=name,
        calls=len(pair.cold),
        message=(
            f"{calls} with a cold head while a conversation of {name} keeps nearly the same"
            f" one: {pair.common:,} tokens are in both, but only {pair.shared:,} stand at the"
            " start of both, so no more is shared"
        ),
        examples=witnesses(
            subject, ((parent.calls[0], parent.nodes[at]), (first, child.nodes[at]))
        ),
        fix=Fix(
            safe=False,
            what=(
                "give both the same tools and the same system prompt, and put what differs"
                " behind; the model then sees tools and rules that it did not"
            ),
            edit=Edit(head=_sharer(subject, child.nodes, parent.nodes)),
        ),
    )


def _sharer(subject: Subject, child: Sequence[int], parent: Sequence[int]) -> Heads:
    """Return what gives two heads one start: the parent's, with the tools of both."""
    tree = subject.tree
    digests = [[tree.digest[tree.block[node]] for node in nodes] for nodes in (child, parent)]
    more = [
        _unit(subject, node)
        for node in child
        if tree.level[tree.block[node]] is Level.TOOLS
        and tree.digest[tree.block[node]] not in digests[1]
    ]
    start = [_unit(subject, node) for node in tree.path(parent[-1])]
    own = {tree.digest[tree.block[node]]: _alike(subject, node, parent) for node in child}

    def head(units: Sequence[Unit]) -> tuple[list[Unit], list[Unit]]:
        said = [unit.digest for unit in units if unit.kind != SETTINGS]
        if said not in digests:
            return list(units), []
        tools = [unit for unit in start if unit.level is Level.TOOLS]
        system = [unit for unit in start if unit.level is Level.SYSTEM]
        for unit in units:
            if said == digests[1] or unit.level is not Level.SYSTEM or unit.kind == SETTINGS:
                continue
            tokens, text = own[unit.digest]
            if tokens:
                system.append(worded(unit, text, unit.length - tokens))
            elif unit.digest not in digests[1]:
                system.append(unit)
        made = [*tools, *more, *system]
        return [msgspec.structs.replace(unit, source=-1) for unit in made], []

    return head


def _unit(subject: Subject, node: int) -> Unit:
    """Return the block that ends a prefix as an edit takes it."""
    tree, block = subject.tree, subject.tree.block[node]
    return Unit(
        level=tree.level[block],
        kind=tree.kind[block],
        digest=tree.digest[block],
        length=subject.length(node),
        role=tree.role[block],
        refuses=tree.refuses[block],
        body=subject.body(node),
        variant=tree.variant[block],
    )
