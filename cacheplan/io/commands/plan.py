"""``cacheplan plan``."""

from __future__ import annotations

from typing import Any

import click

from cacheplan.io import options

__all__ = ["plan"]


@click.command()
@options.logs
@options.train
@click.option("-o", "--output", metavar="PLAN.json", help="Where to write the plan.")
@click.option("--against", metavar="OLD.json", help="Say how it differs from another plan.")
def plan(output: str | None, against: str | None, train: float, **given: Any) -> None:
    """Choose where to mark and for how long, with what that is worth."""
    from cacheplan.io import showing
    from cacheplan.io.desk import Desk

    desk = Desk(**given)
    chosen, advice, found = desk.plan(output, train)
    showing.plan(chosen, advice, found, desk.differences(chosen, against))
    desk.leave(found.unpriced, found.unmeasured)
