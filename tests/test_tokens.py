"""Counts, their doubts, and whole calls against what the service billed for them."""

from __future__ import annotations

import argparse
import inspect
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.assumptions import Assumptions
from cacheplan.content import KINDS
from cacheplan.facts import MODELS, Model, find
from cacheplan.io.counting import estimate, exact
from cacheplan.prompt import Block, Level
from cacheplan.tokens import (
    Count,
    Estimate,
    Exact,
    Once,
    TokenCounter,
    closing_tokens,
    fixed_tokens,
    reaches,
    tokenizer_of,
    total,
    turn_tokens,
)

DEFAULT = Assumptions()
LICENSE = (Path(__file__).parents[1] / "LICENSE").read_text(encoding="utf-8")
sizes = st.integers(0, 10**6)
counts = st.builds(Count, sizes, sizes, st.sampled_from(["usage", "counted", "estimated"]))
models = st.sampled_from([*MODELS, None])
texts = st.text(max_size=200)


def model(name: str) -> Model:
    """Return the model that an id names, which must be a known one."""
    found = find(name)
    assert found is not None
    return found.model


OLD, NEW = model("claude-opus-4-6"), model("claude-opus-5")


def text(content: str, digest: bytes = b"") -> Block:
    """Return a system block of this text."""
    return Block(level=Level.SYSTEM, kind="text", body={"text": content}, digest=digest)


def words(blocks: list[str]) -> list[int]:
    """Measure as a ruler would whose tokens are words."""
    return [len(block.split()) for block in blocks]


class Asked:
    """A counter that notes what it was asked."""

    name = "asked"

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.models: list[Model | None] = []

    def count(self, blocks: Sequence[Block], model: Model | None) -> list[Count]:
        """Count every block as one token."""
        self.models.append(model)
        self.blocks += blocks
        return [Count(1) for _ in blocks]


class TestCounts:
    """Adding and judging counts."""

    @given(st.lists(counts))
    def test_total_is_as_weak_as_its_weakest(self, parts: list[Count]) -> None:
        """Tokens and doubts add up, and one estimate makes an estimate of the sum."""
        whole = total(parts)
        assert whole.tokens == sum(part.tokens for part in parts)
        assert whole.doubt == sum(part.doubt for part in parts)
        sources = {part.source for part in parts}
        assert (whole.source == "estimated") == ("estimated" in sources)
        assert (whole.source == "usage") == (not sources - {"usage"})

    @given(sizes, sizes, sizes, st.integers(-1, 1))
    def test_verdict_holds_for_all_of_the_band(
        self, tokens: int, doubt: int, minimum: int, at: int
    ) -> None:
        """A yes or a no is true of every length in the band; otherwise nobody can tell."""
        length = tokens + at * doubt
        verdict = reaches(tokens, doubt, minimum)
        assert verdict != "yes" or length >= minimum
        assert verdict != "no" or length < minimum
        ends = {tokens - doubt >= minimum, tokens + doubt >= minimum}
        assert (verdict == "too close to call") == (len(ends) == 2)

    def test_certain_count_is_never_too_close(self) -> None:
        """Without doubt, the minimum itself is enough and one token less is not."""
        assert reaches(1024, 0, 1024) == "yes"
        assert reaches(1023, 0, 1024) == "no"


class TestOnce:
    """Each distinct block is counted once."""

    @given(st.lists(st.lists(st.binary(min_size=1, max_size=1))))
    def test_repeats_are_not_counted(self, batches: list[list[bytes]]) -> None:
        """However blocks come in, each digest is passed on once."""
        asked = Asked()
        once = Once(asked)
        for batch in batches:
            assert len(once.count([text("x", digest) for digest in batch], OLD)) == len(batch)
        digests = [block.digest for block in asked.blocks]
        assert sorted(digests) == sorted(set(itertools.chain.from_iterable(batches)))

    def test_tokenizers_are_counted_apart(self) -> None:
        """One count serves all models with the same tokenizer, and no others."""
        asked = Asked()
        once = Once(asked)
        for name in ("claude-opus-4-6", "claude-haiku-4-5", "claude-opus-5", "claude-sonnet-5"):
            once.count([text("x", b"d")], model(name))
        once.count([text("x", b"d")], None)
        assert len(asked.blocks) == 3
        assert asked.models[-1] is None

    def test_blocks_without_digest_are_not_confused(self) -> None:
        """A block nobody gave an identity is counted each time."""
        asked = Asked()
        once = Once(asked)
        once.count([text("x"), text("y")], OLD)
        once.count([text("z")], OLD)
        assert [block.body["text"] for block in asked.blocks] == ["x", "y", "z"]


