"""Ends that nobody goes on from, marked."""

from __future__ import annotations

from decimal import Decimal

from marked_talk import agent, codes, found, one_shots, saves, subject_of, system

from cacheplan.rules import one_shot_marks

#: Dollars for an uncached token of the model that these calls ask.
PRICE = Decimal("0.000002")


def test_questions_of_one_call_each_are_written_for_nobody() -> None:
    """The instructions are read; the 1,506 tokens of each question never are."""
    (finding,) = found(one_shots(8, head=system()))
    assert (finding.code, finding.calls) == ("CP108", 8)
    assert str(finding.place) == "messages[0].content[0]"
    assert "12,048 tokens written" in finding.message


def test_the_fix_leaves_the_other_marks() -> None:
    """The mark behind the instructions stays."""
    subject = subject_of(one_shots(8, head=system()))
    (finding,) = one_shot_marks.check(subject)
    call = subject.workload.calls[-1]
    assert finding.fix is not None
    assert finding.fix.remark is not None
    assert list(finding.fix.remark(call)) == [call.marks[0]]


def test_the_saving_is_simulated() -> None:
    """A quarter of the price of 12,048 tokens."""
    assert saves(one_shots(8, head=system())) == 12_048 * PRICE / 4


def test_the_last_turn_of_a_conversation_is_no_one_shot_call() -> None:
    """Somebody could have gone on, and others of its kind do."""
    lines = [
        line
        for at in range(9)
        for line in agent(1 + at % 3, head=system(), start=60 * at, name=f"u{at}")
    ]
    assert codes(lines) == []


def test_a_feature_is_told_apart_by_its_instructions() -> None:
    """A classifier beside a chat is found, and the chat keeps its marks."""
    chat = agent(8, head=system("Chat. " * 300))
    (finding,) = found([*chat, *one_shots(8, head=system())])
    assert (finding.code, finding.calls) == ("CP108", 8)
    assert finding.fix is not None
    assert finding.fix.remark is not None
    call = subject_of(chat).workload.calls[0]
    assert len(finding.fix.remark(call)) == 1 + 1
