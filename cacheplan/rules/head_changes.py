"""A conversation goes on under another system prompt or other tools: its history is lost.

What: a call repeats the messages of an earlier one and goes on from there, but not behind
the same tools and system prompt: a tool is dropped or joins, a mode has instructions of its
own, or the history is sent once more to be summarised.

Why: tools and system prompt stand in front of the messages, so behind another head the
whole history is paid anew, however often it was read: a history that could be read at a tenth
of the price is paid in full, or written at 1.25 times the price. The calls that fail cost
$0.0456, those that pass $0.0298.

Fails: the history is summarised under instructions of its own.

```json
{"at": 0, "request": {"cache_control": {"type": "ephemeral"},
  "system": "[2000 tokens of rules]", "messages": [
  {"role": "user", "content": "[9000 tokens of task]"}]}}
{"at": 20, "request": {"system": "Summarise what was said.", "messages": [
  {"role": "user", "content": "[9000 tokens of task]"},
  {"role": "assistant", "content": "Which page?"},
  {"role": "user", "content": "Summarise."}]}}
```

Passes: the head stays, and the newest message says what to do.

```json
{"at": 0, "request": {"cache_control": {"type": "ephemeral"},
  "system": "[2000 tokens of rules]", "messages": [
  {"role": "user", "content": "[9000 tokens of task]"}]}}
{"at": 20, "request": {"cache_control": {"type": "ephemeral"},
  "system": "[2000 tokens of rules]", "messages": [
  {"role": "user", "content": "[9000 tokens of task]"},
  {"role": "assistant", "content": "Which page?"},
  {"role": "user", "content": "Summarise what was said."}]}}
```

Remedy: keep the tools and the system prompt of a conversation's first call. Which tools may
be called can be said with ``tool_choice`` or in the newest message, and so can what to do
now. The model then sees rules and tools that it did not, so the fix is not safe.

Order: where the head changes for a reason that is known, that is told instead:
``volatile-span``, ``volatile-before-stable``, ``tools-reordered``, ``tool-drift``,
``string-or-list``.

Severity: warning, since a whole history is paid anew. Confidence is high where it happens
again and again, and medium where it happened once: then somebody may have taken the
conversation up with a newer program.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from cacheplan.edits import Edit, going_on
from cacheplan.finding import Finding, Fix, Severity
from cacheplan.lanes import LaneKey, kind_of
from cacheplan.prefixes import SETTINGS
from cacheplan.prompt import Level, Place
from cacheplan.subject import Subject
from cacheplan.witness import witnesses
from cacheplan.workload import Call, Workload

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP205"
SEVERITY: Severity = "warning"
NEEDS: Final = frozenset({"tools", "system", "text", "times"})

_SHIFT: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """A call that goes on from an earlier one's messages, behind its head or another."""

    earlier: Call
    later: Call
    #: Where the later prompt has repeated the earlier one's messages whole.
    node: int
    #: Tokens of the history that no call has sent behind this head.
    anew: int


def check(subject: Subject) -> Iterator[Finding]:
    """Follow every conversation as if it had no head, and see where heads differ."""
    lanes: dict[LaneKey, list[_Turn]] = {}
    for turn in _Turns(subject.workload).found:
        if not turn.anew or not subject.in_time(turn.earlier, turn.later):
            continue
        if _goes_on(subject, turn):
            lanes.setdefault(kind_of(turn.later), []).append(turn)
    for lane, turns in lanes.items():
        yield _finding(subject, lane, turns)


