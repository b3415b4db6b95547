"""Writes that nobody reads, and writes that are the price of others."""

from __future__ import annotations

from decimal import Decimal

from marked_talk import agent, codes, found, one_shots, saves, system

#: Dollars for an uncached token of the model that these calls ask.
PRICE = Decimal("0.000002")


def test_a_report_a_day_is_written_for_nobody() -> None:
    """All of 8 times 3,801 tokens; within an hour nobody comes back."""
    (finding,) = found(one_shots(8, head=system(), ttl=None, step=86_400))
    assert (finding.code, finding.calls) == ("CP109", 8)
    assert str(finding.place) == "system[0]"
    assert finding.message == "100% of 30,408 tokens written were never read"
    assert finding.fix is not None
    assert finding.fix.what == "leave out the mark at system[0]"


def test_the_saving_is_simulated() -> None:
    """A quarter of the price of what was written."""
    lines = one_shots(8, head=system(), ttl=None, step=86_400)
    assert saves(lines) == 30_408 * PRICE / 4


def test_a_conversation_taken_up_once_a_day_is_not_worth_its_marks() -> None:
    """Each turn is found in the next one, a day too late."""
    (finding,) = found(agent(5, head=system(), step=86_400))
    assert finding.code == "CP109"
    assert finding.fix is not None
    assert finding.fix.what == "leave these marks out"


def test_the_last_turns_of_conversations_are_the_price_of_the_others() -> None:
    """One write in four is read by nobody, and the marks still pay."""
    lines = [
        line for at in range(6) for line in agent(4, head=system(), start=60 * at, name=f"u{at}")
    ]
    assert codes(lines) == []


def test_calls_of_one_moment_are_another_rule() -> None:
    """What was written twice at once needs no other marks: it needs to wait."""
    assert codes(one_shots(8, head=system(), ttl=None, step=0)) == []
