"""Price lists as libraries: what usages cost."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.jobs.turns import Job, by_turns, lines

__all__: list[str] = []


def _usages(folder: Path) -> list[Any]:
    return [
        (each["model"], each["counters"], datetime.fromtimestamp(each["at"], UTC))
        for each in lines(folder / "usages.jsonl")
    ]


def _dollars(costs: list[Any]) -> dict[str, float]:
    return {"dollars": round(float(sum(costs)), 4)}


def genai_prices(folder: Path) -> Job:
    """``calc_price``; its usage counts what was read and written as input, too."""
    from genai_prices import Usage, calc_price  # noqa: PLC0415

    given = [
        (
            Usage(
                input_tokens=of["uncached"] + of["read"] + of["write_5m"] + of["write_1h"],
                cache_read_tokens=of["read"],
                cache_write_tokens=of["write_5m"] + of["write_1h"],
                cache_write_1h_tokens=of["write_1h"],
                output_tokens=of["output"],
            ),
            model,
            at,
        )
        for model, of, at in _usages(folder)
    ]

    def turn(all_: list[Any]) -> list[Any]:
        return [
            calc_price(
                usage, model, provider_id="anthropic", genai_request_timestamp=at
            ).total_price
            for usage, model, at in all_
        ]

    return Job(turn, lambda: given, _dollars)


def metergraph(folder: Path) -> Job:
    """``CatalogSnapshot.cost`` of its own catalog."""
    from metergraph_core import load_catalog  # noqa: PLC0415

    cost = load_catalog().snapshot.cost
    given = [
        {
            "provider": "anthropic",
            "model": model,
            "at": at,
            "input_tokens": of["uncached"],
            "output_tokens": of["output"],
            "cache_read_tokens": of["read"],
            "cache_write_5m_tokens": of["write_5m"],
            "cache_write_1h_tokens": of["write_1h"],
        }
        for model, of, at in _usages(folder)
    ]
    return Job(
        lambda all_: [cost(**each) for each in all_],
        lambda: given,
        lambda made: _dollars([each.cost for each in made]),
    )


def tokencost(folder: Path) -> Job:
    """``calculate_cost_by_tokens`` for each kind of tokens."""
    from tokencost.costs import calculate_cost_by_tokens  # noqa: PLC0415

    def cost(model: str, of: dict[str, int]) -> Any:
        return (
            calculate_cost_by_tokens(of["uncached"], model, "input")
            + calculate_cost_by_tokens(of["read"], model, "cached")
            + calculate_cost_by_tokens(of["output"], model, "output")
        )

    given = _usages(folder)
    return Job(lambda all_: [cost(model, of) for model, of, _ in all_], lambda: given, _dollars)


if __name__ == "__main__":
    by_turns(
        ("genai-prices", "metergraph-core", "tokencost"),
        {
            "genai_prices": ("from genai_prices import Usage, calc_price", genai_prices),
            "metergraph": ("from metergraph_core import load_catalog", metergraph),
            "tokencost": ("from tokencost.costs import calculate_cost_by_tokens", tokencost),
        },
    )
