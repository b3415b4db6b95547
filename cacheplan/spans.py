"""Spans of traces, whichever way they were written down, as one value each.

OpenTelemetry's JSON (OTLP 1.11, read 2026-11-21) wraps every value in its type, and may
spell its fields in two ways; Phoenix hands spans out as rows. This file knows both shapes
and no attribute's meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from cacheplan.errors import InputError
from cacheplan.strict_json import members, typed, value

__all__ = [
    "Batch",
    "Span",
    "batches",
    "count",
    "decoded",
    "flat",
    "from_otlp",
    "plain",
    "text",
    "tree",
]

#: An attribute's members are numbered; nobody has a million of them.
_DIGITS: Final = 6
_NANO: Final = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One span: what it is part of, what drew it, and what it says."""

    trace: str
    id: str
    parent: str
    name: str
    #: The library that drew it; empty where that is not told.
    scope: str = ""
    #: Seconds, or a time as text.
    begin: float | str
    failed: bool = False
    #: By flat name. Values are those of JSON.
    said: Mapping[str, Any]
    #: What the program says of itself.
    resource: Mapping[str, Any] = field(default_factory=dict)
    events: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    #: True if a limit cut attributes off.
    cut: bool = False


class _Pair(msgspec.Struct):
    """One attribute."""

    key: str
    value: Any = None


class _Event(msgspec.Struct):
    """Something that happened in a span."""

    name: str | None = None
    attributes: list[_Pair] | None = None


class _Status(msgspec.Struct):
    """How a span ended; the code is a number or a name."""

    code: int | str | None = None


class _Span(msgspec.Struct, rename="camel"):
    """The fields of a span that are needed."""

    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    start_time_unix_nano: int | str | None = None
    attributes: list[_Pair] | None = None
    events: list[_Event] | None = None
    status: _Status | None = None
    dropped_attributes_count: int | None = None


class _Scope(msgspec.Struct):
    """Who drew the spans."""

    name: str | None = None


class _Scoped(msgspec.Struct):
    """The spans of one library."""

    scope: _Scope | None = None
    spans: list[msgspec.Raw] | None = None


class _Resource(msgspec.Struct):
    """What the program says of itself."""

    attributes: list[_Pair] | None = None


class _Batch(msgspec.Struct):
    """The spans of one program, by library, in either spelling."""

    resource: _Resource | None = None
    scope_spans: list[_Scoped] | None = msgspec.field(default=None, name="scopeSpans")
    scope_spans_too: list[_Scoped] | None = msgspec.field(default=None, name="scope_spans")
    #: What OTLP called it before 1.0.
    libraries: list[_Scoped] | None = msgspec.field(
        default=None, name="instrumentationLibrarySpans"
    )


class _Document(msgspec.Struct):
    """What is exported at once; or a member of its list, where that is read by members."""

    resource_spans: list[_Batch] | None = msgspec.field(default=None, name="resourceSpans")
    resource_spans_too: list[_Batch] | None = msgspec.field(default=None, name="resource_spans")
    resource: _Resource | None = None
    scope_spans: list[_Scoped] | None = msgspec.field(default=None, name="scopeSpans")
    resource_metrics: list[msgspec.Raw] | None = msgspec.field(default=None, name="resourceMetrics")
    resource_logs: list[msgspec.Raw] | None = msgspec.field(default=None, name="resourceLogs")


_DOCUMENTS: Final = msgspec.json.Decoder(_Document)
_CAMEL: Final = msgspec.json.Decoder(_Span)
#: How the protocol's own definition spells names, where JSON has ``spanId``.
_SNAKE: Final = re.compile(r"_([a-z])")

#: The spans of one library as they stand, its name, and what the program says of itself.
Batch = tuple[str, Mapping[str, Any], list[msgspec.Raw]]


def batches(raw: bytes) -> tuple[list[Batch], int]:
    """Return the spans of an export, and how many of its entries are metrics or logs."""
    found = typed(raw, _DOCUMENTS)
    listed = found.resource_spans or found.resource_spans_too or []
    if found.scope_spans:
        listed = [_Batch(resource=found.resource, scope_spans=found.scope_spans)]
    others = len(found.resource_metrics or ()) + len(found.resource_logs or ())
    return [
        ((scoped.scope.name or "") if scoped.scope else "", about, scoped.spans or [])
        for batch in listed
        for about in (_attributes(batch.resource.attributes if batch.resource else None),)
        for scoped in batch.scope_spans or batch.scope_spans_too or batch.libraries or ()
    ], others


def from_otlp(
    raw: bytes | msgspec.Raw, scope: str = "", resource: Mapping[str, Any] | None = None
) -> Span:
    """Return a span as OTLP writes it."""
    found = typed(raw, _CAMEL)
    if found.span_id is None:
        renamed = {_SNAKE.sub(_capital, key): part for key, part in members(raw).items()}
        found = typed(msgspec.json.encode(renamed), _CAMEL)
    code = found.status.code if found.status else None
    events = ((event.name or "", _attributes(event.attributes)) for event in found.events or ())
    return Span(
        trace=found.trace_id or "",
        id=found.span_id or "",
        parent=found.parent_span_id or "",
        name=found.name or "",
        scope=scope,
        begin=_seconds(found.start_time_unix_nano),
        failed=code in (2, "2", "STATUS_CODE_ERROR"),
        said=_attributes(found.attributes),
        resource=resource or {},
        events=tuple(events),
        cut=bool(found.dropped_attributes_count),
    )


