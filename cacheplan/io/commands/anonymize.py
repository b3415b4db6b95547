"""``cacheplan anonymize``."""

from __future__ import annotations

from typing import Any

import click

from cacheplan.io import options

__all__ = ["anonymize"]


@click.command()
@options.logs
@click.option("-o", "--output", required=True, metavar="OUT.jsonl", help="Where to write.")
@click.option("--key-file", metavar="FILE", help="A key of your own; a random one otherwise.")
def anonymize(output: str, key_file: str | None, **given: Any) -> None:
    """Write the digest form: who shares what, and no text."""
    from cacheplan.io.desk import Desk

    desk = Desk(**given)
    desk.anonymize(output, key_file)
    desk.leave()
