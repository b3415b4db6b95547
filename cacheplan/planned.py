"""The planned form: one request and its frequency become calls over a day.

Nothing was sent yet, so times are drawn and what varies is made different on every
call, at its own length. The same seed gives the same calls.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from cacheplan.arrivals import ARRIVALS, Dice
from cacheplan.errors import InputError
from cacheplan.strict_json import value

__all__ = ["Planned", "expand", "planned"]

#: Text from here on is another one on every call.
_PLACEHOLDER: Final = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")
_STEP: Final = re.compile(r"(?:^|\.)([A-Za-z_]\w*)|\[(\d+)\]")
#: What a variable part is filled with: about two tokens a word under either tokenizer.
_FILLER: Final = "variable "


class Planned(NamedTuple):
    """One planned line, checked."""

    #: What every call of it says besides its time and prompt.
    line: Mapping[str, Any]
    body: Mapping[str, Any]
    calls_per_hour: float
    arrivals: str
    hours: float
    varies: tuple[tuple[str | int, ...], ...]
    turns: int
    turn_gap: float
    turn_tokens: int
    number: int


def planned(parts: Mapping[str, msgspec.Raw], line: Mapping[str, Any], number: int) -> Planned:
    """Read the keys of a planned line; ``line`` is what all forms have in common."""

    def read(key: str, default: float, least: float) -> float:
        return _number(parts, key, default, least)

    arrivals = value(parts["arrivals"]) if "arrivals" in parts else "poisson"
    if arrivals not in ARRIVALS:
        raise InputError(f'"{arrivals}" is not {", ".join(ARRIVALS)}', ("arrivals",))
    try:
        body = value(parts["request"])
    except InputError as error:
        raise error.within("request") from error
    if not isinstance(body, Mapping):
        raise InputError("this is not an object", ("request",))
    return Planned(
        line=line,
        body=body,
        calls_per_hour=read("calls_per_hour", 0, 0),
        arrivals=arrivals,
        hours=read("hours", 24, 0),
        varies=_varies(parts, body),
        turns=int(read("turns", 1, 1)),
        turn_gap=read("turn_gap", 30, 0),
        turn_tokens=int(read("turn_tokens", 500, 1)),
        number=number,
    )


def expand(plan: Planned, seed: int) -> Iterator[tuple[Mapping[str, Any], bytes]]:
    """Yield the calls of a planned line: what stands beside the request, and the request."""
    if not plan.calls_per_hour or not plan.hours:
        return
    dice = Dice(seed * 1_000_003 + plan.number)
    starts = ARRIVALS[plan.arrivals](plan.calls_per_hour, plan.hours, dice)
    for conversation, start in enumerate(starts):
        body = json.loads(json.dumps(plan.body))
        _vary(body, plan.varies, f"{plan.number}.{conversation}")
        for turn in range(plan.turns):
            if turn:
                _take_turn(body, plan, f"{plan.number}.{conversation}.{turn}")
            at = start + turn * plan.turn_gap
            session = plan.line["session"] or f"planned/{plan.number}/{conversation}"
            yield {**plan.line, "at": at, "session": session}, json.dumps(body).encode()


def _take_turn(body: dict[str, Any], plan: Planned, name: str) -> None:
    """Append an answer and the next question, together ``turn_tokens`` long."""
    words = max(plan.turn_tokens // 2, 1)
    said = f"{name} " + _FILLER * words
    body["messages"] += [
        {"role": "assistant", "content": [{"type": "text", "text": "a " + said}]},
        {"role": "user", "content": [{"type": "text", "text": "q " + said}]},
    ]


def _varies(
    parts: Mapping[str, msgspec.Raw], body: Mapping[str, Any]
) -> tuple[tuple[str | int, ...], ...]:
    """Return the places that differ on every call, each checked to exist."""
    listed = value(parts["varies"]) if "varies" in parts else []
    if not isinstance(listed, list):
        raise InputError("this is not a list of places", ("varies",))
    places = []
    for at, text in enumerate(listed):
        if not isinstance(text, str):
            raise InputError("this is not a place", ("varies", at))
        steps = tuple(int(index) if index else name for name, index in _STEP.findall(text))
        if not steps or _STEP.sub("", text):
            raise InputError(f'"{text}" is not a place such as messages[0].content[1]', ("varies", at))
        try:
            _at(body, steps)
        except (LookupError, TypeError) as error:
            raise InputError(f"the request has no {text}", ("varies", at)) from error
        places.append(steps)
    return tuple(places)


def _at(holder: Any, steps: tuple[str | int, ...]) -> Any:
    for step in steps:
        holder = holder[step]
    return holder


def _vary(body: Any, varies: tuple[tuple[str | int, ...], ...], name: str) -> None:
    """Make the listed places, and text from its first placeholder on, differ."""
    for steps in varies:
        holder = _at(body, steps[:-1])
        holder[steps[-1]] = _varied(holder[steps[-1]], name)
    _fill(body, name)


def _varied(part: Any, name: str) -> Any:
    """Return a part with its texts changed and its shape and length kept."""
    if isinstance(part, str):
        return (f"{name} " + part)[: max(len(part), len(name))]
    if isinstance(part, list):
        return [_varied(item, name) for item in part]
    if isinstance(part, dict):
        kept = {"type", "role", "cache_control", "name", "id", "tool_use_id", "media_type"}
        return {key: item if key in kept else _varied(item, name) for key, item in part.items()}
    return part


def _fill(part: Any, name: str) -> None:
    """Replace placeholders everywhere inside a body."""
    steps = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, item in list(steps):
        if isinstance(item, str):
            part[key] = _PLACEHOLDER.sub(lambda found: f"{found[1]} {name}", item)
        else:
            _fill(item, name)


def _number(parts: Mapping[str, msgspec.Raw], key: str, default: float, least: float) -> float:
    """Return a member that is a number of at least ``least``."""
    found = value(parts[key]) if key in parts else default
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise InputError("this is not a number", (key,))
    if found < least:
        raise InputError(f"{found:g} is less than {least:g}", (key,))
    return found
