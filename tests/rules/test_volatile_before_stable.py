"""CP002: a block that is always another one before blocks that stay."""

from __future__ import annotations

from typing import Any

import pytest
from reviewed import LONG, agent, findings, healthy, same_as_simulated
from small import digest_line, message, request

from cacheplan.prompt import Level, Place
from cacheplan.rules import volatile_before_stable

PROFILES = (
    "Ann sells boats in Kiel and hates small talk.",
    "The customer is a dentist. German, formal.",
    "No profile yet",
    "Plays chess; has two open invoices, one overdue",
    "Prefers calls before nine o'clock",
    "Zoe: student, wants short answers with links",
)


def texts(*parts: str) -> list[dict[str, Any]]:
    """Return system blocks."""
    return [{"type": "text", "text": part} for part in parts]


def asked(*orders: tuple[str, ...], text: str = "q{}", **fields: Any) -> list[dict[str, Any]]:
    """Return one question behind each of these system prompts."""
    return [
        {
            "at": 30 * at,
            **fields,
            "request": request(message("user", text.format(at)), system=texts(*parts)),
        }
        for at, parts in enumerate(orders)
    ]


def looping(turns: int, *, last: bool = False) -> list[dict[str, Any]]:
    """Return an agent whose system prompt says in each turn what was found for it."""
    lines = agent(0, turns)
    for at, line in enumerate(lines):
        found = " ".join(f"{chr(97 + (at * 7 + word * word) % 26)}w" for word in range(30 + at))
        line["request"]["system"] = texts(LONG, found) if last else texts(found, LONG)
        del line["session"]
    return lines


PROFILE_FIRST = asked(*((profile, LONG) for profile in PROFILES))


def test_before_blocks_that_stay() -> None:
    """A profile before the rules is found, with what stands behind it."""
    (found,) = findings(volatile_before_stable, PROFILE_FIRST)
    assert (found.code, found.calls) == ("CP002", 6)
    assert found.place == Place(level=Level.SYSTEM, index=0)
    assert f"(6 versions in 6 calls), so the {len(LONG)} tokens" in found.message
    assert found.fix is not None
    assert found.fix.what.startswith("move it behind the blocks of the system prompt that stay")
    assert not found.fix.safe
    assert [example.text for example in found.examples] == [*PROFILES[:2]]


@pytest.mark.parametrize("lines", [PROFILE_FIRST, looping(6), looping(20, last=True)])
def test_saving_is_the_simulated_one(lines: list[dict[str, Any]]) -> None:
    """Behind what stays, it leaves that to be read, and so much is claimed."""
    assert same_as_simulated(volatile_before_stable, lines)
    (found,) = findings(volatile_before_stable, lines)
    assert found.saving is not None
    assert found.saving > 0


def test_as_good_as_written_so() -> None:
    """Moved, the prompts cost what they cost with the rules in front."""
    assert not findings(volatile_before_stable, asked(*((LONG, profile) for profile in PROFILES)))


@pytest.mark.parametrize("last", [False, True])
def test_within_a_conversation(last: bool) -> None:
    """What changes from turn to turn has to go behind the messages."""
    (found,) = findings(volatile_before_stable, looping(6, last=last))
    assert found.fix is not None
    assert found.fix.what.startswith("move it behind the messages")
    assert found.place == Place(level=Level.SYSTEM, index=int(last))


def test_digests() -> None:
    """No text is needed to see that a block is another one every time."""
    lines = [
        digest_line(
            [(f"s{at}", 90, "system"), ("rules", 9000, "system"), (f"m{at}", 9, "messages")],
            at=30 * at,
        )
        for at in range(5)
    ]
    (found,) = findings(volatile_before_stable, lines)
    assert "the 9000 tokens" in found.message
    assert found.saving is not None
    assert found.saving > 0


@pytest.mark.parametrize("name", healthy())
def test_healthy(name: str) -> None:
    """Nothing is found where nothing is wrong."""
    assert not findings(volatile_before_stable, healthy()[name])


def test_users_who_say_the_same() -> None:
    """Profiles behind the rules are fine, even if all users say hi."""
    lines = asked(*((LONG, profile) for profile in PROFILES), text="hi")
    assert not findings(volatile_before_stable, lines)


def test_a_span_is_another_rule() -> None:
    """Versions that are one text with a time in it are not whole blocks that change."""
    lines = asked(*((f"It is 10:0{at} on the bridge.", LONG) for at in range(6)))
    assert not findings(volatile_before_stable, lines)


def test_agents_with_something_in_common() -> None:
    """Three agents that are called again and again are no blocks that change."""
    assert not findings(volatile_before_stable, asked(*((one, LONG) for one in PROFILES[:3] * 4)))
