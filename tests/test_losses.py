"""A collapse is told when it happens: in the decision of the call, with its cause."""

from __future__ import annotations

from typing import Any

import pytest

anthropic = pytest.importorskip("anthropic", minversion="0.108")

from ways import client  # noqa: E402

import cacheplan  # noqa: E402
from cacheplan.causes import CAUSES, Shortfall, told  # noqa: E402
from cacheplan.decision import Decision  # noqa: E402
from cacheplan.plan import Lane, Plan, Rule  # noqa: E402
from cacheplan.prompt import Lifetime  # noqa: E402
from cacheplan.testing import FakeAnthropic  # noqa: E402

MARK = {"type": "ephemeral"}
RULES = (
    Rule(place="system", lifetime=Lifetime.FIVE_MINUTES),
    Rule(place="tail after talk", lifetime=Lifetime.FIVE_MINUTES),
)
PLAN = Plan(lanes=(Lane(model=None, label=None, rules=RULES),))
TOOL = {"name": "look", "description": "Look. " * 900, "input_schema": {"type": "object"}}


def body(*more: str, **fields: Any) -> dict[str, Any]:
    """Return a prompt of a conversation that goes on by these texts."""
    said = ["How is the weather in Ulm? " * 900, "Fine.", "And in Bonn?", *more]
    turns = ("user", "assistant")
    return {
        "model": "claude-sonnet-5",
        "max_tokens": 50,
        "tools": [TOOL],
        "system": "Answer in one word. " * 900,
        "messages": [{"role": turns[at % 2], "content": text} for at, text in enumerate(said)],
        **fields,
    }


class Talk:
    """A conversation with the imitated service."""

    def __init__(self, session: str | None = "s", **how: Any) -> None:
        self.fake = FakeAnthropic()
        self.decisions: list[Decision] = []
        middleware = cacheplan.Middleware(
            PLAN, on_decision=self.decisions.append, clock=self.fake.clock, **how
        )
        if session:
            middleware = middleware.labelled("talk", session=session)
        self.client = client(self.fake, middleware=[middleware])

    def send(self, prompt: dict[str, Any]) -> tuple[str, bool] | None:
        """Send one prompt; return the cause of its collapse, and if the API said it."""
        self.message = self.client.messages.create(**prompt)
        self.fake.sleep(5)
        found = self.decisions[-1].collapse
        return None if found is None else (found.cause, found.told)


SYSTEM = {"system": "Answer in two words. " * 900}
CHANGES: dict[str, dict[str, Any]] = {
    "tools_changed": {"tools": [{**TOOL, "description": "See. " * 900}]},
    "system_changed": SYSTEM,
    "model_changed": {"model": "claude-sonnet-5-5"},
}


@pytest.mark.parametrize("cause", CHANGES)
def test_changes(cause: str) -> None:
    """What changed is named, and once it is as it was, nothing is told."""
    talk = Talk()
    assert talk.send(body()) is None
    assert talk.send(body("Rain.", "And in Kiel?")) is None
    assert talk.send(body("Rain.", "And in Kiel?", **CHANGES[cause])) == (cause, False)
    assert talk.send(body("Rain.", "And in Kiel?", **CHANGES[cause])) is None


def test_messages_changed() -> None:
    """So it is where an earlier message was told anew."""
    talk = Talk()
    talk.send(body("Rain. " * 4_000, "And in Kiel?"))
    assert talk.send(body("Snow.", "And in Kiel?")) == ("messages_changed", False)


def test_not_marked() -> None:
    """A caller who forgets the mark looks for nothing, and so finds nothing."""
    talk = Talk(mode="observe")
    assert talk.send(body(cache_control=MARK)) is None
    assert talk.send(body()) == ("not_marked", False)


def test_expired() -> None:
    """After the lifetime that was asked for the entry is gone."""
    talk = Talk()
    talk.send(body())
    talk.fake.sleep(301)
    assert talk.send(body("Rain.", "And in Kiel?")) == ("ttl_expired", False)


def test_lookback() -> None:
    """A mark too far behind what was kept does not find it."""
    talk = Talk(mode="observe", session="s")
    talk.send(body(cache_control=MARK))
    more = ["Yes.", "And?"] * 15
    assert talk.send(body(*more, cache_control=MARK)) == ("lookback_exceeded", False)


def test_unexplained() -> None:
    """What nothing explains is said to be so."""
    talk = Talk()
    talk.send(body())
    talk.fake.say("Yes.", usage={"cache_read_input_tokens": 0})
    assert talk.send(body("Rain.", "And in Kiel?")) == ("unexplained", False)


def test_the_api_says_so() -> None:
    """Where the call asked for diagnostics, their word is the cause."""
    talk = Talk()
    talk.send(body())
    asked = {"diagnostics": {"previous_message_id": talk.message.id}}
    assert talk.send(body("Rain.", "And?", extra_body=asked, **SYSTEM)) == ("system_changed", True)


def test_without_a_session() -> None:
    """A conversation is known by how it begins where nobody names it."""
    talk = Talk(session=None)
    long = ("Rain.", "And in Kiel?", "Snow.", "And?")
    talk.send(body(*long))
    assert talk.send(body(*long)) is None
    assert talk.send(body(*long, **SYSTEM)) == ("system_changed", False)


def test_calls_that_overlap() -> None:
    """Calls sent at one moment owe nothing to each other."""
    talk = Talk()
    with talk.fake.at_once():
        talk.client.messages.create(**body())
        talk.client.messages.create(**body("Rain.", "And in Kiel?", **SYSTEM))
    assert [decision.collapse for decision in talk.decisions] == [None, None]


def test_said() -> None:
    """A decision says what was lost, and why in words."""
    lost = Shortfall(cause="ttl_expired", lost=12_345, told=False)
    assert str(lost) == f"12,345 tokens paid for again: {CAUSES['ttl_expired']}"
    assert "collapsed: 12,345 tokens" in str(Decision(at=0.0, collapse=lost))


@pytest.mark.parametrize(
    ("diagnostics", "word"),
    [
        ({}, None),
        ({"cache_miss_reason": None}, None),
        ({"cache_miss_reason": {"type": "unavailable"}}, None),
        ({"cache_miss_reason": {"type": "tools_changed"}}, "tools_changed"),
        ({"cache_miss_reason": "model_changed"}, "model_changed"),
    ],
)
def test_told(diagnostics: dict[str, Any], word: str | None) -> None:
    """Only words that say what changed are causes."""
    assert told(diagnostics) == word
