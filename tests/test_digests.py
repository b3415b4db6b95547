"""The digest form: prompts without text, whole or told from an earlier one."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.assumptions import Assumptions
from cacheplan.bodies import Envelope, Sent
from cacheplan.digests import Digests
from cacheplan.errors import InputError
from cacheplan.prefixes import SETTINGS, PrefixTree
from cacheplan.prompt import Level, Lifetime
from cacheplan.strict_json import members

ASSUME = Assumptions()


class Reader:
    """A tree, and what reads lines of the digest form into it."""

    def __init__(self) -> None:
        self.tree = PrefixTree()
        self.digests = Digests(self.tree, ASSUME)

    def read(self, line: dict[str, Any] | bytes, **envelope: Any) -> Sent:
        """Read one line."""
        raw = line if isinstance(line, bytes) else json.dumps(line).encode()
        parts = members(raw)
        name = json.loads(bytes(parts["id"])) if "id" in parts else None
        return self.digests.read(parts, Envelope(**envelope), name)

    def blocks(self, sent: Sent) -> list[int]:
        """Return the nodes of a prompt that end with a block."""
        tree = self.tree
        return [n for n in tree.path(sent.tip) if tree.kind[tree.block[n]] != SETTINGS]


def block(digest: str, level: str = "messages", **more: Any) -> dict[str, Any]:
    """Make a block of the digest form."""
    return {"digest": digest, "tokens": 10, "level": level, **more}


def line(*blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Make a line of the digest form."""
    return {"model": "claude-opus-5-5", "blocks": list(blocks), **more}


class Chain(NamedTuple):
    """Lines that extend each other, and the same prompts written out."""

    told: list[dict[str, Any]]
    whole: list[dict[str, Any]]


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    """Draw a conversation in which each line tells only what it adds, or less."""
    kinds = st.sampled_from(["text", "image", "tool_use", "thinking"])
    levels = ["tools", "system", "messages"]
    told, whole = [], []
    prompts: list[list[dict[str, Any]]] = []
    for turn in range(draw(st.integers(1, 5))):
        earlier = draw(st.none() | st.integers(0, turn - 1)) if turn else None
        known = [] if earlier is None else prompts[earlier]
        least = levels.index(known[-1]["level"]) if known else 0
        added = sorted(draw(st.lists(st.integers(least, 2), max_size=4)))
        blocks = [
            block(
                draw(st.sampled_from("abc")),
                levels[level],
                tokens=draw(st.integers(0, 3)),
                kind=draw(kinds),
            )
            for level in added
        ]
        prompts.append([*known, *blocks])
        same: dict[str, Any] = {
            "model": draw(st.sampled_from(["claude-opus-5-5", "claude-haiku-4-5", "unheard-of"])),
            "speed": draw(st.sampled_from(["standard", "fast"])),
            "id": str(turn),
        }
        if prompts[-1]:
            at = st.integers(0, len(prompts[-1]) - 1)
            marked = draw(st.lists(at, max_size=3, unique=True))
            ttl = st.sampled_from(["5m", "1h"])
            same["marks"] = [{"block": index, "ttl": draw(ttl)} for index in marked]
        if draw(st.booleans()):
            same["automatic"] = draw(st.sampled_from(["5m", "1h"]))
        told.append(same | {"blocks": blocks})
        if earlier is not None:
            told[-1]["extends"] = str(earlier)
        whole.append(same | {"blocks": prompts[-1]})
    return Chain(told, whole)


