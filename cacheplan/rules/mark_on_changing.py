"""A mark stands on content that differs in every call.

What: what a mark covers is another text in every call, so that what it writes can never
be read: a question, or a reminder that stands behind the newest message and is left out as
soon as there is a newer one.

Why: a write costs 1.25 times the price of input (2 times for an hour). Without the mark it
would cost the price; with the mark on what is shared, a tenth of it. The calls that fail
cost $0.0642, those that pass $0.0150.

Fails: the mark stands on the question of each call, behind rules that never change.

```json
{"times": 8, "every": 30, "at": 0, "request": {
  "system": [{"type": "text", "text": "[3000 tokens of rules]"}],
  "messages": [{"role": "user", "content": [{"type": "text", "text": "[200 tokens of case #]",
                "cache_control": {"type": "ephemeral"}}]}]}}
```

Passes: the mark stands at the end of the rules.

```json
{"times": 8, "every": 30, "at": 0, "request": {
  "system": [{"type": "text", "text": "[3000 tokens of rules]",
              "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": [{"type": "text",
                                             "text": "[200 tokens of case #]"}]}]}}
```

Remedy: move the mark to the end of what is shared, or leave it out, whichever saves more.

Order: an entry missed by the lookback, or that ran out, is not this rule's. An end that could
not move anywhere belongs to ``one-shot-marks``. Where the prompt changes though it need not,
that is told instead: ``volatile-span``, ``volatile-before-stable``, ``tools-reordered``,
``tool-drift``, ``input-key-order``, ``string-or-list``, ``uncut-prompt``, ``filled-in-front``,
``history-rewritten``, ``settings-flip``, ``head-changes``; and ``refused`` comes before all.

Severity: warning, since every such call pays for a write. Confidence is high: the calls
were served as they were marked, and no write at this place was read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from cacheplan.finding import Finding, Fix, Remark, Severity
from cacheplan.habits import ENOUGH, Habits, best_of, habits, only, with_mark
from cacheplan.lanes import LaneKey
from cacheplan.prompt import Breakpoint
from cacheplan.subject import Subject
from cacheplan.witness import place_at, witnesses
from cacheplan.workload import Call

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP101"
SEVERITY: Severity = "warning"
NEEDS: Final = frozenset({"text", "marks", "times"})


def check(subject: Subject) -> Iterator[Finding]:
    """Look at spots where everything that was written was new, and stayed unread."""
    known = habits(subject)
    other = {
        (lane, known.spot(write.call, write.node))
        for fate in ("read", "far", "late", "unread", "one-shot")
        for lane, writes in known.lanes(fate).items()
        for write in writes
    }
    for lane, writes in known.lanes("changing").items():
        spots = {known.spot(write.call, write.node) for write in writes}
        spots -= {spot for owner, spot in other if owner == lane}
        found = [w for w in writes if known.spot(w.call, w.node) in spots]
        if len({write.call.number for write in found}) < ENOUGH:
            continue
        calls = [c for c in subject.lanes[lane] if c.marks and c.number not in known.refused]
        best = best_of(known, lane[0], _remedies(known, lane, calls, spots))
        if best is None:
            continue
        what, remark = best
        tokens = sum(write.tokens for write in found)
        yield Finding(
            rule="mark-on-changing",
            code=CODE,
            severity=SEVERITY,
            place=place_at(known.tree, found[0].node),
            lane=lane,
            calls=len({write.call.number for write in found}),
            message=(
                f"what is marked here differs in every call: {tokens:,} tokens written,"
                " none of them read"
            ),
            examples=witnesses(subject, ((write.call, write.node) for write in found)),
            fix=Fix(safe=True, what=what, remark=remark),
        )


def _remedies(
    known: Habits, lane: LaneKey, calls: Sequence[Call], spots: set[str]
) -> dict[str, Remark]:
    """Return what to try: the marks without these, and with one where sharing ends."""
    drop = known.drop(spots)
    remedies: dict[str, Remark] = {"leave the mark out": only(calls, drop)}
    shared = known.shared.get(lane)
    if shared is not None:

        def moved(call: Call) -> Sequence[Breakpoint]:
            return with_mark(drop(call), known.node_at(call, shared), max(call.marks).lifetime)

        remedies[f"move the mark to the end of {shared}"] = only(calls, moved)
    left = Counter(
        known.left[call.number] for call in calls if "tail" in spots and call.number in known.left
    )
    if left:
        ((blocks, _),) = left.most_common(1)
        what = "one block" if blocks == 1 else f"{blocks} blocks"
        remedies[f"move the mark {what} towards the front"] = only(
            calls, _back(known, drop, blocks)
        )
    return remedies


def _back(known: Habits, drop: Remark, blocks: int) -> Remark:
    """Return marks of which the last one stands so many blocks before the end."""

    def back(call: Call) -> Sequence[Breakpoint]:
        node = call.tip
        for _ in range(blocks):
            node = known.tree.parent[node]
        return with_mark(drop(call), known.tree.markable(node), max(call.marks).lifetime)

    return back
