"""``cacheplan ledger``."""

from __future__ import annotations

import click

from cacheplan.io import options

__all__ = ["ledger"]

#: The keys of ``books.KEYS``: what a row can stand for.
BY = ("label", "model", "day", "session")


@click.command()
@click.argument("path", metavar="LEDGER")
@click.option("--by", type=click.Choice(BY), default="label", help="What a row stands for.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@options.prices
def ledger(path: str, by: str, form: str, prices_file: str | None) -> None:
    """What was billed at call time: cost, hit rate, and what was not as expected."""
    from cacheplan.io import showing
    from cacheplan.io.desk import Desk
    from cacheplan.io.recall import books

    desk = Desk(prices_file=prices_file)
    found = books(path, desk.sheet, by)
    showing.books(found, form)
    desk.leave(found.unpriced)
