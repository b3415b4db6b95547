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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from cacheplan.edits import Edit, Openings
from cacheplan.finding import Example, Finding, Fix, Severity
from cacheplan.habits import ENOUGH
from cacheplan.lanes import LaneKey
from cacheplan.layouts import Turns
from cacheplan.patterns import before, first_difference, opening
from cacheplan.prompt import Level, Place
from cacheplan.subject import Subject
from cacheplan.units import FRONT, cut
from cacheplan.workload import Call

__all__ = ["CODE", "SEVERITY", "check"]

CODE = "CP009"
SEVERITY: Severity = "warning"

#: Texts that begin alike and go on as others, at most: few enough to stay quick.
COMPARED = 40
#: What a front must be of the whole prompt: less is not worth a block of its own.
WORTH = 0.05
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
    #: By digest: the text, and the first call with it.
    texts: dict[bytes, tuple[str, Call]]


def check(subject: Subject) -> Iterator[Finding]:
    """Compare what stands at the same place of the first user turns of each lane."""
    turns, groups = Turns(subject), list[_Group]()
    for lane, calls in subject.lanes.items():
        for number, uses in _places(calls, turns).items():
            for group in _alike(subject, lane, number, uses):
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


#: By block: the first call with it, and how many have it.
_Uses = dict[int, tuple[Call, int]]


def _places(calls: Sequence[Call], turns: Turns) -> Mapping[int, _Uses]:
    """Return what stands at each place of the first user turns."""
    found: dict[int, _Uses] = {}
    for call in calls:
        for number, block in enumerate(turns.blocks(call)):
            uses = found.setdefault(number, {})
            first, count = uses.get(block, (call, 0))
            uses[block] = first, count + 1
    return found


def _alike(subject: Subject, lane: LaneKey, number: int, uses: _Uses) -> Iterator[_Group]:
    """Part texts into those that begin alike for as long as a prefix has to be."""
    tree = subject.tree
    #: By how they begin, so that each text is held against few others.
    found: dict[str, list[_Group]] = {}
    for block, (call, count) in uses.items():
        digest = tree.digest[block]
        text = (subject.bodies.get(digest) or {}).get("text")
        if not isinstance(text, str) or len(text) < FRONT:
            continue
        near = found.setdefault(text[:FRONT], [])
        for group in near:
            front = before(text, first_difference(group.front, text))
            if _lasts(subject, call, block, number, front, text):
                group.front = front
                break
        else:
            if len(near) == COMPARED:
                continue
            group = _Group(number, text, {}, {})
            near.append(group)
        group.lanes[lane] = group.lanes.get(lane, 0) + count
        group.texts[digest] = text, call
    for group in chain.from_iterable(found.values()):
        longer = [text for text, _ in group.texts.values() if len(text) > len(group.front)]
        if len(group.texts) >= ENOUGH and len(longer) == len(group.texts):
            yield group


def _lasts(subject: Subject, call: Call, block: int, number: int, front: str, text: str) -> bool:
    """Say if a prompt up to the end of a front is long enough to be kept, and to matter."""
    tree = subject.tree
    floor = subject.sheet.minimum(call.tariff.model, call.tariff.platform, subject.workload.assume)
    head = max(tree.system_end[call.tip], tree.tools_end[call.tip])
    above = tree.tokens[head] if head >= 0 and not number else 0
    share = tree.size[block] * len(front) // max(len(text), 1)
    # What stands in front of a later block may be another one each time.
    worth = len(front) >= FRONT and share >= WORTH * tree.tokens[call.tip]
    return worth and share * 2 >= tree.size[block] and above + share >= (floor or 1)


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
            Example(call.number, call.id, text[len(group.front) :][:SHOWN]) for text, call in shown
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
