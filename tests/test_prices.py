"""What a call costs: bands, dates, factors, a user's rows, and what has no price."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError
from cacheplan.facts import MODELS, PLATFORMS, Model, find, minimum, moment
from cacheplan.pricelist import PRICES
from cacheplan.prices import MULTIPLIERS, Rate, Sheet, Tariff, round_cost
from cacheplan.usage import Usage

SHEET = Sheet.default()
DEFAULT = Assumptions()
MTOK = 1_000_000
FACTOR = {multiplier.name: multiplier.factor for multiplier in MULTIPLIERS}
#: A day on which every rule of today held.
TODAY = moment("2026-11-21")
OWN = {"model": "claude-next", "uncached": 7, "write_5m": 8, "write_1h": 9, "read": 1, "output": 30}

counts = st.integers(0, 10_000_000)
usages = st.builds(Usage, counts, counts, counts, counts, counts)
small = st.integers(0, 20_000)
small_usages = st.builds(Usage, small, small, small, small, counts)
priced = [model for model in MODELS if model.id != "claude-mythos-preview"]
models = st.sampled_from(priced)
platforms = st.sampled_from(list(PLATFORMS))
surfaces = st.sampled_from(["messages", "batch"])
speeds = st.sampled_from(["standard", "fast"])
places = st.sampled_from(["", "us", "eu", "global", "not_available", "us-gov-west-1"])
times = st.none() | st.floats(0, 2e9)
tariffs = st.builds(Tariff, models.map(lambda row: row.id), platforms, surfaces, speeds, places)


def per_mtok(tariff: Tariff, at: float | None = TODAY, prompt: int = 0) -> list[Decimal] | None:
    """Return the five prices per million tokens, in the order of the tables."""
    rate = SHEET.rate(tariff, at, prompt)
    return None if rate is None else [getattr(rate, name) * MTOK for name in PRICES]


def dollars(text: str) -> list[Decimal]:
    """Read five prices as a table prints them."""
    return [Decimal(part) for part in text.split()]


def certain(tariff: Tariff, at: float | None = TODAY, prompt: int = 0) -> Rate:
    """Return a rate that must exist."""
    rate = SHEET.rate(tariff, at, prompt)
    assert rate is not None
    return rate


# Prices of the day by model: uncached, 5m write, 1h write, read, output.
@pytest.mark.parametrize(
    ("model", "prices"),
    [
        ("claude-fable-5-2", "8 10 16 0.2 40"),
        ("claude-mythos-5-2", "8 10 16 0.2 40"),
        ("claude-fable-5-1", "10 12.5 20 0.25 50"),
        ("claude-mythos-5-1", "10 12.5 20 0.25 50"),
        ("claude-fable-5", "10 12.5 20 1 50"),
        ("claude-mythos-5", "10 12.5 20 1 50"),
        ("claude-opus-5-5", "4 5 8 0.2 20"),
        ("claude-opus-5", "5 6.25 10 0.5 25"),
        ("claude-sonnet-5-5", "2 2.5 4 0.1 10"),
        ("claude-sonnet-5", "2 2.5 4 0.2 10"),
        ("claude-sonnet-4-5-20250929", "3 3.75 6 0.3 15"),
        ("claude-haiku-5-5", "0.1 0.125 0.2 0.01 0.5"),
        ("claude-haiku-4-5", "1 1.25 2 0.1 5"),
        ("claude-opus-4-1-20250805", "15 18.75 30 1.5 75"),
        ("claude-3-5-haiku-20241022", "0.8 1 1.6 0.08 4"),
    ],
)
def test_a_model_has_the_prices_of_its_page(model: str, prices: str) -> None:
    """Five prices per model, under its id or its dated one."""
    assert per_mtok(Tariff(model)) == dollars(prices)


def test_a_call_is_the_sum_of_its_five_counters() -> None:
    """One call worked out by hand: Opus 5.5, a long read and a short write."""
    usage = Usage(uncached=8, write_5m=1_000, write_1h=200, read=50_000, output=500)
    cost = SHEET.cost(usage, Tariff("claude-opus-5-5"), TODAY)
    assert cost == Decimal("0.026632")  # 0.000032 + 0.005 + 0.0016 + 0.01 + 0.01


@pytest.mark.parametrize(
    ("prompt", "prices"),
    [
        (0, "0.1 0.125 0.2 0.01 0.5"),
        (100_000, "0.1 0.125 0.2 0.01 0.5"),
        (100_001, "0.5 0.625 1 0.05 2.5"),
        (1_000_000, "0.5 0.625 1 0.05 2.5"),
    ],
)
def test_haiku_5_5_costs_five_times_as_much_above_its_band(prompt: int, prices: str) -> None:
    """Strictly above 100,000 prompt tokens every token is dearer, output included."""
    assert per_mtok(Tariff("claude-haiku-5-5"), TODAY, prompt) == dollars(prices)


@given(st.permutations([99_998, 1, 1, 0]), st.integers(0, 100_000))
def test_the_band_counts_every_prompt_token_and_no_output(parts: list[int], output: int) -> None:
    """Read, written or not, a prompt token is a prompt token; the answer is none."""
    usage = Usage(parts[0], parts[1], parts[2], parts[3], output)
    tariff = Tariff("claude-haiku-5-5")
    lower = SHEET.cost(usage, tariff, None)
    upper = SHEET.cost(usage + Usage(read=1), tariff, None)
    assert lower is not None
    assert upper == 5 * (lower + Decimal("0.00000001"))


@given(st.sampled_from([row.id for row in priced if row.id != "claude-haiku-5-5"]), counts, counts)
def test_no_other_model_has_bands_today(model: str, one: int, other: int) -> None:
    """The premium on prompts above 200,000 tokens is gone."""
    assert per_mtok(Tariff(model), TODAY, one) == per_mtok(Tariff(model), TODAY, other)


@pytest.mark.parametrize(
    ("model", "day"),
    [
        ("claude-opus-4-6", "2026-03-13"),
        ("claude-sonnet-4-6", "2026-03-13"),
        ("claude-sonnet-4-5", "2026-04-30"),
        ("claude-sonnet-4-0", "2026-04-30"),
    ],
)
def test_long_prompts_had_a_premium_until_a_day(model: str, day: str) -> None:
    """Until then the prompt cost twice and the answer half as much again above 200,000."""
    plain = dollars("2 2 2 2 1.5")
    short = certain(Tariff(model), moment(day) - 1, 200_000)
    long = certain(Tariff(model), moment(day) - 1, 200_001)
    for name, times_as_much in zip(PRICES, plain, strict=True):
        assert getattr(long, name) == times_as_much * getattr(short, name)
    assert SHEET.rate(Tariff(model), moment(day), 200_001) == short


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_read_of_sonnet_5_5_was_halved_on_a_day(platform: str) -> None:
    """0.20 until the end of 2026-10-06 in UTC, 0.10 since, and nothing else moved."""
    tariff, day = Tariff("claude-sonnet-5-5", platform), moment("2026-10-07")
    assert per_mtok(tariff, day - 0.001) == dollars("2 2.5 4 0.2 10")
    assert per_mtok(tariff, day) == dollars("2 2.5 4 0.1 10")
    assert per_mtok(Tariff("claude-sonnet-5", platform), day)[3] == Decimal("0.2")  # type: ignore[index] # it has a price


@given(tariffs, st.none() | st.floats(0, 999_999_999), counts)
def test_a_call_without_a_date_is_priced_as_of_today(
    tariff: Tariff, at: float | None, prompt: int
) -> None:
    """Seconds from any zero name no day, so the rows in force when the list was read hold."""
    assert SHEET.rate(tariff, at, prompt) == SHEET.rate(tariff, TODAY, prompt)


def test_a_billion_seconds_is_a_date() -> None:
    """From 2001 on a number is a day, and the price of that day is the oldest known."""
    tariff = Tariff("claude-sonnet-5-5")
    assert per_mtok(tariff, 1e9) == dollars("2 2.5 4 0.2 10")
    assert per_mtok(tariff, 1e9 - 1) == dollars("2 2.5 4 0.1 10")


@pytest.mark.parametrize(
    ("model", "day", "prices"),
    [
        ("claude-fable-5-2", "2026-11-21", "16 20 32 0.4 80"),
        ("claude-mythos-5-2", "2026-11-21", "16 20 32 0.4 80"),
        ("claude-opus-5-5", "2026-11-21", "8 10 16 0.4 40"),
        ("claude-opus-5", "2026-11-21", "10 12.5 20 1 50"),
        ("claude-opus-4-8", "2026-11-29", "10 12.5 20 1 50"),
        ("claude-opus-4-8", "2026-11-30", None),
        ("claude-opus-4-7", "2026-07-23", "30 37.5 60 3 150"),
        ("claude-opus-4-7", "2026-07-24", None),
        ("claude-opus-4-6", "2026-11-21", "5 6.25 10 0.5 25"),
        ("claude-opus-4-5", "2026-11-21", None),
        ("claude-fable-5-1", "2026-11-21", None),
        ("claude-sonnet-5-5", "2026-11-21", None),
        ("claude-haiku-5-5", "2026-11-21", None),
    ],
)
def test_fast_mode_has_rows_of_its_own(model: str, day: str, prices: str | None) -> None:
    """Where fast mode exists it has its own prices, and where it ended it has none."""
    expected = None if prices is None else dollars(prices)
    assert per_mtok(Tariff(model, speed="fast"), moment(day)) == expected


@given(models, platforms.filter(lambda name: name != "anthropic"), times)
def test_fast_mode_is_priced_on_the_claude_api_alone(row: Model, platform: str, at: float) -> None:
    """No other platform publishes a price for it."""
    assert SHEET.rate(Tariff(row.id, platform, speed="fast"), at, 0) is None


@given(models, st.sampled_from(["anthropic", "aws"]), times, counts, places)
def test_a_batch_halves_every_token_type(
    row: Model, platform: str, at: float, prompt: int, geo: str
) -> None:
    """Cache writes and reads included, whatever else stacks on it."""
    plain = certain(Tariff(row.id, platform, geo=geo), at, prompt)
    batch = certain(Tariff(row.id, platform, "batch", geo=geo), at, prompt)
    for name in PRICES:
        assert getattr(batch, name) * 2 == getattr(plain, name)


@given(models, st.sampled_from(["bedrock", "google", "foundry"]), times)
def test_message_batches_are_priced_where_they_exist(row: Model, platform: str, at: float) -> None:
    """Three platforms have none; only for Fable 5.2 does Google publish its own."""
    stated = platform == "google" and row.id == "claude-fable-5-2"
    assert (SHEET.rate(Tariff(row.id, platform, "batch"), at, 0) is not None) is stated


@given(models, times)
def test_fast_batches_do_not_exist(row: Model, at: float) -> None:
    """The two exclude each other, so there is no price to stack."""
    assert SHEET.rate(Tariff(row.id, "anthropic", "batch", "fast"), at, 0) is None


@given(models, st.sampled_from(["anthropic", "aws"]), counts)
def test_us_geography_costs_a_tenth_more_from_4_6_on(
    row: Model, platform: str, prompt: int
) -> None:
    """Every token type is dearer, and older models, which refuse it, are not."""
    plain = certain(Tariff(row.id, platform), TODAY, prompt)
    inside = certain(Tariff(row.id, platform, geo="us"), TODAY, prompt)
    factor = FACTOR["us"] if row.version >= (4, 6) else 1
    for name in PRICES:
        assert getattr(inside, name) == getattr(plain, name) * factor
    for geo in ("global", "not_available"):
        assert certain(Tariff(row.id, platform, geo=geo), TODAY, prompt) == plain


@pytest.mark.parametrize(
    ("model", "platform", "geo", "factor"),
    [
        ("global.anthropic.claude-opus-5-5", "bedrock", "", "1"),
        ("us.anthropic.claude-opus-5-5", "bedrock", "", "1.1"),
        ("apac.anthropic.claude-haiku-4-5-20251001-v1:0", "bedrock", "", "1.1"),
        ("anthropic.claude-opus-4-6-v1", "bedrock", "", "1.1"),
        ("anthropic.claude-opus-4-6-v1", "bedrock", "global", "1"),
        ("us-gov.anthropic.claude-opus-5-5", "bedrock", "", "1.2"),
        ("us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock", "us", "1.2"),
        ("anthropic.claude-opus-5-5", "bedrock", "us-gov-east-1", "1.2"),
        ("us.anthropic.claude-opus-4-1-20250805-v1:0", "bedrock", "", "1"),
        ("anthropic.claude-sonnet-4-20250514-v1:0", "bedrock", "", "1"),
        ("us.anthropic.claude-opus-5-5", "anthropic", "", "1.1"),
        ("claude-opus-5-5", "bedrock", "", "1"),
        ("claude-opus-5-5", "bedrock", "eu-west-1", "1.1"),
        ("claude-haiku-4-5@20251001", "google", "", "1"),
        ("claude-haiku-4-5@20251001", "google", "global", "1"),
        ("claude-haiku-4-5@20251001", "google", "europe-west1", "1.1"),
        ("claude-opus-4-1@20250805", "google", "us-east5", "1"),
        ("claude-opus-5-5", "google", "not_available", "1"),
        ("claude-opus-5-5", "foundry", "us", "1.1"),
        ("claude-haiku-4-5", "foundry", "us", "1.1"),
        ("claude-opus-5-5", "foundry", "", "1"),
        ("claude-haiku-4-5", "anthropic", "us", "1"),
    ],
)
def test_an_endpoint_that_is_not_global_costs_more(
    model: str, platform: str, geo: str, factor: str
) -> None:
    """A tenth more in a region from 4.5 on, a fifth more in GovCloud, wherever it is named."""
    found = find(model)
    assert found is not None
    plain = certain(Tariff(found.model.id))
    here = certain(Tariff(model, platform, geo=geo))
    for name in PRICES:
        assert getattr(here, name) == getattr(plain, name) * Decimal(factor)


@given(models, st.sampled_from(["anthropic", "aws"]), surfaces, places, counts)
def test_factors_stack_in_any_order(
    row: Model, platform: str, surface: str, geo: str, prompt: int
) -> None:
    """A price is its row times its factors, whichever is taken first."""
    factors = [Decimal("0.5")] if surface == "batch" else []
    factors += [Decimal("1.1")] if geo == "us" and row.version >= (4, 6) else []
    plain = certain(Tariff(row.id), TODAY, prompt)
    here = certain(Tariff(row.id, platform, surface, geo=geo), TODAY, prompt)
    for order in itertools.permutations(factors):
        for name in PRICES:
            price = getattr(plain, name)
            for factor in order:
                price *= factor
            assert price == getattr(here, name)


@given(tariffs, times, small_usages, small_usages)
def test_cost_adds_up_within_a_band(tariff: Tariff, at: float, one: Usage, other: Usage) -> None:
    """Two calls of one band cost what their tokens cost together."""
    rate = SHEET.rate(tariff, at, 0)
    if rate is None:
        assert SHEET.cost(one, tariff, at) is None
    else:
        assert rate.cost(one) + rate.cost(other) == rate.cost(one + other)
        assert SHEET.cost(one, tariff, at) == rate.cost(one)
        assert rate.cost(one) - rate.input_cost(one) == rate.output * one.output


@given(tariffs, times, usages, st.sampled_from(Usage.__struct_fields__))
def test_a_token_more_never_costs_less(tariff: Tariff, at: float, usage: Usage, name: str) -> None:
    """No counter is free, on either side of a band's end."""
    more = usage + Usage(**{name: 1})
    before, after = SHEET.cost(usage, tariff, at), SHEET.cost(more, tariff, at)
    assert (before is None) == (after is None)
    assert before is None or after is None or after > before


