"""A body that goes on from an earlier one is read as if it were read whole."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_128_intdigest

from cacheplan import bodies, repeats
from cacheplan.assumptions import Assumptions
from cacheplan.envelopes import Envelope, Sent
from cacheplan.errors import InputError
from cacheplan.facts import Model
from cacheplan.heads import Around
from cacheplan.parts import Part
from cacheplan.prefixes import PrefixTree
from cacheplan.prompt import Block
from cacheplan.records import Intake
from cacheplan.strict_json import array, members
from cacheplan.tokens import Count
from cacheplan.workload import Workload

MARK = {"cache_control": {"type": "ephemeral"}}
IMAGE = {"type": "base64", "media_type": "image/png", "data": "aGk="}

#: Blocks that a body is read by, one of each sort.
BLOCKS: Sequence[dict[str, Any]] = (
    {"type": "text", "text": "hm"},
    {"type": "text", "text": 'ä, {"messages": [\\'},
    {"type": "text", "text": "hm", **MARK},
    {"type": "thinking", "thinking": "so", "signature": "c2ln"},
    {"type": "tool_use", "id": "t", "name": "look", "input": {"b": 1, "a": 2}},
    {"type": "tool_use", "id": "t", "name": "look", "input": {"a": 1, **MARK}},
    {"type": "tool_result", "tool_use_id": "t", "content": "found"},
    {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "x", **MARK}]},
    {"type": "image", "source": IMAGE},
    {"type": "compaction", "content": "all of it"},
    {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
    {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
)
MODELS = ("claude-opus-4-8", "claude-haiku-4-5", "nobody-knows")
TOOL = {
    "name": "send",
    "description": '], "model": "m"}',
    "input_schema": {"type": "object", "properties": {"messages": {"type": "array", "items": []}}},
}
#: Members that stand around the messages.
AROUND: Mapping[str, Any] = {
    "model": MODELS[0],
    "system": [{"type": "text", "text": "Be brief.", **MARK}],
    "tools": [TOOL],
    "tool_choice": {"type": "none"},
    "max_tokens": 100,
    "metadata": {"request": {"messages": [1]}},
    "thread": {"type": "continue"},
    "cache_control": {"type": "ephemeral"},
}


class Size:
    """A counter by length."""

    name = "size"

    def count(self, blocks: Sequence[Block], model: Model | None) -> list[Count]:
        """Count characters."""
        del model
        return [Count(len(str(block.body))) for block in blocks]


class Whole(repeats.Repeats):
    """Never finds anything, so that every body is read whole."""

    def find(self, raw: bytes, at: int = 0) -> None:
        """Find nothing."""
        del raw, at


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


def content(sorts: Sequence[dict[str, Any]]) -> st.SearchStrategy[Any]:
    """Draw what a message holds, as a list or as a string."""
    return st.lists(st.sampled_from(sorts), min_size=1, max_size=2) | st.just("plain")


@st.composite
def messages(draw: st.DrawFn, sorts: Sequence[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """Draw messages of a few sorts of blocks."""
    roles = st.sampled_from(["user", "assistant"])
    one = st.builds(lambda role, held: {"role": role, "content": held}, roles, content(sorts))
    return draw(st.lists(one, min_size=1, max_size=most))


def marked(said: Sequence[Mapping[str, Any]], at: int) -> list[dict[str, Any]]:
    """Mark the last block of one message, the only mark then, as clients move theirs."""
    bare = [dict(message) for message in said]
    if isinstance(bare[at]["content"], list):
        *blocks, last = bare[at]["content"]
        bare[at]["content"] = [*blocks, {**last, **MARK}]
    return bare


@st.composite
def changed(draw: st.DrawFn, said: list[dict[str, Any]], sorts: Any) -> list[dict[str, Any]]:
    """Draw the next messages of a conversation: longer, shorter, forked, edited, as
    strings or as lists.
    """
    said = list(said[: max(len(said) - draw(st.sampled_from([0, 0, 0, 1, 2, 9])), 1)])
    change = draw(st.sampled_from(["", "", "edit", "flip"]))
    at = draw(st.integers(0, len(said) - 1))
    if change == "edit":
        said[at] = {**said[at], "content": draw(content(sorts))}
    elif change == "flip" and isinstance(said[at]["content"], str):
        said[at] = {**said[at], "content": [{"type": "text", "text": said[at]["content"]}]}
    return said + draw(messages(sorts, 4))


@st.composite
def spelled(draw: st.DrawFn, body: Any, order: Sequence[str], style: tuple[str, str]) -> str:
    """Write a body, most often just as the one before."""
    if draw(st.integers(0, 9)) == 0:
        order = draw(st.permutations(order))
    if draw(st.integers(0, 9)) == 0:
        style = draw(st.sampled_from([(", ", ": "), (",", ":"), (" ,", " : ")]))
    body = {key: body[key] for key in order if key in body}
    return json.dumps(body, separators=style, ensure_ascii=draw(st.booleans()))


@st.composite
def logs(draw: st.DrawFn) -> list[bytes]:
    """Draw one or two conversations that grow, fork, lose messages, have a mark that moves
    and sometimes change what stands around their messages.
    """
    sorts = draw(st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=3))
    style = draw(st.sampled_from([(", ", ": "), (",", ":")]))
    order = draw(st.permutations(["messages", *AROUND]))
    keys = draw(st.sets(st.sampled_from(["system", "tools", "max_tokens", "metadata"])))
    around = {key: AROUND[key] for key in keys} | {"model": draw(st.sampled_from(MODELS))}
    talks = [draw(messages(sorts, 12)) for _ in range(draw(st.integers(1, 2)))]
    moves = draw(st.booleans())
    written = []
    for _ in range(draw(st.integers(2, 8))):
        which = draw(st.integers(0, len(talks) - 1))
        if draw(st.integers(0, 4)) == 0:
            change = draw(st.sampled_from(list(AROUND)))
            around = {**around, change: AROUND[change]}
        if draw(st.integers(0, 9)) == 0:
            around.pop("thread", None)
        said = marked(talks[which], -1) if moves else talks[which]
        written.append(draw(spelled({**around, "messages": said}, order, style)).encode())
        talks[which] = draw(changed(talks[which], sorts))
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
        for sent in (raw, data.draw(damaged(raw))):
            assert quick.read(sent, number) == whole.read(sent, number)


@st.composite
def damaged(draw: st.DrawFn, raw: bytes) -> bytes:
    """Put something in anywhere that does not belong there, or take something away."""
    if draw(st.integers(0, 9)) == 0:
        return raw.replace(b"ephemeral", b"eternal")
    place = draw(st.integers(0, len(raw)) | st.integers(max(len(raw) - 40, 0), len(raw)))
    wrong = draw(
        st.sampled_from(
            [
                b",",
                b"]",
                b"}",
                b"]}",
                b"nul",
                b" ",
                b'"messages":[],',
                b'{"role":1},',
                b'"request":',
            ]
        )
    )
    return raw[:place] + wrong + raw[place + draw(st.integers(0, 3)) :]


def long_log(seed: int) -> Iterator[bytes]:
    """Write a long conversation of few questions, whose last turns are sent anew now and
    then, under other models, with members behind its messages and before them.
    """
    chance = random.Random(seed)
    around = {"model": MODELS[seed % 2], "tools": [TOOL], "max_tokens": 100}
    order = ["messages", *around] if seed % 4 < 2 else [*around, "messages"]
    said: list[dict[str, Any]] = [{"role": "user", "content": "Which?"}]
    for call in range(60):
        if chance.random() < 0.05:
            around["model"] = chance.choice(MODELS)
        if chance.random() < 0.2:
            del said[-2 * chance.randint(1, min(3, (len(said) + 1) // 2)) :]
        held = [{"type": "text", "text": f"{call}"}, BLOCKS[4]]
        said.append({"role": "assistant", "content": [*BLOCKS[3:4], *held][seed // 4 % 2 :]})
        asks = chance.random() < 0.05
        result = {**BLOCKS[6], "content": f"found {call}"}
        said.append({"role": "user", "content": [BLOCKS[8] if asks else result]})
        sent = marked(said, -1) if chance.random() < 0.8 else said
        body = {**around, "messages": sent}
        yield json.dumps({key: body[key] for key in order}).encode()


@pytest.mark.parametrize("seed", range(24))
def test_long_logs_like_whole(seed: int) -> None:
    """So it is after dozens of calls, when most messages have been passed over."""
    quick, whole = Reader(), Reader(Whole())
    for number, raw in enumerate(long_log(seed)):
        assert quick.read(raw, number) == whole.read(raw, number)
    assert len(quick.tree) == len(whole.tree)


@st.composite
def lines(draw: st.DrawFn) -> list[bytes]:
    """Draw the lines of a log, with what may stand around a request."""
    style = draw(st.sampled_from([(", ", ": "), (",", ":")]))
    written = []
    for number, body in enumerate(draw(logs())):
        before = {
            "at": number,
            "label": draw(st.sampled_from(["a", '"request":'])),
            "more": draw(st.sampled_from([0, {"request": {"model": "m", "messages": []}}])),
            '"request': draw(st.sampled_from([None, 1])),
        }
        usage = {"input_tokens": 3, "cache_read_input_tokens": draw(st.integers(0, 99))}
        after = {"response": {"usage": usage, "content": [{"messages": [], "request": 1}]}}
        keys = ["at", *draw(st.lists(st.sampled_from(["label", "more", '"request']), unique=True))]
        head = json.dumps({key: before[key] for key in keys}, separators=style).encode()[:-1]
        blank = draw(st.sampled_from(["", "", " "]))
        key = f'{style[0]}"request"{blank}{style[1]}'.encode()
        tail = b"," + json.dumps(after).encode()[1:] if draw(st.booleans()) else b"}"
        line = head + key + body + tail
        written.append(draw(damaged(line)) if draw(st.integers(0, 9)) == 0 else line)
    return written


def taken_in(log: Sequence[bytes], known: repeats.Repeats | None = None) -> tuple[Any, list[str]]:
    """Return all that a log says when its lines are taken in, and what was wrong with any."""
    intake = Intake(Size(), Assumptions())
    if known is not None:
        intake._bodies._repeats = known
    wrong = []
    for line in log:
        try:
            intake.add(line)
        except InputError as error:
            wrong.append(str(error))
    return said_by(intake.workload()), wrong


def said_by(workload: Workload) -> Any:
    """Return calls and prefixes of a workload, by keys rather than numbers."""
    tree = workload.tree
    keys = [tree.key(node) if above >= 0 else b"" for node, above in enumerate(tree.parent)]
    prefixes = sorted(zip(keys, tree.tokens, tree.doubt, tree.unmarkable, strict=True))
    calls = [
        (
            keys[call.tip],
            [(keys[node], lifetime) for node, lifetime in call.marks],
            [keys[node] for node in call.rounds],
            msgspec.structs.replace(call, tip=0, marks=(), rounds=()),
        )
        for call in workload.calls
    ]
    return prefixes, calls, workload.tokens_from, workload.notes


@given(lines())
def test_lines_like_whole(log: list[bytes]) -> None:
    """A log is the same workload, and has the same faults, whether what its lines repeat is
    cut out or read.
    """
    assert taken_in(log) == taken_in(log, Whole())


def test_a_fault_outside_leaves_nothing_behind() -> None:
    """A body whose top-level mark is none is refused before its new messages are laid."""
    said = {"role": "user", "content": "plain"}
    body = {"messages": [said], "model": "claude-opus-4-8"}
    wrong = {**body, "messages": [said, said], "cache_control": {"type": "eternal"}}
    log = [json.dumps({"at": at, "request": one}).encode() for at, one in enumerate((body, wrong))]
    assert taken_in(log) == taken_in(log, Whole())


def conversation(length: int, around: str = "") -> bytes:
    """Write a conversation of some messages, perhaps with members behind them."""
    said = [{"role": "user", "content": f"message number {number}"} for number in range(length)]
    body = json.dumps({"model": MODELS[0], "messages": said})
    return (body[:-1] + around + "}").encode()


def remembered(known: repeats.Repeats, raw: bytes) -> repeats.Beginning | None:
    """Remember a body."""
    parts = members(raw)
    others = {key: part for key, part in parts.items() if key != "messages"}
    made = known.begin(raw, parts, Around(others, {}, ()), read(array(parts["messages"])))
    return made and made[0]


def read(raws: Sequence[msgspec.Raw]) -> list[repeats.Message]:
    """Say of messages what a reader would, as far as their bytes go."""
    return [
        repeats.Message(len(bytes(raw)), xxh3_128_intdigest(bytes(raw)), Part(())) for raw in raws
    ]


def new_in(found: repeats.Found | None) -> list[Any]:
    """Return the messages that are not repeated."""
    assert found is not None
    return list(json.loads(found.text)["messages"])


@pytest.mark.parametrize("around", ["", ', "stream": true, "system": "Be brief."'])
@pytest.mark.parametrize("length", [1, 3, 30])
def test_rest_is_a_body(length: int, around: str) -> None:
    """Cutting out what is known leaves a body of the messages that follow, and nothing else."""
    known = repeats.Repeats()
    remembered(known, conversation(length, around))
    longer = conversation(length + 2, around)
    found = known.find(longer)
    assert found is not None
    assert found.first == length
    assert json.loads(found.text) == {"messages": json.loads(longer)["messages"][-2:]}
    assert found.fits(members(found.text), len(found.text))


def test_what_changed_behind_is_left() -> None:
    """Members behind the messages that are not the known ones stay in the body."""
    known = repeats.Repeats()
    remembered(known, conversation(3, ', "stream": true'))
    found = known.find(conversation(4, ', "stream": false'))
    assert found is not None
    assert json.loads(found.text)["stream"] is False
    assert len(new_in(found)) == 1


@pytest.mark.parametrize(("changed", "new"), [(1, 13), (7, 6), (9, 4), (11, 2)])
def test_a_change_is_seen(changed: int, new: int) -> None:
    """Of the newest messages those before a change are repeated; further back only the head."""
    known = repeats.Repeats()
    remembered(known, conversation(12))
    longer = conversation(13).replace(b"number %d" % changed, b"number X")
    assert len(new_in(known.find(longer))) == new


def test_a_key_on_both_sides_stands_twice() -> None:
    """What follows the messages may not repeat a key that was cut out before them."""
    reader = Reader()
    assert not isinstance(reader.read(conversation(3), 0), str)
    for number, around in enumerate([', "stream": true', ', "model": "m"'], 1):
        said = reader.read(conversation(4, around), number)
        assert (said == "model: this key stands twice in one object") is (number == 2)


@pytest.mark.parametrize(
    "log",
    [
        [conversation(3, ', "system": "Be brief."'), conversation(4)],
        [conversation(3), conversation(3)[:-2] + b", ]}"],
        [conversation(3), conversation(3)[:-2] + b" ]}", conversation(4)[:-2] + b" ]}"],
        [conversation(3), conversation(4).replace(b", {", b",{"), conversation(5)],
    ],
)
def test_ends_like_whole(log: list[bytes]) -> None:
    """Members that are gone are gone, a comma before the end is none, and blanks are blanks."""
    quick, whole = Reader(), Reader(Whole())
    for number, raw in enumerate(log):
        assert quick.read(raw, number) == whole.read(raw, number)


RESULT = {"type": "tool_result", "tool_use_id": "t", "content": [dict(BLOCKS[0])]}


@pytest.mark.parametrize(
    "message",
    [
        {"content": [BLOCKS[2]]},
        {
            "content": [
                BLOCKS[2],
                {**BLOCKS[0], "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            ]
        },
        {"content": [BLOCKS[3], {**RESULT, **MARK}]},
        {"content": [{**RESULT, "content": [BLOCKS[2]], **MARK}]},
        {"content": [{**RESULT, "content": [{**RESULT, "content": [BLOCKS[2]]}], **MARK}]},
        {"content": [BLOCKS[2], {"type": "fallback", **MARK}]},
        {"content": [BLOCKS[2]], "more": [{"a": 1, **MARK}]},
        {"content": [BLOCKS[5]]},
        {"content": [{**BLOCKS[4], "input": [{"a": 1, **MARK}]}]},
    ],
)
@pytest.mark.parametrize("style", [(", ", ": "), (",", ":")])
def test_a_message_is_known_without_its_mark(
    message: dict[str, Any], style: tuple[str, str]
) -> None:
    """A message whose mark has moved on is what it is to one who never saw the mark."""
    said = [{"role": "user", **message}]
    body = {"model": "claude-haiku-4-5", "messages": said}
    one = json.dumps(body, separators=style).encode()
    ends = [
        f'{style[0]}"cache_control"{style[1]}{json.dumps(control, separators=style)}}}]'
        for control in ({"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"})
    ]
    for end in ends:
        before, found, after = one.rpartition(end.encode())
        if found:
            other = before + b"}]" + after
            reader = Reader()
            reader.read(one, 0)
            assert reader.read(other, 1) == Reader().read(other, 0)


def test_what_stands_behind_may_end_another_list() -> None:
    """Members known from behind the messages do not hide one that came between."""
    quick, whole = Reader(), Reader(Whole())
    tools = f', "tools": [{json.dumps(TOOL)}], "stream": true'
    log = [conversation(3, ', "stream": true'), conversation(4, tools)]
    for number, raw in enumerate(log):
        assert quick.read(raw, number) == whole.read(raw, number)


def test_what_stands_behind_may_stand_in_a_message() -> None:
    """Members known from behind the messages are not cut out of the input of a tool."""
    quick, whole = Reader(), Reader(Whole())
    call = {"type": "tool_use", "id": "t", "name": "n", "input": {"a": [1], "stream": True}}
    said = json.loads(conversation(3))["messages"]
    used = {"model": MODELS[0], "messages": [*said, {"role": "assistant", "content": [call]}]}
    log = [conversation(3, ', "stream": true'), json.dumps(used).encode()]
    for number, raw in enumerate(log):
        assert quick.read(raw, number) == whole.read(raw, number)


def thoughtful(turns: int) -> Iterator[bytes]:
    """Write a conversation about the second question of a person, with thinking and tools."""
    said: list[dict[str, Any]] = [{"role": "user", "content": "Which?"}]
    said += [{"role": "assistant", "content": "That."}, {"role": "user", "content": "Sure?"}]
    for _ in range(turns):
        yield json.dumps({"model": "claude-haiku-4-5", "messages": said}).encode()
        said.append({"role": "assistant", "content": [BLOCKS[3], BLOCKS[4]]})
        said.append({"role": "user", "content": [BLOCKS[6]]})


def resent(calls: int) -> Iterator[bytes]:
    """Write a conversation whose last turn is sent anew each time."""
    for call in range(2, calls):
        body = conversation(call + 2)
        yield body.replace(b"number %d" % call, b"number %d again" % call)
        yield body


@pytest.mark.parametrize(
    "log",
    [[conversation(length) for length in range(2, 30)], list(thoughtful(20)), list(resent(30))],
)
def test_repeats_are_found(log: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a conversation that grows, only the first body is read whole."""
    reader = Reader()
    whole: list[bytes] = []
    begin = reader.bodies._begin

    def noted(raw: bytes, envelope: Envelope) -> Any:
        whole.append(raw)
        return begin(raw, envelope)

    monkeypatch.setattr(reader.bodies, "_begin", noted)
    for number, raw in enumerate(log):
        reader.read(raw, number)
    assert whole == log[:1]


