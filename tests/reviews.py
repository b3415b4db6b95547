"""Small workloads to review: one with a date in its instructions, and what makes it so."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from small import Characters, message, request

from cacheplan.prices import Sheet
from cacheplan.records import Intake
from cacheplan.report import Review, review
from cacheplan.subject import Remembering, Subject

__all__ = ["MARK", "PERSON", "dated", "lines", "reviewed", "steady", "subject"]

MARK = {"type": "ephemeral"}
#: What no report may show unless it is asked to.
PERSON = "Mrs Winterbottom"
_BODY = "Answer in one sentence and be kind to whoever asks. " * 300


def dated(calls: int = 12, *, label: str = "clerk", every: float = 400) -> list[dict[str, Any]]:
    """Return calls whose instructions name a person of their own at the front."""
    return lines(
        (f"Serve {PERSON} of 10:{number:02}:00. {_BODY}" for number in range(calls)), label, every
    )


def steady(calls: int = 12, *, label: str = "clerk", every: float = 400) -> list[dict[str, Any]]:
    """Return calls whose instructions never change."""
    return lines((_BODY for _ in range(calls)), label, every)


def lines(systems: Iterable[str], label: str, every: float) -> list[dict[str, Any]]:
    """Return a line for each system prompt, marked at its end."""
    return [
        {
            "at": number * every,
            "id": f"call-{number}",
            "label": label,
            "request": request(
                message("user", f"Question {number}: {PERSON}?"),
                system=[{"type": "text", "text": system, "cache_control": MARK}],
            ),
        }
        for number, system in enumerate(systems)
    ]


def reviewed(found: Iterable[dict[str, Any]], *, train: float = 0.5) -> Review:
    """Review some lines."""
    return review(subject(found), train=train)


def subject(found: Iterable[dict[str, Any]]) -> Subject:
    """Read some lines as rules see them, a character of text a token."""
    counter = Remembering(Characters())
    intake = Intake(counter)
    for line in found:
        intake.add(json.dumps(line).encode())
    workload = replace(intake.workload(), texts=counter.bodies)
    return Subject(workload, Sheet.default(), workload.texts)
