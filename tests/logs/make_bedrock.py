"""Make ``bedrock*.jsonl.gz``: Bedrock's invocation log of one conversation, sent three ways.

    PYTHONPATH=.:tests PYTHON tests/logs/make_bedrock.py     # from the root of the repository

Run with boto3 1.44.5, anthropic 2.12.0 and strands-agents 1.62.0 in one environment. boto3
sends the conversation to ``Converse`` and checks both ways against its own model of the
service; ``AnthropicBedrock`` sends it to ``InvokeModel``, whole and streamed; an agent of
Strands sends what it makes of the same prompt. What stands between them and the double
writes the log; its envelope is the documented one.
"""

from __future__ import annotations

import base64
import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import anthropic
import boto3
from botocore.config import Config
from botocore.eventstream import EventStreamBuffer
from lighthouse import ANSWERS, BODIES, SYSTEM
from strands import Agent, tool
from strands.models import BedrockModel
from strands.models.model import CacheConfig

from cacheplan.converse import messages_body
from cacheplan.io.fake.exchange import Asked
from cacheplan.testing import FakeAnthropic

HERE: Final = Path(__file__).parent
MODEL: Final = "us.anthropic.claude-opus-5-5"
ACCOUNT: Final = "123456789012"


# --- the service, and the log that it keeps ----------------------------------------------


class Service:
    """Answers as Bedrock does, with the double behind it, and keeps the log."""

    def __init__(self) -> None:
        self.fake = FakeAnthropic(platform="bedrock")
        self.records: list[dict[str, Any]] = []

    def answer(self, path: str, raw: bytes) -> tuple[int, str, bytes]:
        """Answer one request: its status, its content type and its body."""
        _, _, name, operation = unquote(path).split("/")
        at, sent = self.fake.now, json.loads(raw)
        invoke = "invoke" if operation == "converse" else operation
        if operation == "converse":
            body = messages_body(sent, name)
            del body["model"]
            body = {"anthropic_version": "bedrock-2023-05-31", **body}
            raw = json.dumps(body).encode()
        headers = {"authorization": "any", "content-type": "application/json"}
        asked = Asked.of("POST", f"http://double/model/{name}/{invoke}", headers, raw)
        found = self.fake.handle(asked)
        content, kind = b"".join(found.pieces), found.headers["content-type"]
        if operation.startswith("invoke-"):
            said: Any = list(events(content))
        else:
            said = json.loads(content)
        if operation == "converse" and found.status == 200:
            said = converse_answer(said)
            content = json.dumps(said).encode()
        used = self.fake.calls[-1].usage
        assert used is not None
        self.records.append(
            {
                "schemaType": "ModelInvocationLog",
                "schemaVersion": "1.0",
                "timestamp": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "accountId": ACCOUNT,
                "identity": {"arn": f"arn:aws:iam::{ACCOUNT}:user/keeper"},
                "region": "us-east-1",
                "requestId": f"7487ab04-734e-470b-8dfc-{len(self.records):012d}",
                "operation": OPERATIONS[operation],
                "modelId": name,
                "input": {
                    "inputContentType": "application/json",
                    "inputBodyJson": sent,
                    "inputTokenCount": used.uncached,
                    "cacheReadInputTokenCount": used.read,
                    "cacheWriteInputTokenCount": used.written,
                },
                "output": {
                    "outputContentType": "application/json",
                    "outputBodyJson": said,
                    "outputTokenCount": used.output,
                },
                "inferenceRegion": "us-west-2",
            }
        )
        return found.status, kind, content


OPERATIONS: Final = {
    "converse": "Converse",
    "invoke": "InvokeModel",
    "invoke-with-response-stream": "InvokeModelWithResponseStream",
}


def events(content: bytes) -> Iterator[Any]:
    """Yield what a stream of Amazon's holds."""
    buffer = EventStreamBuffer()
    buffer.add_data(content)
    for event in buffer:
        yield json.loads(base64.b64decode(json.loads(event.payload)["bytes"]))


def converse_answer(message: dict[str, Any]) -> dict[str, Any]:
    """Return an answer as ``Converse`` words it; it parts nothing by lifetime."""
    used = message["usage"]
    content = [
        {"toolUse": {"toolUseId": one["id"], "name": one["name"], "input": one["input"]}}
        if one["type"] == "tool_use"
        else {"text": one["text"]}
        for one in message["content"]
    ]
    counts = {
        "inputTokens": used["input_tokens"],
        "outputTokens": used["output_tokens"],
        "cacheReadInputTokens": used["cache_read_input_tokens"],
        "cacheWriteInputTokens": used["cache_creation_input_tokens"],
    }
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": message["stop_reason"],
        "usage": {**counts, "totalTokens": sum(counts.values())},
        "metrics": {"latencyMs": 1000},
    }


