"""``cacheplan compare``."""

from __future__ import annotations

from typing import Any

import click

from cacheplan.io import options

__all__ = ["compare"]


@click.command()
@options.logs
@options.train
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def compare(form: str, train: float, **given: Any) -> None:
    """Every policy on the same calls, beside what none can go below."""
    from cacheplan.io import showing
    from cacheplan.io.desk import Desk

    desk = Desk(**given)
    found = desk.compare(train)
    showing.comparison(found, form)
    desk.leave(found.unpriced, found.unmeasured)
