"""Calls that nobody goes on from are marked at their end.

What: each call of a kind asks one thing and is done, and its last block is marked.

Why: the question and everything before it that no other mark covers is written at 1.25
times the price of input (2 times for an hour), and nobody ever reads it. The calls that
fail cost $0.0402, those that pass $0.0322.

Fails: each text to sort is a call of its own, with ``cache_control`` at the top level.

```json
{"times": 8, "every": 30, "at": 0, "request": {"cache_control": {"type": "ephemeral"},
  "messages": [{"role": "user", "content": "[2000 tokens of letter #] Which department?"}]}}
```

Passes: the same without.

```json
{"times": 8, "every": 30, "at": 0, "request": {
  "messages": [{"role": "user", "content": "[2000 tokens of letter #] Which department?"}]}}
```

Remedy: leave the mark at the end out.

Order: where calls share a long prefix that is not marked, the mark is to move there, and
``mark-on-changing`` says so instead. Where nobody can go on because the prompt changes though
it need not, that is told: ``volatile-span``, ``volatile-before-stable``, ``tools-reordered``,
``tool-drift``, ``input-key-order``, ``string-or-list``, ``uncut-prompt``, ``filled-in-front``,
``history-rewritten``, ``settings-flip``, ``head-changes``; and ``refused`` comes before all.

Severity: warning, since every such call pays for a write. Confidence is high: in the whole
log nobody goes on from a call of this kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cacheplan.finding import Finding, Fix, Severity
from cacheplan.habits import ENOUGH, best_of, habits, only
from cacheplan.subject import Subject
from cacheplan.witness import place_at, witnesses

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP108"
SEVERITY: Severity = "warning"
NEEDS: Final = frozenset({"text", "marks", "times"})


def check(subject: Subject) -> Iterator[Finding]:
    """Look at ends that were written and that nobody went on from."""
    known = habits(subject)
    for lane, writes in known.lanes("one-shot").items():
        if len(writes) < ENOUGH:
            continue
        alike = [
            call
            for call in subject.lanes[lane]
            if not known.goes_on(call) and call.number not in known.refused
        ]
        remark = only(alike, known.drop({"tail"}))
        if best_of(known, lane[0], {"": remark}) is None:
            continue
        tokens = sum(write.tokens for write in writes)
        yield Finding(
            rule="one-shot-marks",
            code=CODE,
            severity=SEVERITY,
            place=place_at(known.tree, writes[0].node),
            lane=lane,
            calls=len(writes),
            message=(
                f"{len(writes)} calls that nobody goes on from are marked at their end:"
                f" {tokens:,} tokens written, none of them read"
            ),
            examples=witnesses(subject, ((write.call, write.node) for write in writes)),
            fix=Fix(safe=True, what="leave out the mark at the end", remark=remark),
        )
