"""LangSmith's runs become calls: LangChain's, the wrapper's, and those inside of one another."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any, Final

import duckdb
import pytest
from lighthouse import BODIES, SYSTEM
from msgspec.structs import replace
from mutations import hostile_lines, survives
from told import replayed, workload_of

from cacheplan.errors import InputError
from cacheplan.io.counting import default_counter
from cacheplan.io.documents import File
from cacheplan.io.logged import OTHERS, UNKEPT, UNSURE
from cacheplan.io.readers import langsmith
from cacheplan.io.tally import Tally
from cacheplan.records import Intake
from cacheplan.usage import Usage

LOGS: Final = Path(__file__).parent / "logs"
#: What the service counted while the fixtures were made.
COUNTED: Final = json.loads((LOGS / "langsmith.json").read_text("utf-8"))
SPLIT: Final = {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 40}


def _lines(name: str) -> list[bytes]:
    """Return the lines of a fixture."""
    return gzip.decompress((LOGS / f"langsmith_{name}.jsonl.gz").read_bytes()).splitlines()


def _read(*lines: bytes, tally: Tally | None = None) -> list[dict[str, Any]]:
    """Return what is read of lines."""
    raw = b"\n".join(lines) + b"\n"
    file = File("runs", io.BufferedReader(io.BytesIO(raw)))
    return [line for _, line in langsmith.read(file, tally or Tally())]


def _body(line: dict[str, Any]) -> Any:
    """Return the body of a line."""
    return json.loads(bytes(line["request"]))


def _run(**more: Any) -> bytes:
    """Return a run of LangChain's, changed."""
    run: dict[str, Any] = {
        "id": "run-1",
        "run_type": "llm",
        "start_time": "2026-11-02T09:00:00",
        "end_time": "2026-11-02T09:00:05.500000",
        "inputs": {"messages": [[{"type": "human", "data": {"content": "Hi"}}]]},
        "extra": {"invocation_params": {"model": "claude-opus-5-5", "max_tokens": 9}},
        "outputs": {"generations": [[{"message": {"kwargs": {}}}]]},
    }
    return json.dumps(run | more).encode()


def _answered(**usage: Any) -> dict[str, Any]:
    """Return the outputs of a run of LangChain's."""
    kwargs = {"usage_metadata": usage, "response_metadata": {"id": "msg_1"}}
    return {"generations": [[{"message": {"kwargs": kwargs}}]]}


@pytest.mark.parametrize("name", ["langchain", "wrapper"])
def test_usage_is_the_services_to_the_token(name: str) -> None:
    """What both SDKs kept of four calls is what the service counted, lifetimes included."""
    intake = Intake(default_counter())
    for line in _read(*_lines(name)):
        intake.add(json.dumps({**line, "request": _body(line)}).encode())
    calls = intake.workload().calls
    assert [call.recorded for call in calls if not call.failed] == [
        Usage(**usage) for usage in COUNTED[name]
    ]
    assert {call.session for call in calls} == {"watch-1"}
    assert not any(call.lacks for call in calls)


def test_the_wrappers_bodies_are_those_that_were_sent() -> None:
    """The wrapped SDK's runs give back every body, marks and system prompt where they stood."""
    told = _read(*_lines("wrapper"))
    assert [_body(line) for line in told] == [*BODIES, BODIES[-1]]


def test_langchains_bodies_are_those_that_were_sent() -> None:
    """LangChain's messages become the body again; only the tool's result is a list there."""
    expected = json.loads(json.dumps(BODIES))
    for body in expected:
        for message in body["messages"]:
            for block in message["content"]:
                if block["type"] == "tool_result":
                    block["content"] = [{"type": "text", "text": block["content"]}]
                    block["is_error"] = False
    assert [_body(line) for line in _read(*_lines("langchain"))] == expected


