"""Tables are handed on a row at a time, as objects, whatever is in their cells."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.errors import InputError
from cacheplan.io.documents import File
from cacheplan.io.sheets import parquet_rows, rows
from cacheplan.io.tally import Tally

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=30)


def _file(raw: bytes) -> File:
    """Return bytes as a file."""
    return File("sheet", io.BufferedReader(io.BytesIO(raw)))


def _rows(raw: bytes) -> list[dict[str, Any]]:
    """Return the rows of comma-separated values."""
    return [json.loads(record.raw) for record in rows(_file(raw), Tally())]


@given(table=st.lists(st.tuples(CELLS, CELLS), max_size=4))
def test_a_row_is_what_was_written(table: list[tuple[str, str]]) -> None:
    """Cells come back as they were, with line ends, commas and quotation marks inside."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(("one", "two"))
    writer.writerows(table)
    raw = out.getvalue().encode()
    assert _rows(raw) == [{"one": one, "two": two} for one, two in table]
    assert _rows(b"\xef\xbb\xbf" + raw) == _rows(raw)


def test_empty_cells_and_cells_without_a_name_are_left_out() -> None:
    """What nobody filled in is not there, and neither is what stands behind the last name."""
    assert _rows(b"one,two\n,2\n1,2,3\n") == [{"two": "2"}, {"one": "1", "two": "2"}]


def test_a_cell_holds_more_than_a_prompt() -> None:
    """A cell of a megabyte is read, and the limit of others is left as it was."""
    before = csv.field_size_limit()
    assert _rows(b'one\n"%b"\n' % (b"a" * (1 << 20)))[0]["one"] == "a" * (1 << 20)
    assert csv.field_size_limit() == before


@given(raw=st.binary(max_size=60))
def test_any_bytes_are_rows(raw: bytes) -> None:
    """Whatever the bytes are, each row is an object, and nothing but an error of input leaves."""
    for record in rows(_file(b"one,two\n" + raw), Tally(skip_bad=True)):
        assert record.raw.startswith(b"{")
        assert record.number >= 2


def test_parquet_gives_the_wanted_columns(tmp_path: Path) -> None:
    """Rows of Parquet are objects of those columns that are wanted and there, without nulls."""
    made = tmp_path / "rows.parquet"
    with duckdb.connect() as database:
        rows_of = database.sql("SELECT 1 AS one, NULL::VARCHAR AS two, MAP {'a': 7} AS three")
        rows_of.write_parquet(str(made))
    wanted = {"one", "two", "three", "four"}
    found = [
        json.loads(each.raw) for each in parquet_rows(_file(made.read_bytes()), Tally(), wanted)
    ]
    assert found == [{"one": 1, "three": {"a": 7}}]


def test_damaged_parquet_is_an_error() -> None:
    """A Parquet file without its end is one line, not a traceback."""
    with pytest.raises(InputError, match="this Parquet file is damaged"):
        list(parquet_rows(_file(b"PAR1 and no more"), Tally(), {"one"}))
