"""What OpenTelemetry is told, by its real SDK."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import cacheplan
from cacheplan.entries import Entry, Marked
from cacheplan.io.telemetry import Telemetry
from cacheplan.prompt import Lifetime
from cacheplan.usage import Usage

MODEL: Final = "claude-opus-4-8"
#: The package under test, wherever it was imported from, and no other.
ENVIRONMENT: Final = {**os.environ, "PYTHONPATH": str(Path(cacheplan.__file__).parents[1])}
MARK: Final = Marked(key=b"k" * 16, tokens=5, lifetime=Lifetime.ONE_HOUR, rule="system")
USED: Final = Usage(uncached=1_000, write_5m=20, write_1h=300, read=4_000, output=50)


class Kept:
    """A ledger that remembers what it was handed."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def record(self, entry: Entry) -> None:
        """Keep it."""
        self.entries.append(entry)


class Heard:
    """What a program that has set OpenTelemetry up would see."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._reader = InMemoryMetricReader()
        self._spans = InMemorySpanExporter()
        meters = MeterProvider([self._reader])
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        patch.setattr(metrics, "get_meter", meters.get_meter)
        patch.setattr(trace, "get_tracer", tracers.get_tracer)

    @property
    def spans(self) -> list[dict[str, Any]]:
        """The attributes of every span, with its name and its seconds."""
        return [
            {
                **(span.attributes or {}),
                "name": span.name,
                "seconds": ((span.end_time or 0) - (span.start_time or 0)) / 1e9,
                "status": span.status.status_code.name,
            }
            for span in self._spans.get_finished_spans()
        ]

    def sums(self, name: str, *by: str) -> dict[tuple[Any, ...], float]:
        """Return a metric's sums, by some of its attributes."""
        found: dict[tuple[Any, ...], float] = {}
        data = self._reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points if metric.name == name else ():
                        key = tuple((point.attributes or {}).get(each) for each in by)
                        value = getattr(point, "value", None)
                        found[key] = found.get(key, 0) + (
                            getattr(point, "sum", 0) if value is None else value
                        )
        return found


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    """Set OpenTelemetry up for one test."""
    return Heard(monkeypatch)


def entry(**fields: Any) -> Entry:
    """Return a call of a feature."""
    given = {"at": 1_795_219_200.0, "model": MODEL, "label": "jobs", "usage": USED, "duration": 2.5}
    return Entry(**{**given, **fields})


def test_tokens(heard: Heard) -> None:
    """Input tokens are all that the model read, and each kind is counted by itself."""
    telemetry = Telemetry()
    telemetry.record(entry())
    telemetry.record(entry())
    by_type = heard.sums("gen_ai.client.token.usage", "gen_ai.token.type", "gen_ai.operation.name")
    assert by_type == {("input", "chat"): 2 * USED.prompt, ("output", "chat"): 100}
    by_kind = heard.sums("cacheplan.prompt.tokens", "cacheplan.billed_as", "cacheplan.label")
    assert by_kind == {
        ("uncached", "jobs"): 2_000,
        ("write_5m", "jobs"): 40,
        ("write_1h", "jobs"): 600,
        ("read", "jobs"): 8_000,
    }


def test_money(heard: Heard) -> None:
    """What a call cost is added up by model; an unknown price adds nothing."""
    telemetry = Telemetry()
    telemetry.record(entry())
    telemetry.record(entry(model="claude-unheard"))
    dollars = heard.sums("cacheplan.cost", "gen_ai.request.model")
    paid = (1_000 * 5 + 20 * 6.25 + 300 * 10 + 4_000 * 0.5 + 50 * 25) / 1e6
    assert dollars == {(MODEL,): pytest.approx(paid)}


def test_a_span(heard: Heard) -> None:
    """A call is a span over its time, with its usage in every spelling that is in use."""
    Telemetry().record(
        entry(
            marked=(MARK,), applied=True, predicted=Usage(read=7), first_token_after=0.5,
            tags=(("customer", "acme"),),
        )
    )  # fmt: skip
    (span,) = heard.spans
    assert span == {
        "name": "cacheplan.call",
        "seconds": 2.5,
        "status": "UNSET",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": MODEL,
        "cacheplan.label": "jobs",
        "cacheplan.tag.customer": "acme",
        "cacheplan.applied": True,
        "cacheplan.breakpoints": ("system 1h",),
        "cacheplan.predicted.read_tokens": 7,
        "cacheplan.predicted.written_tokens": 0,
        "gen_ai.response.time_to_first_chunk": 0.5,
        "gen_ai.usage.input_tokens": 5_320,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.cache_read.input_tokens": 4_000,
        "gen_ai.usage.cache_creation.input_tokens": 320,
        "gen_ai.usage.cache_write.input_tokens": 320,
        "anthropic.usage.cache_creation.ephemeral_5m_input_tokens": 20,
        "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 300,
    }


def test_a_failure(heard: Heard) -> None:
    """A failed call is counted by its kind, and has no tokens."""
    Telemetry().record(entry(usage=None, error="overloaded_error", duration=None))
    assert heard.sums("cacheplan.calls", "error.type") == {("overloaded_error",): 1}
    assert heard.sums("gen_ai.client.token.usage") == {}
    (span,) = heard.spans
    assert (span["status"], span["error.type"], span["seconds"]) == ("ERROR", "overloaded_error", 0)


def test_a_ledger_behind(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger behind hears of every call, even one that could not be told."""
    kept = Kept()
    telemetry = Telemetry(kept)
    telemetry.record(entry())

    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(telemetry, "_measure", broken)
    with pytest.raises(RuntimeError):
        telemetry.record(entry(label="second"))
    assert [one.label for one in kept.entries] == ["jobs", "second"]


def test_nothing_set_up() -> None:
    """Where a program has set nothing up, telling costs nothing and does nothing."""
    program = (
        "from cacheplan.entries import Entry\n"
        "from cacheplan.io.telemetry import Telemetry\n"
        "Telemetry().record(Entry(at=0.0, model='m'))\n"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    subprocess.run(command, check=True, env=ENVIRONMENT)
