"""Results of batches are fetched, joined to their calls, and booked, each once.

Results come in any order and are kept first, a file at a time and all of it or none; what
is written and booked is made of what is kept, so it can be made again. Of a result that is
in the ledger already the ledger itself knows best: it is asked for the message's id before
anything is booked.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cacheplan.entries import Entry
from cacheplan.errors import InputError
from cacheplan.io.database import opened
from cacheplan.io.ledger import Ledger
from cacheplan.io.outbox import Asked, File, Outbox, Result, Stray
from cacheplan.io.rows import Names
from cacheplan.io.sending import Sender, told
from cacheplan.io.writing import write_raw
from cacheplan.labels import tags_of
from cacheplan.stated import recorded_usage
from cacheplan.strict_json import members
from cacheplan.tables import count

__all__ = ["Collected", "book", "collect", "fetch", "unanswered", "write"]

#: What a request is that has no result yet.
_OPEN: Final = "open"
#: Errors that the same request meets again (API reference, errors, 2026-08-22).
_LASTING: Final = frozenset(
    {"invalid_request_error", "request_too_large", "not_found_error", "permission_error"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What was collected."""

    #: Requests by what came of them; ``open`` are those without a result yet.
    counts: dict[str, int]
    booked: int
    strays: tuple[Stray, ...]
    #: What a person should know, in sentences.
    notes: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every call was answered and every result has its call."""
        return not self.strays and not self.notes and set(self.counts) <= {"succeeded"}

    def __str__(self) -> str:
        """Say it in lines."""
        said = ", ".join(f"{kind} {count(number)}" for kind, number in self.counts.items())
        lines = [f"requests: {said}"]
        lines += [f"{one.file}: {one.custom_id}: {one.why}" for one in self.strays]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return the shape that ``batch collect --format json`` prints."""
        return {
            "counts": self.counts,
            "booked": self.booked,
            "strays": [one._asdict() for one in self.strays],
            "notes": list(self.notes),
        }


def collect(  # noqa: PLR0913 -- each is something else that is done with results
    outbox: Outbox,
    client: Any,
    sender: Sender,
    output: str,
    *,
    ledger: str | None = None,
    again: str | None = None,
    watch: Callable[[str], None] = lambda _: None,
) -> Collected:
    """Fetch what has ended, write every result that is there, and book what succeeded."""
    notes = sender.settle()
    notes += fetch(outbox, client, watch)
    booked = 0
    if ledger is not None:
        booked = book(outbox, ledger, watch)
    watch(f"writing {output}")
    write(outbox, output)
    if again is not None:
        watch(f"writing {again}")
        write_raw(again, unanswered(outbox))
    counts = outbox.counts()
    open_ = sum(file.requests for file in outbox.files() if file.state != "collected")
    if open_:
        counts[_OPEN] = open_
    strays = tuple(outbox.strays())
    return Collected(counts=counts, booked=booked, strays=strays, notes=tuple(notes))


def fetch(outbox: Outbox, client: Any, watch: Callable[[str], None]) -> list[str]:
    """Keep the results of every batch that has ended; say what cannot be had."""
    notes = []
    for file in outbox.files():
        if file.state != "sent":
            continue
        watch(f"{file.name}: asking whether it has ended")
        with told():
            batch = client.messages.batches.retrieve(file.batch)
            if batch.processing_status != "ended":
                continue
            if batch.results_url is None:
                notes.append(f"{file.name}: the results of {file.batch} are no longer kept")
                continue
            watch(f"{file.name}: fetching its results")
            results = client.messages.batches.results(file.batch)
            try:
                outbox.collect(file, (_kept(one) for one in results))
            except ValueError as error:
                what = f"{file.name}: a result cannot be read, so none is kept: {error}"
                raise InputError(what) from error
            finally:
                results.close()
        watch(f"{file.name}: its results are kept")
    return notes


def _kept(found: Any) -> Result:
    """Return one line of results as it is kept."""
    line = found.to_dict(mode="json") if hasattr(found, "to_dict") else found
    name = line.get("custom_id") if isinstance(line, dict) else None
    result = line.get("result") if isinstance(line, dict) else None
    if not isinstance(result, dict):
        result = {}
    kind = str(result.get("type") or "unknown")
    return Result(str(name), kind, json.dumps(result, ensure_ascii=False).encode())


# --- what is written -------------------------------------------------------------------


def write(outbox: Outbox, output: str) -> None:
    """Write every call that has a result, in the order of the source, as a workload."""
    write_raw(output, _lines(outbox))


def _lines(outbox: Outbox) -> Iterator[bytes]:
    """Yield a line for each result: the call as it was sent, and what came back."""
    for one, file, params, result in _answered(outbox):
        yield _line(one, file, params, result)


