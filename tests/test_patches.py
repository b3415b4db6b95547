"""Edits written into bodies: what was simulated is what is written, and nothing else."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from careless import logs, read_by_the_model
from hypothesis import given, settings
from hypothesis import strategies as st
from reviewed import subject
from small import message, request, tool

from cacheplan.assumptions import Assumptions
from cacheplan.edits import Edit, edited
from cacheplan.linter import lint
from cacheplan.patches import patched, reads_alike, thinks_alike
from cacheplan.prefixes import SETTINGS
from cacheplan.prompt import Level
from cacheplan.units import Unit, behind, cut, remade
from cacheplan.validity import validate
from cacheplan.wire import parse
from cacheplan.workload import Call, Workload

ASSUME = Assumptions()
MARK = {"type": "ephemeral"}
BOUND = "claude-opus-5-5"


def edits_of(lines: Sequence[dict[str, Any]]) -> tuple[Workload, list[Edit]]:
    """Return the edits that a review of these calls proposes for bodies, both kinds."""
    seen = subject(lines)
    edits = []
    for finding in lint(seen).findings:
        fixes = [finding.fix, finding.fix.safely] if finding.fix is not None else []
        edits += [fix.edit for fix in fixes if fix is not None and fix.edit is not None]
    return seen.workload, [edit for edit in edits if edit.sequels is None]


def said(workload: Workload, call: Call) -> list[bytes]:
    """Return a prompt as the tree has it."""
    tree = workload.tree
    blocks = [tree.block[node] for node in tree.path(call.tip)]
    return [tree.digest[block] for block in blocks if tree.kind[block] != SETTINGS]


def written(body: Mapping[str, Any]) -> list[bytes]:
    """Return a prompt as it stands in a body."""
    return [piece.block.digest for piece in parse(body, ASSUME).pieces]


def dropping(*names: str) -> Edit:
    """Return an edit that drops tools."""

    def head(units: Sequence[Unit]) -> tuple[list[Unit], list[Unit]]:
        return [unit for unit in units if (unit.body or {}).get("name") not in names], []

    return Edit(head=head)


def moving(text: str) -> Edit:
    """Return an edit that moves a system block behind the messages."""

    def head(units: Sequence[Unit]) -> tuple[list[Unit], list[Unit]]:
        moved = [unit for unit in units if (unit.body or {}).get("text") == text]
        return [unit for unit in units if unit not in moved], [*map(behind, moved)]

    return Edit(head=head)


def texts(*parts: str, mark: int | None = None) -> list[dict[str, Any]]:
    """Return text blocks, one of them marked."""
    blocks: list[dict[str, Any]] = [{"type": "text", "text": part} for part in parts]
    if mark is not None:
        blocks[mark]["cache_control"] = MARK
    return blocks


class TestDrawn:
    """Any edits of any rule, on any log."""

    @settings(max_examples=60, deadline=None)
    @given(logs(), st.data())
    def test_written_as_simulated(self, lines: list[dict[str, Any]], data: st.DataObject) -> None:
        """A body with edits in it, read again, is the prompt that the edits made on the tree."""
        before, edits = edits_of(lines)
        some = [edit for edit in edits if data.draw(st.booleans())]
        after = edited(before, some)
        for call in after:
            body = lines[call.number]["request"]
            found = patched(body, some, ASSUME)
            if not found.left:
                tip = said(after, call)
                # Old thinking that the service leaves out stands in the body all the same.
                assert [one for one in written(found.body) if one in set(tip)] == tip

    @settings(max_examples=60, deadline=None)
    @given(logs())
    def test_only_what_is_edited_changes(self, lines: list[dict[str, Any]]) -> None:
        """The caller's body is never touched; other members are its own, and so is all else."""
        _, edits = edits_of(lines)
        for line in lines:
            body, kept = line["request"], copy.deepcopy(line["request"])
            found = patched(body, edits, ASSUME)
            assert json.dumps(body) == json.dumps(kept)
            if not found.by:
                assert found.body is body
            for key in body.keys() - {"tools", "system", "messages"}:
                assert found.body[key] is body[key]
            old = [json.dumps(one) for one in body["messages"]]
            new = [json.dumps(one) for one in found.body["messages"]]
            assert len(old) == len(new)

    @settings(max_examples=60, deadline=None)
    @given(logs())
    def test_the_service_takes_it(self, lines: list[dict[str, Any]]) -> None:
        """What the service took it takes still, and no mark is doubled."""
        _, edits = edits_of(lines)
        for line in lines:
            found = patched(line["request"], edits, ASSUME).body
            if not validate(line["request"]):
                assert not validate(found)
            assert marks(found) <= marks(line["request"])

    @settings(max_examples=60, deadline=None)
    @given(logs())
    def test_reads_alike(self, lines: list[dict[str, Any]]) -> None:
        """Bodies read alike just if written out from top to bottom they are the same text."""
        _, edits = edits_of(lines)
        for line in lines:
            body = line["request"]
            found = patched(body, edits, ASSUME).body
            same = read_by_the_model(found) == read_by_the_model(body)
            assert reads_alike(body, found, ASSUME) == same


