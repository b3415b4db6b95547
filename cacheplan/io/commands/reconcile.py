"""``cacheplan reconcile``."""

from __future__ import annotations

import sys
from typing import Any

import click

from cacheplan.io import options

__all__ = ["reconcile"]

_USAGE = "An exported usage report (JSON), instead of asking the Admin API."
_COST = "An exported cost report (JSON)."
_WORKSPACE = "What the program calls a workspace; default=ID is that of calls that name none."
_ENDPOINTS = "The newer reports (analytics), the older ones, or the newer where there are any."
_FAIL = "Exit with 1 where tokens, prices, rows that cannot be explained, or any of it differ."
_FOUND = 1


@click.command()
@click.argument("ledger", metavar="LEDGER")
@click.option("--from", "first", metavar="DAY", help="First day (UTC), as in 2026-11-01.")
@click.option("--to", "last", metavar="DAY", help="Last day, included.")
@click.option("--usage", multiple=True, metavar="FILE", help=_USAGE)
@click.option("--cost", multiple=True, metavar="FILE", help=_COST)
@click.option("--workspace", "workspaces", multiple=True, metavar="NAME=ID", help=_WORKSPACE)
@click.option("--key-file", metavar="FILE", help="The ledger's key, where it is kept apart.")
@click.option(
    "--endpoints", "generation", type=click.Choice(["auto", "new", "old"]), default="auto",
    help=_ENDPOINTS,
)  # fmt: skip
@click.option("--fail-on", type=click.Choice(["any", "tokens", "price", "unexplained"]), help=_FAIL)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option("--quiet", is_flag=True, help="No notes on standard error.")
@options.prices
def reconcile(
    *, prices_file: str | None, fail_on: str | None, form: str, quiet: bool, **given: Any
) -> None:
    """Hold a ledger against the usage and cost reports of the Admin API, or exports of them."""
    from cacheplan.io import showing
    from cacheplan.io.accounting import Wanted, reconciled
    from cacheplan.io.desk import Desk

    desk = Desk(prices_file=prices_file, quiet=quiet)
    found = reconciled(desk, Wanted(**given))
    showing.books(found, form)
    if fail_on is not None and found.failing(fail_on):
        sys.exit(_FOUND)
    desk.leave(found.unpriced)
