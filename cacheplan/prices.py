"""What a call costs: which row of the price list it takes, and what stacks on it.

The rows stand in ``pricelist``; which model an id names, and what a platform has, comes
from ``facts``; how many tokens a call was charged for comes in as ``Usage``. What nobody
states is ``None``, never 0 and never the price of a neighbour.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, NamedTuple, Self

from cacheplan.assumptions import Assumptions
from cacheplan.facts import FIRST_DATE, PLATFORMS, Found, find, minimum, moment
from cacheplan.pricelist import PRICES, READ_ON, ROWS, Row, read_rows
from cacheplan.usage import Usage

__all__ = ["MULTIPLIERS", "Multiplier", "Rate", "Sheet", "Tariff", "round_cost"]

_PER_MTOK: Final = Decimal(1_000_000)
#: No premium.
_NONE: Final = Decimal(1)


class Multiplier(NamedTuple):
    """A factor on every token of a call, output included; factors multiply."""

    name: str
    factor: Decimal
    applies: str
    source: str


_BATCH: Final = Multiplier(
    "batch", Decimal("0.5"),
    "Message Batches, on the Claude API and Claude Platform on AWS; Fable 5.2 on Google Cloud",
    f"Claude docs, pricing, read 2026-09; Google: genai-prices 0.2.3, {READ_ON}",
)  # fmt: skip
_US: Final = Multiplier(
    "us", Decimal("1.1"),
    'inference_geo "us", from the 4.6 models on; the US data zone of Foundry',
    "Claude docs, data residency, read 2026-08-22",
)  # fmt: skip
_REGIONAL: Final = Multiplier(
    "regional", Decimal("1.1"),
    "endpoints of Bedrock and Google Cloud that are not global, from the 4.5 models on",
    "Claude docs, pricing, read 2026-09; genai-prices 0.2.3 quoting the AWS price list",
)  # fmt: skip
_GOVERNMENT: Final = Multiplier(
    "us-gov", Decimal("1.2"), "AWS GovCloud", "litellm 1.109.1 model list, 2026-11"
)

#: All of them, as ``cacheplan prices`` lists them.
MULTIPLIERS: Final = (_BATCH, _US, _REGIONAL, _GOVERNMENT)

#: Google's own batch halves cache writes and reads only where its page says so.
_GOOGLE_BATCH: Final = frozenset({"claude-fable-5-2"})
#: First versions that the two premiums apply to; earlier ones refuse or predate them.
_US_FROM: Final = (4, 6)
_REGIONAL_FROM: Final = (4, 5)


class Tariff(NamedTuple):
    """What decides the price of a call besides its usage and its date."""

    #: The id as sent: a Bedrock id names its region.
    model: str
    platform: str = "anthropic"
    surface: str = "messages"
    speed: str = "standard"
    #: ``inference_geo``; on Bedrock and Google Cloud, the region of the endpoint.
    geo: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Five prices in US dollars per token, all factors in."""

    uncached: Decimal
    write_5m: Decimal
    write_1h: Decimal
    read: Decimal
    output: Decimal

    def input_cost(self, usage: Usage) -> Decimal:
        """Price the prompt."""
        return (
            usage.uncached * self.uncached
            + usage.write_5m * self.write_5m
            + usage.write_1h * self.write_1h
            + usage.read * self.read
        )

    def cost(self, usage: Usage) -> Decimal:
        """Price the prompt and the answer."""
        return self.input_cost(usage) + usage.output * self.output


class _Span(NamedTuple):
    """A stretch of time in which one tariff has one pair of rates."""

    end: float
    #: More prompt tokens than this take the upper rate.
    threshold: float
    lower: Rate | None
    upper: Rate | None


class _Schedule(NamedTuple):
    """All spans of a tariff from the beginning on, and the one for undated calls."""

    spans: tuple[_Span, ...]
    undated: _Span


@dataclass(frozen=True, slots=True)
class Sheet:
    """A price list: the shipped rows, and over them the user's own.

    >>> call = Tariff("claude-haiku-5-5")
    >>> print(Sheet.default().cost(Usage(uncached=100_000), call, None).normalize())
    0.01
    >>> print(Sheet.default().cost(Usage(uncached=100_001), call, None).normalize())
    0.0500005
    """

    shipped: tuple[Row, ...] = ROWS
    #: Rows of the user's. Where one covers a call it replaces every shipped row.
    own: tuple[Row, ...] = ()
    _schedules: dict[Tariff, _Schedule] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def default(cls) -> Self:
        """Return the shipped sheet."""
        return cls()

    @property
    def rows(self) -> tuple[Row, ...]:
        """The user's rows, then the shipped ones."""
        return self.own + self.shipped

    def override(self, rows: object) -> Self:
        """Return a sheet on which these rows (decoded JSON) stand over all others."""
        return type(self)(self.shipped, self.own + read_rows(rows))

    def rate(self, tariff: Tariff, at: float | None, prompt_tokens: int) -> Rate | None:
        """Return the price per token of one call, ``None`` where nobody states it.

        Asked once per call, so a schedule is made once per tariff and kept: after that
        an answer costs one look-up and, on the few models whose price changed, one or
        two comparisons.
        """
        schedule = self._schedules.get(tariff)
        if schedule is None:
            schedule = self._schedules[tariff] = self._schedule(tariff)
        span = schedule.undated
        if at is not None and at >= FIRST_DATE:
            for span in schedule.spans:
                if at < span.end:
                    break
        return span.upper if prompt_tokens > span.threshold else span.lower

    def cost(self, usage: Usage, tariff: Tariff, at: float | None) -> Decimal | None:
        """Price one call. Not a sum of calls: its prompt decides the band."""
        rate = self.rate(tariff, at, usage.prompt)
        return None if rate is None else rate.cost(usage)

    def minimum(self, model: str, platform: str, assume: Assumptions) -> int | None:
        """Return the shortest prefix cached: by switch, by the user's row, by the facts."""
        found = find(model)
        names = _names(model, found)
        for name, tokens in assume.minimums:
            if name in names:
                return tokens
        for row in reversed(self.own):
            if row.minimum is not None and row.model in names and platform in row.platforms:
                return row.minimum
        return None if found is None else minimum(found.model, platform, assume)

    def _schedule(self, tariff: Tariff) -> _Schedule:
        """Cut time at every day on which a row of this tariff begins or ends."""
        found = find(tariff.model)
        own = _matching(self.own, tariff, _names(tariff.model, found))
        shipped = () if found is None else _matching(self.shipped, tariff, (found.model.id,))
        days = {day for row in own + shipped for day in (row.from_date, row.until) if day}
        starts = [-math.inf, *sorted({moment(day) for day in days})]
        spans = tuple(
            _span(_covering(own, start), _covering(shipped, start), tariff, end)
            for start, end in zip(starts, [*starts[1:], math.inf], strict=True)
        )
        begins = [moment(row.from_date) for row in own + shipped if row.from_date]
        today = max([moment(READ_ON), *begins])
        return _Schedule(spans, next(span for span in spans if today < span.end))