def unanswered(outbox: Outbox) -> Iterator[bytes]:
    """Yield the calls that were not answered and could be, as lines to build again."""
    for one, _, params, result in _answered(outbox):
        if _passing(result):
            yield _joined(one.rest, {"request": params})


def _answered(outbox: Outbox) -> Iterator[tuple[Asked, File, bytes, Result]]:
    """Yield each request that has a result, with its body; files are read one at a time."""
    kept: tuple[int, bytes] = (-1, b"")
    for one, file, result in outbox.joined():
        if result is None:
            continue
        if kept[0] != file.number:
            kept = (file.number, outbox.content(file))
        content = kept[1][one.start : one.end]
        yield one, file, bytes(members(content)["params"]), result


def _passing(result: Result) -> bool:
    """Tell whether the same request may fare better: it expired, or the service failed."""
    if result.type in {"expired", "canceled"}:
        return True
    return result.type == "errored" and _error(result).get("type") not in _LASTING


def _error(result: Result) -> dict[str, Any]:
    """Return the error of a result, out of its wrapping."""
    found = json.loads(result.raw).get("error")
    inner = found.get("error") if isinstance(found, dict) else None
    wrapped = inner if isinstance(inner, dict) else found
    return wrapped if isinstance(wrapped, dict) else {}


def _line(one: Asked, file: File, params: bytes, result: Result) -> bytes:
    """Write one call with its answer."""
    found = json.loads(result.raw)
    response = found.get("message")
    if result.type != "succeeded" or not isinstance(response, dict):
        error = _error(result) or {"type": result.type}
        response = {"type": "error", "error": error}
    parts = {
        "at": json.dumps(file.created).encode(),
        "surface": b'"batch"',
        "custom_id": json.dumps(one.custom_id).encode(),
        "result": json.dumps(result.type).encode(),
        "request": params,
        "response": json.dumps(response, ensure_ascii=False).encode(),
    }
    return _joined(one.rest, parts)


def _joined(rest: bytes, parts: dict[str, bytes]) -> bytes:
    """Put members behind those of an object."""
    inside = b",".join(json.dumps(key).encode() + b":" + part for key, part in parts.items())
    comma = b"," if rest[1:-1].strip() else b""
    return rest[:-1] + comma + inside + b"}"


# --- what is booked --------------------------------------------------------------------


def book(outbox: Outbox, path: str, watch: Callable[[str], None]) -> int:
    """Book every result that succeeded and is not in the ledger; return how many."""
    name = str(Path(path).resolve())
    known = outbox.booked(name)
    waiting = [
        (one, file, result)
        for one, file, result in outbox.joined()
        if result is not None and result.type == "succeeded" and one.custom_id not in known
    ]
    if not waiting:
        return 0
    number, there = 0, _there(Path(path))
    with Ledger(path) as ledger:
        for one, file, result in waiting:
            entry = _entry(one, file, result, outbox.platform)
            if not there(entry.message_id):
                watch(f"booking {one.custom_id}")
                ledger.record(entry)
                number += 1
    watch("writing down what is booked")
    outbox.book([one.custom_id for one, _, _ in waiting], name)
    return number


def _there(path: Path) -> Callable[[str | None], bool]:
    """Return what tells whether a message is in a ledger."""
    if not path.exists():
        return lambda _: False
    try:
        with closing(opened(path)) as connection:
            key = connection.execute("SELECT value FROM meta WHERE name = 'key'").fetchone()
            rows = connection.execute("SELECT message FROM calls WHERE surface = 'batch'")
            messages = {row[0] for row in rows}
    except sqlite3.Error as error:
        raise InputError(str(error)).at(str(path)) from error
    if key is None:
        return lambda _: False
    names = Names(key[0])
    return lambda message: message is not None and names.of(message) in messages


def _entry(one: Asked, file: File, result: Result, platform: str) -> Entry:
    """Say what a ledger may know of one result; its prompt is told by no digest."""
    message = json.loads(result.raw).get("message") or {}
    found = json.loads(one.rest)
    usage = message.get("usage")
    counted = None
    if isinstance(usage, Mapping):
        # What cannot be read was billed all the same, and stays unknown.
        with suppress(InputError):
            counted = recorded_usage(usage)
    return Entry(
        at=file.created or 0.0,
        model=str(message.get("model") or ""),
        label=found.get("label"),
        tags=tags_of(found.get("tags") or {}),
        session=found.get("session"),
        workspace=found.get("workspace"),
        platform=platform,
        surface="batch",
        geo=str(usage.get("inference_geo") or "") if isinstance(usage, Mapping) else "",
        applied=True,
        usage=counted,
        status=200,
        # Without an id of the service's, the request's own is as good: both are unique.
        message_id=str(message.get("id") or one.custom_id),
    )
