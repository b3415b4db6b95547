"""Helicone's rows: calls told from what its cache answered, bodies from what is left of them."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lighthouse import BODIES
from mutations import survives_all
from told import charged, head_of, logged, other_logs, replayed, told, total, workload_of

from cacheplan.errors import InputError
from cacheplan.io.readers import helicone
from cacheplan.stated import recorded_usage
from cacheplan.usage import Usage

MADE: Final = logged("helicone.jsonl.gz")
ROWS: Final = MADE.splitlines()
BODY: Final = {
    "model": "claude-opus-5-5",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Is lamp 7 lit?"}],
}
USAGE: Final = {"input_tokens": 9, "output_tokens": 4, "cache_read_input_tokens": 700}
MESSAGE: Final = {"id": "msg_1", "type": "message", "usage": USAGE}
OWN: Final = "00000000-0000-4000-8000-000000000007"
UNKEPT: Final = {"calls whose body was not exported, left out": 1}


def row(**columns: Any) -> dict[str, Any]:
    """Return one row with the columns that matter."""
    return {
        "response_id": "r",
        "response_body": MESSAGE,
        "response_created_at": "2026-11-21 09:00:01.250",
        "response_status": 200,
        "request_id": OWN,
        "request_body": BODY,
        "request_created_at": "2026-11-21 09:00:00.250",
        "provider": "ANTHROPIC",
        "request_model": "claude-opus-5-5",
        "target_url": "https://api.anthropic.com/v1/messages",
        "cache_reference_id": "00000000-0000-0000-0000-000000000000",
        "cache_enabled": False,
    } | columns


def one(**columns: Any) -> dict[str, Any]:
    """Return the line that comes of one row."""
    lines, counted = told(helicone, json.dumps(row(**columns)))
    assert (len(lines), counted) == (1, {})
    return lines[0]


def none(**columns: Any) -> dict[str, int]:
    """Return what is counted of one row that is no call."""
    lines, counted = told(helicone, json.dumps(row(**columns)))
    assert not lines
    return counted


class TestTheConversation:
    """Rows around bodies that the SDK sent, and what the service answered."""

    def test_usage(self) -> None:
        """Plain, streamed or only counted in columns: each charge is the service's own."""
        lines, _ = told(helicone, MADE)
        answered = [recorded_usage(line["response"]["usage"]) for line in lines[:12]]
        assert answered == charged("helicone.usage.json")
        assert total(lines) == sum(answered, Usage())

    def test_bodies(self) -> None:
        """Each body is the one that was sent, marks and all."""
        lines, _ = told(helicone, MADE)
        assert [line["request"] for line in lines[:4]] == BODIES

    def test_it_is_replayed(self) -> None:
        """Served again by the simulator, every call is charged what was recorded."""
        lines, _ = told(helicone, MADE)
        pairs = replayed(workload_of(lines))
        assert len(pairs) == 12
        assert all(recorded == usage for recorded, usage in pairs)

    def test_what_is_left_out(self) -> None:
        """Each row that is no call of ours is counted as what it is."""
        lines, counted = told(helicone, MADE)
        assert lines[-1]["response"] == {"type": "error", "error": {"type": "overloaded_error"}}
        assert len(lines) == 13
        assert counted == {
            "calls of other providers, left out": 1,
            "calls to Claude in the form of another API, left out": 1,
            "answers out of Helicone's own cache, left out": 1,
            "calls whose body was not exported, left out": 3,
            "calls that only count tokens, left out": 1,
        }

    def test_people_and_keys(self) -> None:
        """Who asked, the caller's properties and the links' signatures are in no line."""
        lines, _ = told(helicone, MADE)
        text = json.dumps(lines)
        for secret in ("keeper@lighthouse.test", "Ada Keeper", "sk-ant-signature"):
            assert secret.encode() in MADE
            assert secret not in text
        assert {line["session"] for line in lines} == {"night-7"}


