"""A conversation's earlier messages change: what follows them is written again.

What: a call carries on a conversation, but drops its oldest messages, clears or shortens
tool results, or moves or puts in a block among messages that were sent before.

Why: all that stands behind the change is written again, at 1.25 times the uncached price,
though it could be read at a tenth. What was cleared saves a tenth of its tokens a call.
So clearing C tokens before S tokens that stay pays after 11.5 * S / C calls, and clearing
a little at every call never does. The calls that fail cost $0.0459, those that pass $0.0285.

Fails: the oldest messages are dropped at every turn, so the whole window is written anew.

```json
{"at": 0, "request": {"cache_control": {"type": "ephemeral"}, "messages": [
  {"role": "user", "content": "[2000 tokens of one]"},
  {"role": "assistant", "content": "[50 tokens of alpha]"},
  {"role": "user", "content": "[2000 tokens of two]"},
  {"role": "assistant", "content": "[50 tokens of beta]"},
  {"role": "user", "content": "[2000 tokens of three]"}]}}
{"at": 20, "request": {"cache_control": {"type": "ephemeral"}, "messages": [
  {"role": "user", "content": "[2000 tokens of two]"},
  {"role": "assistant", "content": "[50 tokens of beta]"},
  {"role": "user", "content": "[2000 tokens of three]"},
  {"role": "assistant", "content": "[50 tokens of gamma]"},
  {"role": "user", "content": "[2000 tokens of four]"}]}}
{"at": 40, "request": {"cache_control": {"type": "ephemeral"}, "messages": [
  {"role": "user", "content": "[2000 tokens of three]"},
  {"role": "assistant", "content": "[50 tokens of gamma]"},
  {"role": "user", "content": "[2000 tokens of four]"},
  {"role": "assistant", "content": "[50 tokens of delta]"},
  {"role": "user", "content": "[2000 tokens of five]"}]}}
```

Passes: the history is only added to; or it is cut rarely and deep; or it is cut after a
pause, when nothing could be read anyway.

```json
{"at": 0, "request": {"cache_control": {"type": "ephemeral"}, "messages": [
  {"role": "user", "content": "[2000 tokens of one]"},
  {"role": "assistant", "content": "[50 tokens of alpha]"},
  {"role": "user", "content": "[2000 tokens of two]"},
  {"role": "assistant", "content": "[50 tokens of beta]"},
  {"role": "user", "content": "[2000 tokens of three]"}]}}
{"at": 20, "request": {"cache_control": {"type": "ephemeral"}, "messages": [
  {"role": "user", "content": "[2000 tokens of one]"},
  {"role": "assistant", "content": "[50 tokens of alpha]"},
  {"role": "user", "content": "[2000 tokens of two]"},
  {"role": "assistant", "content": "[50 tokens of beta]"},
  {"role": "user", "content": "[2000 tokens of three]"},
  {"role": "assistant", "content": "[50 tokens of gamma]"},
  {"role": "user", "content": "[2000 tokens of four]"}]}}
{"at": 40, "request": {"cache_control": {"type": "ephemeral"}, "messages": [
  {"role": "user", "content": "[2000 tokens of one]"},
  {"role": "assistant", "content": "[50 tokens of alpha]"},
  {"role": "user", "content": "[2000 tokens of two]"},
  {"role": "assistant", "content": "[50 tokens of beta]"},
  {"role": "user", "content": "[2000 tokens of three]"},
  {"role": "assistant", "content": "[50 tokens of gamma]"},
  {"role": "user", "content": "[2000 tokens of four]"},
  {"role": "assistant", "content": "[50 tokens of delta]"},
  {"role": "user", "content": "[2000 tokens of five]"}]}}
```

Remedy: cut in larger steps. Carry what could be cleared until reading it has cost as much
as writing the rest again; that is what the saving is simulated with. The model then sees
more of the history at some turns, so the fix is not safe.

Order: a replayed block that differs in the order of keys is of ``input-key-order``, one
that differs in its form of ``string-or-list``.

Severity: warning, since every such turn pays. Confidence is high where it happens again and
again, and medium where it happened once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from cacheplan.breakevens import Ratios
from cacheplan.edits import Edit, Sequel, Sequels
from cacheplan.finding import Finding, Fix, Severity
from cacheplan.lanes import LaneKey, kind_of
from cacheplan.prefixes import SETTINGS, PrefixTree
from cacheplan.prompt import Level, Lifetime
from cacheplan.rehearsal import Rehearsal
from cacheplan.subject import Subject
from cacheplan.witness import place_at, witnesses
from cacheplan.workload import Call, Workload

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP202"
SEVERITY: Severity = "warning"
NEEDS: Final = frozenset({"text", "times"})

#: What the service itself leaves out of older turns of some models.
_THINKING: Final = frozenset({"thinking", "redacted_thinking"})
#: This share of what stays, results of tools aside, was said before, or it is another
#: conversation that has a greeting in common.
_SAME: Final = 0.75


@dataclass(slots=True, kw_only=True)
class _Turn:
    """A call that carries on a conversation."""

    earlier: Call
    later: Call
    #: The end of what the earlier call had said already.
    node: int
    #: Where the earlier history was left; ``node`` itself where it was not.
    parts: int
    #: The end of the first block that is not what it was, in either prompt.
    ends: tuple[int, int] = (-1, -1)
    #: Tokens that had to be written again, and by how much the history became shorter.
    again: int = 0
    cleared: int = 0
    how: str = ""
    #: Calls that have used the history as it then was.
    used: int = 1


def check(subject: Subject) -> Iterator[Finding]:
    """Follow the conversations, and weigh what each change cleared against what it cost."""
    rehearsal = Rehearsal(subject.workload, subject.sheet)
    lanes: dict[LaneKey, list[tuple[_Turn, Fraction]]] = {}
    for turn in _Conversations(subject.workload).turns:
        if not turn.again or not subject.in_time(turn.earlier, turn.later):
            continue
        ratios = Ratios.of(rehearsal.rate(turn.later))
        if ratios is None or ratios.read <= 0:
            continue
        worth = _worth(turn, ratios) / (ratios.read * turn.used)
        if turn.cleared < worth:
            lanes.setdefault(kind_of(turn.later), []).append((turn, worth))
    for lane, turns in lanes.items():
        yield _finding(subject, rehearsal, lane, turns)


def _worth(turn: _Turn, ratios: Ratios) -> Fraction:
    """Return what writing again costs more than reading, in uncached tokens."""
    lifetimes = {mark.lifetime for mark in turn.later.marks}
    one = Lifetime.ONE_HOUR if Lifetime.ONE_HOUR in lifetimes else Lifetime.FIVE_MINUTES
    return turn.again * (ratios.write(one) - ratios.read)


@dataclass(slots=True)
class _Conversation:
    """What is known of one conversation."""

    newest: Call
    #: The last turn that changed what had been said.
    changed: _Turn | None = None


@dataclass(slots=True)
class _Conversations:
    """One pass over the calls; who carries on whom is told by what is said."""

    workload: Workload
    turns: list[_Turn] = field(default_factory=list)
    _tree: PrefixTree = field(init=False)
    #: By prompt: the last call that sent it; by its number: the conversation.
    _sent: dict[int, Call] = field(default_factory=dict)
    _of: dict[int, _Conversation] = field(default_factory=dict)
    #: By kind of call and answer: the last conversation that it was given in.
    _home: dict[tuple[LaneKey, int], _Conversation] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Follow all calls."""
        self._tree = self.workload.tree
        for call, known in self.workload.sent_before():
            self._add(call, known)

    def _add(self, call: Call, known: int) -> None:
        """Find out which conversation a call belongs to; ``known`` of it was sent before."""
        tree, fresh = self._tree, list[int]()
        for node in tree.upward(call.tip):
            if node == known:
                break
            if tree.level[tree.block[node]] is Level.MESSAGES:
                fresh.append(node)
        kind = kind_of(call)
        answers = [tree.block[node] for node in fresh if self._answers(node)]
        before = self._continued(call)
        own = None if before is None else self._of[before.number]
        turn = None
        if before is not None and own is not None and own.newest is before:
            turn = _Turn(earlier=before, later=call, node=before.tip, parts=before.tip)
        else:
            homes = [self._home[kind, block] for block in answers if (kind, block) in self._home]
            # The newest of what was said before stands first.
            own = homes[0] if homes else None
            if own is not None and own.newest.session == call.session:
                turn = self._changed(own.newest, call, known)
        if turn is None or own is None:
            own = _Conversation(call)
        else:
            self._join(own, turn)
        self._of[call.number] = own
        self._sent[call.tip] = call
        for block in answers:
            self._home[kind, block] = own

    def _join(self, own: _Conversation, turn: _Turn) -> None:
        """Carry a conversation on."""
        self.turns.append(turn)
        own.newest = turn.later
        if turn.how:
            own.changed = turn
        elif own.changed is not None:
            own.changed.used += 1

    def _answers(self, node: int) -> bool:
        """Tell whether a prefix ends with something the model said aloud."""
        block = self._tree.block[node]
        return self._tree.role[block] == "assistant" and self._tree.kind[block] not in _THINKING

    def _continued(self, call: Call) -> Call | None:
        """Return the call with the longest prompt that this one repeats whole."""
        tree = self._tree
        for node in tree.upward(call.tip):
            if tree.level[tree.block[node]] is not Level.MESSAGES:
                return None
            if node in self._sent:
                return self._sent[node]
        return None

    def _said(self, tip: int) -> list[int]:
        """Return the prefixes that end with a message's block, thinking left out."""
        tree, found = self._tree, []
        for node in tree.upward(tip):
            block = tree.block[node]
            if tree.level[block] is not Level.MESSAGES:
                break
            if tree.kind[block] != SETTINGS and tree.kind[block] not in _THINKING:
                found.append(node)
        return found[::-1]

    def _changed(self, earlier: Call, call: Call, known: int) -> _Turn | None:
        """Compare two histories block by block, if the later is the earlier one changed."""
        tree = self._tree
        old, new = self._said(earlier.tip), self._said(call.tip)
        if tree.parent[old[0]] != tree.parent[new[0]]:
            # The head or a setting changed, which is another matter.
            return None
        was, now = [tree.block[node] for node in old], [tree.block[node] for node in new]
        common = next(
            (at for at, (one, other) in enumerate(zip(was, now, strict=False)) if one != other),
            min(len(was), len(now)),
        )
        if common == len(was):
            # Only thinking is left out, by the service or as it would.
            return None
        gone = set(was[common:])
        end = _end([self._answers(node) for node in new], [b in gone for b in now], common)
        kept = [b for b in now[common:end] if tree.kind[b] != "tool_result" or b in gone]
        if not kept or sum(b in gone for b in kept) < _SAME * len(kept):
            return None
        node, parts = new[end - 1], new[common - 1] if common else -1
        return _Turn(
            earlier=earlier,
            later=call,
            node=node,
            parts=parts,
            again=max(tree.tokens[node] - tree.tokens[known], 0),
            cleared=tree.tokens[earlier.tip] - tree.tokens[node],
            ends=(old[common], new[min(common, end - 1)]),
            how=_how(was[common:], now[common:end], common),
        )


