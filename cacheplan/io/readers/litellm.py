"""LiteLLM's logs: the rows of its table of spend, and what its callbacks are told.

``LiteLLM_SpendLogs`` comes out of the proxy's database as JSON, comma-separated values or
Parquet; ``StandardLoggingPayload`` out of callbacks, one a line, or out of S3 and the like,
one a file. Read and made with 1.106.2, 2026-11. One is told from the other by where the
prompt stands.

* A row's ``messages`` are empty; the prompt is what came in, ``proxy_server_request``, if
  ``store_prompts_in_spend_logs`` is on, and its texts are cut at 2,048 characters unless
  ``MAX_STRING_LENGTH_PROMPT_IN_DB`` says otherwise. Columns of JSON may be text once more,
  or Python's own writing where a data frame was exported.
* A payload's ``messages`` are what goes out, marks of the proxy's own included; tools stand
  in ``model_parameters``. Of calls in Anthropic's form it has no ``system``.
* Marks that the proxy put in do not stand in rows; they are said to be lacking.
* ``prompt_tokens`` hold what was read and written; the parts stand in ``usage_object``.
* ``cache_hit`` means LiteLLM's own store of answers: nobody was charged.
* Every call has a session; one that nobody named is a UUID of its own, and is left out.
* Bodies are logged with whoever sent them inside: only what decides a prompt is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from cacheplan.chat import as_body
from cacheplan.errors import InputError
from cacheplan.io.documents import File, Head, records
from cacheplan.io.logged import COUNTING, FOREIGN, OTHERS, asked, moment, named, within
from cacheplan.io.sheets import parquet_rows, rows
from cacheplan.io.spend import first_token_after, nested, parameters, usage_of
from cacheplan.io.tally import Record, Tally
from cacheplan.strict_json import typed

__all__ = ["LACKS", "NAME", "WHAT", "matches", "read"]

NAME: Final = "litellm"
WHAT: Final = "LiteLLM's spend logs (JSON, CSV, Parquet), and what its callbacks write"
LACKS: Final = frozenset[str]()

UNSTORED: Final = "calls whose prompt was not stored, left out"
REPEATED: Final = "answers out of LiteLLM's own cache, left out"
FAILED: Final = "failed calls whose prompt cannot be read, left out"

#: What both forms have and no other format; early in an entry whichever way it is ordered.
_TELLING: Final = ("call_type", "endTime")
#: Of a table, whose columns are told at once.
_COLUMNS: Final = frozenset({"request_id", "call_type", "startTime", "model"})
#: Calls as OpenAI's API takes them, as Anthropic's does, and passed on without a look.
_CHAT: Final = frozenset({"", "completion", "acompletion"})
_NATIVE: Final = frozenset({"anthropic_messages"})
_PASSED: Final = frozenset({"pass_through_endpoint", "allm_passthrough_route"})
#: Where Claude is served, by how LiteLLM's names for it begin.
_PLATFORMS: Final = {
    "anthropic": "anthropic",
    "azure_ai": "foundry",
    "bedrock": "bedrock",
    "vertex_ai": "google",
}
#: What LiteLLM sends in the place of empty text.
_BLANK: Final = "[System: Empty message content sanitised to satisfy protocol]"
#: What it sends along where tools were used that are not sent any more.
_DUMMY: Final = {"name": "dummy_tool", "description": "This is a dummy tool call"}
_REDACTED: Final = "redacted-by-litellm"
#: What stands where text was cut, or where something looked like a key.
_CUT: Final = (b"litellm_truncated", b'"REDACTED_BY_LITELM"')
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HIT: Final = frozenset({"true", "t", "1"})

_Raw = msgspec.Raw
_NOTHING: Final = msgspec.Raw(b"null")


class Row(msgspec.Struct):
    """The columns that are needed, of either form."""

    call_type: str | None = None
    model: str | None = None
    custom_llm_provider: str | None = None
    status: str | None = None
    cache_hit: Any = None
    start: Any = msgspec.field(name="startTime", default=None)
    begun: Any = msgspec.field(name="completionStartTime", default=None)
    end: Any = msgspec.field(name="endTime", default=None)
    request_id: str | None = None
    id: str | None = None
    session_id: str | None = None
    trace_id: str | None = None
    request_tags: _Raw = _NOTHING
    messages: _Raw = _NOTHING
    response: _Raw = _NOTHING
    proxy_server_request: _Raw = _NOTHING
    metadata: _Raw = _NOTHING
    model_parameters: _Raw = _NOTHING
    error_information: _Raw = _NOTHING
    prompt_tokens: Any = None
    completion_tokens: Any = None
    total_tokens: Any = None


_ROW: Final = msgspec.json.Decoder(Row)
_NAMES: Final = frozenset(field.encode_name for field in msgspec.structs.fields(Row))


class _Sent(NamedTuple):
    """What is known of what was sent."""

    body: dict[str, Any]
    #: In Anthropic's form.
    native: bool
    lacks: set[str]


def matches(head: Head) -> bool:
    """Tell either form by its fields, and a table of rows by its columns."""
    if head.stored or head.columns >= _COLUMNS:
        return not head.stored or head.stores(*_COLUMNS)
    return any(head.has(*(f"{at}{name}" for name in _TELLING)) for at in ("", "data."))


def read(file: File, tally: Tally) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the calls to Claude."""
    for record in _records(file, tally):
        with tally.reading(file.name, record):
            line = _line(typed(record.raw, _ROW), tally)
            if line is not None:
                yield record.number, line


