"""Calls that the service rejects: for their marks, or for what they hold.

What: five marks or more, a 1-hour mark behind a 5-minute one, or a mark on a block that
takes none, such as thinking or empty text. Also a prompt without a message, a `tool_use`
without its `tool_result`, and two tools of one name, where no usage says that the call was
answered; such calls are priced nevertheless.

Why: a rejected call costs nothing and answers nothing; the feature is down.

Fails: one of the marked blocks is empty.

```json
{"at": 0, "request": {"system": "Be brief.", "messages": [
  {"role": "user", "content": [{"type": "text", "text": "When?"},
   {"type": "text", "text": "", "cache_control": {"type": "ephemeral"}}]}]}}
```

Passes: the mark stands on the last block that takes one.

```json
{"at": 0, "request": {"system": "Be brief.", "messages": [
  {"role": "user", "content": [{"type": "text", "text": "When?",
                                "cache_control": {"type": "ephemeral"}}]}]}}
```

Remedy: keep the last four, on blocks that take one, the longer lifetimes first. What is
wrong besides marks has to be mended in the program that sends it.

Order: this rule comes first. No other rule about marks looks at a rejected call.

Severity: error, since the call is not answered. Confidence is high: these are rules that the
service states, and the message is its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from cacheplan.facts import BREAKPOINTS
from cacheplan.finding import Finding, Fix, Severity
from cacheplan.habits import Habits, habits, only
from cacheplan.lanes import LaneKey, kind_of
from cacheplan.plan import longer, within_rules
from cacheplan.precedence import BESIDES
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.refusals import THINKING_REFUSAL
from cacheplan.subject import Subject
from cacheplan.unsound import unsound
from cacheplan.witness import place_at, witnesses
from cacheplan.workload import Call

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP110"
SEVERITY: Severity = "error"
NEEDS: Final = frozenset({"text", "marks"})


def check(subject: Subject) -> Iterator[Finding]:
    """Say which calls are refused, in the service's own words."""
    known = habits(subject)
    yield from _besides(subject, known)
    lanes: dict[tuple[LaneKey, bool], list[Call]] = {}
    for call in subject.workload:
        words = known.refused.get(call.number)
        if words is not None:
            # Marks do not mend what is wrong with thinking.
            key = kind_of(call), words == THINKING_REFUSAL
            lanes.setdefault(key, []).append(call)
    for (lane, thinking), calls in lanes.items():
        words, _ = Counter(known.refused[call.number] for call in calls).most_common(1)[0]
        count = "1 call is" if len(calls) == 1 else f"{len(calls):,} calls are"
        fix = Fix(
            safe=True,
            what="keep at most four marks, on blocks that take one, the 1-hour ones first",
            remark=only(calls, lambda call: _taken(known, call)),
        )
        yield Finding(
            rule="refused",
            code=CODE,
            severity=SEVERITY,
            lane=lane,
            about="thinking" if thinking else "marks",
            place=place_at(known.tree, _culprit(known, calls[0])),
            calls=len(calls),
            message=f"{count} rejected as marked: {words}",
            examples=witnesses(subject, ((call, _culprit(known, call)) for call in calls)),
            fix=None if thinking else fix,
        )


def _besides(subject: Subject, known: Habits) -> Iterator[Finding]:
    """Say which calls no mark is to blame for: they are refused for what they hold."""
    found = unsound(subject)
    lanes: dict[LaneKey, list[Call]] = {}
    for call in subject.workload:
        if call.number in found and call.number not in known.refused:
            lanes.setdefault(kind_of(call), []).append(call)
    for lane, calls in lanes.items():
        first = found[calls[0].number]
        count = "1 call is" if len(calls) == 1 else f"{len(calls):,} calls are"
        yield Finding(
            rule="refused",
            code=CODE,
            severity=SEVERITY,
            lane=lane,
            about=BESIDES,
            place=place_at(known.tree, first.node),
            calls=len(calls),
            message=f"{count} rejected, whatever the marks: {first.words}",
            examples=witnesses(subject, ((call, found[call.number].node) for call in calls)),
        )


def _culprit(known: Habits, call: Call) -> int:
    """Return the prefix at which a refused call's marks go wrong.

    That is a block that takes none, a longer lifetime behind a shorter one, the first mark
    too many, or, where it is not about marks, the end of the prompt.
    """
    marks = sorted(call.marks)
    for node, _ in marks:
        if known.tree.markable(node) != node:
            return node
    for one, other in pairwise(marks):
        if one.lifetime.seconds < other.lifetime.seconds:
            return other.node
    return marks[BREAKPOINTS].node if len(marks) > BREAKPOINTS else call.tip


def _taken(known: Habits, call: Call) -> Sequence[Breakpoint]:
    """Return marks as close to a call's own as the service takes."""
    found: dict[int, Lifetime] = {}
    for node, lifetime in call.marks:
        at = known.tree.markable(node)
        if at >= 0:
            found[at] = longer(found.get(at), lifetime)
    return within_rules(found)
