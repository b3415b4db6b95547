"""``cacheplan explain``."""

from __future__ import annotations

from typing import Any

import click

from cacheplan.io import options

__all__ = ["explain"]


@click.command()
@click.argument("earlier", metavar="EARLIER.json")
@click.argument("later", metavar="LATER.json")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option("--show-text", is_flag=True, help="Show prompt text instead of its shape.")
@options.tables
def explain(earlier: str, later: str, form: str, show_text: bool, **given: Any) -> None:
    """Why the later call cannot read what the earlier one wrote."""
    from cacheplan.io import showing
    from cacheplan.io.desk import Desk

    showing.explanation(Desk(**given).explain(earlier, later), form, show=show_text)
