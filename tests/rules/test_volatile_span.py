"""CP001: a stable block with a span that changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from reviewed import LONG, agent, findings, healthy, same_as_simulated, subject
from small import message, request, tool

from cacheplan.edits import edited
from cacheplan.prompt import Level, Place
from cacheplan.rules import volatile_span


def ask(at: int, system: Any = LONG, **fields: Any) -> dict[str, Any]:
    """Return the line of one question, half a minute after the one before."""
    return {"at": 30 * at, **fields, "request": request(message("user", f"q{at}"), system=system)}


def dated(at: int) -> str:
    """Return a prompt that begins with the time."""
    return f"It is 2026-11-21 10:{at:02}. {LONG}"


SPANS: dict[str, Callable[[int], str]] = {
    "a date and time": dated,
    "a number": lambda at: f"Call {at} of today. {LONG}",
    "a path": lambda at: f"You are in /srv/build/{at * 7919:06}x. {LONG}",
    "a hash": lambda at: f"HEAD is {at:x}f00ba{at}d on main. {LONG}",
    "a UUID": lambda at: f"Session 3f2504e0-4f89-11d3-9a0c-0305e82c{at:04}. {LONG}",
    "a git status": lambda at: f"On branch {'abcdefghij'[at] * 3}x: {LONG}",
    "a span": lambda at: f"The mood is {'abcdefghij'[at] * 3}x: {LONG}",
}


class TestFires:
    """What changes is found, named, counted and priced."""

    @pytest.mark.parametrize("what", SPANS)
    def test_in_system(self, what: str) -> None:
        """A span at the front of the system prompt is found at its place."""
        (found,) = findings(volatile_span, [ask(at, SPANS[what](at)) for at in range(10)])
        assert found.code == "CP001"
        assert found.message.startswith(what)
        assert "10 versions in 10 calls" in found.message
        assert (found.calls, found.place) == (10, Place(level=Level.SYSTEM, index=0))
        assert found.saving is not None
        assert found.saving > 0
        assert found.fix is not None
        assert not found.fix.safe

    def test_examples_are_the_span(self) -> None:
        """Examples say which call has what, and hold nothing that stays."""
        (found,) = findings(volatile_span, [ask(at, dated(at), id=f"c{at}") for at in range(4)])
        assert [(one.call, one.id, one.text) for one in found.examples] == [
            (0, "c0", "2026-11-21 10:00"),
            (1, "c1", "2026-11-21 10:01"),
        ]

    def test_two_spans_far_apart(self) -> None:
        """A time in front and a counter behind are one finding: either breaks the prompt."""
        lines = [ask(at, f"It is 10:{at:02}. {LONG} This is call {at}.") for at in range(6)]
        (found,) = findings(volatile_span, lines)
        assert found.examples[1].text == "10:01 1"

    def test_session_url_in_a_tool(self) -> None:
        """An address in a tool's description is found in the description."""
        lines = []
        for at in range(5):
            tools = [tool("bash", f"Runs a command. See https://x.example/s/{at}a9. {LONG}")]
            body = request(message("user", f"q{at}"), tools=[tool("ls", LONG), *tools])
            lines.append({"at": 30 * at, "request": body})
        (found,) = findings(volatile_span, lines)
        assert found.place == Place(level=Level.TOOLS, index=1)
        assert found.message.startswith("a URL at character 41 of the description")
        assert found.saving is not None
        assert found.saving > 0

    def test_behind_another_that_changes(self) -> None:
        """Each block that changes is found, since each alone breaks what follows."""
        lines = [
            ask(
                at,
                [{"type": "text", "text": dated(at)}, {"type": "text", "text": dated(at)[:2000]}],
            )
            for at in range(4)
        ]
        found = findings(volatile_span, lines)
        assert {one.place.index for one in found if one.place} == {0, 1}

    def test_two_agents_with_the_time(self) -> None:
        """Agents of one lane are compared each with itself."""
        lines = [
            ask(at, dated(at) if at % 2 else f"At 10:{at:02} you write poems. {LONG[::-1]}")
            for at in range(8)
        ]
        assert [found.calls for found in findings(volatile_span, lines)] == [4, 4]

    def test_lanes_that_share_the_text(self) -> None:
        """Lanes that send the same versions have one finding, which counts all calls."""
        lines = [ask(at, dated(at // 2), label=("a", "b")[at % 2]) for at in range(12)]
        (found,) = findings(volatile_span, lines)
        assert found.calls == 12
        assert "in 2 lanes" in found.message

    def test_more_versions_than_are_compared(self) -> None:
        """Many versions are one finding with all calls in it, and all are mended."""
        few, many = (
            findings(volatile_span, [ask(at, f"Call {at:03} {LONG}") for at in range(count)])
            for count in (60, 120)
        )
        assert [found.calls for found in (*few, *many)] == [60, 120]
        (a,), (b,) = few, many
        assert a.saving is not None
        assert b.saving is not None
        assert b.saving > a.saving * 3 / 2

    def test_a_date_that_stays_for_long(self) -> None:
        """What changes once in many calls is a note."""
        lines = [ask(at, f"It is 2026-11-{21 + at // 30}. {LONG}") for at in range(60)]
        (found,) = findings(volatile_span, lines)
        assert found.severity == "note"

    def test_where_it_stays_for_a_conversation(self) -> None:
        """What is fixed when a conversation begins goes to the end of the system prompt."""
        lines = [line for at in range(5) for line in agent(500 * at, 6, str(at), system=dated(at))]
        (found,) = findings(volatile_span, lines)
        assert found.fix is not None
        assert found.fix.what.startswith("move it behind the system prompt")
        assert found.saving is not None
        assert found.saving > 0

    def test_where_it_changes_seldom_within_a_conversation(self) -> None:
        """What is another one each time a session is taken up again stays before the messages."""
        lines = agent(0, 24)
        for at, line in enumerate(lines):
            url = f"https://x.example/s/{'abcd'[at // 6] * 12}"
            line["request"] |= {"tools": [tool("bash", f"Runs. See {url} {LONG}")], "system": LONG}
        (found,) = findings(volatile_span, lines)
        assert (found.severity, str(found.place)) == ("warning", "tools[0]")
        assert found.fix is not None
        assert found.fix.what.startswith("move it behind the system prompt")

    @pytest.mark.parametrize("known", [False, True])
    def test_where_it_changes_within_a_conversation(self, known: bool) -> None:
        """What changes from turn to turn goes behind the messages."""
        lines = agent(0, 8)
        for at, line in enumerate(lines):
            line["request"]["system"] = dated(at)
            if not known:
                del line["session"]
        (found,) = findings(volatile_span, lines)
        assert found.fix is not None
        assert found.fix.what.startswith("move it behind the messages")
        assert same_as_simulated(volatile_span, lines)

    def test_saving_is_the_simulated_one(self) -> None:
        """The saving is what both prompts cost under the best plan for each."""
        assert same_as_simulated(volatile_span, [ask(at, dated(at)) for at in range(6)])


class TestSilent:
    """What does not change, or is another prompt, is no finding."""

    @pytest.mark.parametrize("name", healthy())
    def test_healthy(self, name: str) -> None:
        """Nothing is found where nothing is wrong."""
        assert not findings(volatile_span, healthy()[name])

    def test_in_the_newest_message(self) -> None:
        """The time in the newest message is where it belongs."""
        lines = [
            {"at": at, "request": request(message("user", f"It is 10:{at:02}."), system=LONG)}
            for at in range(6)
        ]
        assert not findings(volatile_span, lines)

    def test_a_fixed_date(self) -> None:
        """A date that stays the same is text like any other."""
        assert not findings(volatile_span, agent(0, 5, system=dated(1)))

    def test_a_few_variants(self) -> None:
        """Two customers' prompts that take turns are prompts of their own."""
        names = ("Initech", "Hooli")
        lines = [ask(at, f"You work for {names[at % 2]}. {LONG}") for at in range(10)]
        assert not findings(volatile_span, lines)


class TestPins:
    """What a user has said must stay where it is."""

    def test_a_pinned_block_stays_whole(self) -> None:
        """Nothing is moved out of it; it can be cut, which moves nothing."""
        lines = [ask(at, f"{LONG} It is 10:{at:02}.") for at in range(9)]
        (found,) = findings(volatile_span, lines, pins=["system[0] first"])
        assert found.message.endswith("; it is kept there by system[0] first")
        assert found.fix is not None
        assert found.fix.safe
        assert found.fix.what.startswith("cut the block in two")

    def test_a_pinned_tool_has_no_fix(self) -> None:
        """A description cannot be cut, so there is nothing to do to it."""
        lines = [ask(at) for at in range(9)]
        for at, line in enumerate(lines):
            line["request"]["tools"] = [tool("bash", f"It is 10:{at:02}. {LONG}"), tool("look")]
        (free,) = findings(volatile_span, lines, pins=["tool:look first"])
        assert free.fix is not None
        (held,) = findings(volatile_span, lines, pins=["tool:bash before tool:look"])
        assert held.fix is None

    @pytest.mark.parametrize("pins", [[], ["system[1] last"], ['"Stay" last']])
    def test_what_is_last_stays_last(self, pins: list[str]) -> None:
        """What is moved to the end of the system prompt stands before what is pinned there."""
        lines = []
        for at in range(18):
            system = [{"type": "text", "text": text} for text in (dated(at // 2), "Stay")]
            lines.append(ask(at, system, session=f"s{at // 2}"))
            lines[-1]["request"]["messages"] = [message("user", "q")]
        seen = subject(lines, pins=pins)
        (found,) = volatile_span.check(seen)
        assert found.fix is not None
        assert found.fix.edit is not None
        after = edited(seen.workload, [found.fix.edit])
        blocks = [after.tree.block[node] for node in after.tree.path(after.calls[0].tip)]
        said = [after.texts.get(after.tree.digest[block], {}).get("text") for block in blocks]
        end = ["2026-11-21 10:00", "Stay"]
        assert [text for text in said if text in end] == end[:: 1 if pins else -1]
