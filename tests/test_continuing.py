"""What is told as going on from an earlier call is, read again, the call that was made."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from extended import said, taken
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.continuing import Continuing
from cacheplan.transcript import Message, Texts

MARK = {"type": "ephemeral"}
MODELS = ("claude-opus-5-5", "claude-haiku-4-5")


def text(number: int) -> dict[str, Any]:
    """Make a block that no other message has."""
    return {"type": "text", "text": f"words {number}"}


class Made:
    """Conversations that fork, change their model, and move their marks about."""

    def __init__(self, data: st.DataObject, most: int) -> None:
        self.texts = Texts(most)
        self.told = Continuing(self.texts)
        self.data = data
        self.chains: list[list[Message]] = [[]]
        self.blocks: dict[Message, list[dict[str, Any]]] = {}

    def message(self) -> Message:
        """Draw a message that was not there before."""
        number = len(self.blocks)
        content = [text(number), text(-number)][: self.data.draw(st.integers(1, 2))]
        self.texts.put(number, msgspec.Raw(json.dumps(content).encode()))
        made = Message(self.data.draw(st.sampled_from(["user", "assistant"])), (number,))
        self.blocks[made] = content
        return made

    def call(self, at: int) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """Draw a call, and return how it is told and how it would be written whole."""
        earlier = self.data.draw(st.sampled_from(self.chains))
        kept = self.data.draw(st.integers(0, len(earlier)))
        chain = [
            *earlier[:kept],
            *(self.message() for _ in range(self.data.draw(st.integers(1, 3)))),
        ]
        self.chains.append(chain)
        around = {"model": self.data.draw(st.sampled_from(MODELS))}
        around |= self.data.draw(st.sampled_from([{}, {"system": "Be brief."}]))
        marked = self.data.draw(st.none() | st.sampled_from(range(len(chain))))
        marks = {} if marked is None else {(marked, 0): MARK}
        raw = {key: msgspec.Raw(json.dumps(part).encode()) for key, part in around.items()}
        line = self.told.told(f"c{at}", chain, raw, marks)
        messages = [{"role": one.role, "content": list(self.blocks[one])} for one in chain]
        if marked is not None:
            first = messages[marked]["content"]
            assert isinstance(first, list)
            first[0] = first[0] | {"cache_control": MARK}
        name = {"id": f"c{at}", "at": at}
        told = None if line is None else json.loads(msgspec.json.encode({**name, **line}))
        return told, {**name, "request": {**around, "messages": messages}}


@given(st.data(), st.sampled_from([10**6, 300]))
def test_every_call_is_read_as_it_was_made(data: st.DataObject, most: int) -> None:
    """Forks, other models and moved marks included, and whatever text was let go of meanwhile."""
    made = Made(data, most)
    calls = [made.call(at) for at in range(data.draw(st.integers(2, 8)))]
    found = [(line, whole) for line, whole in calls if line is not None]
    assert found
    assert most < 10**6 or len(found) == len(calls)
    lines, wholes = zip(*found, strict=True)
    assert said(taken(list(lines))) == said(taken(list(wholes)))


def test_a_conversation_costs_a_line_a_turn() -> None:
    """Of a call that only goes on, nothing is told but what is new."""
    texts = Texts()
    told = Continuing(texts)
    chain: list[Message] = []
    for at in range(5):
        texts.put(at, msgspec.Raw(json.dumps([text(at)]).encode()))
        chain = [*chain, Message("user", (at,))]
        line = told.told(f"c{at}", chain, {"model": msgspec.Raw(b'"claude-opus-5-5"')})
        assert line is not None
        assert len(line["request"]["messages"]) == 1
        assert ("model" in line["request"]) == (at == 0)
        assert line["extends"] == (f"c{at - 1}" if at else None)
