"""Every baseline marks what the products do that it stands for."""

from __future__ import annotations

from typing import Any

import pytest
from small import digest_line, marked_places, message, policy, request, tool, workload

from cacheplan.policies import BASELINES
from cacheplan.prices import Sheet
from cacheplan.projection import replay

#: Two tools, two system blocks, three user turns; the newest has two blocks.
CONVERSATION = request(
    message("user", "first question"),
    message("assistant", "first answer"),
    message("user", "second question", "with a detail"),
    message("assistant", "second answer"),
    message("user", "third question", "with another"),
    tools=[tool("look"), tool("fetch")],
    system=[{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}],
)

#: By policy: the blocks of CONVERSATION it marks, by level and number within the level.
PLACES = {
    "uncached": [],
    "as-marked": [],
    "automatic": ["messages.6 5m"],
    "automatic-1h": ["messages.6 1h"],
    "system-tail": ["system.1 5m", "messages.6 5m"],
    "tools-system-tail": ["tools.1 5m", "system.1 5m", "messages.6 5m"],
    "last-two-turns": ["tools.1 5m", "system.1 5m", "messages.3 5m", "messages.6 5m"],
    "static": ["tools.1 5m", "system.1 5m"],
}


def recorded(*bodies: dict[str, Any]) -> list[dict[str, Any]]:
    """Return bodies as lines a minute apart."""
    return [{"at": 60 * number, "request": body} for number, body in enumerate(bodies)]


def test_names_are_the_documented_ones() -> None:
    """The baselines carry the names that the commands promise, in the order of a table."""
    assert [policy.name for policy in BASELINES] == list(PLACES)
    assert not any(policy.knows_future for policy in BASELINES)


@pytest.mark.parametrize("name", PLACES)
def test_conversation_is_marked(name: str) -> None:
    """On a conversation with tools and system, each policy marks the blocks of its family."""
    assert marked_places(workload(recorded(CONVERSATION)), name) == PLACES[name]


@pytest.mark.parametrize("name", PLACES)
def test_first_turn_is_marked(name: str) -> None:
    """Where no turn went before, nothing is marked in its place."""
    body = {**CONVERSATION, "messages": CONVERSATION["messages"][:1]}
    turned = {place.replace("messages.6", "messages.0") for place in PLACES[name]}
    found = marked_places(workload(recorded(body)), name)
    assert set(found) == turned - {"messages.3 5m"}


@pytest.mark.parametrize("name", PLACES)
def test_bare_question_is_marked(name: str) -> None:
    """Without tools and system, only what marks the end of the prompt marks anything."""
    found = marked_places(workload(recorded(request(message("user", "Hi")))), name)
    expected = [place for place in PLACES[name] if place.startswith("messages.6")]
    assert found == [place.replace("messages.6", "messages.0") for place in expected]


def test_as_marked_repeats_what_was_sent() -> None:
    """The marks of the call are kept as they are, the automatic one included."""
    body = {**CONVERSATION, "cache_control": {"type": "ephemeral"}}
    marked = {
        "type": "text",
        "text": "Be kind.",
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
    }
    body["system"] = [body["system"][0], marked]
    found = marked_places(workload(recorded(body)), "as-marked")
    assert found == ["system.1 1h", "messages.6 5m"]


@pytest.mark.parametrize("tail", ["", "  \n"])
def test_tail_that_takes_no_mark_steps_back(tail: str) -> None:
    """A mark that would fall on blank text falls on the block before it."""
    body = request(message("user", "question", tail), system="Be brief.")
    assert marked_places(workload(recorded(body)), "system-tail") == [
        "system.0 5m",
        "messages.0 5m",
    ]


def test_thinking_at_the_end_steps_back() -> None:
    """A mark that would fall on thinking falls on the block before it."""
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    body = request(message("user", "question"), {"role": "assistant", "content": [thought]})
    assert marked_places(workload(recorded(body)), "automatic") == ["messages.0 5m"]


def test_marks_on_one_block_count_once() -> None:
    """Where tail and system step back to the same block, one slot is used."""
    body = request(message("user", ""), system="Be brief.")
    assert marked_places(workload(recorded(body)), "tools-system-tail") == ["system.0 5m"]


def test_nothing_to_mark_is_no_mark() -> None:
    """A prompt of blank text alone is left alone by every policy."""
    lines = workload(recorded(request(message("user", " "))))
    assert all(marked_places(lines, policy.name) == [] for policy in BASELINES)


def test_tool_results_are_user_turns() -> None:
    """In a tool loop the turn before the newest is the previous tool result."""
    use = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "seen"}
    loop = [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    body = request(message("user", "go"), *loop, *loop)
    found = marked_places(workload(recorded(body)), "last-two-turns")
    assert found == ["messages.2 5m", "messages.4 5m"]


def test_begun_answer_follows_the_newest_turn() -> None:
    """Where the caller begins the answer, the newest user turn is marked before it."""
    body = {**CONVERSATION, "messages": [*CONVERSATION["messages"], message("assistant", "So")]}
    found = marked_places(workload(recorded(body)), "last-two-turns")
    assert found[-2:] == ["messages.6 5m", "messages.7 5m"]


def test_digest_form_is_marked_alike() -> None:
    """Without roles, the turn before the newest is where an earlier call ended."""
    head = [("t", 10, "tools"), ("u", 10, "tools"), ("s", 10, "system"), ("a", 10, "messages")]
    grown = digest_line(
        [("b", 10, "messages"), ("c", 10, "messages")], extends="one", at=60, id="two"
    )
    calls = workload([digest_line(head, id="one"), grown])
    expected = {
        "uncached": [],
        "as-marked": [],
        "automatic": ["messages.2 5m"],
        "automatic-1h": ["messages.2 1h"],
        "system-tail": ["system.0 5m", "messages.2 5m"],
        "tools-system-tail": ["tools.1 5m", "system.0 5m", "messages.2 5m"],
        "last-two-turns": ["tools.1 5m", "system.0 5m", "messages.0 5m", "messages.2 5m"],
        "static": ["tools.1 5m", "system.0 5m"],
    }
    assert {name: marked_places(calls, name) for name in expected} == expected


@pytest.mark.parametrize("name", PLACES)
def test_no_policy_is_refused(name: str) -> None:
    """No baseline places what the service refuses: not too many, none out of order."""
    calls = workload(recorded(CONVERSATION, request(message("user", "", "x", "")), CONVERSATION))
    served = list(replay(calls, policy(name)(calls), Sheet.default()))
    assert [call.refused for call in served] == [None, None, None]
