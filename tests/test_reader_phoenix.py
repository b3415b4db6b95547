"""Phoenix: spans as its API hands them out, and as its data frames are written."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from lighthouse import BODIES
from mutations import hostile_lines, survives
from told import LOGS, head_of, told, total, workload_of
from traced import FORMS, MODEL, counted, export, llm, made, short

from cacheplan.errors import InputError
from cacheplan.io.documents import Head
from cacheplan.io.readers import READERS, opentelemetry, phoenix
from cacheplan.usage import Usage

TWICE: Final = "spans of calls that another span tells of as well, counted once"
NONE: Final = "spans that are no calls to a model, left out"
SENT: Final = {
    "model": MODEL,
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Is lamp 7 lit?"}],
    "metadata": {"user_id": "ada@lighthouse.test"},
    "extra_headers": {"x-api-key": "sk-ant-planted"},
}


def row(**said: Any) -> dict[str, Any]:
    """Return a span as the API hands it out; attributes have two underscores for each dot."""
    usual = {"llm__model_name": MODEL, "input__value": json.dumps(SENT)}
    attributes = {name.replace("__", "."): part for name, part in (usual | said).items()}
    return {
        "id": "U3Bhbjox",
        "name": "messages.create",
        "context": {"trace_id": "a1", "span_id": "b7"},
        "span_kind": "LLM",
        "parent_id": None,
        "start_time": "2026-11-21T09:00:00.250000+00:00",
        "end_time": "2026-11-21T09:00:01+00:00",
        "status_code": "OK",
        "attributes": attributes,
        "events": [],
    }


def one(found: dict[str, Any]) -> dict[str, Any]:
    """Return the line of one span."""
    (line,), _ = told(phoenix, json.dumps(found))
    return line


class TestTheConversation:
    """The one conversation, sent to Phoenix and asked back."""

    @pytest.mark.parametrize("name", FORMS)
    def test_usage(self, name: str) -> None:
        """In every form the bill is the service's own, to the token, lifetime and call."""
        lines, _ = told(phoenix, made(name))
        assert [call.recorded for call in workload_of(lines).calls] == counted(FORMS[name])
        assert total(lines) == sum(counted(FORMS[name]), Usage())

    @pytest.mark.parametrize("name", [name for name in FORMS if name != "phoenix_genai.json.gz"])
    def test_bodies(self, name: str) -> None:
        """The bodies are those that were sent, breakpoints included, and nothing is missing."""
        lines, counts = told(phoenix, made(name))
        assert [line["request"] for line in reversed(lines)] == BODIES
        assert not any("lacks" in line for line in lines)
        assert counts.pop(NONE) == 1
        assert counts in ({}, {TWICE: 4})

    def test_other_conventions(self) -> None:
        """Of GenAI spans Phoenix loses what was written; what came in is still there, and read."""
        lines, _ = told(phoenix, made("phoenix_genai.json.gz"))
        assert all(line["lacks"] == ["marks", "settings", "tools"] for line in lines)
        assert total(lines).written > 0

    def test_otlp(self) -> None:
        """Spans that never were in Phoenix are read out of an exporter's file."""
        raw = made("spans_openinference.jsonl.gz")
        assert told(phoenix, raw) == told(opentelemetry, raw)
        assert phoenix.matches(head_of(raw))


class TestARow:
    """Spans in each of the shapes."""

    def test_around(self) -> None:
        """Time, session, id and the answer's own usage are the span's."""
        usage = {"input_tokens": 7, "output_tokens": 2}
        answer = json.dumps({"id": "msg_1", "usage": usage})
        line = one(row(session__id="talk", output__value=answer))
        assert (line["at"], line["id"]) == ("2026-11-21T09:00:00.250000+00:00", "b7")
        assert (line["session"], line["response"]["id"]) == ("talk", "msg_1")
        assert total([line]) == Usage(uncached=7, output=2)

    def test_secrets(self) -> None:
        """Keys and names of people that stand among a call's arguments go no further."""
        line = one(row(user__id="ada@lighthouse.test"))
        assert line["request"]["messages"] == SENT["messages"]
        text = json.dumps(line)
        assert "ada@" not in text
        assert "planted" not in text

    def test_nested_attributes(self) -> None:
        """Attributes as objects in each other say what flat ones do."""
        found = row(session__id="talk", llm__token_count__prompt=7, llm__token_count__completion=2)
        nested = {
            "llm": {"model_name": MODEL, "token_count": {"prompt": 7, "completion": 2}},
            "input": {"value": json.dumps(SENT)},
            "session": {"id": "talk"},
        }
        assert one(found | {"attributes": nested}) == one(found)

    def test_columns(self) -> None:
        """A data frame's row, with floats and thousandths of seconds, is the same call."""
        found = row(llm__token_count__prompt=7, llm__token_count__completion=2)
        frame = {
            "name": "messages.create",
            "span_kind": "LLM",
            "start_time": 1_795_251_600_250,
            "status_code": "OK",
            "context.span_id": "b7",
            "context.trace_id": "a1",
            "attributes.session.id": None,
            "attributes.llm.token_count.prompt_details.cache_read": None,
            **{f"attributes.{name}": part for name, part in found["attributes"].items()},
            "attributes.llm.token_count.prompt": 7.0,
        }
        assert one(frame) == one(found) | {"at": 1_795_251_600.25}

    def test_messages_of_a_frame(self) -> None:
        """Without the body, the messages that a data frame has as a list are read."""
        frame = {
            "span_kind": "LLM",
            "start_time": 1_795_251_600_250,
            "context.span_id": "b7",
            "attributes.llm.model_name": MODEL,
            "attributes.llm.input_messages": [
                {"message.role": "user", "message.content": "Is lamp 7 lit?"}
            ],
        }
        line = one(frame)
        assert line["request"]["messages"][0]["content"][0]["text"] == "Is lamp 7 lit?"
        assert line["lacks"] == ["marks", "settings", "tools"]

    def test_failed(self) -> None:
        """A call that failed says so."""
        line = one(row() | {"status_code": "ERROR", "status_message": "sk-ant-planted"})
        assert line["response"] == {"type": "error", "error": {"type": "error"}}
        assert "planted" not in json.dumps(line)

    def test_what_is_left_out(self) -> None:
        """Other models, chains, and calls that say nothing are counted."""
        other = row(llm__model_name="gpt-5.5", input__value="{}")
        empty = row(input__value="__REDACTED__")
        chain = row() | {"span_kind": "CHAIN"}
        lines, counts = told(phoenix, json.dumps({"data": [other, empty, chain]}))
        assert not lines
        assert counts == {
            "calls of other providers, left out": 1,
            "calls of which neither prompt nor usage was recorded, left out": 1,
            NONE: 1,
        }


