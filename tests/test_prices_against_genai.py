"""Our prices beside those of genai-prices, an independent table: every call it can price.

Its ``Usage.input_tokens`` counts cached tokens as well, and its ``cache_write_tokens``
both lifetimes. Where it holds no price of its own for a case (no batch or fast variant,
no 1-hour write) it silently takes the nearest one it has; such cases are left out, since
that is no statement. Every other difference stands in ``DIFFERENCES`` with its reason.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from cacheplan.facts import MODELS, REGIONS, Model, find
from cacheplan.prices import Sheet, Tariff
from cacheplan.usage import Usage

genai_prices = pytest.importorskip("genai_prices")
data_snapshot = pytest.importorskip("genai_prices.data_snapshot")

SHEET = Sheet.default()
SNAPSHOT = data_snapshot.get_snapshot()
#: Its name of a provider, and ours of the platform.
PLATFORM = {"anthropic": "anthropic", "aws": "bedrock", "google": "google"}
#: Both sides of every day on which a row of either table begins or ends.
DAYS = (
    "2026-01-01",
    "2026-03-12",
    "2026-03-13",
    "2026-04-29",
    "2026-04-30",
    "2026-07-23",
    "2026-07-24",
    "2026-10-06",
    "2026-10-07",
    "2026-10-13",
    "2026-10-14",
    "2026-11-21",
    "2026-11-29",
    "2026-11-30",
)
#: Both sides of every end of a band.
PROMPTS = (1_000, 100_000, 100_001, 200_000, 200_001, 900_000)
KINDS = ("uncached", "write_5m", "write_1h", "read", "output")
MODES = {
    "standard": ("messages", "standard", None),
    "batch": ("batch", "standard", {"processing": "batch"}),
    "fast": ("messages", "fast", {"speed": "fast"}),
}
LONG = 200_000
#: The day on which the premium above it ended.
PREMIUM_UNTIL = {
    "claude-opus-4-6": "2026-03-13",
    "claude-sonnet-4-6": "2026-03-13",
    "claude-sonnet-4-5": "2026-04-30",
    "claude-sonnet-4-0": "2026-04-30",
}
#: Where they have no row of the days before.
WITHOUT_HISTORY = {
    "claude-opus-4-6": ("aws",),
    "claude-sonnet-4-6": ("aws", "google"),
    "claude-sonnet-4-5": ("aws",),
    "claude-sonnet-4-0": ("anthropic", "aws", "google"),
}


class Case(NamedTuple):
    """One call that both tables are asked for."""

    provider: str
    sent: str
    model: str
    region: str
    mode: str
    day: str
    prompt: int
    kind: str


@dataclass(frozen=True)
class Difference:
    """Cases on which the tables differ, and why ours is kept."""

    reason: str
    covers: Callable[[Case], bool]


DIFFERENCES = (
    Difference(
        "The release notes date the cut of this price to 2026-10-07; they keep no row from before.",
        lambda case: (
            case.model == "claude-sonnet-5-5" and case.kind == "read" and case.day < "2026-10-07"
        ),
    ),
    Difference(
        "AWS lists GovCloud at a fifth more (litellm 1.109.1, one row per region and model);"
        " they match these ids to the regional price.",
        lambda case: case.region == "us-gov",
    ),
    Difference(
        "The release notes end fast mode of Opus 4.8 on 2026-11-30; their note says so, their"
        " row does not.",
        lambda case: (
            case.model == "claude-opus-4-8" and case.mode == "fast" and case.day >= "2026-11-30"
        ),
    ),
    Difference(
        "The long prompts of Sonnet 4.5 were withdrawn on 2026-04-30, with their premium; their"
        " note says so, their row does not.",
        lambda case: (
            case.model == "claude-sonnet-4-5"
            and case.prompt > LONG
            and case.day >= "2026-04-30"
            and case.provider != "aws"
        ),
    ),
    Difference(
        "The premium on long prompts held for a model wherever it was served; they keep that"
        " history on some platforms only, and nowhere for Sonnet 4.",
        lambda case: (
            case.prompt > LONG
            and case.day < PREMIUM_UNTIL.get(case.model, "")
            and case.provider in WITHOUT_HISTORY.get(case.model, ())
        ),
    ),
)

#: Models that it does not know at all on its first-party list.
NOT_THERE = {"claude-mythos-5", "claude-mythos-5-1", "claude-mythos-preview"}


def spellings(model: Model) -> Iterator[tuple[str, str]]:
    """Yield every id that each provider could be asked for."""
    for name in (model.id, *model.aliases):
        yield "anthropic", name
        yield "google", name
        for region, version in itertools.product(["", *sorted(REGIONS)], ["", "-v1", "-v1:0"]):
            yield "aws", f"{region}{'.' * bool(region)}anthropic.{name}{version}"


def entries(model: Model) -> dict[tuple[str, str, str], tuple[str, Any, Any]]:
    """Return one id for each of their entries and each of our regions that it resolves to."""
    chosen = {}
    for provider, sent in spellings(model):
        found = find(sent)
        assert found is not None
        try:
            place, entry = SNAPSHOT.find_provider_model(sent, None, provider, None)
        except LookupError:
            continue
        chosen[provider, entry.id, found.region] = (sent, place, entry)
    return chosen


def their_prices(place: Any, entry: Any, mode: str, at: datetime) -> Any:
    """Return their prices, or ``None`` where they state none for this mode."""
    context = MODES[mode][2]
    stated = context is None or any(
        variant.when == context and (variant.constraint is None or variant.constraint.active(at))
        for variant in entry.price_variants or ()
    )
    # An entry borrowed from another provider brings no variants with it.
    borrowed = context is not None and entry not in place.models
    return entry.get_prices(at, context) if stated and not borrowed else None


def usage_of(case: Case) -> Usage:
    """Return a usage in which one counter makes the price."""
    if case.kind == "output":
        return Usage(uncached=case.prompt, output=1_000)
    return Usage(**{case.kind: case.prompt})


def their_cost(prices: Any, usage: Usage) -> Decimal:
    """Return what they charge; their input includes what was read and written."""
    asked = genai_prices.Usage(
        input_tokens=usage.prompt,
        cache_write_tokens=usage.written,
        cache_write_1h_tokens=usage.write_1h,
        cache_read_tokens=usage.read,
        output_tokens=usage.output,
    )
    total = prices.calc_price(asked)["total_price"]
    assert isinstance(total, Decimal)
    return total


@functools.cache
def compared(model: Model) -> tuple[tuple[Case, Decimal, Decimal | None], ...]:
    """Return every case of a model that they can price, with their cost and ours."""
    return tuple(compare(model))


def compare(model: Model) -> Iterator[tuple[Case, Decimal, Decimal | None]]:
    """Ask both tables."""
    for (provider, _, region), (sent, place, entry) in entries(model).items():
        for mode, day in itertools.product(MODES, DAYS):
            at = datetime.fromisoformat(day).replace(tzinfo=UTC)
            prices = their_prices(place, entry, mode, at)
            surface, speed, _ = MODES[mode]
            tariff = Tariff(sent, PLATFORM[provider], surface, speed)
            for prompt, kind in itertools.product(PROMPTS, KINDS) if prices else ():
                if kind == "write_1h" and prices.cache_write_1h_mtok is None:
                    continue
                case = Case(provider, sent, model.id, region, mode, day, prompt, kind)
                usage = usage_of(case)
                ours = SHEET.cost(usage, tariff, at.timestamp())
                yield case, their_cost(prices, usage), ours


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_prices_agree_but_for_what_is_explained(model: Model) -> None:
    """Every call they can price costs the same here, to the last digit, or is listed."""
    unexplained = [
        f"{case}: theirs {theirs}, ours {ours}"
        for case, theirs, ours in compared(model)
        if theirs != ours and not any(known.covers(case) for known in DIFFERENCES)
    ]
    assert not unexplained, "\n".join(unexplained[:20])


@pytest.mark.parametrize("known", DIFFERENCES, ids=lambda known: known.reason)
def test_an_explained_difference_is_still_one(known: Difference) -> None:
    """A reason without cases, or whose cases have come to agree, has to go."""
    covered = [one for model in MODELS for one in compared(model) if known.covers(one[0])]
    assert covered
    assert [case for case, theirs, ours in covered if theirs == ours] == []


def test_they_know_the_models_we_know_but_for_these() -> None:
    """The comparison leaves out no model without a word."""
    unknown = {model.id for model in MODELS if not entries(model)}
    assert unknown == NOT_THERE


def test_the_comparison_meets_every_mode_platform_and_band() -> None:
    """It is no comparison of nothing: each dimension occurs, thousands of times in all."""
    met = [case for model in MODELS for case, _, ours in compared(model) if ours is not None]
    assert {case.provider for case in met} == set(PLATFORM)
    assert {case.mode for case in met} == set(MODES)
    assert {(case.prompt, case.kind) for case in met} == set(itertools.product(PROMPTS, KINDS))
    assert {case.region for case in met} > {"", "global", "us", "eu", "us-gov"}
    assert len(met) > 50_000
