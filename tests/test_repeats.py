"""A body that goes on from an earlier one is read as if it were read whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan import bodies, repeats
from cacheplan.assumptions import Assumptions
from cacheplan.envelopes import Envelope, Sent
from cacheplan.errors import InputError
from cacheplan.facts import Model
from cacheplan.prefixes import PrefixTree
from cacheplan.prompt import Block
from cacheplan.strict_json import array, members
from cacheplan.tokens import Count

MARK = {"cache_control": {"type": "ephemeral"}}
IMAGE = {"type": "base64", "media_type": "image/png", "data": "aGk="}

#: Blocks that a body is read by, one of each sort.
BLOCKS: Sequence[dict[str, Any]] = (
    {"type": "text", "text": "hm"},
    {"type": "text", "text": 'ä, {"messages": [\\'},
    {"type": "text", "text": "hm", **MARK},
    {"type": "thinking", "thinking": "so", "signature": "c2ln"},
    {"type": "tool_use", "id": "t", "name": "look", "input": {"b": 1, "a": 2}},
    {"type": "tool_result", "tool_use_id": "t", "content": "found"},
    {"type": "image", "source": IMAGE},
    {"type": "compaction", "content": "all of it"},
    {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
    {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
)
MODELS = ("claude-opus-4-8", "claude-haiku-4-5", "nobody-knows")


class Size:
    """A counter by length."""

    name = "size"

    def count(self, blocks: Sequence[Block], model: Model | None) -> list[Count]:
        """Count characters."""
        del model
        return [Count(len(str(block.body))) for block in blocks]


class Whole(repeats.Repeats):
    """Never finds anything, so that every body is read whole."""

    def find(self, raw: bytes) -> None:
        """Find nothing."""
        del raw


class Reader:
    """Reads bodies one after the other into a tree of its own."""

    def __init__(self, known: repeats.Repeats | None = None) -> None:
        self.tree = PrefixTree()
        self.bodies = bodies.Bodies(self.tree, Size(), Assumptions())
        if known is not None:
            self.bodies._repeats = known

    def read(self, raw: bytes, number: int) -> Any:
        """Return everything that a body says, by keys rather than numbers; or its error."""
        try:
            sent = self.bodies.read(raw, Envelope(), number)
        except InputError as error:
            return str(error)
        return sent and self._said(sent)

    def _said(self, sent: Sent) -> Any:
        marks = [(self.tree.key(node), lifetime) for node, lifetime in sent.marks]
        return self.tree.key(sent.tip), marks, sent._replace(tip=0, marks=())


@st.composite
def messages(draw: st.DrawFn, sorts: Sequence[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """Draw messages of a few sorts of blocks."""
    content = st.lists(st.sampled_from(sorts), min_size=1, max_size=2) | st.just("plain")
    roles = st.sampled_from(["user", "assistant"])
    one = st.builds(lambda role, content: {"role": role, "content": content}, roles, content)
    return draw(st.lists(one, min_size=1, max_size=most))


@st.composite
def logs(draw: st.DrawFn) -> list[bytes]:
    """Draw a conversation that grows, forks, loses its last message and sometimes changes
    what stands around its messages.
    """
    sorts = draw(st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=3))
    model, colon = draw(st.sampled_from(MODELS)), draw(st.sampled_from([": ", ":"]))
    body: dict[str, Any] = {"model": model}
    written, said = [], draw(messages(sorts, 3))
    for _ in range(draw(st.integers(2, 6))):
        change = draw(st.sampled_from(["", "", "", "", "model", "system", "tool_choice"]))
        if change:
            values = {"model": MODELS[0], "system": "Be brief.", "tool_choice": {"type": "none"}}
            body[change] = values[change]
        body["messages"] = said
        written.append(json.dumps(body, separators=("," + colon[1:], colon)).encode())
        said = [*said[: max(len(said) - draw(st.integers(0, 1)), 1)], *draw(messages(sorts, 3))]
    return written


@given(logs())
def test_like_whole(log: list[bytes]) -> None:
    """What is read of every body of a log, and the tree that grows, are those of reading
    each whole.
    """
    quick, whole = Reader(), Reader(Whole())
    for number, raw in enumerate(log):
        assert quick.read(raw, number) == whole.read(raw, number)
    assert len(quick.tree) == len(whole.tree)
    answered = [
        {number: [reader.tree.key(node) for node in nodes] for number, nodes in found.items()}
        for reader in (quick, whole)
        for found in (reader.bodies.rounds,)
    ]
    assert answered[0] == answered[1]


@given(logs(), st.data())
def test_like_whole_where_something_is_wrong(log: list[bytes], data: st.DataObject) -> None:
    """A body damaged anywhere is refused with the words, and the path, of reading it whole."""
    quick, whole = Reader(), Reader(Whole())
    for number, raw in enumerate(log):
        place = data.draw(st.integers(0, len(raw)))
        wrong = data.draw(
            st.sampled_from([b",", b"]", b'"messages":[],', b"nul", b'{"role":1},', b" "])
        )
        damaged = raw[:place] + wrong + raw[place:]
        for sent in (raw, damaged):
            assert quick.read(sent, number) == whole.read(sent, number)


def conversation(length: int) -> bytes:
    """Write a conversation of some messages."""
    said = [{"role": "user", "content": f"message number {number}"} for number in range(length)]
    return json.dumps({"model": MODELS[0], "messages": said}).encode()


def remembered(known: repeats.Repeats, raw: bytes, count: int) -> repeats.Beginning | None:
    """Remember the first messages of a body."""
    parts = members(raw)
    return known.remember(raw, parts, array(parts["messages"])[:count], 0)


def test_rest_is_a_body() -> None:
    """Cutting out what is known leaves a body with the messages that follow."""
    known = repeats.Repeats()
    remembered(known, conversation(3), 2)
    longer = conversation(5)
    found = known.find(longer)
    assert found is not None
    assert found.count == 2
    rest = json.loads(found.rest(longer))
    whole = json.loads(longer)
    assert rest == {**whole, "messages": whole["messages"][2:]}


def test_a_change_further_back_is_seen() -> None:
    """A body that is another one far before the known end does not begin with it."""
    known = repeats.Repeats()
    remembered(known, conversation(9), 8)
    assert known.find(conversation(10)) is not None
    assert known.find(conversation(10).replace(b"number 0", b"number X")) is None


def test_repeats_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a conversation that grows, only the first body is read whole."""
    reader = Reader()
    whole: list[bytes] = []
    begin = reader.bodies._begin

    def noted(raw: bytes, envelope: Envelope) -> Any:
        whole.append(raw)
        return begin(raw, envelope)

    monkeypatch.setattr(reader.bodies, "_begin", noted)
    log = [conversation(length) for length in range(2, 9)]
    for number, raw in enumerate(log):
        reader.read(raw, number)
    assert whole == log[:1]


