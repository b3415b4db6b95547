"""``cacheplan estimate``."""

from __future__ import annotations

import sys
from decimal import Decimal, InvalidOperation
from typing import Any

import click

from cacheplan.io import options

__all__ = ["estimate"]

#: The exit code of an estimate that is above its budget.
_ABOVE = 1

_SAMPLE = "Count so many calls, drawn by label and size, instead of all."
_COUNT = "Count offline, or ask the service (count_tokens, which is free)."
_RPM = "Questions a minute; the service allows 2,000 to 8,000 by tier."
_BUDGET = "Dollars for all the calls; exit with 1 above it, and say what to cut first."
_CONFIDENCE = "Share of draws in which the interval is to hold the true total."
_OUTPUT = "Tokens of an answer where a call does not say."


class _Dollars(click.ParamType[Decimal]):
    """An amount of money, exact to the last digit."""

    name = "dollars"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        """Read an amount."""
        try:
            return Decimal(str(value).removeprefix("$"))
        except InvalidOperation:
            self.fail(f"{value!r} is not an amount of dollars.", param, ctx)


@click.command()
@options.workload
@click.option("--sample", type=int, metavar="CALLS", help=_SAMPLE)
@click.option("--confidence", default=0.95, metavar="SHARE", show_default=True, help=_CONFIDENCE)
@click.option("--count", type=click.Choice(["offline", "api"]), default="offline", help=_COUNT)
@click.option("--rpm", default=2000, metavar="N", show_default=True, help=_RPM)
@click.option("--budget", type=_Dollars(), metavar="DOLLARS", help=_BUDGET)
@click.option("--output-tokens", default=0, metavar="N", help=_OUTPUT)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def estimate(
    *,
    sample: int | None,
    confidence: float,
    count: str,
    rpm: int,
    budget: Decimal | None,
    output_tokens: int,
    form: str,
    **given: Any,
) -> None:
    """Tokens and cost before anything is sent, by counting all calls or a sample."""
    from cacheplan.estimation import Asked
    from cacheplan.io import whatifs
    from cacheplan.io.desk import Desk

    asked = Asked(
        sample=sample,
        confidence=confidence,
        budget=budget,
        output=output_tokens,
        seed=given["seed"],
    )
    desk = Desk(**given)
    found = whatifs.estimated(desk, asked, count, rpm)
    whatifs.show(found, form)
    desk.leave(found.unpriced, found.unmeasured)
    if found.above:
        sys.exit(_ABOVE)
