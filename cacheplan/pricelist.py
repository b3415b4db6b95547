"""The price list: a dated, sourced row per model, speed and band of prompt lengths.

Rows and nothing else: which row a call takes, and what stacks on it, is for ``prices``.
All five prices of a row are written out: the writes are 1.25 and 2 times the input
everywhere so far, but reads are 0.1, 0.05 or 0.025 times it, so no price is derived
from another. A user's own rows are read here too, with the place of every fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, Literal

from cacheplan.errors import InputError
from cacheplan.facts import PLATFORMS, moment

__all__ = ["PRICES", "READ_ON", "ROWS", "Row", "read_rows"]

#: The day all shipped rows were last compared with their sources. A call without a date
#: is priced as on this day, or as on the day a later row of the user's begins.
READ_ON: Final = "2026-11-21"

#: The five prices, in the order of the columns of every table.
PRICES: Final = ("uncached", "write_5m", "write_1h", "read", "output")

_EVERYWHERE: Final = tuple(PLATFORMS)
_THREE = "Claude Code 2.1.330, genai-prices 0.2.3 and litellm 1.109.1 agree"
_TWO = "Claude Code 2.1.330 and genai-prices 0.2.3 agree"
_OTHER_TWO = "Claude Code 2.1.330 and litellm 1.109.1 agree"
_FAST = "Claude docs, fast mode, read 2026-11"
_NOTES = "Claude docs, release notes, to 2026-11-12"
_LONG = "genai-prices 0.2.3 and Claude docs, context windows, read 2026-08-22"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Five prices in US dollars per million tokens, and for which calls they hold."""

    model: str
    platforms: tuple[str, ...] = _EVERYWHERE
    speed: Literal["standard", "fast"] = "standard"
    #: First day it holds, and first day it no longer does (ISO, in UTC); ``None``: open.
    from_date: str | None = None
    until: str | None = None
    #: Prompt tokens that a call must exceed for this row; ``None`` for the lower band.
    #: Above it every token of the call has this row's price, output included.
    threshold: int | None = None
    uncached: Decimal
    write_5m: Decimal
    write_1h: Decimal
    read: Decimal
    output: Decimal
    #: Shortest prefix that is cached, for a model that ``facts`` does not list.
    minimum: int | None = None
    source: str = ""
    read_on: str = READ_ON

    @property
    def band(self) -> Literal["", "upper"]:
        """Which band of prompt lengths it is for; empty for the lower or only one."""
        return "" if self.threshold is None else "upper"

    def covers(self, instant: float) -> bool:
        """Whether it holds at these epoch seconds."""
        begun = self.from_date is None or moment(self.from_date) <= instant
        return begun and (self.until is None or instant < moment(self.until))

    def as_object(self) -> dict[str, object]:
        """Return the row as JSON that ``Sheet.override`` reads back to an equal row."""
        plain: dict[str, object] = {
            "model": self.model,
            "platforms": list(self.platforms),
            "speed": self.speed,
            "from": self.from_date,
            "until": self.until,
            "above": self.threshold,
            "minimum": self.minimum,
            "source": self.source,
            "read_on": self.read_on,
        }
        return plain | {name: float(getattr(self, name)) for name in PRICES}


def _row(
    model: str,
    prices: str,
    source: str,
    *,
    fast: bool = False,
    above: int | None = None,
    dates: tuple[str | None, str | None] = (None, None),
) -> Row:
    """Make a shipped row from its five prices in the order of ``PRICES``."""
    uncached, write_5m, write_1h, read, output = map(Decimal, prices.split())
    return Row(
        model=model,
        platforms=("anthropic",) if fast else _EVERYWHERE,
        speed="fast" if fast else "standard",
        from_date=dates[0],
        until=dates[1],
        threshold=above,
        uncached=uncached,
        write_5m=write_5m,
        write_1h=write_1h,
        read=read,
        output=output,
        source=source,
    )


