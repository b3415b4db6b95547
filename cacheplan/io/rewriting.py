"""Workloads written again with other marks: the same lines, everything else byte for byte.

A file is read twice: once to learn what its calls share, once to write its lines, so
that a log need not fit into memory. Standard input can be read only once and is kept.
"""

from __future__ import annotations

from collections.abc import Iterator

from cacheplan.assumptions import Assumptions
from cacheplan.contest import as_it_went
from cacheplan.errors import InputError
from cacheplan.io.counting import default_counter
from cacheplan.io.opening import Source
from cacheplan.io.reading import lines
from cacheplan.lines import remarked
from cacheplan.plan import Plan
from cacheplan.prices import Sheet
from cacheplan.records import Intake
from cacheplan.workload import Workload

__all__ = ["marked_lines"]


def marked_lines(
    source: Source, chosen: Plan | str, sheet: Sheet, assume: Assumptions
) -> Iterator[bytes]:
    """Yield the lines of a workload with the marks of a plan or policy on each call.

    A policy that learns has seen, at each call, only what came before it. A call that the
    API would refuse so marked stays as it was.
    """
    kept = list(lines(source)) if str(source) == "-" else None
    workload, numbers = _read(source, kept, assume)
    marker = (
        chosen.marker(workload.tree)
        if isinstance(chosen, Plan)
        else as_it_went(workload, chosen, sheet)
    )
    marks = {call.number: (call, tuple(marker(call))) for call in workload}
    for (_, line), number in zip(kept if kept is not None else lines(source), numbers, strict=True):
        found = None if number is None else remarked(line, workload, *marks[number])
        yield line if found is None else found


def _read(
    source: Source, kept: list[tuple[int, bytes]] | None, assume: Assumptions
) -> tuple[Workload, list[int | None]]:
    """Return the workload, and which call each line became; planned lines are no calls."""
    intake = Intake(default_counter(assume), assume)
    numbers: list[int | None] = []
    for at, raw in kept if kept is not None else lines(source):
        before = len(intake)
        try:
            intake.add(raw)
        except InputError as error:
            raise error.at(str(source), at) from error
        numbers.append(before if len(intake) > before else None)
    workload = intake.workload()
    if not workload.calls:
        raise InputError("no calls in it").at(str(source))
    return workload, numbers
