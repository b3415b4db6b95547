"""HTTP archives: calls told from what else a browser or a proxy saw."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lighthouse import BODIES
from mutations import hostile_lines, survives
from told import charged, head_of, logged, other_logs, replayed, told, workload_of

from cacheplan.errors import InputError
from cacheplan.io.readers import har
from cacheplan.stated import recorded_usage
from cacheplan.usage import Usage

MADE: Final = logged("har.har.gz")
BEDROCK: Final = "bedrock-runtime.eu-west-1.amazonaws.com"
BODY: Final = {
    "model": "claude-opus-5-5",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Is lamp 7 lit?"}],
}
USAGE: Final = {"input_tokens": 9, "output_tokens": 4, "cache_read_input_tokens": 700}
MESSAGE: Final = {"id": "msg_1", "type": "message", "usage": USAGE}
SECRETS: Final = ("sk-ant-header", "sk-ant-cookie", "sk-ant-query", "sk-mcp", "ada@lighthouse.test")


def entry(
    url: str = "https://api.anthropic.com/v1/messages",
    body: Any = BODY,
    answer: Any = MESSAGE,
    *,
    status: int = 200,
    kind: str = "application/json",
    **more: Any,
) -> dict[str, Any]:
    """Return one entry, as browsers write it."""
    text = body if isinstance(body, str) else json.dumps(body)
    content = answer if isinstance(answer, str) else json.dumps(answer)
    return {
        "startedDateTime": "2026-11-21T09:00:00.250+01:00",
        "time": 900.5,
        "request": {
            "method": "POST",
            "url": url,
            "httpVersion": "h2",
            "headers": [
                {"name": "X-Api-Key", "value": "sk-ant-header"},
                {"name": "cookie", "value": "session=sk-ant-cookie"},
            ],
            "cookies": [{"name": "session", "value": "sk-ant-cookie"}],
            "postData": {"mimeType": "application/json", "text": text},
        },
        "response": {
            "status": status,
            "headers": [{"name": "Request-Id", "value": "req_1"}],
            "content": {"size": 9, "mimeType": kind, "text": content},
        },
        "timings": {"blocked": 100, "dns": -1, "connect": 50, "ssl": 40, "send": 1, "wait": 349},
    } | more


def archive(*entries: dict[str, Any]) -> bytes:
    """Return an archive of entries."""
    log = {"version": "1.2", "creator": {"name": "WebInspector"}, "pages": [], "entries": entries}
    return json.dumps({"log": log}).encode()


def one(*entries: dict[str, Any]) -> dict[str, Any]:
    """Return the only line that comes of an archive."""
    lines, _ = told(har, archive(*entries))
    assert len(lines) == 1
    return lines[0]


def stream(*events: dict[str, Any]) -> str:
    """Write events as a server sends them."""
    return "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events)


def frame(event: dict[str, Any]) -> bytes:
    """Write an event as Bedrock sends it: base64, in JSON, in a frame."""
    inner = base64.b64encode(json.dumps(event).encode()).decode()
    payload = json.dumps({"bytes": inner, "p": "abc"}).encode()
    head = b"\x0b:event-type\x07\x00\x05chunk"
    length = 12 + len(head) + len(payload) + 4
    return b"%s%s%s%s%s%s" % (
        length.to_bytes(4), len(head).to_bytes(4), b"\0" * 4, head, payload, b"\0" * 4,
    )  # fmt: skip


EVENTS: Final[tuple[dict[str, Any], ...]] = (
    {
        "type": "message_start",
        "message": {
            "id": "msg_2",
            "usage": {
                "input_tokens": 3,
                "cache_creation_input_tokens": 10,
                "cache_creation": {"ephemeral_1h_input_tokens": 10},
                "output_tokens": 1,
            },
        },
    },
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Yes."}},
    {"type": "message_delta", "usage": {"cache_creation_input_tokens": 14, "output_tokens": 9}},
    {"type": "message_stop"},
)
STREAMED: Final = Usage(uncached=3, write_5m=4, write_1h=10, read=0, output=9)


class TestMadeByMitmproxy:
    """The archive that mitmproxy 11.0.2 saved."""

    def test_usage(self) -> None:
        """Plain or streamed, each call's charge is what the service says it charged."""
        lines, _ = told(har, MADE)
        answered = [recorded_usage(line["response"]["usage"]) for line in lines[:8]]
        assert answered == charged("har.usage.json")[:8]

    def test_bodies(self) -> None:
        """Each body is the one that was sent, marks and all."""
        lines, _ = told(har, MADE)
        assert [line["request"] for line in lines[:4]] == BODIES
        assert [line["request"] for line in lines[4:8]] == [
            body | {"stream": True} for body in BODIES
        ]

    def test_it_is_replayed(self) -> None:
        """Served again by the simulator, every call is charged what was recorded."""
        lines, _ = told(har, MADE)
        pairs = replayed(workload_of(lines))
        assert len(pairs) == 8
        assert all(recorded == usage for recorded, usage in pairs)

    def test_what_went_wrong(self) -> None:
        """An overload is a failed call, and a stream that broke off says nothing of money."""
        lines, _ = told(har, MADE)
        overloaded, broken = lines[8:]
        assert overloaded["response"] == {"type": "error", "error": {"type": "overloaded_error"}}
        assert "response" not in broken
        assert workload_of(lines).calls[8].failed

    def test_what_is_left_out(self) -> None:
        """A count of tokens, a batch and a list of models are no calls, and are counted."""
        _, counted = told(har, MADE)
        assert counted == {
            "calls that only count tokens, left out": 1,
            "requests of Message Batches, whose results are not in this log, left out": 1,
            "requests that are no calls of a model, left out": 1,
        }

    def test_keys(self) -> None:
        """The key that every request carried is in the archive and in no line."""
        lines, _ = told(har, MADE)
        assert b"sk-ant-api03-lighthouse" in MADE
        assert "lighthouse-" not in json.dumps(lines)
        assert "sk-ant" not in json.dumps(lines)


