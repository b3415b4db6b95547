"""What became of marks: one fate each, so that no two rules speak of the same write."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marked_talk import RULES, agent, codes, one_shots, subject_of, system
from small import digest_workloads, message, request

from cacheplan.habits import habits, only
from cacheplan.lanes import kind_of
from cacheplan.linter import lint

MODELS = ["claude-sonnet-5", "claude-haiku-4-5", "a-model-nobody-knows"]


def moved(turns: int) -> list[dict[str, Any]]:
    """Return a conversation whose mark stands at the end, now of one kind, now of another."""
    whole = agent(turns, head=system())
    bare = agent(turns, head=system(ttl=None))
    return [(whole, bare)[at % 2][at] for at in range(turns)]


def greeted(users: int) -> list[dict[str, Any]]:
    """Return conversations that all begin with the same words of both sides."""
    hello = [message("user", "hi"), message("assistant", "Hello! How can I help?")]
    lines = []
    for user in range(users):
        for line in agent(3, head=system(), name=f"u{user}", start=40 * user):
            sent = line["request"]
            lines.append({**line, "request": {**sent, "messages": [*hello, *sent["messages"]]}})
    return lines


HEALTHY = {
    "a rolling mark": agent(8, head=system()),
    "a rolling mark alone": agent(8, head=system(ttl=None)),
    "no head": agent(8),
    "interleaved": agent(8, head=system()) + agent(8, head=system(), name="b", start=3),
    "many users": [
        line for u in range(6) for line in agent(4, head=system(), name=f"u{u}", start=60 * u)
    ],
    "users who say hi": [
        {"at": at, "request": request(message("user", "hi"), system=system())}
        for at in range(0, 90, 30)
    ],
    "a canned greeting": greeted(6),
    "a moved mark": moved(8),
    "one-shot calls": one_shots(8, head=system(), ttl=None),
    "one call": one_shots(1, head=system()),
    "nothing": [],
}

#: What is wrong, and the one rule that says so: the order of the rules in examples.
WRONG = {
    "CP101": one_shots(8, head=system(ttl=None)),
    "CP102": agent(8, head=system(ttl=None), tail=None),
    "CP103": agent(8, head=system(), back=1, name="c"),
    "CP104": one_shots(8, head=system("short " * 100), ttl=None),
    "CP105": agent(6, head=system(), blocks=30),
    "CP106": agent(400, head=system(ttl="1h"), tail="1h"),
    "CP107": agent(8, head=system(), step=600),
    "CP108": one_shots(8, head=system()),
    "CP109": one_shots(8, head=system(), ttl=None, step=86_400),
    "CP110": one_shots(4, head=system(), ttl="1h"),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_calls_give_no_rule_anything_to_say(name: str) -> None:
    """Marks that do what they are for are never a finding."""
    assert codes(HEALTHY[name]) == []


@pytest.mark.parametrize("code", WRONG)
def test_each_situation_has_one_rule(code: str) -> None:
    """What one rule says no other rule says again."""
    assert codes(WRONG[code]) == [code]


def test_situations_do_not_hide_each_other() -> None:
    """Kinds of calls that differ in label are judged each by itself."""
    lines = [
        {**line, "label": code} for code, lines in WRONG.items() for line in lines if code < "CP104"
    ]
    assert sorted(codes(lines)) == ["CP101", "CP102", "CP103"]


@given(st.data())
def test_digests_are_judged_like_bodies(data: st.DataObject) -> None:
    """Without any text every write has a fate, and every fix that is priced can be served."""
    lines = data.draw(digest_workloads(MODELS))
    subject = subject_of(lines)
    known = habits(subject)
    for write in known.writes:
        assert (write.fate == "read") or not write.reads
        assert write.call.number not in known.refused
    for finding in lint(subject, RULES).findings:
        assert finding.saving is None or finding.saving > 0


@given(st.data())
def test_what_is_slight_is_never_worth_it(data: st.DataObject) -> None:
    """Leaving out unread marks saves no more than what is at stake, so trying is no use."""
    subject = subject_of(data.draw(digest_workloads(MODELS[:2])))
    known = habits(subject)
    for lane, writes in known.lanes("unread").items():
        stakes = [(write.call, write.tokens, write.lifetime) for write in known.writes]
        spots = {known.spot(write.call, write.node) for write in writes}
        mine = [stake for stake in stakes if kind_of(stake[0]) == lane]
        calls = [call for call in subject.lanes[lane] if call.number not in known.refused]
        if known.slight(lane[0], mine):
            assert known.worth(lane[0], only(calls, known.drop(spots))) is None


def test_calls_of_other_lanes_keep_their_very_marks() -> None:
    """A fix for one lane hands all others the marks that they were sent with."""
    lines = [{**line, "label": "chat"} for line in agent(8, head=system(), name="b")]
    subject = subject_of([*lines, *one_shots(8, head=system("Sort. " * 300))])
    (finding,) = (one for rule in RULES for one in rule.check(subject))
    assert finding.fix is not None
    assert finding.fix.remark is not None
    for call in subject.workload:
        assert (finding.fix.remark(call) is call.marks) == (call.label == "chat")
