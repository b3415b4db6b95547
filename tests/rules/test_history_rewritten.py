"""Histories that change between turns, and histories that only seem to."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from reviewed import LONG, findings, healthy, same_as_simulated, subject
from small import digest_line, message, request

from cacheplan.edits import edited
from cacheplan.rules import history_rewritten

Messages = list[dict[str, Any]]
MARK = {"cache_control": {"type": "ephemeral"}}


def use(name: str, turn: int) -> dict[str, Any]:
    """Return an answer that calls a tool."""
    block = {"type": "tool_use", "id": f"toolu_{name}{turn}", "name": "look", "input": {"n": turn}}
    return {"role": "assistant", "content": [block]}


def result(name: str, turn: int, text: str) -> dict[str, Any]:
    """Return what the tool said."""
    block = {"type": "tool_result", "tool_use_id": f"toolu_{name}{turn}", "content": text}
    return {"role": "user", "content": [block]}


def talk(
    turns: int,
    change: Callable[[Messages], Messages] = list,
    name: str = "a",
    every: float = 20,
    **fields: Any,
) -> list[dict[str, Any]]:
    """Return an agent's conversation, each time with its history changed so."""
    said, lines = [message("user", f"task {name}")], []
    for turn in range(turns):
        body = request(*change(said), system=LONG, **MARK)
        lines.append({"at": every * turn, "request": body, **fields})
        said = [*said, use(name, turn), result(name, turn, f"{name}{turn} {LONG[:1000]}")]
    return lines


def window(said: Messages) -> Messages:
    """Keep the last nine messages."""
    return said[-9:]


