"""Answers as text or JSON on standard output."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from cacheplan import facts as tables
from cacheplan.assumptions import SWITCHES, Assumptions
from cacheplan.comparison import Comparison, usage_json
from cacheplan.lacking import LACKING
from cacheplan.plan import Plan
from cacheplan.pricelist import PRICES
from cacheplan.prices import MULTIPLIERS, Sheet, Tariff
from cacheplan.projection import Served, unknown, unmeasured
from cacheplan.tables import aligned, count

if TYPE_CHECKING:
    from cacheplan.books import Books
    from cacheplan.costs import Costs
    from cacheplan.discrepancies import Reconciliation
    from cacheplan.explanation import Explanation
    from cacheplan.finding import Finding

__all__ = [
    "books",
    "calls",
    "comparison",
    "explanation",
    "facts",
    "findings",
    "plan",
    "prices",
]


def _json(found: Any) -> None:
    click.echo(json.dumps(found, indent=2, ensure_ascii=False, default=str))


def books(found: Books | Costs | Reconciliation, form: str) -> None:
    """Print what a ledger adds up to."""
    if form == "json":
        _json(found.to_json())
    else:
        click.echo(str(found))


def comparison(found: Comparison, form: str) -> None:
    """Print every policy on the same calls."""
    if form == "json":
        _json(found.to_json())
    else:
        click.echo(str(found))


def plan(
    chosen: Plan, advice: Sequence[str], found: Comparison, differences: list[str] | None
) -> None:
    """Print a plan, what else would pay, how such plans fare, and what has changed."""
    click.echo(str(chosen))
    if advice:
        click.echo("\nBesides marks (nothing of this is done by itself):")
        click.echo("\n".join(f"  {each}" for each in advice))
    if differences is not None:
        click.echo("\nAgainst the other plan:")
        click.echo("\n".join(f"  {line}" for line in differences or ["nothing differs"]))
    click.echo("\nHow a plan chosen so fares:\n")
    click.echo(str(found))


def calls(
    served: Iterable[Served], sheet: Sheet, assume: Assumptions, *, as_sent: bool = False
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Print one object a call; return the models without price, and without minimum.

    Of a call ``as_sent`` whose marks and usage nobody knows, no number is said.
    """
    unpriced: dict[str, None] = {}
    marked: dict[Tariff, None] = {}
    for number, (call, usage, refused, marks) in enumerate(served):
        # What is refused is not charged.
        cost = Decimal() if refused else sheet.cost(usage, call.tariff, call.at)
        lost = as_sent and unknown(call)
        if cost is None:
            unpriced[call.tariff.model] = None
        if marks:
            marked[call.tariff] = None
        row = {
            "call": number,
            "id": call.id,
            "at": call.at,
            **(dict.fromkeys(usage_json(usage)) if lost else usage_json(usage)),
            "cost_usd": None if cost is None or lost else float(cost),
            "rejected": refused,
        }
        click.echo(json.dumps(row, ensure_ascii=False))
    return tuple(unpriced), unmeasured(marked, sheet, assume)


def findings(found: list[Finding], form: str) -> None:
    """Print what is wrong, or that nothing is."""
    if form == "json":
        _json([finding.to_json() for finding in found])
    elif found:
        click.echo("\n".join(map(str, found)))
    else:
        click.echo("Nothing to say against it: the API takes it, and every mark can do something.")


def explanation(found: Explanation, form: str, *, show: bool) -> None:
    """Print why nothing was read."""
    if form == "json":
        _json(found.to_json(show=show))
    else:
        click.echo(found.text(show=show))


def prices(sheet: Sheet, form: str) -> None:
    """Print the price rows."""
    if form == "json":
        _json([_plain(row) for row in sheet.rows])
        return
    columns = ("input", "5m write", "1h write", "read", "output")
    rows = [
        (
            row.model,
            row.speed,
            row.band or "all",
            row.from_date or "",
            *(str(getattr(row, price)) for price in PRICES),
            row.source,
        )
        for row in sheet.rows
    ]
    click.echo(
        aligned(("model", "speed", "band", "from", *columns, "source"), rows, left=4, source=True)
    )
    click.echo("\nUS dollars per million tokens. These stack on every row:\n")
    stacked = [(row.name, f"x {row.factor}", row.applies, row.source) for row in MULTIPLIERS]
    click.echo(aligned(("name", "factor", "applies to", "source"), stacked, left=4))


def formats(form: str) -> None:
    """Print the formats of logs that can be read, and what each never says."""
    from cacheplan.io.logs import FORMATS

    if form == "json":
        names = ("name", "what", "lacks")
        _json([dict(zip(names, _format(one), strict=True)) for one in FORMATS])
        return
    rows = [(name, what, ", ".join(lacks)) for name, what, lacks in map(_format, FORMATS)]
    click.echo(aligned(("format", "files", "never says"), rows, left=3))


def _format(reader: ModuleType) -> tuple[str, str, list[str]]:
    """Return a format's name, its files, and what those never say, in the order of a prompt."""
    return reader.NAME, reader.WHAT, [word for word in LACKING if word in reader.LACKS]


def facts(assume: Assumptions, form: str) -> None:
    """Print models, limits, what breaks a prefix, and the open questions."""
    chosen = {switch.name: getattr(assume, switch.name, None) for switch in SWITCHES}
    if form == "json":
        _json(
            {
                "models": [_plain(model) for model in tables.MODELS],
                "limits": {"breakpoints": tables.BREAKPOINTS, "lookback": tables.LOOKBACK},
                "invalidation": [row._asdict() for row in tables.INVALIDATION.values()],
                "assumptions": [{**row._asdict(), "value": chosen[row.name]} for row in SWITCHES],
            }
        )
        return
    models = [
        (
            model.id,
            model.generation,
            "unknown" if model.minimum is None else count(model.minimum),
            model.status,
            model.source,
        )
        for model in tables.MODELS
    ]
    click.echo(
        aligned(("model", "tokenizer", "minimum", "status", "source"), models, left=2, source=True)
    )
    click.echo(
        f"\n{tables.BREAKPOINTS} breakpoints a call, lookback {tables.LOOKBACK} positions.\n"
    )
    broken = [tuple(map(str, row)) for row in tables.INVALIDATION.values()]
    click.echo(aligned(tables.Invalidation._fields, broken, left=len(tables.Invalidation._fields)))
    click.echo("\nOpen questions (--assume NAME=VALUE):\n")
    for switch in SWITCHES:
        click.echo(f"{switch.name} = {switch.default}   [{switch.allowed}]")
        click.echo(f"    {switch.question}\n    {switch.evidence}")


def _plain(row: Any) -> dict[str, Any]:
    """Return a row's fields by name."""
    return {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
