"""``cacheplan prices``, ``cacheplan facts`` and ``cacheplan formats``: the tables."""

from __future__ import annotations

import click

from cacheplan.io import options

__all__ = ["facts", "formats", "prices"]


@click.command()
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@options.prices
def prices(form: str, prices_file: str | None) -> None:
    """Print the price rows, with dates and sources."""
    from cacheplan.io import showing
    from cacheplan.io.desk import sheet_from

    showing.prices(sheet_from(prices_file), form)


@click.command()
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@options.assume
def facts(form: str, assumed: tuple[str, ...]) -> None:
    """Print models, limits, what breaks a prefix, and the open questions."""
    from cacheplan.assumptions import Assumptions
    from cacheplan.io import showing

    showing.facts(Assumptions.parse(assumed), form)


@click.command()
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def formats(form: str) -> None:
    """Print the formats of logs that can be read, and what each does not say."""
    from cacheplan.io import showing

    showing.formats(form)
