"""Langfuse's observations become calls: however they were exported, whoever recorded them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any, Final

import duckdb
import pytest
from lighthouse import BODIES, SYSTEM, TOOLS
from msgspec.structs import replace
from mutations import hostile_lines, survives
from told import replayed, workload_of

from cacheplan.chat import as_body
from cacheplan.errors import InputError
from cacheplan.io.counting import default_counter
from cacheplan.io.documents import File
from cacheplan.io.logged import OTHERS
from cacheplan.io.readers import langfuse
from cacheplan.io.tally import Tally
from cacheplan.records import Intake
from cacheplan.usage import Usage

LOGS: Final = Path(__file__).parent / "logs"
#: What the service counted while the fixtures were made.
COUNTED: Final = [
    Usage(**usage) for usage in json.loads((LOGS / "langfuse.json").read_text("utf-8"))
]
#: One conversation, recorded in three ways, and one of them exported in four.
MADE: Final = (
    "langchain.jsonl",
    "langchain.csv",
    "langchain_api.json",
    "langchain_blob.jsonl",
    "openinference.jsonl",
    "traceloop.jsonl",
)
ASKED: Final = [{"role": "user", "content": "Hi"}]
MARKED: Final = [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]
UNSURE: Final = "usage whose input may or may not hold what was cached, taken to hold it"


def _raw(name: str) -> bytes:
    """Return a fixture."""
    return gzip.decompress((LOGS / f"langfuse_{name}.gz").read_bytes())


def _read(raw: bytes, tally: Tally | None = None) -> list[dict[str, Any]]:
    """Return what is read of a file, with bodies decoded, in the order of time."""
    file = File("log", io.BufferedReader(io.BytesIO(raw)))
    told = [
        {**line, "request": json.loads(bytes(line["request"]))}
        for _, line in langfuse.read(file, tally or Tally())
    ]
    return sorted(told, key=lambda line: str(line["at"]))


def _row(**more: Any) -> bytes:
    """Return an observation, changed."""
    row: dict[str, Any] = {
        "id": "observation-1",
        "traceId": "trace-1",
        "type": "GENERATION",
        "parentObservationId": None,
        "startTime": "2026-11-02T09:00:00.000Z",
        "endTime": "2026-11-02T09:00:05.000Z",
        "model": "claude-opus-5-5",
        "input": ASKED,
        "output": {"role": "assistant", "content": "Ho"},
        "usageDetails": {"input": 5, "output": 3, "total": 8},
    }
    return json.dumps(row | more).encode() + b"\n"


def _one(**more: Any) -> dict[str, Any]:
    """Return the only line of an observation."""
    (line,) = _read(_row(**more))
    return line


@pytest.mark.parametrize("name", MADE)
def test_usage_is_the_services_to_the_token(name: str) -> None:
    """Each way of recording and of exporting gives what the service counted, once a call."""
    intake = Intake(default_counter())
    for line in _read(_raw(name)):
        intake.add(json.dumps(line).encode())
    calls = intake.workload().calls
    assert [call.recorded for call in calls] == COUNTED
    assert {call.session for call in calls} == {"watch-1"}


@pytest.mark.parametrize("name", MADE[1:4])
def test_every_export_of_one_recording_is_the_same(name: str) -> None:
    """The API's answer, the table's CSV and the rows of storage say what the JSON lines say."""
    assert _read(_raw(name)) == _read(_raw(MADE[0]))


def test_storage_may_be_parquet(tmp_path: Path) -> None:
    """Rows of storage as Parquet, whose counts are a map, say what they say as JSON lines."""
    source, made = tmp_path / "rows.jsonl", tmp_path / "rows.parquet"
    source.write_bytes(_raw("langchain_blob.jsonl"))
    counts = "usage_details::JSON::MAP(VARCHAR, UBIGINT) AS usage_details"
    said = "metadata::JSON::MAP(VARCHAR, VARCHAR) AS metadata"
    with duckdb.connect() as database:
        rows = database.read_json(str(source), maximum_object_size=10_000_000)
        rows.project(f"* REPLACE ({counts}, {said})").write_parquet(str(made))
    raw = made.read_bytes()
    file = File("log", io.BufferedReader(io.BytesIO(raw), 1 << 20))
    assert langfuse.matches(file.head)
    assert _read(raw) == _read(_raw(MADE[0]))


def test_a_trace_that_was_downloaded_is_read() -> None:
    """Observations inside of a trace's document are found."""
    rows = [json.loads(line) for line in _raw(MADE[0]).splitlines()]
    trace = json.dumps({"trace": {"id": "trace-1"}, "observations": rows}).encode()
    assert _read(trace) == _read(_raw(MADE[0]))


