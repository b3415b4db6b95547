"""Langfuse: observations as its API, its pages and its storage export hand them out.

``data`` of the API (``/api/public/observations`` and ``v2``), the table's export as JSON, JSON
lines or CSV, a trace that was downloaded, and the rows of an export to blob storage, whose
names are in snake case: JSON lines, CSV or Parquet (langfuse 5.0.4 and langfuse/langfuse of
2026-08-22, read and run 2026-11). Only generations are calls.

* ``usageDetails`` are whatever an integration calls them. Langfuse adds all of them up
  where it is given no total, and prices them so: then input leaves out what was cached. It
  knows no ``cache_write.input_tokens`` (Anthropic's SDK) and leaves those in the input.
* Reasoning is taken out of the output and counted beside it.
* ``input`` is what an integration logged: messages of OpenAI's form or Anthropic's, the
  arguments of a call, text. LangChain's handler puts the tools behind the messages, as
  functions without their marks.
* Anthropic's own SDK draws a span of each call since 2.0, inside of the integration's:
  two generations of one call. OpenTelemetry's attributes stand in ``metadata.attributes``.
* In CSV, times have quotation marks inside of their cells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from cacheplan.chat import as_body
from cacheplan.counted import either, exclusive
from cacheplan.errors import InputError
from cacheplan.io.documents import File, Head, records
from cacheplan.io.logged import moment
from cacheplan.io.sheets import parquet_rows, rows
from cacheplan.io.tally import Record, Tally
from cacheplan.io.tracing import Calls
from cacheplan.langchain_messages import as_chat, as_settings
from cacheplan.spans import Span, decoded, text
from cacheplan.spoken import Counted, Spoken
from cacheplan.strict_json import typed

__all__ = ["LACKS", "NAME", "WHAT", "matches", "read"]

NAME: Final = "langfuse"
WHAT: Final = "Langfuse's observations, out of its API, its tables or its storage export"
LACKS: Final = frozenset[str]()

_Row = dict[str, Any]
_ROW: Final = msgspec.json.Decoder(_Row)
_LISTS: Final = ("data", "observations")
#: Any of these together tells an observation, in one spelling or the other.
_TELLING: Final = (
    ("parentObservationId", "traceId"),
    ("parent_observation_id", "trace_id"),
    ("usageDetails", "traceId"),
    ("usage_details", "trace_id"),
)
#: The columns of storage that are looked at.
_STORED: Final = frozenset(
    {
        "id", "trace_id", "type", "parent_observation_id", "start_time", "end_time", "level",
        "completion_start_time", "name", "metadata", "input", "output", "provided_model_name",
        "model_parameters", "usage_details", "session_id", "trace_name",
    }
)  # fmt: skip
#: In what order names of counts are looked at: the first that fits says what it is. Names of
#: one kind are said of the same tokens, but for the output, which is parted.
_COUNTS: Final = (
    ("total", re.compile(r"^total")),
    ("output", re.compile(r"^(output|completion)")),
    ("long", re.compile(r"1hr?(_|$)")),
    ("short", re.compile(r"5m(_|$)")),
    ("written", re.compile(r"creation|write")),
    ("read", re.compile(r"cached|read")),
    ("input", re.compile(r"^(input|prompt)(_tokens)?$")),
)
#: Left in the input by Langfuse, which does not know the name.
_LEFT_IN: Final = "cache_write.input_tokens"
#: No prompt has a number of tokens that long.
_DIGITS: Final = 16
_CAMEL: Final = re.compile(r"_([a-z])")
#: Where a span says how long the first of an answer took, which Langfuse has in a field.
_FIRST: Final = "gen_ai.response.time_to_first_chunk"
_TELEMETRY: Final = ("gen_ai.", "llm.", "ai.operationId", "openinference.")


def matches(head: Head) -> bool:
    """Tell whether these are observations."""
    if head.stored:
        return head.stores(*_TELLING[1])
    return any(
        head.has(*names)
        or head.columns.issuperset(names)
        or any(head.has(*(f"{within}.{name}" for name in names)) for within in _LISTS)
        for names in _TELLING
    )


def read(file: File, tally: Tally) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the calls among observations."""
    calls = Calls(tally)
    for record in _entries(file, tally):
        with tally.reading(file.name, record):
            row = typed(record.raw, _ROW)
            if _text(row, "type") == "GENERATION":
                yield from _told(calls, record.number, row)
    yield from calls.rest()


