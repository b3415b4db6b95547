"""Make `litellm_*`: the one conversation, sent through LiteLLM's proxy and told by its logs.

    PYTHONPATH=.:tests PYTHON tests/logs/make_litellm.py     # from the root of the repository

Run on 2026-11-21 with litellm[proxy] 1.106.2, mcp 2.3.0 and duckdb 2.0.0 in one
environment. The proxy is LiteLLM's own, in front of the test double; a callback writes what
callbacks are told (`litellm_payloads`) and what LiteLLM's own function makes of it for its
table of spend (`litellm_spend`), once with all text and once with the limit it has if
nobody sets one (`litellm_cut_spend`). ``litellm.json`` is what the double charged.
"""

from __future__ import annotations

import gzip
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import duckdb
from lighthouse import ANSWERS, BODIES

from cacheplan.testing import FakeAnthropic

HERE: Final = Path(__file__).parent

_KINDS: Final = ("uncached", "write_5m", "write_1h", "read", "output")
#: Longer than the double takes to an answer's first token: each call reads the one before.
_PAUSE: Final = 1.2

#: What the proxy is told: Claude as it is, Claude with marks of the proxy's own, and one
#: model of somebody else that answers without being asked.
_CONFIG: Final = """
model_list:
  - model_name: keeper
    litellm_params: {{model: anthropic/claude-opus-5-5, api_base: "{url}", api_key: sk-ant-planted}}
  - model_name: marked
    litellm_params:
      model: anthropic/claude-opus-5-5
      api_base: "{url}"
      api_key: sk-ant-planted
      cache_control_injection_points: [{{location: message, role: system}}]
  - model_name: other
    litellm_params:
      model: openai/gpt-4o-mini
      api_key: sk-planted
      mock_response: Good evening.
litellm_settings:
  callbacks: [recorder.recorder]
  cache: true
  cache_params: {{type: local, mode: default_off}}
general_settings: {{master_key: {key}}}
"""

_KEY: Final = "sk-planted-0f4b7c91d2e8a6535f0c9b1e7d24a86f"

_RECORDER: Final = '''
"""Write down what LiteLLM tells its callbacks."""

import json
import os

from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy.spend_tracking.spend_tracking_utils import get_logging_payload


class Recorder(CustomLogger):
    """One line a call, in two files."""

    def write(self, kwargs, response, start, end):
        payload = kwargs["standard_logging_object"]
        # Where it stands on this machine.
        (payload.get("error_information") or {}).pop("traceback", None)
        with open(os.environ["RECORDED"] + ".payloads", "a") as file:
            print(json.dumps(payload, default=str), file=file)
        row = get_logging_payload(kwargs, response, start, end)
        with open(os.environ["RECORDED"] + ".spend", "a") as file:
            print(json.dumps(row, default=str), file=file)

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        self.write(kwargs, response_obj, start_time, end_time)

    async def async_log_failure_event(self, kwargs, response_obj, start_time, end_time):
        # As the proxy does before it books a failure.
        kwargs["litellm_params"].setdefault("metadata", {})["status"] = "failure"
        kwargs["completion_start_time"] = end_time
        self.write(kwargs, {}, start_time, end_time)


recorder = Recorder()
'''


def main() -> None:
    """Make all of them."""
    counted: dict[str, Any] = {}
    for name, limit in (("litellm", "1000000"), ("litellm_cut", "")):
        with FakeAnthropic(clock=time.time) as fake, tempfile.TemporaryDirectory() as folder:
            for _ in _TALKS:
                for answer in ANSWERS:
                    fake.say(*answer)
            told = _proxied(Path(folder), fake.url, limit)
            if name == "litellm_cut":
                del told["payloads"]
            for kind, lines in told.items():
                packed = gzip.compress(lines, mtime=0)
                (HERE / f"{name}_{kind}.jsonl.gz").write_bytes(packed)
            counted[name] = [
                {kind: getattr(call.usage, kind) for kind in _KINDS}
                for call in fake.calls
                if call.usage is not None
            ]
    (HERE / "litellm.json").write_text(json.dumps(counted, indent=1) + "\n")
    _exported(HERE / "litellm_spend.jsonl.gz")