def marks(body: Any) -> int:
    """Count the marks in a body."""
    if isinstance(body, list):
        return sum(map(marks, body))
    if isinstance(body, dict):
        return ("cache_control" in body) + sum(map(marks, body.values()))
    return 0


class TestHead:
    """Tools and system, put together again."""

    def test_string(self) -> None:
        """A string becomes a list only where its text changes."""
        front = "Be kind. " * 30
        body = request(message("user", "Hi"), system=f"{front}It is ten.")
        digests = frozenset(written(body)[:1])
        found = patched(body, [Edit(head=cut(front, digests))], ASSUME)
        assert found.body["system"] == texts(front, "It is ten.")
        other = patched(body, [Edit(head=cut("Be rude. " * 30, digests))], ASSUME)
        assert other.body is body

    def test_mark_at_the_end(self) -> None:
        """A mark at the end of a level stays there when its block moves away."""
        body = request(message("user", "Hi"), system=texts("Rules.", "Now.", mark=1))
        found = patched(body, [moving("Now.")], ASSUME).body
        assert found["system"] == texts("Rules.", mark=0)
        assert found["messages"] == [message("user", "Hi", "Now.")]

    def test_mark_in_between(self) -> None:
        """Any other mark stays on its block, and falls back where that is gone."""
        system = texts("One.", "Two.", "Three.", mark=1)
        body = request(message("user", "Hi"), system=system)
        assert patched(body, [moving("One.")], ASSUME).body["system"] == texts(
            "Two.", "Three.", mark=0
        )
        assert patched(body, [moving("Two.")], ASSUME).body["system"] == texts(
            "One.", "Three.", mark=0
        )

    def test_nothing_before(self) -> None:
        """A mark with nothing left to stand on is gone."""
        body = request(message("user", "Hi"), system=texts("Only.", mark=0))
        found = patched(body, [moving("Only.")], ASSUME).body
        assert "system" not in found
        assert marks(found) == 0

    def test_deferred_tools(self) -> None:
        """Deferred tools, and the service's web tools, stay where they stand."""
        late = tool("late") | {"defer_loading": True}
        web = {"type": "web_search_20250305", "name": "web_search"}
        tools = [late, tool("b"), web, tool("a")]
        body = request(message("user", "Hi"), tools=tools)
        found = patched(body, [dropping("b")], ASSUME).body
        assert found["tools"] == [late, tool("a"), web]

    def test_forced_tool(self) -> None:
        """A tool that the call insists on is not dropped."""
        choice = {"type": "tool", "name": "b"}
        body = request(message("user", "Hi"), tools=[tool("a"), tool("b")], tool_choice=choice)
        assert patched(body, [dropping("b")], ASSUME) == (body, (), True)
        assert patched(body, [dropping("a")], ASSUME).by == (0,)


