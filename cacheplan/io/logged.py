"""A call of the Messages API as logs keep it: its body, its answer, its time.

Readers differ in where these stand. What they look like, and what of them must go no
further, is said here once: keys and names of people are dropped, members of bodies are
passed on as they are, and what is no call of ours is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from cacheplan import facts
from cacheplan.billing import Answer
from cacheplan.conversations import MEMBERS
from cacheplan.errors import InputError
from cacheplan.io.tally import Tally
from cacheplan.io.watching import parts, taken
from cacheplan.strict_json import array, member, members, number, quoted, typed

__all__ = [
    "COUNTING",
    "FOREIGN",
    "OTHERS",
    "UNKEPT",
    "UNSURE",
    "Asked",
    "asked",
    "batched",
    "heard",
    "moment",
    "named",
    "replied",
    "unwrapped",
    "within",
]

OTHERS: Final = "calls of other providers, left out"
UNSURE: Final = "usage whose input may or may not hold what was cached, taken to hold it"
FOREIGN: Final = "calls to Claude in the form of another API, left out"
COUNTING: Final = "calls that only count tokens, left out"
UNKEPT: Final = "calls whose body was not exported, left out"
_UNREAD: Final = "answers that could not be read, so that nobody knows what was billed"
_BATCHED: Final = "requests of Message Batches, whose results are not in this log, left out"

#: Members of a body that are passed on. ``metadata`` decides no prefix and may name people;
#: what the API does not know is beside the body only, and may be keys, cookies or addresses.
_KEPT: Final = MEMBERS - {"metadata"}
#: By the first word of a gateway's name for a model: where it sends it.
_GATEWAYS: Final = {
    "bedrock": "bedrock",
    "vertex_ai": "google",
    "vertex": "google",
    "azure_ai": "foundry",
}
_COUNTERS: Final = ("input_tokens", "output_tokens", "cache_read_input_tokens")
#: Too many digits for a day, which Python takes some for all the same, and a time after it.
_COUNTED: Final = re.compile(r"\d{9,}(?:\.\d*)?", re.ASCII)
#: Seconds of a time that lies behind the year 5000: it was meant in smaller units.
_SECONDS: Final = 10**11
_FAILED: Final = 400


class Asked(NamedTuple):
    """What was sent: the body, and the platform where its model's name tells it."""

    body: msgspec.Raw
    platform: str | None


def named(model: str) -> tuple[str, str | None] | None:
    """Return the name that the service is told, and the platform if it tells; else ``None``.

    >>> named("bedrock/us.anthropic.claude-opus-4-6-v1:0")
    ('us.anthropic.claude-opus-4-6-v1:0', 'bedrock')
    >>> named("gpt-5.5") is None
    True
    """
    before, _, bare = model.rpartition("/")
    if facts.find(bare) is None and "claude" not in bare.lower():
        return None
    platform = _GATEWAYS.get(before.partition("/")[0])
    if platform is None and ("@" in bare or "anthropic." in bare):
        platform = "google" if "@" in bare else "bedrock"
    return bare, platform


def asked(raw: bytes | msgspec.Raw, tally: Tally, *, model: str | None = None) -> Asked | None:
    """Return a body to be passed on; ``None`` for what is none of ours, which is counted.

    ``model`` is the one that stands beside the body, where it names none itself.
    """
    found = members(raw)
    known = set(found)
    own = member(found, "model")
    told = own if isinstance(own, str) and own else model
    known_as = named(told) if told else None
    if told and known_as is None and "anthropic_version" not in found:
        tally.count(OTHERS)
        return None
    if "messages" not in found:
        tally.count(UNKEPT)
        return None
    name, platform = known_as or (told, None)
    if name is not None and name != own:
        found = {"model": msgspec.Raw(msgspec.json.encode(name))} | found
        found["model"] = msgspec.Raw(msgspec.json.encode(name))
    for key in known - _KEPT:
        del found[key]
    changed = _without_tokens(found) or found.keys() != known or name != own
    return Asked(_on_one_line(msgspec.json.encode(found) if changed else bytes(raw)), platform)


