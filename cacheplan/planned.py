"""The planned form: one request and its frequency become calls over a day.

Nothing was sent yet, so times are drawn and what varies is made different on every
call, at its own length. The same seed gives the same calls.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple
from zlib import crc32

import msgspec

from cacheplan.arrivals import ARRIVALS, Dice
from cacheplan.errors import InputError
from cacheplan.strict_json import member, number, quoted

__all__ = ["Planned", "expand", "planned"]

#: Text from here on is another one on every call.
_PLACEHOLDER: Final = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")
_STEP: Final = re.compile(r"(?:^|\.)([A-Za-z_]\w*)|\[(\d+)\]")
#: What the turns of a conversation are filled with.
_FILLER: Final = "variable "
#: How many of them are counted to learn the length of one.
_SAMPLE: Final = 200
#: A line that plans more calls is more likely a slip than a plan: it is a call every
#: second for four months, and each takes about a kilobyte.
_CALLS: Final = 10_000_000


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


def planned(parts: Mapping[str, msgspec.Raw], line: Mapping[str, Any], at: int) -> Planned:
    """Read the keys of a planned line, the ``at``-th of its kind.

    ``line`` is what all forms have in common.
    """
    arrivals = member(parts, "arrivals") or "poisson"
    if not isinstance(arrivals, str) or arrivals not in ARRIVALS:
        raise InputError(f"{quoted(arrivals)} is not {', '.join(ARRIVALS)}", ("arrivals",))
    body = _body(parts)
    plan = Planned(
        line=line,
        body=body,
        calls_per_hour=_number(parts, "calls_per_hour", 0, 0),
        arrivals=arrivals,
        hours=_number(parts, "hours", 24, 0),
        varies=_varies(parts, body),
        turns=_whole(parts, "turns", 1),
        turn_gap=_number(parts, "turn_gap", 30, 0),
        turn_tokens=_whole(parts, "turn_tokens", 500),
        number=at,
    )
    if plan.calls_per_hour * plan.hours * plan.turns > _CALLS:
        raise InputError(f"more than {_CALLS:,} calls; plan fewer hours", ("calls_per_hour",))
    _vary(_copy(body), plan.varies, "")  # what goes wrong goes wrong on the line itself
    return plan


def _copy(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body whose every part may be changed."""
    copy: dict[str, Any] = json.loads(json.dumps(body))
    return copy


def _body(parts: Mapping[str, msgspec.Raw]) -> Mapping[str, Any]:
    """Decode the request; its turns go where its messages are."""
    body = member(parts, "request")
    if not isinstance(body, dict):
        raise InputError("this is not an object", ("request",))
    if not isinstance(body.get("messages"), list):
        raise InputError("missing, or not a list", ("request", "messages"))
    return body


def expand(
    plan: Planned,
    seed: int,
    measure: Callable[[Sequence[str]], Sequence[int]],
    begin: float = 0.0,
) -> Iterator[tuple[Mapping[str, Any], bytes]]:
    """Yield the calls of a planned line: what stands beside the request, and the request.

    ``measure`` says how long messages of some texts are, and is asked at most twice. The
    line is sent from ``begin`` on.
    """
    if not plan.calls_per_hour or not plan.hours:
        return
    words = _words(plan, measure) if plan.turns > 1 else 0
    dice = Dice(seed * 1_000_003 + plan.number)
    starts = ARRIVALS[plan.arrivals](plan.calls_per_hour, plan.hours, dice)
    for conversation, start in enumerate(starts):
        body = _copy(plan.body)
        name = f"{plan.number}.{conversation}"
        _vary(body, plan.varies, name)
        session = plan.line["session"] or f"planned/{plan.number}/{conversation}"
        for turn in range(plan.turns):
            if turn:
                body["messages"] += _turn(f"{name}.{turn}", words)
            at = begin + start + turn * plan.turn_gap
            yield {**plan.line, "at": at, "session": session}, json.dumps(body).encode()


