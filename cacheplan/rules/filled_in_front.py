r"""Something is filled into the instructions that a user's message begins with.

What: what users say first begins with the same text in every call, but for a date, a number
or another stretch that was filled in at its front or in the middle of it.

Why: a prefix is the same to the last character or it is another one, so one date in front of
a template costs all of the template, in every call. The calls that fail cost $0.0613, those that
pass $0.0126.

Fails: the date stands before instructions that never change, all in one message.

```json
{"times": 8, "every": 30, "at": 0, "request": {"cache_control": {"type": "ephemeral"},
  "messages": [{"role": "user",
    "content": "It is 10:3#. [3000 tokens of rules]\nLetter #: [50 tokens of it]"}]}}
```

Passes: the instructions stand first, in a block of their own; the date is behind them.

```json
{"times": 8, "every": 30, "at": 0, "request": {"messages": [{"role": "user", "content": [
  {"type": "text", "text": "[3000 tokens of rules]\n", "cache_control": {"type": "ephemeral"}},
  {"type": "text", "text": "It is 10:3#.\nLetter #: [50 tokens of it]"}]}]}}
```

Remedy: take what is filled in out of the instructions, put it in front of what each message
has of its own, and cut there. The model then reads it at another place, so the fix is not
safe.

Order: a block that differs as a whole before blocks that stay is of
``volatile-before-stable``; a text that only goes on differently is of ``uncut-prompt``. The
same in a system prompt or a tool is of ``volatile-span``.

Severity: warning, since every call pays for the instructions. Confidence is high where what
was filled in has a name, and medium where it is a number: then texts that look alike may be
texts of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from cacheplan.beginnings import Said, beginnings, lasts
from cacheplan.edits import Edit, Openings
from cacheplan.finding import Example, Finding, Fix, Severity
from cacheplan.habits import ENOUGH
from cacheplan.lanes import LaneKey
from cacheplan.patterns import opening
from cacheplan.pins import named_by
from cacheplan.prompt import Level, Place
from cacheplan.subject import Subject
from cacheplan.templates import Template, template
from cacheplan.units import FRONT, Unit, worded

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP010"
SEVERITY: Severity = "warning"
NEEDS: Final = frozenset({"text"})

#: Texts compared at one place: enough to see what varies, few enough to stay quick.
COMPARED = 40
#: Spans that may differ: a text with more of them is a table, and is its own.
SPANS = 5


@dataclass(slots=True)
class _Group:
    """Texts that fill in one template, in every lane that sends any of them."""

    number: int
    template: Template
    #: By lane: its calls.
    lanes: dict[LaneKey, int]
    texts: dict[bytes, Said]


def check(subject: Subject) -> Iterator[Finding]:
    """Compare what stands at the same place of the first user turns of each lane."""
    groups: list[_Group] = []
    for lane, number, found in beginnings(subject):
        group = _filled(subject, lane, number, found)
        if group is None:
            continue
        # Lanes that fill in one template have one finding, or its price counts twice.
        known = next((one for one in groups if one.template.frame == group.template.frame), None)
        if known is None:
            groups.append(group)
        else:
            known.lanes |= group.lanes
            known.texts = group.texts | known.texts
    for group in groups:
        yield _finding(subject, group)


def _filled(subject: Subject, lane: LaneKey, number: int, found: Sequence[Said]) -> _Group | None:
    """Return the texts of a place that are one template with something filled in early."""
    words: dict[str, list[Said]] = {}
    for said in found[:COMPARED]:
        words.setdefault(opening(said.text), []).append(said)
    most = max(words.values(), key=len, default=[])
    if len(most) < ENOUGH:
        return None
    common = template([said.text for said in most])
    if common is None or common.start * 2 > len(common.frame):
        # What stands before the first difference is most of it: a cut is enough.
        return None
    if common.filled.count(None) > SPANS:
        return None
    if not lasts(subject, most[0], number, len(common.frame)):
        return None
    texts = {said.digest: said for said in found if common.part(said.text) is not None}
    calls = sum(said.calls for said in texts.values())
    return _Group(number, common, {lane: calls}, texts)


def _finding(subject: Subject, group: _Group) -> Finding:
    """Say what is filled in, and how much stands behind it."""
    common, calls = group.template, sum(group.lanes.values())
    shown = [*group.texts.values()][:2]
    parts = [common.part(said.text) for said in shown]
    what = f"a {common.name}" if common.name else "a span"
    shared = f" in {len(group.lanes)} lanes" if len(group.lanes) > 1 else ""
    behind = len(common.frame) - common.start
    place = Place(level=Level.MESSAGES, index=0, content=group.number)
    held = named_by(subject.pins, place, subject.bodies.get(shown[0].digest))
    keeps = f"; it is kept there by {' and '.join(map(str, held))}" if held else ""
    fix = Fix(
        safe=False,
        what=(
            "put it behind the instructions, and cut the text there; the model reads it there"
            " instead"
        ),
        edit=Edit(opening=_mover(common)),
    )
    return Finding(
        rule="filled-in-front",
        code=CODE,
        severity=SEVERITY,
        confidence="high" if common.name not in {"", "number"} else "medium",
        place=place,
        lane=max(group.lanes, key=lambda lane: group.lanes[lane]),
        lanes=tuple(group.lanes),
        about=opening(common.frame),
        calls=calls,
        message=(
            f"{what} at character {common.start + 1} differs between calls"
            f" ({len(group.texts):,} texts in {calls:,} calls{shared}), so {behind:,} characters"
            f" of instructions behind it are not shared{keeps}"
        ),
        examples=tuple(
            Example(said.call.number, said.call.id, part.own)
            for said, part in zip(shown, parts, strict=True)
            if part is not None
        ),
        fix=None if held else fix,
    )


def _mover(common: Template) -> Openings:
    """Return what parts texts of a template in what stays and what is their own."""

    def moved(units: Sequence[Unit]) -> list[Unit]:
        made: list[Unit] = []
        for unit in units:
            text = (unit.body or {}).get("text")
            part = common.part(text) if isinstance(text, str) and len(text) >= FRONT else None
            if part is None:
                made.append(unit)
                continue
            own = f"{part.own}\n{part.rest}"
            share = round(unit.length * len(part.stable) / (len(part.stable) + len(own)))
            made += [worded(unit, part.stable, share), worded(unit, own, unit.length - share)]
        return made

    return moved
