"""A stable block holds a span that changes: everything behind it is written anew.

What: blocks at the same place of the system prompt are equal but for one span, such as a
date, a time, an id or a counter.

Why: a prefix is read only if it is the same to the last character, so one changed digit
at the front costs the whole prompt behind it, at the price of a write instead of a read:
12.5 times as much at a read price of 0.1.

Fails: ``You are a clerk. It is 2026-11-21 10:31.`` with another time in every call.

Passes: the same line in the newest message, behind everything that stays.

Remedy: move the span behind what is stable, at best into the newest user message. The
model then reads it at another place, so the fix is not safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from cacheplan.edits import Edit, Heads, Unit, worded
from cacheplan.finding import Example, Finding, Fix, Severity
from cacheplan.patterns import first_difference, name_at
from cacheplan.prompt import Level, Place
from cacheplan.subject import Subject
from cacheplan.workload import Call

__all__ = ["CODE", "SEVERITY", "check"]

CODE = "CP001"
SEVERITY: Severity = "warning"

#: Two texts with less in common than this share are two texts, not one with a span.
ALIKE = 0.8
#: Texts compared at one place: enough to see what varies, few enough to stay quick.
COMPARED = 40


def check(subject: Subject) -> Iterator[Finding]:
    """Compare what stands at the same place of the heads of each lane."""
    for lane, calls in subject.lanes.items():
        places: dict[int, dict[int, list[Call]]] = {}
        for call in calls:
            for at, node in enumerate(subject.head(call)):
                block = subject.tree.block[node]
                if subject.tree.level[block] is Level.SYSTEM:
                    places.setdefault(at, {}).setdefault(node, []).append(call)
        for at, nodes in places.items():
            found = _varying(subject, list(nodes)[:COMPARED])
            if found is None:
                continue
            start, end = found
            yield _finding(subject, lane, at, nodes, start, end)
            # What stands behind it differs because of it.
            break


def _varying(subject: Subject, nodes: Sequence[int]) -> tuple[int, int] | None:
    """Return how much two or more texts have in common at the start and at the end."""
    texts = {subject.tree.block[node]: subject.text(node) or "" for node in nodes}
    kinds = {subject.tree.kind[block] for block in texts}
    if len(texts) < 2 or kinds != {"text"}:  # noqa: PLR2004 -- one text cannot vary
        return None
    first, *others = texts.values()
    start = min(first_difference(first, other) for other in others)
    end = min(first_difference(first[::-1], other[::-1]) for other in others)
    shortest = min(map(len, texts.values()))
    end = min(end, shortest - start)
    return (start, end) if start + end >= ALIKE * shortest else None


def _finding(
    subject: Subject,
    lane: tuple[str, str | None],
    at: int,
    nodes: dict[int, list[Call]],
    start: int,
    end: int,
) -> Finding:
    """Say what varies, and how often."""
    first, second, *_ = nodes
    texts = [subject.text(node) or "" for node in (first, second)]
    named = name_at(texts[0], start)
    what = f"a {named.name}" if named else "a span"
    calls = sum(map(len, nodes.values()))
    place = Place(level=Level.SYSTEM, index=_index(subject, nodes[first][0], at))
    return Finding(
        rule="volatile-span",
        code=CODE,
        severity=SEVERITY,
        confidence="high" if named else "medium",
        place=place,
        lane=lane,
        calls=calls,
        message=(
            f"{what} at character {start + 1} differs between calls ({len(nodes)} versions in"
            f" {calls} calls), so nothing from there on is shared"
        ),
        examples=tuple(
            Example(nodes[node][0].number, nodes[node][0].id, text[start : len(text) - end])
            for node, text in zip((first, second), texts, strict=True)
        ),
        fix=Fix(
            safe=False,
            what="move it behind the messages; the model reads it there instead",
            edit=Edit(head=_mover(_texts(subject, nodes), start, end)),
        ),
    )


def _texts(subject: Subject, nodes: Iterable[int]) -> dict[bytes, str]:
    """Return texts by the digest of their blocks."""
    tree = subject.tree
    return {tree.digest[tree.block[node]]: subject.text(node) or "" for node in nodes}


def _mover(texts: dict[bytes, str], start: int, end: int) -> Heads:
    """Return what takes the span out of a block and puts it behind the messages."""

    def head(units: Sequence[Unit]) -> tuple[list[Unit], list[Unit]]:
        kept, moved = [], []
        for unit in units:
            text = texts.get(unit.digest)
            if text is None:
                kept.append(unit)
                continue
            share = max(len(text) - start - end, 0) / max(len(text), 1)
            span = round(unit.length * share)
            stable = text[:start] + text[len(text) - end :]
            kept.append(worded(unit, stable, unit.length - span))
            moved.append(
                worded(unit, text[start : len(text) - end], span, level=Level.MESSAGES, role="user")
            )
        return kept, moved

    return head


def _index(subject: Subject, call: Call, at: int) -> int:
    """Return which system block the ``at``-th block of a head is."""
    tree = subject.tree
    head = subject.head(call)[:at]
    return sum(tree.level[tree.block[node]] is Level.SYSTEM for node in head)
