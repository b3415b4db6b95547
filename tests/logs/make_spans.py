"""Makes the fixtures of spans: the one conversation, told by the packages that tell of calls.

    python -m venv /somewhere/spans
    /somewhere/spans/bin/pip install anthropic openinference-instrumentation-anthropic \
        opentelemetry-instrumentation-anthropic pydantic-ai-slim opentelemetry-sdk \
        opentelemetry-exporter-otlp-json-file
    PYTHONPATH=. python tests/logs/make_spans.py /somewhere/spans/bin/python

Run on 2026-11-21 with anthropic 2.12.0, openinference-instrumentation-anthropic 3.1.0,
opentelemetry-instrumentation-anthropic 0.62.4, pydantic-ai-slim 2.68.0, opentelemetry-sdk
1.45.2 and opentelemetry-exporter-otlp-json-file 0.66b1. Each file is what the exporter
wrote, packed; beside them ``spans.json`` holds what the test double counted, call by call.

``spans_traceloop_0_40`` was made by opentelemetry-instrumentation-anthropic 0.40.14 and
anthropic 0.60.0, in an environment of their own: name it behind the interpreter.
"""

# ruff: noqa: PLC0415 -- half of it runs here, half where the packages are

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from lighthouse import ANSWERS, BODIES, MODEL, SYSTEM  # noqa: E402 -- found by the line above

#: The SDK draws spans of its own unless it is told not to.
_QUIET: Final = {"ANTHROPIC_OPEN_TELEMETRY": "false"}
_SPOKEN: Final = {"ANTHROPIC_OPEN_TELEMETRY_TRACES_CONTENT_MODE": "content"}
#: By fixture: which instrumentation is switched on, and the environment.
LOGS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "spans_sdk": ("", _SPOKEN),
    "spans_traceloop": ("traceloop", _QUIET),
    "spans_traceloop_and_sdk": ("traceloop", {}),
    "spans_openinference": ("openinference", _QUIET),
    "spans_openinference_and_sdk": ("openinference", {}),
    "spans_pydantic_ai": ("pydantic_ai", {}),
}
#: Made by older packages, where they are named.
OLD: Final[dict[str, tuple[str, dict[str, str]]]] = {"spans_traceloop_0_40": ("traceloop", {})}
#: Longer than the double takes to an answer's first token: each call reads the one before.
_PAUSE: Final = 1.2


def main() -> None:
    """Make every fixture, or those that are named."""
    counted: dict[str, Any] = {}
    book = HERE / "spans.json"
    if book.exists():
        counted = json.loads(book.read_text())
    for name in sys.argv[2:] or LOGS:
        counted[name] = _made(name)
    book.write_text(json.dumps(counted, indent=1) + "\n")


def _made(name: str) -> list[dict[str, int]]:
    """Make one, and return what was counted."""
    from cacheplan.testing import FakeAnthropic

    which, more = (LOGS | OLD)[name]
    with FakeAnthropic(clock=time.time) as fake, tempfile.TemporaryDirectory() as folder:
        for answer in ANSWERS:
            fake.say(*answer)
        out = Path(folder) / "out.jsonl"
        command = [sys.argv[1], str(Path(__file__)), "call", which, fake.url, str(out)]
        clean = {key: word for key, word in os.environ.items() if not key.startswith("OTEL")}
        subprocess.run(command, check=True, env={**clean, **more})
        (HERE / f"{name}.jsonl.gz").write_bytes(gzip.compress(out.read_bytes(), mtime=0))
        return [
            {kind: getattr(call.usage, kind) for kind in _KINDS}
            for call in fake.calls
            if call.usage is not None
        ]


_KINDS: Final = ("uncached", "write_5m", "write_1h", "read", "output")


def _call(which: str, url: str, out: str) -> None:
    """Send the conversation, watched; runs where the packages are."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.json.file.trace_exporter import FileSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "lighthouse"}))
    provider.add_span_processor(BatchSpanProcessor(FileSpanExporter(out)))
    trace.set_tracer_provider(provider)
    if which == "pydantic_ai":
        _ask_pydantic_ai(url)
    else:
        if which == "traceloop":
            from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor

            AnthropicInstrumentor().instrument()
        elif which == "openinference":
            from openinference.instrumentation.anthropic import AnthropicInstrumentor

            AnthropicInstrumentor().instrument()
        _ask(url)
    provider.shutdown()


def _ask(url: str) -> None:
    """Send the bodies with the SDK, the last as a stream, in one span around all."""
    import anthropic
    from opentelemetry import trace

    client = anthropic.Anthropic(base_url=url, api_key="sk-ant-planted")
    with trace.get_tracer("lighthouse").start_as_current_span("evening"):
        for body in BODIES[:-1]:
            client.messages.create(**body)
            time.sleep(_PAUSE)
        with client.messages.stream(**BODIES[-1]) as stream:
            stream.until_done()


def _ask_pydantic_ai(url: str) -> None:
    """Let an agent have the same conversation, as far as it can."""
    import asyncio

    import anthropic
    from pydantic_ai import Agent
    from pydantic_ai.models.anthropic import AnthropicModel, AnthropicModelSettings
    from pydantic_ai.models.instrumented import InstrumentationSettings
    from pydantic_ai.providers.anthropic import AnthropicProvider

    async def talk() -> None:
        client = anthropic.AsyncAnthropic(base_url=url, api_key="sk-ant-planted")
        settings = AnthropicModelSettings(
            max_tokens=200,
            anthropic_cache_instructions="1h",
            anthropic_cache_tool_definitions="1h",
            anthropic_cache_messages=True,
        )
        model = AnthropicModel(
            MODEL, provider=AnthropicProvider(anthropic_client=client), settings=settings
        )
        agent = Agent(model, instructions=SYSTEM, name="keeper")
        agent.instrument = InstrumentationSettings()

        @agent.tool_plain  # type: ignore[untyped-decorator, unused-ignore]
        def oil_left(lamp: int) -> str:
            """Says how much oil a lamp has left, in litres."""
            time.sleep(_PAUSE)
            return "4 litres"

        said: Any = None
        for body in (BODIES[0], BODIES[2], BODIES[3]):
            asked = body["messages"][-1]["content"][0]["text"]
            said = (await agent.run(asked, message_history=said)).all_messages()
            await asyncio.sleep(_PAUSE)

    asyncio.run(talk())


if __name__ == "__main__":
    if sys.argv[1] == "call":
        _call(*sys.argv[2:])
    else:
        main()