class TestEstimate:
    """The estimate, with a ruler whose tokens are words."""

    def test_the_ruler_is_asked_once_for_all(self) -> None:
        """All texts of all blocks go to the ruler together, cut into chunks, each text once."""
        handed: list[list[str]] = []

        def ruler(parts: list[str]) -> list[int]:
            handed.append(parts)
            return words(parts)

        long = " ".join(map(str, range(5000)))
        Estimate(ruler).count([text("a b"), text(long), text(""), text("a b"), text(long)], NEW)
        assert len(handed) == 1
        assert len(handed[0]) > 4
        assert "".join(handed[0]) == "a b" + long

    @given(st.lists(texts), models)
    def test_blocks_do_not_touch_each_other(self, parts: list[str], known: Model | None) -> None:
        """A block's count is its own, whatever was counted with it."""
        together = Estimate(words).count([text(part) for part in parts], known)
        apart = [Estimate(words).count([text(part)], known)[0] for part in parts]
        assert together == apart

    @given(texts)
    def test_unknown_model_is_as_doubtful_as_both(self, content: str) -> None:
        """Of a model nobody knows, the band covers what either tokenizer would make."""
        unknown, old, new = (
            Estimate(words).count([text(content)], known)[0] for known in (None, OLD, NEW)
        )
        assert unknown.tokens == new.tokens
        assert unknown.tokens - unknown.doubt <= old.tokens

    def test_stated_lengths_are_taken(self) -> None:
        """A block that comes with its length is not counted, and not in doubt."""
        block = Block(level=Level.SYSTEM, kind="text", tokens=17)
        for counter in (Estimate(words), Exact(lambda *_: 1)):
            assert counter.count([block], OLD) == [Count(17, 0, "usage")]

    def test_factor_is_the_users_own(self) -> None:
        """``token_factor`` multiplies the estimate and its doubt."""
        block = [text("some words in a row " * 100)]
        plain, doubled = (Estimate(words, factor).count(block, OLD)[0] for factor in (1.0, 2.0))
        assert doubled.tokens == pytest.approx(2 * plain.tokens, abs=1)
        assert doubled.doubt == pytest.approx(2 * plain.doubt, abs=1)

    @given(texts, models)
    def test_doubt_is_never_more_than_foreseen(self, content: str, known: Model | None) -> None:
        """No text is estimated with a doubt above the widest band."""
        count = Estimate(words).count([text(content)], known)[0]
        widest = max(max(kind.old, kind.new) for kind in KINDS.values())
        assert count.source == "estimated"
        assert count.doubt <= (1 + widest) * count.tokens + 3


class TestExact:
    """Exact counts, with a tokenizer whose tokens are characters."""

    @staticmethod
    def characters(content: str, version: str) -> int:
        """Count a message's characters, and three more around them."""
        return len(content) + 3 + (version != "3.0") * len(content)

    def test_the_frame_is_taken_off(self) -> None:
        """What an empty message costs is not the text's."""
        count = Exact(self.characters).count([text("hello")], OLD)
        assert count == [Count(5, 0, "counted")]

    def test_later_models_carry_a_band(self) -> None:
        """From Opus 5 on, ctok was seen to be off by up to 1.6 %."""
        count = Exact(self.characters).count([text("x" * 500)], NEW)[0]
        assert (count.tokens, count.doubt) == (1000, 16)

    def test_guessed_parts_are_no_counts(self) -> None:
        """A picture nobody can see makes an estimate of an exact counter's answer."""
        unseen = Block(level=Level.MESSAGES, kind="image", body={"source": {"type": "url"}})
        assert Exact(self.characters).count([unseen], OLD)[0].source == "estimated"

    @pytest.mark.parametrize(
        ("name", "version"),
        [("claude-opus-4-6", "3.0"), ("claude-opus-4-7", "4.7"), ("claude-haiku-5-5", "4.8")],
    )
    def test_versions(self, name: str, version: str) -> None:
        """Each model has one of the three tokenizers that ctok tells apart."""
        assert tokenizer_of(model(name)) == version


# Calls that the service counted, from pydantic-ai's test recordings (2025-12 to 2026-08):
# model, body, prompt tokens.
FACTS = "".join(
    f"\nFact {at:04}: workspace file {at % 37} has revision {at}, owner {at % 11}, and status"
    " verified."
    for at in range(50)
)
QUESTION = "Please explain what Python is and its main use cases. "
WEATHER = {"name": "get_weather", "input_schema": {"type": "object", "properties": {}}}


