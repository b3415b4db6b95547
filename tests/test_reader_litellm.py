"""LiteLLM's logs: what its own proxy wrote of one conversation, had three ways."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any, Final

import duckdb
import msgspec
import pytest
from lighthouse import BODIES
from mutations import hostile_lines, survives
from told import LOGS, head_of, logged, replayed, told, total, workload_of

from cacheplan.errors import InputError, UnsupportedError
from cacheplan.io.documents import File
from cacheplan.io.readers import READERS, litellm
from cacheplan.io.tally import Tally
from cacheplan.stated import recorded_usage
from cacheplan.usage import Usage

PAYLOADS: Final = logged("litellm_payloads.jsonl.gz")
ROWS: Final = logged("litellm_spend.jsonl.gz")
CUT: Final = logged("litellm_cut_spend.jsonl.gz")
TABLE: Final = logged("litellm_spend.csv.gz")
PARQUET: Final = logged("litellm_spend.parquet")
CHARGED: Final[dict[str, list[Usage]]] = {
    name: [Usage(**counts) for counts in each]
    for name, each in json.loads(logged("litellm.json")).items()
}
#: What stands in the log and is no call that was charged.
LEFT_OUT: Final = {
    "calls of other providers, left out": 1,
    "answers out of LiteLLM's own cache, left out": 1,
}
every_form: Final = pytest.mark.parametrize(
    "raw", [PAYLOADS, ROWS, TABLE, PARQUET], ids=["payloads", "rows", "table", "parquet"]
)

OTHERS: Final = "calls of other providers"
USAGE: Final = {
    "prompt_tokens": 1_009,
    "completion_tokens": 4,
    "total_tokens": 1_013,
    "prompt_tokens_details": {"cached_tokens": 700, "cache_creation_tokens": 300},
}
CHAT: Final = {
    "model": "keeper",
    "messages": [
        {"role": "system", "content": "Be brief.", "cache_control": {"type": "ephemeral"}},
        {"role": "user", "content": "Is lamp 7 lit?"},
    ],
    "max_tokens": 9,
}


def row(**columns: Any) -> dict[str, Any]:
    """Return one row with the columns that matter."""
    return {
        "request_id": "chatcmpl-1",
        "call_type": "acompletion",
        "startTime": "2026-11-21 09:00:00.250",
        "endTime": "2026-11-21 09:00:02.250",
        "completionStartTime": "2026-11-21 09:00:01",
        "model": "anthropic/claude-opus-5-5",
        "custom_llm_provider": "anthropic",
        "cache_hit": "False",
        "messages": {},
        "metadata": {"usage_object": USAGE},
        "response": {"id": "chatcmpl-1"},
        "proxy_server_request": CHAT,
        "session_id": "9d2cbbd5-5f7e-4d0a-92a4-0a2b8a2dd3c1",
        "status": "success",
    } | columns


def one(**columns: Any) -> dict[str, Any]:
    """Return the line that comes of one row."""
    lines, counted = told(litellm, json.dumps(row(**columns)))
    assert (len(lines), counted) == (1, {})
    return lines[0]


def none(**columns: Any) -> dict[str, int]:
    """Return what is counted of one row that is no call."""
    lines, counted = told(litellm, json.dumps(row(**columns)))
    assert not lines
    return counted


def refused(**columns: Any) -> str:
    """Return the sentence that refuses a row."""
    with pytest.raises(InputError) as caught:
        told(litellm, json.dumps(row(**columns)))
    return str(caught.value)


class TestTheConversation:
    """What the proxy wrote, and what the service charged."""

    @every_form
    def test_usage(self, raw: bytes) -> None:
        """Each call's charge is the service's own, to the token, in whichever file it stands."""
        lines, counted = told(litellm, raw)
        found = [recorded_usage(line["response"]["usage"]) for line in lines[:-1]]
        assert found == CHARGED["litellm"]
        assert total(lines) == sum(CHARGED["litellm"], Usage())
        assert lines[-1]["response"]["type"] == "error"
        assert counted == LEFT_OUT

    @every_form
    def test_native_bodies(self, raw: bytes) -> None:
        """A body in Anthropic's form comes out as it went in, or says what is not there."""
        lines, _ = told(litellm, raw)
        gone = ["marks", "system"] if raw is PAYLOADS else []
        for line, body in zip(lines[4:8], BODIES, strict=True):
            assert line.get("lacks", []) == gone
            assert line["request"] == {key: part for key, part in body.items() if key not in gone}

    @every_form
    def test_chat_bodies(self, raw: bytes) -> None:
        """A prompt in OpenAI's form is the body that LiteLLM made of it."""
        lines, _ = told(litellm, raw)
        for line, body in zip(lines[:4], BODIES, strict=True):
            tools = [{"type": "custom", **tool} for tool in body["tools"]]
            assert line["request"] == body | {"tools": tools}
            assert "lacks" not in line

    @every_form
    def test_marks_of_the_proxy(self, raw: bytes) -> None:
        """Marks that the proxy put in stand in what callbacks are told, and nowhere else."""
        lines, _ = told(litellm, raw)
        for line in lines[8:12]:
            if raw is PAYLOADS:
                assert line["request"]["system"][0]["cache_control"] == {"type": "ephemeral"}
                assert "lacks" not in line
            else:
                assert line["lacks"] == ["marks"]

    @every_form
    def test_it_is_replayed(self, raw: bytes) -> None:
        """Where nothing is lacking, the simulator charges every call what was recorded."""
        lines, _ = told(litellm, raw)
        whole = [line for line in lines[:12] if "lacks" not in line]
        pairs = replayed(workload_of(whole))
        assert len(pairs) == 8
        assert all(recorded == usage for recorded, usage in pairs)

    def test_cut_texts(self) -> None:
        """Texts that the table cut are said to be lacking; usage stays what it was."""
        lines, counted = told(litellm, CUT)
        found = [recorded_usage(line["response"]["usage"]) for line in lines[:-1]]
        assert found == CHARGED["litellm_cut"]
        assert all("text" in line["lacks"] for line in lines[:12])
        assert counted == LEFT_OUT

    @every_form
    def test_people_and_keys(self, raw: bytes) -> None:
        """Keys, their hashes, cookies, addresses and names of people are in no line."""
        text = json.dumps(told(litellm, raw)[0])
        for secret in ("planted", "127.0.0.1", "default_user", "master_key", "python-httpx"):
            assert secret not in text
        assert "ann@planted.test" in PAYLOADS.decode()

    @every_form
    def test_sessions(self, raw: bytes) -> None:
        """A session that somebody named is kept, and one that LiteLLM made up is not."""
        lines, _ = told(litellm, raw)
        sessions = [line.get("session") for line in lines]
        assert sessions == ["evening-1"] * 4 + ["evening-2"] * 4 + [None] * (len(lines) - 8)

    def test_same_calls(self) -> None:
        """Of both logs a call has one id, so that it is counted once."""
        ids = [
            [line["response"].get("id") for line in told(litellm, raw)[0]]
            for raw in (PAYLOADS, ROWS)
        ]
        assert ids[0] == ids[1]
        assert len({*ids[0]}) == len(ids[0])


