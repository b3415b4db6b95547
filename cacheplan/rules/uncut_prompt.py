"""Instructions and question are one block of text: nothing of it can be shared.

What: what users say first begins with the same text in every call, and goes on differently
in the same block.

Why: whole blocks are kept, not the beginnings of blocks. A template that is filled in and
sent as one text is another block each time, so its instructions are paid in full by every
call, or written for nobody, however long they are. The calls that fail cost $0.0612, those that
pass $0.0126.

Fails: a template is filled in, and the whole is one text.

```json
{"times": 8, "every": 30, "at": 0, "request": {"cache_control": {"type": "ephemeral"},
  "messages": [{"role": "user", "content": "[3000 tokens of rules] Case #: [50 tokens of it]"}]}}
```

Passes: the same text in two blocks, with a mark on the first.

```json
{"times": 8, "every": 30, "at": 0, "request": {"messages": [{"role": "user", "content": [
  {"type": "text", "text": "[3000 tokens of rules] ", "cache_control": {"type": "ephemeral"}},
  {"type": "text", "text": "Case #: [50 tokens of it]"}]}]}}
```

Remedy: cut the text in two where it begins to differ, and mark the first part. The model
reads the same text in the same order, so the fix is safe. Where something that differs
stands before the instructions, put it behind them first.

Order: a block that differs as a whole before blocks that stay is of
``volatile-before-stable``.

Severity: warning, since every call pays for the instructions. Confidence is high: the texts
are compared to the character.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from cacheplan.beginnings import Said, beginnings, lasts
from cacheplan.edits import Edit, Openings
from cacheplan.finding import Example, Finding, Fix, Severity
from cacheplan.habits import ENOUGH
from cacheplan.lanes import LaneKey
from cacheplan.patterns import before, first_difference, opening
from cacheplan.prompt import Level, Place
from cacheplan.subject import Subject
from cacheplan.units import FRONT, cut

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP009"
SEVERITY: Severity = "warning"
NEEDS: Final = frozenset({"text"})

#: Texts that begin alike and go on as others, at most: few enough to stay quick.
COMPARED = 40
#: Characters shown of what is each text's own.
SHOWN = 60


@dataclass(slots=True)
class _Group:
    """Texts that begin alike, in every lane that sends any of them."""

    #: Which block of the first user turn.
    number: int
    front: str
    #: By lane: its calls.
    lanes: dict[LaneKey, int]
    #: By digest.
    texts: dict[bytes, Said]


def check(subject: Subject) -> Iterator[Finding]:
    """Compare what stands at the same place of the first user turns of each lane."""
    groups: list[_Group] = []
    for lane, number, found in beginnings(subject):
        for group in _alike(subject, lane, number, found):
            # Lanes that fill in one template have one finding, or its price counts twice.
            known = next(
                (one for one in groups if not one.texts.keys().isdisjoint(group.texts)), None
            )
            if known is None:
                groups.append(group)
            else:
                known.front = min(known.front, group.front, key=len)
                known.lanes |= group.lanes
                known.texts = group.texts | known.texts
    for group in groups:
        yield _finding(group)


def _alike(subject: Subject, lane: LaneKey, number: int, found: Sequence[Said]) -> Iterator[_Group]:
    """Part texts into those that begin alike for as long as a prefix has to be."""
    #: By how they begin, so that each text is held against few others.
    groups: dict[str, list[_Group]] = {}
    for said in found:
        near = groups.setdefault(said.text[:FRONT], [])
        for group in near:
            front = before(said.text, first_difference(group.front, said.text))
            if lasts(subject, said, number, len(front)):
                group.front = front
                break
        else:
            if len(near) == COMPARED:
                continue
            group = _Group(number, said.text, {}, {})
            near.append(group)
        group.lanes[lane] = group.lanes.get(lane, 0) + said.calls
        group.texts[said.digest] = said
    for group in chain.from_iterable(groups.values()):
        longer = [one for one in group.texts.values() if len(one.text) > len(group.front)]
        if len(group.texts) >= ENOUGH and len(longer) == len(group.texts):
            yield group


def _finding(group: _Group) -> Finding:
    """Say where the texts part, and how many calls have one."""
    calls = sum(group.lanes.values())
    shown = [*group.texts.values()][:2]
    shared = f" in {len(group.lanes)} lanes" if len(group.lanes) > 1 else ""
    return Finding(
        rule="uncut-prompt",
        code=CODE,
        severity=SEVERITY,
        place=Place(level=Level.MESSAGES, index=0, content=group.number),
        lane=max(group.lanes, key=lambda lane: group.lanes[lane]),
        lanes=tuple(group.lanes),
        about=opening(group.front),
        calls=calls,
        message=(
            f"{len(group.texts):,} texts in {calls:,} calls{shared} are the same for their first"
            f" {len(group.front):,} characters, and one block each, so nothing of them is shared"
        ),
        examples=tuple(
            Example(one.call.number, one.call.id, one.text[len(group.front) :][:SHOWN])
            for one in shown
        ),
        fix=Fix(
            safe=True,
            what="cut the text in two before what differs, and mark the first part",
            edit=Edit(opening=_cutter(group)),
        ),
    )


def _cutter(group: _Group) -> Openings:
    """Return what cuts these texts behind what they begin with."""
    head = cut(group.front, frozenset(group.texts))
    return lambda units: head(units)[0]
