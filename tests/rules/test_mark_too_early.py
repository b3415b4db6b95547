"""Marks that stand before the end of what is shared."""

from __future__ import annotations

from typing import Any

import pytest
from marked_talk import LONG, agent, codes, found, one_shots, saves, system
from small import request


def about_documents(number: int) -> list[dict[str, Any]]:
    """Ask several questions about one document behind a marked system prompt."""
    return [
        {
            "at": 10 * at,
            "request": request(
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": LONG},
                        {"type": "text", "text": f"{at}?"},
                    ],
                },
                system=system("You read. " * 150),
            ),
        }
        for at in range(number)
    ]


def test_a_conversation_behind_fixed_marks_is_paid_again() -> None:
    """With the system prompt marked alone, 7 of 8 turns repeat what nobody keeps."""
    (finding,) = found(agent(8, head=system(), tail=None))
    assert (finding.code, finding.calls) == ("CP103", 7)
    # 1,500 tokens of each user turn so far and 40 of each answer between them are 42,840; the
    # rest is what the service puts between turns.
    assert "43,050 tokens" in finding.message
    assert finding.fix is not None
    assert finding.fix.what == "also mark the end of the prompt"


@pytest.mark.parametrize("back", [1, 2])
def test_a_mark_one_message_late_is_found(back: int) -> None:
    """The newest results stand behind the mark and are paid in full in every turn."""
    (finding,) = found(agent(8, head=system(), back=back))
    assert (finding.code, finding.calls) == ("CP103", 7)
    assert "behind the last mark of the call before" in finding.message


def test_documents_behind_the_last_mark_are_found() -> None:
    """The document is shared, the question is not, so the mark goes between them."""
    (finding,) = found(about_documents(6))
    assert (finding.code, finding.calls) == ("CP103", 5)
    assert str(finding.place) == "messages[0].content[0]"
    assert finding.fix is not None
    assert finding.fix.what == "also mark the end of documents"


def test_the_saving_is_simulated() -> None:
    """The fix saves what the two bills differ by."""
    assert saves(agent(8, head=system(), back=1)) > 0


def test_a_word_in_common_is_not_worth_a_mark() -> None:
    """Users who all begin with the same greeting share nothing to speak of."""
    lines = [
        {
            "at": at,
            "request": request(
                {
                    "role": "user",
                    "content": [{"type": "text", "text": text} for text in ("hi", f"{at}?")],
                },
                system=system(),
            ),
        }
        for at in range(6)
    ]
    assert codes(lines) == []


def test_a_mark_at_the_end_of_what_is_shared_passes() -> None:
    """One-shot calls behind marked instructions, and an agent that marks its newest turn."""
    assert codes(one_shots(8, head=system(), ttl=None)) == []
    assert codes(agent(8, head=system())) == []
