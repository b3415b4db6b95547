"""Calls share a prefix that is long enough, and none of them is marked.

What: no call of a lane carries a mark, and marks would pay.

Why: nothing is kept without a mark, so the shared part is paid in full every time instead
of being read at a tenth of the price. The calls that fail cost $0.265, those that pass
$0.100.

Fails: a conversation sends its history again at every turn, without ``cache_control``.

```json
{"calls_per_hour": 4, "arrivals": "steady", "hours": 1, "turns": 6, "turn_gap": 30,
 "turn_tokens": 1000, "request": {"system": "[3000 tokens of rules]",
  "messages": [{"role": "user", "content": "{{question}}"}]}}
```

Passes: the same with ``cache_control`` at the top level, which marks the end of every prompt.

```json
{"calls_per_hour": 4, "arrivals": "steady", "hours": 1, "turns": 6, "turn_gap": 30,
 "turn_tokens": 1000, "request": {"system": "[3000 tokens of rules]",
  "cache_control": {"type": "ephemeral"},
  "messages": [{"role": "user", "content": "{{question}}"}]}}
```

Remedy: mark the end of what is shared. Which of the usual ways saves most is simulated.

Order: a lane without any mark is this rule's alone; every other rule is about marks.

Severity: warning, since every call pays in full. Confidence is high: that marks pay here is
simulated on the calls themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cacheplan.finding import Finding, Fix, Remark, Severity
from cacheplan.habits import Habits, best_of, habits, only, with_mark
from cacheplan.policies import automatic, static, system_tail
from cacheplan.subject import Subject
from cacheplan.witness import place_at, witnesses

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP102"
SEVERITY: Severity = "warning"
NEEDS: Final = frozenset({"text", "marks", "times"})


def check(subject: Subject) -> Iterator[Finding]:
    """Try the usual ways to mark on every lane that has no mark."""
    known, workload = habits(subject), subject.workload
    for lane, calls in subject.lanes.items():
        if any(call.marks for call in calls):
            continue
        shared = known.shared.get(lane, "")
        remarks: dict[str, Remark] = {
            "the end of every prompt": only(calls, automatic(workload)),
            "the end of the system prompt and of every prompt": only(calls, system_tail(workload)),
            "the end of the tools and of the system prompt": only(calls, static(workload)),
        }
        if shared:
            remarks[f"the end of {shared}"] = only(calls, _marked_at(known, shared))
        found = best_of(known, lane[0], remarks)
        if found is None:
            continue
        where, remark = found
        ends = [(call, max(marks).node) for call in calls if (marks := remark(call))]
        tokens = sum(workload.prompt_tokens(call) for call in calls)
        yield Finding(
            rule="no-mark",
            code=CODE,
            severity=SEVERITY,
            place=place_at(known.tree, ends[0][1]),
            lane=lane,
            calls=len(calls),
            message=(
                f"{len(calls)} calls of {tokens:,} prompt tokens share their beginnings and carry"
                " no mark, so every token is paid in full"
            ),
            examples=witnesses(subject, ends),
            fix=Fix(safe=True, what=f"mark {where}", remark=remark),
        )


def _marked_at(known: Habits, place: str) -> Remark:
    """Return marks that stand at one place."""
    return lambda call: with_mark((), known.node_at(call, place))
