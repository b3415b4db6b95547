"""Bodies as bytes become paths in the tree; each part is read, and counted, once."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from bodies import bodies
from hypothesis import given
from hypothesis import strategies as st
from letters import Letters

from cacheplan import facts, wire
from cacheplan.assumptions import Assumptions
from cacheplan.bodies import Bodies, Envelope, Sent
from cacheplan.canonical import VERBATIM
from cacheplan.errors import InputError
from cacheplan.prefixes import SETTINGS, PrefixTree
from cacheplan.prompt import Level, Lifetime

ASSUME = Assumptions()
MARK = {"type": "ephemeral"}


class Reader:
    """A tree, and what reads bodies into it."""

    def __init__(self, **switches: Any) -> None:
        self.tree = PrefixTree()
        self.counter = Letters()
        self.bodies = Bodies(self.tree, self.counter, Assumptions(**switches))
        self._number = 0

    def read(self, body: Any, **envelope: Any) -> Sent:
        """Read a body, bytes or not, that is no part of a thread."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = self.bodies.read(raw, Envelope(**envelope), self._number)
        self._number += 1
        assert sent is not None
        return sent

    def path(self, sent: Sent) -> list[int]:
        """Return the nodes of a prompt that end with a block."""
        tree = self.tree
        return [n for n in tree.path(sent.tip) if tree.kind[tree.block[n]] != SETTINGS]

    def digests(self, sent: Sent) -> list[bytes]:
        """Return the digests of a prompt's blocks, in order."""
        return [self.tree.digest[self.tree.block[node]] for node in self.path(sent)]


def spoken(body: dict[str, Any]) -> list[wire.Piece]:
    """Return the pieces of a body that its model is shown, thinking of old turns left out.

    Written from the documentation, without looking at the reader: models before Opus 4.5
    and Sonnet 4.6, and the Haikus, lose the thinking before the newest message that is
    more than tool results.
    """
    parsed = wire.parse(body, ASSUME)
    found = facts.find(parsed.model)
    if found is None or facts.keeps_thinking(found.model, ASSUME):
        return parsed.pieces
    asked = 0
    for index, message in enumerate(body["messages"]):
        content = message["content"]
        results = isinstance(content, list) and all(b["type"] == "tool_result" for b in content)
        if message["role"] == "user" and not results:
            asked = index
    return [
        piece
        for piece in parsed.pieces
        if not (
            piece.place.level is Level.MESSAGES
            and piece.place.index < asked
            and piece.block.kind in ("thinking", "redacted_thinking")
        )
    ]


class TestAgainstWire:
    """``Equal bytes are equal content``: the quick way and the slow way agree."""

    @given(bodies(marked=True))
    def test_blocks_and_breakpoints_are_those_of_the_whole_body(self, body: dict[str, Any]) -> None:
        """A body read from bytes has the blocks, the order and the marks that ``wire`` finds."""
        reader = Reader()
        sent = reader.read(body)
        pieces = spoken(body)
        assert reader.digests(sent) == [piece.block.digest for piece in pieces]
        path = reader.path(sent)
        marked = [(path[at], piece.mark) for at, piece in enumerate(pieces) if piece.mark]
        free = [path[at] for at, piece in enumerate(pieces) if not piece.block.refuses]
        automatic = wire.parse(body, ASSUME).automatic
        assert sent.automatic is automatic
        if automatic and sent.refused is None and free and free[-1] not in dict(marked):
            marked = sorted([*marked, (free[-1], automatic)])
        assert [tuple(mark) for mark in sent.marks] == marked

    @given(st.lists(bodies(marked=True), max_size=4))
    def test_what_was_read_before_changes_nothing(self, drawn: list[dict[str, Any]]) -> None:
        """A body has the same prefix keys in a tree of its own and after many others."""
        together = Reader()
        for body in drawn:
            alone = Reader()
            assert together.tree.key(together.read(body).tip) == alone.tree.key(
                alone.read(body).tip
            )
        together.bodies.count()
        together.tree.measure()
        together.tree.check()

    @given(bodies(marked=True))
    def test_settings_are_those_of_the_whole_body(self, body: dict[str, Any]) -> None:
        """What is set at each level is in the path where the level begins."""
        reader = Reader()
        tree, parsed = reader.tree, wire.parse(body, ASSUME)
        path = tree.path(reader.read(body).tip)
        gates = {
            tree.level[tree.block[n]]: tree.digest[tree.block[n]][:-1]
            for n in path
            if tree.kind[tree.block[n]] == SETTINGS
        }
        assert [gates.get(level, b"") for level in Level] == list(parsed.settings)
        for before, after in pairwise(path):
            if tree.kind[tree.block[after]] == SETTINGS:
                assert tree.level[tree.block[before]] < tree.level[tree.block[after]]


