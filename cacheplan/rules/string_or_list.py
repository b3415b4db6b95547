"""The same text is once a string and once a list of one block.

What: a system prompt, a message or the content of a tool result is a plain string in one
call and a list with one text block of the same words in another.

Why: the service's reference calls the string shorthand for the list, and then this costs
nothing: both are one block, and nothing is reported, or every conversation whose newest
message is marked would have a finding without a cent in it. Users have seen misses
nevertheless. Under ``string_form=differs`` everything from that block on is written again:
then the calls that fail cost $0.0201, those that pass $0.0109.

Fails (string_form=differs): a message is a string until it is marked, and a string again
once the mark has moved on.

```json
{"at": 0, "request": {"messages": [
  {"role": "user", "content": [{"type": "text", "text": "[4000 tokens of task]",
                                "cache_control": {"type": "ephemeral"}}]}]}}
{"at": 20, "request": {"messages": [
  {"role": "user", "content": "[4000 tokens of task]"},
  {"role": "assistant", "content": "Done."},
  {"role": "user", "content": [{"type": "text", "text": "Thanks. And then?",
                                "cache_control": {"type": "ephemeral"}}]}]}}
```

Passes (string_form=differs): lists from the first call on.

```json
{"at": 0, "request": {"messages": [
  {"role": "user", "content": [{"type": "text", "text": "[4000 tokens of task]",
                                "cache_control": {"type": "ephemeral"}}]}]}}
{"at": 20, "request": {"messages": [
  {"role": "user", "content": [{"type": "text", "text": "[4000 tokens of task]"}]},
  {"role": "assistant", "content": [{"type": "text", "text": "Done."}]},
  {"role": "user", "content": [{"type": "text", "text": "Thanks. And then?",
                                "cache_control": {"type": "ephemeral"}}]}]}}
```

Remedy: send lists everywhere; only they can carry a mark. The model reads the same text
in the same order, so the fix is safe.

Severity: warning, for whoever assumes that the forms differ. Confidence is low: the
service's reference and what users saw do not agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from cacheplan.canonical import canonical, digest, plain
from cacheplan.edits import Edit
from cacheplan.finding import Finding, Fix, Severity
from cacheplan.lanes import LaneKey, users_of
from cacheplan.subject import Subject
from cacheplan.units import Unit, remade
from cacheplan.witness import place_at, witnesses
from cacheplan.workload import Call

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP006"
SEVERITY: Severity = "warning"
NEEDS: Final = frozenset({"text"})


def check(subject: Subject) -> Iterator[Finding]:
    """Look for prefixes that go on with the same words in two forms."""
    if subject.workload.assume.string_form == "same":
        return
    flips = _flips(subject)
    if not flips:
        return
    #: By prefix: the first such block on the way here.
    first: list[int] = []
    for node, above in enumerate(subject.tree.parent):
        found = first[above] if above >= 0 else -1
        first.append(node if found < 0 and node in flips else found)
    groups: list[_Group] = []
    for lane, calls in subject.lanes.items():
        group = _Group([lane], {call: first[call.tip] for call in calls if first[call.tip] >= 0})
        forms = {flips[node] for node in group.concerned.values()}
        if len(forms) == len(set(group.concerned.values())):
            continue
        # Lanes that part at the same block have one finding, or its price counts twice.
        for other in [one for one in groups if not forms.isdisjoint(one.forms(flips))]:
            groups.remove(other)
            group = _Group(other.lanes + group.lanes, other.concerned | group.concerned)
        groups.append(group)
    for group in groups:
        yield _finding(subject, group)


class _Group(NamedTuple):
    """Lanes, and of their calls that have such a block, the prefix that ends with it."""

    lanes: list[LaneKey]
    concerned: dict[Call, int]

    def forms(self, flips: Mapping[int, int]) -> set[int]:
        """Return the blocks in which they part, each once whatever its form."""
        return {flips[node] for node in self.concerned.values()}


class _Listed:
    """Gives every block of some lanes the form that it has as a list."""

    def __init__(self, subject: Subject, lanes: Sequence[LaneKey]) -> None:
        tree = subject.tree
        users = users_of(tree, [subject.lanes[lane] for lane in lanes])
        inside = (node for node, bits in enumerate(users) if bits and tree.block[node] >= 0)
        own = {tree.digest[tree.block[node]] for node in inside}
        self._bodies = {one: body for one, body in subject.bodies.items() if one in own}
        self._known: dict[bytes, Any] = {}

    def block(self, unit: Unit) -> Unit:
        """Return a block as a list."""
        body = self._bodies.get(unit.digest)
        if body is None:
            return unit
        if unit.digest not in self._known:
            self._known[unit.digest] = plain(body)
        return remade(unit, self._known[unit.digest], string_form="differs")


def _flips(subject: Subject) -> dict[int, int]:
    """Return the prefixes at which equal prompts part for their form alone.

    Each with a number that it shares with its other form.
    """
    tree = subject.tree
    forms: dict[int, bytes] = {}
    #: By the prefix before, and what its last block says: the prefixes there.
    twins: dict[tuple[int, bytes], list[int]] = {}
    for node, above in enumerate(tree.parent):
        block = tree.block[node]
        body = subject.body(node) if block >= 0 else None
        if body is None:
            continue
        if block not in forms:
            forms[block] = digest(canonical(body, tree.level[block], tree.role[block]))
        twins.setdefault((above, forms[block]), []).append(node)
    return {node: nodes[0] for nodes in twins.values() if len(nodes) > 1 for node in nodes}


def _finding(subject: Subject, group: _Group) -> Finding:
    """Say how many calls stand behind such a block."""
    calls = group.concerned
    shown: dict[int, Call] = {}
    for call, node in calls.items():
        shown.setdefault(node, call)
    return Finding(
        rule="string-or-list",
        code=CODE,
        severity=SEVERITY,
        confidence="low",
        place=place_at(subject.tree, min(shown)),
        lane=group.lanes[0],
        lanes=tuple(group.lanes),
        calls=len(calls),
        message=(
            "the same text is sent once as a string and once as a list of one block"
            f" ({len(calls)} calls have it); under string_form=differs they share nothing"
            " from it on"
        ),
        examples=witnesses(subject, ((call, node) for node, call in shown.items())),
        fix=Fix(
            safe=True,
            what="send lists of blocks in every call",
            edit=Edit(block=_Listed(subject, group.lanes).block),
        ),
    )
