"""Calls that are marked one way or another, for rules about marks.

A character is a token, and the model keeps 1,024 of them or more.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from types import ModuleType
from typing import Any

from small import Characters, message, request, workload

from cacheplan.finding import Finding
from cacheplan.linter import lint
from cacheplan.prices import Sheet
from cacheplan.projection import project
from cacheplan.rules import (
    hour_pays,
    hour_unused,
    lookback_exceeded,
    mark_on_changing,
    mark_too_early,
    no_mark,
    one_shot_marks,
    refused,
    under_minimum,
    unread_writes,
)
from cacheplan.subject import Subject

__all__ = [
    "LONG",
    "RULES",
    "agent",
    "codes",
    "found",
    "marked",
    "one_shots",
    "saves",
    "subject_of",
    "system",
]

#: Every rule about marks.
RULES: tuple[ModuleType, ...] = (
    mark_on_changing,
    no_mark,
    mark_too_early,
    under_minimum,
    lookback_exceeded,
    hour_unused,
    hour_pays,
    one_shot_marks,
    unread_writes,
    refused,
)
#: Instructions that are long enough by themselves.
LONG = "Be brief and kind. " * 200


def marked(block: dict[str, Any], ttl: str = "5m") -> dict[str, Any]:
    """Return a block with a mark."""
    return {**block, "cache_control": {"type": "ephemeral", "ttl": ttl}}


def system(text: str = LONG, ttl: str | None = "5m") -> list[dict[str, Any]]:
    """Return a system prompt of one block, marked or not."""
    block = {"type": "text", "text": text}
    return [block if ttl is None else marked(block, ttl)]


def agent(
    turns: int,
    *,
    head: Sequence[dict[str, Any]] = (),
    tail: str | None = "5m",
    back: int = 0,
    step: float = 10.0,
    start: float = 0.0,
    blocks: int = 1,
    name: str = "a",
) -> list[dict[str, Any]]:
    """Return a conversation in which each call repeats the last one and goes on.

    The mark stands ``back`` messages before the newest; each answer of the user has so
    many ``blocks`` of 1,500 tokens in all.
    """
    lines, said = [], list[dict[str, Any]]()
    for turn in range(turns):
        texts = [f"{name}{turn}.{at} ".ljust(1500 // blocks, ".") for at in range(blocks)]
        said = [*said, message("user", *texts)]
        sent = list(said)
        at = len(sent) - 1 - back
        if tail is not None and at >= 0:
            *before, last = sent[at]["content"]
            sent[at] = {**sent[at], "content": [*before, marked(last, tail)]}
        fields = {"system": list(head)} if head else {}
        lines.append({"at": start + turn * step, "request": request(*sent, **fields)})
        said.append(message("assistant", f"{name} answer {turn} ".ljust(40, ".")))
    return lines


def one_shots(
    number: int,
    *,
    head: Sequence[dict[str, Any]] = (),
    ttl: str | None = "5m",
    step: float = 10.0,
    question: str = "question",
) -> list[dict[str, Any]]:
    """Return calls that ask one thing of 1,500 tokens each, marked at the end or not."""
    lines = []
    for at in range(number):
        block = {"type": "text", "text": f"{at} {question} ".ljust(1500, "?")}
        asked = {"role": "user", "content": [block if ttl is None else marked(block, ttl)]}
        fields = {"system": list(head)} if head else {}
        lines.append({"at": at * step, "request": request(asked, **fields)})
    return lines


def subject_of(lines: Sequence[dict[str, Any]], counter: Characters | None = None) -> Subject:
    """Return what rules look at."""
    calls = workload(sorted(lines, key=lambda line: line["at"]), counter=counter)
    return Subject(calls, Sheet.default(), {})


def found(lines: Sequence[dict[str, Any]], counter: Characters | None = None) -> list[Finding]:
    """Return what all rules about marks find."""
    subject = subject_of(lines, counter)
    return [finding for rule in RULES for finding in rule.check(subject)]


def codes(lines: Sequence[dict[str, Any]], counter: Characters | None = None) -> list[str]:
    """Return the codes of everything found."""
    return [finding.code for finding in found(lines, counter)]


def saves(lines: Sequence[dict[str, Any]]) -> Decimal:
    """Return what the one finding's fix saves, which is what simulating it says."""
    subject = subject_of(lines)
    (finding,) = lint(subject, RULES).findings
    assert finding.fix is not None
    assert finding.fix.remark is not None
    before, after = (
        project(subject.workload, marker, subject.sheet, "").input_cost
        for marker in (lambda call: call.marks, finding.fix.remark)
    )
    assert before is not None
    assert after is not None
    assert finding.saving == before - after
    return finding.saving
