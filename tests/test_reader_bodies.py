"""Bodies as people log them: alone, beside their answers, or inside an HTTP exchange."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lighthouse import BODIES
from mutations import survives_all
from told import charged, head_of, logged, other_logs, replayed, told, workload_of

from cacheplan.errors import InputError
from cacheplan.io.readers import bodies
from cacheplan.stated import recorded_usage
from cacheplan.usage import Usage

MADE: Final = logged("bodies.jsonl.gz")
BODY: Final = {
    "model": "claude-opus-5-5",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Is lamp 7 lit?"}],
}
USAGE: Final = {"input_tokens": 9, "output_tokens": 4, "cache_read_input_tokens": 700}
MESSAGE: Final = {"id": "msg_1", "type": "message", "usage": USAGE}
EVENTS: Final = (
    {"type": "message_start", "message": {"id": "msg_1", "usage": USAGE | {"output_tokens": 1}}},
    {"type": "message_delta", "usage": {"output_tokens": 4}},
)
STREAM: Final = "".join(f"event: x\ndata: {json.dumps(each)}\n\n" for each in EVENTS)
TIMELESS: Final = "calls without a time, taken to be a second apart in the order of the file"
WHEN: Final = "2026-11-21T09:00:00+00:00"


def one(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the line that comes of one entry."""
    lines, counted = told(bodies, json.dumps(entry))
    assert len(lines) == 1
    assert not counted or counted == {TIMELESS: 1}
    return lines[0]


class TestTheConversation:
    """Bodies that the SDK sent, and what the service answered."""

    def test_usage(self) -> None:
        """Each call's charge is what the service says it charged."""
        lines, counted = told(bodies, MADE)
        usage = [recorded_usage(line["response"]["usage"]) for line in lines]
        assert (usage, counted) == (charged("bodies.usage.json"), {})

    def test_bodies(self) -> None:
        """Each body is the one that was sent, marks and all."""
        lines, _ = told(bodies, MADE)
        assert [line["request"] for line in lines] == BODIES

    def test_it_is_replayed(self) -> None:
        """Served again by the simulator, every call is charged what was recorded."""
        lines, _ = told(bodies, MADE)
        pairs = replayed(workload_of(lines))
        assert len(pairs) == 4
        assert all(recorded == usage for recorded, usage in pairs)