def _capital(found: re.Match[str]) -> str:
    """Return the letter behind an underscore as JSON has it."""
    return found[1].upper()


def _seconds(nano: int | str | None) -> float:
    """Return a time; JSON writes numbers of 64 bits as text."""
    try:
        found = int(nano or 0)
    except ValueError as error:
        raise InputError("this is no number of nanoseconds", ("startTimeUnixNano",)) from error
    if found <= 0:
        raise InputError("missing; a call needs its time", ("startTimeUnixNano",))
    try:
        return found / _NANO
    except OverflowError as error:
        raise InputError("this is later than any time", ("startTimeUnixNano",)) from error


def _attributes(pairs: list[_Pair] | None) -> dict[str, Any]:
    """Return attributes by name."""
    return {pair.key: plain(pair.value) for pair in pairs or ()}


def plain(wrapped: Any) -> Any:
    """Return what a value of OTLP is, without the words that say its type.

    >>> plain({"arrayValue": {"values": [{"intValue": "7"}, {"stringValue": "a"}]}})
    [7, 'a']
    """
    if not isinstance(wrapped, dict):
        return None
    for kind, found in wrapped.items():
        if found is None:
            continue
        word = kind.replace("_", "").lower()
        if word == "intvalue":
            return _whole(found)
        if word == "arrayvalue":
            return [plain(each) for each in _values(found)]
        if word == "kvlistvalue":
            pairs = (each for each in _values(found) if isinstance(each, dict))
            return {str(each.get("key")): plain(each.get("value")) for each in pairs}
        if word in ("stringvalue", "boolvalue", "doublevalue", "bytesvalue"):
            return found
    return None


def _whole(found: Any) -> Any:
    """Return a whole number, which may be written as text."""
    try:
        return int(found) if isinstance(found, str) else found
    except ValueError:
        return found


def _values(found: Any) -> list[Any]:
    """Return the values of a list, which an empty one leaves out."""
    listed = found.get("values") if isinstance(found, dict) else None
    return listed if isinstance(listed, list) else []


def flat(said: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield attributes under flat names, of which some exports make objects.

    >>> dict(flat({"llm": {"token_count": {"prompt": 7}}}))
    {'llm.token_count.prompt': 7}
    """
    for key, found in said.items():
        if isinstance(found, dict):
            yield from flat(found, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", found


def tree(said: Mapping[str, Any], prefix: str) -> Any:
    """Return what numbered and dotted names say together; ``None`` if nothing.

    >>> tree({"a.0.b.c": 1, "a.1.b.c": 2}, "a")
    [{'b': {'c': 1}}, {'b': {'c': 2}}]
    """
    whole = said.get(prefix)
    if isinstance(whole, list | dict):
        return _undotted(whole)
    found: dict[str, Any] = {}
    for name, part in said.items():
        if name.startswith(f"{prefix}."):
            _put(found, name.removeprefix(f"{prefix}."), part)
    return _listed(found) if found else None


def _undotted(found: Any) -> Any:
    """Return a value with objects in the place of dotted names, at any depth."""
    if isinstance(found, list):
        return [_undotted(each) for each in found]
    if not isinstance(found, dict):
        return found
    made: dict[str, Any] = {}
    for name, part in found.items():
        _put(made, name, part)
    return _listed(made)


def _put(holder: dict[str, Any], name: str, part: Any) -> None:
    """Put a value where its dotted name says; what holds others is no value itself."""
    *steps, last = name.split(".")
    for step in steps:
        inner = holder.get(step)
        if not isinstance(inner, dict):
            inner = holder[step] = {}
        holder = inner
    if not isinstance(holder.get(last), dict):
        holder[last] = _undotted(part)


def _listed(found: Any) -> Any:
    """Return objects whose keys are all numbers as lists in that order."""
    if not isinstance(found, dict):
        return found
    parts = {key: _listed(part) for key, part in found.items()}
    if parts and all(key.isascii() and key.isdecimal() and len(key) <= _DIGITS for key in parts):
        return [parts[key] for key in sorted(parts, key=int)]
    return parts


def decoded(found: Any) -> Any:
    """Return what JSON written as text says; other values, and broken text, as they are."""
    if not (isinstance(found, str) and found.lstrip()[:1] in ("{", "[")):
        return found
    try:
        return value(found.encode())
    except (InputError, UnicodeEncodeError):
        return found


def text(said: Mapping[str, Any], *names: str) -> str | None:
    """Return the first of these attributes that says anything, as text."""
    for name in names:
        found = said.get(name)
        if isinstance(found, str) and found:
            return found
    return None


def count(said: Mapping[str, Any], *names: str) -> int | None:
    """Return the first of these attributes that is stated, as a number of tokens.

    Tables make it a float, and where nothing stands no number at all.
    """
    for name in names:
        found = said.get(name)
        if found is None or found == "" or found != found:  # noqa: PLR0124 -- no number
            continue
        if isinstance(found, bool):
            raise InputError("this is not a whole number of tokens", (name,))
        try:
            number = float(found)
            whole = int(found) if isinstance(found, int | float) else int(number)
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError("this is not a whole number of tokens", (name,)) from error
        if number != whole:
            raise InputError("this is not a whole number of tokens", (name,))
        return whole
    return None
