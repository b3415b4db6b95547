"""Marks on prefixes that are too short to be kept.

What: every marked prefix of these calls is shorter than the model's minimum. The service
says nothing and keeps nothing. Where lengths are estimated and the minimum lies inside
their band, it is too close to call, and the rule says that.

Why: the marks do no harm and no good: the prompt is paid in full every time. What it would
be worth to reach the minimum is told, but nobody can say whether there is anything useful
to add, so no saving is claimed. The calls that fail cost $0.0195, those that pass $0.00588 for
400 tokens more each.

Fails: rules of 800 tokens are marked, for a model whose minimum is 1,024.

```json
{"times": 12, "every": 30, "at": 0, "request": {
  "system": [{"type": "text", "text": "[800 tokens of rules]",
              "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "Question #?"}]}}
```

Passes: examples bring the marked prefix above the minimum.

```json
{"times": 12, "every": 30, "at": 0, "request": {
  "system": [{"type": "text", "text": "[800 tokens of rules]"},
             {"type": "text", "text": "[400 tokens of examples]",
              "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "Question #?"}]}}
```

Remedy: nothing, or more of what the calls share (examples, a longer list of tools) in front
of the mark, up to the minimum.

Order: after ``refused``. These marks write nothing, so rules about writes never see them.

Severity: note, since nothing is lost by the marks. Confidence is high where the prefix is
too short however its tokens are counted, and low where the estimate's band holds the minimum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Final

from cacheplan.finding import Finding, Fix, Severity
from cacheplan.habits import ENOUGH, Habits, habits
from cacheplan.lanes import LaneKey
from cacheplan.prompt import Lifetime
from cacheplan.subject import Subject
from cacheplan.tokens import reaches
from cacheplan.witness import place_at, witnesses
from cacheplan.workload import Call

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP104"
SEVERITY: Severity = "note"
NEEDS: Final = frozenset({"tools", "system", "text", "marks", "times"})


def check(subject: Subject) -> Iterator[Finding]:
    """Look at kinds of calls of which none has a mark that surely counts."""
    known = habits(subject)
    kinds: dict[tuple[LaneKey, int], list[Call]] = {}
    for call in subject.workload:
        if call.marks and call.number not in known.refused and known.floor(call) is not None:
            kinds.setdefault(known.kind(call), []).append(call)
    long = {kind for kind, calls in kinds.items() if any(_reach(known, c) == "yes" for c in calls)}
    grown = {lane for lane, _ in long}
    lanes: dict[LaneKey, list[Call]] = {}
    for kind, calls in kinds.items():
        # One call of a kind may be the first of a chat that grows.
        if kind not in long and (kind[0] not in grown or len(calls) >= ENOUGH):
            lanes.setdefault(kind[0], []).extend(calls)
    for lane, calls in lanes.items():
        sure = [call for call in calls if _reach(known, call) == "no"]
        if len(sure) >= ENOUGH:
            yield _finding(known, lane, sure, sure=True)
        elif len(calls) >= ENOUGH:
            yield _finding(known, lane, calls, sure=False)


def _reach(known: Habits, call: Call) -> str:
    """Say whether the longest prefix that a call marks is long enough.

    Where the record shows that something was kept, it is.
    """
    if call.recorded is not None and (call.recorded.read or call.recorded.written):
        return "yes"
    node = max(call.marks).node
    tree = known.tree
    return reaches(tree.tokens[node], tree.doubt[node], known.floor(call) or 0)


def _finding(known: Habits, lane: LaneKey, calls: Sequence[Call], *, sure: bool) -> Finding:
    """Say how short it is, and what reaching the minimum would do."""
    tree = known.tree
    call = max(calls, key=lambda each: tree.tokens[max(each.marks).node])
    node, floor = max(call.marks).node, known.floor(call) or 0
    tokens, doubt = tree.tokens[node], tree.doubt[node]
    band = f" (give or take {doubt:,})" if doubt else ""
    verdict = "so nothing is kept" if sure else "which is too close to call"
    return Finding(
        rule="under-minimum",
        code=CODE,
        severity=SEVERITY,
        confidence="high" if sure else "low",
        place=place_at(known.tree, node),
        lane=lane,
        calls=len(calls),
        message=(
            f"the longest marked prefix has {tokens:,} tokens{band} and the minimum of {lane[0]} is"
            f" {floor:,}, {verdict}; {_what_if(known, calls)}"
        ),
        examples=witnesses(known.subject, ((one, max(one.marks).node) for one in calls)),
        fix=Fix(safe=False, what="put more of what calls share before the mark, or leave it out"),
    )


def _what_if(known: Habits, calls: Sequence[Call]) -> str:
    """Say what prefixes of just the minimum would have cost more or less on these calls."""
    used: dict[int, list[Call]] = {}
    for call in calls:
        used.setdefault(max(call.marks).node, []).append(call)
    difference = Decimal()
    for node, users in used.items():
        at_once = [True, *(_late(earlier, later) for earlier, later in pairwise(users))]
        for call, writes in zip(users, at_once, strict=True):
            floor = known.floor(call) or 0
            rate = known.subject.sheet.rate(call.tariff, call.at, floor)
            if rate is None:
                return "nobody knows its price"
            paid = (rate.write_5m if writes else rate.read) * floor
            difference += rate.uncached * known.tree.tokens[node] - paid
    if difference <= 0:
        return "reaching it would cost more than it saves on these calls"
    return f"reaching it would save about ${difference:.2g} on these calls"


def _late(earlier: Call, later: Call) -> bool:
    """Tell whether an entry would be gone, or not there yet."""
    gap = later.at - earlier.at
    return gap >= Lifetime.FIVE_MINUTES.seconds or gap < earlier.first_token_after
