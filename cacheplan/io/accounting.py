"""A ledger and the reports it is held against, from files or from the Admin API."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cacheplan.admin_reports import Kind, Page, days_of, pages
from cacheplan.errors import InputError
from cacheplan.io.opening import opened
from cacheplan.io.progress import watching
from cacheplan.io.recall import booked
from cacheplan.io.rows import Names
from cacheplan.reconciliation import reconcile
from cacheplan.statements import Report, merged
from cacheplan.strict_json import quoted, value

if TYPE_CHECKING:
    from cacheplan.discrepancies import Reconciliation
    from cacheplan.entries import Entry
    from cacheplan.io.desk import Desk

__all__ = ["Wanted", "reconciled"]

#: What calls without a workspace are called where one is named for them.
_DEFAULT = "default"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be held against a ledger."""

    ledger: str
    first: str | None = None
    last: str | None = None
    usage: tuple[str, ...] = ()
    cost: tuple[str, ...] = ()
    #: As the command line has them: a name of the ledger's, ``=``, and the report's id.
    workspaces: tuple[str, ...] = ()
    key_file: str | None = None
    generation: str = "auto"


def reconciled(desk: Desk, wanted: Wanted) -> Reconciliation:
    """Read the ledger and the reports, and hold them against each other."""
    first, last = _day(wanted.first, "--from"), _day(wanted.last, "--to")
    if first and last and last < first:
        raise InputError(f"--to {last} is before --from {first}")
    named = _named(wanted.workspaces)
    entries, key = booked(wanted.ledger)
    usage, cost = _from_files(wanted.usage, "usage"), _from_files(wanted.cost, "cost")
    notes: list[str] = []
    if usage is None and cost is None:
        first = first or datetime.fromtimestamp(entries[0].at, UTC).date()
        last = last or datetime.fromtimestamp(entries[-1].at, UTC).date()
        usage, cost, notes = _asked(desk, wanted.generation, first, last)
    join = None
    if named or any(entry.workspace for entry in entries):
        join = _joining(wanted, key, named, entries)
    period = (first.isoformat() if first else None, last.isoformat() if last else None)
    found = reconcile(entries, usage, cost, desk.sheet, workspace=join, period=period)
    return replace(found, notes=(*notes, *found.notes, *_strangers(found, entries)))


def _strangers(found: Reconciliation, entries: Sequence[Entry]) -> list[str]:
    """Say which workspaces of the reports the ledger does not know."""
    known = {entry.workspace or "" for entry in entries}
    strange = sorted(name for digest, name in found.workspaces.items() if digest not in known)
    if not strange:
        return []
    hint = "--workspace NAME=ID says what a program calls one, default=ID which has no name there"
    return [f"Workspaces that the ledger does not name: {', '.join(strange)} ({hint})."]


def _day(text: str | None, option: str) -> date | None:
    """Read a day."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{option} {quoted(text)} is no day, as in 2026-11-03") from error


def _named(given: Sequence[str]) -> dict[str, str]:
    """Return by id what the ledger's program calls a workspace."""
    found = {}
    for words in given:
        name, equals, identity = words.partition("=")
        if not equals or not identity:
            raise InputError(f"--workspace {quoted(words)} is not NAME=ID")
        found[identity] = name
    return found


def _joining(
    wanted: Wanted, key: bytes | None, named: Mapping[str, str], entries: Sequence[Entry]
) -> Callable[[str | None], str]:
    """Return what turns a report's id of a workspace into the ledger's digest of it."""
    if wanted.key_file is not None:
        with opened(wanted.key_file) as stream:
            key = stream.read().strip()
    if not key and any(entry.workspace for entry in entries):
        raise InputError(
            "its workspaces are digests, and the key to them is not in it; --key-file FILE has it"
        ).at(wanted.ledger)
    names = Names(key or b"")

    def join(identity: str | None) -> str:
        name = named.get(identity or "", identity)
        if not name or (identity in named and name == _DEFAULT):
            return ""
        return names.of(name).hex()

    return join


def _from_files(files: Sequence[str], kind: Kind) -> Report | None:
    """Read exported reports: pages, lists of pages, or a page a line."""
    if not files:
        return None
    found: list[Page] = []
    for name in files:
        with opened(name) as stream:
            raw = stream.read()
        try:
            for document in _documents(raw):
                found += pages(document, kind, name)
        except InputError as error:
            raise error if error.source else error.at(name) from error
    return merged(found, kind)


def _documents(raw: bytes) -> list[Any]:
    """Decode one document, or one a line."""
    lines = [line for line in raw.splitlines() if line.strip()]
    if len(lines) > 1 and all(
        line.lstrip()[:1] in b"{[" and line.rstrip()[-1:] in b"}]" for line in lines
    ):
        return [value(line) for line in lines]
    return [value(raw.strip())]


def _asked(
    desk: Desk, generation: str, first: date, last: date
) -> tuple[Report, Report, list[str]]:
    """Ask the Admin API for both reports."""
    from cacheplan.io.admin import Admin, key_from

    with watching(quiet=desk.quiet) as say:
        admin = Admin(key_from(os.environ), generation=generation, say=say)
        usage = _fetched(admin, "usage", first, last)
        cost = _fetched(admin, "cost", first, last)
    if last >= datetime.now(UTC).date():
        admin.notes.append("Reports lag by some minutes, so calls of just now are not in them.")
    return usage, cost, admin.notes


def _fetched(admin: Any, kind: Kind, first: date, last: date) -> Report:
    """Ask for one report; the days that were asked for are covered, rows or not."""
    found: list[Page] = []
    for source, document in admin.documents(kind, first, last):
        try:
            found += pages(document, kind, source)
        except InputError as error:
            raise error if error.source else error.at(source) from error
    start, end = (_midnight(day) for day in (first, last + timedelta(days=1)))
    report = merged(found, kind)
    return replace(report, days=report.days | frozenset(days_of(start, end)))


def _midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
