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
from pathlib import Path
from typing import Any, Final

import msgspec

from cacheplan import facts
from cacheplan.continuing import Continuing
from cacheplan.errors import InputError
from cacheplan.io.documents import File, Head, records
from cacheplan.io.logged import OTHERS
from cacheplan.io.tally import Record, Tally
from cacheplan.journal import (
    ANSWERING,
    ASKED,
    ASKING,
    BLOB,
    COSTS,
    KIND,
    NOTHING,
    SHAPE,
    Answering,
    Sums,
    added,
    is_result,
    moment,
    plus,
    said_in,
    usage_in,
    zoned,
)
from cacheplan.rebuilding import Asked, Rebuilding, Rebuilt
from cacheplan.stated import recorded_usage
from cacheplan.strict_json import typed
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
        self.answer: Answering | None = None
        self.usage: Any = None
        self.sums: Sums = NOTHING


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
        self._sums: Sums = NOTHING
        #: What the client counted last, and what the calls before it add up to.
        self._counted: tuple[Sums, Sums] | None = None

    def take(self, record: Record) -> None:
        """Take in one line; those of other kinds matter only if something hangs on them."""
        kind = typed(record.raw, KIND)
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
                blob = typed(record.raw, BLOB)
                if not self._rebuilding.add_message(blob.hash, record.number, blob.message):
                    self._tally.count(UNPROVED)
            case "api-request-shape":
                shape = typed(record.raw, SHAPE)
                if not self._rebuilding.add_shape(shape.shape_hash, shape.shape):
                    self._tally.count(UNPROVED)
            case "cost-state":
                self._counted = added(typed(record.raw, COSTS)), self._sums
            case _ if uuid:
                self._lines.note(record.number, uuid, parent)

    def _ask(self, record: Record, uuid: str, parent: str) -> None:
        """Take in what the user says, and results of tools."""
        line = typed(record.raw, ASKING)
        moment(line.timestamp)
        said = said_in(line.message.content)
        if not said:
            self._lines.note(record.number, uuid, parent)
            return
        self._texts.put(record.number, line.message.content)
        result = any(is_result(block) for block in said)
        self._lines.ask(record.number, uuid, parent, line.timestamp, result=result)

    def _request(self, record: Record) -> None:
        """Take in a request that is being sent."""
        asked = typed(record.raw, ASKED)
        moment(asked.timestamp)
        if asked.id in self._waiting or asked.id in self._left:
            return
        call = self._waiting[asked.id] = _Call(record.number, asked.id)
        call.asked, call.rebuilt = asked, self._rebuilding.request(asked)

    def _answer(self, record: Record, uuid: str, parent: str) -> None:
        """Take in a line of an answer."""
        line = typed(record.raw, ANSWERING)
        moment(line.timestamp)
        name, said = line.name, said_in(line.message.content)
        usage, sums = usage_in(line.message.usage)
        _check(usage)
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
            self._sums = plus(self._sums, sums, call.sums)
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

    def _unfit(self, call: _Call, answer: Answering) -> str:
        """Say why a call is left out, if it is."""
        copied = answer.request_session_id not in (None, answer.session_id)
        if copied and self._beside(str(answer.request_session_id)):
            return COPIED
        if copied and call.usage is None:
            return STRUCK
        model = answer.message.model
        known = facts.find(model) is not None or "claude" in model.lower()
        return "" if known else OTHERS

    def _beside(self, session: str) -> bool:
        """Tell whether another session's transcript stands in the same folder."""
        named = _SESSION.fullmatch(session) is not None
        return named and self._path.with_name(f"{session}.jsonl").is_file()

    def _prompt(self, call: _Call, answer: Answering) -> dict[str, Any] | None:
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


def _check(usage: Any) -> None:
    """Refuse counts that no call can have, where they stand."""
    try:
        recorded_usage(usage or {})
    except InputError as error:
        raise error.within("usage").within("message") from error


def _around(call: _Call, answer: Answering) -> dict[str, Any]:
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


def _times(call: _Call, answer: Answering) -> dict[str, Any]:
    """Return when a call began, and how long its answer took to begin."""
    begun = call.asked.timestamp if call.asked else call.newest
    if not begun:
        return {"at": zoned(answer.timestamp)}
    after = (moment(answer.timestamp) - moment(begun)).total_seconds()
    if after < 0:
        return {"at": zoned(answer.timestamp)}
    return {"at": zoned(begun), "first_token_after": after}
