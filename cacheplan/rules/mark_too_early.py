"""Marks stand before the end of what calls share.

What: the next call repeats more of this one than this one's last mark covers: documents
behind a marked system prompt, or the newest tool results of an agent whose mark stands one
message late.

Why: what stands between is paid in full again by every call, instead of being read at a
tenth of the price. In a loop that marks one message late, that is every tool result. The
calls that fail cost $0.124, those that pass $0.0552.

Fails: only the system prompt is marked, and the conversation grows.

```json
{"calls_per_hour": 1, "arrivals": "steady", "hours": 1, "turns": 8, "turn_gap": 30,
 "turn_tokens": 2000, "request": {
  "system": [{"type": "text", "text": "[3000 tokens of rules]",
              "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "{{question}}"}]}}
```

Passes: the newest message is marked as well, at every turn.

```json
{"calls_per_hour": 1, "arrivals": "steady", "hours": 1, "turns": 8, "turn_gap": 30,
 "turn_tokens": 2000, "request": {"cache_control": {"type": "ephemeral"},
  "system": [{"type": "text", "text": "[3000 tokens of rules]",
              "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "{{question}}"}]}}
```

Remedy: mark where the shared part ends.

Order: marks that stand behind what is shared belong to ``mark-on-changing``; lanes without
marks to ``no-mark``. Here the earlier call was marked, and only too early. Where the prompt
changes though it need not, that is told instead: ``volatile-span``, ``volatile-before-stable``,
``tools-reordered``, ``tool-drift``, ``input-key-order``, ``string-or-list``, ``uncut-prompt``,
``filled-in-front``, ``history-rewritten``, ``settings-flip``, ``head-changes``; and ``refused``
comes before all.

Severity: warning, since every call pays again. Confidence is high: what calls repeat is
compared block by block, and that a mark there pays is simulated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from cacheplan.finding import Finding, Fix, Remark, Severity
from cacheplan.habits import ENOUGH, Habits, Met, best_of, habits, only, with_mark
from cacheplan.lanes import LaneKey, kind_of
from cacheplan.prompt import Breakpoint
from cacheplan.subject import Subject
from cacheplan.witness import place_at, witnesses
from cacheplan.workload import Call

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP103"
SEVERITY: Severity = "warning"
NEEDS: Final = frozenset({"text", "marks", "times"})


def check(subject: Subject) -> Iterator[Finding]:
    """Look at what calls repeat behind the last mark of the call that sent it before."""
    known = habits(subject)
    lanes: dict[LaneKey, list[Met]] = {}
    for met in known.met.values():
        same = met.earlier is not None and kind_of(met.earlier) == kind_of(met.call)
        if met.bare and same:
            lanes.setdefault(kind_of(met.call), []).append(met)
    for lane, found in lanes.items():
        stakes = ((met.call, met.bare, None) for met in found)
        if len(found) < ENOUGH or known.slight(lane[0], stakes):
            continue
        calls = [c for c in subject.lanes[lane] if c.marks and c.number not in known.refused]
        best = best_of(known, lane[0], _remedies(known, lane, calls))
        if best is None:
            continue
        where, remark = best
        bare = sum(met.bare for met in found)
        yield Finding(
            rule="mark-too-early",
            code=CODE,
            severity=SEVERITY,
            place=place_at(known.tree, found[0].node),
            lane=lane,
            calls=len(found),
            message=(
                f"{len(found)} calls repeat {bare:,} tokens that stand behind the last mark of the"
                " call before, so they are paid in full again"
            ),
            examples=witnesses(subject, ((met.call, met.node) for met in found)),
            fix=Fix(safe=True, what=where, remark=remark),
        )


def _remedies(known: Habits, lane: LaneKey, calls: Sequence[Call]) -> dict[str, Remark]:
    """Return what to try: one more mark, at the end of the prompt or of what is shared."""

    def tail(call: Call) -> Sequence[Breakpoint]:
        return with_mark(call.marks, known.tail(call), max(call.marks).lifetime)

    remedies: dict[str, Remark] = {"also mark the end of the prompt": only(calls, tail)}
    shared = known.shared.get(lane)
    if shared is not None:

        def fixed(call: Call) -> Sequence[Breakpoint]:
            return with_mark(call.marks, known.node_at(call, shared), max(call.marks).lifetime)

        remedies[f"also mark the end of {shared}"] = only(calls, fixed)
    return remedies
