"""Helicone: what its API and its exporter hand out of its request table.

The rows of ``/v1/request/query`` and ``/v1/request/query-clickhouse`` (``HeliconeRequest``,
packages/llm-mapper/types.ts, read 2026-11): one a line, in one list, or under ``data``.
Exported with bodies, a row holds the provider's own, marks included, and the answer.

* Streams are kept merged, and beside that as they came in ``streamed_data``, which newer
  exporters cut off. The merged usage is that of the first event with the last output, and
  for models that its merger does not know there is none. So the stream is asked first, then
  the merged answer, then the row's own counts.
* The row's ``prompt_tokens`` are Anthropic's ``input_tokens``, without what was cached, and
  ``total_tokens`` is their sum with the output: it never tells the one from the other.
  What was written is not parted by lifetime there.
* Rows out of Helicone's own cache name the row that they repeat (``cache_reference_id``,
  all zeros or the row itself otherwise). Nobody was charged for them.
* Bodies are left out unless asked for: there is a link, or a sentence in their place; a
  caller's header leaves nothing but the model. Images are replaced by the name of a file.
* Behind Helicone's gateway a body is in the form of OpenAI's API, where
  ``ai_gateway_body_mapping`` (or, in older rows, the referrer) says so. It is translated as
  the gateway does it: all that the system says comes first. Newer gateways mark the last
  message where a caller marked nothing, so that nobody knows from a row which marks were
  sent; nor are settings translated here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from cacheplan.billing import Answer
from cacheplan.chat import as_body
from cacheplan.counted import exclusive
from cacheplan.errors import InputError
from cacheplan.io.documents import File, Head, records
from cacheplan.io.fake.routes import Route, route
from cacheplan.io.hosts import host_and_path, platform_at
from cacheplan.io.logged import (
    COUNTING,
    FOREIGN,
    UNKEPT,
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
from cacheplan.pieces import list_at
from cacheplan.strict_json import members, quoted, typed, value

__all__ = ["LACKS", "NAME", "WHAT", "matches", "read"]

NAME: Final = "helicone"
WHAT: Final = "Helicone's requests: its exporter's files, or what its API answers"
LACKS: Final = frozenset[str]()

#: Three of these and no others' log has; which come early depends on the exporter.
_TELLING: Final = (
    "request_created_at", "response_created_at", "request_body", "response_body",
    "response_status", "request_path", "signed_body_url", "helicone_user", "target_url",
)  # fmt: skip
_ENOUGH: Final = 3
_NOBODY: Final = "00000000-0000-0000-0000-000000000000"
_REPEATED: Final = "answers out of Helicone's own cache, left out"
#: What stands where a picture was.
_CUT: Final = (b"<helicone-asset-id", b"currently not supported within Helicone")
#: Names of providers, by Helicone's two ways to spell them, that are none of Anthropic's.
_PLATFORMS: Final[Mapping[str, str]] = {
    "aws": "bedrock",
    "bedrock": "bedrock",
    "google": "google",
    "vertex": "google",
    "azure": "foundry",
}


class _Row(msgspec.Struct):
    """The columns that are needed; numbers are text where the database wrote them."""

    request_created_at: Any = None
    request_id: str | None = None
    request_body: msgspec.Raw = msgspec.Raw(b"null")
    response_body: msgspec.Raw = msgspec.Raw(b"null")
    request_path: str | None = None
    target_url: str | None = None
    request_model: str | None = None
    model: str | None = None
    provider: str | None = None
    request_properties: Any = None
    properties: Any = None
    prompt_id: str | None = None
    response_status: Any = None
    time_to_first_token: Any = None
    prompt_tokens: Any = None
    completion_tokens: Any = None
    prompt_cache_read_tokens: Any = None
    prompt_cache_write_tokens: Any = None
    cache_reference_id: str | None = None
    ai_gateway_body_mapping: str | None = None
    request_referrer: str | None = None


_ROWS: Final = msgspec.json.Decoder(_Row)


def matches(head: Head) -> bool:
    """Tell Helicone's rows by their columns."""
    return any(
        sum(f"{within}{name}" in head.paths for name in _TELLING) >= _ENOUGH
        for within in ("", "data.")
    )


