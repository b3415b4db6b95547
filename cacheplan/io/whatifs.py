"""What commands do that ask what would be: the calls read, tried, and told.

Each of these answers is a value that knows how to say itself; here it gets its calls.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

import click

from cacheplan.io.progress import watching

if TYPE_CHECKING:
    from cacheplan.io.desk import Desk
    from cacheplan.levers import Assumed, Levers

__all__ = ["pulled", "show"]


class _Told(Protocol):
    """What knows how to say itself."""

    def to_json(self) -> dict[str, Any]:
        """Return the shape that ``--format json`` prints."""


def show(found: _Told, form: str) -> None:
    """Print an answer as text or as JSON."""
    if form == "json":
        click.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        click.echo(str(found))


def pulled(desk: Desk, assumed: Assumed) -> Levers:
    """Try every lever on the calls."""
    from cacheplan.levers import pull

    workload = desk.workload()
    with watching(quiet=desk.quiet) as say:
        return pull(workload, desk.sheet, assumed, lambda what: say(f"trying: {what}"))
