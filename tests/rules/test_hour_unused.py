"""1-hour marks that 5 minutes would cover."""

from __future__ import annotations

from marked_talk import agent, codes, found, saves, system

HOUR = system(ttl="1h")


def test_an_agent_that_never_waits_needs_no_hour() -> None:
    """Four hundred steps of 10 seconds: every read comes within 10 seconds."""
    (finding,) = found(agent(400, head=HOUR, tail="1h"))
    assert (finding.code, finding.calls) == ("CP106", 399)
    assert "read 399 times, each time within 10 seconds" in finding.message


def test_the_saving_is_simulated() -> None:
    """The fix saves what the two bills differ by."""
    assert saves(agent(400, head=HOUR, tail="1h")) > 0


def test_one_pause_that_needs_the_hour_is_enough_to_pass() -> None:
    """People who answer after 10 minutes are what the hour is for."""
    assert codes(agent(10, head=HOUR, tail="1h", step=600)) == []


def test_a_short_log_says_nothing_about_an_hour() -> None:
    """In three minutes nobody can come back after ten."""
    assert codes(agent(20, head=HOUR, tail="1h")) == []


def test_a_head_that_needs_the_hour_keeps_it() -> None:
    """Conversations come every 10 minutes; within one, turns come every 10 seconds."""
    lines = [
        line
        for at in range(12)
        for line in agent(6, head=HOUR, tail="1h", start=600 * at, name=f"u{at}")
    ]
    (finding,) = found(lines)
    assert finding.code == "CP106"
    assert "behind the system" in finding.message
    assert str(finding.place) == "messages[0].content[0]"