@given(usages, times)
def test_a_read_is_cheaper_than_a_token_and_a_write_dearer(usage: Usage, at: float) -> None:
    """The order that makes caching worth planning holds for every tariff."""
    for row in priced:
        rate = certain(Tariff(row.id), at, usage.prompt)
        assert rate.read < rate.uncached < rate.write_5m < rate.write_1h < rate.output


@given(tariffs, times, counts)
def test_a_sheet_that_was_asked_before_answers_the_same(
    tariff: Tariff, at: float, prompt: int
) -> None:
    """What is kept from earlier questions never changes an answer."""
    assert SHEET.rate(tariff, at, prompt) == Sheet.default().rate(tariff, at, prompt)


def test_a_rate_is_made_once() -> None:
    """The second question is answered with the same object."""
    sheet = Sheet.default()
    tariff = Tariff("claude-haiku-5-5", surface="batch", geo="us")
    assert sheet.rate(tariff, 1.7e9, 5) is sheet.rate(tariff, 1.8e9, 99_999)
    assert sheet.rate(tariff, 1.7e9, 5) is not sheet.rate(tariff, 1.7e9, 100_001)


@pytest.mark.parametrize(
    "tariff",
    [
        Tariff("claude-opus-4-9"),
        Tariff("claude-fable-5-3"),
        Tariff("claude-haiku-5"),
        Tariff("gpt-4o"),
        Tariff("unknown"),
        Tariff(""),
        Tariff("claude-mythos-preview"),
        Tariff("mars.anthropic.claude-opus-5", "bedrock"),
        Tariff("claude-opus-5", "elsewhere"),
        Tariff("claude-opus-5", speed="faster"),
    ],
    ids=str,
)
def test_what_nobody_states_has_no_price(tariff: Tariff) -> None:
    """An unknown model, platform or speed is unpriced: not free, and nobody's neighbour."""
    assert SHEET.rate(tariff, TODAY, 10) is None
    assert SHEET.cost(Usage(uncached=10), tariff, TODAY) is None


