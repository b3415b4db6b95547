"""Writes that nobody reads, for no single reason.

What: entries are written and never read: prompts come back after more than an hour, at
the same moment, or not at all, and leaving the marks out would be cheaper.

Why: a write costs 1.25 times the price of input (2 times for an hour); unread, the
quarter is lost. The calls that fail cost $0.0376, those that pass $0.0301.

Fails: one report a day, its rules marked.

```json
{"times": 5, "every": 86400, "at": 0, "request": {
  "system": [{"type": "text", "text": "[3000 tokens of rules]",
              "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "The report of day #?"}]}}
```

Passes: the same without a mark. The last turn of a chat is written for nobody, too, and
that is the price of the turns before it: leaving those marks out would cost more.

```json
{"times": 5, "every": 86400, "at": 0, "request": {
  "system": [{"type": "text", "text": "[3000 tokens of rules]"}],
  "messages": [{"role": "user", "content": "The report of day #?"}]}}
```

Remedy: leave out the marks whose writes are not read.

Order: last. Only writes that no other rule accounts for, and only where dropping the marks pays
over all calls of the lane; and not where the prompt changes though it need not, which is told
instead: ``volatile-span``, ``volatile-before-stable``, ``tools-reordered``, ``tool-drift``,
``input-key-order``, ``string-or-list``, ``uncut-prompt``, ``filled-in-front``,
``history-rewritten``, ``settings-flip``, ``head-changes``; and ``refused`` comes before all.

Severity: warning, since the marks cost more than they bring. Confidence is high: it is so on
all calls of the log, by simulation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cacheplan.finding import Finding, Fix, Remark, Severity
from cacheplan.habits import ENOUGH, Habits, best_of, habits, only
from cacheplan.subject import Subject
from cacheplan.witness import place_at, witnesses

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP109"
SEVERITY: Severity = "warning"
NEEDS: Final = frozenset({"text", "marks", "times"})


def check(subject: Subject) -> Iterator[Finding]:
    """Try to leave out marks whose writes stayed unread."""
    known = habits(subject)
    other = {
        (lane, known.spot(write.call, write.node))
        for fate in ("far", "late", "changing", "one-shot")
        for lane, writes in known.lanes(fate).items()
        for write in writes
    }
    for lane, all_unread in known.lanes("unread").items():
        unread = [w for w in all_unread if (lane, known.spot(w.call, w.node)) not in other]
        stakes = ((write.call, write.tokens, write.lifetime) for write in unread)
        if len(unread) < ENOUGH or known.slight(lane[0], stakes):
            continue
        calls = [call for call in subject.lanes[lane] if call.number not in known.refused]
        spots = {known.spot(write.call, write.node): write.node for write in unread}
        remarks: dict[str, Remark] = {
            f"leave out the mark at {_named(known, spot, node)}": only(calls, known.drop({spot}))
            for spot, node in spots.items()
        }
        if len(spots) > 1:
            remarks["leave these marks out"] = only(calls, known.drop(spots))
        best = best_of(known, lane[0], remarks)
        if best is None:
            continue
        numbers = {call.number for call in calls}
        written = sum(write.tokens for write in known.writes if write.call.number in numbers)
        tokens = sum(write.tokens for write in unread)
        yield Finding(
            rule="unread-writes",
            code=CODE,
            severity=SEVERITY,
            place=place_at(known.tree, unread[0].node),
            lane=lane,
            calls=len({write.call.number for write in unread}),
            message=f"{tokens / written:.0%} of {written:,} tokens written were never read",
            examples=witnesses(subject, ((write.call, write.node) for write in unread)),
            fix=Fix(safe=True, what=best[0], remark=best[1]),
        )


def _named(known: Habits, spot: str, node: int) -> str:
    """Say where a mark stands."""
    places = {"tail": "the end of the prompt", "messages": "the messages before the last"}
    return places.get(spot, str(place_at(known.tree, node)))
