"""Pages of reports put together: what stands in several of them is counted once.

Exports overlap, pages come in files of their own, and numbers of a recent day are corrected
later. Knows rows and what tells them apart, not what they mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cacheplan.admin_reports import Kind, Page, Said, Unexplained, days_of
from cacheplan.errors import InputError

__all__ = ["Report", "merged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Every page of one kind, overlapping ones counted once."""

    kind: Kind
    rows: tuple[Said, ...]
    unexplained: tuple[Unexplained, ...]
    #: Days that it covers.
    days: frozenset[str]
    notes: tuple[str, ...] = ()


def merged(found: Sequence[Page], kind: Kind) -> Report:
    """Put pages together; what stands in two sources is counted once, as the newer says it."""
    _same_shape(found)
    rows: dict[tuple[Any, ...], tuple[Page, list[Said]]] = {}
    other = 0
    for page in _by_source(found):
        for identity, said in _grouped(page.rows).items():
            known = rows.get(identity)
            if known is None:
                rows[identity] = page, said
                continue
            before, earlier = known
            other += _numbers(earlier) != _numbers(said)
            if page.refreshed >= before.refreshed:
                rows[identity] = page, said
    return Report(
        kind=kind,
        rows=tuple(row for _, said in rows.values() for row in said),
        unexplained=tuple(dict.fromkeys(one for page in found for one in page.unexplained)),
        days=frozenset(_covered(found)),
        notes=tuple(_notes(found, kind, other)),
    )


def _covered(found: Sequence[Page]) -> Iterator[str]:
    """Yield the days that pages cover; where those without rows are left out, all between."""
    for page in found:
        yield from page.days
        yield from (row.day for row in page.rows)
    days = sorted(row.day for page in found if page.sparse for row in page.rows)
    if days:
        first, last = (
            datetime.fromisoformat(f"{day}T00:00Z").timestamp() for day in (days[0], days[-1])
        )
        yield from days_of(first, last + 1)


def _by_source(found: Iterable[Page]) -> Iterator[Page]:
    """Yield one page a source: within one a row is never said twice."""
    sources: dict[str, Page] = {}
    for page in found:
        whole = sources.setdefault(page.source, Page(kind=page.kind, source=page.source))
        whole.rows += page.rows
        whole.refreshed = max(whole.refreshed, page.refreshed)
    yield from sources.values()


def _grouped(rows: Iterable[Said]) -> dict[tuple[Any, ...], list[Said]]:
    """Group rows that are told apart by nothing, which a report may have."""
    groups: dict[tuple[Any, ...], list[Said]] = {}
    for row in rows:
        groups.setdefault(row.identity, []).append(row)
    return groups


def _numbers(rows: Iterable[Said]) -> list[Any]:
    """Return what rows count, in an order of no meaning."""
    return sorted((str(row.usage), str(row.amount)) for row in rows)


def _same_shape(found: Sequence[Page]) -> None:
    """Refuse sources that say one day in two ways: added up they would say too much."""
    shapes: dict[str, tuple[tuple[Any, ...], str]] = {}
    for page in _by_source(found):
        days: dict[str, list[Said]] = {}
        for row in page.rows:
            days.setdefault(row.day, []).append(row)
        for day, rows in days.items():
            shape = _shape(rows)
            known, source = shapes.setdefault(day, (shape, page.source))
            if any(
                None not in pair and pair[0] != pair[1] for pair in zip(known, shape, strict=True)
            ):
                raise InputError(
                    f"it breaks {day} out in another way than {source}; give one of the two"
                ).at(page.source)


def _shape(rows: Sequence[Said]) -> tuple[Any, ...]:
    """Say how rows are broken out, ``None`` where that cannot be told."""
    widths = {row.identity[2] - row.identity[1] for row in rows}
    parts: list[Any] = [min(widths), rows[0].identity[0]]
    for name in ("model", "tier", "speed"):
        told = {getattr(row, name) is not None for row in rows if row.cost_type in {"", "tokens"}}
        parts.append(told.pop() if len(told) == 1 else None)
    return tuple(parts)


def _notes(found: Sequence[Page], kind: Kind, other: int) -> Iterator[str]:
    """Say what is odd about the pages as a whole."""
    unknown: dict[str, int] = {}
    for page in found:
        for name, rows in page.unknown.items():
            unknown[name] = unknown.get(name, 0) + rows
    if unknown:
        names = ", ".join(f"{name} ({rows})" for name, rows in sorted(unknown.items()))
        yield f"Columns of the {kind} report that nobody here knows, with their rows: {names}."
    if other:
        yield f"Rows that two {kind} reports say with other numbers, the newer counted: {other}."
    if found and all(page.more for page in found):
        yield f"The {kind} report goes on: its last page says has_more, and the next is not here."
