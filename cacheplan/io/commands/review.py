"""``cacheplan review``, and ``demo``, which reviews what the package ships."""

from __future__ import annotations

from typing import Any

import click

from cacheplan.io import options

__all__ = ["demo", "review"]


@click.command()
@options.reviewing
@options.workload
@options.train
def review(
    form: str, output: str, fail_on: str | None, show_text: bool, train: float, **given: Any
) -> None:
    """What calls share, what breaks it, what to mark, and what that is worth."""
    from cacheplan.io import showing
    from cacheplan.io.desk import Desk
    from cacheplan.report import threshold

    wanted = None if fail_on is None else threshold(fail_on)
    desk = Desk(**given)
    found = desk.review(train)
    showing.review(found, form, output, show=show_text, sources=desk.sources)
    desk.failing(found, wanted)


@click.command()
@options.reviewing
@options.tables
def demo(form: str, output: str, fail_on: str | None, show_text: bool, **given: Any) -> None:
    """Review the workload that comes with cacheplan."""
    from cacheplan.io import showing
    from cacheplan.io.desk import Desk, shipped_example
    from cacheplan.report import threshold

    wanted = None if fail_on is None else threshold(fail_on)
    desk = Desk(sources=(shipped_example(),), **given)
    found = desk.review(0.5)
    showing.review(found, form, output, show=show_text, sources=desk.sources)
    desk.failing(found, wanted)