def shuffled(value: Any, draw: st.DrawFn, known: bool = True) -> Any:
    """Return the same typed value with the keys of its objects in another order."""
    if isinstance(value, list):
        return [shuffled(item, draw, known) for item in value]
    if not isinstance(value, dict):
        return value
    opaque = value.get("type") == "not_yet_known"
    return {
        key: value[key] if key in VERBATIM or opaque else shuffled(value[key], draw)
        for key in draw(st.permutations(sorted(value)))
    }


@st.composite
def respelled(draw: st.DrawFn) -> tuple[dict[str, Any], bytes]:
    """Draw a body, and other bytes that say the same."""
    body = draw(bodies(marked=True))
    other = shuffled(body, draw)
    text = json.dumps(
        other,
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 0, 1, "\t"])),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,", " : ")])),
    )
    return body, text.encode()


class TestSpelling:
    """How a body is written takes no part; what it says does."""

    @given(respelled())
    def test_blanks_and_order_of_typed_keys_take_no_part(
        self, drawn: tuple[dict[str, Any], bytes]
    ) -> None:
        """The same body with other whitespace, escapes and order of keys is the same node."""
        body, raw = drawn
        reader = Reader()
        one, other = reader.read(body), reader.read(raw)
        assert one == other

    @pytest.mark.parametrize("key", ["input", "input_schema"])
    def test_order_inside_a_tool_takes_part(self, key: str) -> None:
        """Arguments and schemas are rendered as written, so their order is content."""
        reader = Reader()
        tips = set()
        for own in ({"a": 1, "b": 2}, {"b": 2, "a": 1}):
            body = talk()
            holder = (
                body["tools"][0] if key == "input_schema" else body["messages"][1]["content"][0]
            )
            holder[key] = own
            tips.add(reader.read(body).tip)
        assert len(tips) == 2

    @pytest.mark.parametrize(("form", "shares"), [("same", True), ("differs", False)])
    def test_a_string_shares_with_its_list(self, form: str, shares: bool) -> None:
        """A conversation written with strings is the one written with text blocks, by default."""
        turns = [("user", "Hi"), ("assistant", "Hello"), ("user", "Bye")]
        strings: dict[str, Any] = {"model": "m", "system": "Be brief."}
        lists: dict[str, Any] = {"model": "m", "system": [text("Be brief.")]}
        strings["messages"] = [{"role": role, "content": said} for role, said in turns]
        lists["messages"] = [{"role": role, "content": [text(said)]} for role, said in turns]
        reader = Reader(string_form=form)
        assert (reader.read(strings).tip == reader.read(lists).tip) is shares

    def test_cuts_between_messages_take_no_part(self) -> None:
        """Two messages of one role in a row are the one that holds both their blocks."""
        reader = Reader()
        parts = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
        whole = [{"role": "user", "content": [text("a"), text("b")]}]
        tips = {reader.read({"model": "m", "messages": said}).tip for said in (parts, whole)}
        assert len(tips) == 1


def text(said: str, **more: Any) -> dict[str, Any]:
    """Make a text block."""
    return {"type": "text", "text": said, **more}


def talk(**more: Any) -> dict[str, Any]:
    """Make a body with something at every level."""
    return {
        "model": "claude-opus-5-5",
        "max_tokens": 100,
        "tools": [{"name": "t", "description": "d", "input_schema": {"type": "object"}}],
        "system": "You help.",
        "messages": [
            {"role": "user", "content": [text("Which?")]},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "u", "name": "t", "input": {"a": 1}}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "u", "content": "x"}],
            },
        ],
        **more,
    }


IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
LATER = {"name": "late", "input_schema": {}, "defer_loading": True}
SEARCH = {"type": "web_search_20260318", "name": "web_search"}
CITED = {
    "type": "document",
    "source": {"type": "text", "media_type": "text/plain", "data": "words"},
    "citations": {"enabled": True},
}
TOOL = talk()["tools"][0]


def asked(*blocks: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the conversation with one more message behind it."""
    return [*talk()["messages"], {"role": "user", "content": [text("And?"), *blocks]}]


def survives(before: dict[str, Any], after: dict[str, Any], **switches: Any) -> str:
    """Name the levels that two bodies share to their end; messages by the first of them."""
    reader = Reader(**switches)
    tree = reader.tree
    one, other = reader.read(before), reader.read(after)
    ends = []
    for sent in (one, other):
        first = next(n for n in reader.path(sent) if tree.level[tree.block[n]] is Level.MESSAGES)
        ends.append((tree.tools_end[sent.tip], tree.system_end[sent.tip], first))
    same = [a == b for a, b in zip(*ends, strict=True)]
    return " ".join(str(level) for level in Level if same[level])


ALL, HEAD = "tools system messages", "tools system"


class TestLevels:
    """The table of what invalidates which level (prompt-caching page, 2026-09-26)."""

    @pytest.mark.parametrize(
        ("change", "left"),
        [
            ({"model": "claude-opus-5"}, ""),
            ({"model": "a-model-nobody-knows"}, ""),
            ({"tools": [TOOL | {"description": "other"}]}, ""),
            ({"tools": [TOOL | {"name": "u"}]}, ""),
            ({"tools": [TOOL | {"input_schema": {"type": "object", "a": 1}}]}, ""),
            ({"tools": [TOOL | {"name": "u"}, TOOL]}, ""),
            ({"tools": [TOOL, LATER]}, ""),
            ({"mcp_servers": [{"type": "url", "url": "u", "name": "s"}]}, ""),
            ({"tools": [TOOL, SEARCH]}, "tools"),
            ({"system": "You hinder."}, "tools"),
            ({"system": [text("You help."), text("Now.")]}, "tools"),
            ({"messages": asked(CITED)}, "tools"),
            ({"speed": "fast"}, "tools"),
            ({"output_config": {"format": {"type": "json_schema", "schema": {}}}}, "tools"),
            ({"container": {"skills": [{"type": "anthropic", "skill_id": "xlsx"}]}}, "tools"),
            ({"tool_choice": {"type": "any"}}, HEAD),
            ({"tool_choice": {"type": "tool", "name": "t"}}, HEAD),
            ({"tool_choice": {"type": "none"}}, HEAD),
            ({"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}, HEAD),
            ({"messages": asked(IMAGE)}, HEAD),
            ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, HEAD),
            ({"thinking": {"type": "disabled"}}, HEAD),
            ({"output_config": {"effort": "low"}}, HEAD),
            ({"output_config": {"task_budget": {"type": "tokens", "total": 9}}}, HEAD),
            ({"context_management": {"edits": []}}, HEAD),
            ({"messages": asked()}, ALL),
            ({"output_config": {"effort": "medium"}}, ALL),
            ({"speed": "standard"}, ALL),
            ({"tool_choice": {"type": "auto"}}, ALL),
            ({"cache_control": MARK}, ALL),
            ({"tools": [TOOL | {"cache_control": MARK}]}, ALL),
            ({"max_tokens": 7}, ALL),
            ({"temperature": 0.5}, ALL),
            ({"top_p": 0.5, "top_k": 3, "stop_sequences": ["x"]}, ALL),
            ({"stream": True}, ALL),
            ({"metadata": {"user_id": "u"}}, ALL),
            ({"service_tier": "auto"}, ALL),
            ({"inference_geo": "us"}, ALL),
            ({"container": "container_1"}, ALL),
            ({"diagnostics": {"previous_message_id": None}}, ALL),
            ({"betas": ["some-beta-2026-01-01"]}, ALL),
        ],
    )
    def test_a_change_leaves_just_the_levels_it_should(
        self, change: dict[str, Any], left: str
    ) -> None:
        """A body shares with its changed copy the levels the documentation says stay valid."""
        assert survives(talk(), talk(**change)) == left

    @pytest.mark.parametrize("scope", ["tools", "system", "messages"])
    @pytest.mark.parametrize(
        ("switch", "change"),
        [
            ("effort_scope", {"output_config": {"effort": "low"}}),
            ("thinking_scope", {"thinking": {"type": "disabled"}}),
            ("betas_scope", {"betas": ["some-beta-2026-01-01"]}),
        ],
    )
    def test_a_doubtful_change_follows_its_switch(
        self, switch: str, change: dict[str, Any], scope: str
    ) -> None:
        """Where the documentation leaves the level open, the switch says what stays."""
        left = {"tools": "", "system": "tools", "messages": HEAD}[scope]
        assert survives(talk(), talk(**change), **{switch: scope}) == left

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"workspace": "a"}, {"workspace": "b"}),
            ({"platform": "anthropic"}, {"platform": "bedrock"}),
            ({"surface": "messages"}, {"surface": "batch"}),
            ({"model": "claude-opus-5"}, {"model": "claude-opus-5-5"}),
        ],
    )
    def test_calls_apart_share_nothing(self, one: dict[str, str], other: dict[str, str]) -> None:
        """Calls of different workspace, platform, surface or model have no node in common."""
        reader = Reader()
        paths = [set(reader.tree.path(reader.read(talk(), **how).tip)) for how in (one, other)]
        assert not paths[0] & paths[1]

    def test_workspaces_may_share(self) -> None:
        """Where entries belong to the organization, its workspaces meet."""
        reader = Reader(isolation="organization")
        assert reader.read(talk(), workspace="a").tip == reader.read(talk(), workspace="b").tip

    def test_a_snapshot_is_its_model_and_a_region_is_not(self) -> None:
        """A dated id and its alias share; endpoints of two regions do not."""
        reader = Reader()
        assert (
            reader.read(talk(model="claude-sonnet-4-5")).tip
            == reader.read(talk(model="claude-sonnet-4-5-20250929")).tip
        )
        regions = {
            reader.read(talk(), platform="bedrock", model=f"{region}.anthropic.claude-opus-5-5").tip
            for region in ("us", "eu", "global")
        }
        assert len(regions) == 3


THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "s"}


def loop(*, finished: bool) -> list[dict[str, Any]]:
    """Return a tool loop with thinking, and perhaps the next question of the person."""
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Which?"},
        {
            "role": "assistant",
            "content": [THOUGHT, {"type": "tool_use", "id": "u", "name": "t", "input": {}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "u", "content": "x"}]},
    ]
    if finished:
        messages += [
            {"role": "assistant", "content": [THOUGHT, text("That.")]},
            {"role": "user", "content": "Why?"},
        ]
    return messages


class TestThinking:
    """A new turn of the person removes old thinking on some models (same page)."""

    @pytest.mark.parametrize(
        ("model", "keeps"),
        [
            ("claude-opus-4-1", False),
            ("claude-sonnet-4-5", False),
            ("claude-haiku-4-5", False),
            ("claude-opus-4-5", True),
            ("claude-sonnet-4-6", True),
            ("claude-haiku-5-5", True),
            ("claude-opus-5-5", True),
            ("a-model-nobody-knows", True),
        ],
    )
    def test_old_thinking_is_left_out_by_model(self, model: str, keeps: bool) -> None:
        """In the next turn the earlier thinking is still in the prompt, or it is not."""
        reader = Reader()
        sent = reader.read({"model": model, "messages": loop(finished=True)})
        kinds = [reader.tree.kind[reader.tree.block[node]] for node in reader.path(sent)]
        assert kinds.count("thinking") == (2 if keeps else 0)

    @pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-opus-5-5"])
    def test_a_tool_loop_keeps_its_thinking(self, model: str) -> None:
        """Tool results are no turn of the person, so a loop only grows."""
        reader = Reader()
        one = reader.read({"model": model, "messages": loop(finished=False)[:1]})
        other = reader.read({"model": model, "messages": loop(finished=False)})
        assert reader.path(other)[:1] == reader.path(one)
        assert "thinking" in [reader.tree.kind[reader.tree.block[n]] for n in reader.path(other)]

    def test_a_switch_decides_about_the_model_in_doubt(self) -> None:
        """Whether Haiku 5.5 keeps its thinking is an assumption."""
        reader = Reader(haiku_5_5_thinking="stripped")
        sent = reader.read({"model": "claude-haiku-5-5", "messages": loop(finished=True)})
        assert "thinking" not in [reader.tree.kind[reader.tree.block[n]] for n in reader.path(sent)]

    def test_old_thinking_goes_from_messages_that_change_each_other(self) -> None:
        """A compaction in the conversation does not keep old thinking in the prompt."""
        reader = Reader()
        compacted = {"role": "assistant", "content": [{"type": "compaction", "content": "So far."}]}
        messages = [compacted, *loop(finished=True)]
        sent = reader.read({"model": "claude-sonnet-4-5", "messages": messages})
        kinds = [reader.tree.kind[reader.tree.block[node]] for node in reader.path(sent)]
        assert kinds == ["compaction", "text", "tool_use", "tool_result", "text", "text"]


class TestMarks:
    """Where breakpoints fall."""

    def test_the_automatic_mark_falls_on_the_last_block_that_takes_one(self) -> None:
        """A top-level mark passes over thinking at the end."""
        reader = Reader()
        answer = {"role": "assistant", "content": [text("a"), THOUGHT]}
        body = {"model": "m", "messages": [{"role": "user", "content": "q"}, answer]}
        sent = reader.read(body | {"cache_control": {**MARK, "ttl": "1h"}})
        assert [tuple(mark) for mark in sent.marks] == [(reader.path(sent)[1], Lifetime.ONE_HOUR)]
        assert sent.automatic is Lifetime.ONE_HOUR

    def test_a_fifth_mark_is_refused_as_the_service_does(self) -> None:
        """Four marks and the automatic one are one too many; the call says so itself."""
        blocks = [text(name, cache_control=MARK) for name in "abcd"]
        body = {"model": "m", "messages": [{"role": "user", "content": blocks}]}
        sent = Reader().read(body | {"cache_control": MARK})
        assert sent.refused == (
            "A maximum of 4 blocks with cache_control may be provided. Found 5."
        )

    def test_lifetimes_that_disagree_are_refused(self) -> None:
        """The automatic mark on a block that is marked for another lifetime is an error."""
        body = {
            "model": "m",
            "messages": [{"role": "user", "content": [text("a", cache_control=MARK)]}],
        }
        sent = Reader().read(body | {"cache_control": {**MARK, "ttl": "1h"}})
        assert "must have matching TTLs" in str(sent.refused)
        agreed = Reader().read(body | {"cache_control": MARK})
        assert (agreed.refused, len(agreed.marks)) == (None, 1)

    def test_a_mark_moves_no_node(self) -> None:
        """The conversation marked anew each turn stays one path."""
        reader = Reader()
        plain = reader.read(talk())
        marked = copy.deepcopy(talk())
        marked["messages"][2]["content"][0]["cache_control"] = MARK
        assert reader.read(marked).tip == plain.tip


SEARCHED = [
    {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
    {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
]


ASK: dict[str, Any] = {"role": "user", "content": "Search."}


class TestRounds:
    """Server tools answer while a call is served; only the next body shows it."""

    def bodies(self) -> list[dict[str, Any]]:
        """Return a call and the one after it, which repeats what happened meanwhile."""
        answer = {"role": "assistant", "content": [*SEARCHED, text("Found.")]}
        after = [ASK, answer, {"role": "user", "content": "More."}]
        return [{"model": "m", "messages": [ASK]}, {"model": "m", "messages": after}]

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_answers_are_noted_with_the_call_they_served(self, order: tuple[int, int]) -> None:
        """The earlier call has the prefixes of the answers, whichever line comes first."""
        reader = Reader()
        drawn = self.bodies()
        sent = {at: reader.read(drawn[at]) for at in order}
        answered = reader.path(sent[1])[2]
        assert reader.bodies.rounds == {order.index(0): (answered,)}
        assert reader.tree.kind[reader.tree.block[answered]] == "web_search_tool_result"

    def test_answers_to_code_are_noted_too(self) -> None:
        """Tools called by code change what is rendered around them, and not who answered."""
        reader = Reader()
        ran = {
            "type": "code_execution_tool_result",
            "tool_use_id": "s",
            "content": {"type": "code_execution_result", "content": []},
        }
        called = {
            "type": "tool_use",
            "id": "c",
            "name": "t",
            "input": {},
            "caller": {"type": "code_execution_20260120", "tool_id": "s"},
        }
        answer = {"role": "assistant", "content": [called, ran, text("Done.")]}
        first = reader.read({"model": "m", "messages": [ASK]})
        later = reader.read({"model": "m", "messages": [ASK, answer]})
        assert reader.path(later)[0] == reader.path(first)[-1]
        assert reader.bodies.rounds == {0: (reader.path(later)[1],)}

    def test_a_body_that_fails_leaves_no_call_behind(self) -> None:
        """What a bad body's number would have been is the next good one's."""
        reader = Reader()
        first, second = self.bodies()
        with pytest.raises(InputError, match="ttl"):
            reader.bodies.read(
                json.dumps(first | {"cache_control": {**MARK, "ttl": "2h"}}).encode(), Envelope(), 0
            )
        reader.read(second)
        assert reader.bodies.rounds == {}


def watched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by an index whenever a message is taken apart."""
    decoded: list[int] = []

    def read(message: Any, index: int, assume: Assumptions) -> list[wire.Piece]:
        decoded.append(index)
        return wire.message_pieces(message, index, assume)

    monkeypatch.setattr("cacheplan.bodies.message_pieces", read)
    return decoded


class TestEconomy:
    """``only one never seen is decoded, put in canonical form and counted``."""

    @given(st.lists(bodies(), max_size=3))
    def test_each_block_is_counted_once_a_tokenizer(self, drawn: list[dict[str, Any]]) -> None:
        """However often a block is sent, the counter sees it once for each tokenizer."""
        reader = Reader()
        for body in drawn * 2:
            reader.read(body)
        reader.bodies.count()
        cleared = any(m.get("clear_at") for body in drawn for m in body["messages"])
        seen = [
            (digest, (found := facts.find(model)) is not None and found.model.generation == "old")
            for digest, model in reader.counter.asked
        ]
        assert cleared or len(seen) == len(set(seen))

    def test_a_message_is_decoded_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A conversation of many turns decodes each message when it first appears."""
        decoded = watched(monkeypatch)
        reader = Reader()
        for body in conversation(30):
            reader.read(body)
        assert len(decoded) == 59

    def test_messages_that_change_each_other_are_decoded_twice_at_most(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not even a compaction makes every turn decode the conversation again."""
        decoded = watched(monkeypatch)
        reader = Reader()
        compacted = {"role": "assistant", "content": [{"type": "compaction", "content": "So far."}]}
        for body in conversation(30):
            reader.read(body | {"messages": [compacted, *body["messages"]]})
        assert len(decoded) == 2 * 60

    def test_a_log_of_a_conversation_makes_a_node_a_block(self) -> None:
        """Two hundred turns, each logged with all before it, are four hundred nodes."""
        reader = Reader()
        for body in conversation(200):
            reader.read(body)
        gates = sum(reader.tree.kind[b] == SETTINGS for b in reader.tree.block if b >= 0)
        assert len(reader.tree) == 1 + 1 + 399 + gates
        assert gates <= 3

    def test_what_decides_nothing_is_not_kept(self) -> None:
        """A member that is another on every call costs no memory and no error."""
        reader = Reader()
        for number in range(3):
            reader.read(talk(metadata={"user_id": str(number)}, max_tokens=number, more=[number]))
        assert not any(
            key in (b"metadata", b"max_tokens", b"more") for key, _ in reader.bodies._heads._outer
        )


def conversation(turns: int) -> Iterator[dict[str, Any]]:
    """Yield the bodies of a conversation, each with all that was said before it."""
    messages: list[dict[str, Any]] = []
    for turn in range(turns):
        messages.append({"role": "user", "content": f"question {turn}"})
        yield {"model": "claude-opus-5-5", "system": "You help.", "messages": list(messages)}
        messages.append({"role": "assistant", "content": [text(f"answer {turn}")]})


class TestFaults:
    """A body that cannot be read says where."""

    @pytest.mark.parametrize(
        ("body", "what"),
        [
            (b"[]", "expected an object, found a list"),
            (b'{"messages": []}', "model: missing"),
            (b'{"model": 7, "messages": []}', "model: this is not text"),
            (b'{"model": "m"}', "messages: missing; a body has messages"),
            (b'{"model": "m", "messages": {}}', "messages: expected a list, found an object"),
            (
                b'{"model": "m", "messages": [{"role": "user", "content": "\\ud83d"}]}',
                "messages[0].content: half a surrogate pair is not text",
            ),
            (
                b'{"model": "m", "messages": [], "system": [{"type": "text", "text": NaN}]}',
                "system[0].text: NaN is not a number JSON knows",
            ),
            (
                b'{"model": "m", "messages": [], "tools": [{"name": "a", "name": "b"}]}',
                "tools[0].name: this key stands twice in one object",
            ),
            (
                b'{"model": "m", "messages": [], "thinking": {"a": 1, "a": 2}}',
                "thinking.a: this key stands twice in one object",
            ),
            (
                b'{"model": "m", "messages": [], "cache_control": {"type": "x"}}',
                'cache_control.type: "x" is not ephemeral',
            ),
            (
                (
                    b'{"model": "m", "messages": [], "system": [{"type": "text", "text": "a",'
                    b' "cache_control": {"type": "ephemeral", "ttl": "2h"}}]}'
                ),
                'system[0].cache_control.ttl: "2h" is not 5m or 1h',
            ),
            (
                b'{"model": "m", "messages": [{"role": "robot", "content": "a"}]}',
                'messages[0].role: "robot" is not user, assistant or system',
            ),
            (b'{"model": "m", "messages": [7]}', "messages[0]: int is not an object"),
        ],
    )
    def test_a_fault_has_its_path(self, body: bytes, what: str) -> None:
        """The path leads from the outside of the body to what is wrong."""
        with pytest.raises(InputError) as caught:
            Reader().read(body)
        assert str(caught.value) == what

    def test_no_block_inside_a_block(self) -> None:
        """A tool's result that holds a list where a block stands keeps its mark, and is read."""
        result = {"type": "tool_result", "tool_use_id": "a", "content": [[]], "cache_control": MARK}
        body = {"model": "m", "messages": [{"role": "user", "content": [result]}]}
        sent = Reader().read(json.dumps(body, separators=(",", ":")).encode())
        assert len(sent.marks) == 1

    def test_half_a_prompt_is_left_out(self) -> None:
        """A body that continues a thread does not hold its prompt; a switch keeps it."""
        body = json.dumps(talk(thread={"type": "continue", "id": "t"})).encode()
        assert Reader().bodies.read(body, Envelope(), 0) is None
        assert Reader(partial_bodies="keep").read(body).tip > 0


def test_another_model_stands_in() -> None:
    """The envelope's model replaces the body's, its tokenizer and its price included."""
    reader = Reader()
    sent = reader.read(talk(model="claude-sonnet-4-5"), model="claude-opus-5-5")
    assert sent.tip == reader.read(talk()).tip
    assert sent.tariff.model == "claude-opus-5-5"
    nameless = {key: part for key, part in talk().items() if key != "model"}
    assert reader.read(nameless, model="claude-opus-5-5").tip == sent.tip


def test_what_decides_the_price_is_kept() -> None:
    """Model as sent, platform, surface, speed and geography make the tariff."""
    sent = Reader().read(talk(speed="fast", inference_geo="us"), surface="batch")
    assert sent.tariff == ("claude-opus-5-5", "anthropic", "batch", "fast", "us")


def test_when_a_body_is_sent_does_not_matter() -> None:
    """The same body at three times is one prefix: rules may be dated, identity is not."""
    reader = Reader()
    assert len({reader.read(talk(), at=moment).tip for moment in (None, 0.0, 1.8e9)}) == 1