class TestExtends:
    """``extends``: its blocks (not its marks) come before these."""

    @given(chains())
    def test_told_in_parts_is_written_out(self, chain: Chain) -> None:
        """A line that extends another is the prompt of both, to the node and to each mark."""
        reader, apart = Reader(), Reader()
        for told, whole in zip(chain.told, chain.whole, strict=True):
            sent = reader.read(told)
            assert sent == reader.read(whole)
            assert reader.tree.key(sent.tip) == apart.tree.key(apart.read(whole).tip)
        reader.tree.measure()
        reader.tree.check()

    @given(chains())
    def test_a_prompt_holds_its_blocks_in_order(self, chain: Chain) -> None:
        """Each block is there with its length and its kind, and settings only begin a level."""
        reader = Reader()
        tree = reader.tree
        for told, whole in zip(chain.told, chain.whole, strict=True):
            sent = reader.read(told)
            tree.measure()
            found = [tree.block[node] for node in reader.blocks(sent)]
            assert [(str(tree.level[b]), tree.kind[b], tree.size[b]) for b in found] == [
                (b["level"], b["kind"], b["tokens"]) for b in whole["blocks"]
            ]
            assert tree.tokens[sent.tip] == sum(b["tokens"] for b in whole["blocks"])

    def test_a_conversation_costs_its_new_blocks(self) -> None:
        """Two hundred turns that each tell two blocks make four hundred nodes and a root."""
        reader = Reader()
        reader.read(line(block("0"), block("0b"), id="0"))
        for turn in range(1, 200):
            name, before = str(turn), str(turn - 1)
            reader.read(line(block(name), block(name + "b"), id=name, extends=before))
        assert len(reader.tree) == 1 + 400

    @pytest.mark.parametrize(
        "change",
        [{"model": "claude-opus-5"}, {"speed": "fast"}, {"blocks": [block("i", kind="image")]}],
    )
    def test_extending_under_another_key_shares_less(self, change: dict[str, Any]) -> None:
        """A model, a speed or a first image of its own puts the same blocks elsewhere."""
        reader = Reader()
        first = reader.read(line(block("t", "tools"), block("a"), id="1"))
        other = reader.read(line(extends="1") | change)
        shared = set(reader.blocks(first)) & set(reader.blocks(other))
        assert len(shared) == (0 if "model" in change else 1)
        assert len(reader.blocks(other)) in (2, 3)

    @pytest.mark.parametrize("other", ["b", None])
    def test_marks_are_not_inherited(self, other: str | None) -> None:
        """The marks of the extended line are its own."""
        reader = Reader()
        reader.read(line(block("a"), id="1", marks=[{"block": 0}]))
        blocks = [block(other)] if other else []
        assert reader.read(line(*blocks, extends="1")).marks == ()


class TestMarks:
    """``marks`` and ``automatic``."""

    def test_an_index_counts_the_whole_prompt(self) -> None:
        """A mark may stand on any block, told here or earlier; its default is five minutes."""
        reader = Reader()
        reader.read(line(block("t", "tools"), block("s", "system"), block("a"), id="1"))
        marks = [{"block": 3, "ttl": "5m"}, {"block": 0, "ttl": "1h"}, {"block": 1}]
        sent = reader.read(line(block("b"), extends="1", speed="fast", marks=marks))
        nodes = reader.blocks(sent)
        assert list(sent.marks) == [
            (nodes[0], Lifetime.ONE_HOUR),
            (nodes[1], Lifetime.FIVE_MINUTES),
            (nodes[3], Lifetime.FIVE_MINUTES),
        ]

    @pytest.mark.parametrize(
        "last", [{"kind": "thinking"}, {"kind": "fallback"}, {"unmarkable": True}]
    )
    def test_the_automatic_mark_passes_what_takes_none(self, last: dict[str, Any]) -> None:
        """Kinds that refuse a mark, and blocks said to, leave it to the one before."""
        reader = Reader()
        sent = reader.read(line(block("a"), block("b", **last), automatic="1h"))
        assert list(sent.marks) == [(reader.blocks(sent)[0], Lifetime.ONE_HOUR)]

    def test_a_tool_takes_a_mark_whatever_its_name(self) -> None:
        """Kinds of content say nothing of tools."""
        reader = Reader()
        sent = reader.read(line(block("a", "tools", kind="thinking"), automatic="5m"))
        assert len(sent.marks) == 1

    def test_five_are_one_too_many(self) -> None:
        """The service's words for four marks and an automatic one are kept with the call."""
        blocks = [block(name) for name in "abcde"]
        marks = [{"block": at} for at in range(4)]
        sent = Reader().read(line(*blocks, marks=marks, automatic="5m"))
        assert "maximum of 4" in str(sent.refused)

    def test_ten_thousand_marks_are_read(self) -> None:
        """Too many marks are the service's to refuse, and take no time to read."""
        blocks = [block(str(at)) for at in range(10_000)]
        sent = Reader().read(line(*blocks, marks=[{"block": at} for at in range(9_999)]))
        assert len(sent.marks) == 9_999


class TestIdentity:
    """Shared names are shared blocks."""

    @pytest.mark.parametrize(
        "change", [{"digest": "b"}, {"tokens": 11}, {"level": "system"}, {"kind": "x"}]
    )
    def test_each_member_takes_part(self, change: dict[str, Any]) -> None:
        """Another name, length, level or kind is another block."""
        reader = Reader()
        one, other = (reader.read(line(block("a") | more)) for more in ({}, change))
        assert one.tip != other.tip

    def test_what_is_left_out_is_the_default(self) -> None:
        """A block without a kind is text; unknown members are ignored."""
        reader = Reader()
        tips = {
            reader.read(line(block("a", **more))).tip
            for more in ({}, {"kind": "text"}, {"note": "x"}, {"unmarkable": False})
        }
        assert len(tips) == 1

    def test_what_stands_outside_is_kept(self) -> None:
        """The tariff, and the tokens after the last block, come from the line."""
        sent = Reader().read(
            line(block("a"), speed="fast", inference_geo="us", closing_tokens=7), platform="aws"
        )
        assert sent.tariff == ("claude-opus-5-5", "aws", "messages", "fast", "us")
        assert sent.closing == 7

    def test_another_model_stands_in(self) -> None:
        """The envelope's model replaces the line's."""
        sent = Reader().read(line(block("a")), model="claude-opus-5")
        assert sent.tariff.model == "claude-opus-5"

    def test_speed_breaks_what_it_breaks_in_a_body(self) -> None:
        """The gates of a line are those of a body with the same parameters."""
        reader = Reader()
        tree = reader.tree
        fast = reader.read(
            line(block("t", "tools"), block("s", "system"), block("a"), speed="fast")
        )
        gates = [
            tree.level[tree.block[node]]
            for node in tree.path(fast.tip)
            if tree.kind[tree.block[node]] == SETTINGS
        ]
        assert gates == [Level.SYSTEM]


