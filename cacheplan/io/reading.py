"""Workloads out of files: their own lines, or logs that are told as such lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError
from cacheplan.io.counting import default_counter
from cacheplan.io.documents import File
from cacheplan.io.logs import told
from cacheplan.io.opening import Source, named, names, opened
from cacheplan.io.readers import ledger
from cacheplan.io.tally import BAD, Record, Tally
from cacheplan.origins import Origin, Origins
from cacheplan.records import Intake
from cacheplan.subject import Remembering
from cacheplan.tokens import TokenCounter
from cacheplan.wholes import Wholes
from cacheplan.workload import Workload

__all__ = ["is_ledger", "lines", "read"]


def read(  # noqa: PLR0913 -- each is something that files differ in, and has a default
    *sources: Source,
    counter: TokenCounter | None = None,
    assume: Assumptions | None = None,
    model: str | None = None,
    skip_bad: bool = False,
    seed: int = 0,
    texts: bool = True,
    form: str | None = None,
    since: float | None = None,
    watch: Callable[[int], None] | None = None,
) -> Workload:
    """Read workloads and logs as one workload: files, folders, or ``-`` for standard input.

    ``counter`` measures prompts that state no length; ``model`` stands in for the one
    each call names; ``skip_bad`` leaves out lines that cannot be read and counts them in
    the workload's notes; ``texts`` keeps what each distinct block says, which a review
    needs; ``form`` names the format of logs whose beginning does not tell it; ``since``
    leaves out calls before a moment; ``watch`` hears how many bytes each line has.
    """
    if model is None and _only_a_ledger(sources):
        return _recalled(sources[0], assume, since)
    counter = counter or default_counter(assume)
    remembering = Remembering(counter)
    intake = Intake(remembering if texts else counter, assume, model=model, seed=seed)
    origins, tally = Origins(), Tally(skip_bad=skip_bad)
    foreign = ours = False
    last = ""
    for source, number, line, own in told(sources, tally, form, since):
        if watch is not None:
            watch(len(line))
        ours = ours or own
        if source != last and not ours:
            intake.forget()  # What a reader tells of one file stands for itself; ours may not.
        call, last = len(intake), source
        with tally.reading(source, Record(number, line)):
            intake.add(line)
        if len(intake) > call:
            origins.note(call, Origin(source, number))
        foreign = foreign or not own
    try:
        calls = intake.workload()
    except InputError as error:
        raise error.at(names(sources)) from error
    calls = replace(calls, texts=remembering.bodies, origins=origins)
    why = "; ".join((*calls.notes, *tally.notes()))
    if skip_bad:
        tally.count(BAD, 0)
    notes = (*calls.notes, *tally.notes(), *(_misdated(calls) if foreign else ()))
    calls = replace(calls, notes=notes)
    when = ""
    if since is not None and calls.calls:
        calls, when = calls.after(since), " since then"
    return _filled(calls, sources, f"{when} ({why})" if why else when)


def _misdated(calls: Workload) -> Iterator[str]:
    """Say how many calls are dated wrongly, as where hosts do not agree on the time."""
    number = calls.misdated()
    if number:
        yield f"calls dated after one that goes on from them, as where clocks differ: {number}"


def _filled(workload: Workload, sources: Sequence[Source], why: str) -> Workload:
    """Return a workload that has calls; one without is no answer to anything."""
    if not workload.calls:
        raise InputError(f"no calls in it{why}").at(names(sources))
    return workload


def _only_a_ledger(sources: Sequence[Source]) -> bool:
    """Tell whether a single ledger is read."""
    return len(sources) == 1 and is_ledger(sources[0])


def _recalled(source: Source, assume: Assumptions | None, since: float | None) -> Workload:
    """Read a ledger as it is.

    By way of lines, one text whose length was first guessed and then billed would be two.
    """
    from cacheplan.io.recall import recall

    found = recall(source, assume).workload
    found = found if since is None else found.after(since)
    return _filled(found, [source], " whose prompts are known")


def is_ledger(source: Source) -> bool:
    """Tell whether a source is one file, and that a ledger.

    Of a pipe nothing may be read to find out. Whoever reads what is none says why it cannot.
    """
    try:
        if str(source) == "-" or not Path(source).is_file():
            return False
    except OSError:
        return False
    with opened(source) as stream:
        return stream.seekable() and ledger.matches(File(named(source), stream).head)


def lines(source: Source) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of one file that are not blank, numbered from 1.

    Requests are whole, whatever they extend. What has no lines of a workload is told in
    such: a ledger in the digest form, a log of another format as its reader tells it.
    """
    wholes = Wholes()
    for found in told([source], Tally()):
        try:
            line = wholes.whole(found.line)
        except InputError as error:
            raise error.at(found.source, found.number) from error
        if line:
            yield found.number, line