def _end(answers: Sequence[bool], said: Sequence[bool], start: int) -> int:
    """Return where a prompt begins to say what it did not: at the answer after the last old."""
    last = max((at for at in range(start, len(said)) if answers[at] and said[at]), default=-1)
    if last < 0:
        return start
    after = range(last + 1, len(said))
    return next((at for at in after if answers[at]), len(said))


def _how(was: Sequence[int], now: Sequence[int], common: int) -> str:
    """Say in a few words what became of the history behind its unchanged start."""
    left, added = set(was) - set(now), set(now) - set(was)
    if left and added:
        return "earlier blocks are replaced"
    if left:
        return "earlier blocks are left out" if common else "the oldest messages are dropped"
    return "blocks are put in between earlier ones" if added else "earlier blocks are moved"


def _finding(
    subject: Subject, rehearsal: Rehearsal, lane: LaneKey, turns: Sequence[tuple[_Turn, Fraction]]
) -> Finding:
    """Say how often, what it cost, and what would have had to be cleared."""
    first = turns[0][0]
    again = sum(turn.again for turn, _ in turns)
    cleared = max(sum(turn.cleared for turn, _ in turns), 0)
    worth = sum(worth for _, worth in turns) / len(turns)
    used = sum(turn.used for turn, _ in turns) / len(turns)
    calls = "1 call" if len(turns) == 1 else f"{len(turns):,} calls"
    served = "1 call" if used == 1 else f"{used:.2g} calls"
    return Finding(
        rule="history-rewritten",
        code=CODE,
        severity=SEVERITY,
        confidence="high" if len(turns) > 1 else "medium",
        place=place_at(subject.tree, first.ends[1]),
        lane=lane,
        calls=len(turns),
        message=(
            f"in {calls} {first.how}, which clears {cleared:,} tokens and writes {again:,}"
            f" again; as each such history serves {served}, it would have to clear"
            f" {round(worth):,} tokens a time to pay (on average {cleared // len(turns):,})"
        ),
        examples=witnesses(subject, zip((first.earlier, first.later), first.ends, strict=True)),
        fix=Fix(
            safe=False,
            what=(
                "cut rarely and deep: carry old messages on until reading them has cost as"
                " much as writing the rest again; the model sees more of them till then"
            ),
            edit=Edit(sequels=_keeper(rehearsal, {turn.later.number for turn, _ in turns})),
        ),
    )


def _keeper(rehearsal: Rehearsal, numbers: set[int]) -> Sequels:
    """Return what carries histories on until that has cost as much as cutting them."""

    def sequels(workload: Workload) -> dict[int, Sequel]:
        tree = workload.tree
        found: dict[int, Sequel] = {}
        #: By number of a call: tokens it carries beside its own, and what that has cost.
        carried: dict[int, tuple[int, Fraction]] = {}
        for turn in _Conversations(workload).turns:
            extra, spent = carried.get(turn.earlier.number, (0, Fraction()))
            tokens = workload.prompt_tokens(turn.later)
            ratios = Ratios.of(rehearsal.rate(turn.later, tokens))
            if turn.how:
                extra += turn.cleared
            elif turn.earlier.number not in found:
                continue
            if ratios is None or (turn.how and turn.later.number not in numbers):
                continue
            spent += max(extra, 0) * ratios.read
            if turn.how and spent > _worth(turn, ratios):
                continue
            path = tree.path(turn.later.tip)
            found[turn.later.number] = Sequel(
                turn.earlier.number, path[path.index(turn.node) + 1 :]
            )
            carried[turn.later.number] = extra, spent
        return found

    return sequels