# Days on which prices changed. The 1M context of the 4.6 models lost its premium; that
# of Sonnet 4 and 4.5 was withdrawn; a read of Sonnet 5.5 was halved; fast mode left two
# models.
_TO_STANDARD: Final = (None, "2026-03-13")
_TO_WITHDRAWN: Final = (None, "2026-04-30")
_TO_HALF_READ: Final = (None, "2026-10-07")
_HALF_READ: Final = ("2026-10-07", None)
_TO_SLOW_4_7: Final = (None, "2026-07-24")
_TO_SLOW_4_8: Final = (None, "2026-11-30")

#: Every shipped price. The first row of a model holds from its beginning: a recording
#: with a clock gone wrong is priced rather than dropped. Mythos Preview has no row: its
#: sources disagree (10 and 25 dollars). Opus 4.6 takes "fast", and runs and bills at
#: standard speed; its six-fold price of before ended on a day that no page read gives.
ROWS: Final[tuple[Row, ...]] = (
    _row("claude-fable-5-2", "8 10 16 0.2 40", _TWO),
    _row("claude-fable-5-2", "16 20 32 0.4 80", _TWO, fast=True),
    _row("claude-mythos-5-2", "8 10 16 0.2 40", _TWO),
    _row("claude-mythos-5-2", "16 20 32 0.4 80", _TWO, fast=True),
    _row("claude-fable-5-1", "10 12.5 20 0.25 50", _THREE),
    _row("claude-mythos-5-1", "10 12.5 20 0.25 50", _OTHER_TWO),
    _row("claude-fable-5", "10 12.5 20 1 50", _THREE),
    _row("claude-mythos-5", "10 12.5 20 1 50", _OTHER_TWO),
    _row("claude-opus-5-5", "4 5 8 0.2 20", _THREE),
    _row("claude-opus-5-5", "8 10 16 0.4 40", _FAST, fast=True),
    _row("claude-opus-5", "5 6.25 10 0.5 25", _THREE),
    _row("claude-opus-5", "10 12.5 20 1 50", _FAST, fast=True),
    _row("claude-opus-4-8", "5 6.25 10 0.5 25", _THREE),
    _row("claude-opus-4-8", "10 12.5 20 1 50", _NOTES, fast=True, dates=_TO_SLOW_4_8),
    _row("claude-opus-4-7", "5 6.25 10 0.5 25", _THREE),
    _row("claude-opus-4-7", "30 37.5 60 3 150", _FAST, fast=True, dates=_TO_SLOW_4_7),
    _row("claude-opus-4-6", "5 6.25 10 0.5 25", _THREE),
    _row("claude-opus-4-6", "5 6.25 10 0.5 25", _FAST, fast=True),
    _row("claude-opus-4-6", "10 12.5 20 1 37.5", _LONG, above=200_000, dates=_TO_STANDARD),
    _row("claude-opus-4-5", "5 6.25 10 0.5 25", _THREE),
    _row("claude-sonnet-5-5", "2 2.5 4 0.2 10", _NOTES, dates=_TO_HALF_READ),
    _row("claude-sonnet-5-5", "2 2.5 4 0.1 10", f"{_NOTES}; {_THREE}", dates=_HALF_READ),
    _row("claude-sonnet-5", "2 2.5 4 0.2 10", _THREE),
    _row("claude-sonnet-4-6", "3 3.75 6 0.3 15", _THREE),
    _row("claude-sonnet-4-6", "6 7.5 12 0.6 22.5", _LONG, above=200_000, dates=_TO_STANDARD),
    _row("claude-sonnet-4-5", "3 3.75 6 0.3 15", _THREE),
    _row("claude-sonnet-4-5", "6 7.5 12 0.6 22.5", _LONG, above=200_000, dates=_TO_WITHDRAWN),
    _row("claude-haiku-5-5", "0.1 0.125 0.2 0.01 0.5", _THREE),
    _row("claude-haiku-5-5", "0.5 0.625 1 0.05 2.5", _THREE, above=100_000),
    _row("claude-haiku-4-5", "1 1.25 2 0.1 5", _THREE),
    _row("claude-opus-4-1", "15 18.75 30 1.5 75", _THREE),
    _row("claude-opus-4-0", "15 18.75 30 1.5 75", _THREE),
    _row("claude-sonnet-4-0", "3 3.75 6 0.3 15", _THREE),
    _row("claude-sonnet-4-0", "6 7.5 12 0.6 22.5", _LONG, above=200_000, dates=_TO_WITHDRAWN),
    _row("claude-3-5-haiku-20241022", "0.8 1 1.6 0.08 4", _THREE),
)

