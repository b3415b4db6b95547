"""The rows of the price list, and a user's own as they are read from JSON."""

from __future__ import annotations

import itertools
import json
import math
from collections import defaultdict
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.errors import InputError
from cacheplan.facts import MODELS, PLATFORMS, find, moment
from cacheplan.pricelist import PRICES, READ_ON, ROWS, Row, read_rows

GOOD = {"model": "m", "uncached": 1, "write_5m": 2, "write_1h": 3, "read": 4, "output": 5}

prices = st.decimals(0, 10_000, places=6)
days = st.dates().filter(lambda day: day.year >= 1970).map(str)
rows = st.builds(
    Row,
    model=st.text(min_size=1),
    platforms=st.sets(st.sampled_from(list(PLATFORMS)), min_size=1).map(lambda names: (*names,)),
    speed=st.sampled_from(["standard", "fast"]),
    from_date=st.none() | days,
    until=st.none(),
    threshold=st.none() | st.integers(0, 2_000_000),
    **dict.fromkeys(PRICES, prices),
    minimum=st.none() | st.integers(0, 10_000),
    source=st.text(),
    read_on=days,
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.model} {row.speed} {row.band}")
def test_a_shipped_row_follows_the_published_ratios(row: Row) -> None:
    """Writes are 1.25 and 2 times the input everywhere; a read is one of three shares of it."""
    assert row.write_5m == row.uncached * Decimal("1.25")
    assert row.write_1h == row.uncached * 2
    assert row.read / row.uncached in {Decimal("0.1"), Decimal("0.05"), Decimal("0.025")}
    assert row.output in {row.uncached * 5, row.uncached * Decimal("3.75")}
    assert (row.output == row.uncached * 5) is (row.threshold != 200_000)


def test_which_models_read_for_less_is_written_down_once_more() -> None:
    """The cheap readers by name: neither a family nor a generation has one share."""
    shares = defaultdict(set)
    for row in ROWS:
        shares[row.read / row.uncached].add(row.model.removeprefix("claude-"))
    assert shares[Decimal("0.025")] == {"fable-5-1", "fable-5-2", "mythos-5-1", "mythos-5-2"}
    assert shares[Decimal("0.05")] == {"opus-5-5", "sonnet-5-5"}
    assert {"fable-5", "mythos-5", "opus-5", "sonnet-5", "haiku-5-5"} <= shares[Decimal("0.1")]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.model} {row.speed} {row.band}")
def test_a_shipped_row_is_of_a_known_model_and_sourced(row: Row) -> None:
    """Each row names a model by its id and says where its prices were read."""
    found = find(row.model)
    assert found is not None
    assert found.model.id == row.model
    assert row.source
    assert row.read_on == READ_ON


def test_every_model_has_a_price_but_one() -> None:
    """Mythos Preview alone has none, because its sources disagree."""
    priced = {row.model for row in ROWS if row.speed == "standard" and not row.threshold}
    assert {model.id for model in MODELS} - priced == {"claude-mythos-preview"}


def test_no_two_shipped_rows_cover_one_call() -> None:
    """Rows of one model, speed and band follow each other without overlap."""
    for one, other in itertools.combinations(ROWS, 2):
        if (one.model, one.speed, one.band) == (other.model, other.speed, other.band):
            early, late = sorted((one, other), key=lambda row: row.from_date or "")
            assert early.until is not None
            assert early.until == late.from_date


@given(st.sampled_from(ROWS), st.floats(moment("2026-01-01"), moment("2027-01-01")))
def test_a_row_covers_its_days_and_no_other(row: Row, at: float) -> None:
    """The first day is in, the last is out."""
    starts = moment(row.from_date) if row.from_date else -math.inf
    ends = moment(row.until) if row.until else math.inf
    assert row.covers(at) is (starts <= at < ends)
    assert row.until is None or not row.covers(moment(row.until))
    assert row.from_date is None or row.covers(moment(row.from_date))


@given(st.lists(rows))
def test_a_row_written_as_json_is_read_back_equal(written: list[Row]) -> None:
    """What the listing prints can be handed in as a price file."""
    text = json.dumps([row.as_object() for row in written])
    assert read_rows(json.loads(text)) == tuple(written)


def test_the_shipped_list_is_itself_a_price_file() -> None:
    """All shipped rows survive the round trip, dates and bands included."""
    assert read_rows(json.loads(json.dumps([row.as_object() for row in ROWS]))) == ROWS


