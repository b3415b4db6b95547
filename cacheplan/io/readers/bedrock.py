"""Amazon Bedrock's model invocation logs, schema 1.0, as S3 and CloudWatch Logs hold them.

S3 has a record a line. CloudWatch has the same record as text: the ``message`` of an event,
however events are exported (``filter-log-events``, an export task's lines, which begin with
a time, a subscription's ``logEvents``, the rows of a query, the tables that the console
downloads). Fields as AWS documents them and as published samples have them, 2026-11.

A body of ``InvokeModel`` is the API's own but for the model, and one of ``Converse`` is put
into the API's words. All three counts of input exclude each other. Traps: a ``Converse``
answer may leave out what was cached, which the record has all the same; it parts what was
written by lifetime only since late 2026; a streamed answer of Claude's own is a list of
events, one of ``Converse`` is not; a record whose body is large (above 100 kB) only says
where it lies, which is ``data/`` beside the log in a bucket; and the id of an application's
inference profile names no model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec

from cacheplan import facts
from cacheplan.billing import Answer
from cacheplan.converse import OUTSIDE, messages_body
from cacheplan.counted import exclusive
from cacheplan.errors import InputError
from cacheplan.io.documents import File, Head, records
from cacheplan.io.folders import Folder, content
from cacheplan.io.logged import OTHERS, UNKEPT, asked, moment, unwrapped, within
from cacheplan.io.sheets import rows
from cacheplan.io.tally import Tally
from cacheplan.marked import lifetimes_of
from cacheplan.strict_json import members, typed, value

__all__ = ["LACKS", "NAME", "WHAT", "matches", "read"]

NAME: Final = "bedrock"
WHAT: Final = "Amazon Bedrock model invocation logs, out of S3 or CloudWatch Logs"
LACKS: Final[frozenset[str]] = frozenset()

ELSEWHERE: Final = "calls whose body was stored elsewhere, left out"
UNNAMED: Final = "calls through a profile that does not name its model, left out"
NO_CALLS: Final = "entries of the log that are no calls, left out"

#: A record inside of text, as JSON escapes it and as a table does, and one behind the time
#: of an export task.
_ESCAPED: Final = re.compile(rb'\\"schemaType\\": ?\\"ModelInvocationLog\\"')
_QUOTED: Final = re.compile(rb'""schemaType"": ?""ModelInvocationLog""')
_DATED: Final = re.compile(rb'\d{4}-\d\d-\d\dT\S+ \{"schemaType": ?"ModelInvocationLog"')
#: Where an event has its text.
_TEXTS: Final = (
    "events.message", "logEvents.message", "message", "@message", "results.value",
)  # fmt: skip
#: The first line of a table that the console downloads, and the column that has the text: of
#: events, or of the rows of a query.
_HEADER: Final = re.compile(rb'[\w@."]+(?:,[\w@."]+)*\r?\n')
_COLUMNS: Final = frozenset({"message", "@message"})


class _Input(msgspec.Struct, rename="camel"):
    """What was sent."""

    input_body_json: msgspec.Raw = msgspec.Raw(b"null")
    input_body_s3_path: str | None = msgspec.field(name="inputBodyS3Path", default=None)
    input_token_count: int | None = None
    cache_read_input_token_count: int | None = None
    cache_write_input_token_count: int | None = None


class _Output(msgspec.Struct, rename="camel"):
    """What came back."""

    output_body_json: msgspec.Raw = msgspec.Raw(b"null")
    output_body_s3_path: str | None = msgspec.field(name="outputBodyS3Path", default=None)
    output_token_count: int | None = None


class _Record(msgspec.Struct, rename="camel"):
    """One call; who made it is not looked at."""

    model_id: str
    operation: str
    timestamp: str
    schema_type: Literal["ModelInvocationLog"] | None = None
    region: str | None = None
    request_id: str | None = None
    error_code: str | int | None = None
    input: _Input = msgspec.field(default_factory=_Input)
    output: _Output | None = None


class _Cell(msgspec.Struct):
    """One column of one row that a query of CloudWatch Logs found."""

    field: str
    value: str = ""


_RECORD: Final = msgspec.json.Decoder(_Record)
_ROW: Final = msgspec.json.Decoder(list[_Cell])
_NULL: Final = b"null"
#: Milliseconds of a day, after which nobody waits any more.
_LATEST: Final = 86_400_000
_OPERATIONS: Final = frozenset(
    {"InvokeModel", "InvokeModelWithResponseStream", "Converse", "ConverseStream"}
)


def matches(head: Head) -> bool:
    """Tell whether records of such a log stand in it, or events with some as text."""
    if head.has("schemaType", "modelId", "operation"):
        return b"ModelInvocationLog" in head.raw
    if _tabular(head):
        return _QUOTED.search(head.raw) is not None
    if _DATED.match(head.raw) or head.has("@message.schemaType", "@message.modelId"):
        return b"ModelInvocationLog" in head.raw
    inside = any(path in head.paths for path in _TEXTS)
    talks = any(path.startswith("message.") for path in head.paths)
    return inside and not talks and _ESCAPED.search(head.raw) is not None


def _tabular(head: Head) -> bool:
    """Tell whether it is a table with a column of such texts."""
    return _HEADER.match(head.raw) is not None and not _COLUMNS.isdisjoint(head.columns)


def read(file: File, tally: Tally) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield its calls."""
    lists = ("events", "logEvents", "results")
    for record in rows(file, tally) if _tabular(file.head) else records(file, tally, *lists):
        with tally.reading(file.name, record):
            raw = _record(record.raw)
            line = None if raw is None else _line(raw, tally, file.folder)
            if raw is None:
                tally.count(NO_CALLS)
            if line is not None:
                yield record.number, line


