"""Calls that the service rejects because of their marks.

What: five marks or more, a 1-hour mark behind a 5-minute one, or a mark on a block that
takes none, such as thinking or empty text.

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

Remedy: keep the last four, on blocks that take one, the longer lifetimes first.

Order: this rule comes first. No other rule about marks looks at a rejected call.

Severity: error, since the call is not answered. Confidence is high: these are rules that the
service states, and the message is its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from cacheplan.finding import Finding, Fix, Severity
from cacheplan.habits import Habits, habits, only
from cacheplan.lanes import LaneKey, kind_of
from cacheplan.plan import longer, within_rules
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.refusals import THINKING_REFUSAL
from cacheplan.subject import Subject
from cacheplan.workload import Call

__all__ = ["CODE", "SEVERITY", "check"]

CODE = "CP110"
SEVERITY: Severity = "error"


def check(subject: Subject) -> Iterator[Finding]:
    """Say which calls are refused, in the service's own words."""
    known = habits(subject)
    lanes: dict[tuple[LaneKey, bool], list[Call]] = {}
    for call in subject.workload:
        words = known.refused.get(call.number)
        if words is not None:
            # Marks do not mend what is wrong with thinking.
            key = kind_of(call), words == THINKING_REFUSAL
            lanes.setdefault(key, []).append(call)
    for (lane, thinking), calls in lanes.items():
        words, _ = Counter(known.refused[call.number] for call in calls).most_common(1)[0]
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
            calls=len(calls),
            message=f"{len(calls)} calls are rejected as they are marked: {words}",
            fix=None if thinking else fix,
        )


def _taken(known: Habits, call: Call) -> Sequence[Breakpoint]:
    """Return marks as close to a call's own as the service takes."""
    found: dict[int, Lifetime] = {}
    for node, lifetime in call.marks:
        at = known.tree.markable(node)
        if at >= 0:
            found[at] = longer(found.get(at), lifetime)
    return within_rules(found)