@given(st.text(), platforms, places)
def test_no_made_up_id_has_a_price(model: str, platform: str, geo: str) -> None:
    """Whatever is sent as a model, only a listed id is priced or has a minimum."""
    if find(model) is None:
        assert SHEET.rate(Tariff(model, platform, geo=geo), None, 1) is None
        assert SHEET.minimum(model, platform, DEFAULT) is None


def test_a_row_of_the_users_adds_a_model_nobody_knows() -> None:
    """With a row, an unknown id has prices and a minimum, and batches and geography stack."""
    sheet = SHEET.override([{**OWN, "minimum": 700}])
    assert sheet.cost(Usage(1, 1, 1, 1, 1), Tariff("claude-next"), TODAY) == Decimal("0.000055")
    assert sheet.minimum("claude-next", "google", DEFAULT) == 700
    stacked = sheet.rate(Tariff("claude-next", "aws", "batch", geo="us"), TODAY, 1)
    assert stacked is not None
    assert stacked.uncached * MTOK == 7 * Decimal("0.55")
    assert SHEET.rate(Tariff("claude-next"), TODAY, 1) is None


@given(models, counts, times)
def test_a_row_of_the_users_replaces_every_shipped_one(row: Model, prompt: int, at: float) -> None:
    """Bands and dates of the shipped rows go with them; other models keep theirs."""
    sheet = SHEET.override([{**OWN, "model": row.id}])
    for name in (row.id, *row.aliases):
        rate = sheet.rate(Tariff(name), at, prompt)
        assert rate is not None
        assert [rate.uncached * MTOK, rate.output * MTOK] == dollars("7 30")
    for other in priced:
        if other is not row:
            plain = SHEET.rate(Tariff(other.id), at, prompt)
            assert sheet.rate(Tariff(other.id), at, prompt) == plain