def _records(file: File, tally: Tally) -> Iterator[Record]:
    """Yield the entries, whichever kind of file they stand in."""
    if file.head.stored:
        return parquet_rows(file, tally, _NAMES)
    if file.head.columns >= _COLUMNS:
        return rows(file, tally)
    return records(file, tally, "data")


def _line(row: Row, tally: Tally) -> dict[str, Any] | None:
    """Return the call of one entry; ``None`` where it is none, which is counted."""
    sent = _left_out(row) or _sent(row) or UNSTORED
    if isinstance(sent, str):
        tally.count(sent)
        return None
    metadata = _mapping(nested(row.metadata, "metadata"))
    failed = "failure" in (row.status, metadata.get("status"))
    try:
        request = _request(sent, row.model or "", tally)
    except InputError:
        if not failed:
            raise
        # It never got as far as the service.
        tally.count(FAILED)
        return None
    if request is None:
        return None
    response = _error(row) if failed else _response(row, metadata, tally)
    lacks = sorted(sent.lacks | _unseen(request, response, metadata))
    with within("startTime"):
        at = moment(row.start)
    platform = _platform(row)
    line = {
        "at": at,
        "id": row.request_id or row.id,
        "session": _session(row, sent.body),
        "label": _label(row),
        "platform": None if platform == "anthropic" else platform,
        "first_token_after": first_token_after(at, row.begun, row.end),
        "request": request,
        "response": response or None,
        "lacks": lacks or None,
    }
    return {key: part for key, part in line.items() if part is not None}


def _left_out(row: Row) -> str | None:
    """Say why an entry is no call of ours; ``None`` where it is one."""
    if row.model is None or _platform(row) is None or named(row.model) is None:
        return OTHERS
    if str(row.cache_hit).lower() in _HIT:
        return REPEATED
    kind = row.call_type or ""
    if "count_tokens" in kind or "token_counter" in kind:
        return COUNTING
    return None if kind in _CHAT | _NATIVE | _PASSED else FOREIGN


def _mapping(found: Any) -> Mapping[str, Any]:
    """Return an object, or an empty one."""
    return found if isinstance(found, Mapping) else {}


def _platform(row: Row) -> str | None:
    """Return where a call went, in our words; ``None`` where Claude is not served as here."""
    model = row.model or ""
    provider = row.custom_llm_provider or (model.split("/")[0] if "/" in model else "anthropic")
    return next((ours for name, ours in _PLATFORMS.items() if provider.startswith(name)), None)


def _sent(row: Row) -> _Sent | None:
    """Return what was sent, as far as it is logged; ``None`` where no prompt is."""
    kind = row.call_type or ""
    found = _mapping(nested(row.proxy_server_request, "proxy_server_request"))
    body = found if "messages" in found else _mapping(found.get("body"))
    if "messages" in body:
        sent = _Sent(dict(body), kind not in _CHAT or "system" in body, set())
        return None if _redacted(body["messages"]) else sent
    messages = nested(row.messages, "messages")
    if not isinstance(messages, list) or not messages or _redacted(messages):
        return None
    if kind in _PASSED:
        # The whole body, as the text of one message.
        passed = _mapping(messages[0]).get("content")
        body = _mapping(nested(_Raw(msgspec.json.encode(passed)), "messages"))
        return _Sent(dict(body), native=True, lacks=set()) if "messages" in body else None
    given = nested(row.model_parameters, "model_parameters")
    lacks = set() if isinstance(given, Mapping) else {"settings", "tools"}
    body = {**_mapping(given), "messages": messages}
    native = kind in _NATIVE
    if native and "system" not in body:
        lacks |= {"system", "marks"}
    return _Sent(body, native, lacks)