class TestTheFile:
    """Where spans stand in a file, and what is wrong with them."""

    def test_it_is_recognised(self) -> None:
        """Phoenix's spans are told by their fields, in lines, lists, documents and tables."""
        for raw in (*map(made, FORMS), json.dumps([row()]).encode(), json.dumps(row()).encode()):
            assert phoenix.matches(Head(raw))
            assert not opentelemetry.matches(Head(raw))
            recognised = next(reader for reader in READERS if reader.matches(Head(raw)))
            assert recognised is phoenix
        assert phoenix.matches(head_of(export(llm(1)).encode()))

    def test_nothing_else_is(self) -> None:
        """No other format's log is taken for one."""
        ours = ("phoenix", "spans_openinference", "make")
        others = [path for path in LOGS.iterdir() if not path.name.startswith(ours)]
        assert len(others) > 5
        for path in others:
            raw = made(path.name)
            assert not phoenix.matches(head_of(raw)), path.name

    def test_long_cells(self) -> None:
        """A table's cell may hold a whole prompt, line ends and all; Python's limit stays."""
        before = csv.field_size_limit()
        said = json.dumps(SENT | {"system": "lamp\n" * 100_000}, indent=1)
        written = io.StringIO()
        columns = {
            "context.span_id": "b7",
            "span_kind": "LLM",
            "start_time": "2026-11-21 09:00:00.250000+00:00",
            "attributes.llm.model_name": MODEL,
            "attributes.input.value": said,
            "attributes.llm.token_count.prompt": "7.0",
        }
        table = csv.DictWriter(written, columns)
        table.writeheader()
        table.writerow(columns)
        (line,), _ = told(phoenix, written.getvalue())
        assert len(line["request"]["system"]) == 500_000
        assert line["response"]["usage"]["input_tokens"] == 7
        assert csv.field_size_limit() == before

    @pytest.mark.parametrize(
        ("broken", "what"),
        [
            ({"start_time": None}, "start_time: missing; a call needs its time"),
            ({"start_time": "soon"}, '"soon" is neither seconds nor an RFC 3339 time'),
            (
                {"attributes": {"llm.model_name": MODEL, "llm.token_count.prompt": "many"}},
                "llm.token_count.prompt: this is not a whole number of tokens",
            ),
        ],
    )
    def test_faults(self, broken: dict[str, Any], what: str) -> None:
        """What is wrong with a span says which it is and where; or it is skipped."""
        raw = json.dumps(row()) + "\n" + json.dumps(row() | {"context": {"span_id": "c8"}} | broken)
        with pytest.raises(InputError) as caught:
            told(phoenix, raw + "\n")
        assert str(caught.value).startswith(f"log line 2: {what}")
        lines, counts = told(phoenix, raw + "\n", skip_bad=True)
        assert len(lines) == 1
        assert counts == {"lines that could not be read, skipped": 1}


def _rows() -> Iterator[bytes]:
    """Yield spans of every form."""
    for name in ("phoenix_rest.json.gz", "phoenix_otlp.json.gz", "phoenix_genai.json.gz"):
        for each in json.loads(short(made(name)))["data"]:
            yield json.dumps(each).encode()
    yield from short(made("phoenix_frame.jsonl.gz")).splitlines()


def _fuzz(number: int, seed: int) -> None:
    """Read broken spans, most of them many in one file, some as a document."""
    lines = list(hostile_lines(list(_rows()), number, seed))
    for at in range(0, number, 100):
        survives(phoenix, b"\n".join(lines[at : at + 90]))
        for line in lines[at + 90 : at + 100]:
            survives(phoenix, b'{"data": [' + line + b"]}")


def _fuzz_tables(number: int, seed: int) -> None:
    """Read broken tables."""
    names, *rows = short(made("phoenix_frame.csv.gz")).split(b"\n")
    for at, line in enumerate(hostile_lines([row for row in rows if row], number, seed)):
        survives(phoenix, names + b"\n" + line + b"\n" * (at % 2))


def test_broken_spans() -> None:
    """Nothing but an error in a sentence comes of broken spans."""
    _fuzz(1_600, 1)
    _fuzz_tables(400, 1)


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_many_broken_spans() -> None:
    """Nor of a hundred thousand."""
    _fuzz(80_000, 2)
    _fuzz_tables(20_000, 2)
