"""``cacheplan migrate``."""

from __future__ import annotations

from typing import Any

import click

from cacheplan.io import options

__all__ = ["migrate"]

_TO = "A model to send all calls to; a comma parts several."
_ROUTE = "Send the calls of one label to another model."
_ANSWERS = "How many times as many tokens answers have there; by default as their texts grow."


@click.command()
@options.workload
@click.option("--to", multiple=True, metavar="MODEL[,MODEL]", help=_TO)
@click.option("--route", "routes", multiple=True, metavar="LABEL=MODEL", help=_ROUTE)
@click.option("--answers", type=float, metavar="FACTOR", help=_ANSWERS)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def migrate(
    to: tuple[str, ...], routes: tuple[str, ...], answers: float | None, form: str, **given: Any
) -> None:
    """The same calls under other models, planned anew for each."""
    from cacheplan.io import whatifs
    from cacheplan.io.desk import Desk

    desk = Desk(**given)
    found = whatifs.migrated(desk, to, routes, answers)
    whatifs.show(found, form)
    desk.leave(found.unpriced, found.unmeasured)
