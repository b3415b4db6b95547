"""Bodies whose talk makes no sense: every tool call is answered at once, or it is said."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cacheplan.conversations import nonsense, shape

#: What one message says: its role, and ids of tools that it calls or answers.
talks = st.lists(
    st.tuples(st.sampled_from(["user", "assistant"]), st.lists(st.sampled_from("abc"), max_size=3)),
    max_size=6,
)


def written(talk: list[tuple[str, list[str]]]) -> list[dict[str, Any]]:
    """Return messages: the assistant calls tools of these ids, the user answers them."""
    return [
        {
            "role": role,
            "content": [{"type": "text", "text": "so"}]
            + [
                {"type": "tool_use", "id": one, "name": "t", "input": {}}
                if role == "assistant"
                else {"type": "tool_result", "tool_use_id": one, "content": "x"}
                for one in ids
            ],
        }
        for role, ids in talk
    ]


@given(talk=talks)
def test_turns_have_the_same_ids_as_the_turns_before(talk: list[tuple[str, list[str]]]) -> None:
    """Joined by role, what one turn calls is exactly what the next one answers."""
    turns: list[tuple[str, set[str]]] = []
    for role, ids in talk:
        if not turns or turns[-1][0] != role:
            turns.append((role, set()))
        turns[-1][1].update(ids)
    called: set[str] = set()
    sane = True
    for role, said in turns:
        if role == "user":
            sane, called = sane and said == called, set()
        else:
            called = said
    assert (not list(nonsense({"messages": written(talk)}))) == (sane and not called)


@given(talk=talks, at=st.integers(0, 6))
def test_asides_change_nothing(talk: list[tuple[str, list[str]]], at: int) -> None:
    """A system message between call and answer leaves them together."""
    messages = written(talk)
    aside = [*messages[:at], {"role": "system", "content": "Be quick."}, *messages[at:]]
    plain, with_aside = (list(nonsense({"messages": one})) for one in (messages, aside))
    assert [one.rule for one in plain] == [one.rule for one in with_aside]


def test_only_a_closed_list_refuses_members_that_nobody_knows() -> None:
    """A member of tomorrow is taken unless somebody is strict about it."""
    body = {"messages": [{"role": "user", "content": "Hi"}], "tomorrow": 1}
    assert not list(shape(body))
    (fault,) = shape(body, closed=True)
    assert fault.message == "tomorrow: Extra inputs are not permitted"


def test_setting_says_nothing() -> None:
    """A system message that only sets the effort of a turn may be empty, and no other."""
    empty = {"role": "system", "content": []}
    for message, refused in ((empty, True), ({**empty, "output_config": {"effort": "low"}}, False)):
        said = [{"role": "user", "content": "Hello"}, message]
        body = {"model": "claude-opus-5-5", "max_tokens": 1, "messages": said}
        complaints = [fault.message for fault in shape(body)]
        assert refused == any("must have non-empty content" in what for what in complaints)
