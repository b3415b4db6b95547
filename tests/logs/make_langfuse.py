"""Writes langfuse_*.gz: observations as Langfuse hands them out, of the lighthouse's calls.

``langfuse_langchain`` is what its handler for LangChain recorded of ``ChatAnthropic``,
``langfuse_traceloop`` what Traceloop's instrumentation of the SDK did, and
``langfuse_openinference`` what OpenInference's did, both as Langfuse's documentation has it.
In all of them Anthropic's SDK draws a span of each call as well. ``langfuse.json`` is what
the service counted.

The spans were sent to a socket of this machine. What Langfuse makes of a span is done here
as its server does it (``OtelIngestionProcessor``, langfuse/langfuse of 2026-08-22, read), and
written by the SDK's own ``ObservationV2``: as the API's answer, as JSON lines, as the table's
CSV and as rows of the export to blob storage. Run by hand; last run 2026-11-21 with langfuse
5.0.4, langchain-anthropic 1.7.7, opentelemetry-instrumentation-anthropic 0.62.4,
openinference-instrumentation-anthropic 3.1.0 and anthropic 2.12.0:

    PYTHONPATH=.:tests python tests/logs/make_langfuse.py langchain
    PYTHONPATH=.:tests python tests/logs/make_langfuse.py traceloop
    PYTHONPATH=.:tests python tests/logs/make_langfuse.py openinference
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import sys
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import anthropic
import openinference.instrumentation.anthropic
import opentelemetry.instrumentation.anthropic
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langfuse import Langfuse, propagate_attributes
from langfuse.api.commons.types.observation_v2 import ObservationV2
from langfuse.api.core.pydantic_utilities import parse_obj_as
from langfuse.langchain import CallbackHandler
from lighthouse import ANSWERS, BODIES
from msgspec.structs import asdict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from cacheplan.testing import FakeAnthropic

HERE: Final = Path(__file__).parent
SENT: Final[list[bytes]] = []
OURS: Final = "langfuse-sdk"
#: What Langfuse takes out of the attributes that it keeps.
TAKEN: Final = ("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions",
                "input.value", "output.value")  # fmt: skip
TAKEN_ALL: Final = ("llm.input_messages", "llm.output_messages", "gen_ai.prompt")
READ: Final = ("cache_read.input_tokens", "cache_read_input_tokens", "prompt_details.cache_read")
WRITTEN: Final = ("cache_creation.input_tokens", "cache_creation_input_tokens",
                  "prompt_details.cache_write")  # fmt: skip


class Receiver(BaseHTTPRequestHandler):
    """Keeps the spans that it is sent."""

    def do_POST(self) -> None:
        """Take in spans."""
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        SENT.append(gzip.decompress(raw) if self.headers["Content-Encoding"] == "gzip" else raw)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def langchain(fake: FakeAnthropic) -> None:
    """Have the conversation by way of LangChain."""
    model = ChatAnthropic(
        model=BODIES[0]["model"], max_tokens=200, base_url=fake.url, api_key="any"
    ).bind_tools(BODIES[0]["tools"])
    said: list[Any] = [SystemMessage(BODIES[0]["system"])]
    names = {"langfuse_session_id": "watch-1", "langfuse_user_id": "keeper"}
    for body in BODIES:
        (new,) = body["messages"][-1]["content"]
        bare = {key: part for key, part in new.items() if key != "cache_control"}
        if new["type"] == "tool_result":
            part = {"type": "text", "text": new["content"]}
            name = new["tool_use_id"]
            asked = ToolMessage([part | {"cache_control": new["cache_control"]}], tool_call_id=name)
            later = ToolMessage([part], tool_call_id=name)
        else:
            asked, later = HumanMessage([new]), HumanMessage([bare])
        config = {"callbacks": [CallbackHandler()], "metadata": names}
        answer = model.invoke([*said, asked], config)
        said += [later, answer]


def instrumented(fake: FakeAnthropic) -> None:
    """Have the conversation by way of the SDK."""
    client = anthropic.Anthropic(base_url=fake.url, api_key="any")
    with propagate_attributes(session_id="watch-1", user_id="keeper"):
        for body in BODIES:
            client.messages.create(**body)


def plain(wrapped: Any) -> Any:
    """Return the value of an attribute."""
    kind = wrapped.WhichOneof("value")
    found = getattr(wrapped, kind)
    return [plain(each) for each in found.values] if kind == "array_value" else found


def when(nano: int) -> datetime:
    """Return a time; Langfuse keeps thousandths of seconds."""
    return datetime.fromtimestamp(nano // 10**6 / 1000, UTC)


def loaded(found: Any) -> Any:
    """Return what JSON written as text says, as the API does."""
    try:
        return json.loads(found)
    except (TypeError, ValueError):
        return found


def generic(said: dict[str, Any]) -> dict[str, int]:
    """Return what Langfuse counts of a span that is not its own."""
    counts = {
        re.sub(r"^(gen_ai\.usage|llm\.token_count)\.", "", key): int(part)
        for key, part in said.items()
        if key.startswith(("gen_ai.usage.", "llm.token_count."))
    }
    read = next((counts.pop(key) for key in READ if key in counts), None)
    written = next((counts.pop(key) for key in WRITTEN if key in counts), None)
    taken = {
        "input": ("input_tokens", "prompt"),
        "output": ("output_tokens", "completion"),
        "total": ("total_tokens", "total"),
    }
    found = {}
    for name, keys in taken.items():
        told = [counts.pop(key) for key in keys if key in counts]
        if told:
            found[name] = told[0]
    found["input"] = max(0, found["input"] - (read or 0) - (written or 0))
    found |= {} if read is None else {"input_cached_tokens": read}
    found |= {} if written is None else {"input_cache_creation": written}
    return {**counts, **found}


def prompt(said: dict[str, Any]) -> Any:
    """Return what Langfuse takes for the input of a span that is not its own."""
    if "input.value" in said:
        return loaded(said["input.value"])
    messages = loaded(said.get("gen_ai.input.messages"))
    system = said.get("gen_ai.system_instructions")
    if messages and system:
        text = "\n".join(str(part["content"]) for part in loaded(system))
        messages = [{"role": "system", "content": text}, *messages]
    return messages


def observed(scope: str, span: Any) -> dict[str, Any] | None:
    """Return the observation that Langfuse makes of a span; ``None`` if it is no generation."""
    said = {pair.key: plain(pair.value) for pair in span.attributes}
    told: dict[str, Any] = {
        "id": span.span_id.hex(),
        "traceId": span.trace_id.hex(),
        "parentObservationId": span.parent_span_id.hex() or None,
        "projectId": "project-1",
        "type": "GENERATION",
        "name": span.name,
        "startTime": when(span.start_time_unix_nano),
        "endTime": when(span.end_time_unix_nano),
        "level": "DEFAULT",
        "environment": "default",
        "userId": said.get("user.id"),
        "sessionId": said.get("session.id"),
    }
    own = "langfuse.observation."
    if scope == OURS:
        if said.get(f"{own}type") != "generation":
            return None
        told |= {
            "input": loaded(said.get(f"{own}input")),
            "output": loaded(said.get(f"{own}output")),
            "model": said.get(f"{own}model.name"),
            "modelParameters": loaded(said.get(f"{own}model.parameters")),
            "metadata": {
                key.removeprefix(f"{own}metadata."): loaded(part)
                for key, part in said.items()
                if key.startswith(f"{own}metadata.")
            },
        }
        provided = loaded(said.get(f"{own}usage_details")) or {}
    else:
        kept = {
            key: part if isinstance(part, str) else json.dumps(part)
            for key, part in said.items()
            if key not in TAKEN and not key.startswith(TAKEN_ALL)
        }
        told |= {
            "input": prompt(said),
            "output": loaded(said.get("output.value") or said.get("gen_ai.output.messages")),
            "model": said.get("gen_ai.request.model") or said.get("llm.model_name"),
            "metadata": {"attributes": kept, "scope": {"name": scope}},
        }
        provided = generic(said)
    total = {"total": sum(provided.values())} if provided and "total" not in provided else {}
    return told | {"usageDetails": provided | total}


def stored(told: dict[str, Any]) -> dict[str, Any]:
    """Return an observation as the export to blob storage writes it."""
    row = {re.sub(r"([A-Z])", r"_\1", key).lower(): part for key, part in told.items()}
    row["provided_model_name"] = row.pop("model", None)
    for key in ("start_time", "end_time"):
        row[key] = row[key].replace("T", " ").removesuffix("Z")
    for key in ("input", "output", "model_parameters"):
        row[key] = json.dumps(row[key]) if row.get(key) is not None else None
    row["usage_details"] = {key: str(part) for key, part in row["usage_details"].items()}
    row["metadata"] = {
        key: part if isinstance(part, str) else json.dumps(part)
        for key, part in (row.get("metadata") or {}).items()
    }
    return row


def sheet(told: list[dict[str, Any]]) -> str:
    """Return observations as the table's CSV, whose times are JSON inside of their cells."""
    out = io.StringIO()
    names = list(dict.fromkeys(key for row in told for key in row))
    writer = csv.DictWriter(out, names, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writeheader()
    for row in told:
        cells = {key: row.get(key) for key in names}
        writer.writerow(
            {
                key: ""
                if part is None
                else part
                if isinstance(part, str) and not key.endswith("Time")
                else json.dumps(part)
                for key, part in cells.items()
            }
        )
    return out.getvalue()


def write(name: str, text: str) -> None:
    """Write one file."""
    (HERE / f"langfuse_{name}.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def main(way: str) -> None:
    """Write the files of one way."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    langfuse = Langfuse(public_key="pk-any", secret_key="sk-any", host=url)  # noqa: S106 -- none
    if way == "traceloop":
        opentelemetry.instrumentation.anthropic.AnthropicInstrumentor().instrument()
    if way == "openinference":
        openinference.instrumentation.anthropic.AnthropicInstrumentor().instrument()
    with FakeAnthropic() as fake:
        for said in ANSWERS:
            fake.say(said)
        (langchain if way == "langchain" else instrumented)(fake)
    langfuse.flush()
    langfuse.shutdown()
    server.shutdown()
    told = []
    for raw in SENT:
        batch = ExportTraceServiceRequest()
        batch.ParseFromString(raw)
        for resource in batch.resource_spans:
            for scoped in resource.scope_spans:
                for span in scoped.spans:
                    found = observed(scoped.scope.name, span)
                    if found is not None:
                        made = parse_obj_as(ObservationV2, found).json(by_alias=True)
                        told.append(json.loads(made))
    told.sort(key=lambda each: each["startTime"], reverse=True)
    lines = "".join(json.dumps(each) + "\n" for each in told)
    write(f"{way}.jsonl", lines)
    if way == "langchain":
        write(f"{way}_api.json", json.dumps({"data": told, "meta": {"cursor": None}}))
        write(f"{way}.csv", sheet(told))
        write(f"{way}_blob.jsonl", "".join(json.dumps(stored(each)) + "\n" for each in told))
    counted = [asdict(call.usage) for call in fake.calls if call.usage]
    (HERE / "langfuse.json").write_text(json.dumps(counted, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