class _Turns:
    """One pass over the calls, in which messages are compared with no head before them."""

    def __init__(self, workload: Workload) -> None:
        tree = self._tree = workload.tree
        #: By prefix: its messages, without head and settings; below 0 where there are none.
        self._said: list[int] = tree.derived.setdefault((_Turns, "said"), [])
        self._number()
        self.found: list[_Turn] = []
        #: By messages, and by whole prompt: the last call that sent just these.
        self._sent: dict[int, Call] = {}
        self._whole: dict[int, Call] = {}
        for call, known in workload.sent_before():
            turn = self._turn(call, tree.tokens[known])
            if turn is not None:
                self.found.append(turn)
            self._sent[self._said[call.tip]] = self._whole[call.tip] = call

    def _turn(self, call: Call, known: int) -> _Turn | None:
        """Find the call that this one goes on from, before all others one with its own head."""
        tree = self._tree
        for node in tree.upward(tree.parent[call.tip]):
            if self._said[node] < 0:
                return None
            earlier = self._whole.get(node)
            if earlier is not None:
                return _Turn(earlier=earlier, later=call, node=node, anew=0)
            earlier = self._sent.get(self._said[node])
            if earlier is not None:
                anew = max(tree.tokens[node] - known, 0)
                return _Turn(earlier=earlier, later=call, node=node, anew=anew)
        return None

    def _number(self) -> None:
        """Number prefixes so that those with the same messages in one scope are one."""
        tree, said = self._tree, self._said
        known: dict[int, int] = tree.derived.setdefault((_Turns, "known"), {})
        spoken = [
            level is Level.MESSAGES and kind != SETTINGS
            for level, kind in zip(tree.level, tree.kind, strict=True)
        ]
        for node in range(len(said), len(tree)):
            above, block = tree.parent[node], tree.block[node]
            if above < 0:
                # Messages of two scopes are never the same.
                said.append(~len(known))
                known[~node] = len(known)
            elif spoken[block]:
                said.append(known.setdefault(said[above] << _SHIFT | block, len(known)))
            else:
                said.append(said[above])


def _goes_on(subject: Subject, turn: _Turn) -> bool:
    """Tell whether one conversation goes on, and not two begin alike.

    What goes on has the answer next. A user's words may be next where the history is that
    of one conversation.
    """
    tree, after = subject.tree, turn.later.tip
    while tree.parent[after] != turn.node:
        after = tree.parent[after]
    if _blocks(subject, turn.earlier) == _blocks(subject, turn.later):
        # Only what is set differs, which is another rule's.
        return False
    if tree.role[tree.block[after]] != "user":
        return True
    own = subject.conversation(turn.later)
    said = (tree.role[tree.block[node]] for node in subject.messages(turn.earlier))
    return own is not None and own == subject.conversation(turn.earlier) and "assistant" in said


def _blocks(subject: Subject, call: Call) -> tuple[int, ...]:
    """Return the blocks of a call's head."""
    return tuple(subject.tree.block[node] for node in subject.head(call))


def _parting(subject: Subject, turn: _Turn) -> tuple[int, int]:
    """Return the ends of the first blocks of two heads that differ; -1 where one has none."""
    heads = [subject.head(call) for call in (turn.earlier, turn.later)]
    blocks = [_blocks(subject, call) for call in (turn.earlier, turn.later)]
    at = next(
        (at for at, (one, other) in enumerate(zip(*blocks, strict=False)) if one != other),
        min(map(len, blocks)),
    )
    one, other = (head[at] if at < len(head) else -1 for head in heads)
    return one, other


def _finding(subject: Subject, lane: LaneKey, turns: Sequence[_Turn]) -> Finding:
    """Say how often it happens, and how long the histories are."""
    tree, first = subject.tree, turns[0]
    one, other = _parting(subject, first)
    # What is missing at one level shows in the other head as a block of the next.
    ends = [
        (node, call) for node, call in ((other, first.later), (one, first.earlier)) if node >= 0
    ]
    node, owner = min(ends, key=lambda end: tree.level[tree.block[end[0]]])
    level = tree.level[tree.block[node]]
    before = [end for end in subject.head(owner) if end < node]
    index = sum(tree.level[tree.block[end]] is level for end in before)
    tokens = sum(turn.anew for turn in turns)
    calls = "1 call goes" if len(turns) == 1 else f"{len(turns):,} calls go"
    return Finding(
        rule="head-changes",
        code=CODE,
        severity=SEVERITY,
        confidence="high" if len(turns) > 1 else "medium",
        place=Place(level=level, index=index),
        lane=lane,
        lanes=tuple(dict.fromkeys((lane, *(kind_of(turn.earlier) for turn in turns)))),
        about=str(level),
        calls=len(turns),
        message=(
            f"{calls} on from an earlier one's messages behind other {level} blocks, so"
            f" {tokens:,} tokens of history are paid anew"
        ),
        examples=witnesses(subject, ((first.earlier, one), (first.later, other))),
        fix=Fix(
            safe=False,
            what=(
                "keep the tools and the system prompt of a conversation's first call, and say"
                " what is new in the newest message; the model then sees rules and tools that"
                " it did not"
            ),
            edit=Edit(sequels=going_on(_found, {turn.later.number for turn in turns})),
        ),
    )


def _found(workload: Workload) -> list[_Turn]:
    """Follow the conversations of a workload."""
    return _Turns(workload).found