class TestForms:
    """The habits that are read."""

    @pytest.mark.parametrize(
        "entry",
        [
            {"request": BODY, "response": MESSAGE},
            {"body": BODY, "response": MESSAGE},
            {"input": BODY, "output": MESSAGE},
            {"request": json.dumps(BODY, indent=1), "response": json.dumps(MESSAGE)},
            {"request": BODY, "response": STREAM},
            {"request": BODY, "response": list(EVENTS)},
            {"request": {"url": "u", "body": BODY}, "response": {"status": 200, "body": MESSAGE}},
            {
                "request": {"body": json.dumps(BODY)},
                "response": {"status_code": 200, "body": STREAM},
            },
            {"request": {"body": BODY}, "response": {"body": None, "body_raw": STREAM}},
            BODY | {"response": MESSAGE},
        ],
    )
    def test_bodies_and_answers(self, entry: dict[str, Any]) -> None:
        """Wherever body and answer stand, the call is the same."""
        line = one(entry | {"timestamp": "2026-11-21 09:00:00"})
        assert line == {
            "at": WHEN,
            "request": BODY,
            "response": {"id": "msg_1", "usage": recorded(line)},
        }
        assert recorded_usage(line["response"]["usage"]) == recorded_usage(USAGE)

    def test_usage_alone(self) -> None:
        """Counts beside a body are its answer."""
        line = one({"request": BODY, "usage": USAGE, "ts": 7})
        assert line["response"] == {"usage": USAGE}

    def test_ids(self) -> None:
        """What names a call elsewhere may name a whole task here, and is no call's name."""
        entry = {"request_id": "r", "id": "i", "session_id": "s", "request": BODY, "ts": 7}
        assert one(entry) == {"at": 7, "request": BODY, "session": "s"}

    def test_no_answer(self) -> None:
        """A body alone is a call of which nobody knows what it was charged."""
        assert one(BODY) == {"at": 1, "request": BODY, "lacks": ["times"]}

    @pytest.mark.parametrize("wrap", ["%s\n%s\n", "[%s, %s]", '{"calls": [%s,\n%s]}'])
    def test_files(self, wrap: str) -> None:
        """Lines, lists and documents hold the same calls."""
        texts = [json.dumps(body) for body in BODIES[:2]]
        lines, counted = told(bodies, wrap % tuple(texts))
        assert [line["request"] for line in lines] == BODIES[:2]
        assert counted == {TIMELESS: 2}

    def test_a_document(self) -> None:
        """One body, written over many lines, is one call; its line is one."""
        assert one(json.loads(json.dumps(BODY, indent=2)))["request"] == BODY
        lines, _ = told(bodies, json.dumps(BODY, indent=2))
        assert lines[0]["request"] == BODY

    @pytest.mark.parametrize(
        ("response", "kind"),
        [
            ({"type": "error", "error": {"type": "overloaded_error"}}, "overloaded_error"),
            ({"status": 529, "body": "<html>"}, "http_529"),
            ({"status_code": 500}, "http_500"),
        ],
    )
    def test_refusals(self, response: dict[str, Any], kind: str) -> None:
        """A refused call has failed; of what was said only the kind is kept."""
        lines, _ = told(bodies, json.dumps({"request": BODY, "response": response}))
        assert lines[0]["response"] == {"type": "error", "error": {"type": kind}}

    def test_addresses(self) -> None:
        """An address tells the platform, and other uses of the API from calls."""
        base = "https://aws-external-anthropic.eu-west-1.api.aws/v1/messages"
        lines, counted = told(
            bodies,
            "\n".join(
                json.dumps({"ts": 1, "request": {"url": base + path, "body": body}})
                for path, body in (
                    ("", BODY),
                    ("/count_tokens", BODY),
                    ("/batches", {"requests": [{"params": BODY}] * 3}),
                )
            ),
        )
        assert [line["platform"] for line in lines] == ["aws"]
        assert sorted(counted.values()) == [1, 3]

    def test_others(self) -> None:
        """Other providers, other forms and entries without a body are counted."""
        other = {"request": BODY | {"model": "gpt-5.5"}}
        foreign = {"request": BODY, "response": {"choices": []}}
        nothing = {"level": "info", "msg": "the lamp is lit"}
        lines, counted = told(bodies, "\n".join(map(json.dumps, (other, foreign, nothing))))
        assert not lines
        assert counted == {
            "calls of other providers, left out": 1,
            "calls to Claude in the form of another API, left out": 1,
            "entries without the body of a call, left out": 1,
        }

    def test_secrets(self) -> None:
        """Headers, keys and names of people get no further, wherever they stand."""
        body = BODY | {
            "metadata": {"user_id": "ada@lighthouse.test"},
            "extra_headers": {"x-api-key": "sk-ant-extra"},
            "mcp_servers": [{"type": "url", "name": "oil", "authorization_token": "sk-mcp"}],
        }
        headers = {"authorization": "Bearer sk-ant-header", "cookie": "sk-ant-cookie"}
        for entry in (
            {"request": {"headers": headers, "body": body}, "response": {"headers": headers}},
            {"request": body, "headers": headers, "api_key": "sk-ant-key"},
            body | {"api_key": "sk-ant-key"},
            body | headers | {"X-Api-Key": "sk-ant-key", "user_email": "ada@lighthouse.test"},
        ):
            text = json.dumps(one(entry))
            assert "sk-" not in text
            assert "ada@" not in text


def recorded(line: dict[str, Any]) -> Any:
    """Return the usage of a line as it stands there."""
    return line["response"]["usage"]


