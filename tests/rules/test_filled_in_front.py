"""CP010: something is filled into the instructions that a user's message begins with."""

from __future__ import annotations

from typing import Any

import pytest
from reviewed import LONG, findings, healthy, same_as_simulated, subject
from small import message, request

from cacheplan.assumptions import Assumptions
from cacheplan.edits import edited
from cacheplan.linter import lint
from cacheplan.patches import patched
from cacheplan.rules import filled_in_front


def ask(at: int, *texts: str, **fields: Any) -> dict[str, Any]:
    """Return the line of one call, half a minute after the one before."""
    return {"at": 30 * at, "request": request(message("user", *texts))} | fields


def letter(at: int) -> str:
    """Return instructions with the date in front and a letter behind."""
    return f"Today is 2026-11-{at + 10}. {LONG}\nThe letter: {'abcdefghij'[at] * 40}"


class TestFires:
    """A date in front of a template is found, and moved behind it."""

    def test_a_date_in_front(self) -> None:
        """The place, the count, the name and what was filled in are told."""
        (found,) = findings(filled_in_front, [ask(at, letter(at)) for at in range(6)])
        assert (found.code, found.calls, found.confidence) == ("CP010", 6, "high")
        assert str(found.place) == "messages[0].content[0]"
        assert found.message.startswith("a date at character 19 differs between calls (6 texts")
        assert [one.text for one in found.examples] == ["2026-11-10", "2026-11-11"]
        assert found.fix is not None
        assert not found.fix.safe
        assert found.saving is not None
        assert found.saving > 0

    def test_a_string_is_a_block(self) -> None:
        """A message that is a plain string has one block, too."""
        lines = [
            {"at": at, "request": request({"role": "user", "content": letter(at)})}
            for at in range(6)
        ]
        assert len(findings(filled_in_front, lines)) == 1

    def test_lanes_that_fill_in_one_template(self) -> None:
        """One template under two labels is one finding."""
        lines = [ask(at, letter(at), label="ab"[at % 2]) for at in range(8)]
        (found,) = findings(filled_in_front, lines)
        assert (found.calls, len(found.of)) == (8, 2)

    def test_saving_is_the_simulated_one(self) -> None:
        """The saving is what both prompts cost under the best plan for each."""
        assert same_as_simulated(filled_in_front, [ask(at, letter(at)) for at in range(6)])

    def test_what_the_model_reads_then(self) -> None:
        """The instructions are one block for all, and all that was said is still there."""
        seen = subject(ask(at, letter(at)) for at in range(4))
        (found,) = lint(seen, [filled_in_front]).findings
        assert found.fix is not None
        assert found.fix.edit is not None
        after = edited(seen.workload, [found.fix.edit])
        fronts = {after.tree.parent[call.tip] for call in after}
        assert len(fronts) == 1
        for at, call in enumerate(after):
            own = after.texts[after.tree.digest[after.tree.block[call.tip]]]["text"]
            assert own == f"2026-11-{at + 10}\nThe letter: {'abcdefghij'[at] * 40}"

    def test_a_body_is_written_so(self) -> None:
        """A string becomes two blocks, and a mark on a block stays at its end."""
        lines = [ask(at, letter(at)) for at in range(4)]
        (found,) = findings(filled_in_front, lines)
        assert found.fix is not None
        assert found.fix.edit is not None
        body = lines[0]["request"]
        mark = {"type": "ephemeral"}
        body["messages"][0]["content"][0]["cache_control"] = mark
        made = patched(body, [found.fix.edit], Assumptions()).body
        front, own = made["messages"][0]["content"]
        assert front == {"type": "text", "text": f"Today is . {LONG}\n"}
        assert own["text"] == f"2026-11-10\nThe letter: {'a' * 40}"
        assert own["cache_control"] == mark

    def test_what_a_user_pins_stays(self) -> None:
        """It is told, and who keeps it there; nothing is moved."""
        lines = [ask(at, letter(at)) for at in range(6)]
        (found,) = findings(filled_in_front, lines, pins=["messages[0].content[0] first"])
        assert found.message.endswith("; it is kept there by messages[0].content[0] first")
        assert found.fix is None


class TestSilent:
    """What only ends differently, is short, or is a text of its own, is no finding."""

    @pytest.mark.parametrize("name", healthy())
    def test_healthy(self, name: str) -> None:
        """Nothing is found where nothing is wrong."""
        assert not findings(filled_in_front, healthy()[name])

    def test_the_date_behind(self) -> None:
        """What differs at the end needs a cut at most, which is another rule's."""
        lines = [ask(at, f"{LONG} Today is 2026-11-{at + 10}.") for at in range(6)]
        assert not findings(filled_in_front, lines)

    def test_a_date_that_stays(self) -> None:
        """A date that is the same in all texts is text like any other."""
        lines = [ask(at, f"On 2026-11-21: {LONG} {'abcdef'[at]}") for at in range(6)]
        assert not findings(filled_in_front, lines)

    def test_tables(self) -> None:
        """Figures of a year are a table of their own, however alike two of them look."""
        rows = [
            "".join(f"in month {m}: {at * 99 + m}, and so on. " for m in range(300))
            for at in range(6)
        ]
        assert not findings(filled_in_front, [ask(at, row) for at, row in enumerate(rows)])

    def test_too_short_to_be_kept(self) -> None:
        """A short template would not be kept either way."""
        lines = [ask(at, f"Today is 2026-11-{at + 10}. {LONG[:700]}") for at in range(6)]
        assert not findings(filled_in_front, lines)

    def test_two_are_no_template(self) -> None:
        """Two texts may look alike by chance."""
        assert not findings(filled_in_front, [ask(at, letter(at)) for at in range(2)])