def _without_tokens(found: dict[str, msgspec.Raw]) -> bool:
    """Drop the keys to servers of tools, in place; tell whether there were any."""
    servers = member(found, "mcp_servers")
    if not isinstance(servers, list):
        return False
    kept = [
        {key: part for key, part in each.items() if key != "authorization_token"}
        if isinstance(each, dict)
        else each
        for each in servers
    ]
    found["mcp_servers"] = msgspec.Raw(msgspec.json.encode(kept))
    return kept != servers


def _on_one_line(body: bytes) -> msgspec.Raw:
    """Return a body without line ends: what it becomes part of is a line."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"byte {error.start + 1} is not UTF-8") from error
    if b"\n" in body or b"\r" in body:
        body = msgspec.json.format(body, indent=-1)
    return msgspec.Raw(body)


def batched(raw: bytes | msgspec.Raw, tally: Tally) -> None:
    """Count the requests of a body that makes a batch: one answer never has their results."""
    found = members(raw)
    tally.count(_BATCHED, len(array(found["requests"])) if "requests" in found else 1)


def heard(content: bytes, tally: Tally, kind: str = "") -> Answer:
    """Read an answer in one piece, as server-sent events or in Amazon's frames.

    ``kind`` is its media type; most logs keep none, and events are told from JSON anyway.
    """
    answer, text, kind = Answer(), content.strip(), kind.partition(";")[0].strip().lower()
    if text.startswith((b"event:", b"data:", b":")):
        kind = "text/event-stream"
    try:
        for part in parts(kind, text):
            taken(answer, part, event=kind.endswith("stream"))
    except (ValueError, RecursionError):
        # Cut off, or a page of some proxy in between.
        if answer.counters is None:
            tally.count(_UNREAD)
    return answer


def replied(answer: Answer, status: int | None = None) -> dict[str, Any] | None:
    """Return what a line says of an answer; ``None`` where nothing is known of it.

    Of an error only its kind is kept: its message may repeat a key or the prompt.
    """
    if answer.error is not None or (status is not None and status >= _FAILED):
        kind = answer.error or f"http_{status}"
        return {"type": "error", "error": {"type": kind}}
    counters = answer.counters or {}
    said: dict[str, Any] = {"id": answer.message_id} if answer.message_id else {}
    if any(key in counters for key in _COUNTERS):
        said["usage"] = counters
    return said or None


def unwrapped(raw: bytes | msgspec.Raw) -> bytes:
    """Return what stands in a member, which may be JSON written as text once more.

    >>> unwrapped(b'"{}"'), unwrapped(b"{}"), unwrapped(b"null")
    (b'{}', b'{}', b'')
    """
    found = bytes(raw)
    if found[:1] == b'"':
        return typed(found, _TEXT).encode()
    return b"" if found == b"null" else found


_TEXT: Final = msgspec.json.Decoder(str)


@contextmanager
def within(*steps: str) -> Iterator[None]:
    """Let what is wrong with a member of an entry say which it is."""
    try:
        yield
    except InputError as error:
        for step in reversed(steps):
            error = error.within(step)
        raise error from error.__cause__


def moment(found: Any) -> float | str:
    """Return a time as lines tell it: seconds, or RFC 3339 with its zone.

    Times without a zone are UTC. Numbers that are no seconds of any year to come are
    thousandths of them, millionths, or billionths.

    >>> moment("2026-11-21 09:00:00.250"), moment(1795251600250)
    ('2026-11-21T09:00:00.250000+00:00', 1795251600.25)
    """
    if isinstance(found, str):
        if _COUNTED.fullmatch(found.strip()):
            return moment(_digits(found))
        try:
            when = datetime.fromisoformat(found.strip().upper())
        except ValueError:
            return moment(_digits(found))
        return when.replace(tzinfo=when.tzinfo or UTC).isoformat()
    seconds = number(found)
    for _ in range(3):
        if abs(seconds) < _SECONDS:
            break
        seconds /= 1000
    if abs(seconds) >= _SECONDS:
        raise InputError(f"{quoted(found)} is no time")
    return seconds


def _digits(found: str) -> float:
    """Read a number that is written as text."""
    try:
        seconds = float(found)
    except ValueError:
        seconds = float("nan")
    if seconds != seconds or abs(seconds) == float("inf"):  # noqa: PLR0124 -- what is no number
        raise InputError(f"{quoted(found)} is neither seconds nor an RFC 3339 time")
    return seconds