def test_arguments_of_the_sdk_are_the_body_that_was_sent() -> None:
    """Where the whole call was logged, marks and all, nothing is lacking."""
    told = _read(_raw("openinference.jsonl"))
    assert [line["request"] for line in told] == BODIES
    assert not any("lacks" in line for line in told)


def test_the_prompt_and_the_times_are_enough_to_charge_it_again() -> None:
    """The simulated service charges the calls of a whole log what the service did."""
    pairs = replayed(workload_of(_read(_raw("openinference.jsonl"))))
    assert len(pairs) == len(BODIES)
    for recorded, usage in pairs:
        assert replace(usage, output=recorded.output) == recorded


def test_langchains_handler_loses_the_marks_of_tools() -> None:
    """Its tools stand behind the messages as functions: marks elsewhere stay, those are unknown."""
    for line, body in zip(_read(_raw(MADE[0])), BODIES, strict=True):
        request = line["request"]
        assert line["lacks"] == ["marks", "settings"]
        assert request["system"] == body["system"]
        assert request["messages"][-1]["role"] == "user"
        assert request["messages"][-1]["content"][0]["cache_control"] == {"type": "ephemeral"}
        names = [(tool["name"], tool["input_schema"]) for tool in request["tools"]]
        assert names == [(tool["name"], tool["input_schema"]) for tool in TOOLS]
        assert not any("cache_control" in tool for tool in request["tools"])


def test_an_instrumentation_that_keeps_parts_keeps_the_text() -> None:
    """The system prompt that Langfuse put among the messages of parts is the system prompt."""
    for line in _read(_raw("traceloop.jsonl")):
        assert [block["text"] for block in line["request"]["system"]] == [SYSTEM]
        assert "marks" in line["lacks"]


def test_a_call_and_the_span_that_the_sdk_drew_of_it_are_one() -> None:
    """Two generations of one call are counted once, and the other is counted."""
    tally = Tally()
    assert len(_read(_raw(MADE[0]), tally)) == len(BODIES)
    assert tally.notes() == ("spans of calls that another span tells of as well, counted once: 4",)


def test_the_sdks_span_serves_where_the_call_has_no_other() -> None:
    """Without attributes, the SDK's writes are counted in the input as well, and taken out."""
    row = next(
        row
        for row in map(json.loads, _raw(MADE[0]).splitlines())
        if "cache_write.input_tokens" in row["usageDetails"] and row["usageDetails"]["output"] == 37
    )
    row |= {"metadata": None, "input": ASKED, "parentObservationId": None}
    (line,) = _read(json.dumps(row).encode())
    counted = line["response"]["usage"]
    assert (counted["input_tokens"], counted["cache_creation_input_tokens"]) == (2, 9460)
    assert "lifetimes" in line["lacks"]


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        # Everything adds up to the total: input leaves out what was cached.
        ({"input": 10, "output": 5, "cache_read_input_tokens": 100, "total": 115}, (10, 100, 0)),
        ({"input": 10, "output": 5, "input_cached_tokens": 100, "total": 115}, (10, 100, 0)),
        ({"input": 10, "output": 5, "input_cache_read": 100, "total": 115}, (10, 100, 0)),
        # A gateway's total is that of an input which holds it.
        (
            {"input": 110, "output": 5, "cache_read_input_tokens": 100,
             "cache_creation_input_tokens": 0, "total": 115},
            (10, 100, 0),
        ),
        # What was written is said as a whole and in parts, and Langfuse added up both.
        (
            {"input": 10, "output": 5, "cache_read_input_tokens": 100,
             "cache_creation_input_tokens": 70, "cache_creation_ephemeral_5m_input_tokens": 30,
             "cache_creation_ephemeral_1h_input_tokens": 40, "total": 255},
            (10, 100, 70),
        ),
        (
            {"input": 10, "output": 5, "input_cached_tokens": 100, "input_cache_creation": 0,
             "input_cache_creation_5m": 30, "input_cache_creation_1h": 40},
            (10, 100, 70),
        ),
        ({"input": "10", "output": "5", "input_cache_read": "100", "total": "115"}, (10, 100, 0)),
        # Reasoning stands beside the output, and is some of it.
        ({"input": 10, "output": 2, "output_reasoning": 3, "total": 15}, (10, 0, 0)),
        ({"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}, (10, 0, 0)),
        ({"prompt_tokens": 10, "completion_tokens": 5}, (10, 0, 0)),
    ],
)  # fmt: skip
def test_names_of_counts_are_read_whoever_chose_them(
    details: dict[str, Any], expected: tuple[int, int, int]
) -> None:
    """What was cached is in the input or beside it, as the total says; names are many."""
    tally = Tally()
    given = None if "total" in details else {"providedUsageDetails": details}
    (line,) = _read(_row(usageDetails=details, **(given or {})), tally)
    counted = line["response"]["usage"]
    assert counted["output_tokens"] == 5
    assert (
        counted["input_tokens"],
        counted["cache_read_input_tokens"],
        counted["cache_creation_input_tokens"],
    ) == expected
    assert not tally.of(UNSURE)


