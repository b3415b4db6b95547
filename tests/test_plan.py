"""The plan as a value: lanes, places, what is looked up, what is stored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from small import message, workload

from cacheplan.errors import InputError
from cacheplan.places import BEFORE, DOCUMENTS, SYSTEM, TAIL_TALK, TAIL_TOOL, TOOLS
from cacheplan.plan import Lane, Plan, Rule, within_rules
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.workload import Workload

SHORT, LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR


def calls_of(*bodies: dict[str, Any], label: str | None = None) -> Workload:
    """Read bodies as calls, ten seconds apart."""
    lines = [{"at": 10 * at, "request": body} for at, body in enumerate(bodies)]
    return workload(line | ({"label": label} if label else {}) for line in lines)


def lane(model: str | None = None, label: str | None = None, **rules: Lifetime | None) -> Lane:
    """Make a lane; underscores in names of places stand for spaces."""
    made = tuple(Rule(place=name.replace("_", " "), lifetime=ttl) for name, ttl in rules.items())
    return Lane(model=model, label=label, rules=made)


def body(*turns: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Make a body with a tool, a system prompt and some turns."""
    return {
        "model": "claude-sonnet-4-5",
        "tools": [{"name": "look", "input_schema": {"type": "object"}}],
        "system": [{"type": "text", "text": "be"}, {"type": "text", "text": "brief"}],
        "messages": list(turns),
        **more,
    }


ASKED = message("user", "the document", "a question")
CALLED = {
    "role": "assistant",
    "content": [{"type": "tool_use", "id": "1", "name": "look", "input": {}}],
}
ANSWERED = {
    "role": "user",
    "content": [{"type": "tool_result", "tool_use_id": "1", "content": "x"}],
}


def marked(plan: Plan, calls: Workload) -> list[list[tuple[str, str]]]:
    """Return, for each call, the text that ends each marked prefix, and for how long."""
    tree, marker = calls.tree, plan.marker(calls.tree)
    return [
        [
            (tree.kind[tree.block[node]] + f" {depth(calls, node)}", str(ttl))
            for node, ttl in marker(call)
        ]
        for call in calls
    ]


def depth(calls: Workload, node: int) -> int:
    """Count the caller's blocks up to a prefix."""
    tree = calls.tree
    return sum(tree.kind[tree.block[step]] != "#settings" for step in tree.path(node))


def test_each_place_is_found_in_a_body() -> None:
    """Tools, system, documents and tail are the blocks that their names say."""
    calls = calls_of(body(ASKED), body(ASKED, CALLED, ANSWERED))
    plan = Plan(lanes=(lane(tools=LONG, system=LONG, documents=SHORT, tail_after_talk=SHORT),))
    assert marked(plan, calls)[0] == [
        ("tool 1", "1h"),
        ("text 3", "1h"),
        ("text 4", "5m"),
        ("text 5", "5m"),
    ]


def test_the_tail_is_told_by_what_ends_it() -> None:
    """A prompt that ends with a tool's result takes the other tail's lifetime."""
    calls = calls_of(body(ASKED), body(ASKED, CALLED, ANSWERED))
    plan = Plan(lanes=(lane(tail_after_talk=SHORT, tail_after_tools=LONG),))
    assert marked(plan, calls) == [[("text 5", "5m")], [("tool_result 7", "1h")]]


def test_a_mark_where_the_last_call_ended_goes_with_the_tail() -> None:
    """The turn before is marked as long as the tail, so that it may stand before it."""
    calls = calls_of(body(ASKED), body(ASKED, CALLED, ANSWERED))
    plan = Plan(lanes=(lane(turn_before=SHORT, tail_after_tools=LONG),))
    assert marked(plan, calls) == [[], [("text 5", "1h"), ("tool_result 7", "1h")]]


def test_a_call_follows_the_nearest_lane() -> None:
    """Model and label outrank model, model outranks label, and label outranks none."""
    calls = calls_of(body(ASKED), label="a")
    both = lane("claude-sonnet-4-5", "a", system=LONG)
    model = lane("claude-sonnet-4-5", None, system=SHORT)
    label = lane(None, "a", tools=LONG)
    anyone = lane(None, None, tools=SHORT)
    expected = {
        (both, model, label, anyone): ("text 3", "1h"),
        (model, label, anyone): ("text 3", "5m"),
        (label, anyone): ("tool 1", "1h"),
        (anyone,): ("tool 1", "5m"),
    }
    for lanes, mark in expected.items():
        assert marked(Plan(lanes=lanes), calls) == [[mark]]
    assert marked(Plan(lanes=()), calls) == [[]]