@given(models)
def test_a_row_under_an_alias_means_the_model(row: Model) -> None:
    """A user may write the dated id and send the other, and the reverse."""
    for name in (row.id, *row.aliases):
        sheet = SHEET.override([{**OWN, "model": name}])
        assert sheet.cost(Usage(uncached=MTOK), Tariff(row.id), None) == 7
        inside = sheet.cost(Usage(uncached=MTOK), Tariff(f"us.anthropic.{name}", "bedrock"), None)
        assert inside == (Decimal("7.7") if row.version >= (4, 5) else 7)


def test_a_row_under_the_id_of_an_endpoint_is_taken_as_it_is() -> None:
    """A negotiated price for one region carries that region's premium already."""
    sheet = SHEET.override([{**OWN, "model": "us.anthropic.claude-opus-5-5"}])
    assert (
        sheet.cost(Usage(read=MTOK), Tariff("us.anthropic.claude-opus-5-5", "bedrock"), None) == 1
    )
    other = Tariff("eu.anthropic.claude-opus-5-5", "bedrock")
    assert sheet.rate(other, None, 1) == SHEET.rate(other, None, 1)


def test_a_row_of_the_users_holds_on_its_days_and_platforms() -> None:
    """Before it begins, after it ends and elsewhere the shipped price stands."""
    sheet = SHEET.override(
        [
            {
                **OWN,
                "model": "claude-opus-5",
                "from": "2026-12-01",
                "until": "2027-01-01",
                "platform": "aws",
            }
        ]
    )
    tariff = Tariff("claude-opus-5", "aws")
    prices = [
        sheet.cost(Usage(uncached=MTOK), tariff, at)
        for at in (moment("2026-12-01") - 1, moment("2026-12-01"), moment("2027-01-01"), None)
    ]
    assert prices == [5, 7, 5, 7]
    assert sheet.cost(Usage(uncached=MTOK), Tariff("claude-opus-5"), moment("2026-12-02")) == 5


