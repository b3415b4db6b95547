"""CP009: instructions and question are one block of text."""

from __future__ import annotations

from typing import Any

import pytest
from reviewed import LONG, agent, findings, healthy, same_as_simulated, subject
from small import message, request

from cacheplan.assumptions import Assumptions
from cacheplan.edits import edited
from cacheplan.linter import lint
from cacheplan.patches import patched, reads_alike
from cacheplan.rules import uncut_prompt


def ask(at: int, *texts: str, **fields: Any) -> dict[str, Any]:
    """Return the line of one call, half a minute after the one before."""
    return {"at": 30 * at, "request": request(message("user", *texts))} | fields


TEMPLATE = [ask(at, f"{LONG}\nQuestion {at}?") for at in range(6)]


class TestFires:
    """A template that is sent as one text is found, and cut."""

    def test_instructions_and_question(self) -> None:
        """The place, the count and what is each text's own are told."""
        (found,) = findings(uncut_prompt, TEMPLATE)
        assert (found.code, found.calls) == ("CP009", 6)
        assert str(found.place) == "messages[0].content[0]"
        assert [one.text for one in found.examples] == ["Question 0?", "Question 1?"]
        assert found.fix is not None
        assert found.fix.safe
        assert found.saving is not None
        assert found.saving > 0

    def test_a_string_is_a_block(self) -> None:
        """A message that is a plain string has one block, too."""
        lines = [
            {"at": at, "request": request({"role": "user", "content": f"{LONG} {at}?"})}
            for at in range(6)
        ]
        assert len(findings(uncut_prompt, lines)) == 1

    def test_a_conversation_begins_so(self) -> None:
        """What several conversations begin with is shared by their first calls at least."""
        lines = [line for at in range(4) for line in agent(900 * at, 3, f"{at}")]
        for line in lines:
            first = line["request"]["messages"][0]["content"][0]
            if not first["text"].startswith("Be"):
                first["text"] = f"{LONG} {first['text']}"
        (found,) = findings(uncut_prompt, lines)
        assert found.calls == 12

    def test_lanes_that_fill_in_one_template(self) -> None:
        """The same texts under two labels are one finding."""
        lines = [ask(at, f"{LONG} {at // 2}?", label="ab"[at % 2]) for at in range(8)]
        (found,) = findings(uncut_prompt, lines)
        assert (found.calls, len(found.of)) == (8, 2)

    def test_saving_is_the_simulated_one(self) -> None:
        """The saving is what both prompts cost under the best plan for each."""
        assert same_as_simulated(uncut_prompt, TEMPLATE)

    def test_the_model_reads_the_same(self) -> None:
        """The two parts are the text, and a mark on it stands behind both."""
        seen = subject(ask(at, f"{LONG} {at}?") for at in range(4))
        (found,) = lint(seen, [uncut_prompt]).findings
        assert found.fix is not None
        assert found.fix.edit is not None
        after = edited(seen.workload, [found.fix.edit])
        for before, call in zip(seen.workload, after, strict=True):
            (whole,) = [seen.text(node) for node in seen.messages(before)]
            parts = [
                after.texts[after.tree.digest[after.tree.block[node]]]["text"]
                for node in (after.tree.parent[call.tip], call.tip)
            ]
            assert "".join(parts) == whole

    def test_a_body_is_written_so(self) -> None:
        """A string becomes two blocks, what stands behind it moves on, and a mark stays last."""
        lines = [ask(at, f"{LONG} {at}?", "Please.") for at in range(4)]
        (found,) = findings(uncut_prompt, lines)
        assert found.fix is not None
        assert found.fix.edit is not None
        body = lines[0]["request"]
        body["messages"][0]["content"][0] |= {"cache_control": {"type": "ephemeral"}}
        made = patched(body, [found.fix.edit], Assumptions()).body
        assert made["messages"][0]["content"] == [
            {"type": "text", "text": f"{LONG} "},
            {"type": "text", "text": "0?", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "Please."},
        ]
        assert reads_alike(body, made, Assumptions())


class TestSilent:
    """What is cut already, is short, or is one text each, is no finding."""

    @pytest.mark.parametrize("name", healthy())
    def test_healthy(self, name: str) -> None:
        """Nothing is found where nothing is wrong."""
        assert not findings(uncut_prompt, healthy()[name])

    def test_two_blocks(self) -> None:
        """The question in a block of its own leaves the other one whole."""
        assert not findings(uncut_prompt, [ask(at, LONG, f"Question {at}?") for at in range(6)])

    def test_too_short_to_be_kept(self) -> None:
        """A short template would not be kept if it were cut."""
        lines = [ask(at, f"{LONG[:900]} Question {at}?") for at in range(6)]
        assert not findings(uncut_prompt, lines)

    def test_texts_of_their_own(self) -> None:
        """Letters that begin with the same greeting are letters."""
        lines = [ask(at, f"Dear all,\n{'abcdef'[at] * 4000}") for at in range(6)]
        assert not findings(uncut_prompt, lines)

    def test_two_are_no_template(self) -> None:
        """One text that was sent again with a word more is no template."""
        assert not findings(uncut_prompt, [ask(at, LONG + "Go on. " * at) for at in range(3)])

    def test_something_else_in_front(self) -> None:
        """What stands before the instructions keeps them from being shared, cut or not."""
        lines = [ask(at, f"{'abcdef'[at] * 9}: {LONG}") for at in range(6)]
        assert not findings(uncut_prompt, lines)