class TestTimes:
    """When a call was sent."""

    @pytest.mark.parametrize(
        "found",
        [
            "2026-11-21T09:00:00Z", "2026-11-21t09:00:00z", "2026-11-21 09:00:00",
            "2026-11-21T10:00:00+01:00", 1795251600, 1795251600.0, 1795251600000,
            1795251600000000, "1795251600", "1795251600000",
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("name", ["timestamp", "ts", "time", "created_at", "date"])
    def test_times(self, name: str, found: Any) -> None:
        """Text or number, with a zone or without, in seconds or parts of them: one moment."""
        line = one({"request": BODY, name: found})
        assert workload_of([line]).calls[0].at == 1795251600
        assert "lacks" not in line

    @given(number=st.integers(1, 200))
    def test_no_times(self, number: int) -> None:
        """Calls without times stand a second apart, and each line says that it lacks them."""
        lines, counted = told(bodies, "\n".join([json.dumps(BODY)] * number))
        assert [line["at"] for line in lines] == list(range(1, number + 1))
        assert all(line["lacks"] == ["times"] for line in lines)
        assert counted == {TIMELESS: number}

    @pytest.mark.parametrize("found", ["dusk", "nan", "1e999", [], True, {}, 10**40])
    def test_no_time_at_all(self, found: Any) -> None:
        """What is no time is a fault where it stands."""
        with pytest.raises(InputError, match=r"^log line 1: ts: "):
            one({"request": BODY, "ts": found})


class TestTheFile:
    """Which files hold bodies."""

    @pytest.mark.parametrize(
        "entry",
        [
            BODY,
            {"request": BODY},
            {"input": BODY},
            {"ts": 1, "request": {"url": "u", "body": BODY}},
        ],
    )
    def test_it_is_recognised(self, entry: dict[str, Any]) -> None:
        """Bodies are told by a model beside messages."""
        for text in (json.dumps(entry), json.dumps([entry]), json.dumps(entry, indent=1)):
            assert bodies.matches(head_of(text.encode()))

    @pytest.mark.parametrize(
        "entry",
        [
            {"at": 1, "request": BODY},
            {"request": BODY, "calls_per_hour": 9},
            {"custom_id": "a", "params": BODY},
            {"requests": [{"custom_id": "a", "params": BODY}]},
            {"traceId": "a", "input": BODY},
            {"litellm_call_id": "a", **BODY},
            {"level": "info"},
        ],
    )
    def test_other_formats(self, entry: dict[str, Any]) -> None:
        """Lines of the contract's own form, batches and other tools' logs are not these."""
        assert not bodies.matches(head_of(json.dumps(entry).encode()))

    def test_other_logs(self) -> None:
        """Nor is any other log that is kept beside the tests."""
        assert not any(bodies.matches(head_of(raw)) for raw in other_logs("bodies"))
        assert bodies.matches(head_of(MADE))

    def test_faults(self) -> None:
        """What is wrong with an entry says which it is and where; or it is skipped."""
        raw = json.dumps(BODY) + '\n{"request": "{\\"messages\\": "}\n' + json.dumps(BODY) + "\n"
        with pytest.raises(InputError, match=r"^log line 2: request: the JSON ends too early"):
            told(bodies, raw)
        lines, _ = told(bodies, raw, skip_bad=True)
        assert len(lines) == 2

    def test_half_a_line(self) -> None:
        """The line that a program is still writing is left out, and counted as that."""
        lines, counted = told(bodies, json.dumps(BODY) + "\n" + json.dumps(BODY)[:-9])
        assert len(lines) == 1
        assert "half lines at the end of a file that is still being written, left out" in counted

    def test_whole_streams_are_counted_like_answers(self) -> None:
        """A stream's text says the same as the message that came of it."""
        told_of = [one({"request": BODY, "response": each}) for each in (MESSAGE, STREAM)]
        first, second = (recorded_usage(recorded(line)) for line in told_of)
        assert first == second == Usage(uncached=9, read=700, output=4)


def _fuzz(number: int, seed: int) -> None:
    """Read broken entries, many in one file and some as documents."""
    short = [
        BODY,
        {"ts": WHEN, "request": BODY, "response": MESSAGE},
        {
            "request": {"url": "https://h.test/v1/messages", "body": BODY},
            "response": {"body": STREAM},
        },
        {"input": BODY | {"mcp_servers": [{"authorization_token": "x"}]}, "output": list(EVENTS)},
        {"body": json.dumps(BODY), "response": json.dumps(MESSAGE), "created_at": 1795251600000},
    ]
    survives_all(bodies, short, number, seed)


def test_broken_entries() -> None:
    """Nothing but an error in a sentence comes of broken entries."""
    _fuzz(2_000, 1)


@pytest.mark.long
def test_many_broken_entries() -> None:
    """Nor of a hundred thousand."""
    _fuzz(100_000, 2)