class TestFiles:
    """The files that exports are."""

    @every_form
    def test_they_are_recognised(self, raw: bytes) -> None:
        """Each is read by this reader, and by no other that is asked before."""
        head = head_of(raw)
        assert next(reader for reader in READERS if reader.matches(head)) is litellm

    def test_others_are_not(self) -> None:
        """No other format's log is taken for one of LiteLLM's."""
        for path in sorted(LOGS.glob("*.gz")):
            if not path.name.startswith("litellm"):
                assert not litellm.matches(head_of(gzip.decompress(path.read_bytes()))), path.name

    @pytest.mark.parametrize("raw", [PAYLOADS, ROWS], ids=["payloads", "rows"])
    def test_lists(self, raw: bytes) -> None:
        """A list, what the proxy's API answers, and one object a file are read like lines are."""
        lines, counted = told(litellm, raw)
        listed = b"[" + b",".join(raw.splitlines()) + b"]"
        assert told(litellm, listed) == (lines, counted)
        assert told(litellm, b'{"data": %s, "total": 16}' % listed) == (lines, counted)
        pretty = msgspec.json.format(raw.splitlines()[0])
        assert told(litellm, pretty)[0] == lines[:1]

    def test_columns_as_python_writes_them(self) -> None:
        """A data frame's export has objects as Python writes them, which are read as well."""
        columns = row(metadata=repr({"usage_object": USAGE}), proxy_server_request=repr(CHAT))
        assert told(litellm, json.dumps(columns)) == told(litellm, json.dumps(row()))

    def test_columns_written_twice(self) -> None:
        """JSON that was stored as text, and exported as text again, is read."""
        twice = json.dumps(json.dumps(CHAT))
        assert one(proxy_server_request=twice) == one()

    def test_a_table_with_a_byte_order_mark(self) -> None:
        """Spreadsheets begin a table with a mark of their own."""
        assert told(litellm, b"\xef\xbb\xbf" + TABLE) == told(litellm, TABLE)

    def test_a_row_that_is_no_text(self) -> None:
        """Bytes that are no text spoil their own row and no other."""
        lines = TABLE.splitlines(keepends=True)
        broken = (
            lines[0]
            + lines[1].replace(b"Lamp", b"L\xffmp", 1).replace(b"lamp", b"l\xffmp")
            + b"".join(lines[2:])
        )
        with pytest.raises(
            InputError, match=r"line 2: proxy_server_request: byte \d+ is not UTF-8"
        ):
            told(litellm, broken)
        kept, counted = told(litellm, broken, skip_bad=True)
        assert len(kept) == len(told(litellm, TABLE)[0]) - 1
        assert counted["lines that could not be read, skipped"] == 1

    def test_damaged_parquet(self) -> None:
        """A Parquet file that is broken is refused in a line."""
        for raw in (PARQUET[:-9], PARQUET[:4], PARQUET[: len(PARQUET) // 2] + PARQUET[-300:]):
            with pytest.raises(InputError, match="log line 1: this Parquet file is damaged"):
                told(litellm, raw)
            assert told(litellm, raw, skip_bad=True)[0] == []

    def test_parquet_of_something_else(self, tmp_path: Path) -> None:
        """Another table's Parquet holds no calls to Claude."""
        path = tmp_path / "other.parquet"
        duckdb.execute(f"COPY (SELECT 1 AS lamp, 4 AS litres) TO '{path}'")
        assert told(litellm, path.read_bytes()) == ([], {"calls of other providers, left out": 1})

    def test_parquet_without_what_reads_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where DuckDB is not installed, the sentence names the extra that has it."""
        monkeypatch.setitem(sys.modules, "duckdb", None)
        with pytest.raises(UnsupportedError, match=r'log: .*pip install "cacheplan\[parquet\]"'):
            told(litellm, PARQUET)


class TestUsage:
    """Where counts stand."""

    def test_input_holds_what_was_cached(self) -> None:
        """What is left of the input, after what was read and written, was not cached."""
        usage = one()["response"]["usage"]
        assert recorded_usage(usage) == Usage(uncached=9, read=700, write_5m=300, output=4)
        assert one()["lacks"] == ["lifetimes"]

    def test_lifetimes(self) -> None:
        """Where writes are parted by lifetime, nothing is lacking."""
        split = {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}
        details = USAGE["prompt_tokens_details"] | {"cache_creation_token_details": split}  # type: ignore[operator]
        line = one(metadata={"usage_object": USAGE | {"prompt_tokens_details": details}})
        assert recorded_usage(line["response"]["usage"]) == Usage(
            uncached=9, read=700, write_5m=100, write_1h=200, output=4
        )
        assert "lacks" not in line

    def test_counts_elsewhere(self) -> None:
        """Older rows have them in the answer, or in columns and beside them."""
        answered = one(metadata={}, response={"id": "chatcmpl-1", "usage": USAGE})
        assert answered == one()
        more = {"cache_read_input_tokens": 700, "cache_creation_input_tokens": 300}
        columns = {"prompt_tokens": "1009", "completion_tokens": "4", "total_tokens": "1013"}
        beside = one(metadata={"additional_usage_values": more}, **columns)
        assert beside == one()

    def test_input_that_leaves_it_out(self) -> None:
        """Counts of versions whose input left out what was cached are told by their sum."""
        line = one(metadata={"usage_object": USAGE | {"prompt_tokens": 9, "total_tokens": 13}})
        assert line["response"] == one()["response"]

    def test_counts_that_tell_neither(self) -> None:
        """Where the sum is missing, it is counted that nobody can be sure."""
        usage = {key: count for key, count in USAGE.items() if key != "total_tokens"}
        lines, counted = told(litellm, json.dumps(row(metadata={"usage_object": usage})))
        assert lines == [one()]
        assert counted == {
            "usage whose input may or may not hold what was cached, taken to hold it": 1
        }

    def test_answers_of_anthropics_own(self) -> None:
        """The usage of an answer that was passed through is taken as it is."""
        own: dict[str, Any] = {
            "input_tokens": 9,
            "output_tokens": 4,
            "cache_read_input_tokens": 700,
        }
        assert one(metadata={}, response={"id": "msg_1", "usage": own})["response"] == {
            "id": "msg_1",
            "usage": own,
        }
        own |= {"cache_creation_input_tokens": 300, "cache_creation": None}
        assert one(metadata={}, response={"id": "msg_1", "usage": own})["lacks"] == ["lifetimes"]

    def test_nothing_counted(self) -> None:
        """A call without any count has none, instead of nought."""
        assert one(metadata={})["response"] == {"id": "chatcmpl-1"}

    @pytest.mark.parametrize("count", ["many", True, -1, 1e300, "inf", [7], 10**13])
    def test_counts_that_are_none(self, count: Any) -> None:
        """What is no number of tokens is refused, with its path."""
        sentence = refused(metadata={"usage_object": USAGE | {"prompt_tokens": count}})
        assert "usage_object.prompt_tokens" in sentence or "metadata" in sentence


class TestPrompts:
    """What was sent, and what of it is not there."""

    @pytest.mark.parametrize(
        "columns",
        [
            {"proxy_server_request": "{}"},
            {"proxy_server_request": None},
            {"proxy_server_request": {}, "messages": "redacted-by-litellm"},
            {
                "proxy_server_request": {
                    "messages": [{"role": "user", "content": "redacted-by-litellm"}]
                }
            },
        ],
    )
    def test_prompts_that_were_not_stored(self, columns: dict[str, Any]) -> None:
        """Without its prompt a call cannot be planned, and is counted."""
        assert none(**columns) == {"calls whose prompt was not stored, left out": 1}

    def test_http_around_the_body(self) -> None:
        """A body that stands inside of its HTTP request is found there."""
        http = {"url": "http://lamps.test", "headers": {"x-api-key": "sk-planted"}, "body": CHAT}
        assert one(proxy_server_request=http) == one()

    def test_payloads_of_passed_bodies(self) -> None:
        """A call that was passed through has its whole body as the text of a message."""
        body = BODIES[1]
        line = one(
            call_type="pass_through_endpoint",
            proxy_server_request=None,
            messages=[{"role": "user", "content": json.dumps(body)}],
        )
        assert line["request"] == body

    def test_points_where_marks_go(self) -> None:
        """Where the caller asked for marks to be put in, they are not known."""
        points = [{"location": "message", "role": "system"}]
        body = CHAT | {"cache_control_injection_points": points}
        assert "marks" in one(proxy_server_request=body)["lacks"]

    def test_marks_that_must_have_been(self) -> None:
        """What was cached without a mark in sight was marked on its way."""
        bare = {"messages": [{"role": "user", "content": "Is lamp 7 lit?"}]}
        assert "marks" in one(proxy_server_request=bare)["lacks"]
        injected = {"usage_object": USAGE, "litellm_gateway_injected_cache": "anthropic"}
        assert "marks" in one(metadata=injected)["lacks"]

    def test_settings(self) -> None:
        """Settings that both APIs have are kept; what is put into other words is lacking."""
        thinking = {"type": "enabled", "budget_tokens": 2_000}
        named = {"type": "function", "function": {"name": "light"}}
        body = CHAT | {"thinking": thinking, "tool_choice": named, "parallel_tool_calls": False}
        request = one(proxy_server_request=body)["request"]
        assert request["thinking"] == thinking
        assert request["tool_choice"] == {
            "type": "tool",
            "name": "light",
            "disable_parallel_tool_use": True,
        }
        line = one(proxy_server_request=CHAT | {"reasoning_effort": "high"})
        assert line["lacks"] == ["lifetimes", "settings"]

    def test_a_tool_that_litellm_adds(self) -> None:
        """Where tools were called that are not sent any more, LiteLLM sends one of its own."""
        call = {"id": "c", "type": "function", "function": {"name": "light", "arguments": "{}"}}
        said = [*CHAT["messages"], {"role": "assistant", "tool_calls": [call]}]  # type: ignore[misc]
        [tool] = one(proxy_server_request=CHAT | {"messages": said})["request"]["tools"]
        assert tool["name"] == "dummy_tool"

    def test_prompts_that_make_no_sense(self) -> None:
        """A prompt that is none is refused with its path; of a failed call it is counted."""
        bad = {"messages": [{"role": "user", "content": [7]}]}
        assert refused(proxy_server_request=bad).endswith(
            "messages[0].content[0]: int is not an object"
        )
        assert none(proxy_server_request=bad, status="failure") == {
            "failed calls whose prompt cannot be read, left out": 1
        }


class TestCalls:
    """What an entry says besides its prompt."""

    @pytest.mark.parametrize(
        ("model", "provider", "name", "platform"),
        [
            ("claude-opus-5-5", "", "claude-opus-5-5", None),
            ("bedrock/anthropic.claude-opus-5", "bedrock", "anthropic.claude-opus-5", "bedrock"),
            (
                "bedrock/converse/us.anthropic.claude-opus-5",
                None,
                "us.anthropic.claude-opus-5",
                "bedrock",
            ),
            ("vertex_ai/claude-sonnet-5@default", "vertex_ai", "claude-sonnet-5@default", "google"),
            ("azure_ai/claude-opus-5", None, "claude-opus-5", "foundry"),
        ],
    )
    def test_models(
        self, model: str, provider: str | None, name: str, platform: str | None
    ) -> None:
        """A model has the name that the service is told, and the platform that serves it."""
        line = one(model=model, custom_llm_provider=provider)
        assert (line["request"]["model"], line.get("platform")) == (name, platform)

    @pytest.mark.parametrize(
        ("columns", "what"),
        [
            ({"model": "gpt-5", "custom_llm_provider": "openai"}, OTHERS),
            ({"model": "bedrock/amazon.nova-pro-v1:0", "custom_llm_provider": "bedrock"}, OTHERS),
            ({"model": "openrouter/anthropic/claude-opus-5-5", "custom_llm_provider": ""}, OTHERS),
            ({"model": None}, OTHERS),
            ({"call_type": "aresponses"}, "calls to Claude in the form of another API"),
            ({"call_type": "acount_tokens"}, "calls that only count tokens"),
            ({"cache_hit": "True"}, "answers out of LiteLLM's own cache"),
            ({"cache_hit": True}, "answers out of LiteLLM's own cache"),
        ],
    )
    def test_what_is_left_out(self, columns: dict[str, Any], what: str) -> None:
        """What is no call that was charged by Claude's service is counted by what it is."""
        assert none(**columns) == {f"{what}, left out": 1}

    def test_what_is_left_out_is_not_looked_at(self) -> None:
        """What is wrong inside of another provider's call is nobody's business here."""
        broken = {"metadata": "{'a': ", "proxy_server_request": '{"messages": '}
        assert none(model="gpt-5", custom_llm_provider="openai", **broken)
        assert "proxy_server_request" in refused(**broken)

    def test_times(self) -> None:
        """Times without a zone are UTC, and the first token's is kept where it is one."""
        line = one()
        assert line["at"] == "2026-11-21T09:00:00.250000+00:00"
        assert line["first_token_after"] == 0.75
        assert "first_token_after" not in one(completionStartTime="2026-11-21 09:00:02.250")
        seconds = {"startTime": 1.5, "completionStartTime": 2.0, "endTime": 4.0}
        assert one(**seconds)["first_token_after"] == 0.5
        assert refused(startTime="yesterday").startswith("log line 1: startTime: ")

    def test_labels(self) -> None:
        """The first tag that somebody gave a call is its label."""
        assert one(request_tags='["User-Agent: curl", "lamps", "oil"]')["label"] == "lamps"

    def test_failed_calls(self) -> None:
        """A call that failed is one, with the kind of its error and nothing of its message."""
        error = {"error_class": "RateLimitError", "error_message": "planted"}
        line = one(status="failure", error_information=error)
        assert line["response"] == {"type": "error", "error": {"type": "RateLimitError"}}
        assert one(metadata={"status": "failure"})["response"]["error"] == {"type": "failure"}


def _lines() -> list[bytes]:
    """Return entries small enough to be broken by the thousand."""
    found = [
        json.dumps(row()).encode(),
        json.dumps(row(metadata=repr({"usage_object": USAGE}))).encode(),
    ]
    payload = {
        key: part
        for key, part in row(metadata=json.dumps({"usage_object": USAGE})).items()
        if key != "proxy_server_request"
    }
    payload |= {"id": "chatcmpl-1", "messages": CHAT["messages"], "model_parameters": {"tools": []}}
    found.append(json.dumps(payload).encode())
    native = BODIES[1] | {"system": "Be brief."}
    found.append(
        json.dumps(
            row(call_type="anthropic_messages", proxy_server_request=json.dumps(native))
        ).encode()
    )
    return found


def _tables(number: int, seed: int) -> list[bytes]:
    """Return broken tables: a line of names, and one broken row."""
    text = io.StringIO()
    table = csv.DictWriter(text, [*row(), "request_tags"])
    table.writeheader()
    table.writerow(
        {key: json.dumps(cell) if isinstance(cell, dict) else cell for key, cell in row().items()}
    )
    names, broken = text.getvalue().encode().split(b"\r\n", 1)
    return [names + b"\r\n" + line for line in hostile_lines([broken], number, seed)]


def test_it_survives() -> None:
    """Whatever stands in a log, it is read or refused in a sentence."""
    for line in hostile_lines(_lines(), 2_000, seed=8):
        survives(litellm, line)
    for table in _tables(500, seed=8):
        survives(litellm, table)


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_it_survives_for_long() -> None:
    """The same with a hundred thousand lines, and as many tables."""
    for line in hostile_lines(_lines(), 100_000, seed=9):
        survives(litellm, line)
    for table in _tables(100_000, seed=9):
        survives(litellm, table)


def test_broken_parquet_survives() -> None:
    """A Parquet file with a few bytes changed is read or refused in a sentence."""
    for raw in hostile_lines([PARQUET], 60, seed=8):
        for skip_bad in (False, True):
            file = File("log", io.BufferedReader(io.BytesIO(raw)))
            try:
                for _ in litellm.read(file, Tally(skip_bad=skip_bad)):
                    pass
            except InputError:
                assert not skip_bad
