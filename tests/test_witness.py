"""What shows a finding: a place as in a body, and two calls."""

from __future__ import annotations

from reviewed import subject
from small import digest_line, message, request, tool

from cacheplan.prefixes import SETTINGS
from cacheplan.witness import SHOWN, place_at, witnesses

LINES = [
    {
        "at": at,
        "id": f"c{at}",
        "request": request(
            message("user", "one", "two" * 99),
            message("assistant", f"three {at}"),
            tools=[tool("look")],
            system="be kind",
        ),
    }
    for at in range(3)
]


def test_a_place_is_where_the_body_has_it() -> None:
    """Each prefix ends at the block that a body names so."""
    seen = subject(LINES)
    call = seen.workload.calls[0]
    nodes = [*seen.head(call), *reversed([*seen.messages(call)])]
    assert [str(place_at(seen.tree, node)) for node in nodes] == [
        "tools[0]",
        "system[0]",
        "messages[0].content[0]",
        "messages[0].content[1]",
        "messages[1].content[0]",
    ]


def test_two_calls_are_shown_each_once_and_not_at_length() -> None:
    """A call that is seen twice is shown once, and a long block by its beginning."""
    seen = subject(LINES)
    calls = seen.workload.calls
    long = [*seen.messages(calls[0])][1]
    found = witnesses(seen, [(calls[0], long), (calls[0], calls[0].tip), (calls[2], calls[2].tip)])
    assert [(one.call, one.id, one.text) for one in found] == [
        (0, "c0", ("two" * 99)[:SHOWN]),
        (2, "c2", "three 2"),
    ]


def test_where_nobody_knows_a_text_none_is_shown() -> None:
    """Digests, and what is no block, are shown without text."""
    seen = subject([digest_line([("m", 9, "messages")], at=at) for at in range(2)])
    calls = seen.workload.calls
    shown = witnesses(seen, [(calls[0], calls[0].tip), (calls[1], -1)])
    assert [one.text for one in shown] == ["", ""]


def test_settings_have_the_place_of_their_level() -> None:
    """A prefix that ends with what is set is told where the level begins."""
    body = request(message("user", "Hi"), system="Be kind.", tool_choice={"type": "none"})
    seen = subject([{"at": 0, "request": body}])
    tree = seen.tree
    (call,) = seen.workload
    gates = [node for node in tree.path(call.tip) if tree.kind[tree.block[node]] == SETTINGS]
    assert gates
    assert {str(place_at(tree, node)) for node in gates} <= {
        "tools[0]",
        "system[0]",
        "messages[0].content[0]",
    }
