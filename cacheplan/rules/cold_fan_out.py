"""Calls start together, and each writes what one could have written for all.

What: a call starts before the first token of another one that is writing what both begin
with. An entry can be read only from the first token of the answer that wrote it.

Why: every call of such a fan-out pays for writing the shared prefix, at 1.25 times the
uncached price, where all but one could read it at a tenth: of twenty calls nineteen pay
12.5 times as much as they need to. The calls that fail cost $0.400, those that pass $0.0508.

Fails: twenty questions about one document go out at once, none asked before.

```json
{"times": 20, "every": 0.01, "at": 0, "first_token_after": 2, "request": {
  "system": [{"type": "text", "text": "[8000 tokens of document]",
              "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "Question #?"}]}}
```

Passes: one question goes out first, the others once its answer begins to stream.

```json
{"at": 0, "first_token_after": 2, "request": {
  "system": [{"type": "text", "text": "[8000 tokens of document]",
              "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "Question 0?"}]}}
{"times": 19, "every": 0.01, "at": 2, "first_token_after": 2, "request": {
  "system": [{"type": "text", "text": "[8000 tokens of document]",
              "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "Question #?"}]}}
```

Remedy: send one call, wait for its first token, then send the rest. If nothing may wait,
write the prefix shortly before with a call of ``max_tokens: 0``.

Severity: warning, since all but one of the calls pay for the same write. Confidence is high:
the service states from when on an entry can be read; where the log has no times of first
tokens, a second is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from cacheplan.edits import Edit
from cacheplan.finding import Finding, Fix, Severity
from cacheplan.lanes import LaneKey, kind_of
from cacheplan.orders import Wait, waits
from cacheplan.prompt import Level
from cacheplan.rehearsal import Rehearsal, Step
from cacheplan.subject import Subject
from cacheplan.witness import place_at, witnesses

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP201"
SEVERITY: Severity = "warning"
NEEDS: Final = frozenset({"text", "marks", "times"})


def check(subject: Subject) -> Iterator[Finding]:
    """Serve the calls as marked, once as they are and once as if nothing had to wait."""
    rehearsal = Rehearsal(subject.workload, subject.sheet)
    steps = [Step(call, call.marks) for call in subject.workload]
    lanes: dict[LaneKey, list[Wait]] = {}
    for wait in waits(rehearsal, steps):
        if not _answered(subject, wait):
            lanes.setdefault(kind_of(steps[wait.step].call), []).append(wait)
    for lane, late in lanes.items():
        yield _finding(subject, lane, late, steps)


def _answered(subject: Subject, wait: Wait) -> bool:
    """Tell whether a call repeats the answer that it seems not to have waited for.

    Then it did wait, and the times of the record are too coarse to show it.
    """
    tree, calls = subject.tree, subject.workload.calls
    leader = calls[wait.leader].tip
    return any(
        tree.parent[node] == leader and tree.role[tree.block[node]] == "assistant"
        for node in tree.upward(calls[wait.step].tip)
    )


def _finding(
    subject: Subject, lane: LaneKey, late: Sequence[Wait], steps: Sequence[Step]
) -> Finding:
    """Say how many calls wrote what they could have read, and how long it is."""
    longest = max(late, key=lambda wait: subject.tree.tokens[wait.node])
    tokens = subject.tree.tokens[longest.node]
    leaders = len({wait.leader for wait in late})
    times = {steps[wait.step].call.number: wait.until for wait in late}
    pause = max(wait.until - steps[wait.step].call.at for wait in late)
    calls, others = ("calls start", "they") if len(late) > 1 else ("call starts", "it")
    return Finding(
        rule="cold-fan-out",
        code=CODE,
        severity=SEVERITY,
        confidence="high",
        place=place_at(subject.tree, longest.node),
        lane=lane,
        calls=len(late),
        message=(
            f"{len(late):,} {calls} before the first token of another that begins alike"
            f" ({_times(leaders)}), so {others} cannot read what that one writes"
            f" (up to {tokens:,} tokens, to the end of {_level(subject, longest.node)})"
        ),
        examples=witnesses(subject, ((steps[wait.step].call, wait.node) for wait in late)),
        fix=Fix(
            safe=True,
            what=(
                "send one call, and the others once its answer begins; here none waits longer"
                f" than {pause:.1f} s, and the model reads the same"
            ),
            edit=Edit(times=times),
        ),
    )


def _times(number: int) -> str:
    """Say how often."""
    return "once" if number == 1 else f"{number:,} times"


def _level(subject: Subject, node: int) -> str:
    """Name the level at which the longest shared prefix ends."""
    level = subject.tree.level[subject.tree.block[node]]
    return "a shared history" if level is Level.MESSAGES else f"their {level}"
