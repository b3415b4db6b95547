"""1-hour entries are read, but always within 5 minutes.

What: marks for an hour whose prefixes are never read later than 5 minutes after they were
last used.

Why: a 1-hour write costs 2 times the price of input, a 5-minute write 1.25 times. The
difference buys nothing here, since every read starts a lifetime anew. The calls that fail
cost $0.852, those that pass $0.740.

Fails: an agent takes a step every minute, and is marked for an hour.

```json
{"calls_per_hour": 1, "arrivals": "steady", "hours": 1, "turns": 70, "turn_gap": 60,
 "turn_tokens": 1000, "request": {"cache_control": {"type": "ephemeral", "ttl": "1h"},
  "messages": [{"role": "user", "content": "[3000 tokens of {{task}}]"}]}}
```

Passes: the same marked for 5 minutes.

```json
{"calls_per_hour": 1, "arrivals": "steady", "hours": 1, "turns": 70, "turn_gap": 60,
 "turn_tokens": 1000, "request": {"cache_control": {"type": "ephemeral", "ttl": "5m"},
  "messages": [{"role": "user", "content": "[3000 tokens of {{task}}]"}]}}
```

Remedy: the same marks for 5 minutes.

Order: marks that are never read at all belong to other rules. A log shorter than an hour
cannot show this.

Severity: warning, since every write costs more than it has to. Confidence is high: how soon
entries are read is counted, and what 5 minutes would cost is simulated.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cacheplan.finding import Finding, Fix, Remark, Severity
from cacheplan.habits import ENOUGH, Write, best_of, habits, only
from cacheplan.lanes import LaneKey, kind_of
from cacheplan.plan import within_rules
from cacheplan.prompt import Level, Lifetime
from cacheplan.subject import Subject
from cacheplan.witness import place_at, witnesses

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP106"
SEVERITY: Severity = "warning"
NEEDS: Final = frozenset({"text", "marks", "times"})

_SHORT, _LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR


def check(subject: Subject) -> Iterator[Finding]:
    """Look at how soon 1-hour entries were read."""
    known, tree = habits(subject), subject.tree
    lanes: dict[LaneKey, list[Write]] = {}
    for write in known.writes:
        if write.lifetime is _LONG and write.reads:
            lanes.setdefault(kind_of(write.call), []).append(write)
    for lane, writes in lanes.items():
        calls = subject.lanes[lane]
        late = {_level(subject, w) for w in writes if max(w.reads) >= _SHORT.seconds}
        # A 1-hour mark cannot stand behind a 5-minute one.
        kept = max(late, default=-1)
        idle = [write for write in writes if _level(subject, write) > kept]
        reads = sum(len(write.reads) for write in idle)
        if calls[-1].at - calls[0].at < _LONG.seconds or reads < ENOUGH:
            continue

        def shortened(kept: int = kept) -> Remark:
            return lambda call: within_rules(
                {
                    node: _SHORT if tree.level[tree.block[node]] > kept else lifetime
                    for node, lifetime in call.marks
                }
            )

        remark = only([c for c in calls if c.number not in known.refused], shortened())
        if best_of(known, lane[0], {"": remark}) is None:
            continue
        where = "marks" if kept < 0 else f"marks behind the {Level(kept)}"
        yield Finding(
            rule="hour-unused",
            code=CODE,
            severity=SEVERITY,
            place=place_at(known.tree, idle[0].node),
            lane=lane,
            calls=len({write.call.number for write in idle}),
            message=(
                f"1-hour {where} were read {reads} times, each time within"
                f" {max(max(write.reads) for write in idle):.0f} seconds, which 5 minutes cover"
            ),
            examples=witnesses(subject, ((write.call, write.node) for write in idle)),
            fix=Fix(safe=True, what=f"give these {where} the lifetime 5m", remark=remark),
        )


def _level(subject: Subject, write: Write) -> int:
    """Return the level at which an entry ends."""
    return subject.tree.level[subject.tree.block[write.node]]
