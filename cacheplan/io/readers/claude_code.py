"""Transcripts of Claude Code: ``~/.claude/projects/<folder>/<session>.jsonl``.

Form as of clients up to 2.1.330, seen 2026-11-21. One line a content block: lines of one
answer repeat its usage, and the last has its final count. From 2.1.282 on the client
records its requests, so that bodies can be rebuilt and proved; of older calls the
transcript shows the messages and the usage, and neither system and tools nor marks.

Traps: results of tools that ran side by side hang on different lines of one answer. A
session that was forked begins with lines of the other one, some with their usage struck
out. What the client asks beside the conversation (titles, summaries) is in no line, only
in its count of costs. A request that was sent again has several records and one answer.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from cacheplan import facts
from cacheplan.continuing import Continuing
from cacheplan.errors import InputError
from cacheplan.io.documents import File, Head, records
from cacheplan.io.tally import Record, Tally
from cacheplan.rebuilding import Asked, Rebuilding, Rebuilt
from cacheplan.strict_json import quoted, typed
from cacheplan.transcript import Message, Texts, Transcript

__all__ = ["LACKS", "NAME", "WHAT", "matches", "read"]

NAME: Final = "claude-code"
WHAT: Final = "Claude Code transcripts"
#: Newer ones say everything; what an older call lacks stands on its line.
LACKS: Final = frozenset[str]()

REBUILT: Final = "calls rebuilt from the client's own record and verified"
UNSEALED: Final = "of these, calls whose parts are verified and whose digest as a whole is another"
VISIBLE: Final = "calls known by usage and structure alone"
UNANSWERED: Final = "requests without an answer in their transcript, left out"
COPIED: Final = "calls copied from another session, whose own transcript lies beside it, left out"
STRUCK: Final = "copied calls whose usage was struck out, left out"
PROMPTLESS: Final = "calls of which the transcript shows no prompt, left out"
FOREIGN: Final = "calls of other providers, left out"
SYNTHETIC: Final = "messages that the client wrote itself, left out"
UNPROVED: Final = "recorded parts that are not what their names say, left out"
AGREES: Final = "transcripts whose calls add up to what the client counted"
BESIDE: Final = (
    "transcripts of which the client counted more than their calls (sub-agents, summaries, titles)"
)
EXCEEDS: Final = "transcripts whose calls add up to more than the client counted"

#: What the visible messages leave unsaid.
_UNSAID: Final = ("marks", "settings", "system", "tools")
#: Requests that may begin before an earlier one's answer is complete.
_WAITING: Final = 16
_SESSION: Final = re.compile(r"[A-Za-z0-9-]+")

Told = tuple[int, dict[str, Any]]


class _Kind(msgspec.Struct, rename="camel"):
    """What every line says."""

    type: Any = None
    uuid: Any = None
    parent_uuid: Any = None


class _Blob(msgspec.Struct):
    """A message as the client recorded it."""

    hash: str
    message: msgspec.Raw


class _Shape(msgspec.Struct, rename="camel"):
    """System and tools as the client recorded them."""

    shape_hash: str
    shape: msgspec.Raw


class _Counts(msgspec.Struct, rename="camel"):
    """What the client counted of one model."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0


class _Costs(msgspec.Struct, rename="camel"):
    """What the client counted of a session so far."""

    model_usage: dict[str, _Counts]


class _User(msgspec.Struct):
    """What a line of the user's says."""

    content: msgspec.Raw


class _Spent(msgspec.Struct):
    """An answer's usage, as far as it is added up here."""

    input_tokens: int | None = 0
    output_tokens: int | None = 0
    cache_read_input_tokens: int | None = 0
    cache_creation_input_tokens: int | None = 0


class _Assistant(msgspec.Struct):
    """What a line of an answer says."""

    content: msgspec.Raw
    model: str
    id: str | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")


class _Asking(msgspec.Struct, rename="camel"):
    """A line of the user's."""

    message: _User
    timestamp: str


