"""Calls mended: what is promised of a fix holds for the lines as they are written."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from careless import logs, read_by_the_model
from hypothesis import given, settings
from hypothesis import strategies as st
from reviewed import LONG, agent, subject
from reviews import dated
from small import Characters, digest_line, message, request, tool

from benchmarks.rules import examples
from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError
from cacheplan.linter import lint
from cacheplan.mending import Done, Mended, Mending
from cacheplan.prices import Sheet
from cacheplan.projection import Projection, project
from cacheplan.records import Intake
from cacheplan.rules import RULES
from cacheplan.terms import Terms
from cacheplan.waivers import Waiver
from cacheplan.workload import Workload

SHEET = Sheet.default()
MARK = {"type": "ephemeral"}
BOUND = "claude-opus-5-5"
#: Rules whose examples are bodies, by what a fix of them may do.
LAYOUT = [rule for rule in RULES if rule.CODE < "CP100"]


def written(lines: Iterable[dict[str, Any]]) -> list[bytes]:
    """Write lines as a file holds them."""
    return [json.dumps(line).encode() for line in lines]


def mend(
    lines: Iterable[dict[str, Any] | bytes], assume: Assumptions | None = None, **more: Any
) -> Mended:
    """Mend lines, a character a token."""
    raw = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    assume = assume or Assumptions()
    return Mending(sheet=SHEET, counter=Characters(), assume=assume, **more).mend(raw)


def out(found: Mended) -> list[dict[str, Any]]:
    """Return the lines as they were written."""
    return [json.loads(line) for line in found.lines]


def read(lines: Iterable[bytes], assume: Assumptions | None = None) -> Workload:
    """Read lines as any command does."""
    intake = Intake(Characters(), assume)
    for line in lines:
        intake.add(line)
    return intake.workload()


def bill(lines: Iterable[bytes], assume: Assumptions | None = None) -> Projection:
    """Serve lines as they are marked."""
    return project(read(lines, assume), lambda call: call.marks, SHEET, "as-marked")


forms = st.sampled_from([Assumptions(), Assumptions(string_form="differs")])


def failing(rule: Any) -> tuple[Iterable[dict[str, Any]], Assumptions | None]:
    """Return calls that fail by a rule; planned ones have no body to write a fix into."""
    example = examples(rule, "Fails")
    planned = any("calls_per_hour" in line for line in example.lines)
    return (dated(every=100), None) if planned else (example.lines, example.assume)


class TestLaws:
    """What holds for any log and any fix."""

    @settings(max_examples=30)
    @given(logs(), forms)
    def test_safe_fixes_leave_the_text(
        self, lines: list[dict[str, Any]], assume: Assumptions
    ) -> None:
        """The model reads the same text in the same order, under the same settings."""
        found = mend(lines, assume)
        for old, new in zip(lines, out(found), strict=True):
            before, after = old["request"], new["request"]
            assert read_by_the_model(after) == read_by_the_model(before)
            levels = {"tools", "system", "messages", "cache_control"}
            for key in before.keys() | after.keys():
                assert key in levels or before[key] == after[key]
        assert all(one.safe for one in found.done)

    @settings(max_examples=30)
    @given(logs(), forms, st.booleans())
    def test_twice_is_once(
        self, lines: list[dict[str, Any]], assume: Assumptions, unsafe: bool
    ) -> None:
        """Mended calls have nothing to mend, and come out byte for byte as they went in."""
        once = mend(lines, assume, unsafe=unsafe)
        twice = mend(once.lines, assume, unsafe=unsafe)
        assert list(twice.lines) == list(once.lines)
        assert (twice.done, twice.marked) == ((), 0)

    @settings(max_examples=30)
    @given(logs(), forms, st.booleans())
    def test_saving(self, lines: list[dict[str, Any]], assume: Assumptions, unsafe: bool) -> None:
        """What is said to be saved is the difference between both files, read and simulated."""
        found = mend(lines, assume, unsafe=unsafe)
        before, after = bill(written(lines), assume), bill(found.lines, assume)
        assert before.input_cost is not None
        assert after.input_cost is not None
        assert (after.rejected, after.input_cost) <= (before.rejected, before.input_cost)
        if before.rejected == after.rejected:
            assert found.saving == before.input_cost - after.input_cost
        else:
            assert found.saving is None

    @settings(max_examples=30)
    @given(logs(), st.booleans())
    def test_other_members(self, lines: list[dict[str, Any]], unsafe: bool) -> None:
        """Names and sessions stay, and a call starts no earlier than it did."""
        found = mend(lines, unsafe=unsafe)
        for old, new in zip(lines, out(found), strict=True):
            assert old.keys() == new.keys()
            assert (old["id"], old["session"]) == (new["id"], new["session"])
            assert type(old["at"]) is type(new["at"])
        times = [[call.at for call in read(each)] for each in (written(lines), found.lines)]
        assert len(times[0]) == len(times[1])


class TestRules:
    """The examples of the rules, mended."""

    @pytest.mark.parametrize("rule", LAYOUT, ids=lambda rule: rule.CODE)
    def test_mended(self, rule: Any) -> None:
        """With every fix allowed, what fails by a rule about layout fails no more."""
        lines, assume = failing(rule)
        found = mend(lines, assume, unsafe=True)
        assert rule.CODE in {one.code for one in found.done}
        assert found.saving
        assert found.saving > 0
        left = lint(subject(out(found), assume), [rule]).findings
        assert not [one for one in left if (one.saving or 0) > 0]

    @pytest.mark.parametrize("rule", LAYOUT, ids=lambda rule: rule.CODE)
    def test_each_saving(self, rule: Any) -> None:
        """A finding's saving is that of the files, but for where a moved text is counted anew."""
        lines, assume = failing(rule)
        found = lint(subject(lines, assume), [rule])
        (finding,) = found.findings
        after = mend(lines, assume, unsafe=True)
        assert found.planned.input_cost is not None
        assert after.after.input_cost is not None
        saving = found.planned.input_cost - after.after.input_cost
        assert float(saving) == pytest.approx(float(finding.saving or 0), rel=0.02)

    def test_moved(self) -> None:
        """A span that differs goes behind the messages, and a mark stays with what is stable."""
        found = mend(dated(every=100), unsafe=True)
        assert [(one.code, one.calls, one.safe) for one in found.done] == [("CP001", 12, False)]
        lines = out(found)
        systems = {json.dumps(line["request"]["system"]) for line in lines}
        assert len(systems) == 1
        ends = [line["request"]["messages"][-1]["content"][-1]["text"] for line in lines]
        assert ends == [f"10:{number:02}:00" for number in range(12)]
        assert any("unsafe" not in one for one in found.said())

    def test_cut(self) -> None:
        """Where nothing may move, what stands before the span is shared all the same."""
        lines = [
            {
                "at": 20 * at,
                "request": request(
                    message("user", f"q{at}"), system=f"{LONG}\nIt is 10:{at:02}.\nBe brief."
                ),
            }
            for at in range(12)
        ]
        found = mend(lines)
        (one,) = found.done
        assert (one.code, one.calls, one.safe) == ("CP001", 12, True)
        assert "cut" in one.what
        systems = [line["request"]["system"] for line in out(found)]
        assert {system[0]["text"] for system in systems} == {f"{LONG}\n"}
        assert systems[3][1]["text"] == "It is 10:03.\nBe brief."
        assert found.saving
        assert found.saving > 0

    def test_one_fault_hides_another(self) -> None:
        """Faults that cost nothing until the others are mended are mended together."""
        tools = [tool(name, LONG[:2000]) for name in "abc"]
        lines = [
            {
                "at": 20 * at,
                "request": request(
                    message("user", f"q{at}"),
                    tools=[tools, tools[::-1], [tools[1], tools[0], tools[2]]][at % 3],
                    system=f"It is 10:{at:02}:00 now. {LONG}",
                ),
            }
            for at in range(12)
        ]
        found = mend(lines, unsafe=True)
        assert {one.code for one in found.done} == {"CP001", "CP003"}
        left = mend(lines).left
        assert [one[:5] for one in left if "takes --unsafe" in one] == ["CP001", "CP003"]

    def test_nothing_needless(self) -> None:
        """What saves nothing beside the others is not done."""
        tools = [tool("a", LONG), tool("b", LONG)]
        lines = [
            {
                "at": 4000 * at,
                "request": request(message("user", f"q{at}"), tools=tools[:: at % 2 * 2 - 1]),
            }
            for at in range(6)
        ]
        assert mend(lines, unsafe=True).done == ()

    def test_bound_thinking(self) -> None:
        """Nothing is cut in front of thinking that a model binds to its prefix."""
        thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
        talk = [
            message("user", "q"),
            {"role": "assistant", "content": [thought, {"type": "text", "text": "a"}]},
            message("user", "r"),
        ]
        lines: list[dict[str, Any]] = [
            {
                "at": 20 * at,
                "request": request(*talk, system=f"{LONG}\nIt is 10:{at:02}.\nBe brief.")
                | {"model": BOUND},
            }
            for at in range(12)
        ]
        assert mend(lines).done == ()
        free = [
            line | {"request": line["request"] | {"model": "claude-opus-4-5"}} for line in lines
        ]
        assert [one.code for one in mend(free).done] == ["CP001"]
        assert any("bound to the prefix" in one for one in mend(lines, unsafe=True).said())


