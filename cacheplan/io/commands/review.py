"""``cacheplan review``, and ``demo``, which reviews what the package ships."""

from __future__ import annotations

from typing import Any

import click

from cacheplan.io import options

__all__ = ["demo", "review"]


@click.command()
@options.reviewing
@options.logs
@options.train
@options.known
def review(
    *,
    form: str,
    output: str,
    fail_on: str | None,
    show_text: bool,
    train: float,
    baseline: str | None,
    write_baseline: str | None,
    **given: Any,
) -> None:
    """What calls share, what breaks it, what to mark, and what that is worth."""
    from cacheplan.io import reporting
    from cacheplan.io.desk import Desk

    desk = Desk(**given)
    # What cannot be is said before any calls are read.
    wanted, terms = desk.threshold(fail_on), desk.terms(baseline, write_baseline)
    found = desk.review(train, terms)
    reporting.write(found, form, output, show=show_text, sources=desk.sources)
    desk.keep(found, write_baseline)
    desk.failing(found, None if write_baseline else wanted)


@click.command()
@options.reviewing
@options.tables
def demo(form: str, output: str, fail_on: str | None, show_text: bool, **given: Any) -> None:
    """Review the workload that comes with cacheplan."""
    from cacheplan.io import reporting
    from cacheplan.io.desk import Desk, shipped_example

    # What a team has agreed on is about its own calls.
    given["no_settings"] = given["settings"] is None
    desk = Desk(sources=(shipped_example(),), **given)
    wanted = desk.threshold(fail_on)
    found = desk.review(0.5, desk.terms())
    reporting.write(found, form, output, show=show_text, sources=desk.sources)
    desk.failing(found, wanted)
