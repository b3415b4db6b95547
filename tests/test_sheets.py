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
from cacheplan.io.tally import HALF, Tally

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


@pytest.mark.parametrize("half", ["3", '"3', '3\n,"4\nmore'])
def test_a_row_that_was_cut_off(half: str) -> None:
    """A row that ends with the file before its last cell is counted, and is no row."""
    tally = Tally()
    found = list(rows(_file(b"one,two,three\n1,2,3\n" + half.encode()), tally))
    assert [json.loads(record.raw)["one"] for record in found][:1] == ["1"]
    assert tally.of(HALF) == 1
    assert not any(record.raw.count(b"4") for record in found)


def test_a_row_without_a_line_end_is_whole() -> None:
    """Programs that write no line end behind the last row, or leave cells out, are read."""
    assert _rows(b"one,two\n1,2") == [{"one": "1", "two": "2"}]
    assert _rows(b"one,two\n1\n3,4\n") == [{"one": "1"}, {"one": "3", "two": "4"}]


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


def _parquet(folder: Path, query: str, options: str = "") -> File:
    """Return a Parquet file with what a query finds."""
    path = folder / "found.parquet"
    duckdb.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet {options})")
    return _file(path.read_bytes())


@pytest.mark.parametrize("size", [2_048, 100_000])
def test_parquet_gives_every_row_in_its_order(tmp_path: Path, size: int) -> None:
    """However a file groups its rows, all of them come out, in order."""
    query = "SELECT i AS one, 'x' || i AS two FROM range(5000) t(i)"
    file = _parquet(tmp_path, query, f", ROW_GROUP_SIZE {size}")
    found = list(parquet_rows(file, Tally(), {"one", "two"}))
    assert [json.loads(each.raw) for each in found] == [
        {"one": at, "two": f"x{at}"} for at in range(5_000)
    ]
    assert [each.number for each in found] == list(range(1, 5_001))


def test_parquet_may_have_no_rows(tmp_path: Path) -> None:
    """An empty table has none, and is no error."""
    file = _parquet(tmp_path, "SELECT 1 AS one WHERE false")
    assert list(parquet_rows(file, Tally(), {"one"})) == []


def test_parquet_of_any_kind_of_column(tmp_path: Path) -> None:
    """Objects, times and exact numbers are written as JSON has them."""
    query = """SELECT {'a': [1, 2]} AS inner, TIMESTAMP '2026-11-21 09:00:00.25' AS at,
        TIMESTAMPTZ '2026-11-21 09:00:00+00' AS zoned, 1.5::DECIMAL(4, 2) AS cost,
        '{"b": 1}'::JSON AS text"""
    wanted = {"inner", "at", "zoned", "cost", "text"}
    [found] = parquet_rows(_parquet(tmp_path, query), Tally(), wanted)
    assert json.loads(found.raw) == {
        "inner": {"a": [1, 2]},
        "at": "2026-11-21T09:00:00.250000",
        "zoned": "2026-11-21 09:00:00+00",
        "cost": "1.50",
        "text": '{"b": 1}',
    }