class _Answering(msgspec.Struct, rename="camel"):
    """A line of an answer."""

    message: _Assistant
    timestamp: str
    request_id: str | None = None
    request_ref: str | None = None
    request_session_id: str | None = None
    session_id: str | None = None
    is_sidechain: bool | None = None
    is_api_error_message: bool | None = None

    @property
    def name(self) -> str:
        """What tells its request from all others."""
        found = self.request_ref or self.request_id or self.message.id
        if found is None:
            raise InputError("missing", ("message", "id"))
        return found


_KIND: Final = msgspec.json.Decoder(_Kind)
_ASKED: Final = msgspec.json.Decoder(Asked)
_BLOB: Final = msgspec.json.Decoder(_Blob)
_SHAPE: Final = msgspec.json.Decoder(_Shape)
_COSTS: Final = msgspec.json.Decoder(_Costs)
_ASKING: Final = msgspec.json.Decoder(_Asking)
_ANSWERING: Final = msgspec.json.Decoder(_Answering)
_SPENT: Final = msgspec.json.Decoder(_Spent | None)
_ANY: Final = msgspec.json.Decoder()
#: Content is text or a list of blocks, each of which says what it is.
_CONTENT: Final[msgspec.json.Decoder[str | list[dict[str, Any]]]] = msgspec.json.Decoder(
    str | list[dict[str, Any]]
)

Sums = tuple[int, int, int, int]


def matches(head: Head) -> bool:
    """Tell a transcript: every line names the one before, or is the client's own record."""
    return (
        head.has("parentUuid", "isSidechain")
        or head.has("shapeHash", "sessionId")
        or head.has("leafUuid", "type")
        or head.has("operation", "sessionId")
    )


def read(file: File, tally: Tally) -> Iterator[Told]:
    """Yield the calls of one transcript, in the order in which they began."""
    reading = _Reading(Path(file.name), tally)
    for record in records(file, tally):
        with tally.reading(file.name, record):
            reading.take(record)
        yield from reading.told(_WAITING)
    yield from reading.told(0)
    reading.check()


class _Call:
    """A request, and what was answered so far."""

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self.asked: Asked | None = None
        self.rebuilt: Rebuilt | None = None
        #: The messages that the transcript shows before the answer.
        self.visible: list[Message] = []
        self.newest = ""
        #: The first line of the answer, and the newest usage.
        self.answer: _Answering | None = None
        self.usage: Any = None
        self.sums: Sums = (0, 0, 0, 0)


