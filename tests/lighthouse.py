"""The one conversation that every log's fixture was made from, so that all can be compared.

An agent with a long system prompt and two tools: a question, a use of a tool with its
result, and two more questions. Tools and system are marked for an hour, the newest
message for five minutes. Everything in it is invented.
"""

from __future__ import annotations

import copy
from typing import Any, Final

__all__ = ["ANSWERS", "BODIES", "MODEL", "SYSTEM", "TOOLS"]

MODEL: Final = "claude-opus-5-5"

#: Long enough for every model's minimum.
SYSTEM: Final = (
    "You look after the lamps of a lighthouse and answer in short sentences. "
    + " ".join(
        f"Rule {number}: before lamp {number} is lit, its glass is wiped and its oil is measured."
        for number in range(1, 301)
    )
)

TOOLS: Final[list[dict[str, Any]]] = [
    {
        "name": "oil_left",
        "description": "Says how much oil a lamp has left, in litres.",
        "input_schema": {
            "type": "object",
            "properties": {"lamp": {"type": "integer", "description": "Which lamp."}},
            "required": ["lamp"],
        },
    },
    {
        "name": "light",
        "description": "Lights a lamp, if there is oil in it.",
        "input_schema": {
            "type": "object",
            "properties": {"lamp": {"type": "integer", "description": "Which lamp."}},
            "required": ["lamp"],
        },
    },
]

#: What the assistant says, turn by turn.
ANSWERS: Final[list[list[dict[str, Any]]]] = [
    [{"type": "tool_use", "id": "toolu_01Lamp", "name": "oil_left", "input": {"lamp": 7}}],
    [{"type": "text", "text": "Lamp 7 has four litres of oil left."}],
    [{"type": "text", "text": "It burns one litre a night, so for four nights."}],
    [{"type": "text", "text": "Wipe its glass first."}],
]

_HOUR: Final = {"type": "ephemeral", "ttl": "1h"}
_SHORT: Final = {"type": "ephemeral"}

_SAID: Final[list[list[dict[str, Any]]]] = [
    [{"type": "text", "text": "How much oil is left in lamp 7?"}],
    [{"type": "tool_result", "tool_use_id": "toolu_01Lamp", "content": "4 litres"}],
    [{"type": "text", "text": "For how many nights is that enough?"}],
    [{"type": "text", "text": "And what must I do before I light it?"}],
]


def _bodies() -> list[dict[str, Any]]:
    """Return the calls as they are sent, each with all that was said before."""
    bodies = []
    messages: list[dict[str, Any]] = []
    for said, answer in zip(_SAID, ANSWERS, strict=True):
        messages.append({"role": "user", "content": said})
        sent = copy.deepcopy(messages)
        sent[-1]["content"][-1]["cache_control"] = _SHORT
        tools = copy.deepcopy(TOOLS)
        tools[-1]["cache_control"] = _HOUR
        bodies.append(
            {
                "model": MODEL,
                "max_tokens": 200,
                "system": [{"type": "text", "text": SYSTEM, "cache_control": _HOUR}],
                "tools": tools,
                "messages": sent,
            }
        )
        messages.append({"role": "assistant", "content": answer})
    return bodies


#: The bodies of its four calls, in order.
BODIES: Final = _bodies()