@pytest.mark.parametrize("name", ["langchain", "wrapper"])
def test_the_prompt_and_the_times_are_enough_to_charge_it_again(name: str) -> None:
    """The simulated service charges the calls of a log what the service did."""
    lines = [{**line, "request": _body(line)} for line in _read(*_lines(name))]
    pairs = replayed(workload_of(lines))
    assert len(pairs) == len(BODIES)
    for recorded, usage in pairs:
        assert replace(usage, output=recorded.output) == recorded


def test_a_refused_call_keeps_its_prompt_and_the_kind_of_failure() -> None:
    """A failed run is a call that failed, and says of the failure no more than its kind."""
    failed = _read(*_lines("wrapper"))[-1]
    assert failed["response"] == {"type": "error", "error": {"type": "overloaded_error"}}
    (local,) = _read(_run(error="TimeoutError('Hi')"))
    assert local["response"] == {"type": "error", "error": {"type": "TimeoutError"}}


def test_a_run_around_another_is_one_call() -> None:
    """A program's own model run around the wrapper's counts once, in whatever order they come."""
    lines = _lines("wrapper")
    for order in (lines, lines[::-1], lines[1::2] + lines[::2]):
        tally = Tally()
        assert len(_read(*order, tally=tally)) == len(BODIES) + 1
        assert tally.of(langsmith.NESTED) == 1


def test_the_inner_run_is_the_call_where_it_comes_next() -> None:
    """Of two runs in one another the inner is told, which knows what was really sent."""
    outer, inner = _run(id="outer"), _run(id="inner", parent_run_id="outer")
    assert [line["id"] for line in _read(outer, inner)] == ["inner"]
    assert [line["id"] for line in _read(inner, outer)] == ["inner"]
    apart = _run(id="else")
    assert [line["id"] for line in _read(outer, apart, inner)] == ["outer", "else"]
    deep = _run(id="inner", parent_run_ids=["outer", "chain"])
    assert [line["id"] for line in _read(outer, deep)] == ["inner"]


@pytest.mark.parametrize(
    "more",
    [
        {"dotted_order": "20261102T090000000000Z{0}.20261102T090001000000Z{1}"},
        {"parent_run_id": "{0}"},
    ],
)
def test_runs_around_are_found_however_they_are_named(more: dict[str, str]) -> None:
    """The order of a trace names every run around one, and so does the parent."""
    one, two = ("01a2002e-0594-70b4-ad48-27b4aaeb3a2c", "01a2002e-06f9-7082-b2ca-8342acc27fcf")
    inner = {key: form.format(one, two) for key, form in more.items()}
    assert len(_read(_run(id=one), _run(id=two, **inner))) == 1


def test_a_list_of_runs_an_answer_of_the_api_and_text_inside_are_read_alike() -> None:
    """Lines, one list, ``runs`` of the API and inputs written as text give the same calls."""
    runs = [json.loads(line) for line in _lines("langchain")]
    told = _read(*_lines("langchain"))
    assert _read(json.dumps(runs).encode()) == told
    assert _read(json.dumps({"runs": runs, "cursors": {}}).encode()) == told
    for run in runs:
        for key in ("inputs", "outputs", "extra"):
            run[key] = json.dumps(run[key])
    bulk = _read(*(json.dumps(run).encode() for run in runs))
    assert [{**line, "request": _body(line)} for line in bulk] == [
        {**line, "request": _body(line)} for line in told
    ]


def test_a_bulk_export_is_parquet(tmp_path: Path) -> None:
    """Runs as columns, with inputs, outputs and the rest as text, give the same calls."""
    source, made = tmp_path / "runs.jsonl", tmp_path / "runs.parquet"
    runs = [json.loads(line) for line in _lines("langchain")]
    for run in runs:
        for key in ("inputs", "outputs", "extra", "events"):
            run[key] = json.dumps(run[key])
    source.write_text("\n".join(map(json.dumps, runs)), encoding="utf-8")
    with duckdb.connect() as database:
        database.read_json(str(source)).write_parquet(str(made))
    raw = made.read_bytes()
    assert langsmith.matches(File("runs", io.BufferedReader(io.BytesIO(raw), 1 << 20)).head)
    file = File("runs", io.BufferedReader(io.BytesIO(raw)))
    told = [line for _, line in langsmith.read(file, Tally())]
    expected = _read(*_lines("langchain"))
    assert [{**line, "request": _body(line)} for line in told] == [
        {**line, "request": _body(line)} for line in expected
    ]


