"""The kinds of lines in a transcript of Claude Code, and what of them is looked at.

This file knows how the client writes a line (up to 2.1.330, seen 2026-11-21), and nothing
of what lines mean together.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from cacheplan.errors import InputError
from cacheplan.rebuilding import Asked
from cacheplan.strict_json import quoted, typed

__all__ = [
    "ANSWERING",
    "ASKED",
    "ASKING",
    "BLOB",
    "COSTS",
    "KIND",
    "NOTHING",
    "SHAPE",
    "Answering",
    "Sums",
    "added",
    "is_result",
    "moment",
    "plus",
    "said_in",
    "usage_in",
    "zoned",
]

#: Input, output, read and written.
Sums = tuple[int, int, int, int]
NOTHING: Final[Sums] = (0, 0, 0, 0)


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


class Answering(msgspec.Struct, rename="camel"):
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


KIND: Final = msgspec.json.Decoder(_Kind)
ASKED: Final = msgspec.json.Decoder(Asked)
BLOB: Final = msgspec.json.Decoder(_Blob)
SHAPE: Final = msgspec.json.Decoder(_Shape)
COSTS: Final = msgspec.json.Decoder(_Costs)
ASKING: Final = msgspec.json.Decoder(_Asking)
ANSWERING: Final = msgspec.json.Decoder(Answering)
_SPENT: Final = msgspec.json.Decoder(_Spent | None)
_ANY: Final = msgspec.json.Decoder()
#: Content is text or a list of blocks, each of which says what it is.
_CONTENT: Final[msgspec.json.Decoder[str | list[dict[str, Any]]]] = msgspec.json.Decoder(
    str | list[dict[str, Any]]
)


def said_in(content: msgspec.Raw) -> str | list[dict[str, Any]]:
    """Return what content says; what is none is refused."""
    try:
        return typed(content, _CONTENT)
    except InputError as error:
        raise error.within("content").within("message") from error


def is_result(block: Any) -> bool:
    """Tell whether a block of the user's is what a tool answered."""
    return isinstance(block, dict) and block.get("type") == "tool_result"


def usage_in(raw: msgspec.Raw) -> tuple[Any, Sums]:
    """Read the usage of an answer, and what of it is added up."""
    try:
        return typed(raw, _ANY), _sums(typed(raw, _SPENT))
    except InputError as error:
        raise error.within("usage").within("message") from error


def moment(written: str) -> datetime:
    """Read a time; without a zone it is UTC."""
    try:
        return datetime.fromisoformat(zoned(written))
    except (ValueError, OverflowError) as error:
        raise InputError(f"{quoted(written)} is not a time", ("timestamp",)) from error


def zoned(written: str) -> str:
    """Return a time with its zone."""
    clock = written.upper().partition("T")[2]
    return written if any(sign in clock for sign in "Z+-") else f"{written}Z"


def _sums(spent: _Spent | _Counts | None) -> Sums:
    """Return what was counted, to be added up."""
    if spent is None:
        return NOTHING
    return (
        spent.input_tokens or 0,
        spent.output_tokens or 0,
        spent.cache_read_input_tokens or 0,
        spent.cache_creation_input_tokens or 0,
    )


def plus(sums: Sums, new: Sums, old: Sums) -> Sums:
    """Return sums in which one answer's count has been replaced."""
    return tuple(total + one - two for total, one, two in zip(sums, new, old, strict=True))  # type: ignore[return-value]


def added(costs: _Costs) -> Sums:
    """Return what the client counted of all models."""
    sums = NOTHING
    for counts in costs.model_usage.values():
        sums = plus(sums, _sums(counts), NOTHING)
    return sums