class TestFaults:
    """A line that cannot be read says where."""

    @pytest.mark.parametrize(
        ("bad", "what"),
        [
            (
                {"extends": "nobody"},
                'extends: "nobody" is not the id of an earlier line',
            ),
            ({"id": "me", "extends": "me"}, 'extends: "me" is not the id of an earlier line'),
            ({"extends": 7}, "extends: this is not text"),
            ({"model": None}, "model: missing; the digest form names its model"),
            ({"blocks": {}}, "blocks: expected array, got object"),
            ({"blocks": [{"digest": "a"}]}, "blocks[0]: object missing required field tokens"),
            ({"blocks": [block("a", tokens=-1)]}, "blocks[0].tokens: -1 is not a number of tokens"),
            ({"blocks": [block("a", tokens=1.5)]}, "blocks[0].tokens: expected int, got float"),
            ({"blocks": [block("a", tokens=True)]}, "blocks[0].tokens: expected int, got bool"),
            (
                {"blocks": [block("a", tokens=10**30)]},
                "blocks[0].tokens: 1000000000000000000000000000000 is not a number of tokens",
            ),
            ({"blocks": [block("a", "x")]}, "blocks[0].level: invalid enum value 'x'"),
            (
                {"blocks": [block("a"), block("t", "tools")]},
                "blocks[1].level: tools after messages; levels go tools, system, messages",
            ),
            ({"marks": [{"block": 1}]}, "marks[0].block: 1 is not one of the prompt's 1 blocks"),
            ({"marks": [{"block": -1}]}, "marks[0].block: -1 is not one of the prompt's 1 blocks"),
            ({"marks": [{"block": 0}, {"block": 0}]}, "marks[1].block: 0 is marked twice"),
            ({"marks": [{"block": 0, "ttl": "2h"}]}, "marks[0].ttl: invalid enum value '2h'"),
            ({"automatic": "2h"}, 'automatic: "2h" is not 5m or 1h'),
            ({"automatic": True}, "automatic: this is not text"),
            ({"closing_tokens": -1}, "closing_tokens: this is not a number of tokens"),
        ],
    )
    def test_a_fault_has_its_path(self, bad: dict[str, Any], what: str) -> None:
        """The path leads from the outside of the line to what is wrong."""
        with pytest.raises(InputError) as caught:
            Reader().read(line(block("a")) | bad)
        assert str(caught.value) == what

    @pytest.mark.parametrize("key", ["digest", "tokens", "level", "kind", r"k\u0069nd"])
    def test_a_repeated_key_is_refused(self, key: str) -> None:
        """A member that one block gives twice is found even if another gives it not at all."""
        plain = {"digest": '"a"', "tokens": "1", "level": '"tools"', "kind": '"x"'}
        named = key.replace(r"\u0069", "i")
        twice = ",".join(f'"{name}":{part}' for name, part in plain.items())
        once = '{"digest":"b","tokens":1,"level":"tools"}'
        raw = f'{{"model":"m","blocks":[{{{twice},"{key}":{plain[named]}}},{once}]}}'
        with pytest.raises(InputError, match=rf"^blocks\[0\]\.{named}: this key stands twice"):
            Reader().read(raw.encode())

    def test_a_repeated_key_of_a_mark_is_refused(self) -> None:
        """So is one in a mark."""
        raw = json.dumps(line(block("a")))[:-1] + ', "marks": [{"block": 0, "block": 0}]}'
        with pytest.raises(InputError, match=r"^marks\[0\]\.block: this key stands twice"):
            Reader().read(raw.encode())

    def test_a_line_that_fails_can_be_extended_by_nobody(self) -> None:
        """Nothing is remembered of a line that is not taken in."""
        reader = Reader()
        for bad in ({"automatic": "2h"}, {"closing_tokens": -1}, {"inference_geo": 7}):
            with pytest.raises(InputError):
                reader.read(line(block("a"), id="1", **bad))
        with pytest.raises(InputError, match="not the id of an earlier line"):
            reader.read(line(extends="1"))