class TestMessages:
    """Messages, with blocks replaced and texts added."""

    def test_behind_results(self) -> None:
        """What moves goes behind the newest results, never between a use and its result."""
        use = {"type": "tool_use", "id": "t", "name": "a", "input": {}}
        result = {"type": "tool_result", "tool_use_id": "t", "content": "row"}
        talk = [
            message("user", "Hi"),
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [result]},
        ]
        body = request(*talk, system=texts("Rules.", "Now."))
        found = patched(body, [moving("Now.")], ASSUME).body["messages"]
        assert found[:2] == talk[:2]
        assert found[2]["content"] == [result, *texts("Now.")]

    def test_before_an_answer_that_has_begun(self) -> None:
        """What moves stands in the newest words of a user, before an answer that has begun."""
        talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Well,"}]
        body = request(*talk, system=texts("Rules.", "Now."))
        found = patched(body, [moving("Now.")], ASSUME).body
        assert found["messages"] == [{"role": "user", "content": texts("Hi", "Now.")}, talk[1]]
        line = {"at": 0, "request": body}
        (call,) = (after := edited(subject([line]).workload, [moving("Now.")]))
        assert said(after, call) == written(found)

    def test_nobody_asked(self) -> None:
        """Where no user has spoken, nothing can move behind what was said."""
        body = request({"role": "assistant", "content": "Well,"}, system=texts("Rules.", "Now."))
        assert patched(body, [moving("Now.")], ASSUME).left

    @pytest.mark.parametrize("inside", [True, False])
    def test_replaced_block(self, *, inside: bool) -> None:
        """A replaced block keeps its mark, be it its own or that of its last inner block."""
        inner = texts("row", mark=0 if inside else None)
        result = {"type": "tool_result", "tool_use_id": "t", "content": inner}
        outer = result if inside else result | {"cache_control": MARK}
        body = request({"role": "user", "content": [outer]})

        def block(unit: Unit) -> Unit:
            return remade(unit, result | {"content": "ROW"})

        found = patched(body, [Edit(block=block)], ASSUME).body
        (new,) = found["messages"][0]["content"]
        assert new == result | {"content": "ROW", "cache_control": MARK}


class TestThinking:
    """Thinking that is bound to the prefix it was made after."""

    @pytest.mark.parametrize(("model", "alike"), [(BOUND, False), ("claude-sonnet-4-5", True)])
    def test_bound(self, model: str, *, alike: bool) -> None:
        """A text cut in two is another prefix to a model that checks thinking."""
        thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
        talk = [
            message("user", "Hi"),
            {"role": "assistant", "content": [thought, *texts("Hello.")]},
            message("user", "Bye"),
        ]
        body = request(*talk, system="Be kind. It is ten.") | {"model": model}
        other = body | {"system": texts("Be kind. ", "It is ten.")}
        assert reads_alike(body, other, ASSUME)
        assert thinks_alike(body, other, ASSUME) == alike
        later = body | {"messages": [*talk[:2], message("user", "Goodbye")]}
        assert thinks_alike(body, later, ASSUME)


def test_nothing_to_say() -> None:
    """A block that nobody can read is not written."""

    def unreadable(unit: Unit) -> Unit:
        return Unit(level=unit.level, kind="text", digest=b"?", length=1, role=unit.role)

    body = request(message("user", "Hi"), system="Be kind.")
    assert patched(body, [Edit(block=unreadable)], ASSUME).left


def test_a_level_of_its_own() -> None:
    """Only text can stand in the system prompt."""

    def head(units: Sequence[Unit]) -> tuple[list[Unit], list[Unit]]:
        return [remade(unit, unit.body or {}, level=Level.SYSTEM) for unit in units], []

    body = request(message("user", "Hi"), tools=[tool("a")])
    assert patched(body, [Edit(head=head)], ASSUME).left
