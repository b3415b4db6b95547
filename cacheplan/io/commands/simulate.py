"""``cacheplan simulate``."""

from __future__ import annotations

from typing import Any

import click

from cacheplan.io import options

__all__ = ["simulate"]


@click.command()
@options.logs
@options.placing
@click.option("--format", "form", type=click.Choice(["jsonl"]), default="jsonl")
def simulate(policy: str | None, plan_file: str | None, form: str, **given: Any) -> None:
    """What the service would have counted, call by call."""
    from cacheplan.io import showing
    from cacheplan.io.desk import Desk

    del form
    desk = Desk(**given)
    served, as_sent = desk.simulate(policy, plan_file)
    desk.leave(*showing.calls(served, desk.sheet, desk.assume, as_sent=as_sent))
