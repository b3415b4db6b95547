"""A setting changes between the turns of a conversation: what it decides is rendered anew.

What: a call repeats an earlier one's blocks and goes on from there, but thinking, effort,
tool choice, speed, the output format or a list of servers is set otherwise.

Why: settings are part of the prefix. From the level on at which one takes part nothing can
be read, though every word is the same: a turn that could read its history at a tenth of
the price writes it at 1.25 times the price. The calls that fail cost $0.0472, those that
pass $0.0253.

Fails: a tool is forced on one turn and left to the model on the next.

```json
{"at": 0, "request": {"cache_control": {"type": "ephemeral"}, "messages": [
  {"role": "user", "content": "[9000 tokens of task]"}], "tool_choice": {"type": "auto"},
  "tools": [{"name": "read", "input_schema": {}}]}}
{"at": 20, "request": {"cache_control": {"type": "ephemeral"}, "messages": [
  {"role": "user", "content": "[9000 tokens of task]"},
  {"role": "assistant", "content": "Which page?"},
  {"role": "user", "content": "The first."}], "tool_choice": {"type": "any"},
  "tools": [{"name": "read", "input_schema": {}}]}}
```

Passes: one choice for the whole conversation; another conversation may choose otherwise.

```json
{"at": 0, "request": {"cache_control": {"type": "ephemeral"}, "messages": [
  {"role": "user", "content": "[9000 tokens of task]"}], "tool_choice": {"type": "auto"},
  "tools": [{"name": "read", "input_schema": {}}]}}
{"at": 20, "request": {"cache_control": {"type": "ephemeral"}, "messages": [
  {"role": "user", "content": "[9000 tokens of task]"},
  {"role": "assistant", "content": "Which page?"},
  {"role": "user", "content": "The first."}], "tool_choice": {"type": "auto"},
  "tools": [{"name": "read", "input_schema": {}}]}}
```

Remedy: keep the settings of the conversation's first call. Where a turn really needs
others, change them where the prompt is written anew anyway: after a long pause, or when
the history is compacted. The model answers under other settings then, so the fix is not
safe.

Severity: warning, since every such turn pays. Confidence is high: the service states which
settings invalidate which level.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cacheplan import kinds
from cacheplan.edits import Edit, going_on
from cacheplan.finding import Finding, Fix, Severity
from cacheplan.lanes import LaneKey, kind_of
from cacheplan.prefixes import SETTINGS, PrefixTree
from cacheplan.prompt import Level, Place
from cacheplan.subject import Subject
from cacheplan.witness import witnesses
from cacheplan.workload import Call, Workload

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP203"
SEVERITY: Severity = "warning"
NEEDS: Final = frozenset({"settings", "text", "times"})

#: What may be set at each level, for the message: only digests of it are kept.
_SET: Final = {
    Level.TOOLS: "deferred tools or servers of tools",
    Level.SYSTEM: "the output format, the speed, skills or citations",
    Level.MESSAGES: "thinking, effort, tool choice, a task budget or context management",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """A call that goes on from another one, under the same settings or not."""

    earlier: Call
    later: Call
    #: Where the later prompt has repeated the earlier one whole.
    node: int
    #: The first level whose settings differ, ``None`` where none does.
    level: Level | None
    #: Tokens of the history that no call has sent under these settings.
    anew: int


def check(subject: Subject) -> Iterator[Finding]:
    """Follow every conversation as if nothing were set, and see where settings differ."""
    lanes: dict[tuple[LaneKey, Level], list[_Turn]] = {}
    for turn in _Turns(subject.workload).found:
        if turn.level is None or not turn.anew or not subject.in_time(turn.earlier, turn.later):
            continue
        if not _brings_its_own(subject, turn):
            lanes.setdefault((kind_of(turn.later), turn.level), []).append(turn)
    for (lane, level), turns in lanes.items():
        yield _finding(subject, lane, level, turns)


class _Turns:
    """One pass over the calls, in which prompts are compared with what is set left out."""

    def __init__(self, workload: Workload) -> None:
        tree = self._tree = workload.tree
        #: By prefix: the same one without settings, and the settings on the way to it.
        self._bare: list[int] = []
        self._set: list[tuple[int, int, int]] = []
        self._strip(tree)
        self.found: list[_Turn] = []
        #: By prefix, as sent and without settings: the last call that sent it.
        self._sent: dict[int, Call] = {}
        self._said: dict[int, Call] = {}
        for call, known in workload.sent_before():
            turn = self._turn(call, tree.tokens[known])
            if turn is not None:
                self.found.append(turn)
            self._sent[call.tip] = self._said[self._bare[call.tip]] = call

    def _strip(self, tree: PrefixTree) -> None:
        """Number prefixes so that those which differ in settings alone are one."""
        known: dict[tuple[int, int], int] = {}
        for node, (above, block) in enumerate(zip(tree.parent, tree.block, strict=True)):
            if above < 0:
                self._bare.append(known.setdefault((-1, node), len(known)))
                self._set.append((-1, -1, -1))
            elif tree.kind[block] == SETTINGS:
                self._bare.append(self._bare[above])
                given = list(self._set[above])
                given[tree.level[block]] = block
                self._set.append((given[0], given[1], given[2]))
            else:
                key = (self._bare[above], block)
                self._bare.append(known.setdefault(key, len(known)))
                self._set.append(self._set[above])

    def _turn(self, call: Call, known: int) -> _Turn | None:
        """Find the call that this one goes on from, before all others one set as it is."""
        tree, after = self._tree, call.tip
        for node in tree.upward(tree.parent[call.tip]):
            if tree.level[tree.block[node]] is not Level.MESSAGES:
                break
            # What goes on has the answer next: else two prompts only begin alike.
            earlier = None
            if tree.role[tree.block[after]] != "user":
                earlier = self._sent.get(node) or self._said.get(self._bare[node])
            if earlier is not None:
                same = earlier.session == call.session and kind_of(earlier) == kind_of(call)
                return self._compared(call, earlier, node, known) if same else None
            after = node
        return None

    def _compared(self, call: Call, earlier: Call, node: int, known: int) -> _Turn:
        """Compare what is set."""
        pairs = zip(Level, self._set[earlier.tip], self._set[call.tip], strict=True)
        level = next((level for level, one, other in pairs if one != other), None)
        anew = max(self._tree.tokens[node] - known, 0)
        return _Turn(earlier=earlier, later=call, node=node, level=level, anew=anew)


def _brings_its_own(subject: Subject, turn: _Turn) -> bool:
    """Tell whether new blocks change what is set: an image, a document with citations."""
    for node in subject.tree.upward(turn.later.tip):
        if node == turn.node:
            return False
        kind = subject.tree.kind[subject.tree.block[node]]
        if kind == "image" or _sets(subject.body(node)):
            return True
    return False


def _sets(body: Any) -> bool:
    """Tell whether a block is or holds an image, or has citations on."""
    if not isinstance(body, Mapping):
        return False
    citations = body.get("citations")
    cites = isinstance(citations, Mapping) and citations.get("enabled") is True
    return cites or body.get("type") == "image" or any(map(_sets, kinds.inner(body)))


def _finding(subject: Subject, lane: LaneKey, level: Level, turns: Sequence[_Turn]) -> Finding:
    """Say how often it changes, and what that renders anew."""
    first = turns[0]
    tokens = sum(turn.anew for turn in turns)
    changes = "once" if len(turns) == 1 else f"{len(turns):,} times"
    return Finding(
        rule="settings-flip",
        code=CODE,
        severity=SEVERITY,
        confidence="high",
        place=Place(level=level, index=0),
        lane=lane,
        about=str(level),
        calls=len(turns),
        message=(
            f"what is set for {level} ({_SET[level]}) changes {changes} between turns that"
            f" repeat the same blocks, so {tokens:,} tokens of history are rendered anew"
        ),
        examples=witnesses(subject, ((call, -1) for call in (first.earlier, first.later))),
        fix=Fix(
            safe=False,
            what=(
                "keep the settings of a conversation's first call; the model answers some"
                " turns under other settings than now"
            ),
            edit=Edit(sequels=going_on(_found, {turn.later.number for turn in turns})),
        ),
    )


def _found(workload: Workload) -> list[_Turn]:
    """Follow the conversations of a workload."""
    return _Turns(workload).found