class TestMadeByABrowser:
    """The archive that Chromium 156 made, as Playwright saved it."""

    def test_the_conversation(self) -> None:
        """Every call is there as it was sent and as it was charged, and the page is counted."""
        raw = logged("har_browser.har.gz")
        lines, counted = told(har, raw)
        assert har.matches(head_of(raw))
        assert [line["request"] for line in lines] == [
            *BODIES,
            *(body | {"stream": True} for body in BODIES),
        ]
        usage = [recorded_usage(line["response"]["usage"]) for line in lines]
        assert usage == charged("har_browser.usage.json")
        assert counted == {"requests that are no calls of a model, left out": 1}
        assert b"sk-ant-api03" in raw
        assert "sk-ant" not in json.dumps(lines)

    def test_it_is_replayed(self) -> None:
        """Served again by the simulator, every call is charged what was recorded."""
        lines, _ = told(har, logged("har_browser.har.gz"))
        assert all(recorded == usage for recorded, usage in replayed(workload_of(lines)))


class TestAnswers:
    """What came back, in every way it is kept."""

    @pytest.mark.parametrize("kind", ["text/event-stream; charset=utf-8", "", "text/plain"])
    def test_streams(self, kind: str) -> None:
        """Of a stream the last counts win, and the split by lifetime stays the first one's."""
        line = one(entry(answer=stream(*EVENTS), kind=kind))
        assert recorded_usage(line["response"]["usage"]) == STREAMED
        assert line["response"]["id"] == "msg_2"

    def test_base64(self) -> None:
        """Text that is kept as base64 is read like any other."""
        packed = entry()
        text = base64.b64encode(json.dumps(MESSAGE).encode()).decode()
        packed["response"]["content"] |= {"text": text, "encoding": "base64"}
        assert one(packed)["response"] == {"id": "msg_1", "usage": USAGE}

    def test_frames(self) -> None:
        """Bedrock's streams lie in frames of Amazon's, kept as base64."""
        model = "eu.anthropic.claude-opus-5-5-v1%3A0"
        url = f"https://{BEDROCK}/model/{model}/invoke-with-response-stream"
        body = {"anthropic_version": "bedrock-2023-05-31", **BODY}
        del body["model"]
        text = base64.b64encode(b"".join(map(frame, EVENTS))).decode()
        packed = entry(url, body, kind="application/vnd.amazon.eventstream")
        packed["response"]["content"] |= {"text": text, "encoding": "base64"}
        line = one(packed)
        assert recorded_usage(line["response"]["usage"]) == STREAMED
        assert line["platform"] == "bedrock"
        assert line["request"]["model"] == "eu.anthropic.claude-opus-5-5-v1:0"

    @pytest.mark.parametrize("status", [400, 429, 500, 529])
    def test_refusals(self, status: int) -> None:
        """A refused call has failed; of what was said only the kind is kept."""
        said = {"type": "error", "error": {"type": "api_error", "message": "sk-ant-header?"}}
        line = one(entry(answer=said, status=status))
        assert line["response"] == {"type": "error", "error": {"type": "api_error"}}

    def test_a_page_of_a_gateway(self) -> None:
        """A refusal that is no JSON is one all the same, and is counted as unread."""
        lines, counted = told(har, archive(entry(answer="<html>", status=502, kind="text/html")))
        assert lines[0]["response"]["error"] == {"type": "http_502"}
        assert list(counted.values()) == [1]

    @pytest.mark.parametrize("status", [0, -1])
    def test_aborted(self, status: int) -> None:
        """What nobody answered has failed."""
        line = one(entry(status=status, answer=""))
        assert line["response"] == {"type": "error", "error": {"type": "aborted"}}

    @pytest.mark.parametrize("content", [{}, {"size": -1}, {"text": ""}])
    def test_not_kept(self, content: dict[str, Any]) -> None:
        """An answer that the browser did not keep leaves a call whose charge is unknown."""
        packed = entry()
        packed["response"]["content"] = content
        assert "response" not in one(packed)

    @given(cut=st.integers(1, 400))
    def test_cut_streams(self, cut: int) -> None:
        """A stream that was cut anywhere says what it said until then, and breaks nothing."""
        text = stream(*EVENTS)
        line = one(entry(answer=text[: min(cut, len(text))], kind="text/event-stream"))
        usage = line.get("response", {}).get("usage")
        assert usage is None or recorded_usage(usage).write_1h == 10


