"""Lanes without marks, where marks would pay and where they would not."""

from __future__ import annotations

from marked_talk import agent, codes, found, one_shots, saves, subject_of, system

from cacheplan.rules import no_mark

BARE = system(ttl=None)


def test_a_conversation_without_marks_is_marked_at_its_end() -> None:
    """Every turn repeats what was said, and pays for it in full."""
    (finding,) = found(agent(8, head=BARE, tail=None))
    assert (finding.code, finding.calls) == ("CP102", 8)
    assert "85,816" in finding.message
    assert finding.fix is not None
    assert finding.fix.safe
    assert finding.fix.what == "mark the end of every prompt"


def test_one_shot_calls_are_marked_where_their_instructions_end() -> None:
    """The question of each call is its own, so no mark belongs there."""
    (finding,) = found(one_shots(8, head=BARE, ttl=None))
    assert finding.fix is not None
    assert finding.fix.what == "mark the end of the tools and of the system prompt"


def test_the_saving_is_simulated() -> None:
    """The fix saves what the two bills differ by."""
    assert saves(agent(8, head=BARE, tail=None)) > 0


def test_calls_that_share_nothing_need_no_mark() -> None:
    """Marks would only be written."""
    assert codes(one_shots(8, ttl=None)) == []


def test_what_is_too_short_needs_no_mark() -> None:
    """Instructions under the minimum cannot be kept, whoever marks them."""
    assert codes(one_shots(8, head=system("short " * 100, ttl=None), ttl=None)) == []


def test_a_lane_with_some_marks_is_not_meant() -> None:
    """Who marks, if badly, is for other rules."""
    lines = agent(8, head=BARE, tail=None) + agent(2, head=BARE, start=500)
    assert not list(no_mark.check(subject_of(lines)))
