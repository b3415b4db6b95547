"""Bodies of Messages calls as people log them themselves, with answers or without.

There is no such format, only habits (looked through 2026-11), and these are read:

* a body alone: ``model`` and ``messages`` at the top of a line, or of a document;
* a body and its answer side by side: ``request`` and ``response``, ``body`` and
  ``response``, ``input`` and ``output``; or one level deeper, where the HTTP exchange is
  logged (``{"request": {"url": …, "headers": …, "body": {…}}, "response": {"body": …}}``);
* the answer as the message, as the events of its stream, or as their text; or ``usage``
  alone beside the body.

The time is whatever is named as one (``timestamp``, ``ts``, ``time``, ``created_at``, …).
Without one, calls are taken to be a second apart in the order of the file, which tells
nothing about lifetimes: such lines lack ``times``. Headers are never looked at, nor are
ids: in logs of one's own they name as often what several calls were for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from cacheplan.billing import Answer
from cacheplan.io.documents import File, Head, records
from cacheplan.io.fake.routes import Route, route
from cacheplan.io.hosts import host_and_path, platform_at
from cacheplan.io.logged import (
    COUNTING,
    FOREIGN,
    Asked,
    asked,
    batched,
    heard,
    moment,
    replied,
    unwrapped,
    within,
)
from cacheplan.io.tally import Tally
from cacheplan.strict_json import member, members, value

__all__ = ["LACKS", "NAME", "WHAT", "matches", "read"]

NAME: Final = "bodies"
WHAT: Final = "bodies of Messages calls, one a line or a document, with answers or without"
LACKS: Final = frozenset[str]()

#: Where a body and an answer stand, the surest first.
_ASKED: Final = ("request", "body", "input")
_SAID: Final = ("response", "output")
_TIMES: Final = (
    "at", "timestamp", "ts", "time", "created_at", "started_at", "start_time", "logged_at", "date",
)  # fmt: skip
#: What may stand at the top beside the members of a body.
_BESIDE: Final = frozenset({*_SAID, *_TIMES, "usage", "id", "session", "session_id"})
_SESSIONS: Final = ("session", "session_id", "conversation_id")
#: Members that other formats have beside a body: the contract's own, Message Batches,
#: LiteLLM, Langfuse, LangSmith, Helicone, spans, Bedrock's logs and Claude Code's.
_ELSEWHERE: Final = frozenset({
    "at", "calls_per_hour", "blocks", "extends", "custom_id", "requests", "call_type",
    "litellm_call_id", "traceId", "trace_id", "run_type", "request_created_at", "context",
    "resourceSpans", "attributes", "modelId", "sessionId", "uuid", "log",
})  # fmt: skip
_NONE: Final = "entries without the body of a call, left out"
_TIMELESS: Final = "calls without a time, taken to be a second apart in the order of the file"

_Parts = Mapping[str, msgspec.Raw]


def matches(head: Head) -> bool:
    """Tell bodies by what every one of them has, beside nothing of another format."""
    inside = ("", "request.body.", *(f"{name}." for name in _ASKED))
    return head.paths.isdisjoint(_ELSEWHERE) and any(
        head.has(f"{within}model", f"{within}messages") for within in inside
    )


def read(file: File, tally: Tally) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the calls to Claude."""
    for record in records(file, tally, "calls", "data", "entries"):
        with tally.reading(file.name, record):
            line = _line(members(record.raw), record.number, tally)
            if line is not None:
                yield record.number, line


class _Exchange(NamedTuple):
    """What was sent, and the HTTP request around it where that is logged."""

    body: bytes | msgspec.Raw
    http: _Parts


def _line(entry: _Parts, number: int, tally: Tally) -> dict[str, Any] | None:
    """Return the call of one entry; ``None`` where it is none, which is counted."""
    found = _exchange(entry)
    if found is None:
        tally.count(_NONE)
        return None
    host, path = host_and_path(_text(found.http, "url") or "")
    sent = _asked(found.body, route("POST", path), tally)
    if sent is None:
        return None
    answer = _answer(entry, tally)
    if answer is None:
        tally.count(FOREIGN)
        return None
    at = _time((entry, found.http))
    if at is None:
        tally.count(_TIMELESS)
    response = replied(answer, _status(entry))
    session = next((text for key in _SESSIONS if (text := _text(entry, key))), None)
    platform = platform_at(host) or sent.platform
    return {
        "at": number if at is None else at,
        "request": sent.body,
        **({"session": session} if session else {}),
        **({"platform": platform} if platform else {}),
        **({"response": response} if response else {}),
        **({"lacks": ["times"]} if at is None else {}),
    }


def _exchange(entry: _Parts) -> _Exchange | None:
    """Find the body of an entry; ``None`` where it has none."""
    if "messages" in entry:
        kept = {key: part for key, part in entry.items() if key not in _BESIDE}
        return _Exchange(msgspec.json.encode(kept), {})
    for name in _ASKED:
        with within(name):
            body = unwrapped(entry.get(name, b"null"))
            inner = members(body) if body[:1] == b"{" else {}
            deeper = unwrapped(inner.get("body", b"null"))
            held = members(deeper) if deeper[:1] == b"{" else {}
        if "messages" in inner:
            return _Exchange(body, {})
        if "messages" in held or "requests" in held:
            return _Exchange(deeper, inner)
    return None


def _asked(body: bytes | msgspec.Raw, way: Route | None, tally: Tally) -> Asked | None:
    """Return the body that is passed on; ``None`` for another use of it, which is counted."""
    operation = way.operation if way else "create"
    if operation == "count":
        tally.count(COUNTING)
    elif operation == "batch-create":
        batched(body, tally)
    else:
        return asked(body, tally, model=way.name if way else None)
    return None


def _answer(entry: _Parts, tally: Tally) -> Answer | None:
    """Read what came back; ``None`` where it is in the form of another API."""
    for name in _SAID:
        found = unwrapped(entry.get(name, b"null"))
        inner = members(found) if found[:1] == b"{" else {}
        if "usage" not in inner:
            # The answer of an HTTP exchange: its body, or the text of its stream.
            held = (unwrapped(inner.get(key, b"null")) for key in ("body", "body_raw"))
            found = next(filter(None, held), found)
        if found[:1] == b"[":
            answer = Answer()
            for event in value(found):
                answer.event(event)
            return answer
        if found:
            foreign = found[:1] == b"{" and "choices" in members(found)
            return None if foreign else heard(found, tally)
    answer = Answer()
    answer.take({"usage": member(entry, "usage")})
    return answer


def _status(entry: _Parts) -> int | None:
    """Return the status that an answer came with, where it is logged."""
    found = unwrapped(entry.get("response", b"null"))
    for holder in (members(found) if found[:1] == b"{" else {}, entry):
        for key in ("status", "status_code"):
            status = member(holder, key)
            if isinstance(status, int) and not isinstance(status, bool):
                return status
    return None


def _time(holders: Iterable[_Parts]) -> float | str | None:
    """Return when a call was sent; ``None`` where nothing says so."""
    for holder in holders:
        for key in _TIMES:
            found = member(holder, key)
            if found is not None:
                with within(key):
                    return moment(found)
    return None


def _text(holder: _Parts, key: str) -> str | None:
    """Return a text that may be there."""
    found = member(holder, key)
    return found if isinstance(found, str) and found else None
