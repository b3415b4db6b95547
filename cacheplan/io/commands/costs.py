"""``cacheplan costs``."""

from __future__ import annotations

from typing import Any

import click

from cacheplan.io import options

__all__ = ["costs"]

_BY = "What a row stands for, by commas: label, model, session, workspace, day, tag:NAME."


@click.command()
@options.logs
@click.option("--by", default="label", metavar="NAME,...", show_default=True, help=_BY)
@click.option("--no-savings", is_flag=True, help="Say what was paid, and be done sooner.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def costs(*, by: str, no_savings: bool, form: str, **given: Any) -> None:
    """Which feature burns it: cost by label, model, session, day or tag, the dearest first."""
    from cacheplan.io import showing
    from cacheplan.io.booking import spent
    from cacheplan.io.desk import Desk

    desk = Desk(**given)
    names = [name.strip() for name in by.split(",")]
    found = spent(desk, names, savings=not no_savings)
    showing.books(found, form)
    desk.leave(found.unpriced)
