"""5-minute entries run out, and their prefixes come back within the hour.

What: prompts come back between 5 and 60 minutes after an entry was last used, often
enough that keeping it for an hour costs less than writing it again.

Why: a 1-hour write costs 2 times the price of input, a 5-minute write 1.25 times, a read
a tenth: one return in three is about where the hour begins to pay.

Fails: a system prompt marked for 5 minutes and used every 10.

Passes: the same prompt used every minute, or once a day.

Remedy: mark for an hour where it pays; what stands before it has to be marked as long.

Order: after the lookback. An entry that could still be read is never this rule's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cacheplan.finding import Finding, Fix, Remark, Severity
from cacheplan.habits import ENOUGH, Write, best_of, habits, only, place_at
from cacheplan.lanes import LaneKey, kind_of
from cacheplan.plan import within_rules
from cacheplan.prompt import Level, Lifetime
from cacheplan.subject import Subject

__all__ = ["CODE", "SEVERITY", "check"]

CODE = "CP107"
SEVERITY: Severity = "warning"


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
            place=place_at(known, writes[0].node),
            lane=lane,
            calls=len(gaps),
            message=(
                f"{len(gaps)} calls came back after the 5 minutes of their prefix were over and"
                f" within the hour, half of them after {middle / 60:.0f} minutes or less"
            ),
            fix=Fix(safe=True, what=f"give {where} the lifetime 1h", remark=remark),
        )


def _gaps(writes: Iterable[Write]) -> list[float]:
    """Return how late each call came for the newest entry that it could have read."""
    gaps: dict[int, float] = {}
    for write in writes:
        for number, gap in write.late.items():
            gaps[number] = min(gap, gaps.get(number, gap))
    return list(gaps.values())
