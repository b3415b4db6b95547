"""``cacheplan fix``."""

from __future__ import annotations

from typing import Any

import click

from cacheplan.io import options

__all__ = ["fix"]

_UNSAFE = "Also apply fixes that change what the model reads."


@click.command()
@click.option("-o", "--output", required=True, metavar="OUT.jsonl", help="Where to write.")
@click.option("--unsafe", is_flag=True, help=_UNSAFE)
@options.workload
def fix(*, output: str, unsafe: bool, **given: Any) -> None:
    """Write the calls again with the fixes of what a review finds."""
    from cacheplan.io.desk import Desk
    from cacheplan.io.mending import mend

    desk = Desk(**given)
    found = mend(desk, output, unsafe=unsafe)
    for sentence in found.said():
        desk.note(sentence)
    desk.leave(found.after.unpriced, found.after.unmeasured)