class _Reading:
    """What is known of one transcript so far; calls leave it when their answers are over."""

    def __init__(self, path: Path, tally: Tally) -> None:
        self._path = path
        self._tally = tally
        self._texts = Texts()
        self._lines = Transcript(self._texts)
        self._rebuilding = Rebuilding(self._lines, self._texts)
        self._proved = Continuing(self._texts)
        self._shown = Continuing(self._texts)
        self._waiting: OrderedDict[str, _Call] = OrderedDict()
        #: Calls that left.
        self._left: set[str] = set()
        self._sums: Sums = (0, 0, 0, 0)
        #: What the client counted last, and what the calls before it add up to.
        self._counted: tuple[Sums, Sums] | None = None

    def take(self, record: Record) -> None:
        """Take in one line; those of other kinds matter only if something hangs on them."""
        kind = typed(record.raw, _KIND)
        uuid = kind.uuid if isinstance(kind.uuid, str) else ""
        parent = kind.parent_uuid if isinstance(kind.parent_uuid, str) else ""
        match kind.type:
            case "user":
                self._ask(record, uuid, parent)
            case "assistant":
                self._answer(record, uuid, parent)
            case "api-request":
                self._request(record)
            case "api-request-blob":
                blob = typed(record.raw, _BLOB)
                if not self._rebuilding.add_message(blob.hash, record.number, blob.message):
                    self._tally.count(UNPROVED)
            case "api-request-shape":
                shape = typed(record.raw, _SHAPE)
                if not self._rebuilding.add_shape(shape.shape_hash, shape.shape):
                    self._tally.count(UNPROVED)
            case "cost-state":
                self._counted = _added(typed(record.raw, _COSTS)), self._sums
            case _ if uuid:
                self._lines.note(record.number, uuid, parent)

    def _ask(self, record: Record, uuid: str, parent: str) -> None:
        """Take in what the user says, and results of tools."""
        line = typed(record.raw, _ASKING)
        _moment(line.timestamp)
        said = _said(line.message.content)
        if not said:
            self._lines.note(record.number, uuid, parent)
            return
        self._texts.put(record.number, line.message.content)
        result = any(_is_result(block) for block in said)
        self._lines.ask(record.number, uuid, parent, line.timestamp, result=result)

    def _request(self, record: Record) -> None:
        """Take in a request that is being sent."""
        asked = typed(record.raw, _ASKED)
        _moment(asked.timestamp)
        if asked.id in self._waiting or asked.id in self._left:
            return
        call = self._waiting[asked.id] = _Call(record.number, asked.id)
        call.asked, call.rebuilt = asked, self._rebuilding.request(asked)

    def _answer(self, record: Record, uuid: str, parent: str) -> None:
        """Take in a line of an answer."""
        line = typed(record.raw, _ANSWERING)
        _moment(line.timestamp)
        name, said = line.name, _said(line.message.content)
        usage, sums = _usage(line.message.usage)
        if line.is_api_error_message or line.message.model == "<synthetic>":
            self._lines.note(record.number, uuid, parent)
            self._tally.count(SYNTHETIC)
            return
        if said:
            self._texts.put(record.number, line.message.content)
            index = self._lines.answer(record.number, uuid, parent, line.message.id or name)
        else:
            index = self._lines.note(record.number, uuid, parent)
        if name in self._left:
            return
        call = self._waiting.setdefault(name, _Call(record.number, name))
        if call.answer is None:
            call.answer = line
            call.visible, call.newest = self._lines.prompt(index)
        if any(sums):
            self._sums = _plus(self._sums, sums, call.sums)
            call.sums, call.usage = sums, usage

    def told(self, waiting: int) -> Iterator[Told]:
        """Yield the calls that began before the newest few."""
        while len(self._waiting) > waiting:
            name, call = self._waiting.popitem(last=False)
            self._left.add(name)
            why = UNANSWERED if call.answer is None else self._unfit(call, call.answer)
            prompt = None if why or call.answer is None else self._prompt(call, call.answer)
            if prompt is None or call.answer is None:
                self._tally.count(why or PROMPTLESS)
            else:
                yield call.number, {**prompt, **_around(call, call.answer)}

    def _unfit(self, call: _Call, answer: _Answering) -> str:
        """Say why a call is left out, if it is."""
        copied = answer.request_session_id not in (None, answer.session_id)
        if copied and self._beside(str(answer.request_session_id)):
            return COPIED
        if copied and call.usage is None:
            return STRUCK
        model = answer.message.model
        known = facts.find(model) is not None or "claude" in model.lower()
        return "" if known else FOREIGN

    def _beside(self, session: str) -> bool:
        """Tell whether another session's transcript stands in the same folder."""
        named = _SESSION.fullmatch(session) is not None
        return named and self._path.with_name(f"{session}.jsonl").is_file()

    def _prompt(self, call: _Call, answer: _Answering) -> dict[str, Any] | None:
        """Return a call's request: as it was sent, or else as far as it is shown."""
        if call.rebuilt is not None and call.asked is not None:
            rebuilt = call.rebuilt
            found = self._proved.told(call.name, rebuilt.chain, rebuilt.around, rebuilt.marks)
            if found is not None:
                self._tally.count(REBUILT)
                if not rebuilt.sealed:
                    self._tally.count(UNSEALED)
                source = call.asked.query_source
                return {**found, "tags": {"source": source}} if source else found
        around = {"model": msgspec.Raw(msgspec.json.encode(answer.message.model))}
        for start in range(len(call.visible)):
            found = self._shown.told(call.name, call.visible[start:], around)
            if found is not None:
                self._tally.count(VISIBLE)
                return {**found, "lacks": sorted((*_UNSAID, *(["text"] if start else [])))}
        return None

    def check(self) -> None:
        """Hold what the calls add up to against what the client counted."""
        if self._counted is None:
            return
        counted, sums = self._counted
        if counted == sums:
            self._tally.count(AGREES)
        elif all(ours <= theirs for ours, theirs in zip(sums, counted, strict=True)):
            self._tally.count(BESIDE)
        else:
            self._tally.count(EXCEEDS)


