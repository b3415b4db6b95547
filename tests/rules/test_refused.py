"""Calls that are rejected because of their marks, and those that are not."""

from __future__ import annotations

from marked_talk import LONG, agent, codes, found, marked, one_shots, subject_of, system

from cacheplan.linter import lint
from cacheplan.projection import project
from cacheplan.rules import refused

FIVE = [marked({"type": "text", "text": f"{at} {LONG}"}) for at in range(5)]


def test_the_service_is_quoted_and_calls_are_counted() -> None:
    """Five marks are one too many, in each of four calls."""
    (finding,) = found(one_shots(4, head=FIVE, ttl=None))
    assert (finding.code, finding.severity, finding.calls) == ("CP110", "error", 4)
    assert "Found 5" in finding.message


def test_a_long_mark_behind_a_short_one_is_refused() -> None:
    """1h may not stand behind 5m, and the fix lengthens the first."""
    lines = one_shots(3, head=system(), ttl="1h")
    subject = subject_of(lines)
    (finding,) = refused.check(subject)
    assert "ttl" in finding.message
    assert finding.fix is not None
    assert finding.fix.remark is not None
    assert [mark.lifetime for mark in finding.fix.remark(subject.workload.calls[0])] == ["1h", "1h"]


def test_the_fix_is_taken_by_the_service() -> None:
    """With the marks of the fix nothing is refused, and no saving is made up from it."""
    subject = subject_of(one_shots(4, head=FIVE, ttl=None))
    (finding,) = lint(subject, (refused,)).findings
    assert finding.fix is not None
    assert finding.fix.remark is not None
    assert project(subject.workload, finding.fix.remark, subject.sheet, "").rejected == 0
    assert finding.saving is None


def test_no_other_rule_looks_at_refused_calls() -> None:
    """Ends that nobody goes on from are not named where the calls never ran."""
    assert codes(one_shots(4, head=FIVE)) == ["CP110"]


def test_four_marks_are_fine() -> None:
    """Four marks of a conversation's turns are none too many."""
    assert not list(refused.check(subject_of(agent(5, head=FIVE[:3]))))