def _record(raw: bytes) -> bytes | None:
    """Return the record in an entry, whatever is around it; ``None`` where there is none."""
    if raw.startswith(b"["):
        text = next((cell.value for cell in typed(raw, _ROW) if cell.field == "@message"), "")
    elif raw[:1].isdigit():
        # A line of an export task: a time, and then the message.
        raw = raw.partition(b" ")[2]
        return raw if raw.startswith(b"{") else None
    else:
        parts = members(raw)
        name = next((name for name in ("message", "@message") if name in parts), "")
        if not name:
            return raw if "modelId" in parts else None
        with within(name):
            return _object(unwrapped(parts[name]))
    return _object(text.encode())


def _object(text: bytes) -> bytes | None:
    """Return what may be a record; the service begins a log by saying that it may write to it."""
    text = text.strip()
    return text if text.startswith(b"{") else None


class _Body(NamedTuple):
    """A body, and what its faults call it."""

    json: bytes
    where: tuple[str, str]


def _line(raw: bytes, tally: Tally, folder: Folder | None) -> dict[str, Any] | None:
    """Return the call of one record, or count why it is none."""
    record = typed(raw, _RECORD)
    output = record.output or _Output()
    # Those of calls that are left out are looked for as well: such files are no logs.
    asked_in = _part(folder, record.input.input_body_s3_path)
    said_in = _part(folder, output.output_body_s3_path)
    reason = _foreign(record)
    if reason is not None:
        tally.count(reason)
        return None
    came = _body("output", output.output_body_json, said_in)
    with within(*came.where):
        said = value(came.json or _NULL)
    answer = _answer(record, said)
    model = _model(record.model_id, answer)
    sent = _body("input", record.input.input_body_json, asked_in)
    if not model or not sent.json:
        away = ELSEWHERE if record.input.input_body_s3_path else UNKEPT
        tally.count(away if model else UNNAMED)
        return None
    request = _request(sent, record, model, tally)
    if request is None:
        return None
    line: dict[str, Any] = {
        "at": moment(record.timestamp),
        "id": record.request_id,
        "platform": "bedrock",
        "request": request,
        "first_token_after": _first_token(said),
    }
    # Pictures and documents lie elsewhere, under a name that is new for each call.
    lacks = ["text"] if b'"s3Location"' in sent.json else []
    if record.error_code in {None, ""}:
        line["response"], known = _response(answer, request, parted=_parted(said))
        lacks = lacks if known else ["lifetimes", *lacks]
    else:
        line["response"] = {"type": "error", "error": {"type": str(record.error_code)}}
    line["lacks"] = lacks or None
    return {key: part for key, part in line.items() if part is not None}


def _part(folder: Folder | None, address: str | None) -> Path | None:
    """Return where a body lies that its record has not; standard input has no folder."""
    return folder.part(address) if folder and address else None


def _foreign(record: _Record) -> str | None:
    """Say why a record is no call to Claude, as far as its bodies need not be known."""
    if record.operation not in _OPERATIONS:
        return NO_CALLS
    bare = _bare(record.model_id)
    return OTHERS if "." in bare and "claude" not in bare else None