class TestMarks:
    """Marks of the best plan, where they cost less."""

    def test_unmarked(self) -> None:
        """Calls without marks get them; nothing else about them changes."""
        found = mend(
            line | {"request": {**line["request"], "cache_control": None}}
            for line in agent(0, 6, system=LONG)
        )
        assert (found.done, found.marked) == ((), 6)
        assert found.saving
        assert "marks of the best plan, calls: 6" in found.said()

    def test_good_as_they_are(self) -> None:
        """Marks that cost nothing too much stay as somebody put them, and lines byte for byte."""
        lines = written(agent(0, 6, system=LONG))
        lines[2] = lines[2].replace(b'"at": ', b'"at":   ')
        found = mend(lines)
        assert list(found.lines) == lines
        assert list(found.said()) == ["nothing was edited"]

    def test_refused(self) -> None:
        """A call that is refused gets marks that are taken, and that is no saving."""
        blocks = [
            {"type": "text", "text": f"{LONG} {at}", "cache_control": MARK} for at in range(5)
        ]
        found = mend(
            [{"at": at, "request": request(message("user", "q"), system=blocks)} for at in (0, 9)]
        )
        assert (found.before.rejected, found.after.rejected) == (2, 0)
        assert found.saving is None
        assert "calls that were refused and are not now: 2" in found.said()

    def test_digests(self) -> None:
        """Calls without text get marks as well, and times, and nothing else."""
        lines = [
            digest_line([("s", 5_000, "system"), (f"q{at}", 50, "messages")], at=20 * at)
            for at in range(6)
        ]
        found = mend(lines)
        assert found.marked == 6
        for old, new in zip(lines, out(found), strict=True):
            assert {**old, "marks": new["marks"]} == new
        assert mend(found.lines).marked == 0


