"""Makes Phoenix's fixtures: spans of the one conversation, sent to it and asked back.

    python -m venv /somewhere/phoenix
    /somewhere/phoenix/bin/pip install arize-phoenix
    /somewhere/phoenix/bin/python tests/logs/make_phoenix.py

Run on 2026-11-21 with arize-phoenix 20.26.1 and arize-phoenix-client 3.5.0, after
``make_spans.py``, whose files are what is sent.
"""

# ruff: noqa: S310 -- the addresses are this machine's own

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, Final

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from phoenix.client import Client

HERE: Final = Path(__file__).parent
PORT: Final = 16006
URL: Final = f"http://127.0.0.1:{PORT}"
#: Its files are named for how they were asked back.
MAIN: Final = "spans_openinference"
#: Asked back by the API alone.
MORE: Final = {
    "spans_openinference_and_sdk": "phoenix_rest_and_sdk.json.gz",
    "spans_sdk": "phoenix_genai.json.gz",
}
_IDS: Final = ("traceId", "spanId", "parentSpanId")


def main() -> None:
    """Start it, send everything, and keep what it answers."""
    program = [str(Path(sys.executable).parent / "phoenix"), "serve"]
    with tempfile.TemporaryDirectory() as folder:
        about = {
            "PHOENIX_WORKING_DIR": folder,
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(PORT),
            "PHOENIX_GRPC_PORT": str(PORT + 1),
            "PHOENIX_TELEMETRY_ENABLED": "false",
        }
        with subprocess.Popen(program, env={**os.environ, **about}) as server:
            try:
                time.sleep(30)
                for name in (MAIN, *MORE):
                    _send(name)
                time.sleep(5)
                _ask()
            finally:
                server.terminate()


def _send(name: str) -> None:
    """Send the spans of one fixture into a project of its name."""
    with gzip.open(HERE / f"{name}.jsonl.gz", "rt") as file:
        for line in file:
            found = json.loads(line)
            for resource in found["resourceSpans"]:
                project = {"key": "openinference.project.name", "value": {"stringValue": name}}
                resource["resource"]["attributes"].append(project)
                for span in (each for scope in resource["scopeSpans"] for each in scope["spans"]):
                    _rewrite(span)
            message = json_format.ParseDict(found, ExportTraceServiceRequest())
            kind = {"content-type": "application/x-protobuf"}
            asked = urllib.request.Request(f"{URL}/v1/traces", message.SerializeToString(), kind)
            urllib.request.urlopen(asked).close()


def _rewrite(span: dict[str, Any]) -> None:
    """Write ids as protobuf's own JSON does, where OTLP's JSON has hexadecimal digits."""
    for key in _IDS:
        if key in span:
            span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()


def _ask() -> None:
    """Ask for the spans in every way."""
    _keep("phoenix_rest.json.gz", _got(f"projects/{MAIN}/spans"))
    _keep("phoenix_otlp.json.gz", _got(f"projects/{MAIN}/spans/otlpv1"))
    for name, file in MORE.items():
        _keep(file, _got(f"projects/{name}/spans"))
    spans = Client(base_url=URL).spans
    frame = spans.get_spans_dataframe(project_identifier=MAIN).reset_index(drop=True)
    _keep("phoenix_frame.jsonl.gz", frame.to_json(orient="records", lines=True).encode())
    _keep("phoenix_frame.csv.gz", frame.to_csv().encode())
    frame.to_parquet(HERE / "phoenix_frame.parquet")


def _got(path: str) -> bytes:
    """Return what the API answers."""
    with urllib.request.urlopen(f"{URL}/v1/{path}?limit=100") as answer:
        found: bytes = answer.read()
    return found


def _keep(name: str, raw: bytes) -> None:
    """Keep a file, packed."""
    (HERE / name).write_bytes(gzip.compress(raw, mtime=0))


if __name__ == "__main__":
    main()
