"""The typical prompt of each kind of calls: its blocks, what they share, and its marks."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from reviews import MARK, dated, reviewed, steady, subject
from small import digest_line, digest_workloads, message, request, tool

from cacheplan.choosing import choose
from cacheplan.portraits import DRAWN, Portrait, portraits

SEARCH = "look up an order by its number and return every line of it"


def drawn(lines: list[dict[str, Any]]) -> tuple[Portrait, ...]:
    """Draw the prompts of some lines under the plan that would be chosen for them."""
    seen = subject(lines)
    return portraits(seen, choose(seen.workload, seen.sheet))


def agents() -> list[dict[str, Any]]:
    """Return calls with a tool, instructions and a conversation."""
    said = [message("user", "Where is it?")]
    body = request(
        *said,
        tools=[tool("find_order", SEARCH * 40), tool("refund", SEARCH)],
        system=[{"type": "text", "text": "Be kind. " * 300, "cache_control": MARK}],
    )
    return [{"at": at * 60, "id": f"c{at}", "label": "agent", "request": body} for at in range(6)]


class TestBlocks:
    """Every block of the prompt is there, with its place and its length."""

    def test_places(self) -> None:
        """Blocks stand in the order of the prompt, named as the service names places."""
        seen = subject(agents())
        (one,) = portraits(seen, choose(seen.workload, seen.sheet))
        places = [str(part.place) for part in one.parts if part.place is not None]
        assert places == ["tools[0]", "tools[1]", "system[0]", "messages[0].content[0]"]
        closing = seen.workload.calls[0].closing
        assert sum(part.tokens for part in one.parts) + closing == one.tokens

    def test_what_a_log_does_not_show(self) -> None:
        """A front that nobody saw is drawn, as long as it was billed, and says what it is."""
        lines = agents()
        for line in lines:
            line["request"] = {**line["request"], "tools": []}
            line |= {"lacks": ["tools"], "usage": {"input_tokens": 9000}}
        (one,) = drawn(lines)
        assert one.parts[0].kind == "not shown by the log"
        assert one.parts[0].tokens > 6000

    @settings(max_examples=60)
    @given(digest_workloads(models=["claude-sonnet-5", "claude-haiku-4-5"]))
    def test_calls(self, lines: list[dict[str, Any]]) -> None:
        """A block counts the calls of its kind that begin with everything up to it."""
        # The oracle compares prompts block by block.
        seen = subject(lines)
        tree = seen.tree
        for one in portraits(seen, choose(seen.workload, seen.sheet)):
            (call,) = (call for call in seen.workload if call.number == one.number)
            kind = next(calls for calls in seen.lanes.values() if call in calls)
            paths = [tree.path(other.tip) for other in kind]
            own = tree.path(call.tip)
            assert one.calls == len(kind)
            for at, part in enumerate(one.parts):
                begin = own[: at + 1]
                assert part.calls == sum(path[: at + 1] == begin for path in paths)
                assert part.calls > 1 or 0 <= part.same <= 1

    def test_median(self) -> None:
        """Half of the calls are no longer than the one that is drawn."""
        prompts = [[("s", 3_000, "system"), (f"q{at}", 100 * at, "messages")] for at in range(1, 6)]
        (one,) = drawn([digest_line(prompt, at=at) for at, prompt in enumerate(prompts)])
        assert (one.tokens, one.number) == (3_300, 2)

    def test_the_dearest_kinds(self) -> None:
        """Kinds of calls with the most tokens are drawn first, and not all of many."""
        lines = [
            digest_line([(f"s{kind}", 100 * (kind + 1), "system")], at=kind, label=f"k{kind}")
            for kind in range(DRAWN + 3)
        ]
        found = drawn(lines)
        assert len(found) == DRAWN
        assert [one.tokens for one in found] == sorted((one.tokens for one in found), reverse=True)
        assert found[0].lane == f"k{DRAWN + 2} / claude-sonnet-5"


class TestSame:
    """How much of a block other calls have, though none begins with all of it."""

    def test_a_date(self) -> None:
        """Instructions with a time in them are nearly the same in every call, and not shared."""
        (one,) = drawn(dated())
        (system,) = (part for part in one.parts if str(part.place) == "system[0]")
        assert system.calls == 1
        assert 0.99 < system.same < 1

    def test_behind_a_change(self) -> None:
        """A block that stands behind something that changes is all the same, and not shared."""
        lines = [
            digest_line([(f"s{at}", 50, "system"), ("document", 3_000, "messages")], at=at)
            for at in range(4)
        ]
        (one,) = drawn(lines)
        first, document = (part for part in one.parts if part.place is not None)
        assert (first.calls, first.same) == (1, 0.0)
        assert (document.calls, document.same) == (1, 1.0)

    def test_new(self) -> None:
        """What no other call says is new."""
        questions = ("abc", "rgh?", "zzz zzz zzz", "12345 12", "Nay")
        lines = [
            {"at": at, "request": request(message("user", text))}
            for at, text in enumerate(questions)
        ]
        (one,) = drawn(lines)
        assert one.parts[-1].same == 0


class TestMarks:
    """Marks as they were sent, and as the plan would have them."""

    def test_sent(self) -> None:
        """A mark stands at the block that carries it, with its lifetime."""
        (one,) = drawn(dated())
        assert [str(part.place) for part in one.parts if part.marked] == ["system[0]"]

    def test_planned(self) -> None:
        """The plan's marks stand where the plan says."""
        lines = steady(every=60)
        for line in lines:
            line["request"]["system"][0].pop("cache_control")
        (one,) = drawn(lines)
        assert [(str(part.place), part.planned) for part in one.parts if part.planned] == [
            ("system[0]", "5m")
        ]
        assert not any(part.marked for part in one.parts)


def test_names_of_tools_are_text() -> None:
    """A tool's name is shown as its shape, unless text is asked for."""
    found = reviewed(agents())
    assert "find_order" not in str(found.to_json())
    assert "aaaa_aaaaa" in str(found.to_json()["prompts"])
    assert "find_order" in str(found.to_json(show=True)["prompts"])
