"""What holds for all rules together: what is healthy has no finding, a moved mark is no change."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reviewed import LONG, agent, subject
from small import message, request, tool

from cacheplan.finding import Finding
from cacheplan.linter import lint
from cacheplan.rules import RULES, cold_fan_out

Lines = list[dict[str, Any]]

MARK: dict[str, Any] = {"cache_control": {"type": "ephemeral"}}
LOOK = tool("look", LONG[:300])
#: Rules about what calls say, in which order and form, and not about marks or waiting.
LAYOUT = [rule for rule in RULES if not rule.CODE.startswith("CP1") and rule is not cold_fan_out]


def findings(lines: Lines) -> list[Finding]:
    """Return what all rules find, notes included."""
    return list(lint(subject(lines)).findings)


def marked() -> list[dict[str, Any]]:
    """Return a system prompt with a mark at its end."""
    return [{"type": "text", "text": LONG, **MARK}]


def greeted(name: str, at: float) -> Lines:
    """Return a user's conversation, behind a greeting that everybody is given."""
    said = [message("user", "hi"), message("assistant", "Hello! How can I help?")]
    lines = []
    for turn in range(4):
        said = [*said, message("user", f"{name} asks {turn}. {LONG[:600]}")]
        body = request(*said, system=marked(), **MARK)
        lines.append({"at": at + 25 * turn, "request": body})
        said = [*said, message("assistant", f"{name} is told {turn}.")]
    return lines


def in_order(*parts: Lines) -> Lines:
    """Return calls of several conversations as they come."""
    return sorted((line for part in parts for line in part), key=lambda line: float(line["at"]))


#: Calls that are as they should be.
HEALTHY: dict[str, Lines] = {
    "an agent with a rolling mark": agent(0, 12, tools=[LOOK], system=LONG),
    "an agent with a rolling mark on its blocks": [
        {**line, "request": request(*[*said[:-1], {**said[-1], "content": [last | MARK]}])}
        for line in agent(0, 12)
        for said in [line["request"]["messages"]]
        for last in said[-1]["content"]
    ],
    "two users who both say hi": [
        {"at": at, "request": request(message("user", "hi"))} for at in (0, 9)
    ],
    "two users who both say hi to one clerk": [
        {"at": at, "request": request(message("user", "hi"), system=marked())} for at in (0, 9)
    ],
    "two users who both say hi, and go on": in_order(greeted("Ann", 0), greeted("Bob", 7)),
    "interleaved conversations": in_order(
        agent(0, 8, "a", tools=[LOOK], system=LONG), agent(7, 8, "b", tools=[LOOK], system=LONG)
    ),
    "interleaved conversations that nobody names": [
        {"at": line["at"], "request": line["request"]}
        for line in in_order(
            agent(0, 8, "a", tools=[LOOK], system=LONG),
            agent(7, 8, "b", tools=[LOOK], system=LONG),
        )
    ],
    "a canned greeting": in_order(*(greeted(name, 200 * at) for at, name in enumerate("ABCDE"))),
    "jobs that share their instructions": [
        {"at": 30 * at, "request": request(message("user", f"{word} of {at}"), system=marked())}
        for at, word in enumerate(("one", "two", "three", "four", "five"))
    ],
}


@pytest.mark.parametrize("name", HEALTHY)
def test_what_is_healthy_has_no_finding(name: str) -> None:
    """No rule says anything, not even a note."""
    assert findings(HEALTHY[name]) == []


@dataclass(frozen=True)
class Step:
    """One turn: how long after the one before, and which blocks are marked for how long."""

    after: float
    marks: tuple[tuple[int, str], ...]
    automatic: bool


steps = st.builds(
    Step,
    after=st.sampled_from((2.0, 20.0, 290.0, 400.0, 4000.0)),
    marks=st.lists(st.tuples(st.integers(0, 20), st.sampled_from(("5m", "1h"))), max_size=3).map(
        tuple
    ),
    automatic=st.booleans(),
)
#: Conversations side by side: whether they name their session, and their turns.
talks = st.lists(
    st.tuples(st.booleans(), st.lists(steps, min_size=1, max_size=6)), min_size=1, max_size=3
)


def spoken(found: list[tuple[bool, list[Step]]]) -> Lines:
    """Return conversations that only grow, with marks wherever they please."""
    lines = []
    for name, (named, turns) in zip("abc", found, strict=False):
        said: Lines = []
        at = 0.0
        for turn, step in enumerate(turns):
            at += step.after
            said = [*said, message("user", f"{name} {turn} {LONG[:500]}", f"and {name}{turn}")]
            system = [{"type": "text", "text": LONG}]
            body = json.loads(json.dumps(request(*said, tools=[LOOK], system=system)))
            blocks = [*body["tools"], *body["system"]]
            blocks += [block for one in body["messages"] for block in one["content"]]
            for number, ttl in step.marks:
                mark = {"type": "ephemeral", "ttl": ttl}
                blocks[number % len(blocks)]["cache_control"] = mark
            if step.automatic:
                body |= MARK
            lines.append({"at": at, "request": body, **({"session": name} if named else {})})
            said = [*said, message("assistant", f"answer to {name} {turn}")]
    return in_order(lines)


@given(talks)
def test_a_moved_mark_is_no_change(found: list[tuple[bool, list[Step]]]) -> None:
    """Wherever marks stand, no rule takes two calls for different that say the same."""
    seen = subject(spoken(found))
    assert [one for rule in LAYOUT for one in rule.check(seen)] == []


@given(talks)
@settings(max_examples=20)
def test_a_finding_is_told_once(found: list[tuple[bool, list[Step]]]) -> None:
    """No two findings are about the same place of the same calls, and each can be gone to."""
    lines = spoken(found)
    told = findings(lines)
    assert len({(one.code, one.of, one.place) for one in told}) == len(told)
    for one in told:
        assert one.place is not None
        assert 0 < one.calls <= len(lines)
        assert one.examples
