"""LangSmith: runs as its SDKs and its API hand them out, of which those of models are calls.

A run a line, in one list, or under ``runs``; a bulk export is Parquet and has ``inputs``,
``outputs`` and ``extra`` as text. Written by LangChain's tracers (Python and JavaScript) and by
``wrap_anthropic`` (langsmith 0.15.0, langchain-anthropic 1.7.7, read and run 2026-11).

* LangChain's runs hold its own messages, and what the model was called with in
  ``extra.invocation_params``. The wrapper's hold the arguments of the SDK, with the system
  prompt put ahead of the messages; among arguments there may be headers, which stay behind.
* ``usage_metadata`` counts what was cached as input. Older versions of both did not, so the
  total is asked. ``cache_creation`` is 0 where what was written is parted by lifetime, and
  JavaScript spells one of the parts ``ephemeral_1hr_input_tokens``.
* A model's run may stand inside another: a program's own run around the wrapper's. Only the
  inner one counts where it stands next to it, and only the first of them elsewhere.
* Answers out of LangChain's own store say that they cost nothing.
* ``session_id`` is the project. Conversations are ``thread_id`` and the like in the
  metadata, and where nobody gave one, the calls of one trace.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from cacheplan.chat import as_body
from cacheplan.counted import either
from cacheplan.errors import InputError
from cacheplan.io.documents import File, Head, records
from cacheplan.io.logged import UNKEPT, UNSURE, Asked, asked, moment
from cacheplan.io.sheets import parquet_rows
from cacheplan.io.tally import Tally
from cacheplan.langchain_messages import as_chat, as_settings
from cacheplan.pieces import object_at
from cacheplan.strict_json import typed, value

__all__ = ["LACKS", "NAME", "WHAT", "matches", "read"]

NAME: Final = "langsmith"
WHAT: Final = "LangSmith's runs, of LangChain or of the wrapped SDK"
LACKS: Final = frozenset[str]()

NESTED: Final = "runs around other runs of a model, or inside of them, counted once"
STORED: Final = "answers out of LangChain's own store, left out"

_TELLING: Final = ("run_type", "dotted_order")
_THREADS: Final = ("thread_id", "session_id", "conversation_id")
#: By a word in the name that LangChain gives the provider.
_PROVIDERS: Final = (
    ("bedrock", "bedrock"),
    ("vertex", "google"),
    ("google", "google"),
    ("azure", "foundry"),
    ("foundry", "foundry"),
)
_MODELS: Final = ("model", "model_name", "model_id", "ls_model_name")
#: Members of a body beside its settings, as the SDK's methods take them.
_SENT: Final = ("tools", "mcp_servers", "betas")
#: What kind of failure it was: the service's word for it, else the name of the exception.
_KINDS: Final = (re.compile(r"'type': '([a-z_]+_error)'"), re.compile(r"^(\w+)\("))
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class _Event(msgspec.Struct):
    """Something that happened while a run went on."""

    name: str | None = None
    time: str | float | None = None


class _Run(msgspec.Struct):
    """One run; its inputs, outputs and the rest are text in a bulk export."""

    id: str
    run_type: str
    inputs: Any = None
    outputs: Any = None
    extra: Any = None
    start_time: str | float | None = None
    end_time: str | float | None = None
    first_token_time: str | float | None = None
    events: list[_Event] | str | None = None
    error: str | None = None
    trace_id: str | None = None
    parent_run_id: str | None = None
    parent_run_ids: list[str] | str | None = None
    dotted_order: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_token_details: Any = None


class _Details(msgspec.Struct):
    """What of the input was cached."""

    cache_read: int | None = None
    cache_creation: int | None = None
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None
    ephemeral_1hr_input_tokens: int | None = None


class _Usage(msgspec.Struct):
    """What LangChain calls usage."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    input_token_details: _Details | None = None
    total_cost: float | None = None


_RUN: Final = msgspec.json.Decoder(_Run)
_USAGE: Final = msgspec.json.Decoder(_Usage)


def matches(head: Head) -> bool:
    """Tell whether these are runs."""
    if head.stored:
        return head.stores(*_TELLING)
    return any(head.has(name) or head.has(f"runs.{name}") for name in _TELLING)