def cleared(said: Messages) -> Messages:
    """Clear all results of tools but the last three."""
    old = max(len(said) - 6, 0)
    return [
        result("a", at // 2 - 1, "[cleared]") if at and at % 2 == 0 and at < old else one
        for at, one in enumerate(said)
    ]


def cut_deep(said: Messages) -> Messages:
    """Drop sixteen messages of every twenty at once."""
    return said[max(len(said) - 4, 0) // 20 * 20 :]


def test_a_sliding_window_is_found() -> None:
    """From the sixth turn on every turn drops a pair of messages and writes the rest again."""
    (found,) = findings(history_rewritten, talk(20, window))
    assert (found.code, found.calls) == ("CP202", 15)
    assert str(found.place) == "messages[0].content[0]"
    assert "the oldest messages are dropped" in found.message
    assert found.fix is not None
    assert not found.fix.safe


def test_clearing_a_little_at_every_turn_is_found() -> None:
    """One result cleared at each turn, and three that stay written again behind it."""
    (found,) = findings(history_rewritten, talk(20, cleared))
    assert found.calls == 16
    assert "earlier blocks are replaced" in found.message
    assert str(found.place) == "messages[2].content[0]"


def test_the_break_even_is_said() -> None:
    """At 1.25 and 0.1, what is cleared has to be 11.5 times what stays, for one call each."""
    (found,) = findings(history_rewritten, talk(20, window))
    words = found.message.replace(",", "")
    again = int(words.split("writes ")[1].split(" again")[0])
    least = int(words.split("clear ")[1].split(" tokens a time")[0])
    assert "serves 1 call it" in words
    assert least == round(11.5 * again / found.calls)


def test_a_moved_block_clears_nothing() -> None:
    """A reminder that follows two turns behind the newest message moves what it passes."""

    def reminded(said: Messages) -> Messages:
        at = max(len(said) - 5, 0)
        note = {"type": "text", "text": "Mind the rules. " * 20}
        return [
            {**one, "content": [*one["content"], note]} if number == at else one
            for number, one in enumerate(said)
        ]

    (found,) = findings(history_rewritten, talk(20, reminded))
    assert "earlier blocks are moved, which clears 0 tokens" in found.message
    assert str(found.place) == "messages[1].content[0]"


@pytest.mark.parametrize("change", [window, cleared])
def test_the_saving_is_the_difference_between_best_plans(
    change: Callable[[Messages], Messages],
) -> None:
    """What is claimed is what cutting rarely saves, simulated, and it is not nothing."""
    lines = talk(40, change)
    assert same_as_simulated(history_rewritten, lines)
    (found,) = findings(history_rewritten, lines)
    assert found.saving is not None
    assert found.saving > 0


def test_the_edit_cuts_rarely() -> None:
    """With the fix most turns go on from the one before, and a few still cut."""
    seen = subject(talk(60, window))
    (found,) = history_rewritten.check(seen)
    assert found.fix is not None
    assert found.fix.edit is not None
    mended = edited(seen.workload, [found.fix.edit])
    tips = [call.tip for call in mended]
    cuts = sum(tips[at] not in mended.tree.path(tips[at + 1]) for at in range(59))
    assert 0 < cuts < 20


def test_turns_after_a_cut_go_on_with_the_edit() -> None:
    """Where one cut in three turns is undone, the turns between follow."""

    def some(said: Messages) -> Messages:
        return said[max(len(said) - 7, 0) // 6 * 2 :]

    seen = subject(talk(9, some))
    (found,) = history_rewritten.check(seen)
    assert 0 < found.calls < 3
    assert found.fix is not None
    assert found.fix.edit is not None
    mended = edited(seen.workload, [found.fix.edit])
    tips = [call.tip for call in mended]
    assert all(one in mended.tree.path(other) for one, other in pairwise(tips))


def test_sessions_are_not_mixed() -> None:
    """What another session says of the same history changes nothing of this one's."""
    lines = talk(9, session="a")
    body = lines[-1]["request"]
    other = {**body, "messages": window(body["messages"])}
    assert not findings(history_rewritten, [*lines, {"at": 170, "session": "b", "request": other}])


def test_cutting_rarely_and_deep_is_no_finding() -> None:
    """Ten turns' worth of history cleared at once, two kept, pays for itself."""
    assert not findings(history_rewritten, talk(40, cut_deep))


def test_after_a_pause_a_cut_costs_nothing() -> None:
    """Where the entry is gone, the rest is written anew with or without a cut."""
    assert not findings(history_rewritten, talk(20, window, every=400))


def test_interleaved_conversations_are_kept_apart() -> None:
    """Of two conversations that take turns, only the one with a window is found."""
    other = [{**line, "at": line["at"] + 7} for line in talk(20, name="b")]
    lines = sorted(talk(20, window) + other, key=lambda line: line["at"])
    (found,) = findings(history_rewritten, lines)
    assert found.calls == 15


def test_lanes_are_told_apart() -> None:
    """Two labels that both cut are two findings."""
    lines = talk(9, window, label="x") + [
        {**line, "at": line["at"] + 7, "label": "y"} for line in talk(9, window, name="b")
    ]
    found = findings(history_rewritten, sorted(lines, key=lambda line: line["at"]))
    assert sorted(str(one.lane[1]) for one in found if one.lane) == ["x", "y"]


def test_a_canned_answer_makes_no_conversation() -> None:
    """Users whose questions differ and who get the same answers are strangers."""
    lines = []
    for at in range(6):
        said = [
            message("user", f"{at}, hello"),
            message("assistant", "Hello! " * 50),
            message("user", f"{at}, more"),
            message("assistant", "Gladly. " * 50),
            message("user", f"{at}, go on"),
        ]
        lines.append({"at": at, "request": request(*said, system=LONG, **MARK)})
    assert not findings(history_rewritten, lines)


def test_a_branch_is_no_change() -> None:
    """An answer tried again from an earlier turn leaves the history as it was."""
    lines = talk(6)
    body = lines[2]["request"]
    other = [*body["messages"], use("z", 0), result("z", 0, "else")]
    lines.append({"at": 200, "request": {**body, "messages": other}})
    assert not findings(history_rewritten, lines)


def test_thinking_left_out_is_no_change() -> None:
    """Thinking that is not sent back leaves what was said as it was."""
    said = [
        message("user", "task"),
        *(m for at in range(3) for m in (use("a", at), result("a", at, LONG))),
    ]
    thought = {"type": "thinking", "thinking": "hm", "signature": "x"}
    full = [
        {**one, "content": [thought, *one["content"]]} if one["role"] == "assistant" else one
        for one in said
    ]
    more = [*said, message("assistant", "done"), message("user", "next")]
    lines = [
        {"at": 9 * at, "request": request(*messages, model="claude-fable-5", **MARK)}
        for at, messages in enumerate((full[:3], full[:5], full, more))
    ]
    assert not findings(history_rewritten, lines)


def test_a_changed_head_is_another_matter() -> None:
    """Where the system prompt changes with the window, the history is not to blame."""
    lines = talk(20, window)
    for at, line in enumerate(lines):
        line["request"]["system"] = f"{at} {LONG}"
    assert not findings(history_rewritten, lines)


@pytest.mark.parametrize("name", healthy())
def test_healthy_workloads_have_none(name: str) -> None:
    """What is laid out well is left alone."""
    assert not findings(history_rewritten, healthy()[name])


def test_digests_never_fail() -> None:
    """Blocks without a speaker are no conversation, whatever is left out of them."""
    blocks = [(f"m{at}", 900, "messages") for at in range(30)]
    lines = [
        digest_line([("s", 5000, "system"), *blocks[at : at + 9]], id=f"c{at}", at=at)
        for at in range(20)
    ]
    assert not findings(history_rewritten, lines)
