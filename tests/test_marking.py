"""Marks written into bodies: at the places the plan meant, and nothing else touched."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from bodies import bodies
from hypothesis import given
from hypothesis import strategies as st
from small import message, request, tool, workload

from cacheplan.assumptions import Assumptions
from cacheplan.marking import mark_body, marked_request
from cacheplan.plan import Lane, Plan, Rule
from cacheplan.policies import BASELINES
from cacheplan.prompt import Lifetime
from cacheplan.validity import validate
from cacheplan.wire import unmark

ASSUME = Assumptions()
SHORT, LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR

PLACES = (
    "tools",
    "system",
    "system[0]",
    "documents",
    "messages[0]",
    "turn before",
    "tail after talk",
    "tail after tools",
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw a plan for any call, with some lifetime at every place."""
    lifetimes = st.sampled_from([None, SHORT, LONG])
    rules = tuple(Rule(place=place, lifetime=draw(lifetimes)) for place in PLACES)
    return Plan(lanes=(Lane(model=None, label=None, rules=rules),))


@given(body=bodies(marked=True), plan=plans())
def test_a_marked_body_is_never_one_the_api_would_refuse(body: dict[str, Any], plan: Plan) -> None:
    """Whatever the plan wants and the body holds, the marks that are written are taken."""
    marked = mark_body(body, plan)
    faults = [fault.rule for fault in validate(marked)]
    assert faults == [fault.rule for fault in validate(unmark(body))]


@given(body=bodies(marked=True), plan=plans())
def test_marking_twice_is_marking_once(body: dict[str, Any], plan: Plan) -> None:
    """A plan applied to its own result changes nothing."""
    marked = mark_body(body, plan)
    assert mark_body(marked, plan) == marked


@given(body=bodies(marked=True), plan=plans())
def test_only_marks_differ_and_the_callers_body_is_left_alone(
    body: dict[str, Any], plan: Plan
) -> None:
    """Without its marks the copy is the original without its marks."""
    before = copy.deepcopy(body)
    marked = mark_body(body, plan)
    assert body == before
    assert unmark(marked) == unmark(body)


@given(body=bodies())
def test_the_marks_on_the_body_are_the_breakpoints_that_were_meant(body: dict[str, Any]) -> None:
    """Read back, a marked body has breakpoints on the very prefixes the policy named."""
    calls = workload([{"at": 0, "request": body}])
    for policy in BASELINES:
        call = calls.calls[0]
        wanted = tuple(policy.bind(calls)(call))
        marked = marked_request(body, calls.tree, call.tip, wanted, ASSUME)
        if policy.name == "as-marked" or marked is None:
            continue
        both = workload([{"at": 0, "request": body}, {"at": 1, "request": marked}])
        again = tuple(policy.bind(both)(both.calls[0]))
        assert both.calls[1].marks == again
        assert both.calls[1].tip == both.calls[0].tip


def test_marks_of_the_callers_own_are_replaced() -> None:
    """A plan says where all marks of a call stand."""
    own = {"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    body = request(message("user", "hi"), system=[own], tools=[tool("look")])
    plan = Plan(lanes=(Lane(model=None, label=None, rules=(Rule(place="tools", lifetime=SHORT),)),))
    marked = mark_body(body, plan)
    assert marked["tools"][0]["cache_control"] == {"type": "ephemeral"}
    assert "cache_control" not in marked["system"][0]


def test_a_label_chooses_its_lane() -> None:
    """The same body is marked by its feature."""
    lanes = (
        Lane(model=None, label="chat", rules=(Rule(place="system", lifetime=LONG),)),
        Lane(model=None, label=None, rules=()),
    )
    body = request(message("user", "hi"), system="be brief")
    marked = mark_body(body, Plan(lanes=lanes), label="chat")
    assert marked["system"][0]["cache_control"]["ttl"] == "1h"
    assert mark_body(body, Plan(lanes=lanes)) == body


@pytest.mark.parametrize("missing", ["model", "system", "tools"])
def test_a_body_under_construction_can_be_marked(missing: str) -> None:
    """What is not there yet gets no mark, and is no error."""
    body = request(message("user", "hi"), system="be brief", tools=[tool("look")])
    del body[missing]
    rules = tuple(Rule(place=place, lifetime=SHORT) for place in PLACES)
    marked = mark_body(body, Plan(lanes=(Lane(model=None, label=None, rules=rules),)))
    assert "cache_control" in json.dumps(marked)


def test_a_body_that_continues_on_the_server_is_left_alone() -> None:
    """Later turns of a thread hold no prefix to mark."""
    body = request(message("user", "hi"), thread={"type": "continue"})
    rules = tuple(Rule(place=place, lifetime=SHORT) for place in PLACES)
    assert mark_body(body, Plan(lanes=(Lane(model=None, label=None, rules=rules),))) == body


def test_a_web_tool_before_a_tool_that_is_kept_longer() -> None:
    """In the prompt it comes behind, in the body before: there its lifetime is lengthened."""
    search = {"type": "web_search_20250305", "name": "web_search"}
    body = request(message("user", "hi"), system="", tools=[search, tool("look")])
    rules = (Rule(place="tools", lifetime=LONG), Rule(place="system", lifetime=SHORT))
    marked = mark_body(body, Plan(lanes=(Lane(model=None, label=None, rules=rules),)))
    assert [each["cache_control"]["ttl"] for each in marked["tools"]] == ["1h", "1h"]
