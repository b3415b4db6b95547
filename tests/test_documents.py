"""Entries come out of a log whichever way they were put there."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.errors import InputError
from cacheplan.io.documents import File, Head, records
from cacheplan.io.tally import BAD, HALF, Record, Tally

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
ENTRIES = st.lists(st.dictionaries(st.text(max_size=6), JSON, max_size=4), min_size=1, max_size=5)


def file(raw: bytes) -> File:
    """Make a file of some bytes."""
    return File("log", io.BufferedReader(io.BytesIO(raw)))


def found(raw: bytes, *lists: str, skip_bad: bool = False) -> list[Any]:
    """Return the entries of a file."""
    tally = Tally(skip_bad=skip_bad)
    return [json.loads(record.raw) for record in records(file(raw), tally, *lists)]


class TestForms:
    """One a line, in a list, in a document."""

    @given(ENTRIES, st.sampled_from([b"", b"\xef\xbb\xbf"]))
    def test_every_form_has_the_same_entries(self, drawn: list[Any], mark: bytes) -> None:
        """Numbered from 1, in their order."""
        lines = mark + b"".join(json.dumps(one).encode() + b"\n" for one in drawn)
        assert found(lines) == drawn
        for indent in (None, 1):
            listed = mark + json.dumps(drawn, indent=indent).encode()
            assert found(listed) == drawn
            inside = {"version": 1, "log": {"entries": drawn}, "more": [1]}
            document = mark + json.dumps(inside, indent=indent).encode()
            assert found(document, "data", "log.entries") == drawn
        listed = json.dumps(drawn).encode()
        numbers = [record.number for record in records(file(listed), Tally())]
        assert numbers == list(range(1, len(drawn) + 1))

    def test_a_document_alone_is_one_entry(self) -> None:
        """Over several lines, as people format them."""
        assert found(b'{\n  "a": 1\n}\n', "data") == [{"a": 1}]

    @pytest.mark.parametrize("named", [None, 5, "text", {"b": [{"c": 1}]}])
    def test_a_member_that_is_no_list_holds_no_entries(self, named: Any) -> None:
        """Entries may have one under the name that a list of them would have."""
        drawn = [{"a": 1, "data": named}, {"a": 2, "data": named}]
        assert found(b"".join(json.dumps(one).encode() + b"\n" for one in drawn), "data") == drawn

    def test_documents_may_follow_one_another(self) -> None:
        """Several in one file, each over several lines."""
        assert found(b'{\n"a": 1\n}\n{\n"a": 2\n}\n') == [{"a": 1}, {"a": 2}]

    def test_blank_lines_are_no_entries(self) -> None:
        """Their numbers are counted all the same."""
        lines = records(file(b'\n{"a": 1}\n\n{"a": 2}'), Tally())
        assert [(one.number, one.cut) for one in lines] == [(2, False), (4, True)]

    def test_a_list_is_not_held_in_memory(self) -> None:
        """The first entry is there before the last was written."""
        endless = io.BufferedReader(_Endless())
        entries = records(File("log", endless), Tally())
        assert [next(entries).number for _ in range(3)] == [1, 2, 3]

    @pytest.mark.parametrize("raw", [b'[{"a": 1}, {"b"', b'[{"a": 1}, nonsense]', b'[{"a": 1}}'])
    def test_a_document_that_breaks_off_is_a_fault(self, raw: bytes) -> None:
        """What came before stands; where bad entries are skipped, it is counted."""
        tally = Tally()
        entries = records(file(raw), tally)
        assert next(entries).raw == b'{"a":1}'
        with pytest.raises(InputError, match="log line 2: this is not JSON from here on"):
            list(entries)
        assert found(raw, skip_bad=True) == [{"a": 1}]

    @pytest.mark.parametrize(
        "raw",
        [
            b"[" * 100_000,
            b'{"a": [' + b'{"a":' * 100_000,
            b'{"a": [' + b'{"b": [' * 100_000,
            b"[{" + b'"a":[{' * 9_000,
        ],
    )
    def test_what_is_nested_too_deeply_is_a_fault(self, raw: bytes) -> None:
        """It is found before it fills the memory."""
        with pytest.raises(InputError, match=r"nested too deeply|not JSON"):
            found(b"{\n" + raw if raw.startswith(b'"') else raw, "a")
        assert found(raw, "a", skip_bad=True) == []


class _Endless(io.RawIOBase):
    """A list that has no end."""

    def __init__(self) -> None:
        self._begun = False

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with more of it."""
        part = b'{"a": 1}, ' * (len(buffer) // 20)
        part = part if self._begun else b"[" + part
        self._begun = True
        buffer[: len(part)] = part
        return len(part)


class TestHead:
    """A format is told from how a file begins."""

    @pytest.mark.parametrize(
        ("raw", "paths"),
        [
            (b'{"a": {"b": [{"c": 1}, {"d": 2}]}}', {"a", "a.b", "a.b.c", "a.b.d"}),
            (b'[{"a": 1}]', {"a"}),
            (b'{"a": 1}\n{"b": 2}\n', {"a", "b"}),
            (b'{"a": {"b": "brea', {"a", "a.b"}),
            (b"a,b\n1,2\n", set()),
            (b"", set()),
            (b"\x00\xff", set()),
            (b"[" * 100_000, set()),
        ],
    )
    def test_names_are_found_wherever_it_ends(self, raw: bytes, paths: set[str]) -> None:
        """Lists count for nothing, and what is broken has no more."""
        assert Head(raw).paths == paths

    def test_columns_are_those_of_a_table(self) -> None:
        """Quoted or not."""
        assert Head(b'\xef\xbb\xbfid,"model",at\r\n1,2,3\r\n').columns == {"id", "model", "at"}

    def test_asking_takes_nothing_away(self) -> None:
        """What was looked at is read again."""
        one = file(b'{"a": 1}\n')
        assert one.head.has("a")
        assert one.stream.read() == b'{"a": 1}\n'

    @pytest.mark.parametrize("size", [10, 1 << 20])
    def test_columns_of_parquet_stand_at_its_end(self, size: int) -> None:
        """However much stands before them."""
        one = file(b"PAR1" + b"\x00" * size + b"request_id spend" + b"PAR1")
        assert one.head.stored
        assert one.head.stores("request_id", "spend")
        assert not one.head.stores("request_id", "model")
        assert one.stream.read(4) == b"PAR1"
        assert not file(b"request_id").head.stores("request_id")


def wrong() -> None:
    """Find a fault."""
    raise InputError("wrong")


class TestTally:
    """What could not be read is named, or skipped and counted."""

    def test_a_fault_gets_its_place(self) -> None:
        """File and line are added to what is wrong inside."""
        with (
            pytest.raises(InputError, match=r"^log line 7: a\.b: wrong$"),
            Tally().reading("log", Record(7, b"{}")),
        ):
            raise InputError("wrong", ("a", "b"))

    @pytest.mark.parametrize("fault", [InputError("wrong"), RecursionError()])
    def test_faults_are_counted_where_they_are_skipped(self, fault: Exception) -> None:
        """Nothing leaves."""
        tally = Tally(skip_bad=True)
        for _ in range(2):
            with tally.reading("log", Record(7, b"{}")):
                raise fault
        assert tally.notes() == (f"{BAD}: 2",)

    def test_other_errors_are_errors(self) -> None:
        """A fault of the program is not taken for one of the file."""
        with pytest.raises(KeyError), Tally(skip_bad=True).reading("log", Record(7, b"{}")):
            raise KeyError

    @pytest.mark.parametrize(
        ("record", "counted"),
        [
            (Record(7, b'{"a": 1, "b', cut=True), True),
            (Record(7, b"\xff", cut=True), True),
            (Record(7, b'{"a": 1}', cut=True), False),
            (Record(7, b'{"a": 1, "b'), False),
        ],
    )
    def test_half_a_line_at_the_end_is_no_fault(self, record: Record, counted: bool) -> None:
        """A line that ends with its file may still be written; a whole one is wrong."""
        tally = Tally()
        if counted:
            with tally.reading("log", record):
                wrong()
            assert tally.notes() == (f"{HALF}: 1",)
        else:
            with pytest.raises(InputError), tally.reading("log", record):
                raise InputError("wrong")