@pytest.mark.parametrize(
    ("usage", "expected", "lacks"),
    [
        # What was written stands twice in JavaScript, which spells an hour its own way.
        (
            {"input_tokens": 180, "output_tokens": 5, "total_tokens": 185,
             "input_token_details": {"cache_read": 100, "cache_creation": 70,
                                     "ephemeral_5m_input_tokens": 30,
                                     "ephemeral_1hr_input_tokens": 40}},
            (10, 100, 70, 40), [],
        ),
        ({"input_tokens": 180, "output_tokens": 5, "total_tokens": 185,
          "input_token_details": {"cache_read": 100, "cache_creation": 0, **SPLIT}},
         (10, 100, 70, 40), []),
        ({"input_tokens": 180, "output_tokens": 5, "total_tokens": 185,
          "input_token_details": {"cache_read": 100, "cache_creation": 70}},
         (10, 100, 70, None), ["lifetimes"]),
        # Older versions left out of the input what was cached.
        ({"input_tokens": 10, "output_tokens": 5, "total_tokens": 15,
          "input_token_details": {"cache_read": 100}}, (10, 100, 0, None), []),
    ],
)  # fmt: skip
def test_what_was_cached_is_taken_out_of_the_input(
    usage: dict[str, Any], expected: tuple[Any, ...], lacks: list[str]
) -> None:
    """Input holds what was read and written, however its parts are spelled."""
    tally = Tally()
    (line,) = _read(_run(outputs=_answered(**usage)), tally=tally)
    counted = line["response"]["usage"]
    assert counted["output_tokens"] == 5
    assert (
        counted["input_tokens"],
        counted["cache_read_input_tokens"],
        counted["cache_creation_input_tokens"],
        counted.get("cache_creation", {}).get("ephemeral_1h_input_tokens"),
    ) == expected
    assert line.get("lacks", []) == lacks
    assert not tally.notes()


def test_usage_without_a_total_is_taken_to_hold_what_was_cached_and_counted() -> None:
    """Where nothing tells whether input holds what was cached, it is said how often."""
    tally = Tally()
    usage = {"input_tokens": 180, "input_token_details": {"cache_read": 100}}
    (line,) = _read(_run(outputs=_answered(**usage)), tally=tally)
    assert line["response"]["usage"]["input_tokens"] == 80
    assert tally.of(UNSURE) == 1


def test_counts_of_the_run_itself_serve_where_the_answer_was_not_kept() -> None:
    """A run whose outputs are hidden still says its tokens, and one that says none has none."""
    counts = {"prompt_tokens": 180, "completion_tokens": 5, "total_tokens": 185}
    hidden = {"outputs": {}, "prompt_token_details": {"cache_read": 100}}
    (line,) = _read(_run(**counts, **hidden))
    assert line["response"]["usage"]["input_tokens"] == 80
    (line,) = _read(_run(outputs=None, end_time=None))
    assert "response" not in line


def test_a_programs_own_run_may_return_the_answer_of_the_api() -> None:
    """Usage in the API's own words leaves out what was cached and is passed on."""
    raw = {"input_tokens": 3, "output_tokens": 5, "cache_read_input_tokens": 100}
    (line,) = _read(_run(outputs={"id": "msg_1", "usage": raw}))
    assert line["response"] == {"id": "msg_1", "usage": raw}
    written = {"cache_creation_input_tokens": 50, "cache_creation": None}
    (line,) = _read(_run(outputs={"id": "msg_1", "usage": raw | written}))
    assert line["lacks"] == ["lifetimes"]


def test_answers_that_cost_nothing_are_left_out() -> None:
    """LangChain gives answers out of its own store a cost of nothing: nobody was asked."""
    tally = Tally()
    free = {"input_tokens": 180, "output_tokens": 5, "total_tokens": 185, "total_cost": 0}
    assert not _read(_run(outputs=_answered(**free)), tally=tally)
    assert tally.of(langsmith.STORED) == 1


