"""A conversation's new mark stands too far behind the last entry to find it.

What: a call goes on from an earlier one that left an entry, but so many blocks came since
that the service, which looks back 20 positions from a mark, does not get that far.

Why: the whole conversation is written again, at 12.5 times the price of reading it. The
calls that fail cost $0.0482, those that pass $0.0275.

Fails: a turn brings 25 blocks, and nothing but the last of them is marked.

```json
{"at": 0, "request": {"cache_control": {"type": "ephemeral"}, "messages": [
  {"role": "user", "content": "[9000 tokens of task]"}]}}
{"at": 20, "request": {"cache_control": {"type": "ephemeral"}, "messages": [
  {"role": "user", "content": "[9000 tokens of task]"},
  {"role": "assistant", "content": "Which pages?"},
  {"role": "user", "content": [{"times": 25, "type": "text", "text": "[50 tokens of page #]"}]}]}}
```

Passes: the end of the turn before is marked as well.

```json
{"at": 0, "request": {"cache_control": {"type": "ephemeral"}, "messages": [
  {"role": "user", "content": "[9000 tokens of task]"}]}}
{"at": 20, "request": {"cache_control": {"type": "ephemeral"}, "messages": [
  {"role": "user", "content": [{"type": "text", "text": "[9000 tokens of task]",
                                "cache_control": {"type": "ephemeral"}}]},
  {"role": "assistant", "content": "Which pages?"},
  {"role": "user", "content": [{"times": 25, "type": "text", "text": "[50 tokens of page #]"}]}]}}
```

Remedy: also mark the end of the turn before. It finds the entry however far back it is.

Order: an entry that was missed for this reason is no other rule's: not late, not unread.

Severity: warning, since the history is paid again. Confidence is high: positions are counted
as the service counts them, as far as that is documented.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cacheplan.finding import Finding, Fix, Severity
from cacheplan.habits import best_of, habits, only, with_mark
from cacheplan.places import turn_before
from cacheplan.subject import Subject
from cacheplan.witness import place_at, witnesses
from cacheplan.workload import Call

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP105"
SEVERITY: Severity = "warning"
NEEDS: Final = frozenset({"text", "marks", "times"})


def check(subject: Subject) -> Iterator[Finding]:
    """Look at entries that the next call had in its prompt and did not find."""
    known, tree = habits(subject), subject.tree
    tips = {call.tip for call in subject.workload}

    def before(call: Call) -> int:
        node = turn_before(tree, call.tip, tips)
        return tree.markable(node) if node >= 0 else -1

    for lane, writes in known.lanes("far").items():
        calls = [call for call in subject.lanes[lane] if call.marks]
        remark = only(
            calls,
            lambda call: with_mark(call.marks, before(call), max(call.marks).lifetime),
        )
        if best_of(known, lane[0], {"": remark}) is None:
            continue
        missed = {call.number: write for write in writes for call in write.far}
        tokens = sum(tree.tokens[write.node] for write in missed.values())
        count = "1 call goes on" if len(missed) == 1 else f"{len(missed):,} calls go on"
        yield Finding(
            rule="lookback-exceeded",
            code=CODE,
            severity=SEVERITY,
            place=place_at(known.tree, writes[0].node),
            lane=lane,
            calls=len(missed),
            message=(
                f"{count} from an entry that no mark stands near enough to find,"
                f" so {tokens:,} tokens are paid again"
            ),
            examples=witnesses(
                subject, ((one, w.node) for w in writes for one in (w.call, *w.far))
            ),
            fix=Fix(safe=True, what="also mark the end of the turn before", remark=remark),
        )