def test_lifetimes_are_known_where_writes_are_parted() -> None:
    """A write that nobody parted lacks its lifetime; one that was has the hour that was said."""
    details = {"input": 10, "output": 5, "input_cache_creation": 70, "total": 85}
    assert "lifetimes" in _one(usageDetails=details)["lacks"]
    split = {"input_cache_creation_5m": 30, "input_cache_creation_1h": 40}
    line = _one(usageDetails={"input": 10, "output": 5, **split, "total": 85})
    assert "lifetimes" not in line["lacks"]
    assert line["response"]["usage"]["cache_creation"]["ephemeral_1h_input_tokens"] == 40


def test_a_total_that_fits_nothing_is_counted() -> None:
    """Where the total tells neither, input is taken to hold what was cached, and it is said."""
    tally = Tally()
    details = {"input": 110, "output": 5, "input_cache_read": 100, "total": 7}
    (line,) = _read(_row(usageDetails=details), tally)
    assert line["response"]["usage"]["input_tokens"] == 10
    assert tally.of(UNSURE) == 1


@pytest.mark.parametrize(
    ("logged", "lacks"),
    [
        ("Hi", ["marks", "settings", "system", "tools"]),
        (ASKED, ["settings", "system", "tools"]),
        ({"messages": ASKED}, ["settings", "system", "tools"]),
        ({"messages": ASKED, "system": "Be brief."}, ["settings", "tools"]),
        ({"messages": ASKED, "tools": []}, ["settings", "system"]),
        ({"messages": ASKED, "model": "claude-opus-5-5", "max_tokens": 9}, []),
        ({"role": "user", "content": "Hi"}, ["settings", "system", "tools"]),
        (json.dumps({"messages": ASKED, "max_tokens": 9}), []),
        ([ASKED], ["settings", "system", "tools"]),
    ],
)
def test_what_an_integration_did_not_log_is_lacking(logged: Any, lacks: list[str]) -> None:
    """Text, messages and arguments are prompts; each says what it leaves out."""
    line = _one(input=logged)
    assert line.get("lacks", []) == lacks
    assert line["request"]["messages"] == as_body("", ASKED)["messages"]


def test_marks_that_must_have_been_are_lacking() -> None:
    """Where something was read or written and no mark is in the prompt, marks were lost."""
    details = {"input": 5, "output": 3, "input_cache_read": 90, "total": 98}
    assert "marks" in _one(usageDetails=details)["lacks"]
    marked = [{"role": "user", "content": MARKED}]
    assert "marks" not in _one(usageDetails=details, input=marked)["lacks"]


def test_parameters_that_decide_a_prefix_are_kept() -> None:
    """Thinking among the parameters is part of the body; numbers that are text are not."""
    given = {"thinking": {"type": "adaptive"}, "max_tokens": "200", "temperature": "1"}
    request = _one(modelParameters=given)["request"]
    assert request["thinking"] == {"type": "adaptive"}
    assert "temperature" not in request


def test_only_generations_of_claude_are_calls() -> None:
    """Spans, tools and embeddings are none; other providers' models are counted."""
    tally = Tally()
    raw = _row(type="SPAN") + _row(type="EMBEDDING") + _row(model="gpt-5.5")
    assert not _read(raw, tally)
    assert tally.of(OTHERS) == 1


def test_a_call_that_failed_is_a_call() -> None:
    """An observation at the level of errors is a failed call, and its message stays behind."""
    line = _one(level="ERROR", statusMessage="planted", usageDetails={}, output=None)
    assert line["response"] == {"type": "error", "error": {"type": "error"}}


def test_times_are_utc_and_the_first_token_is_where_it_is_said() -> None:
    """Storage writes times without a zone; an answer begins at its completion's start."""
    line = _one(startTime="2026-11-02 09:00:00.000", completionStartTime="2026-11-02 09:00:02.5")
    assert line["at"] == "2026-11-02T09:00:00+00:00"
    assert line["first_token_after"] == 2.5
    assert "first_token_after" not in _one()
    assert _one(endTime="2026-11-02T09:00:00.250Z")["first_token_after"] == 0.25
    early = "2026-11-02T08:59:59.000Z"
    assert "first_token_after" not in _one(completionStartTime=early)