class TestBodies:
    """What stands where a body should."""

    @pytest.mark.parametrize("wrap", [b"%s", b'{"data": [%s], "error": null}'])
    def test_files(self, wrap: bytes) -> None:
        """Lists and what the API answers are read like lines are."""
        one_by_one, counted = told(helicone, MADE)
        listed = b",".join(ROWS)
        whole = wrap % listed if wrap != b"%s" else b"[" + listed + b"]"
        assert told(helicone, whole) == (one_by_one, counted)

    @pytest.mark.parametrize(
        "body", [None, {}, {"model": "claude-opus-5-5"}, "", "user: Is lamp 7 lit?"]
    )
    def test_left_out(self, body: Any) -> None:
        """A body that was not exported, or is only text to be searched, is counted."""
        assert none(request_body=body) == UNKEPT

    def test_written_as_text(self) -> None:
        """A body that is JSON in a text is read as the JSON."""
        line = one(request_body=json.dumps(BODY, indent=1), response_body=json.dumps(MESSAGE))
        assert (line["request"], line["response"]["usage"]) == (BODY, USAGE)

    def test_pictures(self) -> None:
        """A picture that was replaced by its name leaves a text that is not whole."""
        source = {
            "type": "base64",
            "media_type": "image/png",
            "data": '<helicone-asset-id key="1"/>',
        }
        said = [{"role": "user", "content": [{"type": "image", "source": source}]}]
        assert one(request_body=BODY | {"messages": said})["lacks"] == ["text"]

    def test_secrets(self) -> None:
        """Of a body only what decides nothing and may name people is dropped."""
        body = BODY | {"metadata": {"user_id": "ada@lighthouse.test"}}
        assert one(request_body=body)["request"] == BODY

    def test_models_of_the_path(self) -> None:
        """Bedrock's bodies name no model; their address does, and tells the platform."""
        body = {key: part for key, part in BODY.items() if key != "model"}
        body["anthropic_version"] = "bedrock-2023-05-31"
        url = "https://bedrock-runtime.eu-west-1.amazonaws.com/model/eu.anthropic.claude-opus-5-5-v1%3A0/invoke"
        line = one(request_body=body, target_url=url, provider="AWS", request_model=None)
        assert line["platform"] == "bedrock"
        assert line["request"]["model"] == "eu.anthropic.claude-opus-5-5-v1:0"

    @pytest.mark.parametrize(
        ("provider", "platform"),
        [("bedrock", "bedrock"), ("vertex", "google"), ("anthropic", None)],
    )
    def test_providers_of_the_gateway(self, provider: str, platform: str | None) -> None:
        """Where no address says it, the provider's name tells the platform."""
        line = one(provider=provider, target_url="", ai_gateway_body_mapping="NO_MAPPING")
        assert line.get("platform") == platform

    @pytest.mark.parametrize(
        ("columns", "answer"),
        [
            ({"ai_gateway_body_mapping": "OPENAI"}, {"object": "chat.completion", "choices": []}),
            ({"request_referrer": "ai-gateway"}, MESSAGE),
        ],
    )
    def test_the_gateway(self, columns: dict[str, Any], answer: dict[str, Any]) -> None:
        """A body that the gateway translates is told as Claude was told it, system first."""
        light = {"name": "light", "parameters": {"type": "object", "properties": {}}}
        body = {
            "model": "claude-opus-5-5",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Light it."},
                {"role": "assistant", "tool_calls": [
                    {"id": "t1", "type": "function",
                     "function": {"name": "light", "arguments": '{"lamp": 7}'}},
                ]},
                {"role": "tool", "tool_call_id": "t1", "content": "lit"},
                {"role": "system", "content": "Be very brief."},
            ],
            "tools": [{"type": "function", "function": light}],
        }  # fmt: skip
        counts = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_cache_read_tokens": 700}
        line = one(request_body=body, response_body=answer, **columns, **counts)
        sent = line["request"]
        assert [block["text"] for block in sent["system"]] == ["Be brief.", "Be very brief."]
        assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "user"]
        assert sent["tools"][0]["input_schema"] == light["parameters"]
        assert recorded_usage(line["response"]["usage"]) == recorded_usage(USAGE)
        assert line["lacks"] == ["marks", "settings"]
        assert workload_of([line]).calls[0].refused is None

    @pytest.mark.parametrize(
        "columns", [{"ai_gateway_body_mapping": "RESPONSES"}, {"response_body": {"choices": []}}]
    )
    def test_other_forms(self, columns: dict[str, Any]) -> None:
        """Calls to Claude in the form of any other API are counted."""
        assert none(**columns) == {"calls to Claude in the form of another API, left out": 1}

    def test_a_batch(self) -> None:
        """The requests of a batch are counted one by one."""
        url = "https://api.anthropic.com/v1/messages/batches"
        counted = none(target_url=url, request_body={"requests": [{}, {}]})
        assert list(counted.values()) == [2]


