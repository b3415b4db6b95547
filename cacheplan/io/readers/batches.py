"""Message Batches: what was sent, and what came back.

A request file is the body of ``POST /v1/messages/batches``, ``{"requests": [...]}``, or one
``{"custom_id", "params"}`` a line. Results, as ``results_url`` hands them out, are one
``{"custom_id", "result"}`` a line, in any order. Read from the API reference and
anthropic 2.12.0, 2026-11; `cacheplan batch build` and the SDK write the same.

Either file alone is half of it: an answer belongs to the call of its ``custom_id``, which is
unique only within its batch. Nothing says when a request was served, only that most batches
take less than an hour. So each is taken to be served a second after the one before it, and
the times are said to be lacking.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from cacheplan.billing import Answer
from cacheplan.errors import InputError
from cacheplan.io.documents import File, Head, records
from cacheplan.io.logged import asked, replied
from cacheplan.io.tally import Tally
from cacheplan.strict_json import typed, value

__all__ = ["LACKS", "NAME", "WHAT", "matches", "read"]

NAME: Final = "batches"
WHAT: Final = "Message Batches: request files, and files of results beside them"
LACKS: Final = frozenset({"times"})

#: By what an entry holds, the members that tell it.
_TELLING: Final = (
    ("requests.custom_id", "requests.params"),
    ("custom_id", "params"),
    ("custom_id", "result.type"),
)


_NULL: Final = b"null"
_NOTHING: Final = msgspec.Raw(_NULL)


class _Result(msgspec.Struct):
    """What came of a request."""

    type: str
    message: msgspec.Raw = _NOTHING
    error: msgspec.Raw = _NOTHING


class _Entry(msgspec.Struct):
    """One request of a batch, or one of its results."""

    custom_id: str
    params: msgspec.Raw = _NOTHING
    result: _Result | None = None


_ENTRY: Final = msgspec.json.Decoder(_Entry)


def matches(head: Head) -> bool:
    """Tell whether requests or results of a batch stand in it."""
    return any(head.has(*paths) for paths in _TELLING)


def read(file: File, tally: Tally) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield its calls, or the answers to them."""
    for record in records(file, tally, "requests"):
        with tally.reading(file.name, record):
            entry = typed(record.raw, _ENTRY)
            line = _line(entry, record.number, tally)
            if line is not None:
                yield record.number, line


def _line(entry: _Entry, number: int, tally: Tally) -> dict[str, Any] | None:
    """Return what one entry says; ``None`` for a request that is none of ours."""
    response = {} if entry.result is None else {"response": _response(entry.result)}
    if bytes(entry.params) == _NULL:
        if entry.result is None:
            what = "missing; a request of a batch has params, and what came of it a result"
            raise InputError(what, ("params",))
        return {"answers": entry.custom_id, **response}
    try:
        passed = asked(entry.params, tally)
    except InputError as error:
        raise error.within("params") from error
    if passed is None:
        return None
    platform = {} if passed.platform is None else {"platform": passed.platform}
    line = {"id": entry.custom_id, "at": number, "surface": "batch", **platform}
    return {**line, "request": passed.body, "lacks": sorted(LACKS), **response}


def _response(result: _Result) -> dict[str, Any]:
    """Return what came of a request; what was not served has no usage."""
    answer, kind = Answer(), result.type
    if kind == "succeeded" and bytes(result.message) != _NULL:
        answer.take(_within(result.message, "message"))
        # A message without usage was billed all the same; nobody knows how much.
        return replied(answer) or {}
    if bytes(result.error) != _NULL:
        answer.take(_within(result.error, "error"))
    return {"type": "error", "error": {"type": answer.error or kind}}


def _within(part: msgspec.Raw, name: str) -> Any:
    """Decode a member of a result."""
    try:
        return value(part)
    except InputError as error:
        raise error.within(name).within("result") from error