def test_a_short_row_is_enough() -> None:
    """An id and five prices make a row: every platform, standard speed, any date and length."""
    (row,) = read_rows([GOOD])
    assert row.platforms == tuple(PLATFORMS)
    assert (row.speed, row.from_date, row.until, row.band) == ("standard", None, None, "")
    assert [getattr(row, name) for name in PRICES] == [1, 2, 3, 4, 5]
    assert row.source == "the user's price file"


def test_input_is_another_word_for_uncached_and_text_another_form_of_a_price() -> None:
    """Prices may be text, which keeps every digit, and the input price has two names."""
    (row,) = read_rows([{**GOOD, "uncached": None, "input": "0.100000000000000000001"}])
    assert row.uncached == Decimal("0.100000000000000000001")


@given(st.floats(0, 1000).map(lambda price: round(price, 4)))
def test_a_price_is_the_decimal_that_was_written(price: float) -> None:
    """0.1 in a file is a tenth, not the binary fraction next to it."""
    (row,) = read_rows([{**GOOD, "read": price}])
    assert row.read == Decimal(repr(price))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model": None}, "[1].model: the id of a model is missing"),
        ({"model": ""}, "[1].model: the id of a model is missing"),
        ({"model": 7}, "[1].model: the id of a model is missing"),
        ({"read": None}, "[1].read: the price per million tokens is missing"),
        ({"uncached": None}, "[1].uncached: the price per million tokens is missing"),
        ({"read": "cheap"}, '[1].read: "cheap" is not a price in dollars'),
        ({"read": -1}, '[1].read: "-1" is not a price in dollars'),
        ({"read": True}, '[1].read: "True" is not a price in dollars'),
        ({"read": math.nan}, '[1].read: "nan" is not a price in dollars'),
        ({"read": math.inf}, '[1].read: "inf" is not a price in dollars'),
        ({"read": [1]}, '[1].read: "[1]" is not a price in dollars'),
        ({"uncached": None, "input": "x"}, '[1].input: "x" is not a price in dollars'),
        ({"speed": "slow"}, '[1].speed: "slow" is not standard or fast'),
        ({"speed": ["fast"]}, "[1].speed: "),
        ({"platform": "azure"}, '[1].platform: "azure" is not anthropic or aws or bedrock'),
        ({"platforms": ["aws", "gcp"]}, '[1].platforms: "gcp" is not anthropic'),
        ({"platforms": [["aws"]]}, "[1].platforms: "),
        ({"platforms": []}, "[1].platforms: "),
        ({"from": "7 October"}, '[1].from: "7 October" is not a date such as 2026-10-07'),
        ({"until": 20261007.5}, '[1].until: "20261007.5" is not a date'),
        ({"from": "2026-10-07", "until": "2026-10-07"}, "[1].until: 2026-10-07 is not after"),
        ({"above": 1.5}, '[1].above: "1.5" is not a number of tokens'),
        ({"above": True}, '[1].above: "True" is not a number of tokens'),
        ({"minimum": -1}, '[1].minimum: "-1" is not a number of tokens'),
        ({"cache_read": 1}, "[1].cache_read: a row has no such key; it may have above"),
    ],
    ids=str,
)
def test_a_row_that_cannot_be_is_refused_with_its_place(
    change: dict[str, object], sentence: str
) -> None:
    """The fault names the row and the key, and what would be right."""
    with pytest.raises(InputError) as caught:
        read_rows([GOOD, {**GOOD, **change}])
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ({"rows": []}, "a price file is a list of rows"),
        (None, "a price file is a list of rows"),
        ([1], "[0]: a row is an object"),
        ([[]], "[0]: a row is an object"),
    ],
    ids=str,
)
def test_a_file_that_is_no_list_of_rows_is_refused(file: object, sentence: str) -> None:
    """Anything else than a list of objects is the user's mistake, said so."""
    with pytest.raises(InputError) as caught:
        read_rows(file)
    assert str(caught.value) == sentence


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*GOOD, "from"]), inner),
        max_leaves=20,
    )
)
def test_nothing_that_json_can_hold_breaks_the_reader(value: object) -> None:
    """Any JSON is either read or refused; nothing else is ever raised."""
    for file in (value, [value], [{**GOOD, "speed": value}], [{**GOOD, "platform": value}]):
        try:
            read = read_rows(file)
        except InputError:
            continue
        assert all(isinstance(row, Row) for row in read)
