"""Makes ``helicone.jsonl.gz``: rows as Helicone's exporter writes them, with bodies.

Run as ``python tests/logs/make_helicone.py``. Helicone's exporter asks a service of
Helicone's, and is not in the package registry; so this is the shape of its types and of
what its collector does to answers (repository Helicone/helicone, read 2026-11-21), around
bodies that anthropic 2.12.0 sent to the imitated service.

The conversation of ``lighthouse`` is sent three times: plain, streamed with the stream kept
beside the merged answer, and streamed with an answer that its merger did not know, of which
only the row's counts are left. Then come rows that are no calls of ours. What the service
charged stands in ``helicone.usage.json``.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anthropic

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]

from lighthouse import ANSWERS, BODIES  # noqa: E402 -- found by the path above

from cacheplan.testing import FakeAnthropic  # noqa: E402

NOBODY = "00000000-0000-0000-0000-000000000000"


def row(number: int, at: float, body: Any, answer: Any, **columns: Any) -> dict[str, Any]:
    """Return one row of the request table, in the order of the query that reads it."""
    usage = answer.get("usage") or {}
    sent, ended = (
        datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        for moment in (at, at + 1)
    )
    name = f"00000000-0000-4000-8000-{number:012d}"
    return {
        "response_id": name.replace("4000", "4001"),
        "response_body": answer,
        "response_created_at": ended,
        "response_status": 200,
        "request_id": name,
        "request_body": body,
        "request_created_at": sent,
        "request_user_id": "keeper@lighthouse.test",
        "request_properties": {"Helicone-Session-Id": "night-7", "Keeper": "Ada Keeper"},
        "provider": "ANTHROPIC",
        "delay_ms": 1000,
        "request_model": body.get("model"),
        "ai_gateway_body_mapping": "",
        "time_to_first_token": 0,
        "total_tokens": usage.get("input_tokens", 0) + usage.get("output_tokens", 0),
        "completion_tokens": usage.get("output_tokens", 0),
        "prompt_cache_read_tokens": usage.get("cache_read_input_tokens", 0),
        "prompt_cache_write_tokens": usage.get("cache_creation_input_tokens", 0),
        "prompt_tokens": usage.get("input_tokens", 0),
        "country_code": "IS",
        "scores": {},
        "properties": {"Helicone-Session-Id": "night-7"},
        "asset_ids": [],
        "target_url": "https://api.anthropic.com/v1/messages",
        "cache_reference_id": NOBODY,
        "request_referrer": "",
        "cache_enabled": False,
        "cost": 0.01,
        "prompt_id": "",
        "prompt_version": "",
        "updated_at": ended,
        "storage_location": "s3",
        "signed_body_url": "https://bodies.test/x?X-Amz-Signature=sk-ant-signature",
        "asset_urls": {},
        **columns,
    }


def merged(stream: str) -> dict[str, Any]:
    """Merge a stream as the collector does: the first usage, with the last output."""
    events = [json.loads(line[5:]) for line in stream.splitlines() if line.startswith("data:")]
    message: dict[str, Any] = next(each for each in events if "message" in each)["message"]
    last = next(each for each in events if each["type"] == "message_delta")
    usage = message["usage"] | {"output_tokens": last["usage"]["output_tokens"]}
    return {**message, **last["delta"], "usage": usage, "streamed_data": stream}


def sent(fake: FakeAnthropic, client: anthropic.Anthropic) -> Iterator[dict[str, Any]]:
    """Yield a row for each call of the three conversations."""
    for number, body in enumerate(BODIES * 3):
        fake.say(ANSWERS[number % len(BODIES)])
        at = fake.now
        if number < len(BODIES):
            yield row(number, at, body, client.messages.create(**body).to_dict(mode="json"))
            continue
        with client.messages.with_streaming_response.create(**body, stream=True) as response:
            answer = merged(response.read().decode())
        columns: dict[str, Any] = {"time_to_first_token": 400}
        whole = row(number, at, body | {"stream": True}, answer, **columns)
        if number >= 2 * len(BODIES):
            whole["response_body"] = {"type": "message_stop"}
        yield whole


def others(at: float) -> Iterator[dict[str, Any]]:
    """Yield rows that are no calls to Claude, or of which too little is left."""
    body, answer = BODIES[0], {"usage": {"input_tokens": 9, "output_tokens": 3}}
    chat = {"model": "gpt-5.5", "messages": [{"role": "user", "content": "Light it."}]}
    yield row(100, at, chat, {"choices": []}, provider="OPENAI")
    yield row(101, at, body | {"model": "claude-opus-5-5"}, {"choices": []},
              ai_gateway_body_mapping="RESPONSES")  # fmt: skip
    yield row(102, at, body, answer, cache_enabled=True,
              cache_reference_id="00000000-0000-4000-8000-000000000000")  # fmt: skip
    for number, left in enumerate(({}, {"model": body["model"]}, {"helicone_message": "fetching"})):
        yield row(103 + number, at, left, answer)
    yield row(106, at, body, {"input_tokens": 9},
              target_url="https://api.anthropic.com/v1/messages/count_tokens")  # fmt: skip
    failed = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    yield row(107, at, body, failed, response_status=529)


def main() -> None:
    """Send, and keep the rows."""
    with FakeAnthropic() as fake:
        with anthropic.Anthropic(base_url=fake.url, api_key="any") as client:
            rows = [*sent(fake, client), *others(fake.now)]
        usage = [line["response"]["usage"] for line in fake.lines()]
    with gzip.GzipFile(HERE / "helicone.jsonl.gz", "wb", mtime=0) as packed:
        packed.write("".join(json.dumps(each) + "\n" for each in rows).encode())
    (HERE / "helicone.usage.json").write_text(json.dumps(usage, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