def _exported(rows: Path) -> None:
    """Write the rows as a database would, in columns of its own types."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "rows.jsonl"
        plain.write_bytes(gzip.decompress(rows.read_bytes()))
        times = ", ".join(f'"{name}"::TIMESTAMP AS "{name}"' for name in _TIMES)
        parts = ", ".join(f'"{name}"::JSON AS "{name}"' for name in _PARTS)
        source = f"SELECT * REPLACE ({times}, {parts}) FROM read_json('{plain}')"  # noqa: S608
        table, parquet = Path(folder) / "rows.csv", HERE / "litellm_spend.parquet"
        with duckdb.connect() as database:
            database.execute("SET TimeZone = 'UTC'")
            database.execute(f"COPY ({source}) TO '{table}'")
            database.execute(f"COPY ({source}) TO '{parquet}' (COMPRESSION zstd)")
        (HERE / "litellm_spend.csv.gz").write_bytes(gzip.compress(table.read_bytes(), mtime=0))


_TIMES: Final = ("startTime", "endTime", "completionStartTime")
_PARTS: Final = ("metadata", "messages", "response", "proxy_server_request", "request_tags")


def _proxied(folder: Path, url: str, limit: str) -> dict[str, bytes]:
    """Send everything through a proxy, and return what it told."""
    (folder / "config.yaml").write_text(_CONFIG.format(url=url, key=_KEY))
    (folder / "recorder.py").write_text(_RECORDER)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "STORE_PROMPTS_IN_SPEND_LOGS": "True",
        "RECORDED": str(folder / "told"),
        "PYTHONPATH": str(folder),
        **({"MAX_STRING_LENGTH_PROMPT_IN_DB": limit} if limit else {}),
    }
    command = [str(Path(sys.executable).parent / "litellm"), "--config", "config.yaml"]
    command += ["--port", str(port), "--host", "127.0.0.1", "--telemetry", "False"]
    proxy = subprocess.Popen(command, cwd=folder, env=environment)
    try:
        _talk(f"http://127.0.0.1:{port}")
        time.sleep(_PAUSE)
    finally:
        proxy.terminate()
        proxy.wait()
    return {kind: (folder / f"told.{kind}").read_bytes() for kind in ("payloads", "spend")}


def _chat(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body in the chat API's form, with its marks."""
    messages = [{"role": "system", "content": body["system"]}]
    for message in body["messages"]:
        for block in message["content"]:
            if block["type"] == "text":
                messages.append({"role": message["role"], "content": [block]})
            elif block["type"] == "tool_use":
                function = {"name": block["name"], "arguments": json.dumps(block["input"])}
                call = {"id": block["id"], "type": "function", "function": function}
                messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
            else:
                result = {"role": "tool", "tool_call_id": block["tool_use_id"]}
                mark = {key: block[key] for key in ("cache_control",) if key in block}
                messages.append({**result, "content": block["content"], **mark})
    tools = []
    for tool in body["tools"]:
        function = {"name": tool["name"], "description": tool["description"]}
        mark = {key: tool[key] for key in ("cache_control",) if key in tool}
        function["parameters"] = tool["input_schema"]
        tools.append({"type": "function", "function": function, **mark})
    return {"messages": messages, "tools": tools, "max_tokens": body["max_tokens"]}


def _bare(value: Any) -> Any:
    """Return a body without marks."""
    if isinstance(value, dict):
        return {key: _bare(part) for key, part in value.items() if key != "cache_control"}
    return [_bare(part) for part in value] if isinstance(value, list) else value


def _talk(address: str) -> None:
    """Have every conversation."""

    def post(path: str, body: Any) -> None:
        headers = {"Authorization": f"Bearer {_KEY}", "Cookie": "planted=cookie"}
        headers["Content-Type"] = "application/json"
        sent = urllib.request.Request(address + path, json.dumps(body).encode(), headers)  # noqa: S310
        try:
            with urllib.request.urlopen(sent) as answer:  # noqa: S310
                answer.read()
        except urllib.error.HTTPError as error:
            error.close()
        time.sleep(_PAUSE)

    _wait(address)
    for talk in _TALKS:
        talk(post)
    hello = {"model": "other", "messages": [{"role": "user", "content": "Good evening."}]}
    again = hello | {"model": "keeper", "max_tokens": 9, "cache": {"use-cache": True}}
    marked = {"type": "text", "text": "Good evening.", "cache_control": {"type": "ephemeral"}}
    said = [{"role": "user", "content": [marked] * 5}]
    # One mark more than there may be.
    refused = {"model": "keeper", "max_tokens": 9, "messages": said}
    for body in (hello, again, again, refused):
        post("/v1/chat/completions", body)


def _wait(address: str) -> None:
    """Wait until the proxy listens."""
    for _ in range(120):
        try:
            with urllib.request.urlopen(f"{address}/health/liveliness"):  # noqa: S310
                return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(address)


_Post = Callable[[str, Any], None]


def _in_chat(post: _Post) -> None:
    """Have it in the chat API's form, with marks of its own; the last answer is streamed."""
    for at, body in enumerate(BODIES):
        more = {"litellm_session_id": "evening-1", "user": "ann@planted.test", "stream": at == 3}
        post("/v1/chat/completions", {"model": "keeper", **_chat(body), **more})


def _natively(post: _Post) -> None:
    """Have it as Anthropic's API takes it; the last answer is streamed."""
    for at, body in enumerate(BODIES):
        more = {"litellm_session_id": "evening-2", "stream": at == 3}
        post("/v1/messages", {**body, "model": "keeper", **more})


def _marked_on_the_way(post: _Post) -> None:
    """Have it in the chat API's form without marks, which the proxy puts in."""
    for body in BODIES:
        post("/v1/chat/completions", {"model": "marked", **_bare(_chat(body))})


_TALKS: Final = (_in_chat, _natively, _marked_on_the_way)

if __name__ == "__main__":
    main()
