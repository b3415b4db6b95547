"""Small spans as programs write them, for the tests of those who read them."""

from __future__ import annotations

import json
from typing import Any, Final

from told import LOGS, logged

from cacheplan.usage import Usage

__all__ = ["FORMS", "MODEL", "chat", "counted", "export", "llm", "made", "short"]

MODEL: Final = "claude-opus-5-5"
#: By log: the calls of which the service counted.
FORMS: Final = {
    "phoenix_rest.json.gz": "spans_openinference",
    "phoenix_otlp.json.gz": "spans_openinference",
    "phoenix_frame.jsonl.gz": "spans_openinference",
    "phoenix_frame.csv.gz": "spans_openinference",
    "phoenix_frame.parquet": "spans_openinference",
    "phoenix_rest_and_sdk.json.gz": "spans_openinference_and_sdk",
    "phoenix_genai.json.gz": "spans_sdk",
}
#: 2026-11-21, 09:00 UTC.
_START: Final = 1_795_251_600


def counted(name: str) -> list[Usage]:
    """Return what the service counted while a log was made."""
    return [Usage(**each) for each in json.loads((LOGS / "spans.json").read_bytes())[name]]


def made(name: str) -> bytes:
    """Return a log that packages made."""
    return logged(name)


def chat(number: int, parent: str = "", **said: Any) -> dict[str, Any]:
    """Return a chat span, whose attributes have two underscores for each dot."""
    usual = {"gen_ai__operation__name": "chat", "gen_ai__request__model": MODEL}
    return _span(number, parent, usual | said)


def llm(number: int, parent: str = "", **said: Any) -> dict[str, Any]:
    """Return a span of a model by OpenInference's conventions."""
    usual = {"openinference__span__kind": "LLM", "llm__model_name": MODEL}
    return _span(number, parent, usual | said)


def _span(number: int, parent: str, said: dict[str, Any]) -> dict[str, Any]:
    """Return a span as OTLP writes it."""
    attributes = [
        {"key": key.replace("__", "."), "value": _value(value)} for key, value in said.items()
    ]
    return {
        "traceId": "5e203ce1ed1aeaf8ac765316fa066f7a",
        "spanId": f"{number:016x}",
        "parentSpanId": parent,
        "name": "chat",
        "startTimeUnixNano": str((_START + number) * 10**9),
        "attributes": attributes,
    }


def _value(value: Any) -> dict[str, Any]:
    """Wrap a value in its type."""
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"stringValue": value if isinstance(value, str) else json.dumps(value)}


def export(*spans: dict[str, Any], scope: str = "a", **about: str) -> str:
    """Return one line of an exporter."""
    resource = [
        {"key": key.replace("__", "."), "value": _value(word)} for key, word in about.items()
    ]
    scoped = {"scope": {"name": scope}, "spans": list(spans)}
    entry = {"resource": {"attributes": resource}, "scopeSpans": [scoped]}
    return json.dumps({"resourceSpans": [entry]}) + "\n"


def short(raw: bytes) -> bytes:
    """Return a log whose longest text is cut down, so that breaking it hits the rest as well."""
    begin, _, rest = raw.partition(b" Rule 2: before")
    while rest:
        _, _, rest = rest.partition(b"Rule 300: before")
        _, _, rest = rest.partition(b" is measured.")
        more, found, rest = rest.partition(b" Rule 2: before")
        begin += more
        if not found:
            break
    return begin
