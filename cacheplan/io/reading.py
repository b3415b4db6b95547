"""Workload files: plain, gzip or zstd, or standard input, line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError
from cacheplan.io.counting import default_counter
from cacheplan.io.opening import Source, named, names, opened
from cacheplan.origins import Origin, Origins
from cacheplan.records import Intake
from cacheplan.subject import Remembering
from cacheplan.tokens import TokenCounter
from cacheplan.workload import Workload

__all__ = ["is_ledger", "lines", "read"]

#: How a file of SQLite's begins; its head has a hundred bytes, most of them no text.
_LEDGER, _HEAD = b"SQLite format 3\x00", 100
_BOM = b"\xef\xbb\xbf"


def read(  # noqa: PLR0913 -- each is something that files differ in, and has a default
    *sources: Source,
    counter: TokenCounter | None = None,
    assume: Assumptions | None = None,
    model: str | None = None,
    skip_bad: bool = False,
    seed: int = 0,
    texts: bool = True,
    watch: Callable[[int], None] | None = None,
) -> Workload:
    """Read workload files (``-`` is standard input) as one workload.

    ``counter`` measures prompts that state no length; ``model`` stands in for the one
    each call names; ``skip_bad`` leaves out lines that cannot be read and counts them in
    the workload's notes; ``texts`` keeps what each distinct block says, which a review
    needs; ``watch`` hears how many bytes each line has.
    """
    if model is None and _only_a_ledger(sources):
        return _recalled(sources[0], assume)
    counter = counter or default_counter(assume)
    remembering = Remembering(counter)
    intake = Intake(remembering if texts else counter, assume, model=model, seed=seed)
    origins, skipped = Origins(), 0
    for source in sources:
        for number, line in lines(source):
            if watch is not None:
                watch(len(line))
            call = len(intake)
            try:
                intake.add(line)
            except InputError as error:
                if not skip_bad:
                    raise error.at(named(source), number) from error
                skipped += 1
            if len(intake) > call:
                origins.note(call, Origin(str(source), number))
    try:
        workload = intake.workload()
    except InputError as error:
        raise error.at(names(sources)) from error
    workload = replace(workload, texts=remembering.bodies, origins=origins)
    note = f"lines that could not be read, skipped: {skipped}"
    if skip_bad:
        workload = replace(workload, notes=(*workload.notes, note))
    return _filled(workload, sources, f" ({note})" if skipped else "")


def _filled(workload: Workload, sources: Sequence[Source], why: str) -> Workload:
    """Return a workload that has calls; one without is no answer to anything."""
    if not workload.calls:
        raise InputError(f"no calls in it{why}").at(names(sources))
    return workload


def _only_a_ledger(sources: Sequence[Source]) -> bool:
    """Tell whether a single ledger is read; of a pipe nothing may be read to find out."""
    return len(sources) == 1 and Path(sources[0]).is_file() and is_ledger(sources[0])


def _recalled(source: Source, assume: Assumptions | None) -> Workload:
    """Read a ledger as it is.

    By way of lines, one text whose length was first guessed and then billed would be two.
    """
    from cacheplan.io.recall import recall

    return _filled(recall(source, assume).workload, [source], " whose prompts are known")


def is_ledger(source: Source) -> bool:
    """Tell whether a file is a ledger; standard input is none."""
    if str(source) == "-":
        return False
    with opened(source) as stream:
        return _kept(stream)


def _kept(stream: BinaryIO) -> bool:
    """Tell whether what is read here began as SQLite's files do."""
    head: bytes = stream.peek(_HEAD)  # type: ignore[attr-defined]
    return head.startswith(_LEDGER) and len(head) >= _HEAD and stream.seekable()


def lines(source: Source) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of one file that are not blank, numbered from 1.

    A ledger has no lines; its calls are told in the digest form, one a line.
    """
    with opened(source) as stream:
        if _kept(stream):
            from cacheplan.io import recall

            yield from enumerate(recall.lines(source), 1)
            return
        for number, raw in enumerate(stream, 1):
            line = raw.strip()
            if number == 1 and line.startswith(_BOM):
                line = line[len(_BOM) :]
            if line:
                yield number, line