def _names(model: str, found: Found | None) -> tuple[str, ...]:
    """Return the spellings under which a row may mean this id."""
    return (model,) if found is None else (model, found.model.id, *found.model.aliases)


def _matching(rows: Sequence[Row], tariff: Tariff, names: Sequence[str]) -> tuple[Row, ...]:
    """Return the rows for this tariff, whatever their dates and bands."""
    return tuple(
        row
        for row in rows
        if row.model in names and row.speed == tariff.speed and tariff.platform in row.platforms
    )


def _covering(rows: Sequence[Row], instant: float) -> dict[str, Row]:
    """Return the row of each band at an instant: the last to begin, then to be listed."""
    ordered = sorted(rows, key=lambda row: moment(row.from_date) if row.from_date else -math.inf)
    return {row.band: row for row in ordered if row.covers(instant)}


def _span(own: Mapping[str, Row], shipped: Mapping[str, Row], tariff: Tariff, end: float) -> _Span:
    """Pick the rows of one stretch; a price of the user's replaces shipped bands too."""
    rows = {**({} if "" in own else shipped), **own}
    upper = rows.get("upper")
    if upper is None or upper.threshold is None:
        return _Span(end, math.inf, _rate(rows.get(""), tariff), None)
    return _Span(end, upper.threshold, _rate(rows.get(""), tariff), _rate(upper, tariff))


def _rate(row: Row | None, tariff: Tariff) -> Rate | None:
    """Turn dollars per million into dollars per token, with every factor on them."""
    factor = None if row is None else _factor(row, tariff)
    if row is None or factor is None:
        return None
    each = factor / _PER_MTOK
    return Rate(**{name: getattr(row, name) * each for name in PRICES})


def _factor(row: Row, tariff: Tariff) -> Decimal | None:
    """Multiply what stacks on a row; ``None`` where the call cannot be priced at all."""
    found = find(tariff.model)
    # A row under the very id of an endpoint has the price of that endpoint.
    at_endpoint = row.model == tariff.model and _ENDPOINT in tariff.model
    place = _NONE if at_endpoint else _place(tariff, found)
    if tariff.surface != "batch":
        return place
    known = "" if found is None else found.model.id
    google = tariff.platform == "google" and known in _GOOGLE_BATCH
    served = google or PLATFORMS[tariff.platform].batch
    return place * _BATCH.factor if served and tariff.speed == "standard" else None


#: Part of every Bedrock id. Without a region before it, it is called in one region.
_ENDPOINT: Final = "anthropic."
#: Platforms whose price depends on the endpoint that is called.
_BY_ENDPOINT: Final = frozenset({"bedrock", "google"})
#: What ``usage.inference_geo`` says of models that keep no geography.
_NO_GEO: Final = "not_available"


def _place(tariff: Tariff, found: Found | None) -> Decimal:
    """Return the factor of where the call was served.

    A model nobody listed counts as new, since only models from 4.6 on take a geography.
    """
    version = _US_FROM if found is None else found.model.version
    region = "" if found is None else found.region
    if not region and tariff.platform in _BY_ENDPOINT and tariff.geo != _NO_GEO:
        region = tariff.geo
    if not region and tariff.model.startswith(_ENDPOINT):
        region = "in-region"
    if region.startswith(_GOVERNMENT.name):
        return _GOVERNMENT.factor
    if region:
        premium = region != "global" and version >= _REGIONAL_FROM
        return _REGIONAL.factor if premium else _NONE
    premium = tariff.geo == _US.name and (tariff.platform == "foundry" or version >= _US_FROM)
    return _US.factor if premium else _NONE


#: One cent, to which ``rounding=cent`` rounds.
_CENT: Final = Decimal("0.01")


def round_cost(cost: Decimal, assume: Assumptions) -> Decimal:
    """Round a cost as the switch says; how invoices round is not documented."""
    return cost.quantize(_CENT, ROUND_HALF_EVEN) if assume.rounding == "cent" else cost
