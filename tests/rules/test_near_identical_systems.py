"""CP007: system prompts that are nearly the same."""

from __future__ import annotations

from typing import Any

import pytest
from reviewed import LONG, findings, healthy, same_as_simulated
from small import message, request, tool

from cacheplan.prompt import Level, Place
from cacheplan.rules import near_identical_systems

NAMES = ("Initech", "Hooli", "Acme")


def ask(at: int, system: Any, **fields: Any) -> dict[str, Any]:
    """Return the line of one question, four minutes after the one before."""
    body = request(message("user", f"q{at}"), system=system)
    return {"at": 240 * at, "request": body | fields.pop("body", {}), **fields}


def works_for(name: str, text: str = LONG) -> str:
    """Return a tenant's prompt."""
    return f"You work for {name}. {text}"


TENANTS = [ask(at, works_for(NAMES[at % 3])) for at in range(18)]


def test_tenants() -> None:
    """Prompts that differ in a name are one finding, with what each has of its own."""
    (found,) = findings(near_identical_systems, TENANTS)
    assert (found.code, found.severity, found.calls) == ("CP007", "note", 18)
    assert found.place == Place(level=Level.SYSTEM, index=0)
    assert found.message.startswith("3 prompts are the same but for a span at character 14")
    assert [example.text for example in found.examples] == ["Initech", "Hooli"]
    assert found.fix is not None
    assert not found.fix.safe


def test_saving_is_the_simulated_one() -> None:
    """One entry that all keep alive is what the saving is simulated with."""
    assert same_as_simulated(near_identical_systems, TENANTS)
    (found,) = findings(near_identical_systems, TENANTS)
    assert found.saving is not None
    assert found.saving > 0


def test_lanes() -> None:
    """Agents under labels of their own are compared as well."""
    lines = [ask(at, works_for(NAMES[at % 2]), label=NAMES[at % 2]) for at in range(8)]
    (found,) = findings(near_identical_systems, lines)
    assert "2 prompts of 2 lanes" in found.message


def test_a_later_block() -> None:
    """The block that differs is found behind blocks that are the same."""
    lines = []
    for at in range(8):
        parts = ("House rules.", works_for(NAMES[at % 2]), "Be brief.")
        lines.append(ask(at, [{"type": "text", "text": part} for part in parts]))
    (found,) = findings(near_identical_systems, lines)
    assert found.place == Place(level=Level.SYSTEM, index=1)
    assert same_as_simulated(near_identical_systems, lines)


@pytest.mark.parametrize("name", healthy())
def test_healthy(name: str) -> None:
    """Nothing is found where nothing is wrong."""
    assert not findings(near_identical_systems, healthy()[name])


def test_short_prompts() -> None:
    """What is too short to be cached cannot be shared."""
    lines = [ask(at, works_for(NAMES[at % 3], LONG[:600])) for at in range(18)]
    assert not findings(near_identical_systems, lines)


def test_other_tools() -> None:
    """Prompts behind other tools have no prefix in common whatever they say."""
    lines = [
        ask(at, works_for(NAMES[at % 2]), body={"tools": [tool(NAMES[at % 2])]}) for at in range(8)
    ]
    assert not findings(near_identical_systems, lines)


def test_a_new_version() -> None:
    """A prompt that replaces another is its next version."""
    assert not findings(
        near_identical_systems, [ask(at, works_for(NAMES[at // 6])) for at in range(18)]
    )


def test_made_for_each_call() -> None:
    """A time in the prompt is the finding of the rule for spans."""
    lines = [ask(at, works_for(f"us at 10:0{at % 3}")) for at in range(9)]
    assert not findings(near_identical_systems, lines)
