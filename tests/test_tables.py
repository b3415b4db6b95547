"""Rows as text: aligned for a terminal, escaped for a page, numbers as people write them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.tables import (
    aligned,
    clipped,
    columns,
    count,
    dollars,
    html,
    padded,
    percent,
    printable,
    ratio,
)  # fmt: skip

HEAD = ("name", "number", "source")
ROWS = [("long name", "1", "a page"), ("x", "1,000", "another page")]
words = st.text(alphabet="abc <>&", min_size=1, max_size=5)


def test_words_left_numbers_right() -> None:
    """The first columns are words; the rest are numbers and stand under each other."""
    assert aligned(HEAD[:2], [row[:2] for row in ROWS]) == (
        "name       number\nlong name       1\nx           1,000"
    )


def test_source_is_words() -> None:
    """A last column that says where a row comes from reads from the left."""
    lines = aligned(HEAD, ROWS, source=True).splitlines()
    assert [
        line.index(word) for line, word in zip(lines, ("source", "a p", "ano"), strict=True)
    ] == [
        19,
        19,
        19,
    ]


def test_head_alone() -> None:
    """A table without rows is its head."""
    assert aligned(HEAD, []) == "name  number  source"


@given(rows=st.lists(st.tuples(words, words, words), max_size=5))
def test_nothing_is_lost(rows: list[tuple[str, str, str]]) -> None:
    """Every row has its line, no line ends in blanks, and every cell is in it."""
    lines = aligned(HEAD, rows).split("\n")
    assert len(lines) == len(rows) + 1
    for line, row in zip(lines[1:], rows, strict=True):
        assert line == line.rstrip()
        assert all(cell.strip() in line for cell in row)


@given(rows=st.lists(st.tuples(words, words, words), max_size=5))
def test_page_is_escaped(rows: list[tuple[str, str, str]]) -> None:
    """No cell of a page can be markup."""
    page = html(HEAD, rows)
    assert page.count("<tr>") == len(rows) + 1
    assert page.count("<td") == 3 * len(rows)
    assert "<a" not in page
    assert "<b>" not in page


def test_page_aligns_alike() -> None:
    """The same columns are words on a page."""
    assert '<td style="text-align:left">x</td>' in html(HEAD, ROWS)
    assert '<td style="text-align:right">1,000</td>' in html(HEAD, ROWS)


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        (None, "unknown"),
        (Decimal(0), "$0.0000"),
        (Decimal("0.00004"), "$0.0000"),
        (Decimal("0.9999"), "$0.9999"),
        (Decimal(1), "$1.00"),
        (Decimal("-1234.567"), "-$1,234.57"),
        (Decimal("1234567.891"), "$1,234,567.89"),
    ],
)
def test_dollars(amount: Decimal | None, written: str) -> None:
    """Money has cents, and more digits where it is less than a dollar."""
    assert dollars(amount) == written


def test_numbers() -> None:
    """Counts have thousands apart; shares and ratios a fixed number of digits."""
    assert (count(0), count(1_234_567)) == ("0", "1,234,567")
    assert (ratio(None), ratio(0.8664), ratio(Decimal(1))) == ("-", "0.866", "1.000")
    assert (percent(None), percent(-0.0312), percent(1.0)) == ("-", "-3.12 %", "100.00 %")


@given(st.text(), st.integers(0, 40), st.booleans())
def test_padded(text: str, width: int, right: bool) -> None:
    """A cell is filled up to its width in columns, on the side where nothing stands."""
    cell = padded(text, width, right=right)
    assert columns(cell) == max(columns(text), width)
    assert cell.strip(" ") == text.strip(" ")
    assert cell.endswith(text) if right else cell.startswith(text)


@given(st.text(), st.integers(3, 40))
def test_clipped(text: str, most: int) -> None:
    """What is too long keeps its beginning and its end; the rest is left as it is."""
    cell = clipped(text, most)
    if columns(text) <= most:
        assert cell == text
    else:
        front, _, back = cell.partition("…")
        assert text.startswith(front)
        assert text.endswith(back)
        assert len(cell) <= most


@given(st.text(alphabet="ab客Ａé\u0301"))
def test_columns(text: str) -> None:
    """A wide letter takes two columns, an accent of its own none, any other sign one."""
    assert columns(text) == len(text) + sum(text.count(sign) for sign in "客Ａ") - text.count(
        "\u0301"
    )


@given(st.text())
def test_printable(text: str) -> None:
    """Whatever was written, a terminal only shows it; what it can show stays as it is."""
    said = printable(text)
    assert all(sign.isprintable() or sign == "\n" for sign in said)
    if text.isprintable():
        assert said == text
