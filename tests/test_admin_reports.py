"""Reports are read strictly: what cannot be understood is listed, and never dropped."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.admin_reports import Kind, Page, pages
from cacheplan.errors import InputError
from cacheplan.statements import Report, merged
from cacheplan.usage import Usage

START: Final = "2026-11-02T00:00:00Z"
USED: Final[dict[str, Any]] = {
    "model": "claude-opus-5-5",
    "workspace_id": "wrkspc_a",
    "service_tier": "standard",
    "uncached_input_tokens": 1,
    "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3},
    "cache_read_input_tokens": 4,
    "output_tokens": 5,
}
PAID: Final[dict[str, Any]] = {
    "model": "claude-opus-5-5",
    "workspace_id": None,
    "amount": "123.45",
    "currency": "USD",
    "cost_type": "tokens",
    "token_type": "cache_creation.ephemeral_1h_input_tokens",
}
_GROUP: Final = ("model", "workspace_id", "service_tier", "cost_type", "token_type", "speed")


def old(*rows: Any, day: int = 2, hours: int = 24, at: int = 0, **more: Any) -> dict[str, Any]:
    """Return a page of the older reports with one bucket."""
    bounds = {
        "starting_at": f"2026-11-{day:02}T{at:02}:00:00Z",
        "ending_at": f"2026-11-{day + (at + hours) // 24:02}T{(at + hours) % 24:02}:00:00Z",
    }
    return {"data": [{**bounds, "results": list(rows)}], "has_more": False, **more}


def new(kind: str, *rows: Any, day: int = 2, **more: Any) -> dict[str, Any]:
    """Return a page of the newer reports."""
    bounds = {
        "starting_at": f"2026-11-{day:02}T00:00:00Z",
        "ending_at": f"2026-11-{day + 1:02}T00:00:00Z",
    }
    data = [
        {
            **bounds,
            "group": {name: part for name, part in row.items() if name in _GROUP},
            kind: {name: part for name, part in row.items() if name not in _GROUP},
        }
        for row in rows
    ]
    return {"data": data, "has_more": False, **more}


def one(document: Any, kind: Kind = "usage", source: str = "a.json") -> Page:
    """Read one page."""
    (page,) = pages(document, kind, source)
    return page


def report(*documents: tuple[str, Any], kind: Kind = "usage") -> Report:
    """Read documents from named files."""
    return merged([page for name, each in documents for page in pages(each, kind, name)], kind)


class TestRows:
    """A row of either generation is one value."""

    @pytest.mark.parametrize("document", [old(USED), new("usage", USED)], ids=["old", "new"])
    def test_usage(self, document: Any) -> None:
        """Tokens by kind, and what they are told apart by."""
        (row,) = one(document).rows
        assert row.usage == Usage(uncached=1, write_5m=2, write_1h=3, read=4, output=5)
        assert (row.day, row.model, row.workspace) == ("2026-11-02", "claude-opus-5-5", "wrkspc_a")
        assert row.tier == "standard"

    @pytest.mark.parametrize("document", [old(PAID), new("cost", PAID)], ids=["old", "new"])
    def test_cost(self, document: Any) -> None:
        """An amount is a decimal text in cents, and becomes dollars without any rounding."""
        (row,) = one(document, "cost").rows
        assert row.amount == Decimal("1.2345")
        assert (row.counter, row.cost_type, row.listed) == ("write_1h", "tokens", None)

    @given(st.decimals(-(10**9), 10**9, places=12))
    def test_every_amount(self, cents: Decimal) -> None:
        """Every decimal amount is exact, discounts' list prices as well."""
        (row,) = one(old({**PAID, "amount": str(cents), "list_amount": str(cents)}), "cost").rows
        assert row.amount is not None
        assert 100 * row.amount == cents
        assert row.listed == row.amount

    def test_beside_tokens(self) -> None:
        """What is charged for other things needs no model."""
        paid = {"amount": "1000", "cost_type": "web_search", "currency": "USD"}
        (row,) = one(old(paid), "cost").rows
        assert (row.cost_type, row.counter, row.amount) == ("web_search", "", Decimal(10))

    @pytest.mark.parametrize(
        ("kind", "change", "why"),
        [
            ("usage", {"output_tokens": None}, "output_tokens: null is no number of tokens"),
            ("usage", {"output_tokens": -1}, "output_tokens: -1 is no number"),
            ("usage", {"output_tokens": 1.5}, "output_tokens: 1.5 is no number"),
            ("usage", {"output_tokens": True}, "output_tokens: true is no number"),
            ("usage", {"cache_creation": 3}, "cache_creation: missing, or no object"),
            ("usage", {"cache_creation": {}}, "ephemeral_5m_input_tokens: null is no number"),
            ("usage", {"model": 3}, "model: this is not text"),
            ("cost", {"amount": 1.5}, "amount: 1.5 is no amount in cents, as text"),
            ("cost", {"amount": "much"}, 'amount: "much" is no amount'),
            ("cost", {"amount": "NaN"}, 'amount: "NaN" is no amount'),
            ("cost", {"amount": "1e9999999"}, "is no amount"),
            ("cost", {"list_amount": "x"}, 'list_amount: "x" is no amount'),
            ("cost", {"currency": "EUR"}, 'currency: "EUR" is not USD'),
            ("cost", {"cost_type": "moonlight"}, 'cost_type: "moonlight" is no type of cost'),
            ("cost", {"cost_type": None, "token_type": None}, "cost_type: missing"),
            ("cost", {"token_type": "ideas"}, 'token_type: "ideas" is no type of tokens'),
            ("cost", {"token_type": None}, "token_type: missing"),
            ("cost", {"model": None}, "it names no model"),
        ],
    )
    def test_what_is_listed(self, kind: Kind, change: dict[str, Any], why: str) -> None:
        """A row that cannot be understood is listed with its place, reason and amount."""
        row = {**(USED if kind == "usage" else PAID), **change}
        page = one(old(USED if kind == "usage" else PAID, row), kind)
        assert len(page.rows) == 1
        (listed,) = page.unexplained
        assert listed.where == "a.json: data[0].results[1]"
        assert why in listed.why
        readable = kind == "cost" and "amount" not in change
        assert listed.amount == (Decimal("1.2345") if readable else None)

    def test_periods(self) -> None:
        """Hours add up to days; what covers parts of two days, or many, is listed."""
        assert one(old(USED, hours=1, at=23)).rows[0].day == "2026-11-02"
        (listed,) = one(old(USED, hours=12, at=18)).unexplained
        assert listed.why == "it covers parts of two days (UTC)"
        (listed,) = one(old(USED, hours=72)).unexplained
        assert listed.why == "it covers 3 days; ask for buckets of a day"

    def test_unknown_columns(self) -> None:
        """Columns that nobody knows are named; tokens of a kind that nobody knows are listed."""
        split = {**USED["cache_creation"], "ephemeral_24h_input_tokens": 7}
        row = {**USED, "moon": "full", "audio_tokens": 3, "cache_creation": split}
        page = one(old(row, {**USED, "moon": None}))
        assert page.unknown == {"audio_tokens": 1, "moon": 1}
        assert sorted(one.why.partition(":")[0] for one in page.unexplained) == [
            "audio_tokens", "cache_creation.ephemeral_24h_input_tokens",
        ]  # fmt: skip
        assert len(page.rows) == 2
        (note,) = merged([page], "usage").notes
        assert "audio_tokens (1), moon (1)" in note

    @given(st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            st.sampled_from(["data", "results", "group", "usage", "cost", "amount", "model",
                             "starting_at", "ending_at", "cache_creation", "token_type"]),
            inner | st.sampled_from([START, "2026-11-03T00:00:00Z", "1"]), max_size=5),
        max_leaves=20,
    ))  # fmt: skip
    def test_any_document(self, document: Any) -> None:
        """Whatever a document is, it is read or refused in a line, and nothing else happens."""
        for kind in ("usage", "cost"):
            with suppress(InputError):
                assert merged(list(pages(document, kind, "a")), kind).kind == kind


