"""Collapses: which calls read far less than they should have, and why."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import digest_line, workload

from cacheplan.collapses import CAUSES, Collapse, by_cause, collapsed, collapses
from cacheplan.prices import Sheet

#: Blocks of one prompt: name, tokens, level.
Blocks = list[tuple[str, int, str]]
TOOLS: Blocks = [("tools", 4_000, "tools")]
SYSTEM: Blocks = [("system", 6_000, "system")]
TALK: Blocks = [("question", 3_000, "messages"), ("answer", 50, "messages")]
LAST: Blocks = [("next", 40, "messages")]


def usage(read: int, written: int = 0) -> dict[str, Any]:
    """Return a response that was billed so."""
    numbers = {
        "input_tokens": 10,
        "output_tokens": 5,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
    }
    return {"usage": numbers}


def two(
    later: Blocks, *, after: float = 60, marked: bool = True, **fields: Any
) -> list[dict[str, Any]]:
    """Return a first call that wrote its whole prompt, and one that read nothing of it."""
    earlier = [*TOOLS, *SYSTEM, *TALK]
    first = digest_line(
        earlier,
        at=0,
        session="s",
        marks=[{"block": len(earlier) - 1, "ttl": "5m"}],
        response=usage(0, 13_050),
    )
    marks = [{"block": len(later) - 1, "ttl": "5m"}] if marked else []
    second = digest_line(later, at=after, session="s", marks=marks, response=usage(0, 13_000))
    return [first, {**second, **fields}]


def found(lines: list[dict[str, Any]], told: dict[int, str] | None = None) -> list[Collapse]:
    """Return the collapses of these calls."""
    return list(collapses(workload(lines), Sheet.default(), told))


WHOLE = [*TOOLS, *SYSTEM, *TALK, *LAST]


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        (two([("others", 4_000, "tools"), *SYSTEM, *TALK, *LAST]), "tools_changed"),
        (two([*TOOLS, ("changed", 6_000, "system"), *TALK, *LAST]), "system_changed"),
        (two([*TOOLS, *SYSTEM, TALK[0], ("told anew", 50, "messages")]), "messages_changed"),
        (two([*TOOLS, *SYSTEM, TALK[0]]), "messages_changed"),
        (two(WHOLE, model="claude-opus-4-8"), "model_changed"),
        (two(WHOLE, speed="fast"), "model_changed"),
        (two(WHOLE, marked=False), "not_marked"),
        (two(WHOLE, after=301), "ttl_expired"),
        (two(WHOLE), "unexplained"),
        (two([*WHOLE, *[(f"m{n}", 1, "messages") for n in range(30)]]), "lookback_exceeded"),
    ],
)
def test_causes(lines: list[dict[str, Any]], cause: str) -> None:
    """The first thing that differs between a call and the one before it is the cause."""
    (one,) = found(lines)
    assert (one.cause, one.told, one.lost) == (cause, False, 13_050)
    assert cause in CAUSES


def test_the_api_says_so() -> None:
    """Where the API says what changed, that is the cause."""
    (one,) = found(two(WHOLE), {1: "system_changed"})
    assert (one.cause, one.told) == ("system_changed", True)


def test_nothing_collapses() -> None:
    """A call that reads what was kept, or nearly, is no collapse."""
    for read in (13_050, 12_400):
        lines = two(WHOLE)
        lines[1]["response"] = usage(read)
        assert found(lines) == []


def test_other_conversations() -> None:
    """A call of another conversation owes nothing to the one before it."""
    lines = two(WHOLE)
    lines[1]["session"] = "another"
    assert found(lines) == []


def test_a_failed_call() -> None:
    """A call that failed neither collapses nor leaves anything to be read."""
    lines = two(WHOLE)
    lines[1]["response"] = {"type": "error", **usage(0)}
    assert found(lines) == []


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_threshold(established: int, read: int) -> None:
    """Less than 95 % of what was kept, and at least 2,000 tokens less, is a collapse."""
    missing = established - read
    assert collapsed(established, read) == (missing >= 2_000 and missing * 20 > established)


def test_by_cause() -> None:
    """Causes are told with their calls and tokens, the dearest first."""
    several = [*found(two(WHOLE)), *found(two(WHOLE, after=301)), *found(two(WHOLE))]
    assert by_cause(several) == [("unexplained", 2, 26_100), ("ttl_expired", 1, 13_050)]
