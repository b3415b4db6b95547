"""What a fix changes in one call: a before and an after, whatever the fix did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from careless import logs
from hypothesis import given, settings
from reviewed import subject
from small import digest_line, message, request, tool, workload

from cacheplan.changes import SHOWN, Change, Patch, of_edit, of_marks, spots, unbinds
from cacheplan.edits import Edit, Sequel, edited
from cacheplan.linter import lint
from cacheplan.prefixes import SETTINGS
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.units import Unit, behind, remade
from cacheplan.wire import parse
from cacheplan.workload import Workload

SHORT, LONG = Lifetime
BOUND, FREE = "claude-opus-5-5", "claude-opus-4-5"


def calls(*bodies: dict[str, Any]) -> Workload:
    """Return calls with these bodies, a minute apart, with their texts."""
    return subject({"at": 60 * at, "request": body} for at, body in enumerate(bodies)).workload


def patch(before: Workload, edit: Edit, *examples: int) -> Patch:
    """Return what an edit changes."""
    found = of_edit(before, edited(before, [edit]), examples)
    assert found is not None
    return found


def saying(change: Callable[[str], str]) -> Edit:
    """Return an edit that changes the text of system blocks."""

    def block(unit: Unit) -> Unit:
        text = (unit.body or {}).get("text")
        if unit.role or not isinstance(text, str):
            return unit
        return remade(unit, {"type": "text", "text": change(text)})

    return Edit(block=block)


class TestEdits:
    """Blocks that an edit changed."""

    def test_replaced(self) -> None:
        """Of a block that changes, what differs is shown with a little around it."""
        long = "x" * 500
        before = calls(request(message("user", "Hi"), system=f"{long} now {long}"))
        found = patch(before, saying(lambda text: text.replace("now", "then")))
        around = "x" * 39
        assert found.before == (Change("system[0]", f"…{around} now {around}…"),)
        assert found.after == (Change("system[0]", f"…{around} then {around}…"),)

    def test_moved(self) -> None:
        """A block that moves is shown where it was and where it goes."""

        def head(units: Sequence[Unit]) -> tuple[list[Unit], list[Unit]]:
            moved = [unit for unit in units if (unit.body or {}).get("text") == "Now."]
            return [unit for unit in units if unit not in moved], [*map(behind, moved)]

        system = [{"type": "text", "text": text} for text in ("Rules.", "Now.")]
        before = calls(request(message("user", "Hi"), system=system))
        found = patch(before, Edit(head=head))
        assert found.before == (Change("system[1]", "Now."),)
        assert found.after == (Change("messages[0].content[1]", "Now."),)

    def test_tools(self) -> None:
        """A tool that moves is known by its name."""

        def head(units: Sequence[Unit]) -> tuple[list[Unit], list[Unit]]:
            return sorted(units, key=lambda unit: str((unit.body or {}).get("name"))), []

        before = calls(request(message("user", "Hi"), tools=[tool("b"), tool("a")]))
        found = patch(before, Edit(head=head))
        assert (
            {change.text for change in found.before}
            == {change.text for change in found.after}
            <= {"a", "b"}
        )
        assert all(change.place.startswith("tools[") for change in found.before)

    def test_example(self) -> None:
        """The first example that changes is shown, else the first call that does."""
        before = calls(*(request(message("user", "Hi"), system=text) for text in "aBC"))
        edit = saying(str.lower)
        assert [patch(before, edit, *some).call for some in ((), (2,), (0, 2), (0, 9))] == [
            1,
            2,
            2,
            1,
        ]

    def test_nothing(self) -> None:
        """An edit that changes nothing has no before and after."""
        before = calls(request(message("user", "Hi"), system="a"))
        assert of_edit(before, edited(before, [saying(str.lower)]), ()) is None

    def test_times(self) -> None:
        """A call that starts at another time is shown with both, which are no secret."""
        before = calls(*(request(message("user", "Hi")) for _ in range(2)))
        found = patch(before, Edit(times={1: 61.5}), 1)
        assert found.before == (Change("at", "60.000", private=False),)
        assert found.after == (Change("at", "61.500", private=False),)

    def test_sequels(self) -> None:
        """What a call carries on from another is shown as well."""
        before = calls(request(message("user", "a")), request(message("user", "b")))
        tip = before.calls[1].tip
        found = patch(before, Edit(sequels=lambda _: {1: Sequel(0, [tip])}), 1)
        assert found.after[0] == Change("messages[0].content[0]", "a")

    def test_many(self) -> None:
        """A few changes are shown, and the number of the others."""
        system = [{"type": "text", "text": text} for text in "abcdefghij"]
        found = patch(calls(request(message("user", "Hi"), system=system)), saying(str.upper))
        assert (len(found.before), len(found.after)) == (SHOWN, SHOWN)
        assert found.more == 2 * (10 - SHOWN)

    def test_digests(self) -> None:
        """A block without text is known by its length, which is no secret."""

        def head(units: Sequence[Unit]) -> tuple[list[Unit], list[Unit]]:
            return [unit for unit in units if unit.digest != units[0].digest], []

        before = workload([digest_line([("s", 50, "system"), ("t", 9, "system")])])
        found = patch(before, Edit(head=head))
        assert found.before == (Change("system[0]", "a block of 50 tokens", private=False),)

    @settings(max_examples=40)
    @given(logs())
    def test_drawn(self, lines: list[dict[str, Any]]) -> None:
        """What is shown of any finding says something, and differs from what was before."""
        for finding in lint(subject(lines)).findings:
            shown = finding.fix.patch if finding.fix is not None else None
            if shown is not None:
                assert shown.before != shown.after
                assert all(change.place for change in (*shown.before, *shown.after))


class TestMarks:
    """Marks in other places."""

    def test_other(self) -> None:
        """Marks that go and marks that come are shown, those that stay are not."""
        body = request(message("user", "Hi", "you"), system="Rules.")
        (call,) = (before := calls(body))
        nodes = [spot.node for spot in spots(before.tree, call.tip)]
        marked = type(call)(
            at=0.0,
            tip=call.tip,
            tariff=call.tariff,
            marks=(Breakpoint(nodes[0], LONG), Breakpoint(nodes[1], SHORT)),
        )
        wanted = [Breakpoint(nodes[0], LONG), Breakpoint(nodes[2], SHORT)]
        found = of_marks(before.tree, marked, wanted)
        assert found is not None
        text = '"cache_control": {"type": "ephemeral", "ttl": "5m"}'
        assert found.before == (Change("messages[0].content[0]", text, private=False),)
        assert found.after == (Change("messages[0].content[1]", text, private=False),)
        assert of_marks(before.tree, marked, marked.marks) is None


class TestSpots:
    """Where blocks of a prompt stand."""

    @settings(max_examples=40)
    @given(logs())
    def test_as_in_the_body(self, lines: list[dict[str, Any]]) -> None:
        """A block has the place that it has in its body, deferred tools left out."""
        before = subject(lines).workload
        for call in before:
            body = lines[call.number]["request"]
            body = body | {"tools": [t for t in body.get("tools", ()) if "defer_loading" not in t]}
            tree = before.tree
            found = spots(tree, call.tip)
            nodes = [
                node for node in tree.path(call.tip) if tree.kind[tree.block[node]] != SETTINGS
            ]
            assert [spot.node for spot in found] == nodes
            pieces = parse(body, before.assume).pieces
            if len(pieces) == len(found):
                told = [
                    (one.place.level, one.place.index, one.place.content or 0) for one in pieces
                ]
                assert told == [
                    (spot.place.level, spot.place.index, spot.place.content or 0) for spot in found
                ]


class TestUnbinds:
    """Thinking that would stand behind another prefix."""

    @pytest.mark.parametrize(("model", "bound"), [(BOUND, True), (FREE, False)])
    def test_changed(self, model: str, *, bound: bool) -> None:
        """A change in front of thinking unbinds it where the model checks; one behind does not."""
        thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
        talk = [
            message("user", "Hi"),
            {"role": "assistant", "content": [thought, {"type": "text", "text": "Hello."}]},
            message("user", "Bye"),
        ]
        before = calls(request(*talk, system="rules") | {"model": model})
        assert unbinds(before, edited(before, [saying(str.upper)])) == bound

        def block(unit: Unit) -> Unit:
            bye = (unit.body or {}).get("text") == "Bye"
            return remade(unit, {"type": "text", "text": "BYE"}) if bye else unit

        assert not unbinds(before, edited(before, [Edit(block=block)]))
        assert not unbinds(before, before)