def _said(content: msgspec.Raw) -> str | list[dict[str, Any]]:
    """Return what content says; what is none is refused."""
    try:
        return typed(content, _CONTENT)
    except InputError as error:
        raise error.within("content").within("message") from error


def _is_result(block: Any) -> bool:
    """Tell whether a block of the user's is what a tool answered."""
    return isinstance(block, dict) and block.get("type") == "tool_result"


def _usage(raw: msgspec.Raw) -> tuple[Any, Sums]:
    """Read the usage of an answer, and what of it is added up."""
    try:
        return typed(raw, _ANY), _sums(typed(raw, _SPENT))
    except InputError as error:
        raise error.within("usage").within("message") from error


def _around(call: _Call, answer: _Answering) -> dict[str, Any]:
    """Return what a call's line says besides its prompt."""
    response = {"id": answer.message.id, "usage": call.usage}
    line = {
        **_times(call, answer),
        "id": call.name,
        "session": answer.request_session_id or answer.session_id,
        "label": "subagent" if answer.is_sidechain else "main",
        "response": {key: part for key, part in response.items() if part is not None},
    }
    return {key: part for key, part in line.items() if part is not None}


def _times(call: _Call, answer: _Answering) -> dict[str, Any]:
    """Return when a call began, and how long its answer took to begin."""
    begun = call.asked.timestamp if call.asked else call.newest
    if not begun:
        return {"at": _zoned(answer.timestamp)}
    after = (_moment(answer.timestamp) - _moment(begun)).total_seconds()
    if after < 0:
        return {"at": _zoned(answer.timestamp)}
    return {"at": _zoned(begun), "first_token_after": after}


def _moment(written: str) -> datetime:
    """Read a time; without a zone it is UTC."""
    try:
        return datetime.fromisoformat(_zoned(written))
    except (ValueError, OverflowError) as error:
        raise InputError(f"{quoted(written)} is not a time", ("timestamp",)) from error


def _zoned(written: str) -> str:
    """Return a time with its zone."""
    clock = written.upper().partition("T")[2]
    return written if any(sign in clock for sign in "Z+-") else f"{written}Z"


def _sums(spent: _Spent | _Counts | None) -> Sums:
    """Return what was counted, to be added up."""
    if spent is None:
        return 0, 0, 0, 0
    return (
        spent.input_tokens or 0,
        spent.output_tokens or 0,
        spent.cache_read_input_tokens or 0,
        spent.cache_creation_input_tokens or 0,
    )


def _plus(sums: Sums, new: Sums, old: Sums) -> Sums:
    """Return sums in which one answer's count has been replaced."""
    return tuple(total + one - two for total, one, two in zip(sums, new, old, strict=True))  # type: ignore[return-value]


def _added(costs: _Costs) -> Sums:
    """Return what the client counted of all models."""
    sums: Sums = (0, 0, 0, 0)
    for counts in costs.model_usage.values():
        sums = _plus(sums, _sums(counts), (0, 0, 0, 0))
    return sums
