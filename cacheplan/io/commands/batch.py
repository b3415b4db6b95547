"""``cacheplan batch``: build, submit, status, collect, advise."""

from __future__ import annotations

import sys
from typing import Any

import click

from cacheplan.io import options

__all__ = ["batch"]

_FORM = click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
_FOLDER = click.argument("folder", metavar="OUT_DIR")
_QUIET = click.option("--quiet", is_flag=True, help="No notes on standard error.")
_SETTLE = click.option(
    "--settle",
    type=click.FloatRange(0),
    default=120.0,
    metavar="SECONDS",
    help="When a file whose answer was lost has arrived or never will.",
)


@click.group()
def batch() -> None:
    """Calls as Message Batches: built, sent once, collected and booked."""


@batch.command()
@click.argument("sources", nargs=-1, required=True, metavar="CALLS...")
@click.option("-o", "--output", required=True, metavar="OUT_DIR", help="A new folder.")
@click.option("--plan", "plan_file", metavar="PLAN.json", help="Marks placed by a plan.")
@click.option("--seed-requests", "seeded", is_flag=True, help="Send one call a prefix first.")
@options.tables
def build(
    sources: tuple[str, ...], output: str, plan_file: str | None, seeded: bool, **given: Any
) -> None:
    """Write request files that the API takes, marked for a batch's timing."""
    from cacheplan.io.desk import Desk
    from cacheplan.io.mailing import build as built

    desk = Desk(sources=sources, **given)
    click.echo(str(built(desk, output, plan_file, seeded=seeded)))


@batch.command()
@_FOLDER
@click.option("--wait", is_flag=True, help="Wait for the seeds, then send the others.")
@click.option("--resend", is_flag=True, help="Send again what may have arrived; may cost twice.")
@_SETTLE
@_QUIET
def submit(folder: str, **given: Any) -> None:
    """Send the request files, each once; what broke off goes on."""
    from cacheplan.io.mailing import submit as submitted

    sys.exit(submitted(folder, **given))


@batch.command()
@_FOLDER
@_FORM
def status(folder: str, form: str) -> None:
    """How far every file has come."""
    from cacheplan.io.mailing import status as told

    told(folder, form)


@batch.command()
@_FOLDER
@click.option("-o", "--output", required=True, metavar="RESULTS.jsonl", help="Where to write.")
@click.option("--ledger", metavar="LEDGER", help="Book what succeeded in a ledger, once.")
@click.option("--again", metavar="AGAIN.jsonl", help="Write what expired, to build it again.")
@_SETTLE
@_FORM
@_QUIET
def collect(folder: str, output: str, **given: Any) -> None:
    """Join results to their calls, and hand the usage to a ledger."""
    from cacheplan.io.mailing import collect as collected

    sys.exit(collected(folder, output, **given))


@batch.command()
@click.argument("sources", nargs=-1, required=True, metavar="CALLS...")
@click.option("--deadline", required=True, metavar="6h|TIME", help="When answers are needed.")
@click.option("--plan", "plan_file", metavar="PLAN.json", help="Marks of what is sent now.")
@_FORM
@options.tables
def advise(
    sources: tuple[str, ...], deadline: str, plan_file: str | None, form: str, **given: Any
) -> None:
    """Batch or now, or some of both, with what each costs."""
    from cacheplan.io.desk import Desk
    from cacheplan.io.mailing import advise as advised

    desk = Desk(sources=sources, **given)
    advised(desk, deadline, plan_file, form)
