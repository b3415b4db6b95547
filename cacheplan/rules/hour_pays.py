"""5-minute entries run out, and their prefixes come back within the hour.

What: prompts come back between 5 and 60 minutes after an entry was last used, often
enough that keeping it for an hour costs less than writing it again.

Why: a 1-hour write costs 2 times the price of input, a 5-minute write 1.25 times, a read
a tenth: one return in three is about where the hour begins to pay. The calls that fail cost
$0.0903, those that pass $0.0188.

Fails: rules are marked for 5 minutes and used every 10.

```json
{"times": 12, "every": 600, "at": 0, "request": {
  "system": [{"type": "text", "text": "[3000 tokens of rules]",
              "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "Question #?"}]}}
```

Passes: the same marked for an hour.

```json
{"times": 12, "every": 600, "at": 0, "request": {
  "system": [{"type": "text", "text": "[3000 tokens of rules]",
              "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
  "messages": [{"role": "user", "content": "Question #?"}]}}
```

Remedy: mark for an hour where it pays; what stands before it has to be marked as long.

Order: after the lookback. An entry that could still be read is never this rule's. Where a
prompt comes back late because it is sent in many versions, that is told instead:
``volatile-span``, ``volatile-before-stable``, ``tools-reordered``, ``tool-drift``,
``input-key-order``, ``string-or-list``, ``uncut-prompt``, ``filled-in-front``,
``history-rewritten``, ``settings-flip``, ``head-changes``; and ``refused`` comes before all.

Severity: warning, since what could be read is written again. Confidence is high: it pays on
the calls of the log, by simulation; whether the next ones come as soon is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from cacheplan.finding import Finding, Fix, Remark, Severity
from cacheplan.habits import ENOUGH, Write, best_of, habits, only
from cacheplan.lanes import LaneKey, kind_of
from cacheplan.plan import within_rules
from cacheplan.prompt import Level, Lifetime
from cacheplan.subject import Subject
from cacheplan.witness import place_at, witnesses

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP107"
SEVERITY: Severity = "warning"
NEEDS: Final = frozenset({"text", "marks", "times"})


def check(subject: Subject) -> Iterator[Finding]:
    """Look at what came back too late to be read."""
    known, tree = habits(subject), subject.tree
    lanes: dict[LaneKey, list[Write]] = {}
    for write in known.writes:
        if write.late and write.lifetime is Lifetime.FIVE_MINUTES:
            lanes.setdefault(kind_of(write.call), []).append(write)

    def lengthened(last: Level) -> Remark:
        return lambda call: within_rules(
            {
                node: Lifetime.ONE_HOUR if tree.level[tree.block[node]] <= last else lifetime
                for node, lifetime in call.marks
            }
        )

    for lane, writes in lanes.items():
        gaps = _gaps(writes)
        if len(gaps) < ENOUGH:
            continue
        calls = [call for call in subject.lanes[lane] if call.number not in known.refused]
        remarks = {
            "the marks before the messages": only(calls, lengthened(Level.SYSTEM)),
            "every mark": only(calls, lengthened(Level.MESSAGES)),
        }
        found = best_of(known, lane[0], remarks)
        if found is None:
            continue
        where, remark = found
        middle = sorted(gaps)[len(gaps) // 2]
        yield Finding(
            rule="hour-pays",
            code=CODE,
            severity=SEVERITY,
            place=place_at(known.tree, writes[0].node),
            lane=lane,
            calls=len(gaps),
            message=(
                f"{len(gaps)} calls came back after the 5 minutes of their prefix were over and"
                f" within the hour, half of them after {middle / 60:.0f} minutes or less"
            ),
            examples=witnesses(subject, ((write.call, write.node) for write in writes)),
            fix=Fix(safe=True, what=f"give {where} the lifetime 1h", remark=remark),
        )


def _gaps(writes: Iterable[Write]) -> list[float]:
    """Return how late each call came for the newest entry that it could have read."""
    gaps: dict[int, float] = {}
    for write in writes:
        for number, gap in write.late.items():
            gaps[number] = min(gap, gaps.get(number, gap))
    return list(gaps.values())
