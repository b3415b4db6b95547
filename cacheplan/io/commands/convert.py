"""``cacheplan convert``."""

from __future__ import annotations

from typing import Any

import click

from cacheplan.io import options

__all__ = ["convert"]


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="LOG...")
@click.option("-o", "--output", default="-", metavar="FILE", help="Where to write.")
@click.option("--from", "log", metavar="FORMAT", help="The format of a log (see: formats).")
@click.option("--since", metavar="TIME", help="Only calls since then: 7d, 12h, 2026-11-01.")
@click.option("--whole", is_flag=True, help="Whole requests, where a line may extend another.")
@click.option("--skip-bad", is_flag=True, help="Skip entries that cannot be read.")
@options.tables
def convert(output: str, *, whole: bool, **given: Any) -> None:
    """Write logs of any format as a workload, a call a line."""
    from cacheplan.io.desk import Desk

    desk = Desk(**given)
    desk.convert(output, whole=whole)
