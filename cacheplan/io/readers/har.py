"""HTTP archives (HAR 1.2): what a browser's network tab saves, and ``mitmdump``'s hardump.

Every request that passed stands in ``log.entries``, bodies as text, headers and cookies
beside them: a key is in almost every entry, and nothing is read of headers but the three
names below. Read with what mitmproxy 11.0.2 and Playwright 1.65.1 save (2026-11-21).

* Calls are known by their path, whatever the host: gateways have the API's own. Bedrock's
  ``invoke`` and Google's ``rawPredict`` name the model in the path.
* An answer is JSON, server-sent events as they came, or base64 of either, or of Amazon's
  frames. A browser may keep none; what was billed is not known then.
* What was not answered has status 0, or -1; refused calls and overloads stand like others.
* A browser's times before the first byte are six, of which any may be -1 or be left out,
  and ``ssl`` is part of ``connect``. mitmproxy's begin when it was asked, so that
  ``connect`` lies inside of ``wait``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from cacheplan.errors import InputError
from cacheplan.io.documents import File, Head, records
from cacheplan.io.fake.routes import Route, route
from cacheplan.io.hosts import host_and_path, platform_at
from cacheplan.io.logged import (
    COUNTING,
    FOREIGN,
    OTHERS,
    UNKEPT,
    Asked,
    asked,
    batched,
    heard,
    moment,
    named,
    replied,
    within,
)
from cacheplan.io.tally import Tally
from cacheplan.strict_json import member, members, typed

__all__ = ["LACKS", "NAME", "WHAT", "matches", "read"]

NAME: Final = "har"
WHAT: Final = "HTTP archives: a browser's network log, or mitmproxy's hardump"
LACKS: Final = frozenset[str]()

_ELSE: Final = "requests that are no calls of a model, left out"
#: How the paths of calls end that are made through another API.
_CHATS: Final = (
    "/completions",
    "/responses",
    "/embeddings",
    "ateContent",
    "/converse",
    "/converse-stream",
)
#: The headers that name a call, and the one that names its workspace.
_IDS: Final = ("request-id", "x-amzn-requestid")
_WORKSPACE: Final = "anthropic-workspace-id"


class _Header(msgspec.Struct, rename="camel"):
    """One header; of most not even the name is looked at."""

    name: str
    value: str


class _Posted(msgspec.Struct, rename="camel"):
    """A body that was sent."""

    text: str | None = None
    encoding: str | None = None


class _Request(msgspec.Struct, rename="camel"):
    """What was sent."""

    method: str
    url: str
    headers: list[_Header] = []
    post_data: _Posted | None = None


class _Content(msgspec.Struct, rename="camel"):
    """A body that came back."""

    mime_type: str | None = None
    text: str | None = None
    encoding: str | None = None


class _Response(msgspec.Struct, rename="camel"):
    """What came back; without a status, nothing did."""

    status: int = 0
    headers: list[_Header] = []
    content: _Content = msgspec.field(default_factory=_Content)


class _Timings(msgspec.Struct, rename="camel"):
    """How long each step took, in milliseconds."""

    blocked: float | None = None
    dns: float | None = None
    connect: float | None = None
    send: float | None = None
    wait: float | None = None


class _Entry(msgspec.Struct, rename="camel"):
    """One exchange."""

    request: _Request
    started_date_time: str | float | None = None
    response: _Response = msgspec.field(default_factory=_Response)
    timings: _Timings = msgspec.field(default_factory=_Timings)


_ENTRIES: Final = msgspec.json.Decoder(_Entry)


def matches(head: Head) -> bool:
    """Tell an archive by where its entries are."""
    return head.has("log.entries") and not head.has("resourceSpans")


def read(file: File, tally: Tally) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the calls to Claude."""
    for record in records(file, tally, "log.entries"):
        with tally.reading(file.name, record):
            line = _line(typed(record.raw, _ENTRIES), tally)
            if line is not None:
                yield record.number, line


def _line(entry: _Entry, tally: Tally) -> dict[str, Any] | None:
    """Return the call of one entry; ``None`` where it is none, which is counted."""
    host, path = host_and_path(entry.request.url)
    way = route(entry.request.method.upper(), path)
    sent = _asked(entry.request, path, way, tally)
    if sent is None or way is None:
        return None
    platform = platform_at(host) or (way.platform if way.name else None) or sent.platform
    response = _response(entry.response, tally)
    waited = _waited(entry.timings)
    known_as = _header(entry.response.headers, *_IDS)
    workspace = _header(entry.request.headers, _WORKSPACE)
    return {
        "at": _at(entry),
        "request": sent.body,
        **({"id": known_as} if known_as else {}),
        **({"workspace": workspace} if workspace else {}),
        **({"platform": platform} if platform else {}),
        **({"first_token_after": waited} if waited is not None else {}),
        **({"response": response} if response else {}),
    }


def _asked(request: _Request, path: str, way: Route | None, tally: Tally) -> Asked | None:
    """Return the body of a call; ``None`` for what is none of ours, which is counted."""
    operation = way.operation if way else ""
    body = _content(request.post_data)
    if operation == "count":
        tally.count(COUNTING)
    elif operation not in ("create", "batch-create"):
        tally.count(_what(request, path, body))
    elif not body:
        tally.count(UNKEPT)
    else:
        with within("request", "postData", "text"):
            if way and operation == "create":
                return asked(body, tally, model=way.name or None)
            batched(body, tally)
    return None


def _what(request: _Request, path: str, body: bytes) -> str:
    """Say what a request is that is none of the API's."""
    if request.method != "POST" or not path.endswith(_CHATS):
        return _ELSE
    try:
        model = member(members(body), "model")
    except InputError:
        model = None
    # Bedrock's Converse names its model in the path.
    told = model if isinstance(model, str) else unquote(path).rpartition("/")[0]
    return OTHERS if named(told) is None else FOREIGN


def _content(found: _Posted | _Content | None) -> bytes:
    """Return the bytes of a body; nothing where none were kept."""
    if found is None or not found.text:
        return b""
    if found.encoding != "base64":
        return found.text.encode()
    try:
        return base64.b64decode(found.text)
    except (binascii.Error, ValueError) as error:
        raise InputError("this is not base64", ("text",)) from error


def _at(entry: _Entry) -> float | str:
    """Return when the call was sent."""
    with within("startedDateTime"):
        return moment(entry.started_date_time)


def _response(response: _Response, tally: Tally) -> dict[str, Any] | None:
    """Return what a line says of the answer."""
    if response.status <= 0:
        return {"type": "error", "error": {"type": "aborted"}}
    with within("response", "content"):
        content = _content(response.content)
    kind = response.content.mime_type or ""
    return replied(heard(content or b"{}", tally, kind), response.status)


def _waited(timings: _Timings) -> float | None:
    """Return the seconds until the first byte came back."""
    if timings.wait is None or timings.wait < 0:
        return None
    before = [timings.send]
    if timings.blocked is not None or timings.dns is not None:  # a browser's
        before += [timings.blocked, timings.dns, timings.connect]
    return (timings.wait + sum(part for part in before if part and part > 0)) / 1000


def _header(headers: list[_Header], *names: str) -> str | None:
    """Return one of a few headers."""
    return next((each.value for each in headers if each.name.lower() in names), None)