def said(*turns: tuple[str, str]) -> list[dict[str, Any]]:
    """Return messages of one text each."""
    return [{"role": role, "content": [{"type": "text", "text": it}]} for role, it in turns]


REVIEW = said(
    ("user", "Review `def add(a, b): return a + b`."),
    ("assistant", "Looks fine."),
    ("user", "Review it again."),
    ("system", "From now on, every suggestion must include explicit type annotations."),
)
HARNESS = said(
    ("user", "Stable harness state for the mid-conversation cache test." + FACTS),
    ("assistant", "OK"),
    ("user", "context"),
    ("system", "S"),
)
BILLED = [
    (
        "claude-sonnet-4-5",
        {"system": "You are a helpful assistant.", "messages": said(("user", QUESTION * 100))},
        1114,
    ),
    ("claude-opus-4-8", {"system": "You are a code reviewer.", "messages": REVIEW}, 68),
    ("claude-opus-4-8", {"system": "Reply with OK.", "messages": HARNESS}, 1592),
]


def prompt_tokens(counter: TokenCounter, name: str, body: dict[str, Any]) -> Count:
    """Count a whole call of text blocks, as a reader of bodies does."""
    known = model(name)
    blocks = [text(body["system"])] if "system" in body else []
    for message in body["messages"]:
        blocks += [
            Block(level=Level.MESSAGES, kind="text", role=message["role"], body=part)
            for part in message["content"]
        ]
    turns = turn_tokens(known) * len(body["messages"]) + closing_tokens(known)
    return total(
        [
            *counter.count(blocks, known),
            *fixed_tokens(body, known, DEFAULT).values(),
            Count(turns, 0, "counted"),
        ]
    )


class TestWholeCalls:
    """Whole calls against what the service billed."""

    @pytest.mark.parametrize(("name", "body", "billed"), BILLED)
    def test_estimate_is_inside_its_band(
        self, name: str, body: dict[str, Any], billed: int
    ) -> None:
        """The band around the estimate holds what was billed, and is no wider than 30 %."""
        count = prompt_tokens(estimate(), name, body)
        assert abs(count.tokens - billed) <= count.doubt
        assert count.doubt < 0.3 * billed

    @pytest.mark.parametrize(("name", "body", "billed"), BILLED)
    def test_exact_counts_are_exact(self, name: str, body: dict[str, Any], billed: int) -> None:
        """Exact counts of texts, with what is fixed, come to the very number billed."""
        pytest.importorskip("ctok", reason="exact counts need Python 3.12 and the extra exact")
        assert prompt_tokens(exact(), name, body).tokens == billed


def fixed(name: str, **body: Any) -> dict[Level, int]:
    """Return the tokens that a body fixes at each level."""
    return {
        level: count.tokens for level, count in fixed_tokens(body, model(name), DEFAULT).items()
    }


