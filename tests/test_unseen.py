"""What a source does not show of a prompt's front is as long as usage leaves over."""

from __future__ import annotations

import json
from typing import Any

import pytest
from small import Characters

from cacheplan.assumptions import Assumptions
from cacheplan.prefixes import SETTINGS
from cacheplan.prompt import Level
from cacheplan.records import Intake
from cacheplan.unseen import UNSEEN
from cacheplan.workload import Workload


def line(at: int, *said: str, prompt: int = 0, **more: Any) -> dict[str, Any]:
    """Make a call of which only the messages are known, and how long it was."""
    messages = [{"role": "user", "content": text} for text in said]
    made = {"at": at, "request": {"model": "claude-opus-5-5", "messages": messages}}
    usage = {"usage": {"input_tokens": prompt}} if prompt else {}
    return {**made, **usage, "lacks": ["system", "tools"], **more}


def taken(*lines: dict[str, Any]) -> Workload:
    """Take in some lines, a letter a token."""
    intake = Intake(Characters(), Assumptions())
    for made in lines:
        intake.add(json.dumps(made).encode())
    return intake.workload()


def fronts(workload: Workload) -> list[tuple[Level, int]]:
    """Return every unseen front's level and length."""
    tree = workload.tree
    return [
        (tree.level[block], tree.size[block])
        for block, kind in enumerate(tree.kind)
        if kind == UNSEEN
    ]


class TestLength:
    """It is what the shortest prompt leaves over."""

    def test_prompts_keep_their_recorded_length(self) -> None:
        """The front takes what the words do not, and the words keep their own."""
        calls = taken(line(0, "a" * 50, prompt=5000), line(1, "a" * 50, "b" * 900, prompt=5904))
        (front,) = fronts(calls)
        assert front[0] is Level.TOOLS
        assert 4900 < front[1] < 5000
        assert [calls.prompt_tokens(call) for call in calls] == [5000, 5904]
        assert calls.tokens_from == "usage"

    def test_calls_of_one_label_share_it(self) -> None:
        """What one feature sends in front is the same on every call of it."""
        calls = taken(
            line(0, "One?", prompt=5000, label="chat"),
            line(1, "Two?", prompt=5000, label="chat"),
            line(2, "Three?", prompt=9000, label="search"),
        )
        ends = [calls.tree.tools_end[call.tip] for call in calls]
        assert ends[0] == ends[1] != ends[2]
        assert len(fronts(calls)) == 2

    def test_without_usage_it_is_empty(self) -> None:
        """Nobody can say how long it is, so nothing is made up."""
        assert fronts(taken(line(0, "One?"))) == [(Level.TOOLS, 0)]

    @pytest.mark.parametrize(
        ("lacks", "found"),
        [
            (["system"], [Level.SYSTEM]),
            (["tools"], [Level.TOOLS]),
            (["marks", "text"], []),
            ([], []),
        ],
    )
    def test_it_stands_where_something_is_missing(
        self, lacks: list[str], found: list[Level]
    ) -> None:
        """A prompt whose front is shown has no other."""
        calls = taken(line(0, "One?", prompt=5000, lacks=lacks))
        assert [level for level, _ in fronts(calls)] == found

    def test_what_is_shown_stands_behind_it(self) -> None:
        """A system prompt that is known follows tools that are not."""
        made = line(0, "One?", prompt=5000, lacks=["tools"])
        made["request"]["system"] = "Be brief."
        calls = taken(made)
        tree, tip = calls.tree, calls.calls[0].tip
        kinds = [tree.kind[tree.block[node]] for node in tree.path(tip)]
        assert [kind for kind in kinds if kind != SETTINGS] == [UNSEEN, "text", "text"]

    def test_words_that_outweigh_the_prompt_leave_nothing(self) -> None:
        """A front is never shorter than nothing."""
        assert fronts(taken(line(0, "a" * 500, prompt=400))) == [(Level.TOOLS, 0)]

    def test_words_that_are_not_told_are_not_the_front(self) -> None:
        """A prompt without its words leaves over all of itself, and that is asked last."""
        mute = line(1, prompt=90_000, lacks=["system", "text", "tools"])
        calls = taken(line(0, "a" * 50, prompt=5000), mute)
        assert fronts(calls) == fronts(taken(line(0, "a" * 50, prompt=5000)))
        assert calls.prompt_tokens(calls.calls[0]) == 5000
        assert fronts(taken(mute))[0][1] > 89_000

    def test_what_one_call_shows_is_in_no_front_of_it(self) -> None:
        """Tools alone are another front than tools and system together."""
        shown = line(1, "One?", prompt=5000, lacks=["tools"])
        shown["request"]["system"] = "b" * 3000
        calls = taken(line(0, "One?", prompt=5000), shown)
        assert len(fronts(calls)) == 2
        assert [calls.prompt_tokens(call) for call in calls] == [5000, 5000]

    def test_each_tokenizer_has_its_own_length(self) -> None:
        """One front is as long to a model as that model's usage says."""
        other = line(1, "One?", prompt=4000)
        other["request"]["model"] = "claude-haiku-4-5"
        lengths = [length for _, length in fronts(taken(line(0, "One?", prompt=5000), other))]
        assert lengths == [pytest.approx(5000, abs=99), pytest.approx(4000, abs=99)]
