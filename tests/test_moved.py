"""Calls under another model are the same words in other lengths."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from small import digest_line, digest_workloads, message, request, workload

from cacheplan.facts import Model
from cacheplan.growth import STATED, Growth
from cacheplan.moved import Moved, lay, move
from cacheplan.policies import BASELINES
from cacheplan.prices import Sheet
from cacheplan.projection import project
from cacheplan.prompt import Block
from cacheplan.records import Intake
from cacheplan.subject import Remembering
from cacheplan.tokens import Count
from cacheplan.workload import Workload

SHEET = Sheet.default()
OLD, NEW = "claude-sonnet-4-6", "claude-opus-5"
PROSE = "the sea and the sky and what is in it for you "


class Doubling:
    """Counts a word as a token under the older tokenizer, and as two under the newer."""

    name = "doubling"

    def count(self, blocks: Sequence[Block], model: Model | None) -> list[Count]:
        """Return one count a block."""
        each = 1 if model is not None and model.generation == "old" else 2
        texts = [block.body.get("text") or json.dumps(block.body) for block in blocks]
        return [Count(each * len(text.split()), 0, "counted") for text in texts]


def read(lines: Iterable[dict[str, Any]], model: str | None = None) -> Workload:
    """Read lines with what their blocks say."""
    remembering = Remembering(Doubling())
    intake = Intake(remembering, model=model)
    for line in lines:
        intake.add(json.dumps(line).encode())
    found = intake.workload()
    return Workload(
        tree=found.tree, calls=found.calls, texts=remembering.bodies, tokens_from=found.tokens_from
    )


def sent(words: int, model: str = OLD, **fields: Any) -> dict[str, Any]:
    """Return a line with a system prompt of so many words."""
    body = request(message("user", "what is it"), model=model, system="word " * words)
    return {"at": 0, "request": body, **fields}


def moved(lines: list[dict[str, Any]], model: str, answers: float | None = None) -> Moved:
    """Move lines to a model."""
    return move(read(lines), read(lines, model), model, Doubling(), answers)


def laid(lines: list[dict[str, Any]], found: Moved, which: Any = "ratio") -> Workload:
    """Lay all lines out under the model they moved to."""
    now = read(lines)
    return lay(now, {call.number: found for call in now}, which, SHEET)


@given(lines=digest_workloads(("claude-sonnet-5", "claude-haiku-5-5")))
def test_one_tokenizer(lines: list[dict[str, Any]]) -> None:
    """Between models of one tokenizer, calls are what they are if read for the other one."""
    now, then = workload(lines), workload(lines, model=NEW)
    found = move(now, then, NEW, Doubling())
    assert not found.changed
    for which in ("ratio", "low", "high"):
        calls = lay(now, {call.number: found for call in now}, which, SHEET)
        calls.tree.check()
        for policy in BASELINES:
            marker, other = policy.bind(calls), policy.bind(then)
            assert project(calls, marker, SHEET, "") == project(then, other, SHEET, "")


def test_another_tokenizer() -> None:
    """A text is as long as the other tokenizer makes it, not a factor of what it was."""
    found = moved([sent(5_000)], NEW)
    then = laid([sent(5_000)], found)
    system = then.tree.system_end[then.calls[0].tip]
    assert then.tree.tokens[system] - then.tree.tokens[then.tree.parent[system]] == 10_000
    assert sum(before for before, _, _ in found.kinds.values()) == 5_003


def test_what_was_recorded_outranks() -> None:
    """A prompt that was recorded half as long again is so under the other model, too."""
    usage = {"input_tokens": 7_512, "output_tokens": 5}
    recorded = [sent(5_000, response={"usage": usage})]
    plain = laid([sent(5_000)], moved([sent(5_000)], NEW))
    found = laid(recorded, moved(recorded, NEW))
    length = plain.prompt_tokens(plain.calls[0])
    assert found.prompt_tokens(found.calls[0]) == pytest.approx(1.5 * length, rel=0.001)


def test_back() -> None:
    """From the newer tokenizer to the older a text gets shorter."""
    lines = [sent(5_000, NEW)]
    then = laid(lines, moved(lines, OLD))
    system = then.tree.system_end[then.calls[0].tip]
    assert then.tree.tokens[system] == pytest.approx(5_000, abs=10)


def test_the_range() -> None:
    """At least and at most are as far from the likely length as was measured for the kind."""
    lines = [sent(5_000)]
    body = lines[0]["request"]
    body["system"] = PROSE * 400
    found = moved(lines, NEW)
    low, likely, high = (
        calls.prompt_tokens(calls.calls[0])
        for calls in (laid(lines, found, which) for which in ("low", "ratio", "high"))
    )
    assert low / likely == pytest.approx(1.45 / 2, rel=0.01)
    assert high == likely


def test_stated_lengths() -> None:
    """Where only lengths are known, they grow by what is said of text in general."""
    lines = [digest_line([("s", 1_000, "system")], model=OLD)]
    now, then = workload(lines), workload(lines, model=NEW)
    found = move(now, then, NEW, Doubling())
    assert found.kinds[STATED][:2] == (1_000, 1_300)
    assert found.kinds[STATED][2] == Growth(1.3, 1.0, 1.47)
    lengths = [
        calls.prompt_tokens(calls.calls[0])
        for calls in (lay(now, {0: found}, which, SHEET) for which in ("low", "ratio", "high"))
    ]
    assert lengths == [1_000, 1_300, 1_470]


def test_thinking_that_one_keeps() -> None:
    """Thinking that the newer model keeps is in its prompts, though the older left it out."""
    thought = {"type": "thinking", "thinking": "hm " * 100, "signature": "x" * 400}
    talk = [
        message("user", "what"),
        {"role": "assistant", "content": [thought, {"type": "text", "text": "that"}]},
        message("user", "why"),
    ]
    lines = [{"at": 0, "request": request(*talk, model="claude-sonnet-4-5", system="be brief")}]
    now = read(lines)
    then = laid(lines, moved(lines, NEW))
    kinds = [then.tree.kind[then.tree.block[node]] for node in then.tree.path(then.calls[0].tip)]
    assert "thinking" in kinds
    assert then.prompt_tokens(then.calls[0]) > 100 + now.prompt_tokens(now.calls[0])


def test_answers() -> None:
    """Answers grow as what Claude said in the prompts, unless somebody knows better."""
    talk = [message("user", "what"), message("assistant", PROSE * 9), message("user", "why")]
    lines = [{"at": 0, "request": request(*talk, model=OLD), "output_tokens": 100}]
    assert [call.output for call in laid(lines, moved(lines, NEW))] == [200]
    assert [call.output for call in laid(lines, moved(lines, NEW, answers=0.5))] == [50]
    assert moved([sent(9)], NEW).answers.ratio == 2


def test_some_stay() -> None:
    """Calls that stay are served as they were, beside those that go."""
    lines = [sent(3_000, at=at * 10, label="xy"[at % 2]) for at in range(4)]
    now, found = read(lines), moved(lines, NEW)
    mixed = lay(now, {1: found, 3: found}, "ratio", SHEET)
    mixed.tree.check()
    assert [call.tariff.model for call in mixed] == [OLD, NEW, OLD, NEW]
    assert mixed.prompt_tokens(mixed.calls[0]) == now.prompt_tokens(now.calls[0])
    assert mixed.prompt_tokens(mixed.calls[1]) > 6_000


@pytest.mark.parametrize(("target", "speed"), [("claude-sonnet-5", "standard"), (NEW, "fast")])
def test_a_speed_that_is_not_there(target: str, speed: str) -> None:
    """A fast call is a plain one for a model without such a speed."""
    body = request(message("user", "x"), model="claude-opus-5-5", speed="fast")
    lines = [{"at": 0, "request": body}]
    assert [call.tariff.speed for call in laid(lines, moved(lines, target))] == [speed]