class TestTogether:
    """Pages and files become one report."""

    def test_pages(self) -> None:
        """Pages of one report, each in a file, add up."""
        other = {**USED, "model": "claude-haiku-4-5"}
        found = report(
            ("1.json", new("usage", USED, has_more=True)), ("2.json", new("usage", other))
        )
        assert len(found.rows) == 2
        assert not found.notes

    def test_twice(self) -> None:
        """A row that two files have counts once; rows that nothing tells apart count each."""
        found = report(("1.json", old(USED, USED)), ("2.json", old(USED, USED)))
        assert len(found.rows) == 2
        assert not found.notes

    @pytest.mark.parametrize("turned", [False, True])
    def test_corrected(self, turned: bool) -> None:
        """Of two numbers for one row the newer counts, in whatever order they are given."""
        later = {**USED, "output_tokens": 9}
        documents = [
            ("1.json", new("usage", USED, data_refreshed_at="2026-11-03T01:00:00Z")),
            ("2.json", new("usage", later, data_refreshed_at="2026-11-03T02:00:00Z")),
        ]
        found = report(*(documents[::-1] if turned else documents))
        (row,) = found.rows
        assert row.usage is not None
        assert row.usage.output == 9
        assert found.notes == (
            "Rows that two usage reports say with other numbers, the newer counted: 1.",
        )

    @pytest.mark.parametrize(
        "other",
        [
            old({**USED, "model": None}),
            old({**USED, "service_tier": None}),
            old(USED, hours=1),
            new("usage", USED),
        ],
        ids=["models", "tiers", "hours", "generations"],
    )
    def test_in_two_ways(self, other: Any) -> None:
        """A day that two files break out in different ways is refused, and both are named."""
        with pytest.raises(InputError, match=r"2.json: it breaks 2026-11-02 out .* than 1.json"):
            report(("1.json", old(USED)), ("2.json", other))

    def test_days(self) -> None:
        """Empty buckets cover their day; newer reports cover all days between their rows."""
        assert report(("1.json", old())).days == {"2026-11-02"}
        apart = [new("usage", USED), new("usage", USED, day=5)]
        assert report(("1.json", apart)).days == {f"2026-11-0{day}" for day in range(2, 6)}

    def test_unfinished(self) -> None:
        """A report whose last page says that it goes on is told to be in part."""
        (note,) = report(("1.json", old(USED, has_more=True))).notes
        assert "its last page says has_more" in note

    def test_nothing(self) -> None:
        """No rows are no rows."""
        assert report(("1.json", {"data": []})).rows == ()