def _entries(file: File, tally: Tally) -> Iterator[Record]:
    """Yield the observations of a file, whichever way they stand in it."""
    head = file.head
    if head.stored:
        return parquet_rows(file, tally, _STORED)
    table = any(head.columns.issuperset(names) for names in _TELLING)
    if table and head.raw.lstrip()[:1] not in (b"{", b"["):
        return rows(file, tally)
    return records(file, tally, *_LISTS)


def _told(calls: Calls, number: int, row: _Row) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the calls that are whole with one observation more."""
    metadata = _object(row, "metadata")
    said = decoded(metadata.get("attributes"))
    said = said if isinstance(said, dict) else {}
    drawn = any(key.startswith(_TELEMETRY) for key in said)
    scope = decoded(metadata.get("scope"))
    begin = row.get("startTime", row.get("start_time"))
    if begin is None:
        raise InputError("missing; a call needs its time", ("startTime",))
    begin = begin.strip('"') if isinstance(begin, str) else begin
    seconds = _wait(begin, row)
    wait = {} if seconds is None else {_FIRST: seconds}
    span = Span(
        trace=_text(row, "trace_id"),
        id=_text(row, "id"),
        parent=_text(row, "parent_observation_id"),
        name=_text(row, "name"),
        scope=str(scope.get("name") or "") if isinstance(scope, dict) else "",
        begin=begin,
        failed=_text(row, "level") == "ERROR",
        said=_drawn(said, row) | wait if drawn else {},
    )
    yield from calls.add(number, span, None if drawn else _spoken(row, metadata, seconds))


def _drawn(said: Mapping[str, Any], row: _Row) -> dict[str, Any]:
    """Return the attributes of a span with the prompt that Langfuse took out of them."""
    found, prompt = dict(said), _given(row, "input")
    if isinstance(prompt, list) and any("parts" in each for each in prompt if _is_object(each)):
        found["gen_ai.input.messages"] = [
            each | {"parts": [{"type": "text", "content": each["content"]}]}
            if _is_object(each) and isinstance(each.get("content"), str)
            else each
            for each in prompt
        ]
    elif prompt is not None and any(key.startswith("openinference.") for key in found):
        found["input.value"] = json.dumps(prompt)
        found["output.value"] = json.dumps(_given(row, "output"))
    return found


def _is_object(found: Any) -> bool:
    """Tell whether it has members."""
    return isinstance(found, dict)


def _text(row: _Row, name: str) -> str:
    """Return the text in a field, whichever way it is spelled; empty where there is none."""
    found = row.get(name, row.get(_CAMEL.sub(lambda step: step[1].upper(), name)))
    return found if isinstance(found, str) else ""


def _given(row: _Row, name: str) -> Any:
    """Return what stands in a field, or is written there as JSON."""
    found = row.get(name, row.get(_CAMEL.sub(lambda step: step[1].upper(), name)))
    return decoded(found)


def _object(row: _Row, name: str) -> Mapping[str, Any]:
    """Return an object in a field; an empty one where there is none."""
    found = _given(row, name)
    return found if isinstance(found, dict) else {}


def _spoken(row: _Row, metadata: Mapping[str, Any], wait: float | None) -> Spoken:
    """Return what an observation of an integration says of its call."""
    model = _text(row, "model") or _text(row, "provided_model_name")
    lacks: set[str] = set()
    prompt = _prompt(_given(row, "input"), model, lacks, chain="ls_model_type" in metadata)
    body = None
    counted = _counted(_object(row, "usage_details"), _object(row, "provided_usage_details"))
    if prompt is not None:
        prompt = _settings(_object(row, "model_parameters")) | prompt
        body = msgspec.json.encode(prompt)
        if counted and b'"cache_control"' not in body and _cached(counted.usage):
            lacks.add("marks")
    answer = _given(row, "output")
    name = answer.get("id") if isinstance(answer, dict) else None
    return Spoken(
        model=model or None,
        provider=str(metadata.get("ls_provider") or "") or None,
        body=body,
        lacks=frozenset(lacks),
        counted=counted,
        message=name if isinstance(name, str) and name.startswith("msg_") else None,
        session=_text(row, "session_id") or text(metadata, "langfuse_session_id"),
        label=_text(row, "trace_name") or None,
        wait=wait,
        failed="error" if _text(row, "level") == "ERROR" else None,
    )


def _wait(begin: Any, row: _Row) -> float | None:
    """Return the seconds to the first of an answer, where somebody says.

    An answer that was whole within the second that is usual began within that time.
    """
    start = moment(begin)
    for name, most in (("completion_start_time", float("inf")), ("end_time", 1.0)):
        given = _text(row, name).strip('"')
        end = moment(given) if given else None
        if isinstance(start, str) and isinstance(end, str):
            seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
            if 0 < seconds < most:
                return seconds
    return None


def _cached(usage: Mapping[str, Any]) -> bool:
    """Tell whether anything was read or written."""
    return bool(usage["cache_read_input_tokens"] or usage["cache_creation_input_tokens"])


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that decide a prefix; the rest is often text of a number."""
    return {key: found for key, found in as_settings(given).items() if isinstance(found, dict)}