def _body(side: str, inline: msgspec.Raw, part: Path | None) -> _Body:
    """Return a body out of its record, or out of the file that it was put into."""
    where = (side, f"{side}BodyJson")
    with within(*where):
        found = unwrapped(inline)
    if found or part is None:
        return _Body(found, where)
    where = (side, f"{side}BodyS3Path")
    with within(*where):
        return _Body(unwrapped(content(part)), where)


def _bare(name: str) -> str:
    """Return a model's id without the address that may be around it.

    >>> _bare("arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-4-6-v1")
    'us.anthropic.claude-opus-4-6-v1'
    """
    return name.rpartition("/")[2] if name.startswith("arn:") else name


def _model(name: str, answer: Answer) -> str:
    """Return the id that names a Claude, from the answer if need be; empty if none does."""
    bare = _bare(name)
    if "claude" in bare:
        return bare
    said = answer.model or ""
    return said if "claude" in said else ""


def _request(sent: _Body, record: _Record, model: str, tally: Tally) -> dict[str, Any] | None:
    """Return what was sent as the body that the API would take; ``None`` if it is none."""
    with within(*sent.where):
        if record.operation.startswith("Converse"):
            request = messages_body(value(sent.json), model)
        else:
            passed = asked(sent.json, tally, model=model)
            if passed is None:
                return None
            parts = members(passed.body)
            request = {key: part for key, part in parts.items() if key not in OUTSIDE}
    region = record.region or ""
    found = facts.find(model)
    # GovCloud has prices of its own, and an id without a region does not say that it is.
    if region.startswith("us-gov") and (found is None or not found.region):
        request["inference_geo"] = region
    return request


def _answer(record: _Record, said: Any) -> Answer:
    """Take in what came back.

    The record's own counts come first, and whatever the answer says overwrites them.
    """
    sent, answer = record.input, Answer()
    counts = {
        "inputTokenCount": sent.input_token_count,
        "outputTokenCount": record.output and record.output.output_token_count,
        "cacheReadInputTokenCount": sent.cache_read_input_token_count,
        "cacheWriteInputTokenCount": sent.cache_write_input_token_count,
    }
    answer.take({"usage": counts})
    if not isinstance(said, list):
        answer.take(said)
        return answer
    for event in said:
        answer.event(event)
    return answer


def _parted(said: Any) -> bool:
    """Tell whether an answer says for how long was written what was."""
    for event in said if isinstance(said, list) else [said]:
        if not isinstance(event, Mapping):
            continue
        for holder in (event, event.get("message"), event.get("metadata")):
            usage = holder.get("usage") if isinstance(holder, Mapping) else None
            if isinstance(usage, Mapping) and (
                usage.get("cache_creation") or usage.get("cacheDetails")
            ):
                return True
    return False


def _response(
    answer: Answer, request: Mapping[str, Any], *, parted: bool
) -> tuple[dict[str, Any], bool]:
    """Return what was billed, and whether the lifetimes of what was written are known.

    Where nobody parts them, the marks do, if all are of one lifetime.
    """
    said: dict[str, Any] = {} if answer.message_id is None else {"id": answer.message_id}
    if not answer.counters:
        return said, True
    used = answer.usage
    if used is None:
        raise InputError("its counts of tokens cannot be read", ("output", "outputBodyJson"))
    parts = {"short": used.write_5m, "long": used.write_1h}
    known = parted or not used.written
    if not known:
        marks = lifetimes_of({key: _plain(part) for key, part in request.items()})
        known = len(marks) == 1
        parts = {"long" if marks == {"1h"} else "short" if known else "written": used.written}
    said["usage"] = exclusive(used.uncached, used.output, read=used.read, **parts)
    return said, known


def _plain(part: Any) -> Any:
    """Decode what was passed on as it was."""
    return value(part) if isinstance(part, msgspec.Raw) else part


def _first_token(said: Any) -> float | None:
    """Return after how many seconds the first token came, as the last event says."""
    last = said[-1] if isinstance(said, list) and said else None
    metrics = last.get("amazon-bedrock-invocationMetrics") if isinstance(last, Mapping) else None
    late = metrics.get("firstByteLatency") if isinstance(metrics, Mapping) else None
    if isinstance(late, bool) or not isinstance(late, int | float):
        return None
    return late / 1000 if 0 <= late <= _LATEST else None