def read(file: File, tally: Tally) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the calls to Claude."""
    for record in records(file, tally, "data"):
        with tally.reading(file.name, record):
            line = _line(typed(record.raw, _ROWS), tally)
            if line is not None:
                yield record.number, line


def _line(row: _Row, tally: Tally) -> dict[str, Any] | None:
    """Return the call of one row; ``None`` where it is none, which is counted."""
    if row.cache_reference_id not in (None, "", _NOBODY, row.request_id):
        tally.count(_REPEATED)
        return None
    host, path = host_and_path(row.target_url or row.request_path or "")
    with within("request_body"):
        sent = _asked(row, route("POST", path), tally)
    if sent is None:
        return None
    translated = _form(row) == "OPENAI"
    with within("response_body"):
        answer = _answer(row, tally)
    if answer is None and translated:
        answer = Answer()
    if answer is None or _form(row) == "RESPONSES":
        tally.count(FOREIGN)
        return None
    if translated:
        with within("request_body"):
            sent = _translated(sent)
    platform = platform_at(host) or sent.platform or _PLATFORMS.get((row.provider or "").lower())
    response, lacks = _said(row, answer)
    if translated:
        lacks += ["marks", "settings"]
    if any(cut in bytes(sent.body) for cut in _CUT):
        lacks.append("text")
    return {
        "at": _at(row),
        "request": sent.body,
        **_around(row),
        **({"platform": platform} if platform else {}),
        **({"response": response} if response else {}),
        **({"lacks": sorted(lacks)} if lacks else {}),
    }


def _asked(row: _Row, way: Route | None, tally: Tally) -> Asked | None:
    """Return the body of a row; ``None`` where it has none of ours, which is counted."""
    body = _object(row.request_body)
    operation = way.operation if way else "create"
    if operation == "count":
        tally.count(COUNTING)
    elif not body or b"helicone_message" in body[:40]:
        tally.count(UNKEPT)
    elif operation == "batch-create":
        batched(body, tally)
    else:
        told = way.name if way else ""
        return asked(body, tally, model=told or row.request_model or row.model)
    return None


def _form(row: _Row) -> str:
    """Return whose form the body has, in the gateway's words; most have the provider's."""
    by_gateway = row.request_referrer == "ai-gateway"
    return row.ai_gateway_body_mapping or ("OPENAI" if by_gateway else "NO_MAPPING")


def _translated(sent: Asked) -> Asked:
    """Return what the gateway made of a body in the form of OpenAI's API."""
    body = value(sent.body)
    said = list_at(body.get("messages"), ("messages",))
    system = [each for each in said if _by_system(each)]
    others = [each for each in said if not _by_system(each)]
    made = as_body(str(body.get("model")), [*system, *others], body.get("tools"))
    return sent._replace(body=msgspec.Raw(msgspec.json.encode(made)))


def _by_system(message: Any) -> bool:
    """Tell whether the system says this."""
    return isinstance(message, dict) and message.get("role") == "system"


def _at(row: _Row) -> float | str:
    """Return when the call was sent."""
    with within("request_created_at"):
        return moment(row.request_created_at)


def _around(row: _Row) -> dict[str, Any]:
    """Return what a row says of who called, without names of people."""
    around: dict[str, Any] = {}
    if row.request_id:
        around["id"] = row.request_id
    for found in (row.request_properties, row.properties):
        for name, said in found.items() if isinstance(found, dict) else ():
            if name.lower() == "helicone-session-id" and isinstance(said, str) and said:
                around["session"] = said
    if row.prompt_id:
        around["label"] = row.prompt_id
    wait = _number(row, "time_to_first_token")
    if wait > 0:
        around["first_token_after"] = wait / 1000
    return around


def _object(raw: msgspec.Raw) -> bytes:
    """Return a body; nothing where there is none, or text that is only there to be searched."""
    found = unwrapped(raw).strip()
    return found if found[:1] == b"{" and found != b"{}" else b""


def _answer(row: _Row, tally: Tally) -> Answer | None:
    """Read what came back; ``None`` where it is in the form of another API."""
    body = _object(row.response_body)
    if not body:
        return Answer()
    found = members(body)
    if "choices" in found:
        return None
    streamed = unwrapped(found.get("streamed_data", b"null"))
    if streamed[:1] not in (b"", b"["):
        answer = heard(streamed, tally, "text/event-stream")
        if answer.counters is not None or answer.error is not None:
            return answer
    return heard(body, tally)


def _said(row: _Row, answer: Answer) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the answer of a line, and what it lacks; the row's own counts come last."""
    status = _number(row, "response_status")
    response = replied(answer, int(status))
    if response is not None and ("usage" in response or "error" in response):
        return response, []
    written = int(_number(row, "prompt_cache_write_tokens"))
    usage = exclusive(
        int(_number(row, "prompt_tokens")),
        int(_number(row, "completion_tokens")),
        read=int(_number(row, "prompt_cache_read_tokens")),
        written=written,
    )
    if not any(usage.values()):
        return response, []
    return {**(response or {}), "usage": usage}, ["lifetimes"] if written else []


def _number(row: _Row, name: str) -> float:
    """Read a number of a row; null, or left out, is none."""
    found = getattr(row, name)
    if found is None or found == "":
        return 0
    try:
        number = float(found) if isinstance(found, int | float | str) else None
    except (ValueError, OverflowError):
        number = None
    if number is None or isinstance(found, bool) or not abs(number) < _MOST:
        raise InputError(f"{quoted(found)} is not a number", (name,))
    return number


#: Above any count or time there is; from here on numbers are not exact.
_MOST: Final = 2**53