class TestLeft:
    """What stays as it is, and is told."""

    def test_waived(self) -> None:
        """A finding that somebody waived is left, be it about prompts or about marks."""
        waiver = Waiver(code="CP001", reason="the clock is law")
        found = mend(dated(every=100), unsafe=True, terms=Terms(waivers=(waiver,)))
        assert found.done == ()
        assert any("waived: the clock is law" in one for one in found.left)

    def test_no_price(self) -> None:
        """Where nobody knows what a call costs, nothing is edited."""
        lines = dated(every=100)
        for line in lines:
            line["request"]["model"] = "a-new-one"
        found = mend(lines, unsafe=True)
        assert list(found.lines) == written(lines)
        assert found.saving is None
        assert found.after.unpriced == ("a-new-one",)
        assert any("nobody knows what it costs" in one for one in found.left)

    def test_planned(self) -> None:
        """A planned line stays as it is."""
        plan = {"calls_per_hour": 20, "hours": 1, "request": request(message("user", LONG))}
        found = mend([*agent(0, 3, system=LONG), plan])
        assert list(found.lines)[-1] == json.dumps(plan).encode()
        assert any("planned" in one for one in found.left)
        assert found.calls == 3

    def test_for_the_program(self) -> None:
        """A history that is rewritten cannot be mended in bodies, and that is said."""
        (rule,) = (rule for rule in RULES if rule.CODE == "CP202")
        found = mend(examples(rule, "Fails").lines, unsafe=True)
        assert any(one.startswith("CP202") and "work for the program" in one for one in found.left)

    def test_only_unsafe(self) -> None:
        """What would change what the model reads is left without --unsafe, and named."""
        tools = [tool(name, LONG) for name in "abc"]
        lines = [
            {"at": 20 * at, "request": request(message("user", f"q{at}"), tools=order)}
            for at, order in enumerate([tools, tools[::-1]] * 4)
        ]
        found = mend(lines)
        assert any(one.startswith("CP003") and "takes --unsafe" in one for one in found.left)
        assert [one.code for one in mend(lines, unsafe=True).done] == ["CP003"]


class TestTimes:
    """Calls that wait for another one's first token."""

    @pytest.mark.parametrize("clock", [False, True])
    def test_waiting(self, *, clock: bool) -> None:
        """A call waits as long as it must and its time is written as the old one was."""
        start = "2026-11-21T10:00:00Z" if clock else 0
        late = 1.0000003
        system = [{"type": "text", "text": LONG, "cache_control": MARK}]
        bodies = [request(message("user", f"q{at}"), system=system) for at in range(4)]
        found = mend({"at": start, "first_token_after": late, "request": one} for one in bodies)
        assert [Done("CP201", "cold-fan-out", one.what, True, 3) for one in found.done] == [
            *found.done
        ]
        first, *others = (call.at for call in read(found.lines))
        assert len(others) == 3
        assert all(late <= at - first < late + 0.0001 for at in others)
        assert {type(line["at"]) for line in out(found)[1:]} == {str if clock else float}


def test_bad_lines() -> None:
    """A line that cannot be read is an error, unless such lines are to be left out."""
    lines = [*written(agent(0, 3, system=LONG)), b"{"]
    with pytest.raises(InputError):
        mend(lines)
    mending = Mending(sheet=SHEET, counter=Characters())
    assert list(mending.readable(lines)) == lines[:-1]
    assert mending.skipped == 1


def test_empty() -> None:
    """Without calls there is nothing to mend, and that is an error."""
    with pytest.raises(InputError, match="no calls"):
        mend([])
