"""Bodies read as objects: the same prefixes as by their bytes, whatever was read before."""

from __future__ import annotations

import copy
from typing import Any

from bodies import bodies
from hypothesis import given
from hypothesis import strategies as st
from small import Characters, message, request, tool

from cacheplan.assumptions import Assumptions
from cacheplan.bodies import Bodies
from cacheplan.canonical import encode
from cacheplan.envelopes import Envelope
from cacheplan.errors import InputError
from cacheplan.marking import places_of
from cacheplan.prefixes import SETTINGS, PrefixTree
from cacheplan.sites import sites
from cacheplan.turns import CONVERSATIONS, Reading, Turns

ASSUME = Assumptions()
HERE = Envelope()


def turns() -> Turns:
    """Return a reader that knows nothing yet."""
    return Turns(PrefixTree(), Characters(), ASSUME)


def by_bytes(body: dict[str, Any]) -> tuple[Any, ...] | str:
    """Read a body by its bytes, alone: the key of its prompt, its marks by key, and more."""
    reader = Bodies(PrefixTree(), Characters(), ASSUME)
    try:
        sent = reader.read(encode(body), HERE, 0)
    except InputError as error:
        return str(error)
    return "partial" if sent is None else told(reader.tree, sent)


def by_objects(reader: Turns, body: dict[str, Any]) -> tuple[Any, ...] | str:
    """Read a body as an object."""
    try:
        reading = reader.take(body, HERE)
    except InputError as error:
        return str(error)
    return "partial" if reading is None else told(reader.tree, reading.sent)


def told(tree: PrefixTree, sent: Any) -> tuple[Any, ...]:
    """Say what was read in words that hold in any tree."""
    marks = [(tree.key(node), lifetime) for node, lifetime in sent.marks]
    return tree.key(sent.tip), marks, sent.tariff, sent.automatic, sent.closing, sent.refused


@st.composite
def talks(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw bodies in a row: grown, shortened, changed within, under other heads, repeated."""
    body = draw(bodies(marked=True))
    row = [body]
    for _ in range(draw(st.integers(0, 4))):
        other = draw(bodies(marked=True))
        body = copy.deepcopy(draw(st.sampled_from(row)))
        how = draw(st.sampled_from(["grow", "cut", "change", "head", "again"]))
        if how == "grow":
            body["messages"] += other["messages"]
        elif how == "cut":
            body["messages"] = body["messages"][: draw(st.integers(0, 3))]
        elif how == "change" and body["messages"] and other["messages"]:
            at = draw(st.integers(0, len(body["messages"]) - 1))
            body["messages"][at] = other["messages"][0]
        elif how == "head":
            body = {**other, "messages": body["messages"]}
        row.append(body)
    return row


@given(row=talks())
def test_what_was_read_before_changes_nothing(row: list[dict[str, Any]]) -> None:
    """Each body is the same prompt with the same marks as if it were read alone, by bytes."""
    reader = turns()
    for body in row:
        assert by_objects(reader, body) == by_bytes(body)


@given(row=talks())
def test_the_callers_objects_may_change_in_place(row: list[dict[str, Any]]) -> None:
    """One object that is changed between two calls is two bodies."""
    reader, mine = turns(), dict[str, Any]()
    for body in row:
        mine.clear()
        mine.update(body)
        assert by_objects(reader, mine) == by_bytes(body)
        for said in mine["messages"]:
            said["content"] = "changed behind our back"


def used(**asked: Any) -> dict[str, Any]:
    """Return a body in which a tool was used."""
    use = {"type": "tool_use", "id": "t", "name": "look", "input": asked}
    said = {"role": "assistant", "content": [use]}
    return request(message("user", "hi"), said, message("user", "go on"), tools=[tool("look")])


def test_equal_in_python_is_not_the_same_in_json() -> None:
    """The order of a tool's arguments, and 1 for true, make another prompt."""
    reader = turns()
    for body in (used(a=1, b=2), used(b=2, a=1), used(a=True, b=2), used(a=1.0, b=2)):
        assert by_objects(reader, body) == by_bytes(body)


def test_numbers_in_typed_parts() -> None:
    """So it is where the service reads members by name."""
    reader = turns()
    for wrong in (True, 1, 1.0, False):
        result = {"type": "tool_result", "tool_use_id": "t", "content": "x", "is_error": wrong}
        body = request({"role": "user", "content": [result]})
        assert by_objects(reader, body) == by_bytes(body)


def test_a_bad_message_leaves_nothing_behind() -> None:
    """A body that cannot be read does not spoil the conversation that it went on from."""
    reader = turns()
    good = request(message("user", "hi"))
    bad = request(message("user", "hi"), {"role": "nobody", "content": "x"})
    longer = request(message("user", "hi"), message("assistant", "yes"), message("user", "and?"))
    for body in (good, bad, longer):
        assert by_objects(reader, body) == by_bytes(body)


def test_many_conversations_are_forgotten_in_the_order_of_their_use() -> None:
    """What is remembered of conversations has a bound, and forgetting changes no answer."""
    reader = turns()
    for number in range(3 * CONVERSATIONS):
        reader.take(request(message("user", f"{number}")), HERE)
    assert len(reader._talks) == CONVERSATIONS
    assert reader._size == sum(talk.size for _, talk in reader._talks.values())
    for number in range(3 * CONVERSATIONS):
        body = request(
            message("user", f"{number}"), message("assistant", "a"), message("user", "b")
        )
        assert by_objects(reader, body) == by_bytes(body)


@given(row=talks())
def test_places_are_those_found_by_digest(row: list[dict[str, Any]]) -> None:
    """Counting finds each prefix where matching by digest does, marks aside."""
    reader = turns()
    for body in row:
        try:
            reading = reader.take(body, HERE)
        except InputError:
            continue
        if reading is None:
            continue
        tree, tip = reader.tree, reading.sent.tip
        nodes = [node for node in tree.path(tip) if tree.kind[tree.block[node]] != SETTINGS]
        nodes = [node for node in nodes if not tree.unmarkable[node]]
        slow = places_of(body, tree, tip, ASSUME)
        assert sites(body, tree, reading, nodes, ASSUME) == {n: slow[n] for n in nodes}


def test_no_mark_on_a_billing_header() -> None:
    """The first block of a certain client's system prompt is nobody else's to mark."""
    header = "x-anthropic-billing-header: cc_version=2"
    body = request(
        message("user", "hi"),
        system=[{"type": "text", "text": header}, {"type": "text", "text": "Be brief."}],
    )
    reader = turns()
    reading = reader.take(body, HERE)
    assert isinstance(reading, Reading)
    nodes = [
        node for node in reader.tree.path(reading.sent.tip) if not reader.tree.unmarkable[node]
    ]
    found = sites(body, reader.tree, reading, nodes, ASSUME)
    assert [str(place) for place in found.values()] == ["system[1]", "messages[0].content[0]"]