def test_other_runs_and_other_providers_are_left_out() -> None:
    """Chains and tools are no calls; models of others and prompts that were hidden are counted."""
    tally = Tally()
    other = {"invocation_params": {"model": "gpt-5.5"}}
    lines = (_run(run_type="chain"), _run(run_type="tool"), _run(extra=other), _run(inputs={}))
    assert not _read(*lines, tally=tally)
    assert (tally.of(OTHERS), tally.of(UNKEPT)) == (1, 1)


def test_a_program_that_speaks_to_claude_in_another_form_is_translated() -> None:
    """The arguments of OpenAI's SDK become the body that a gateway sends to Claude."""
    asked = {
        "model": "anthropic/claude-opus-5-5",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "tools": [{"type": "function", "function": {"name": "light"}}],
    }
    (line,) = _read(_run(inputs=asked, extra={"metadata": {"ls_provider": "openai"}}))
    body = _body(line)
    assert body["model"] == "claude-opus-5-5"
    assert body["system"] == [{"type": "text", "text": "Be brief."}]
    assert body["tools"][0]["name"] == "light"


def test_tools_in_the_words_of_converse_are_the_apis() -> None:
    """LangChain's Bedrock binds them so, cache points and the choice among them included."""
    schema = {"type": "object", "properties": {"lamp": {"type": "integer"}}}
    light = {"name": "light", "description": "Lights.", "inputSchema": {"json": schema}}
    tools = [{"toolSpec": light}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    model = "us.anthropic.claude-opus-4-6-v1"
    given = {"model_id": model, "tools": tools, "tool_choice": {"tool": {"name": "light"}}}
    metadata = {"ls_provider": "amazon_bedrock"}
    (line,) = _read(_run(extra={"invocation_params": given, "metadata": metadata}))
    told = {"name": "light", "description": "Lights.", "input_schema": schema}
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    assert line["platform"] == "bedrock"
    assert _body(line)["tools"] == [told | mark]
    assert _body(line)["tool_choice"] == {"type": "tool", "name": "light"}


def test_where_it_was_sent_is_told_by_the_provider() -> None:
    """The provider's name tells the platform; without one the model's spelling does."""
    for provider, platform in (("amazon_bedrock", "bedrock"), ("google_vertexai", "google")):
        extra = {
            "invocation_params": {"model": "claude-opus-5-5"},
            "metadata": {"ls_provider": provider},
        }
        assert _read(_run(extra=extra))[0]["platform"] == platform
    spelled = {"invocation_params": {"model_id": "us.anthropic.claude-opus-4-6-v1:0"}}
    assert _read(_run(extra=spelled))[0]["platform"] == "bedrock"
    assert "platform" not in _read(_run())[0]


def test_calls_of_one_trace_are_a_conversation_where_none_is_named() -> None:
    """A thread's id names the conversation; the project's never does."""
    (line,) = _read(_run(session_id="project", trace_id="trace"))
    assert line["session"] == "trace"
    (line,) = _read(_run(session_id="project", trace_id="run-1"))
    assert "session" not in line
    params = {"model": "claude-opus-5-5"}
    extra = {"invocation_params": params, "metadata": {"session_id": "talk"}}
    (line,) = _read(_run(extra=extra, trace_id="trace"))
    assert line["session"] == "talk"


def test_a_run_without_its_arguments_says_what_it_lacks() -> None:
    """Where nobody kept what the model was called with, tools and settings are unknown."""
    (line,) = _read(_run(extra={"metadata": {"ls_model_name": "claude-opus-5-5"}}))
    assert line["lacks"] == ["settings", "tools"]


def test_times_without_a_zone_are_utc_and_first_tokens_are_where_they_are_said() -> None:
    """A first token counts from the start of its run; nonsense before the start is not taken."""
    said = {"first_token_time": "2026-11-02T09:00:00.250000"}
    (line,) = _read(_run(**said))
    assert line["at"] == 1793610000.0
    assert line["first_token_after"] == 0.25
    event = {"name": "new_token", "time": "2026-11-02T09:00:02+00:00"}
    assert _read(_run(events=[event]))[0]["first_token_after"] == 2.0
    early = _run(**{**said, "first_token_time": "2026-11-02T08:59:59"})
    assert "first_token_after" not in _read(early)[0]
    assert "first_token_after" not in _read(_run())[0]


def test_keys_and_names_do_not_get_into_a_line() -> None:
    """Headers, keys and people among arguments and metadata stay behind."""
    asked = {
        **BODIES[0],
        "extra_headers": {"authorization": "sk-planted"},
        "api_key": "sk-planted",
        "metadata": {"user_id": "planted@example.org"},
        "mcp_servers": [{"url": "https://example.org", "authorization_token": "sk-planted"}],
        "timeout": "planted",
    }
    params = {"model": "claude-opus-5-5", "anthropic_api_key": "sk-planted", "planted": 1}
    metadata = {"ls_provider": "anthropic", "user_email": "planted@example.org"}
    extra = {"invocation_params": params, "metadata": metadata}
    told = _read(
        _run(inputs=asked, extra={"metadata": metadata}, tags=["planted"]),
        _run(id="run-2", extra=extra, error="AuthenticationError('sk-planted')"),
    )
    assert len(told) == 2
    assert "planted" not in json.dumps(
        [{**line, "request": _body(line)} for line in told], sort_keys=True
    )


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (_run(start_time=None), "start_time: missing"),
        (_run(start_time="soon"), 'start_time: "soon" is neither'),
        (_run(inputs="{"), "inputs: "),
        (_run(inputs={"messages": [[{"type": "ghost"}]]}), "inputs.messages[0][0]: "),
        (_run(outputs=_answered(input_tokens="many")), "usage_metadata.input_tokens: expected"),
        (_run(outputs=_answered(input_tokens=-1, output_tokens=1)), "-1 tokens input"),
        (_run(id=7), "id: expected str, got int"),
    ],
)
def test_what_is_wrong_with_a_run_is_named_with_its_place(line: bytes, what: str) -> None:
    """A broken run is one line that says where; skipped where that is asked for, and counted."""
    with pytest.raises(InputError) as caught:
        _read(line)
    assert str(caught.value).removeprefix("runs line 1: ").startswith(what)
    assert not _read(line, tally=Tally(skip_bad=True))