def _prompt(found: Any, model: str, lacks: set[str], *, chain: bool) -> dict[str, Any] | None:
    """Return the body of what was logged as input; ``None`` where there is no prompt.

    ``chain`` says that LangChain's handler wrote it, which leaves out nothing but settings.
    """
    given: Mapping[str, Any] = found if isinstance(found, dict) else {}
    messages = given.get("messages", [given] if "role" in given else None) if given else found
    if isinstance(messages, str) and messages:
        lacks.add("marks")
        messages = [{"role": "user", "content": messages}]
    if not messages or not isinstance(messages, list):
        return None
    tools = given.get("tools", given.get("functions"))
    defined = [each["content"] for each in messages if _is_tool(each)]
    if defined and tools is None:
        messages, tools = [each for each in messages if not _is_tool(each)], defined
        lacks.add("marks")
    try:
        body = as_body(model, as_chat(messages), tools) | as_settings(given)
    except InputError as error:
        raise error.within("input") from error
    whole = "max_tokens" in given or "model" in given
    lacks |= set() if whole else {"settings"}
    lacks |= set() if whole or chain or tools is not None else {"tools"}
    lacks |= set() if whole or chain or "system" in body else {"system"}
    return body


def _is_tool(message: Any) -> bool:
    """Tell whether a message is the definition of a tool, as LangChain's handler puts it."""
    if not isinstance(message, dict) or message.get("role") != "tool":
        return False
    return isinstance(message.get("content"), dict) and "tool_call_id" not in message


def _counted(details: Mapping[str, Any], provided: Mapping[str, Any]) -> Counted | None:
    """Return the usage that was given; ``None`` where nothing was."""
    found, everything = _sorted(details)
    if "input" not in found and "output" not in found:
        return None
    prompt, output, total = (found.get(kind) for kind in ("input", "output", "total"))
    parts = {kind: found.get(kind) for kind in ("read", "written", "short", "long")}
    if details.get(_LEFT_IN):
        prompt, total = max((prompt or 0) - (parts["written"] or 0), 0), everything
    sure = True
    if total == everything or (provided and "total" not in provided):
        usage = exclusive(prompt, output, **parts)
    else:
        usage, sure = either(prompt, output, total, **parts)
    parted = not parts["written"] or (parts["short"], parts["long"]) != (None, None)
    return Counted(usage=usage, sure=sure, parted=parted)


def _sorted(details: Mapping[str, Any]) -> tuple[dict[str, int], int]:
    """Return counts by what they are, and the sum of all that are no total."""
    found: dict[str, int] = {}
    everything = 0
    for name, given in details.items():
        count = _whole(given, name)
        kind = next((kind for kind, form in _COUNTS if form.search(name)), None)
        if count is None:
            continue
        everything += 0 if kind == "total" else count
        if kind == "output":
            found[kind] = found.get(kind, 0) + count
        elif kind is not None:
            found[kind] = max(found.get(kind, 0), count)
    return found, everything


def _whole(given: Any, name: str) -> int | None:
    """Return a number of tokens; storage writes them as text."""
    if isinstance(given, str) and given.isascii() and given.isdecimal() and len(given) < _DIGITS:
        given = int(given)
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise InputError("this is not a whole number of tokens", ("usageDetails", name))
    return given
