"""5-minute marks that an hour would serve better."""

from __future__ import annotations

from marked_talk import agent, codes, found, one_shots, saves, system


def test_a_prompt_used_every_ten_minutes_is_worth_an_hour() -> None:
    """Seven of eight calls come back when the 5 minutes are over."""
    (finding,) = found(one_shots(8, head=system(), ttl=None, step=600))
    assert (finding.code, finding.calls) == ("CP107", 7)
    assert str(finding.place) == "system[0]"
    assert "half of them after 10 minutes or less" in finding.message


def test_a_conversation_with_pauses_gets_the_hour_at_its_end_too() -> None:
    """Each call counts once, however many of its entries are gone."""
    (finding,) = found(agent(8, head=system(), step=600))
    assert (finding.code, finding.calls) == ("CP107", 7)
    assert finding.fix is not None
    assert finding.fix.what == "give every mark the lifetime 1h"


def test_the_saving_is_simulated() -> None:
    """The fix saves what the two bills differ by."""
    assert saves(agent(8, head=system(), step=600)) > 0


def test_what_comes_back_at_once_needs_no_hour() -> None:
    """Every 10 seconds is well within 5 minutes."""
    assert codes(one_shots(8, head=system(), ttl=None)) == []


def test_what_comes_back_too_late_is_not_helped_by_an_hour() -> None:
    """Once a day is too late for either lifetime."""
    assert "CP107" not in codes(one_shots(8, head=system(), ttl=None, step=86_400))


def test_two_pauses_are_no_habit() -> None:
    """A person who went for coffee twice is no reason to pay for an hour."""
    lines = agent(12, head=system())
    paused = [{**line, "at": line["at"] + 600 * (at // 4)} for at, line in enumerate(lines)]
    assert codes(paused) == []


def test_pauses_that_are_rare_do_not_pay_for_an_hour() -> None:
    """Short prompts come back late three times; the hour would make 40 long turns dearer."""
    lines = agent(44, tail="5m")
    paused = [{**line, "at": line["at"] + 600 * min(at, 3)} for at, line in enumerate(lines)]
    assert codes(paused) == []