def test_a_head_is_repeated_by_other_conversations() -> None:
    """A conversation that only begins with the same head is read from its messages on."""
    known = repeats.Repeats()
    remembered(known, conversation(12))
    other = conversation(12).replace(b"message n", b"another n")
    found = known.find(other)
    assert found is not None
    assert found.first == 0
    assert len(new_in(found)) == 12


def test_the_same_again_has_its_last_message_new() -> None:
    """A body that is sent again is not repeated to its end: what is left is a body."""
    known = repeats.Repeats()
    remembered(known, conversation(3))
    assert len(new_in(known.find(conversation(3)))) == 1


def test_going_on_moves_the_end() -> None:
    """What a longer body adds is known to the next one; the shorter beginning is let go."""
    known = repeats.Repeats()
    remembered(known, conversation(3))
    for length in (6, 20, 22):
        longer = conversation(length)
        found = known.find(longer)
        assert found is not None
        new = array(members(found.text)["messages"])
        assert known.go_on(found, read(new), found.known.around, len(found.text)) is not None
    assert len(new_in(known.find(conversation(23)))) == 1
    assert len(known._known) == 1


def test_unusual_spacing_is_not_remembered() -> None:
    """Where writing the parts again does not give the bytes, nothing is proved."""
    raw = json.dumps(json.loads(conversation(3)), indent=1).encode()
    assert remembered(repeats.Repeats(), raw) is None


