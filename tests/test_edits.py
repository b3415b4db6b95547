"""Prompts edited on the tree: calls that go on from another, and calls at another time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import structs
from sketches import Sketch
from small import digest_line, digest_workloads, message, request, workload

from cacheplan.assumptions import Assumptions
from cacheplan.edits import Edit, Sequel, edited
from cacheplan.patches import patched
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.units import Unit, behind
from cacheplan.workload import Workload

SHORT = Lifetime.FIVE_MINUTES

prompts = st.lists(st.sampled_from("abc"), min_size=1, max_size=6)


def drawn(names: list[list[str]]) -> Workload:
    """Make calls of these prompts, a second apart, each marked at its end."""
    sketch = Sketch()
    for at, prompt in enumerate(names):
        blocks = [(name, 20) for name in prompt]
        tip = sketch.node(blocks)
        sketch.call(at, *blocks, marks=(Breakpoint(tip, SHORT),))
    return sketch.workload()


def said(workload: Workload) -> list[list[bytes]]:
    """Return the prompts of all calls."""
    tree = workload.tree
    return [[tree.digest[tree.block[node]] for node in tree.path(call.tip)] for call in workload]


class TestSequels:
    """Prompts made of an earlier one and of blocks of their own."""

    @given(st.lists(prompts, min_size=1, max_size=6))
    def test_a_sequel_of_itself_changes_nothing(self, names: list[list[str]]) -> None:
        """Hung on an earlier prompt that they begin with, prompts say what they said."""

        def same(workload: Workload) -> Mapping[int, Sequel]:
            found, sent = dict[int, Sequel](), dict[int, int]()
            for call in workload:
                path = workload.tree.path(call.tip)
                for at, node in enumerate(path):
                    if node in sent:
                        found[call.number] = Sequel(sent[node], path[at + 1 :])
                sent[call.tip] = call.number
            return found

        before = drawn(names)
        after = edited(before, [Edit(sequels=same)])
        assert said(after) == said(before)
        assert [call.marks[0].node for call in after] == [call.tip for call in after]

    def test_an_edit_of_an_edit_is_followed(self) -> None:
        """What goes on from an edited prompt has the edited one before it."""
        before = drawn([["s", "x"], ["s", "y", "1"], ["s", "y", "1", "2"]])
        first, second, third = before.calls
        path = before.tree.path(third.tip)
        sequels = {
            second.number: Sequel(first.number, path[2:3]),
            third.number: Sequel(second.number, path[3:]),
        }
        after = edited(before, [Edit(sequels=lambda _: sequels)])
        assert [b"".join(prompt).split() for prompt in said(after)] == [
            [b"s", b"x"],
            [b"s", b"x", b"1"],
            [b"s", b"x", b"1", b"2"],
        ]
        assert [after.tree.tokens[call.tip] for call in after] == [40, 60, 80]

    def test_marks_stay_where_they_can(self) -> None:
        """A mark on what is replaced stands at the end of what replaces it."""
        before = drawn([["s", "x"], ["s", "y", "1"]])
        first, second = before.calls
        tree = before.tree
        marked = [
            first,
            type(second)(
                at=second.at,
                tip=second.tip,
                tariff=second.tariff,
                number=second.number,
                marks=(Breakpoint(tree.parent[second.tip], SHORT), Breakpoint(second.tip, SHORT)),
            ),
        ]
        workload = Workload(tree=tree, calls=marked)
        tail = tree.path(second.tip)[2:]
        edit = Edit(sequels=lambda _: {second.number: Sequel(first.number, tail)})
        one, other = edited(workload, [edit]).calls
        assert [mark.node for mark in other.marks] == [one.tip, other.tip]


class TestAsSentSo:
    """Edited calls are the calls of somebody who sent them so."""

    @staticmethod
    def without(line: dict[str, Any], gone: str, other: str) -> dict[str, Any]:
        """Return a line of the digest form without one head block, and one other renamed."""
        blocks = [
            {**block, "digest": "z"} if block["digest"] == other else block
            for block in line["blocks"]
            if block["digest"] != gone or block["level"] == "messages"
        ]
        return {**line, "blocks": blocks, "marks": []}

    @given(digest_workloads(("claude-opus-5-5", "claude-sonnet-4-5")), st.data())
    def test_prompts_and_bill(self, lines: list[dict[str, Any]], data: st.DataObject) -> None:
        """Prompts have the lengths of calls sent so, and share what those share."""
        gone, other = data.draw(st.permutations("abcdef"))[:2]
        gone, other = data.draw(st.sampled_from([(gone, other), (gone, "-"), ("-", other)]))
        lines = [{**line, "marks": []} for line in lines]
        for line in lines:
            line.pop("automatic", None)
        meant = [self.without(line, gone, other) for line in lines]
        assume(all(line["blocks"] or "extends" in line for line in meant))
        sent, meant_calls = workload(lines), workload(meant)
        before = said(sent)
        made: dict[bytes, bytes] = {}
        for line in lines:
            made.update(self.renamed(line, other))
        drop = {self.name(level, gone) for level in ("tools", "system")}

        def head(units: Sequence[Unit]) -> tuple[Sequence[Unit], Sequence[Unit]]:
            kept = [unit for unit in units if unit.digest not in drop]
            return (kept if len(kept) < len(units) else units), []

        def block(unit: Unit) -> Unit:
            return structs.replace(unit, digest=made.get(unit.digest, unit.digest))

        edit = Edit(head=head, block=block if other != "-" else None)
        after = edited(sent, [edit])
        after.tree.check()
        assert said(sent) == before
        assert said(after) == said(meant_calls)
        pairs = list(zip(after, meant_calls, strict=True))
        for one, two in pairs:
            assert after.prompt_tokens(one) == meant_calls.prompt_tokens(two)
            for three, four in pairs:
                same = set(after.tree.path(one.tip)) & set(after.tree.path(three.tip))
                assert len(same) == len(
                    set(meant_calls.tree.path(two.tip)) & set(meant_calls.tree.path(four.tip))
                )

    @staticmethod
    def name(level: str, digest: str) -> bytes:
        """Return the digest that a block of the digest form is read under."""
        calls = workload([digest_line([(digest, 1, level)])])
        return calls.tree.digest[calls.tree.block[calls.calls[0].tip]]

    def renamed(self, line: dict[str, Any], other: str) -> dict[bytes, bytes]:
        """Return what the blocks of one name become, by what they are."""
        levels = {block["level"] for block in line["blocks"] if block["digest"] == other}
        return {self.name(level, other): self.name(level, "z") for level in levels}


class TestTimes:
    """Calls at another time."""

    @given(st.lists(prompts, min_size=1, max_size=6), st.data())
    def test_calls_move_and_stay_in_order(
        self, names: list[list[str]], data: st.DataObject
    ) -> None:
        """Each moved call starts when it is told to, and time never goes back."""
        before = drawn(names)
        times = data.draw(
            st.dictionaries(st.sampled_from(range(len(names))), st.floats(0, 50), max_size=6)
        )
        after = edited(before, [Edit(times=times)])
        assert {call.number: call.at for call in after} == {
            call.number: times.get(call.number, call.at) for call in before
        }
        assert [call.at for call in after] == sorted(call.at for call in after)
        assert sorted(said(after)) == sorted(said(before))


class TestOpenings:
    """The first user turn in another order."""

    turns = st.lists(
        st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), min_size=1, max_size=3),
        min_size=1,
        max_size=5,
    )

    @staticmethod
    def lines(drawn: list[list[list[str]]], *, back: bool) -> list[dict[str, Any]]:
        """Return calls of these turns, marked at their ends; the first turn may be reversed."""
        lines = []
        for at, (first, *later) in enumerate(drawn):
            said = [message("user", *(first[::-1] if back else first))]
            for texts in later:
                said += [message("assistant", "so"), message("user", *texts)]
            for each in (said[0], said[-1]):
                each["content"][-1]["cache_control"] = {"type": "ephemeral"}
            lines.append({"at": at, "request": request(*said, system="s")})
        return lines

    @given(turns)
    def test_as_if_said_so(self, drawn: list[list[list[str]]]) -> None:
        """Prompts, marks and bodies are those of callers who said it in that order."""
        edit = Edit(opening=lambda units: units[::-1])
        meant = workload(self.lines(drawn, back=True))
        after = edited(workload(self.lines(drawn, back=False)), [edit])
        after.tree.check()
        assert said(after) == said(meant)
        for one, other in zip(after, meant, strict=True):
            depths = [
                [len(calls.tree.path(mark.node)) for mark in call.marks]
                for calls, call in ((after, one), (meant, other))
            ]
            assert depths[0] == depths[1]
        pairs = zip(self.lines(drawn, back=False), self.lines(drawn, back=True), strict=True)
        for line, other_line in pairs:
            body = patched(line["request"], [edit], Assumptions()).body
            assert body == other_line["request"]

    def test_what_moves_behind_the_messages_is_not_said_first(self) -> None:
        """Blocks that the same edit moves behind the messages stay there."""
        (line,) = self.lines([[["a", "b"]]], back=False)
        calls = workload([line])

        def head(units: Sequence[Unit]) -> tuple[list[Unit], list[Unit]]:
            return [*units[:-1]], [behind(units[-1])]

        edit = Edit(head=head, opening=lambda units: units[::-1])
        (before,), (after,) = said(calls), said(edited(calls, [edit]))
        assert after[-3:-1] == before[:-3:-1]
        assert len(after) == len(before)