class TestCalls:
    """Which requests are calls, and what is said of them."""

    @pytest.mark.parametrize(
        ("url", "platform"),
        [
            ("https://api.anthropic.com/v1/messages?beta=true", None),
            ("https://gateway.lighthouse.test/llm/anthropic/v1/messages", None),
            ("https://aws-external-anthropic.eu-west-1.api.aws/v1/messages", "aws"),
            ("https://bedrock-mantle.eu-west-1.api.aws/anthropic/v1/messages", "bedrock"),
            ("https://lamp.services.ai.azure.com/anthropic/v1/messages", "foundry"),
        ],
    )
    def test_addresses(self, url: str, platform: str | None) -> None:
        """The API's path is a call at any host; known hosts say the platform."""
        assert one(entry(url)).get("platform") == platform

    def test_google(self) -> None:
        """Google's path names the model, and its platform."""
        url = (
            "https://europe-west1-aiplatform.googleapis.com/v1/projects/p/locations/europe-west1"
            "/publishers/anthropic/models/claude-opus-4-6@20260205:streamRawPredict"
        )
        body = {key: part for key, part in BODY.items() if key != "model"}
        line = one(entry(url, body))
        assert (line["platform"], line["request"]["model"]) == (
            "google",
            "claude-opus-4-6@20260205",
        )

    def test_when_and_who(self) -> None:
        """Time, first byte, id and workspace come from their places in the entry."""
        asked = entry()
        asked["request"]["headers"].append({"name": "anthropic-workspace-id", "value": "wrkspc_1"})
        line = one(asked)
        assert line["at"] == "2026-11-21T09:00:00.250000+01:00"
        assert line["first_token_after"] == pytest.approx(0.5)
        assert (line["id"], line["workspace"]) == ("req_1", "wrkspc_1")

    def test_a_proxy_connects_while_it_waits(self) -> None:
        """Where no browser measured, the connection lies inside of the wait."""
        timings = {"connect": 50, "ssl": -1.0, "send": 1, "receive": 3, "wait": 349}
        assert one(entry(timings=timings))["first_token_after"] == pytest.approx(0.35)

    def test_others(self) -> None:
        """Other providers, other models and pictures are counted, each as what it is."""
        chat = entry("https://api.openai.com/v1/chat/completions", {"model": "gpt-5.5"})
        cut = entry("https://api.openai.com/v1/responses", "{")
        other = entry(body=BODY | {"model": "glm-5"})
        picture = entry("https://lighthouse.test/lamp.png")
        picture["request"] |= {"method": "GET", "postData": None}
        lines, counted = told(har, archive(chat, cut, other, picture))
        assert not lines
        assert counted == {
            "calls of other providers, left out": 3,
            "requests that are no calls of a model, left out": 1,
        }

    @pytest.mark.parametrize(
        ("url", "body"),
        [
            ("https://api.anthropic.com/v1/chat/completions", {"model": "claude-opus-5-5"}),
            ("https://openrouter.ai/api/v1/chat/completions", {"model": "anthropic/claude-x"}),
            (
                f"https://{BEDROCK}/model/eu.anthropic.claude-opus-5-5-v1%3A0/converse-stream",
                {"messages": []},
            ),
        ],
    )
    def test_other_forms(self, url: str, body: dict[str, Any]) -> None:
        """Calls to Claude through other APIs are counted as those."""
        lines, counted = told(har, archive(entry(url, body)))
        assert not lines
        assert counted == {"calls to Claude in the form of another API, left out": 1}

    def test_bodies_that_were_not_kept(self) -> None:
        """A call without its body is counted, and is none."""
        gone = entry()
        gone["request"]["postData"] = {"mimeType": "application/json"}
        lines, counted = told(har, archive(gone))
        assert (lines, counted) == ([], {"calls whose body was not exported, left out": 1})

    def test_secrets(self) -> None:
        """Keys, cookies and names of people get no further, wherever they stand."""
        body = BODY | {
            "metadata": {"user_id": "ada@lighthouse.test"},
            "mcp_servers": [{"type": "url", "name": "oil", "authorization_token": "sk-mcp"}],
        }
        asked = entry("https://ada:sk-ant-query@h.test/v1/messages?key=sk-ant-query", body)
        line = json.dumps(one(asked))
        raw = archive(asked).decode()
        assert all(secret in raw and secret not in line for secret in SECRETS)
        assert '"name": "oil"' in line


