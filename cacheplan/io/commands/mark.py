"""``cacheplan mark``."""

from __future__ import annotations

from typing import Any

import click

from cacheplan.io import options

__all__ = ["mark"]


@click.command()
@click.argument("source", metavar="BODY.json|WORKLOAD.jsonl")
@click.option("-o", "--output", default="-", metavar="OUT", help="Where to write.")
@options.placing
@options.tables
def mark(source: str, output: str, policy: str | None, plan_file: str | None, **given: Any) -> None:
    """Write cache_control into a body, or into every call of a workload."""
    from cacheplan.io.desk import Desk

    desk = Desk(**given)
    desk.mark(source, output, desk.chosen(policy, plan_file))
