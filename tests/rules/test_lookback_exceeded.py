"""Turns that add more positions than the lookback reaches."""

from __future__ import annotations

from marked_talk import agent, codes, found, saves, subject_of, system

from cacheplan.places import turn_before
from cacheplan.rules import lookback_exceeded


def test_a_turn_of_thirty_blocks_is_out_of_reach() -> None:
    """Each of the 5 calls after the first has the entry in its prompt and misses it."""
    (finding,) = found(agent(6, head=system(), blocks=30))
    assert (finding.code, finding.calls) == ("CP105", 5)
    assert str(finding.place) == "messages[0].content[29]"


def test_the_fix_marks_the_turn_before() -> None:
    """The second-last mark of the fix stands where the call before it ended."""
    subject = subject_of(agent(6, head=system(), blocks=30))
    (finding,) = lookback_exceeded.check(subject)
    call = subject.workload.calls[-1]
    assert finding.fix is not None
    assert finding.fix.remark is not None
    nodes = [mark.node for mark in finding.fix.remark(call)]
    assert nodes[-2:] == [turn_before(subject.tree, call.tip, ()), call.tip]


def test_the_saving_is_simulated() -> None:
    """The fix saves what the two bills differ by."""
    assert saves(agent(6, head=system(), blocks=30)) > 0


def test_a_turn_within_reach_passes() -> None:
    """19 positions to go back are fewer than 20."""
    assert codes(agent(6, head=system(), blocks=18)) == []


def test_an_entry_that_ran_out_was_not_out_of_reach() -> None:
    """After two hours there is nothing to find, however near."""
    assert "CP105" not in codes(agent(6, head=system(), blocks=30, step=7200))
