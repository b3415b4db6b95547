"""What a fix changes in one call, place by place: a before and an after to carry into code.

Made from the calls as they were and as they would be, whatever the fix did to them, so no
rule says it by hand. This file knows two workloads and the places in a prompt. What a
prompt says is text, and redacted when it is shown; times and marks are not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, NamedTuple

from cacheplan.facts import find
from cacheplan.patterns import first_difference
from cacheplan.prefixes import SETTINGS, PrefixTree
from cacheplan.prompt import Breakpoint, Level, Place
from cacheplan.workload import Call, Workload

__all__ = ["Change", "Patch", "of_edit", "of_marks", "spots", "unbinds"]

_THINKING: Final = frozenset({"thinking", "redacted_thinking"})

#: Changes shown on each side: a person reads a few, and does the rest alike.
SHOWN: Final = 6
#: Characters shown around what differs, and of a block that is moved.
AROUND: Final = 40
LONGEST: Final = 120
#: Calls tried for one that a fix changes, besides its examples.
TRIED: Final = 100


class Change(NamedTuple):
    """What stands at one place, before or after."""

    #: As the service names places; ``at`` for the time of the call.
    place: str
    #: A block's text or the part of it that differs, or a mark, or a time.
    text: str
    #: True for a prompt's own words, which are redacted unless text is asked for.
    private: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """What stands in one call before and after a fix, the changed places only."""

    #: The number of the call, and its id where it has one.
    call: int
    id: str | None
    before: tuple[Change, ...]
    after: tuple[Change, ...]
    #: How many more changes there are.
    more: int = 0


class _Spot(NamedTuple):
    """One block of a prompt, and where it stands."""

    node: int
    place: Place


def of_edit(before: Workload, after: Workload, examples: Iterable[int]) -> Patch | None:
    """Return what an edit changes in the first example that it changes, or in another call."""
    old = {call.number: call for call in before}
    new = {call.number: call for call in after}
    others = (call.number for call, _ in zip(before, range(TRIED), strict=False))
    for number in dict.fromkeys((*examples, *others)):
        if number in old and number in new:
            found = _compared(before, after, old[number], new[number])
            if found is not None:
                return found
    return None


def unbinds(before: Workload, after: Workload) -> bool:
    """Tell whether thinking would be replayed behind another prefix than it was made after.

    Newer models check that. What the service takes for the same prefix is not documented,
    so a block cut in two counts as changed.
    """
    tree = before.tree
    now = {call.number: call.tip for call in after}
    bound: dict[int, bool] = {}
    for scope, root in tree.roots.items():
        found = find(scope.model.partition("@")[0])
        bound[root] = found is not None and found.model.thinking_bound
    #: By prefix: where the last thinking on the way here ends, -1 where there is none.
    last: list[int] = []
    for node, above in enumerate(tree.parent):
        thinks = above >= 0 and tree.kind[tree.block[node]] in _THINKING
        bound[node] = bound[above] if above >= 0 else bound[node]
        last.append(node if thinks and bound[node] else last[above] if above >= 0 else -1)
    seen: set[int] = set()
    for call in before:
        end = last[call.tip]
        if end < 0 or end in seen:
            continue
        seen.add(end)
        was = _said(tree, end)
        if _said(after.tree, now[call.number])[: len(was)] != was:
            return True
    return False


def _said(tree: PrefixTree, node: int) -> list[bytes]:
    """Return what stands in a prefix, settings left out."""
    blocks = (tree.block[one] for one in tree.path(node))
    return [tree.digest[block] for block in blocks if tree.kind[block] != SETTINGS]


def of_marks(tree: PrefixTree, call: Call, marks: Sequence[Breakpoint]) -> Patch | None:
    """Return which marks of a call other marks replace; ``None`` where they are the same."""
    places = {spot.node: str(spot.place) for spot in spots(tree, call.tip)}
    gone = [mark for mark in call.marks if mark not in marks]
    come = [mark for mark in marks if mark not in call.marks]
    if not gone and not come:
        return None
    before, after = (
        tuple(_mark(places.get(one.node, ""), one) for one in own) for own in (gone, come)
    )
    return Patch(call=call.number, id=call.id, before=before, after=after)


def _mark(place: str, mark: Breakpoint) -> Change:
    """Write a mark as it stands in a body."""
    text = f'"cache_control": {{"type": "ephemeral", "ttl": "{mark.lifetime}"}}'
    return Change(place, text, private=False)


def spots(tree: PrefixTree, tip: int) -> list[_Spot]:
    """Return the blocks of a prompt with their places.

    Messages of one role in a row count as one, as they do for the service.
    """
    found: list[_Spot] = []
    counts = dict.fromkeys(Level, -1)
    inner, role = -1, ""
    for node in tree.path(tip):
        block = tree.block[node]
        level, kind = tree.level[block], tree.kind[block]
        if kind == SETTINGS:
            continue
        if level is Level.SYSTEM and kind != "text":
            level = Level.TOOLS  # A web tool: of the system level, but defined among tools.
        if level is not Level.MESSAGES:
            counts[level] += 1
            found.append(_Spot(node, Place(level=level, index=counts[level])))
            continue
        if tree.role[block] != role or counts[level] < 0:
            counts[level], inner, role = counts[level] + 1, -1, tree.role[block]
        inner += 1
        found.append(_Spot(node, Place(level=level, index=counts[level], content=inner)))
    return found


def _compared(before: Workload, after: Workload, old: Call, new: Call) -> Patch | None:
    """Compare a call with itself."""
    was, now = _blocks((before, spots(before.tree, old.tip)), (after, spots(after.tree, new.tip)))
    if old.at != new.at:
        was.insert(0, Change("at", f"{old.at:.3f}", private=False))
        now.insert(0, Change("at", f"{new.at:.3f}", private=False))
    if not was and not now:
        return None
    more = max(len(was) - SHOWN, 0) + max(len(now) - SHOWN, 0)
    return Patch(
        call=old.number,
        id=old.id,
        before=tuple(was[:SHOWN]),
        after=tuple(now[:SHOWN]),
        more=more,
    )


#: A prompt as it stands in a workload.
_Prompt = tuple[Workload, list[_Spot]]


def _blocks(old: _Prompt, new: _Prompt) -> tuple[list[Change], list[Change]]:
    """Return the blocks that are not in both prompts, or not in the same order."""
    gone, come = _digests(*old), _digests(*new)
    start = _same(gone, come)
    end = _same(gone[start:][::-1], come[start:][::-1])
    lists: tuple[list[Change], list[Change]] = ([], [])
    # Only the middle is compared: a long history is nearly all the same.
    matcher = SequenceMatcher(
        None, gone[start : len(gone) - end], come[start : len(come) - end], autojunk=False
    )
    for how, a, b, c, d in matcher.get_opcodes():
        if how == "equal":
            continue
        left = old[0], old[1][start + a : start + b]
        right = new[0], new[1][start + c : start + d]
        texts = [*zip(*_pairs(left, right), strict=True)] or [(), ()]
        for side, (workload, found) in enumerate((left, right)):
            said = [*texts[side], *(_short(workload, spot) for spot in found[len(texts[side]) :])]
            for spot, text in zip(found, said, strict=True):
                known = _text(workload, spot) is not None
                lists[side].append(Change(str(spot.place), text, private=known))
    return lists


def _digests(workload: Workload, blocks: Sequence[_Spot]) -> list[bytes]:
    """Return what blocks say, as digests."""
    tree = workload.tree
    return [tree.digest[tree.block[spot.node]] for spot in blocks]


def _same(one: Sequence[bytes], other: Sequence[bytes]) -> int:
    """Return how many items two lists have in common at their start."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _pairs(left: _Prompt, right: _Prompt) -> list[tuple[str, str]]:
    """Return the differing parts of blocks that take each other's place."""
    found: list[tuple[str, str]] = []
    for old, new in zip(left[1], right[1], strict=False):
        one, other = _text(left[0], old), _text(right[0], new)
        if old.place != new.place or one is None or other is None:
            break
        start = first_difference(one, other)
        end = first_difference(one[start:][::-1], other[start:][::-1])
        found.append((_cut(one, start, end), _cut(other, start, end)))
    return found


def _cut(text: str, start: int, end: int) -> str:
    """Return what stands between two ends of a text, with a little of its neighbourhood."""
    begin = max(start - AROUND, 0)
    stop = min(len(text) - end + AROUND, len(text), begin + LONGEST + 2 * AROUND)
    return f"{'…' if begin else ''}{text[begin:stop]}{'…' if stop < len(text) else ''}"


def _short(workload: Workload, spot: _Spot) -> str:
    """Say enough of a block to know it again: a tool's name, or how a text begins."""
    tree = workload.tree
    digest = tree.digest[tree.block[spot.node]]
    text = _text(workload, spot)
    if text is None:
        return f"a block of {tree.own(spot.node):,} tokens"
    if spot.place.level is Level.TOOLS:
        text = str(workload.texts[digest].get("name") or text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _text(workload: Workload, spot: _Spot) -> str | None:
    """Return a block as text: its own, or its JSON as it was sent; ``None`` if nobody knows."""
    body = workload.texts.get(workload.tree.digest[workload.tree.block[spot.node]])
    if body is None:
        return None
    text = body.get("text")
    return text if isinstance(text, str) else json.dumps(body, ensure_ascii=False)