class TestTheFile:
    """Where archives begin and what is wrong with them."""

    def test_it_is_recognised(self) -> None:
        """An archive is told by its entries, and nothing else is one."""
        assert har.matches(head_of(MADE))
        assert har.matches(head_of(archive(entry())))
        assert not any(har.matches(head_of(raw)) for raw in other_logs("har"))

    @pytest.mark.parametrize(
        ("broken", "what"),
        [
            (entry(body="{"), "request.postData.text: the JSON ends too early"),
            (entry(body="[1]"), "request.postData.text: expected an object, found a list"),
            (entry(startedDateTime="dusk"), "startedDateTime: "),
            (entry(request=None), "request: expected object, got null"),
        ],
    )
    def test_faults(self, broken: dict[str, Any], what: str) -> None:
        """What is wrong with an entry says which it is and where; or it is skipped."""
        raw = archive(entry(), broken)
        with pytest.raises(InputError) as caught:
            told(har, raw)
        assert str(caught.value).startswith(f"log line 2: {what}")
        lines, counted = told(har, raw, skip_bad=True)
        assert len(lines) == 1
        assert counted == {"lines that could not be read, skipped": 1}

    def test_an_archive_that_is_cut_off(self) -> None:
        """What stands before the cut is read."""
        raw = archive(entry(), entry(), entry())
        lines, _ = told(har, raw[: len(raw) - 40], skip_bad=True)
        assert len(lines) == 2


def _entries() -> list[bytes]:
    """Return entries of many sorts, each as a line."""
    kinds = [
        entry(),
        entry(answer=stream(*EVENTS), kind="text/event-stream"),
        entry(status=529),
        entry("https://h.test/model/anthropic.claude-opus-5/invoke", BODY),
        entry("https://h.test/v1/messages/batches", {"requests": [{"params": BODY}]}),
    ]
    return [json.dumps(each).encode() for each in kinds]


def _is_json(line: bytes) -> bool:
    """Tell whether a broken entry does not break the archive around it."""
    try:
        msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return False
    return True


def _fuzz(number: int, seed: int) -> None:
    """Read broken archives: of broken entries, as many as JSON lets, and broken as a whole."""
    lines = list(hostile_lines(_entries(), number * 3 // 4, seed))
    kept = [line for line in lines if _is_json(line)]
    files = [b",".join(kept[at : at + 100]) for at in range(0, len(kept), 100)]
    for inside in [*files, *(line for line in lines if not _is_json(line))]:
        survives(har, b'{"log": {"version": "1.2", "entries": [' + inside + b"]}}")
    for whole in hostile_lines([archive(entry(), entry())], number - len(lines), seed):
        survives(har, whole)


def test_broken_archives() -> None:
    """Nothing but an error in a sentence comes of a broken archive."""
    _fuzz(2_000, 1)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_many_broken_archives() -> None:
    """Nor of a hundred thousand."""
    _fuzz(100_000, 2)