def test_bands_of_the_users_are_kept() -> None:
    """A row with a length is the upper band over the shipped or the user's own lower one."""
    upper = {**OWN, "model": "claude-opus-5", "above": 1000}
    sheet = SHEET.override([upper])
    tariff = Tariff("claude-opus-5")
    assert sheet.cost(Usage(uncached=1000), tariff, None) == Decimal("0.005")
    assert sheet.cost(Usage(uncached=1001), tariff, None) == Decimal("0.007007")
    lower = {**OWN, "model": "claude-opus-5", "uncached": 1}
    both = SHEET.override([lower, upper])
    assert both.cost(Usage(uncached=1000), tariff, None) == Decimal("0.001")
    assert both.cost(Usage(uncached=1001), tariff, None) == Decimal("0.007007")


def test_a_later_file_and_a_later_row_win() -> None:
    """Overriding twice leaves the second word, and one file is read from top to bottom."""
    first, second = {**OWN, "read": 1}, {**OWN, "read": 2}
    tariff = Tariff("claude-next")
    for sheet in (SHEET.override([first, second]), SHEET.override([first]).override([second])):
        assert sheet.cost(Usage(read=MTOK), tariff, None) == 2


def test_the_standard_price_of_the_users_leaves_fast_mode_alone() -> None:
    """A row is for one speed."""
    sheet = SHEET.override([{**OWN, "model": "claude-opus-5"}])
    fast = Tariff("claude-opus-5", speed="fast")
    assert sheet.rate(fast, TODAY, 1) == SHEET.rate(fast, TODAY, 1)