def read(file: File, tally: Tally) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the calls of a file of runs.

    The newest is held back until it is known that none inside of it comes next.
    """
    #: Runs of models that were told, and all runs that stand around one of them.
    told: set[str] = set()
    around: set[str] = set()
    held: tuple[int, dict[str, Any]] | None = None
    stored = file.head.stored
    columns = _Run.__struct_fields__
    for record in parquet_rows(file, tally, columns) if stored else records(file, tally, "runs"):
        with tally.reading(file.name, record):
            run = typed(record.raw, _RUN)
            if run.run_type != "llm":
                continue
            outer = _outer(run)
            if run.id in around or told & outer:
                tally.count(NESTED)
                continue
            line = _line(run, tally)
            if line is None:
                continue
            if held is not None and held[1]["id"] in outer:
                tally.count(NESTED)
            elif held is not None:
                told.add(held[1]["id"])
                yield held
            held = record.number, line
            around |= outer
    if held is not None:
        yield held


def _outer(run: _Run) -> set[str]:
    """Return the ids of the runs around one."""
    ids = set(_ID.findall(run.dotted_order or ""))
    if isinstance(run.parent_run_ids, list):
        ids.update(run.parent_run_ids)
    if run.parent_run_id:
        ids.add(run.parent_run_id)
    return ids - {run.id}


def _line(run: _Run, tally: Tally) -> dict[str, Any] | None:
    """Return the line of one run of a model; ``None`` for what is left out and counted."""
    inputs, outputs = _object(run.inputs, "inputs"), _object(run.outputs, "outputs")
    extra = _object(run.extra, "extra")
    given = _inside(extra, "invocation_params")
    metadata = _inside(extra, "metadata")
    body = _body(inputs, given, metadata)
    if body is None:
        tally.count(UNKEPT)
        return None
    sent = _asked(body, tally)
    if sent is None:
        return None
    usage = _usage(run, outputs, metadata)
    if usage.total_cost == 0 and "generations" in outputs:
        tally.count(STORED)
        return None
    lacks = set() if given or "model" in inputs else {"tools", "settings"}
    counted = _counted(usage, outputs, tally)
    if counted.get("cache_creation_input_tokens") and not counted.get("cache_creation"):
        lacks.add("lifetimes")
    line: dict[str, Any] = {"id": run.id, **_times(run), "request": sent.body}
    line["response"] = _response(run, outputs, counted)
    line["lacks"] = sorted(lacks)
    thread = next((metadata[key] for key in _THREADS if isinstance(metadata.get(key), str)), None)
    line["session"] = thread or (run.trace_id if run.trace_id != run.id else None)
    provider = str(metadata.get("ls_provider"))
    line["platform"] = next((name for part, name in _PROVIDERS if part in provider), sent.platform)
    return {key: part for key, part in line.items() if part is not None and part != []}


def _asked(body: Mapping[str, Any], tally: Tally) -> Asked | None:
    """Return a body to be passed on; ``None`` for what is none of ours."""
    try:
        return asked(msgspec.json.encode(body), tally)
    except InputError as error:
        raise error.within("inputs") from error


def _object(found: Any, name: str) -> Mapping[str, Any]:
    """Return what stands there, or is written there as text; an empty one if nothing does."""
    try:
        if isinstance(found, str):
            found = value(found.encode("utf-8", "surrogatepass")) if found else None
        return object_at({} if found is None else found, ())
    except InputError as error:
        raise error.within(name) from error


def _inside(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object inside of another; an empty one where there is none."""
    found = holder.get(name)
    return found if isinstance(found, dict) else {}


def _at(found: Any, *steps: str | int) -> Any:
    """Walk into objects and lists; ``None`` where the way ends early."""
    for step in steps:
        if isinstance(found, list) and isinstance(step, int) and step < len(found):
            found = found[step]
        elif isinstance(found, dict) and isinstance(step, str):
            found = found.get(step)
        else:
            return None
    return found