#: What a row of the user's may say besides its prices, and under which names.
_KEYS: Final = frozenset(
    {"model", "platform", "platforms", "speed", "from", "until", "above", "minimum"}
    | {"source", "read_on", "input", *PRICES}
)


def read_rows(rows: object) -> tuple[Row, ...]:
    """Read a price file that was decoded already."""
    if not isinstance(rows, list):
        raise InputError("a price file is a list of rows")
    read = []
    for index, row in enumerate(rows):
        try:
            read.append(_read_row(row))
        except InputError as error:
            raise error.within(index) from None
    return tuple(read)


def _read_row(row: object) -> Row:
    """Read one row: every price must stand there, since none follows from another."""
    if not isinstance(row, dict):
        raise InputError("a row is an object")
    for key in row:
        if key not in _KEYS:
            raise InputError(
                f"a row has no such key; it may have {', '.join(sorted(_KEYS))}", (key,)
            )
    prices = {name: _price(row, name) for name in PRICES}
    model = row.get("model")
    if not isinstance(model, str) or not model:
        raise InputError("the id of a model is missing", ("model",))
    speed = row.get("speed", "standard")
    if speed not in ("standard", "fast"):
        raise InputError(f'"{speed}" is not standard or fast', ("speed",))
    from_date, until = _day(row, "from"), _day(row, "until")
    if from_date and until and moment(until) <= moment(from_date):
        raise InputError(f"{until} is not after {from_date}", ("until",))
    return Row(
        model=model,
        platforms=_platforms(row),
        speed=speed,
        from_date=from_date,
        until=until,
        threshold=_whole(row, "above"),
        minimum=_whole(row, "minimum"),
        source=str(row.get("source", "the user's price file")),
        read_on=_day(row, "read_on") or "",
        **prices,
    )


def _price(row: Mapping[str, object], name: str) -> Decimal:
    """Read dollars per million tokens, as a number or as text."""
    key = "input" if name == "uncached" and row.get("uncached") is None else name
    value = row.get(key)
    if value is None:
        raise InputError("the price per million tokens is missing", (name,))
    try:
        price = Decimal(str(value)) if not isinstance(value, bool) else None
    except InvalidOperation:
        price = None
    if price is None or not price.is_finite() or price < 0:
        raise InputError(f'"{value}" is not a price in dollars', (key,))
    return price


def _whole(row: Mapping[str, object], key: str) -> int | None:
    """Read a number of tokens, where it is given."""
    value = row.get(key)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise InputError(f'"{value}" is not a number of tokens', (key,))


def _day(row: Mapping[str, object], key: str) -> str | None:
    """Read a date, where it is given."""
    value = row.get(key)
    if value is None or value == "":
        return None
    try:
        moment(str(value))
    except (ValueError, OverflowError):
        raise InputError(f'"{value}" is not a date such as 2026-10-07', (key,)) from None
    return str(value)


def _platforms(row: Mapping[str, object]) -> tuple[str, ...]:
    """Read one platform or a list of them; none means all."""
    key = "platform" if "platform" in row else "platforms"
    value = row.get(key)
    if value is None:
        return _EVERYWHERE
    names = value if isinstance(value, list) and value else [value]
    for name in names:
        if not isinstance(name, str) or name not in PLATFORMS:
            raise InputError(f'"{name}" is not {" or ".join(PLATFORMS)}', (key,))
    return tuple(names)
