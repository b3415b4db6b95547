"""Lines written again: what changed is in them, and every other byte is where it was."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from careless import logs
from hypothesis import given, settings
from hypothesis import strategies as st
from small import digest_line, message, request, workload

from cacheplan.lines import body_in, moved, remarked, with_body
from cacheplan.prompt import Breakpoint, Lifetime

SHORT, LONG = Lifetime
#: JSON as people and programs write it, with spelling that no encoder would repeat.
ODD = (
    b'{"id" : "\\u00e9",  "x":1.50, "request":{"model":"m","temperature":1.0e0,'
    b'"system":"caf\\u00e9 \\ud83d\\ude00","messages":[{"role":"user",  "content":"\\u0041"},'
    b'{"role":"user","content":"B"}]},"at":3}'
)

keys = st.text(max_size=6)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


class TestBodies:
    """A line with another body."""

    def test_bytes_stay(self) -> None:
        """Members and messages that nobody changed are written as they were."""
        old = body_in(ODD)
        assert old is not None
        assert with_body(ODD, old, old) is ODD
        messages = [old["messages"][0], {**old["messages"][1], "content": "C"}]
        found = with_body(ODD, old, {**old, "messages": messages, "tools": []})
        assert found == (
            b'{"id":"\\u00e9","x":1.50,"request":{"model":"m","temperature":1.0e0,'
            b'"system":"caf\\u00e9 \\ud83d\\ude00",'
            b'"messages":[{"role":"user",  "content":"\\u0041"},'
            b'{"role":"user","content":"C"}],"tools":[]},"at":3}'
        )

    @given(st.dictionaries(keys, values, max_size=4), st.dictionaries(keys, values, max_size=4))
    def test_any_body(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        """Whatever the new body is, the line holds just that, in its order."""
        old, new = {**old, "messages": [1, {"a": 2}]}, {**new, "messages": [1, {"a": 3}, 4]}
        line = json.dumps({"at": 1, "request": old, "more": 1.0}).encode()
        found = with_body(line, json.loads(json.dumps(old)), new)
        assert json.dumps(json.loads(found)) == json.dumps({"at": 1, "request": new, "more": 1.0})

    def test_order_of_keys(self) -> None:
        """Keys in another order are another body."""
        old = {"messages": [], "tools": [{"input_schema": {"a": 1, "b": 2}}]}
        new = {"messages": [], "tools": [{"input_schema": {"b": 2, "a": 1}}]}
        found = with_body(json.dumps({"request": old}).encode(), old, new)
        assert b'{"b":2,"a":1}' in found

    @pytest.mark.parametrize("text", ["\ud800", "é", "\x00", "\u2028"])
    def test_text(self, text: str) -> None:
        """Any text that was read can be written; half a surrogate pair is escaped."""
        body = {"messages": [], "system": text}
        found = with_body(b'{"request":{"messages":[]}}', {"messages": []}, body)
        assert json.loads(found.decode())["request"]["system"] == text

    def test_large_numbers(self) -> None:
        """A number is no smaller for being written again."""
        body = {"messages": [], "n": 10**30}
        found = with_body(b'{"request":{"messages":[]}}', {"messages": []}, body)
        assert json.loads(found)["request"]["n"] == 10**30

    def test_no_body(self) -> None:
        """A line of the digest form holds none."""
        assert body_in(b'{"at":1,"blocks":[]}') is None


class TestTimes:
    """A line whose call starts at another time."""

    def test_seconds(self) -> None:
        """Seconds stay seconds, exact to the last bit."""
        assert moved(b'{"at": 1, "x":  1.50}', 0.1 + 0.2) == b'{"at":0.30000000000000004,"x":1.50}'

    @given(
        st.floats(1_500_000_000, 2_000_000_000),
        st.sampled_from(["Z", "+00:00", "+05:30", "-08:00", "z"]),
    )
    def test_clock(self, at: float, zone: str) -> None:
        """A clock stays in its zone, and never goes before what is waited for."""
        line = json.dumps({"at": f"2026-11-21t10:00:00{zone}"}).encode()
        found = datetime.fromisoformat(json.loads(moved(line, at))["at"])
        assert 0 <= found.timestamp() - at < 3e-6
        hours = {"Z": 0, "z": 0, "+00:00": 0, "+05:30": 5.5, "-08:00": -8}[zone]
        offset = found.utcoffset()
        assert offset is not None
        assert offset.total_seconds() == hours * 3600


class TestMarks:
    """A line with other marks."""

    def test_digests(self) -> None:
        """In the digest form marks are numbers of blocks, and nothing else changes."""
        line = digest_line([("s", 5_000, "system"), ("q", 9, "messages")], automatic="5m")
        calls = workload([line])
        (call,) = calls
        nodes = calls.tree.path(call.tip)
        found = remarked(json.dumps(line).encode(), calls, call, [Breakpoint(nodes[0], LONG)])
        assert found is not None
        del line["automatic"]
        assert json.loads(found) == line | {"marks": [{"block": 0, "ttl": "1h"}]}

    def test_refused(self) -> None:
        """Marks that the service would refuse are not written."""
        body = request(message("user", *"abcde"))
        calls = workload([{"at": 0, "request": body}])
        (call,) = calls
        marks = [Breakpoint(node, SHORT) for node in calls.tree.path(call.tip)[-5:]]
        assert remarked(json.dumps({"request": body}).encode(), calls, call, marks) is None

    @settings(max_examples=40)
    @given(logs())
    def test_none(self, lines: list[dict[str, Any]]) -> None:
        """Without marks a body has none, and says what it said."""
        calls = workload(lines)
        for call in calls:
            line = json.dumps(lines[call.number]).encode()
            found = remarked(line, calls, call, ())
            assert found is not None
            assert b"cache_control" not in found
            again = workload([json.loads(found)])
            old, new = calls.tree, again.tree
            assert [old.digest[old.block[node]] for node in old.path(call.tip)] == [
                new.digest[new.block[node]] for node in new.path(again.calls[0].tip)
            ]