def test_nothing_new_is_read_whole() -> None:
    """A body that ends where the known one does has no rest."""
    known = repeats.Repeats()
    remembered(known, conversation(3), 3)
    assert known.find(conversation(3)) is None
    assert known.find(conversation(4)) is not None


def test_going_on_moves_the_end() -> None:
    """What a longer body adds is known to the next one; the shorter beginning is let go."""
    known = repeats.Repeats()
    first = remembered(known, conversation(3), 2)
    assert first is not None
    longer = conversation(6)
    new = array(members(first.rest(longer))["messages"])
    second = known.go_on(first, longer, new[:-1], 0)
    assert second is not None
    assert second.count == 5
    assert known.find(conversation(7)) is second
    assert known.find(conversation(4)) is None


def test_unusual_spacing_is_not_remembered() -> None:
    """Where writing the parts again does not give the bytes, nothing is proved."""
    raw = json.dumps(json.loads(conversation(3)), indent=1).encode()
    assert remembered(repeats.Repeats(), raw, 2) is None


@pytest.mark.parametrize("live", [repeats._REMEMBERED, repeats._REMEMBERED + 1])
def test_the_oldest_are_forgotten(live: int) -> None:
    """As many conversations as are stated go on at a time."""
    known = repeats.Repeats()
    first = conversation(3)
    remembered(known, first, 2)
    for number in range(live - 1):
        remembered(known, first.replace(b"message n", b"other%d n" % number), 2)
    assert (known.find(first) is not None) == (live <= repeats._REMEMBERED)
