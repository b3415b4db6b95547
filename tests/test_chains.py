"""A request that names the line it extends is read as the whole request would be."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import msgspec
import pytest
from extended import lines, said, taken
from hypothesis import given
from letters import Letters

from cacheplan.assumptions import Assumptions
from cacheplan.chains import Chain, Chains, Continued
from cacheplan.errors import InputError
from cacheplan.parts import Part
from cacheplan.records import Intake
from cacheplan.repeats import Message
from cacheplan.wholes import Wholes


def whole(made: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write the same lines with whole requests, as a program would have sent them."""
    sent: dict[str, dict[str, Any]] = {}
    found = []
    for line in made:
        request = line["request"]
        if line["extends"] is not None:
            earlier = sent[line["extends"]]
            kept = earlier["messages"][: line.get("keep")]
            messages = [bare(message) for message in kept] + request["messages"]
            request = {**earlier, **request, "messages": messages}
        request = {key: part for key, part in request.items() if part is not None}
        sent[line["id"]] = request
        found.append({"id": line["id"], "at": line["at"], "request": request})
    return found


def bare(part: Any) -> Any:
    """Take every mark away, and nothing that only looks like one."""
    if isinstance(part, list):
        return [bare(inner) for inner in part]
    if not isinstance(part, dict):
        return part
    plain = {key: inner for key, inner in part.items() if key != "cache_control"}
    return {key: bare(inner) if key == "content" else inner for key, inner in plain.items()}


class TestAsIfWhole:
    """Contract: its messages stand behind those of the earlier line's request."""

    @given(lines())
    def test_every_call_is_what_the_whole_request_is(self, made: list[dict[str, Any]]) -> None:
        """Forks, other models, moved marks and messages that change each other included."""
        assert said(taken(made)) == said(taken(whole(made)))

    def test_a_line_may_be_extended_twice(self) -> None:
        """Two answers to one question leave the question as it was."""
        first = {"id": "a", "at": 0, "extends": None, "request": request("One?")}
        forks = [
            {"id": name, "at": 1, "extends": "a", "request": {"messages": [message(name)]}}
            for name in "bc"
        ]
        last = {"id": "d", "at": 2, "extends": "b", "request": {"messages": [message("on")]}}
        made = [first, *forks, last]
        assert said(taken(made)) == said(taken(whole(made)))

    def test_far_behind_only_text_that_is_looked_at_again_is_missed(self) -> None:
        """A line is extended after much other text, unless its own is needed."""
        made = [
            {"id": f"c{at}", "at": at, "extends": None, "request": request("One?" * 5_000_000)}
            for at in range(2)
        ]
        on: dict[str, Any] = {"id": "z", "at": 99, "extends": "c0"}
        plain = {**on, "request": {"messages": [message("Two?")]}}
        assert said(taken([*made, plain])) == said(taken(whole([*made, plain])))
        other = {**on, "request": {"messages": [message("Two?")], "model": "claude-haiku-4-5"}}
        with pytest.raises(InputError, match="too far behind the line that it extends"):
            taken([*made, other])


def test_a_line_without_a_time_is_only_there_to_be_extended() -> None:
    """It is no call, and what goes on from it is what it would be."""
    first = {"id": "a", "at": 0, "extends": None, "request": request("One?")}
    second = {"id": "b", "at": 1, "extends": "a", "request": {"messages": [message("Two?")]}}
    untimed = {key: part for key, part in first.items() if key != "at"}
    assert said(taken([untimed, second])) == said(taken([first, second]))[1:]
    wholes = Wholes()
    written = [wholes.whole(json.dumps(line).encode()) for line in (untimed, second)]
    assert written[0] == b""
    assert said(taken([json.loads(written[1])])) == said(taken([first, second]))[1:]


def test_what_is_forgotten_takes_no_memory() -> None:
    """Members that one file's requests had in common are let go of with the rest."""
    intake = Intake(Letters(), Assumptions())
    tracemalloc.start()
    try:
        for at in range(100):
            sent = request("One?") | {"metadata": {"user_id": f"{at:050000}"}}
            line = {"id": "a", "at": at, "extends": None, "request": sent}
            intake.add(json.dumps(line).encode())
            intake.forget()
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("last", [False, True])
def test_what_is_no_call_was_answered_by_no_tool(*, last: bool) -> None:
    """A line that is only there to be extended is no call that a server tool took part in."""
    found = {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": []}
    asked = {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {}}
    answer = {"role": "assistant", "content": [asked, found]}
    first = {"id": "a", "extends": None, "request": request("One?")}
    sent = {**request("One?"), "messages": [message("One?"), answer, message("Two?")]}
    whole_call = {"id": "b", "at": 1, "request": sent}
    on = {**whole_call, "extends": "a", "request": {"messages": [answer, message("Two?")]}}
    (call,) = taken([whole_call, first] if last else [first, on]).calls
    assert call.rounds == ()


def test_whose_text_is_kept_is_who_went_on_last() -> None:
    """Text goes by its length, and that of the conversation left for the longest goes first."""
    chains = Chains(40)
    begun: dict[str, Chain] = {}

    def say(name: str, extends: str | None) -> None:
        raws = [msgspec.Raw(b"x" * 10)]
        chain = begun[name] = chains.resolve({}, extends, None)
        said = [Message(10, 0, Part(()))]
        chains.keep(name, chain, Continued(None, said, raws, 0))

    for name, extends in (("a", None), ("b", None), ("c", None), ("a2", "a"), ("d", None)):
        say(name, extends)
    assert begun["a2"].raws(()) == [msgspec.Raw(b"x" * 10)]
    with pytest.raises(InputError, match="too far behind"):
        begun["b"].raws(())
    assert begun["c"].raws(()) == []


class TestFaults:
    """What is wrong is named with its place."""

    @pytest.mark.parametrize(
        ("more", "what"),
        [
            ({"extends": "nobody"}, 'extends: "nobody" is not the id of an earlier line'),
            ({"extends": 7}, "extends: this is not text"),
            ({"extends": "a", "keep": 2}, "keep: 2 is not a number of its 1 messages"),
            ({"extends": "a", "keep": -1}, "keep: -1 is not a number of its 1 messages"),
            ({"extends": "a", "keep": True}, "keep: this is not a number of messages"),
            ({"extends": "a", "at": None, "calls_per_hour": 5}, "calls_per_hour: only a whole"),
            ({"extends": "a", "request": {}}, "request.messages: missing"),
            ({"extends": "a", "request": []}, "request: "),
            ({"extends": "a", "request": {"messages": [{}]}}, r"request\.messages\[1\]"),
        ],
    )
    def test_it_says_where(self, more: dict[str, Any], what: str) -> None:
        """A wrong line adds no call, and can be skipped."""
        first = {"id": "a", "at": 0, "extends": None, "request": request("One?")}
        line = {"id": "b", "at": 1, "request": {"messages": [message("Two?")]}} | more
        line = {key: part for key, part in line.items() if part is not None}
        with pytest.raises(InputError, match=what):
            taken([first, line])
        intake = Intake(Letters(), Assumptions())
        intake.add(json.dumps(first).encode())
        with pytest.raises(InputError):
            intake.add(json.dumps(line).encode())
        assert len(intake) == 1


def message(text: str) -> dict[str, Any]:
    """Make what a person says."""
    return {"role": "user", "content": text}


def request(text: str) -> dict[str, Any]:
    """Make a whole request."""
    return {"model": "claude-opus-5-5", "messages": [message(text)]}
