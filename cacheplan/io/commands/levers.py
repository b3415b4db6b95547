"""``cacheplan levers``."""

from __future__ import annotations

from typing import Any

import click

from cacheplan.io import options

__all__ = ["levers"]

_STABLE = "Share to cut from what more than one call sends."
_VOLATILE = "Share to cut from what only one call sends."
_ANSWERS = "Share to cut from answers."
_STORE = "Hours for which a stored answer may be given again."
_WAITS = "A label whose calls can wait for a batch; by default calls outside conversations."


@click.command()
@options.workload
@click.option("--cut-stable", default=0.2, metavar="SHARE", show_default=True, help=_STABLE)
@click.option("--cut-volatile", default=0.2, metavar="SHARE", show_default=True, help=_VOLATILE)
@click.option("--cut-answers", default=0.2, metavar="SHARE", show_default=True, help=_ANSWERS)
@click.option("--store-hours", default=24.0, metavar="HOURS", show_default=True, help=_STORE)
@click.option("--waits", multiple=True, metavar="LABEL", help=_WAITS)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def levers(
    *,
    cut_stable: float,
    cut_volatile: float,
    cut_answers: float,
    store_hours: float,
    waits: tuple[str, ...],
    form: str,
    **given: Any,
) -> None:
    """What else would lower the bill, alone, last, and all of it together."""
    from cacheplan.io import whatifs
    from cacheplan.io.desk import Desk
    from cacheplan.levers import Assumed

    assumed = Assumed(
        cut_stable=cut_stable,
        cut_volatile=cut_volatile,
        cut_answers=cut_answers,
        store_hours=store_hours,
        waits=waits or None,
    )
    desk = Desk(**given)
    found = whatifs.pulled(desk, assumed)
    whatifs.show(found, form)
    desk.leave(found.unpriced, found.unmeasured)