def _redacted(messages: Any) -> bool:
    """Tell whether texts were replaced because nobody may read them."""
    each = messages if isinstance(messages, list) else [messages]
    return any(_REDACTED in (one, _mapping(one).get("content")) for one in each)


def _request(sent: _Sent, model: str, tally: Tally) -> _Raw | None:
    """Return the body that went to the service, without what is none of its business."""
    settings, left = parameters(sent.body, native=sent.native)
    sent.lacks.update(left)
    given = sent.body
    request: dict[str, Any]
    if sent.native:
        request = {key: given[key] for key in ("system", "tools", "messages") if key in given}
    else:
        tools = given.get("tools") or given.get("functions")
        if not tools and isinstance(given["messages"], list) and _used(given["messages"]):
            tools = [_DUMMY]
        request = as_body(model, given["messages"], tools, blank=_BLANK)
        if "tools" in request:
            request["tools"] = [_typed(tool, tools) for tool in request["tools"]]
    try:
        written = msgspec.json.encode({"model": model, **settings, **request})
    except (OverflowError, TypeError, ValueError, RecursionError) as error:
        raise InputError("a prompt that cannot be written as JSON") from error
    if any(cut in written for cut in _CUT):
        sent.lacks.add("text")
    passed = asked(written, tally)
    return None if passed is None else passed.body


def _typed(tool: dict[str, Any], given: Any) -> dict[str, Any]:
    """Return a tool as it is sent: LiteLLM adds its type to one made of a function."""
    return tool if "type" in tool or tool in given else {"type": "custom", **tool}


def _used(messages: list[Any]) -> bool:
    """Tell whether a tool was called in a conversation."""
    return any(_mapping(message).get("tool_calls") is not None for message in messages)


def _unseen(request: _Raw, response: Mapping[str, Any], metadata: Mapping[str, Any]) -> set[str]:
    """Say what an entry shows to have happened and does not say: marks, lifetimes."""
    usage = response.get("usage", {})
    written = usage.get("cache_creation_input_tokens", 0)
    unseen = set()
    if written and not usage.get("cache_creation"):
        unseen.add("lifetimes")
    cached = written or usage.get("cache_read_input_tokens")
    unmarked = cached and b'"cache_control"' not in bytes(request)
    if unmarked or metadata.get("litellm_gateway_injected_cache"):
        unseen.add("marks")
    return unseen


def _response(row: Row, metadata: Mapping[str, Any], tally: Tally) -> dict[str, Any]:
    """Return what came back; empty where nothing is known of it."""
    answered = _mapping(nested(row.response, "response"))
    name = answered.get("id")
    said = {"id": name} if isinstance(name, str) and name else {}
    counts = {
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "total_tokens": row.total_tokens,
    }
    usage = usage_of(metadata, answered.get("usage"), counts, tally)
    return {**said, "usage": usage} if usage else said


def _error(row: Row) -> dict[str, Any]:
    """Return the kind of an error; its message may repeat the prompt."""
    found = _mapping(nested(row.error_information, "error_information"))
    kind = found.get("error_class")
    return {"type": "error", "error": {"type": kind if isinstance(kind, str) else "failure"}}


def _session(row: Row, body: Mapping[str, Any]) -> str | None:
    """Return the session that somebody named, and none that LiteLLM made up."""
    for holder in (body, _mapping(body.get("metadata")), _mapping(body.get("litellm_metadata"))):
        for key in ("litellm_session_id", "session_id"):
            found = holder.get(key)
            if isinstance(found, str) and found:
                return found
    told = (row.session_id, row.trace_id)
    return next((name for name in told if name and not _UUID.fullmatch(name)), None)


def _label(row: Row) -> str | None:
    """Return the first tag of a call that somebody gave it."""
    tags = nested(row.request_tags, "request_tags")
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, str) and tag and not tag.startswith("User-Agent:"):
            return tag
    return None
