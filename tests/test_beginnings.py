"""What users say first, text by text."""

from __future__ import annotations

from reviewed import LONG, agent, subject
from small import digest_line, message, request

from cacheplan.beginnings import beginnings, lasts


def test_a_text_is_told_once_with_its_calls() -> None:
    """Turns of a conversation and calls that repeat a text count, and do not repeat it."""
    lines = agent(0, 4, "a")
    for line in lines:
        line["request"]["messages"][0] = message("user", LONG, f"{LONG} b", "short")
    found = {number: said for _, number, said in beginnings(subject(lines))}
    assert {number: [(one.text, one.calls) for one in said] for number, said in found.items()} == {
        0: [(LONG, 4)],
        1: [(f"{LONG} b", 4)],
        2: [],
    }


def test_digests_have_no_text() -> None:
    """Where nobody knows a text there is nothing to compare."""
    lines = [digest_line([(f"m{at}", 5000, "messages")], at=at) for at in range(3)]
    assert [said for *_, said in beginnings(subject(lines))] == [[]]


def test_what_is_worth_a_block() -> None:
    """Most of the text, a good part of the prompt, and with its head above the minimum."""
    short = LONG[:300]
    lines = [{"at": 0, "request": request(message("user", short, short + "b"), system="x" * 900)}]
    seen = subject(lines)
    (_, first, (said,)), (_, second, (again,)) = beginnings(seen)
    assert lasts(seen, said, first, 290)
    assert not lasts(seen, said, first, 210 - 11)
    # What stands in front of a second block may be another one each time.
    assert not lasts(seen, again, second, 290)
    assert not lasts(seen, said._replace(tokens=50), first, 290)
    assert not lasts(seen, said._replace(text=short * 2), first, 290)