def _turn(name: str, words: int) -> list[dict[str, Any]]:
    """Return an answer and the next question, as long as each other."""
    return [
        {"role": role, "content": [{"type": "text", "text": _said(role, name, words)}]}
        for role in ("assistant", "user")
    ]


def _said(role: str, name: str, words: int) -> str:
    """Return text that nobody else says."""
    return f"{role} {name} " + _FILLER * words


def _words(plan: Planned, measure: Callable[[Sequence[str]], Sequence[int]]) -> int:
    """Return how many words make half a turn ``turn_tokens`` / 2 long.

    Lengths are nearly a line, so two points of it give the number, and a third, where the
    first two lead, what it is off by in short texts. A turn cannot be shorter than the
    name that tells it apart.
    """
    name, half = f"{plan.number}.0.1", plan.turn_tokens / 2
    none, some = measure([_said("assistant", name, words) for words in (0, _SAMPLE)])
    a_word = max(some - none, 1) / _SAMPLE
    words = max(round((half - none) / a_word), 0)
    (found,) = measure([_said("assistant", name, words)])
    return max(words + round((half - found) / a_word), 0)


def _varies(
    parts: Mapping[str, msgspec.Raw], body: Mapping[str, Any]
) -> tuple[tuple[str | int, ...], ...]:
    """Return the places that differ on every call, each checked to exist."""
    listed = member(parts, "varies")
    if listed is None:
        return ()
    if not isinstance(listed, list):
        raise InputError("this is not a list of places", ("varies",))
    places = []
    for at, text in enumerate(listed):
        if not isinstance(text, str):
            raise InputError("this is not a place", ("varies", at))
        steps = tuple(int(index) if index else name for name, index in _STEP.findall(text))
        if not steps or _STEP.sub("", text):
            what = f"{quoted(text)} is not a place such as messages[0].content[1]"
            raise InputError(what, ("varies", at))
        try:
            _at(body, steps)
        except (LookupError, TypeError) as error:
            raise InputError(f"the request has no {quoted(text)}", ("varies", at)) from error
        places.append(steps)
    return tuple(places)


def _at(holder: Any, steps: tuple[str | int, ...]) -> Any:
    """Follow a place; a letter of a text is none."""
    for step in steps:
        if isinstance(holder, str):
            raise TypeError
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
        words = part.split(" ")
        # Turned around, so that no two of them are one text with a number in front.
        turn = crc32(name.encode()) % len(words)
        turned = " ".join([*words[turn:], *words[:turn]])
        return f"{name} {turned}"[: max(len(part), len(name))]
    if isinstance(part, list):
        return [_varied(item, name) for item in part]
    if isinstance(part, dict):
        kept = {"type", "role", "cache_control", "name", "id", "tool_use_id", "media_type"}
        return {key: item if key in kept else _varied(item, name) for key, item in part.items()}
    return part


def _fill(part: Any, name: str) -> None:
    """Replace placeholders everywhere inside a body."""
    steps: list[tuple[Any, Any]] = []
    if isinstance(part, dict):
        steps = list(part.items())
    elif isinstance(part, list):
        steps = list(enumerate(part))
    for key, item in steps:
        if isinstance(item, str):
            part[key] = _PLACEHOLDER.sub(lambda found: f"{found[1]} {name}", item)
        else:
            _fill(item, name)


def _number(parts: Mapping[str, msgspec.Raw], key: str, default: float, least: float) -> float:
    """Return a member that is a number of at least ``least``."""
    given = member(parts, key)
    try:
        found = default if given is None else number(given)
    except InputError as error:
        raise error.within(key) from error
    if found < least:
        raise InputError(f"{found:g} is less than {least:g}", (key,))
    return found


def _whole(parts: Mapping[str, msgspec.Raw], key: str, default: int) -> int:
    """Return a member that is a whole number of at least 1."""
    found = _number(parts, key, default, 1)
    if found != int(found):
        raise InputError(f"{found:g} is not a whole number", (key,))
    return int(found)
