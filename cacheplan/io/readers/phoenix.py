"""Phoenix, and whatever else keeps OpenInference's spans: Arize, OTLP files.

Phoenix 20.26 and its client 3.5, run 2026-11-21. Which attributes mean what is said in
``openinference``; spans by the GenAI conventions are kept there as well, and read so.

* ``GET /v1/projects/…/spans``: ``{"data": […], "next_cursor": …}``, newest first.
* ``GET /v1/projects/…/spans/otlpv1``: the same list in the spelling of OTLP's definition.
* ``get_spans_dataframe()`` written as JSON lines, a list, CSV or Parquet: a column an
  attribute. pandas makes numbers of whole columns floats and times thousandths of seconds. In
  CSV, lists are as Python prints them, so messages are read only from ``input.value``.
* OTLP JSON that an exporter or a collector wrote.

Phoenix does not say which library drew a span.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from cacheplan.errors import InputError
from cacheplan.io.documents import File, Head, records
from cacheplan.io.sheets import parquet_rows, rows
from cacheplan.io.tally import Record, Tally
from cacheplan.io.tracing import LISTS, Calls, exported
from cacheplan.spans import Span, flat, from_otlp
from cacheplan.strict_json import typed

__all__ = ["LACKS", "NAME", "WHAT", "matches", "read"]

NAME: Final = "phoenix"
WHAT: Final = "OpenInference's spans: Phoenix's API and data frames, OTLP JSON"
LACKS: Final = frozenset[str]()

_ROWS: Final = msgspec.json.Decoder(dict[str, Any])
#: What every span of Phoenix has; few logs have any of them.
_SPAN: Final = ("span_kind", "context.span_id")
_OTLP: Final = ("data.span_id", "data.start_time_unix_nano")
_MARK: Final = b"openinference"
#: How OpenInference's attributes begin where the kind of a span comes late.
_OURS: Final = (b'"llm.token_count.', b'"llm.input_messages.', b'"llm.model_name"')


def matches(head: Head) -> bool:
    """Tell Phoenix's spans by their fields, and OTLP by what its attributes are called."""
    if head.stored:
        return head.stores(_SPAN[1])
    if any(name in head.paths for name in LISTS):
        return any(mark in head.raw for mark in (_MARK, *_OURS))
    return (
        any(head.has(*(f"{within}{name}" for name in _SPAN)) for within in ("", "data."))
        or head.has(*_OTLP)
        or head.columns.issuperset(_SPAN)
    )


def read(file: File, tally: Tally) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the calls to Claude."""
    if any(name in file.head.paths for name in LISTS):
        yield from exported(file, tally)
        return
    calls = Calls(tally)
    for record in _entries(file, tally):
        with tally.reading(file.name, record):
            yield from calls.add(record.number, _span(record.raw))
    yield from calls.rest()


def _entries(file: File, tally: Tally) -> Iterator[Record]:
    """Yield the spans of a file, whichever way they stand in it."""
    if file.head.stored:
        return parquet_rows(file, tally, _Every())
    if file.head.columns.issuperset(_SPAN) and not file.head.raw.lstrip().startswith(b"{"):
        return rows(file, tally)
    return records(file, tally, "data")


class _Every(frozenset[str]):
    """All columns are wanted: which attributes tell of a call, a row's dialect decides."""

    def __contains__(self, name: object) -> bool:
        """Want it."""
        return True


def _span(raw: bytes) -> Span:
    """Return the span of one row."""
    row = typed(raw, _ROWS)
    if "start_time_unix_nano" in row:
        return from_otlp(raw)
    found = dict(flat(row))
    said = {
        key.removeprefix("attributes."): part
        for key, part in found.items()
        if key.startswith("attributes.")
    }
    if found.get("span_kind") is not None:
        said.setdefault("openinference.span.kind", found["span_kind"])
    begin = found.get("start_time")
    if isinstance(begin, bool) or not isinstance(begin, int | float | str):
        raise InputError("missing; a call needs its time", ("start_time",))
    return Span(
        trace=_text(found, "context.trace_id"),
        id=_text(found, "context.span_id"),
        parent=_text(found, "parent_id"),
        name=_text(found, "name"),
        begin=begin,
        failed=found.get("status_code") == "ERROR",
        said=said,
    )


def _text(found: dict[str, Any], key: str) -> str:
    """Return a name, empty where there is none."""
    part = found.get(key)
    return part if isinstance(part, str) else ""
