"""The books: what was billed, added up."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.books import KEYS, Books, balance
from cacheplan.entries import Entry, Marked
from cacheplan.prices import Sheet
from cacheplan.prompt import Lifetime
from cacheplan.usage import Usage

SHEET: Final = Sheet.default()
#: Opus 4.8: 5, 6.25, 10, 0.5 and 25 dollars a million tokens.
MODEL: Final = "claude-opus-4-8"
#: 2026-11-21 00:00 UTC.
MIDNIGHT: Final = 1_795_219_200.0


def entry(**fields: Any) -> Entry:
    """Return a call that was billed something."""
    given = {"at": MIDNIGHT, "model": MODEL, "usage": Usage(uncached=1_000, output=100)}
    return Entry(**{**given, **fields})


def marked(
    tokens: int = 5_000, name: bytes = b"p", lifetime: Lifetime = Lifetime.ONE_HOUR
) -> Marked:
    """Return a mark on a prefix."""
    return Marked(key=name * 16, tokens=tokens, lifetime=lifetime, rule="system")


def test_money() -> None:
    """A row says what was paid, what prompts were of that, and what they would be uncached."""
    used = Usage(uncached=1_000, write_5m=2_000, write_1h=3_000, read=4_000, output=500)
    (line,) = balance([entry(usage=used)], [], SHEET).lines
    per = Decimal(1) / 1_000_000
    prompts = (1_000 * 5 + 2_000 * Decimal("6.25") + 3_000 * 10 + 4_000 * Decimal("0.5")) * per
    assert line.input_cost == prompts
    assert line.cost == prompts + 500 * 25 * per
    assert line.plain_cost == 10_000 * 5 * per
    assert line.hit_rate == 0.4


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("label", ["dear", "cheap", "(no label)"]),
        ("model", [MODEL, "claude-sonnet-5"]),
        ("day", ["2026-11-20", "2026-11-21"]),
        ("session", ["(no session)"]),
    ],
)
def test_keys(by: str, names: list[str]) -> None:
    """Calls are added up by feature, model, day or session; days stand in their order."""
    calls = [
        entry(label="cheap"),
        entry(label="dear", usage=Usage(uncached=9_000)),
        entry(at=MIDNIGHT - 1, model="claude-sonnet-5", usage=Usage(uncached=10)),
    ]
    found = balance(calls, [], SHEET, by)
    assert [line.name for line in found.lines] == names
    assert set(KEYS) == {"label", "model", "day", "session"}


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.lists(st.integers(0, 10**6), min_size=5, max_size=5))
    )
)
def test_rows_add_up(calls: list[tuple[str, list[int]]]) -> None:
    """The rows together are the total, in calls, tokens and money."""
    found = balance([entry(label=name, usage=Usage(*used)) for name, used in calls], [], SHEET)
    assert sum(line.calls for line in found.lines) == found.total.calls == len(calls)
    assert sum((line.usage for line in found.lines), Usage()) == found.total.usage
    assert sum((line.cost or Decimal() for line in found.lines), Decimal()) == found.total.cost


def test_failures_and_silence() -> None:
    """Calls that failed, and calls that did not say what was billed, are counted apart."""
    calls = [entry(), entry(usage=None, error="overloaded_error"), entry(usage=None)]
    total = balance(calls, [], SHEET).total
    assert (total.calls, total.failed, total.unbilled) == (3, 1, 1)


def test_an_unknown_model() -> None:
    """Where nobody knows a price, money is unknown and never nothing."""
    found = balance([entry(), entry(model="claude-unheard")], [], SHEET, "model")
    assert found.unpriced == ("claude-unheard",)
    assert found.total.cost is None
    assert [line.cost is None for line in found.lines] == [False, True]
    assert "unknown" in str(found)


def test_prefixes() -> None:
    """Of each marked prefix it is said what was expected, billed, asked for and granted."""
    calls = [
        entry(marked=(marked(),), predicted=Usage(write_1h=5_000), usage=Usage(write_5m=5_000)),
        entry(marked=(marked(),), predicted=Usage(read=5_000), usage=Usage(read=5_000)),
        entry(marked=(marked(),), predicted=Usage(read=5_000), usage=Usage(read=2_500)),
        entry(marked=(marked(name=b"q"),)),
    ]
    first, second = balance(calls, [], SHEET).prefixes
    assert (first.calls, first.predicted.read, first.billed.read) == (3, 10_000, 7_500)
    assert first.lifetimes == (("1h", "5m", 1), ("1h", "-", 2))
    assert second.predicted == Usage()
    assert "75.00 %" in str(balance(calls, [], SHEET))


def shown() -> Books:
    """Return books with something in every table."""
    hostile = entry(label="<b>\x1b[31m</b>", marked=(marked(),), predicted=Usage(read=1))
    return balance([hostile, entry(label="jobs")], [], SHEET)


def test_text() -> None:
    """A terminal is told no control characters."""
    assert "\x1b" not in str(shown())
    assert "jobs" in str(shown())


def test_notebook() -> None:
    """A notebook escapes what labels say."""
    assert "<b>" not in shown()._repr_html_()
    assert "&lt;b&gt;" in shown()._repr_html_()


def test_json() -> None:
    """The JSON form holds every number and can be written."""
    found = json.loads(json.dumps(shown().to_json()))
    assert found["total"]["calls"] == 2
    assert found["prefixes"][0]["predicted"]["read"] == 1
    assert {line["name"] for line in found["lines"]} == {"jobs", "<b>\x1b[31m</b>"}
