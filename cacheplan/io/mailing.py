"""What the batch commands do around their work: options in, answers out."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from cacheplan.errors import InputError
from cacheplan.io.desk import Desk
from cacheplan.io.outbox import Outbox
from cacheplan.io.progress import watching

if TYPE_CHECKING:
    from cacheplan.io.batches import Built
    from cacheplan.workload import Workload

__all__ = ["advise", "build", "collect", "status", "submit"]

#: The exit code where not everything is as it should be in the end: not sent, not
#: answered, or a result that fits nothing.
_OPEN: Final = 1


def build(desk: Desk, output: str, plan_file: str | None, *, seeded: bool) -> Built:
    """Build request files, and say what is known of no model."""
    from cacheplan.io.batches import Ways
    from cacheplan.io.batches import build as built
    from cacheplan.io.plans import Plan

    plan = None if plan_file is None else Plan.load(plan_file)
    ways = Ways(sheet=desk.sheet, assume=desk.assume, plan=plan, seeded=seeded)
    with watching(quiet=desk.quiet) as say:
        say("building")
        found = built(desk.sources, Path(output), ways, time.time(), _complain)
    for model in found.batch.unmeasured:
        desk.note(f'nobody states the minimum of "{model}": its calls are not marked')
    for model in found.batch.unpriced:
        desk.note(f'nobody states the price of "{model}": money is unknown')
    return found


def _complain(words: str) -> None:
    """Say what is wrong with one call."""
    click.echo(words, err=True)


def submit(folder: str, *, wait: bool, resend: bool, settle: float, quiet: bool) -> int:
    """Send what is to be sent, and say what is not."""
    from cacheplan.io.sending import Clock, Sender, client_for

    with Outbox(folder) as outbox, watching(quiet=quiet) as say:
        client = client_for(outbox.platform)
        clock = Clock(time.time, time.sleep)
        sender = Sender(outbox, client, clock, settle=settle, resend=resend, watch=say)
        before = {file.number for file in outbox.files() if file.batch is not None}
        said = sender.submit(wait=wait)
        files = outbox.files()
    for file in files:
        if file.batch is not None:
            was = "was sent before as" if file.number in before else "is"
            click.echo(f"{file.name} {was} {file.batch}")
    for words in said:
        click.echo(words)
    return _OPEN if said else 0


def status(folder: str, form: str) -> None:
    """Say how far every file has come."""
    from cacheplan.io.sending import client_for, table
    from cacheplan.io.sending import status as found

    outbox = Outbox(folder)
    rows = found(outbox, lambda: client_for(outbox.platform))
    outbox.close()
    if form == "json":
        click.echo(json.dumps([row.to_json() for row in rows], indent=2))
    else:
        click.echo(table(rows))


def collect(  # noqa: PLR0913 -- one argument an option
    folder: str,
    output: str,
    *,
    ledger: str | None,
    again: str | None,
    settle: float,
    form: str,
    quiet: bool,
) -> int:
    """Fetch, join and book what there is."""
    from cacheplan.io.collecting import collect as collected
    from cacheplan.io.sending import Clock, Sender, client_for

    with Outbox(folder) as outbox, watching(quiet=quiet) as say:
        client = client_for(outbox.platform)
        sender = Sender(outbox, client, Clock(time.time, time.sleep), settle=settle, watch=say)
        found = collected(outbox, client, sender, output, ledger=ledger, again=again, watch=say)
    if form == "json":
        click.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    elif output != "-":
        click.echo(str(found))
        if ledger is not None:
            click.echo(f"booked: {found.booked:,}")
    if not quiet:
        for words in found.notes:
            click.echo(f"note: {words}", err=True)
    return 0 if found.whole else _OPEN


def advise(desk: Desk, deadline: str, plan_file: str | None, form: str) -> None:
    """Weigh a batch against now."""
    from cacheplan.deadlines import choice
    from cacheplan.io import door
    from cacheplan.io.plans import Plan

    now = time.time()
    left = _left(deadline, now)
    workload = _calls(desk, now)
    with watching(quiet=desk.quiet) as say:
        say("choosing marks for calls sent now")
        plan = Plan.load(plan_file) if plan_file else door.choose(workload, sheet=desk.sheet)
        say("weighing")
        found = choice(workload, plan.marker(workload.tree), desk.sheet, left)
    for note in workload.notes:
        desk.note(note)
    if form == "json":
        click.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        click.echo(str(found))
    desk.leave(found.unpriced, found.unmeasured)


def _left(deadline: str, now: float) -> float:
    """Return the seconds until a deadline: a span, or a moment."""
    from cacheplan.deadlines import seconds

    try:
        moment = datetime.fromisoformat(deadline.upper())
    except ValueError:
        left = seconds(deadline)
    else:
        if moment.tzinfo is None:
            raise InputError(f'"{deadline}" names no time zone (write Z for UTC)')
        left = moment.timestamp() - now
    return left


def _calls(desk: Desk, now: float) -> Workload:
    """Read calls, of which those without a time are sent now, one after the other."""
    from cacheplan.io.batches import dated
    from cacheplan.io.counting import default_counter
    from cacheplan.io.reading import lines
    from cacheplan.records import Intake

    intake = Intake(default_counter(desk.assume), desk.assume)
    for source in desk.sources:
        for number, line in lines(source):
            try:
                intake.add(dated(line, now + len(intake)))
            except InputError as error:
                raise error.at(source, number) from error
    workload = intake.workload()
    if not workload.calls:
        raise InputError("no calls in it").at(", ".join(desk.sources))
    return workload