@pytest.mark.parametrize("live", [repeats._REMEMBERED, repeats._REMEMBERED + 1])
def test_the_oldest_are_forgotten(live: int) -> None:
    """As many conversations as are stated go on at a time."""
    known = repeats.Repeats()
    first = conversation(3)
    remembered(known, first)
    for number in range(live - 1):
        remembered(known, first.replace(b"message n", b"other%d n" % number))
    assert len(known._heads) == 1
    found = known.find(first)
    assert found is not None
    assert (found.first > 0) == (live <= repeats._REMEMBERED)


class TestRequests:
    """A body is cut only where it is the request of its line."""

    @pytest.mark.parametrize(
        ("line", "found"),
        [
            (b'{"at":0,"request":%s}', True),
            (b'{"at": 0, "request": %s, "response": {}}', True),
            (b'{ "at" : 0 ,"request": %s}', True),
            (b'{"at":0,"more":{"request":%s}}', False),
            (b'{"at":0,"more":[{"request":%s}]}', False),
            (b'{"at":0,"\\"request":%s}', False),
            (b'{"request":1,"at":0,"request":%s}', False),
            (b'{"label":"\\"request":%s}', False),
            (b'["request":%s]', False),
        ],
    )
    def test_where_it_stands(self, line: bytes, found: bool) -> None:
        """Neither deeper, nor under a key that ends alike, nor inside of text."""
        known = repeats.Repeats()
        remembered(known, conversation(3))
        assert (known.find_request(line % conversation(4)) is not None) is found
