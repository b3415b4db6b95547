"""Workloads and ledgers alike, booked call by call: what ``cacheplan costs`` adds up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cacheplan.costs import Booked, Costs, Saved, costs, of_calls, saved
from cacheplan.errors import InputError
from cacheplan.io.progress import watching
from cacheplan.io.reading import is_ledger
from cacheplan.io.recall import recall

if TYPE_CHECKING:
    from cacheplan.io.desk import Desk
    from cacheplan.workload import Workload

__all__ = ["spent"]


def spent(desk: Desk, by: Sequence[str], *, savings: bool = True) -> Costs:
    """Read workloads, as one, and ledgers, each by itself, and add up what is in them."""
    ledgers = [source for source in desk.sources if is_ledger(source)]
    if ledgers and desk.model is not None:
        raise InputError("it was booked as it was sent; --model is for workloads").at(ledgers[0])
    if ledgers and desk.since is not None:
        raise InputError("a ledger is booked whole; --since is for logs").at(ledgers[0])
    booked: list[Booked] = []
    simulated = 0
    for path in ledgers:
        entries, workload = recall(path)
        ways = _saved(desk, workload) if savings else {}
        booked += [Booked(entry, ways.get(number)) for number, entry in enumerate(entries)]
    if len(ledgers) < len(desk.sources):
        desk.sources = tuple(source for source in desk.sources if source not in ledgers)
        workload = desk.workload(texts=savings)
        found, simulated = of_calls(workload, desk.sheet)
        ways = _saved(desk, workload) if savings else {}
        booked += [Booked(entry, ways.get(number)) for number, entry in found.items()]
    return costs(booked, desk.sheet, by, simulated=simulated)


def _saved(desk: Desk, workload: Workload) -> dict[int, Saved]:
    """Review the calls, and serve them as they were, as planned, and mended."""
    if not workload.calls:
        return {}
    from cacheplan.linter import lint
    from cacheplan.subject import Subject

    pins = desk.agreed.pins if desk.agreed else ()
    with watching(quiet=desk.quiet) as say:
        say("reviewing the calls")
        found = lint(Subject(workload, desk.sheet, workload.texts, pins), terms=desk.terms())
        say("booking what could be saved")
        return saved(workload, found, desk.sheet)