def test_a_prompt_with_line_ends_is_one_cell() -> None:
    """A cell may hold line ends, commas, quotation marks and more than Python's own limit."""
    text = 'a "b", c\n' * 30_000
    out = io.StringIO()
    row = json.loads(_row(input=text, metadata=None))
    cells = {key: part if isinstance(part, str) else json.dumps(part) for key, part in row.items()}
    writer = csv.DictWriter(out, list(cells))
    writer.writeheader()
    writer.writerow(cells)
    (line,) = _read(out.getvalue().encode("utf-8-sig"))
    assert line["request"]["messages"][0]["content"][0]["text"] == text


def test_keys_and_names_do_not_get_into_a_line() -> None:
    """People, headers and keys in metadata, parameters and arguments stay behind."""
    asked = {
        "messages": ASKED,
        "max_tokens": 9,
        "metadata": {"user_id": "planted@example.org"},
        "extra_headers": {"authorization": "sk-planted"},
        "api_key": "sk-planted",
    }
    telemetry = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "claude-opus-5-5",
        "gen_ai.usage.input_tokens": "5",
        "http.request.header.x-api-key": "sk-planted",
    }
    told = _read(
        _row(input=asked, userId="planted", tags=["planted"], metadata={"email": "planted"})
        + _row(id="2", modelParameters={"api_key": "sk-planted"}, statusMessage="planted")
        + _row(id="3", traceId="trace-3", metadata={"attributes": telemetry})
    )
    assert len(told) == 3
    assert "planted" not in json.dumps(told)


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"startTime": None}, "startTime: missing"),
        ({"startTime": "soon"}, '"soon" is neither'),
        ({"usageDetails": {"input": "many"}}, "usageDetails.input: this is not a whole number"),
        ({"usageDetails": {"input": -1}}, "usageDetails.input: this is not a whole number"),
        ({"input": [{"role": "ghost"}]}, 'input.messages[0]: "ghost" is no kind'),
    ],
)
def test_what_is_wrong_with_an_observation_is_named(more: dict[str, Any], what: str) -> None:
    """A broken observation is one line that says where; skipped where that is asked for."""
    with pytest.raises(InputError) as caught:
        _read(_row(**more))
    assert str(caught.value).removeprefix("log line 1: ").startswith(what)
    assert not _read(_row(**more), Tally(skip_bad=True))


def test_it_knows_its_own_files_and_no_others() -> None:
    """Observations are known by what only they say, and no other format's log is taken for them."""
    for path in sorted(LOGS.glob("*")):
        if path.suffix in {".py", ".db"} or path.is_dir():
            continue
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
        file = File(path.name, io.BufferedReader(io.BytesIO(raw), 1 << 20))
        assert langfuse.matches(file.head) == path.name.startswith("langfuse_"), path.name


SEEDS: Final = (
    *_raw("langchain.jsonl").splitlines()[:4],
    *_raw("langchain_blob.jsonl").splitlines()[:2],
    *_raw("traceloop.jsonl").splitlines()[:2],
    *_raw("openinference.jsonl").splitlines()[:2],
    _row(input={"messages": ASKED, "tools": TOOLS}).strip(),
)


def _small(line: bytes) -> bytes:
    """Return a line with less of the lighthouse's rules, so that more of the rest is broken."""
    return line.replace(SYSTEM.encode(), b"Be brief.")


def test_no_broken_line_gets_through() -> None:
    """Two thousand lines broken in every way are calls, or errors of the input."""
    lines = [_small(line) for line in SEEDS]
    assert sum(survives(langfuse, line + b"\n") for line in hostile_lines(lines, 2000)) > 0


def test_no_broken_table_gets_through() -> None:
    """Tables whose bytes are broken are calls, or errors of the input."""
    names, *_ = _raw("langchain.csv").splitlines()
    cells = _small(_raw("langchain.csv")).splitlines()[1:]
    broken = hostile_lines(cells, 300)
    assert sum(survives(langfuse, names + b"\n" + line + b"\n") for line in broken) > 0


@pytest.mark.long
def test_no_broken_line_gets_through_in_a_hundred_thousand() -> None:
    """A hundred thousand broken lines are calls, or errors of the input."""
    lines = [_small(line) for line in SEEDS]
    assert sum(survives(langfuse, line + b"\n") for line in hostile_lines(lines, 100_000, 1)) > 0
