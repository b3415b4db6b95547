"""Answers as text or JSON on standard output."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from typing import Any

import click

from cacheplan import facts as tables
from cacheplan.assumptions import SWITCHES, Assumptions
from cacheplan.comparison import Comparison, usage_json
from cacheplan.explanation import Explanation
from cacheplan.finding import Finding
from cacheplan.prices import Sheet
from cacheplan.projection import Served
from cacheplan.tables import aligned, count

__all__ = ["calls", "comparison", "explanation", "facts", "findings", "prices"]


def _json(found: Any) -> None:  # noqa: ANN401 -- anything that JSON can hold
    click.echo(json.dumps(found, indent=2, ensure_ascii=False, default=str))


def comparison(found: Comparison, form: str) -> None:
    """Print every policy on the same calls."""
    if form == "json":
        _json(found.to_json())
    else:
        click.echo(str(found))


def calls(served: Iterable[Served], sheet: Sheet) -> tuple[str, ...]:
    """Print one object a call; return the models that have no price."""
    unpriced: dict[str, None] = {}
    for number, (call, usage, refused) in enumerate(served):
        cost = None
        if refused is None:
            cost = sheet.cost(usage, call.tariff, call.at)
            if cost is None:
                unpriced[call.tariff.model] = None
        row = {
            "call": number,
            "id": call.id,
            "at": call.at,
            **usage_json(usage),
            "cost_usd": 0.0 if refused is not None else None if cost is None else float(cost),
            "rejected": refused,
        }
        click.echo(json.dumps(row, ensure_ascii=False))
    return tuple(unpriced)


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
    head = ("model", "speed", "band", "from", "input", "5m write", "1h write", "read", "output", "source")
    rows = [
        (
            row.model,
            row.speed,
            row.band or "all",
            row.from_date or "",
            *(str(price) for price in (row.uncached, row.write_5m, row.write_1h, row.read, row.output)),
            row.source,
        )
        for row in sheet.rows
    ]
    click.echo(aligned(head, rows, left=4))
    click.echo("\nUS dollars per million tokens.")


def facts(assume: Assumptions, form: str) -> None:
    """Print models, limits, what breaks a prefix, and the open questions."""
    chosen = {switch.name: getattr(assume, switch.name, None) for switch in SWITCHES}
    if form == "json":
        _json(
            {
                "models": [_plain(model) for model in tables.MODELS],
                "limits": {"breakpoints": tables.BREAKPOINTS, "lookback": tables.LOOKBACK},
                "invalidation": [row._asdict() for row in tables.INVALIDATION],
                "assumptions": [{**row._asdict(), "value": chosen[row.name]} for row in SWITCHES],
            }
        )
        return
    rows = [
        (
            model.id,
            model.generation,
            "unknown" if model.minimum is None else count(model.minimum),
            model.status,
            model.source,
        )
        for model in tables.MODELS
    ]
    click.echo(aligned(("model", "tokenizer", "minimum", "status", "source"), rows, left=2))
    click.echo("\nOpen questions (--assume NAME=VALUE):\n")
    for switch in SWITCHES:
        click.echo(f"{switch.name} = {switch.default}   [{switch.allowed}]")
        click.echo(f"    {switch.question}\n    {switch.evidence}")


def _plain(row: Any) -> dict[str, Any]:  # noqa: ANN401 -- any row of a table
    """Return a row's fields by name."""
    return {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