class TestFixedTokens:
    """What a call adds to its blocks."""

    @pytest.mark.parametrize(
        ("name", "frame"), [("claude-opus-4-6", 8), ("claude-opus-4-7", 12), ("claude-opus-5", 6)]
    )
    def test_frame_of_a_single_message(self, name: str, frame: int) -> None:
        """One turn, what is fixed and what closes come to the frame of one message."""
        known = model(name)
        parts = (sum(fixed(name).values()), turn_tokens(known), closing_tokens(known))
        assert sum(parts) == frame

    @pytest.mark.parametrize(
        ("name", "plain", "forced"),
        [
            ("claude-sonnet-4-5", 496, 588),
            ("claude-opus-4-8", 290, 410),
            ("claude-sonnet-5", 354, 474),
            ("claude-fable-5", 290, 290),
        ],
    )
    def test_tool_prompt(self, name: str, plain: int, forced: int) -> None:
        """Tools add a hidden prompt at their own level; forcing one adds to the messages,
        for tools and system stay readable when ``tool_choice`` changes.
        """
        bare = fixed(name)
        auto = fixed(name, tools=[WEATHER])
        must = fixed(name, tools=[WEATHER], tool_choice={"type": "any"})
        assert auto[Level.TOOLS] == must[Level.TOOLS] == plain
        assert auto[Level.MESSAGES] == bare[Level.MESSAGES]
        assert must[Level.MESSAGES] - bare[Level.MESSAGES] == forced - plain

    def test_stated_sizes_are_surer_than_assumed_ones(self) -> None:
        """A tool prompt nobody states is as long as assumed, and much in doubt."""
        body = {"tools": [WEATHER]}
        longer = Assumptions(tool_prompt=400)
        stated = fixed_tokens(body, OLD, longer)[Level.TOOLS]
        unstated = fixed_tokens(body, model("claude-opus-5-5"), longer)[Level.TOOLS]
        unknown = fixed_tokens(body, None, longer)[Level.TOOLS]
        assert stated.tokens == 497
        assert unstated == unknown
        assert unknown.tokens == 400
        assert unknown.doubt > stated.doubt

    @pytest.mark.parametrize(
        ("name", "kind", "more"),
        [
            ("claude-sonnet-4-5", "enabled", 29),
            ("claude-opus-4-6", "adaptive", 17),
            ("claude-opus-5", "adaptive", 0),
        ],
    )
    def test_thinking(self, name: str, kind: str, more: int) -> None:
        """Thinking adds to the messages of models with the old tokenizer; a forced tool
        keeps it from happening.
        """
        bare, thinks = fixed(name), fixed(name, thinking={"type": kind})
        assert thinks[Level.MESSAGES] - bare[Level.MESSAGES] == more
        body = {"tools": [WEATHER], "tool_choice": {"type": "any"}, "thinking": {"type": kind}}
        without = {key: part for key, part in body.items() if key != "thinking"}
        assert fixed(name, **body) == fixed(name, **without)

    def test_structured_output_grows_with_its_schema(self) -> None:
        """A format adds at least what is assumed, at the system level, and long schemas
        more; recorded were 185 to 205 with schemas of 57 to 76 tokens.
        """

        def system(properties: int) -> Count:
            fields = {f"field_{at}": {"type": "string"} for at in range(properties)}
            schema = {"type": "object", "properties": fields}
            body = {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
            return fixed_tokens(body, model("claude-sonnet-4-5"), DEFAULT)[Level.SYSTEM]

        assert system(1).tokens == DEFAULT.format_prompt
        assert system(100).tokens > 1000
        for recorded in (185, 205):
            assert abs(system(3).tokens - recorded) <= system(3).doubt

    def test_rest(self) -> None:
        """A system prompt adds a token, a task budget 35, deferred tools their notice and
        remote servers nobody knows how much.
        """
        bare = fixed("claude-sonnet-5")
        assert fixed("claude-sonnet-5", system="x")[Level.SYSTEM] == 1
        budget = fixed("claude-sonnet-5", output_config={"task_budget": {"total": 1}})
        assert budget[Level.MESSAGES] - bare[Level.MESSAGES] == 35
        deferred = fixed("claude-sonnet-5", tools=[WEATHER, {"defer_loading": True}])
        assert deferred[Level.TOOLS] == 354 + 99
        remote = fixed_tokens({"mcp_servers": [{}]}, NEW, DEFAULT)[Level.TOOLS]
        assert remote.tokens == remote.doubt > 0

    @given(
        st.fixed_dictionaries(
            {},
            optional=dict.fromkeys(
                ("tools", "system", "tool_choice", "thinking", "output_config", "mcp_servers"),
                st.none()
                | st.booleans()
                | st.text()
                | st.lists(st.text())
                | st.just({"type": "any"}),
            ),
        ),
        models,
    )
    def test_no_body_is_too_odd(self, body: dict[str, Any], known: Model | None) -> None:
        """Whatever stands under these keys, every level gets a number."""
        for count in fixed_tokens(body, known, DEFAULT).values():
            assert count.tokens >= 0
            assert count.doubt >= 0


def slices(content: str, size: int) -> list[str]:
    """Cut a text into blocks of one size."""
    return [content[at : at + size] for at in range(0, len(content) - size, size)][:40]


class TestAgainstExact:
    """The estimate against exact counts."""

    @pytest.mark.parametrize("size", [200, 1000, 5000])
    @pytest.mark.parametrize("name", ["claude-opus-4-6", "claude-opus-5"])
    @pytest.mark.parametrize("source", [argparse, json, LICENSE], ids=["code", "json", "prose"])
    def test_bands_hold(self, source: object, name: str, size: int) -> None:
        """At least 17 in 20 exact counts lie inside the band of the estimate, whatever the
        kind of text and however short: 19 are promised over all kinds together.
        """
        pytest.importorskip("ctok", reason="exact counts need Python 3.12 and the extra exact")
        content = source if isinstance(source, str) else inspect.getsource(argparse)
        if source is json:
            content = json.dumps([line.split() for line in content.splitlines()])
        blocks = [text(part) for part in slices(content, size)]
        guesses, truths = (counter.count(blocks, model(name)) for counter in (estimate(), exact()))
        inside = [
            abs(guess.tokens - truth.tokens) <= guess.doubt + truth.doubt
            for guess, truth in zip(guesses, truths, strict=True)
        ]
        assert sum(inside) >= 0.85 * len(inside)