def _body(
    inputs: Mapping[str, Any], given: Mapping[str, Any], metadata: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return the body that was sent; ``None`` where the messages were not kept."""
    if not inputs.get("messages"):
        return None
    names = (holder.get(key) for holder in (given, inputs, metadata) for key in _MODELS)
    model = next((name for name in names if name and isinstance(name, str)), "")
    if "model" in inputs and metadata.get("ls_provider", "anthropic") == "anthropic":
        return _verbatim(inputs, model)
    options = inputs if "model" in inputs else given
    try:
        messages = as_chat(inputs["messages"])
    except InputError as error:
        raise error.within("inputs") from error
    return as_body(model, messages, options.get("tools")) | as_settings(options)


def _verbatim(inputs: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Return the arguments of the SDK as the body that they became."""
    body = {key: inputs[key] for key in _SENT if key in inputs} | as_settings(inputs)
    messages = inputs["messages"]
    if isinstance(messages, list) and _at(messages, 0, "role") == "system":
        body["system"] = messages[0].get("content")
        messages = messages[1:]
    return {"model": model, **body, "messages": messages}


def _usage(run: _Run, outputs: Mapping[str, Any], metadata: Mapping[str, Any]) -> _Usage:
    """Return the usage of a run, wherever it stands."""
    found = (
        _at(outputs, "generations", 0, 0, "message", "kwargs", "usage_metadata")
        or outputs.get("usage_metadata")
        or metadata.get("usage_metadata")
    )
    if not isinstance(found, dict):
        found = {
            "input_tokens": run.prompt_tokens,
            "output_tokens": run.completion_tokens,
            "total_tokens": run.total_tokens,
            "input_token_details": run.prompt_token_details,
        }
    try:
        return typed(msgspec.json.encode(found), _USAGE)
    except InputError as error:
        raise error.within("usage_metadata") from error


def _counted(usage: _Usage, outputs: Mapping[str, Any], tally: Tally) -> dict[str, Any]:
    """Return the usage as the API tells it; nothing where nothing is known."""
    raw = outputs.get("usage")
    if isinstance(raw, dict) and "cache_read_input_tokens" in raw:
        return raw  # A program's own run returned the answer of the API.
    if usage.input_tokens is None and usage.output_tokens is None:
        return {}
    details = usage.input_token_details or _Details()
    hour = details.ephemeral_1h_input_tokens or details.ephemeral_1hr_input_tokens
    parts = {
        "read": details.cache_read,
        "written": details.cache_creation,
        "short": details.ephemeral_5m_input_tokens,
        "long": hour,
    }
    counted, sure = either(usage.input_tokens, usage.output_tokens, usage.total_tokens, **parts)
    if not sure:
        tally.count(UNSURE)
    return counted


def _response(
    run: _Run, outputs: Mapping[str, Any], counted: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return what came back; of a failure only its kind, for its words may repeat the prompt."""
    if run.error:
        kinds = (kind for pattern in _KINDS for kind in pattern.findall(run.error))
        return {"type": "error", "error": {"type": next(kinds, "error")}}
    message = _at(outputs, "generations", 0, 0, "message", "kwargs", "response_metadata", "id")
    name = message or outputs.get("id")
    told = {"id": name} if isinstance(name, str) and name.startswith("msg_") else {}
    return {**told, "usage": counted} if counted else told or None


def _times(run: _Run) -> dict[str, Any]:
    """Return when a run began, and when the first token of its answer came, if anybody says.

    An answer that was whole within the second that is usual began within that time.
    """
    begin = _seconds(run.start_time, "start_time")
    if begin is None:
        raise InputError("missing; a call needs its time", ("start_time",))
    first = run.first_token_time
    if first is None and isinstance(run.events, list):
        first = next((event.time for event in run.events if event.name == "new_token"), None)
    began, ended = _seconds(first, "first_token_time"), _seconds(run.end_time, "end_time")
    if began is None and ended is not None and ended - begin < 1:
        began = ended
    after = None if began is None or began < begin else began - begin
    return {"at": begin, "first_token_after": after}


def _seconds(found: str | float | None, name: str) -> float | None:
    """Return a time in seconds."""
    if found is None:
        return None
    try:
        when = moment(found)
    except InputError as error:
        raise error.within(name) from error
    return when if isinstance(when, float) else datetime.fromisoformat(when).timestamp()