class TestAnswers:
    """What was billed, wherever it is still said."""

    @pytest.mark.parametrize("status", [429, 500, "529"])
    def test_refusals(self, status: int | str) -> None:
        """A refused call has failed, whatever is left of its answer."""
        line = one(response_status=status, response_body={"helicone_error": "error parsing"})
        assert line["response"]["type"] == "error"

    def test_the_stream_is_asked_first(self) -> None:
        """Where the stream is kept, its last counts win over the merged answer's."""
        start = {"type": "message_start", "message": {"id": "msg_2", "usage": USAGE}}
        end = {"type": "message_delta", "usage": {"input_tokens": 11, "output_tokens": 6}}
        stream = "".join(f"data: {json.dumps(each)}\n\n" for each in (start, end))
        usage = one(response_body=MESSAGE | {"streamed_data": stream})["response"]["usage"]
        assert recorded_usage(usage) == Usage(uncached=11, read=700, output=6)

    @pytest.mark.parametrize("stream", ["", "data: {", "<html>", None, [1]])
    def test_the_merged_answer_is_asked_next(self, stream: Any) -> None:
        """A stream that says nothing leaves the merged answer's counts."""
        raw = json.dumps(row(response_body=MESSAGE | {"streamed_data": stream}))
        lines, _ = told(helicone, raw)
        assert lines[0]["response"]["usage"] == USAGE

    @given(
        prompt=st.integers(0, 10**6),
        output=st.integers(0, 10**6),
        read=st.integers(0, 10**6),
        written=st.integers(0, 10**6),
        text=st.booleans(),
    )
    def test_columns(
        self, prompt: int, output: int, read: int, written: int, *, text: bool
    ) -> None:
        """The columns' input leaves out what was cached, however large; all none is unknown."""
        counts: dict[str, Any] = {
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "total_tokens": prompt + output,
            "prompt_cache_read_tokens": read,
            "prompt_cache_write_tokens": written,
        }
        if text:
            counts = {name: str(count) for name, count in counts.items()}
        line = one(response_body={"type": "message_stop"}, **counts)
        assert line.get("lacks", []) == (["lifetimes"] if written else [])
        if not any((prompt, output, read, written)):
            assert "response" not in line
            return
        found = recorded_usage(line["response"]["usage"])
        assert found == Usage(uncached=prompt, read=read, write_5m=written, output=output)

    @pytest.mark.parametrize("reference", [None, "", OWN])
    def test_no_repetition(self, reference: str | None) -> None:
        """A row that names nothing, or itself, repeats no other."""
        assert one(cache_reference_id=reference)["id"] == OWN


class TestTheFile:
    """Where rows begin and what is wrong with them."""

    def test_it_is_recognised(self) -> None:
        """Rows are told by their columns, in lines, lists and documents; nothing else is."""
        for raw in (MADE, b"[" + ROWS[0] + b"]", b'{"data": [' + ROWS[0] + b"]}"):
            assert helicone.matches(head_of(raw))
        assert not any(helicone.matches(head_of(raw)) for raw in other_logs("helicone"))

    @pytest.mark.parametrize(
        ("columns", "what"),
        [
            ({"request_created_at": "2026-13-45"}, 'request_created_at: "2026-13-45" is neither'),
            ({"request_created_at": None}, "request_created_at: this is not a number"),
            ({"response_body": {}, "prompt_tokens": "many"}, 'prompt_tokens: "many" is not a'),
            ({"response_body": {}, "prompt_tokens": -1}, "-1 tokens input are fewer than none"),
            ({"request_body": '{"model": "c'}, "request_body: the JSON ends too early"),
            ({"response_body": '{"model": "c'}, "response_body: the JSON ends too early"),
            ({"request_id": 7}, "request_id: expected str"),
        ],
    )
    def test_faults(self, columns: dict[str, Any], what: str) -> None:
        """What is wrong with a row says which it is and where; or it is skipped."""
        raw = json.dumps(row()) + "\n" + json.dumps(row(**columns)) + "\n"
        with pytest.raises(InputError) as caught:
            told(helicone, raw)
        assert str(caught.value).startswith(f"log line 2: {what}")
        lines, counted = told(helicone, raw, skip_bad=True)
        assert len(lines) == 1
        assert counted == {"lines that could not be read, skipped": 1}


def _fuzz(number: int, seed: int) -> None:
    """Read broken rows, many in one file and some in lists."""
    short = [
        row(),
        row(response_body=MESSAGE | {"streamed_data": "data: {}\n\n"}),
        row(response_body={}, prompt_tokens="7", prompt_cache_write_tokens=9),
        row(request_body=json.dumps(BODY), request_properties={"Helicone-Session-Id": "s"}),
        row(ai_gateway_body_mapping="OPENAI", response_body={"choices": []}),
        row(target_url="https://h.test/v1/messages/batches", request_body={"requests": [{}]}),
    ]
    survives_all(helicone, short, number, seed)


def test_broken_rows() -> None:
    """Nothing but an error in a sentence comes of broken rows."""
    _fuzz(2_000, 1)


@pytest.mark.long
def test_many_broken_rows() -> None:
    """Nor of a hundred thousand."""
    _fuzz(100_000, 2)
