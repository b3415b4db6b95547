"""``cacheplan check``."""

from __future__ import annotations

import sys
from typing import Any

import click

from cacheplan.io import options

__all__ = ["check"]


@click.command()
@click.argument("body", metavar="BODY.json")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option("--platform", type=click.Choice(options.PLATFORMS), default="anthropic")
@options.tables
def check(body: str, form: str, platform: str, **given: Any) -> None:
    """Tell whether the API would take a body, and whether a mark of it is wasted."""
    from cacheplan.io import showing
    from cacheplan.io.desk import Desk

    desk = Desk(**given)
    found = desk.check(body, platform)
    showing.findings(found, form)
    sys.exit(desk.verdict(found))