def test_a_sheet_made_of_its_own_listing_prices_alike() -> None:
    """What the listing prints, given back as a price file, changes nothing."""
    sheet = SHEET.override([row.as_object() for row in SHEET.rows])
    assert sheet.rows == SHEET.rows * 2
    for row in priced:
        for at, prompt in itertools.product((1.7e9, TODAY, 1.9e9, None), (0, 100_001, 200_001)):
            tariff = Tariff(row.id, speed="standard")
            assert sheet.rate(tariff, at, prompt) == SHEET.rate(tariff, at, prompt)


def test_a_faulty_price_file_is_the_users_mistake() -> None:
    """The sheet says which row and which key."""
    with pytest.raises(InputError, match=r'^\[0\]\.read: "no" is not a price in dollars$'):
        SHEET.override([{**OWN, "read": "no"}])


@given(models, platforms)
def test_a_minimum_comes_from_the_switch_then_the_user_then_the_facts(
    row: Model, platform: str
) -> None:
    """Each outranks the next, under every id of the model."""
    sheet = SHEET.override([{**OWN, "model": row.id, "minimum": 333}])
    assumed = Assumptions(minimums=((row.id, 222),))
    for name in (row.id, *row.aliases, f"us.anthropic.{row.id}"):
        assert SHEET.minimum(name, platform, DEFAULT) == minimum(row, platform, DEFAULT)
        assert sheet.minimum(name, platform, DEFAULT) == 333
        assert sheet.minimum(name, platform, assumed) == 222


def test_a_users_minimum_holds_on_its_platforms_and_the_last_one_wins() -> None:
    """As with prices: a row is for the platforms it names, and a later row is the later word."""
    rows = [{**OWN, "minimum": tokens, "platform": "aws"} for tokens in (100, 200)]
    sheet = SHEET.override(rows)
    assert sheet.minimum("claude-next", "aws", DEFAULT) == 200
    assert sheet.minimum("claude-next", "bedrock", DEFAULT) is None


def test_a_switch_sets_the_minimum_of_a_model_nobody_knows() -> None:
    """It needs no row for that."""
    assumed = Assumptions(minimums=(("claude-next", 100),))
    assert SHEET.minimum("claude-next", "anthropic", assumed) == 100


def test_rounding_is_a_switch() -> None:
    """Exact by default, to the even cent where the user wants cents."""
    exact = Decimal("0.0250000001")
    assert round_cost(exact, DEFAULT) == exact
    assert round_cost(exact, Assumptions(rounding="cent")) == Decimal("0.03")
    assert round_cost(Decimal("0.025"), Assumptions(rounding="cent")) == Decimal("0.02")


def test_every_factor_is_dated_and_sourced() -> None:
    """A factor's row says what it applies to and where that was read."""
    for multiplier in MULTIPLIERS:
        assert multiplier.applies
        assert "2026" in multiplier.source
    assert sorted(FACTOR.values()) == dollars("0.5 1.1 1.1 1.2")
