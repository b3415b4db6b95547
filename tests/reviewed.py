"""Lines in, findings of one rule out: what the tests of rules share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

from small import Characters, digest_line, message, request

from cacheplan.assumptions import Assumptions
from cacheplan.choosing import choose
from cacheplan.edits import edited
from cacheplan.finding import Finding
from cacheplan.linter import lint
from cacheplan.pins import pins_from
from cacheplan.prices import Sheet
from cacheplan.projection import project
from cacheplan.records import Intake
from cacheplan.subject import Remembering, Subject

__all__ = ["LONG", "agent", "findings", "healthy", "same_as_simulated", "subject"]

#: Stable text that is worth caching: a token is a character.
LONG = "Be exact and kind. " * 300


def subject(
    lines: Iterable[dict[str, Any]], assume: Assumptions | None = None, pins: Iterable[str] = ()
) -> Subject:
    """Read lines as a review does, with every block's text kept."""
    counter = Remembering(Characters())
    intake = Intake(counter, assume)
    for line in lines:
        intake.add(json.dumps(line).encode())
    read = replace(intake.workload(), texts=counter.bodies)
    return Subject(read, Sheet.default(), counter.bodies, pins_from(pins))


def findings(
    rule: ModuleType,
    lines: Iterable[dict[str, Any]],
    assume: Assumptions | None = None,
    pins: Iterable[str] = (),
) -> Sequence[Finding]:
    """Return what one rule finds, priced."""
    return lint(subject(lines, assume, pins), [rule]).findings


def same_as_simulated(
    rule: ModuleType, lines: Iterable[dict[str, Any]], assume: Assumptions | None = None
) -> bool:
    """Say if a rule's one finding claims what the edit saves when both are planned anew."""
    seen = subject(lines, assume)
    (finding,) = lint(seen, [rule]).findings
    assert finding.fix is not None
    assert finding.fix.edit is not None
    costs = []
    for workload in (seen.workload, edited(seen.workload, [finding.fix.edit])):
        marker = choose(workload, seen.sheet).marker(workload.tree)
        costs.append(project(workload, marker, seen.sheet, "any").input_cost)
    before, after = costs
    assert before is not None
    assert after is not None
    return finding.saving == before - after


def agent(at: float, turns: int, name: str = "a", **fields: Any) -> list[dict[str, Any]]:
    """Return a conversation that grows by a tool call a turn, marked on its last block."""
    mark = {"cache_control": {"type": "ephemeral"}}
    lines, said = [], [message("user", f"task {name}")]
    for turn in range(turns):
        lines.append(
            {"at": at + 20 * turn, "session": name, "request": request(*said, **mark, **fields)}
        )
        call = f"toolu_{name}{turn}"
        use = {"type": "tool_use", "id": call, "name": "look", "input": {"at": turn, "by": "id"}}
        answer = {"type": "tool_result", "tool_use_id": call, "content": f"row {turn} {LONG[:400]}"}
        said = [
            *said,
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [answer]},
        ]
    return lines


def healthy() -> dict[str, list[dict[str, Any]]]:
    """Return workloads, by name, in which no rule about layout may find anything."""
    look = {"name": "look", "description": "Look a row up.", "input_schema": {"type": "object"}}
    fields: dict[str, Any] = {"tools": [look], "system": LONG}
    greeting = [message("user", "hi"), message("assistant", "Hello! How can I help?")]
    return {
        "an agent with a rolling mark": agent(0, 12, **fields),
        "interleaved conversations": sorted(
            agent(0, 8, "a", **fields) + agent(7, 8, "b", **fields), key=lambda line: line["at"]
        ),
        "two users who say hi": [
            {"at": at, "request": request(message("user", "hi"), system=LONG)} for at in (0, 9)
        ],
        "a canned greeting": [
            {
                "at": 30 * at,
                "request": request(*greeting, message("user", f"question {word}"), system=LONG),
            }
            for at, word in enumerate(("one", "of", "two", "or", "three"))
        ],
        "a prompt changed once": [
            {"at": 30 * at, "request": request(message("user", f"q{at}"), system=system)}
            for at, system in enumerate([LONG] * 5 + [LONG + "Be brief."] * 5)
        ],
        "two agents": [
            {"at": 30 * at, "request": request(message("user", f"q{at}"), system=system)}
            for at, system in enumerate([LONG, "You write poems, one a call. " * 200] * 5)
        ],
        "a moved mark": [
            {
                "at": 30 * at,
                "request": request(
                    message("user", "q"),
                    system=[
                        {"type": "text", "text": LONG}
                        | ({"cache_control": {"type": "ephemeral"}} if at % 2 else {}),
                        {"type": "text", "text": LONG[::-1]}
                        | ({} if at % 2 else {"cache_control": {"type": "ephemeral"}}),
                    ],
                ),
            }
            for at in range(6)
        ],
        "digests": [
            digest_line(
                [("t1", 500, "tools"), (f"s{at % 3}", 5000, "system"), (f"m{at}", 9, "messages")],
                at=30 * at,
            )
            for at in range(9)
        ],
    }