def test_it_knows_its_own_files_and_no_others() -> None:
    """Runs are known by what only they say, and no other format's log is taken for them."""
    for path in sorted(LOGS.glob("*")):
        raw = path.read_bytes()
        if path.suffix in {".py", ".db"}:
            continue
        raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
        file = File(path.name, io.BufferedReader(io.BytesIO(raw), 1 << 20))
        assert langsmith.matches(file.head) == path.name.startswith("langsmith_"), path.name


SEEDS: Final = (
    *_lines("langchain")[:4],
    *_lines("wrapper")[1:],
    _run(outputs=_answered(input_tokens=180, total_tokens=185, output_tokens=5)),
    _run(inputs='{"messages": [{"role": "user", "content": "Hi"}]}', outputs="{}"),
)


def _small(line: bytes) -> bytes:
    """Return a line with less of the lighthouse's rules, so that more of the rest is broken."""
    return line.replace(SYSTEM.encode(), b"Be brief.")


def test_no_broken_line_gets_through() -> None:
    """Two thousand lines broken in every way are calls, or errors of the input."""
    lines = [_small(line) for line in SEEDS]
    assert sum(survives(langsmith, line + b"\n") for line in hostile_lines(lines, 2000)) > 0


@pytest.mark.long
def test_no_broken_line_gets_through_in_a_hundred_thousand() -> None:
    """A hundred thousand broken lines are calls, or errors of the input."""
    lines = [_small(line) for line in SEEDS]
    assert sum(survives(langsmith, line + b"\n") for line in hostile_lines(lines, 100_000, 1)) > 0