@contextmanager
def listening(service: Service) -> Iterator[str]:
    """Listen on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            status, kind, content = service.answer(self.path, raw)
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


# --- who sends it ------------------------------------------------------------------------


def points(block: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the cache point that stands behind a marked block."""
    mark = block.get("cache_control")
    ttl = {"ttl": mark["ttl"]} if mark and "ttl" in mark else {}
    return [{"cachePoint": {"type": "default", **ttl}}] if mark else []


def content(block: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one block in the words of ``Converse``, with its cache point."""
    if block["type"] == "tool_use":
        part = {"toolUseId": block["id"], "name": block["name"], "input": block["input"]}
        return [{"toolUse": part}, *points(block)]
    if block["type"] == "tool_result":
        part = {"toolUseId": block["tool_use_id"], "content": [{"text": block["content"]}]}
        return [{"toolResult": part}, *points(block)]
    return [{"text": block["text"]}, *points(block)]


def spec(tool: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one tool in the words of ``Converse``, with its cache point."""
    part = {"name": tool["name"], "description": tool["description"]}
    return [{"toolSpec": {**part, "inputSchema": {"json": tool["input_schema"]}}}, *points(tool)]


def by_boto(url: str) -> None:
    """Send the conversation with boto3."""
    client = bedrock(url)
    for body in BODIES:
        messages = [
            {
                "role": one["role"],
                "content": [part for each in one["content"] for part in content(each)],
            }
            for one in body["messages"]
        ]
        client.converse(
            modelId=MODEL,
            system=[part for block in body["system"] for part in content(block)],
            toolConfig={"tools": [part for tool in body["tools"] for part in spec(tool)]},
            messages=messages,
            inferenceConfig={"maxTokens": body["max_tokens"]},
        )


def bedrock(url: str) -> Any:
    """Return a client of boto3."""
    return boto3.client(
        "bedrock-runtime", **session(url), config=Config(retries={"max_attempts": 0})
    )


def session(url: str) -> dict[str, str]:
    """Return who asks, and whom."""
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    return {"endpoint_url": url, "region_name": "us-east-1", **keys}


def by_sdk(url: str, *, streamed: bool) -> None:
    """Send the conversation with Anthropic's own client for Bedrock."""
    client = anthropic.AnthropicBedrock(api_key="any", aws_region="us-east-1", base_url=url)
    for body in BODIES:
        asked = {**body, "model": MODEL}
        if streamed:
            with client.messages.stream(**asked) as stream:
                stream.until_done()
        else:
            client.messages.create(**asked)


def by_strands(url: str) -> None:
    """Have an agent of Strands send what it makes of the prompt, with its own cache points."""

    @tool  # type: ignore[untyped-decorator, unused-ignore]
    def oil_left(lamp: int) -> str:
        """Says how much oil a lamp has left, in litres.

        Args:
            lamp: Which lamp.
        """
        return "4 litres"

    model = BedrockModel(
        boto_session=boto3.Session("any", "any", region_name="us-east-1"),
        endpoint_url=url,
        model_id=MODEL,
        streaming=False,
        max_tokens=200,
        cache_config=CacheConfig(strategy="auto", tools_ttl="1h", system_prompt_ttl="1h"),
    )
    agent = Agent(model=model, system_prompt=SYSTEM, tools=[oil_left], callback_handler=None)
    agent("How much oil is left in lamp 7?")
    agent("For how many nights is that enough?")


def main() -> None:
    """Write one log for each way."""
    ways = {
        "bedrock_converse": by_boto,
        "bedrock_invoke": lambda url: by_sdk(url, streamed=False),
        "bedrock_stream": lambda url: by_sdk(url, streamed=True),
        "bedrock_strands": by_strands,
    }
    for name, send in ways.items():
        service = Service()
        for said in ANSWERS:
            service.fake.say(said)
        with listening(service) as url:
            send(url)
        lines = "".join(json.dumps(one, separators=(",", ":")) + "\n" for one in service.records)
        path = HERE / f"{name}.jsonl.gz"
        path.write_bytes(gzip.compress(lines.encode(), mtime=0))


if __name__ == "__main__":
    main()
