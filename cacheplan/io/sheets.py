"""Tables as logs are exported: comma-separated values, and Parquet.

A row is handed on as an object, so that who reads entries need not know that they stood in
a table. What stands in a cell is text, whatever it stands for: numbers, times and JSON are
for the reader to tell.
"""

from __future__ import annotations

import csv
import io
import shutil
import tempfile
from collections.abc import Collection, Iterator
from typing import Any, Final, cast

import msgspec

from cacheplan.errors import InputError, UnsupportedError
from cacheplan.io.documents import File
from cacheplan.io.tally import HALF, Record, Tally

__all__ = ["parquet_rows", "rows"]

#: A cell may hold a whole prompt; the module's own limit is an eighth of a megabyte.
_CELL: Final = 1 << 30
#: How many rows are asked for at once, if a file's own groups are smaller.
_AT_ONCE: Final = 256


def rows(file: File, tally: Tally) -> Iterator[Record]:
    """Yield the rows of comma-separated values; empty cells are left out.

    A row's number is that of the line it begins on. One that ends with the file before its
    last cell was cut off, and what it says might be half a prompt.
    """
    before = csv.field_size_limit(_CELL)
    text = io.TextIOWrapper(cast("Any", file.stream), "utf-8-sig", "surrogateescape", newline="")
    line, ended = 0, True

    def watched() -> Iterator[str]:
        """Yield the lines, and note whether the last one ends."""
        nonlocal ended
        for one in text:
            ended = one.endswith(("\n", "\r"))
            yield one

    try:
        table = csv.DictReader(watched())
        while True:
            line = table.line_num + 1
            row = next(table, None)
            if row is None:
                break
            if None in row.values() and not ended:
                tally.count(HALF)
            else:
                yield Record(max(line, 2), _object(row))
    except csv.Error as error:
        with tally.reading(file.name, Record(line, b"{}")):
            raise InputError(f"from here on this is no table: {error}") from error
    finally:
        csv.field_size_limit(before)
        text.detach()


def _object(row: dict[str | Any, str | Any]) -> bytes:
    """Write a row as an object; bytes that are no text stay what they are, for who reads it."""
    cells = {key: cell for key, cell in row.items() if isinstance(key, str) and cell}
    try:
        return msgspec.json.encode(cells)
    except UnicodeEncodeError:
        written = (
            b"%b:%b" % (_bytes(key), _bytes(cell))
            for key, cell in cells.items()
            if isinstance(cell, str)
        )
        return b"{%b}" % b",".join(written)


def _bytes(text: str) -> bytes:
    """Write text as JSON, broken where it was broken."""
    escaped = "".join(_ESCAPES.get(sign, sign) for sign in text)
    return b'"%b"' % escaped.encode("utf-8", "surrogateescape")


_ESCAPES: Final = {'"': '\\"', "\\": "\\\\"} | {chr(code): f"\\u{code:04x}" for code in range(32)}


def parquet_rows(file: File, tally: Tally, wanted: Collection[str]) -> Iterator[Record]:
    """Yield the rows of a Parquet file with those of the wanted columns that it has."""
    try:
        import duckdb
    except ImportError as error:
        what = 'this file is Parquet; pip install "cacheplan[parquet]" to read it'
        raise UnsupportedError(what).at(file.name) from error
    number = 0
    # Its index stands at its end, and what is read here may be a stream.
    with tempfile.NamedTemporaryFile(suffix=".parquet") as kept, duckdb.connect() as database:
        shutil.copyfileobj(file.stream, kept)
        kept.flush()
        try:
            for setting in _SETTINGS:
                database.execute(setting)
            for cells in _cells(database, kept.name, wanted):
                number += 1
                yield Record(number, _written(cells))
        except duckdb.Error as error:
            with tally.reading(file.name, Record(number + 1, b"{}")):
                raise InputError("this Parquet file is damaged") from error


def _column(name: str, kind: str) -> str:
    """Return what is asked of a column: times with a zone as text, for want of pytz."""
    quoted = '"' + name.replace('"', '""') + '"'
    zoned = "WITH TIME ZONE" in kind or "TIMESTAMPTZ" in kind
    return f"CAST({quoted} AS VARCHAR)" if zoned else quoted


def _cells(database: Any, path: str, wanted: Collection[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows, a few groups of a file at a time: a result is held whole."""
    found = database.execute("SELECT * FROM read_parquet(?) LIMIT 0", [path])
    kinds = {name: str(kind) for name, kind, *_ in found.description if name in wanted}
    columns = ", ".join(map(_column, kinds, kinds.values())) or "NULL"
    rows = f"SELECT {columns} FROM read_parquet(?, file_row_number = true)"  # noqa: S608 -- only names that are wanted
    groups = database.execute(_GROUPS, [path]).fetchall()
    first = end = 0
    for at, (number,) in enumerate(groups, 1):
        end += number
        if end - first >= _AT_ONCE or at == len(groups):
            span = [path, first, end - 1]
            part = database.execute(f"{rows} WHERE file_row_number BETWEEN ? AND ?", span)
            while batch := part.fetchmany(_AT_ONCE):
                yield from (dict(zip(kinds, cells, strict=False)) for cells in batch)
            first = end


#: How many rows there are in each group of a file.
_GROUPS: Final = """
SELECT any_value(row_group_num_rows) FROM parquet_metadata(?)
GROUP BY row_group_id ORDER BY row_group_id
"""
#: Nothing is fetched, nothing is drawn, and times without a zone stay what they are.
_SETTINGS: Final = (
    "SET autoinstall_known_extensions = false",
    "SET enable_progress_bar = false",
    "SET threads = 1",
    "SET TimeZone = 'UTC'",
)


def _written(cells: dict[str, Any]) -> bytes:
    """Write a row as an object."""
    row = {name: cell for name, cell in cells.items() if cell is not None}
    return msgspec.json.encode(row, enc_hook=str)
