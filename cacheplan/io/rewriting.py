"""Workloads written again with other marks: the same lines, everything else as it was.

A file is read twice: once to learn what its calls share, once to write its lines, so
that a log need not fit into memory. Standard input can be read only once and is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cacheplan.assumptions import Assumptions
from cacheplan.contest import as_it_went
from cacheplan.errors import InputError
from cacheplan.io.counting import default_counter
from cacheplan.io.reading import Source, lines
from cacheplan.marking import marked_request
from cacheplan.plan import Plan
from cacheplan.prefixes import SETTINGS, PrefixTree
from cacheplan.prices import Sheet
from cacheplan.prompt import Breakpoint
from cacheplan.records import Intake
from cacheplan.strict_json import value
from cacheplan.workload import Call, Workload

__all__ = ["marked_lines"]


def marked_lines(
    source: Source, chosen: Plan | str, sheet: Sheet, assume: Assumptions
) -> Iterator[dict[str, Any]]:
    """Yield the lines of a workload with the marks of a plan or policy on each call.

    A policy that learns has seen, at each call, only what came before it.
    """
    kept = list(lines(source)) if str(source) == "-" else None
    workload, numbers = _read(source, kept, assume)
    marker = (
        chosen.marker(workload.tree)
        if isinstance(chosen, Plan)
        else as_it_went(workload, chosen, sheet)
    )
    marks = {call.number: (call, tuple(marker(call))) for call in workload}
    for (_, raw), number in zip(kept if kept is not None else lines(source), numbers, strict=True):
        line = value(raw)
        if number is not None:
            call, wanted = marks[number]
            line = _marked(line, workload.tree, call, wanted, assume)
        yield line


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


def _marked(
    line: dict[str, Any],
    tree: PrefixTree,
    call: Call,
    marks: Sequence[Breakpoint],
    assume: Assumptions,
) -> dict[str, Any]:
    """Return one line with other marks; one that the API would refuse stays as it was."""
    if "request" in line:
        platform = call.tariff.platform
        marked = marked_request(line["request"], tree, call.tip, marks, assume, platform)
        return line if marked is None else {**line, "request": marked}
    nodes = [node for node in tree.path(call.tip) if tree.kind[tree.block[node]] != SETTINGS]
    index = {node: at for at, node in enumerate(nodes)}
    found = [{"block": index[node], "ttl": str(lifetime)} for node, lifetime in marks]
    return {key: part for key, part in line.items() if key != "automatic"} | {"marks": found}
