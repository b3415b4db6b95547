"""Calls that are rejected because of their marks, and those that are not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from marked_talk import LONG, agent, codes, found, marked, one_shots, subject_of, system
from small import Characters, message, request, tool

from cacheplan.assumptions import Assumptions
from cacheplan.linter import lint
from cacheplan.prices import Sheet
from cacheplan.projection import project
from cacheplan.records import Intake
from cacheplan.rules import refused
from cacheplan.subject import Remembering, Subject

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


USE = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "x"}
ASKED = (message("user", "Hi"), {"role": "assistant", "content": [USE]})
USAGE = {"usage": {"input_tokens": 20, "output_tokens": 1}}
BESIDES = {
    "ids were found without": request(*ASKED),
    "toolu": request(*ASKED, message("user", "And?")),
    "unexpected `tool_use_id`": request({"role": "user", "content": [RESULT]}),
    "names must be unique": request(message("user", "Hi"), tools=[tool("a"), tool("a", "b")]),
    "at least one message": request(system="Be brief."),
}


def known(*lines: dict[str, Any]) -> Subject:
    """Return what rules look at, with what blocks say."""
    assume, counter = Assumptions(), Remembering(Characters())
    intake = Intake(counter, assume)
    for line in lines:
        intake.add(json.dumps(line).encode())
    return Subject(intake.workload(), Sheet.default(), counter.bodies)


@pytest.mark.parametrize("words", BESIDES)
def test_what_no_mark_is_to_blame_for(words: str) -> None:
    """A prompt that makes no sense is refused, unless its record says that it was taken."""
    line = {"at": 0, "request": BESIDES[words]}
    (finding,) = refused.check(known(line))
    assert finding.severity == "error"
    assert finding.fix is None
    assert words.replace("toolu", "messages.1: `tool_use`") in finding.message
    assert not list(refused.check(known({**line, "response": USAGE})))
    assert not list(refused.check(Subject(known(line).workload, Sheet.default(), {})))


def test_sound_talk_and_what_is_left_out_of_it() -> None:
    """Answered calls are fine, and so are answers behind a summary of what asked for them."""
    answered = request(*ASKED, {"role": "user", "content": [RESULT]})
    summary = {"role": "assistant", "content": [{"type": "compaction", "content": "so far"}]}
    compacted = request(*ASKED, summary, {"role": "user", "content": [RESULT]})
    lines = [{"at": at, "request": one} for at, one in enumerate((answered, compacted))]
    assert not list(refused.check(known(*lines)))


def test_such_calls_are_priced_as_before() -> None:
    """They cost what they cost with their usage known, and hide nothing about their marks."""
    shots = one_shots(4, ttl="5m")
    for line in shots:
        line["request"]["tools"] = [tool("a"), tool("a", "b")]
    subject = known(*shots)
    found = lint(subject)
    assert found.paid.rejected == 0
    assert {"CP110", "CP108"} <= {one.code for one in found.findings}
