"""Metrics and traces: each finished call told to OpenTelemetry, in its own words.

A ``Telemetry`` stands where a ledger stands and hands on to one, if there is one. Only the
API of OpenTelemetry is used, so where a program has set nothing up, nothing happens. The
names of attributes are those of the GenAI conventions (0.66b2, read 2026-11-21); writes
are told under both names that are in use, and what has no name there is ``cacheplan.*``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from cacheplan.entries import Entry, Ledger
from cacheplan.errors import UnsupportedError
from cacheplan.prices import Sheet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cacheplan.usage import Usage

__all__ = ["Telemetry"]

_SCOPE: Final = "cacheplan"
_NANO: Final = 1_000_000_000


class Telemetry:
    """Tells OpenTelemetry of each call; ``ledger`` is told of it as well.

    The meter and the tracer are those that the program has set up.
    """

    def __init__(self, ledger: Ledger | None = None, *, sheet: Sheet | None = None) -> None:
        try:
            from opentelemetry import metrics, trace
        except ImportError as error:
            what = "telling OpenTelemetry needs its API; pip install opentelemetry-api"
            raise UnsupportedError(what) from error
        self._ledger = ledger
        self._sheet = sheet or Sheet.default()
        self._tracer = trace.get_tracer(_SCOPE)
        self._failed = trace.Status(trace.StatusCode.ERROR)
        meter = metrics.get_meter(_SCOPE)
        self._usage = meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", "Tokens of a call, cached ones included."
        )
        self._prompts = meter.create_counter(
            "cacheplan.prompt.tokens", "{token}", "Prompt tokens by how they were billed."
        )
        self._calls = meter.create_counter("cacheplan.calls", "{call}", "Finished calls.")
        self._cost = meter.create_counter("cacheplan.cost", "USD", "What calls were billed.")

    def record(self, entry: Entry) -> None:
        """Tell of one call; the ledger behind is told even where this fails."""
        try:
            self._measure(entry)
            self._trace(entry)
        finally:
            if self._ledger is not None:
                self._ledger.record(entry)

    def _measure(self, entry: Entry) -> None:
        """Count it."""
        named = _named(entry)
        error = {} if entry.error is None else {"error.type": entry.error}
        self._calls.add(1, {**named, **error, "cacheplan.applied": entry.applied})
        usage = entry.usage
        if usage is None:
            return
        spoken = {**named, "gen_ai.operation.name": "chat"}
        self._usage.record(usage.prompt, {**spoken, "gen_ai.token.type": "input"})
        self._usage.record(usage.output, {**spoken, "gen_ai.token.type": "output"})
        for kind in ("uncached", "write_5m", "write_1h", "read"):
            self._prompts.add(getattr(usage, kind), {**named, "cacheplan.billed_as": kind})
        cost = self._billed(entry, usage)
        if cost is not None:
            self._cost.add(float(cost), named)

    def _billed(self, entry: Entry, usage: Usage) -> Decimal | None:
        """Return what a call cost, ``None`` where nobody knows the price."""
        return self._sheet.cost(usage, entry.tariff, entry.at)

    def _trace(self, entry: Entry) -> None:
        """Draw it as a span of its own, over the time it took.

        It is no ``chat`` span: the SDK draws those, and tokens would be counted twice.
        """
        end = entry.at + (entry.duration or 0.0)
        span = self._tracer.start_span(
            "cacheplan.call", start_time=int(entry.at * _NANO), attributes=dict(_told(entry))
        )
        if entry.error is not None:
            span.set_status(self._failed)
        span.end(end_time=int(end * _NANO))


def _named(entry: Entry) -> dict[str, str]:
    """Return what calls are told apart by."""
    named = {"gen_ai.provider.name": "anthropic", "gen_ai.request.model": entry.model}
    return named if entry.label is None else {**named, "cacheplan.label": entry.label}


def _told(entry: Entry) -> Iterator[tuple[str, Any]]:
    """Yield a span's attributes."""
    yield from _named(entry).items()
    yield "cacheplan.applied", entry.applied
    yield from ((f"cacheplan.tag.{name}", word) for name, word in entry.tags)
    yield "cacheplan.breakpoints", [f"{mark.rule} {mark.lifetime}" for mark in entry.marked]
    if entry.error is not None:
        yield "error.type", entry.error
    if entry.first_token_after is not None:
        yield "gen_ai.response.time_to_first_chunk", entry.first_token_after
    if entry.predicted is not None:
        yield "cacheplan.predicted.read_tokens", entry.predicted.read
        yield "cacheplan.predicted.written_tokens", entry.predicted.written
    usage = entry.usage
    if usage is None:
        return
    # All input tokens, as the convention has it; the service's own count leaves cached out.
    yield "gen_ai.usage.input_tokens", usage.prompt
    yield "gen_ai.usage.output_tokens", usage.output
    yield "gen_ai.usage.cache_read.input_tokens", usage.read
    yield "gen_ai.usage.cache_creation.input_tokens", usage.written
    yield "gen_ai.usage.cache_write.input_tokens", usage.written
    for minutes, tokens in (("5m", usage.write_5m), ("1h", usage.write_1h)):
        yield f"anthropic.usage.cache_creation.ephemeral_{minutes}_input_tokens", tokens