def test_a_known_prefix_has_its_own_lifetime() -> None:
    """A prefix named by key outranks the lane, to mark it or to leave it out."""
    calls = calls_of(body(ASKED))
    tree = calls.tree
    node = tree.system_end[calls.calls[0].tip]
    key = tree.key(node).hex()
    lanes = (lane(system=SHORT),)
    assert marked(Plan(lanes=lanes, prefixes={key: LONG}), calls) == [[("text 3", "1h")]]
    assert marked(Plan(lanes=lanes, prefixes={key: None}), calls) == [[]]
    assert marked(Plan(lanes=(), prefixes={key: LONG}), calls) == [[("text 3", "1h")]]


def test_of_too_many_marks_the_last_four_stay_and_none_shrinks_behind_another() -> None:
    """What the service would refuse is not asked for."""
    wanted = {1: SHORT, 2: SHORT, 3: LONG, 4: SHORT, 5: SHORT}
    assert within_rules(wanted) == (
        Breakpoint(2, LONG),
        Breakpoint(3, LONG),
        Breakpoint(4, SHORT),
        Breakpoint(5, SHORT),
    )


def full() -> Plan:
    """Return a plan with something in every field."""
    rules = (
        Rule(place=TOOLS, lifetime=LONG, because="why", saving=1.5),
        Rule(place=SYSTEM, lifetime=SHORT),
        Rule(place="system[1]", lifetime=None),
        Rule(place=DOCUMENTS, lifetime=SHORT),
        Rule(place=BEFORE, lifetime=SHORT),
        Rule(place=TAIL_TALK, lifetime=SHORT),
        Rule(place=TAIL_TOOL, lifetime=LONG),
    )
    return Plan(
        lanes=(
            Lane(model="m", label="l", rules=rules),
            Lane(model=None, label=None, rules=rules, like="l / m"),
        ),
        prefixes={"00ff": LONG, "0100": None},
        expires="2026-11-30",
        chosen_on="Chosen on 3 calls.",
    )


def test_a_plan_survives_being_stored() -> None:
    """Reading what was written gives the same plan."""
    stored = json.loads(json.dumps(full().to_json()))
    assert stored["format"] == "cacheplan.plan/1"
    assert next(iter(stored)) == "format"
    assert Plan.from_json(stored) == full()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "cacheplan.plan/9"}, "format: this is not a plan"),
        ({"lanes": {}}, "lanes: this is not a list"),
        ({"lanes": [3]}, "lanes[0]: this is not an object"),
        (
            {"lanes": [{"rules": [{"place": "tail", "ttl": "5m"}]}]},
            'lanes[0].rules[0].place: "tail"',
        ),
        (
            {"lanes": [{"rules": [{"place": "tools", "ttl": "2h"}]}]},
            "lanes[0].rules[0]: a rule has",
        ),
        ({"lanes": [{"model": 3, "rules": []}]}, "model: this is not text"),
        ({"prefixes": []}, "prefixes: this is not an object"),
        ({"prefixes": {"ab": "2h"}}, 'prefixes.ab: "2h" is not'),
    ],
)
def test_what_is_no_plan_is_named_with_its_place(change: dict[str, Any], said: str) -> None:
    """A damaged plan file is refused on loading, with the path to the fault."""
    with pytest.raises(InputError) as caught:
        Plan.from_json({**full().to_json(), **change})
    assert said in str(caught.value)


def test_two_plans_are_compared_in_sentences() -> None:
    """A difference names lane, place and both lifetimes; equal plans have none."""
    one = Plan(lanes=(lane("m", "l", tools=LONG, system=SHORT),))
    other = Plan(
        lanes=(lane("m", "l", tools=SHORT), lane("m", "k", tools=SHORT)), prefixes={"aa": LONG}
    )
    assert one.differences(one) == []
    assert one.differences(other) == [
        "l / m, tools: 1h, there 5m",
        "l / m, system: 5m, there no mark",
        "k / m: only there",
        "1 exact prefixes have other lifetimes",
    ]
    assert "k / m: only here" in other.differences(one)


def test_a_plan_reads_as_a_table() -> None:
    """Who, where, how long and why; a copied lane says whose rules it has."""
    shown = str(full())
    assert "l / m            system[1]           no mark" in shown
    assert "why" in shown
    assert "all other calls" in shown
    assert "as l / m" in shown
    assert "2 exact prefixes" in shown


def test_a_plan_without_a_mark_says_so_in_words() -> None:
    """Where nothing pays, the table is a sentence."""
    assert str(Plan(lanes=(lane(system=None),))) == "Nothing is worth keeping: do not cache."
