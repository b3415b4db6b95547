"""OTLP JSON: which spans are calls, and each call once, whoever drew it."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from lighthouse import BODIES, SYSTEM, TOOLS
from mutations import hostile_lines, survives
from told import LOGS, head_of, told, total, workload_of
from traced import MODEL, chat, counted, export, llm, made, short

from cacheplan.errors import InputError
from cacheplan.io.readers import opentelemetry, phoenix
from cacheplan.usage import Usage

#: By log: what its lines lack, and how many tools they show.
MADE: Final[dict[str, tuple[set[str], int]]] = {
    "spans_sdk": ({"marks", "settings", "tools"}, 0),
    "spans_traceloop_and_sdk": ({"marks", "settings"}, 2),
    "spans_openinference": (set(), 2),
    "spans_openinference_and_sdk": (set(), 2),
    "spans_pydantic_ai": ({"marks", "settings"}, 1),
}
TWICE: Final = "spans of calls that another span tells of as well, counted once"
NONE: Final = "spans that are no calls to a model, left out"
EMPTY: Final = "calls of which neither prompt nor usage was recorded, left out"
HELD: Final[dict[str, Any]] = {
    "gen_ai__usage__input_tokens": 100,
    "gen_ai__usage__output_tokens": 5,
}
READ: Final[dict[str, Any]] = {"gen_ai__usage__cache_read__input_tokens": 90}
SPLIT: Final[dict[str, Any]] = {
    "gen_ai__usage__cache_write__input_tokens": 60,
    "anthropic__usage__cache_creation__ephemeral_5m_input_tokens": 20,
    "anthropic__usage__cache_creation__ephemeral_1h_input_tokens": 40,
}
WRITTEN: Final[dict[str, Any]] = {"gen_ai__usage__cache_creation__input_tokens": 60}
SAID: Final[dict[str, Any]] = {
    "gen_ai__input__messages": [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]
}
SDK: Final = "com.anthropic.sdk.python"


def read(*exports: str) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Return the lines of a file with these exports, and what was counted."""
    return told(opentelemetry, "".join(exports))


def one(*exports: str) -> dict[str, Any]:
    """Return the line of a file that has one call."""
    lines, _ = read(*exports)
    assert len(lines) == 1
    return lines[0]


class TestTheConversation:
    """The one conversation, as each package's spans tell it."""

    @pytest.mark.parametrize("name", MADE)
    def test_usage(self, name: str) -> None:
        """The bill is the service's own, to the token, lifetime and call."""
        lines, _ = told(opentelemetry, made(f"{name}.jsonl.gz"))
        lines.sort(key=lambda line: str(line["at"]))
        assert [total([line]) for line in lines] == counted(name)
        assert [call.recorded for call in workload_of(lines).calls] == counted(name)

    @pytest.mark.parametrize("name", MADE)
    def test_prompts(self, name: str) -> None:
        """Each prompt is the one that was sent, as far as it is told."""
        lines, _ = told(opentelemetry, made(f"{name}.jsonl.gz"))
        lacks, tools = MADE[name]
        for line, sent in zip(lines, BODIES, strict=True):
            body = line["request"]
            assert set(line.get("lacks", ())) == lacks
            assert body["system"][0]["text"] == SYSTEM
            assert len(body.get("tools", ())) == tools
            assert len(body["messages"]) == len(sent["messages"])
            assert body["messages"][-1]["content"][-1]["type"] in {"text", "tool_result"}

    @pytest.mark.parametrize("name", ["spans_openinference", "spans_openinference_and_sdk"])
    def test_bodies(self, name: str) -> None:
        """OpenInference's spans hold the bodies themselves, breakpoints included."""
        lines, _ = told(opentelemetry, made(f"{name}.jsonl.gz"))
        assert [line["request"] for line in lines] == BODIES

    def test_traceloop_alone(self) -> None:
        """Without the SDK's spans lifetimes are unknown; a stream's output is one too many."""
        lines, _ = told(opentelemetry, made("spans_traceloop.jsonl.gz"))
        expected = sum(counted("spans_traceloop"), Usage())
        found = total(lines)
        assert found.prompt == expected.prompt
        assert (found.read, found.written) == (expected.read, expected.written)
        assert found.output == expected.output + 1
        assert all("lifetimes" in line["lacks"] for line in lines)
        assert [line["request"]["tools"] for line in lines] == [_unmarked(TOOLS)] * 4

    def test_older_traceloop(self) -> None:
        """Numbered prompts are prompts; a stream of 0.40 was not counted at all."""
        lines, _ = told(opentelemetry, made("spans_traceloop_0_40.jsonl.gz"))
        expected = counted("spans_traceloop_0_40")
        assert [total([line]).prompt for line in lines[:3]] == [
            each.prompt for each in expected[:3]
        ]
        assert "response" not in lines[3]
        assert [len(line["request"]["messages"]) for line in lines] == [1, 3, 5, 7]
        assert [line["request"]["tools"] for line in lines] == [_unmarked(TOOLS)] * 4

    def test_what_holds_calls_is_left_out(self) -> None:
        """Agents, tools and the SDK's spans inside others are counted beside the calls."""
        lines, counts = told(opentelemetry, made("spans_pydantic_ai.jsonl.gz"))
        assert (len(lines), counts) == (4, {TWICE: 4, NONE: 4})
        assert {line["session"] for line in lines} == {lines[0]["session"]}
        assert {line["label"] for line in lines} == {"keeper"}

    def test_secrets(self) -> None:
        """The key that every call was sent with is in no line."""
        for name in (*MADE, "spans_traceloop", "spans_traceloop_0_40"):
            lines, _ = told(opentelemetry, made(f"{name}.jsonl.gz"))
            assert "planted" not in json.dumps(lines)


def _unmarked(tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return tools without breakpoints."""
    return [{key: part for key, part in tool.items() if key != "cache_control"} for tool in tools]


class TestOneCallOfSeveralSpans:
    """The SDK's span has the lifetimes, the one around it the prompt."""

    INNER: Final = chat(2, f"{1:016x}", gen_ai__response__id="msg_1", **HELD, **SPLIT)
    OUTER: Final = chat(1, gen_ai__response__id="msg_1", **HELD, **WRITTEN, **SAID)
    UNNAMED: Final = chat(1, **HELD, **WRITTEN, **SAID)

    @pytest.mark.parametrize("outer", [OUTER, UNNAMED])
    def test_joined(self, outer: dict[str, Any]) -> None:
        """Found by the answer or by being around it, they are one call with all of both."""
        for exports in (
            [export(self.INNER, scope=SDK), export(outer)],
            [export(self.INNER, outer, scope=SDK)],
        ):
            lines, counts = read(*exports)
            assert counts == {TWICE: 1}
            (line,) = lines
            assert line["response"]["usage"]["cache_creation"]["ephemeral_1h_input_tokens"] == 40
            assert line["response"]["id"] == "msg_1"
            assert line["request"]["messages"][0]["content"][0]["text"] == "Hi"
            assert "lifetimes" not in line["lacks"]

    @pytest.mark.parametrize("outer", [OUTER, UNNAMED])
    def test_the_outer_one_first(self, outer: dict[str, Any]) -> None:
        """Where the one with the prompt comes first, the other is left out."""
        lines, counts = read(export(outer), export(self.INNER, scope=SDK))
        assert (len(lines), counts) == (1, {TWICE: 1})
        assert total(lines).prompt == 100

    def test_neither_has_the_prompt(self) -> None:
        """Two spans of one call without its prompt are one call, in either order."""
        bare = chat(1, **HELD, **WRITTEN)
        for exports in ([self.INNER, bare], [bare, self.INNER]):
            lines, counts = read(export(*exports))
            assert (len(lines), counts) == (1, {TWICE: 1})
            assert total(lines) == Usage(uncached=40, write_5m=20, write_1h=40, output=5)

    def test_a_sum(self) -> None:
        """A span that adds up several calls inside it is none."""
        other = chat(3, f"{1:016x}", gen_ai__response__id="msg_2", **HELD)
        whole = chat(1, gen_ai__usage__input_tokens=200, gen_ai__usage__output_tokens=10, **SAID)
        lines, counts = read(export(self.INNER, other, whole))
        assert (len(lines), counts) == (2, {TWICE: 1})
        assert total(lines).prompt == 200

    def test_two_calls_of_one_agent(self) -> None:
        """Calls under one span that is none of theirs are as many as they are."""
        spans = [chat(number, "ff", **HELD, **SAID) for number in (1, 2, 3)]
        assert len(read(export(*spans))[0]) == 3

    def test_an_export_twice(self) -> None:
        """The same answer told of again is the same call."""
        lines, counts = read(export(self.OUTER), export(self.OUTER))
        assert (len(lines), counts) == (1, {TWICE: 1})

    def test_many_without_a_prompt(self) -> None:
        """No more wait for a prompt than a batch holds, and all are told of in the end."""
        spans = [chat(number, **HELD) for number in range(1, 10_003)]
        lines, _ = read(export(*spans))
        assert sorted(line["id"] for line in lines) == [span["spanId"] for span in spans]


class TestALine:
    """What a line says besides its prompt."""

    def test_usage_alone(self) -> None:
        """A call without its prompt is read for its usage, and says that it is no more."""
        line = one(export(chat(1, **HELD, **READ)))
        assert line["request"] == {"model": MODEL, "messages": []}
        assert line["lacks"] == ["marks", "settings", "system", "text", "tools"]
        assert total([line]) == Usage(uncached=10, read=90, output=5)
        assert workload_of([line]).calls[0].recorded == total([line])

    def test_around(self) -> None:
        """Time, session, label, workspace and the wait for the first token are the span's."""
        said: dict[str, Any] = {
            "gen_ai__conversation__id": "talk",
            "anthropic__workspace__id": "wrkspc_1",
            "gen_ai__response__time_to_first_chunk": 2,
        }
        line = one(export(chat(7, **SAID, **said), service__name="keeper"))
        assert line["at"] == 1_795_251_607
        assert (line["session"], line["workspace"]) == ("talk", "wrkspc_1")
        assert (line["label"], line["first_token_after"]) == ("keeper", 2.0)
        unnamed = one(export(chat(7, **SAID), service__name="unknown_service:python"))
        assert "label" not in unnamed

    @pytest.mark.parametrize(
        ("provider", "model", "platform"),
        [
            ("anthropic", "claude-opus-5-5", None),
            ("aws.bedrock", "anthropic.claude-opus-4-6-v1:0", "bedrock"),
            ("aws.bedrock", "bedrock/us.anthropic.claude-opus-4-6-v1:0", "bedrock"),
            ("gcp.vertex_ai", "claude-opus-4-6", "google"),
            ("AWS", "anthropic.claude-opus-4-6-v1:0", "bedrock"),
            ("Anthropic", "anthropic/claude-opus-5-5", None),
        ],
    )
    def test_platforms(self, provider: str, model: str, platform: str | None) -> None:
        """Where a call was sent is told by its provider or by its model's name."""
        said = {"gen_ai__provider__name": provider, "gen_ai__request__model": model}
        line = one(export(chat(1, **SAID, **said)))
        assert line.get("platform") == platform
        assert line["request"]["model"] == model.rpartition("/")[2]

    def test_other_providers(self) -> None:
        """Calls of other models are counted and left out, as is what is no call."""
        other = chat(1, gen_ai__request__model="gpt-5.5", gen_ai__provider__name="openai", **HELD)
        agent = chat(2, gen_ai__operation__name="invoke_agent", **HELD)
        lines, counts = read(export(other, agent), export(chat(3)))
        assert not lines
        assert counts == {"calls of other providers, left out": 1, NONE: 1, EMPTY: 1}

    def test_doubt(self) -> None:
        """Usage that may be meant either way is read, and counted."""
        lines, counts = read(export(chat(1, gen_ai__usage__cache_read_input_tokens=90, **HELD)))
        what = "usage whose input may or may not hold what was cached, taken to hold it"
        assert (len(lines), counts) == (1, {what: 1})

    def test_failed(self) -> None:
        """A call that failed is one that cost nothing, with the sort of its error."""
        failed = chat(1, error__type="overloaded_error", **SAID) | {"status": {"code": 2}}
        line = one(export(failed))
        assert line["response"] == {"type": "error", "error": {"type": "overloaded_error"}}
        assert workload_of([line]).calls[0].failed

    def test_both_conventions_in_one_file(self) -> None:
        """OpenInference's spans beside the others are read by their own."""
        lines, _ = read(export(chat(1, **HELD)), export(llm(2, llm__token_count__prompt=7)))
        assert [total([line]).prompt for line in lines] == [100, 7]


class TestTheFile:
    """How exports are put into a file, and what is wrong with them."""

    SPAN: Final = chat(1, **HELD, **SAID)

    def test_it_is_recognised(self) -> None:
        """OTLP is told by the list that holds it; OpenInference's is Phoenix's reader's."""
        for name in ("sdk", "traceloop", "traceloop_0_40", "pydantic_ai", "openinference"):
            head = head_of(made(f"spans_{name}.jsonl.gz"))
            assert opentelemetry.matches(head)
            assert phoenix.matches(head) == (name == "openinference")
        assert opentelemetry.matches(head_of(b'{"resourceMetrics": []}'))

    def test_nothing_else_is(self) -> None:
        """No other format's log is taken for one."""
        others = [
            path
            for path in LOGS.iterdir()
            if not path.name.startswith(("spans", "make")) and path.suffix != ".py"
        ]
        assert len(others) > 5
        for path in others:
            raw = made(path.name)
            assert not opentelemetry.matches(head_of(raw)), path.name

    def test_documents(self) -> None:
        """One document, laid out or not, a list of exports, and lines are the same calls."""
        line = export(self.SPAN)
        found = json.loads(line)
        for raw in (line, line.strip(), f"[{line}, {line}]", json.dumps(found, indent=2)):
            lines, _ = told(opentelemetry, raw)
            assert [each["id"] for each in lines] == [self.SPAN["spanId"]]

    def test_metrics_and_logs(self) -> None:
        """Claude Code's metrics and events are no calls, and are counted."""
        metrics = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "x"}]}]}]}
        logs: dict[str, Any] = {"resourceLogs": [{"scopeLogs": []}]}
        lines, counts = read(json.dumps(metrics) + "\n", json.dumps(logs) + "\n", export(self.SPAN))
        what = "entries of metrics and logs, which are no calls, left out"
        assert (len(lines), counts) == (1, {what: 2})

    @pytest.mark.parametrize(
        ("broken", "what"),
        [
            ({"startTimeUnixNano": "soon"}, "startTimeUnixNano: this is no number of nanoseconds"),
            ({"attributes": [{"value": {}}]}, "attributes[0]: object missing required field key"),
            ({"spanId": 7}, "spanId: expected str"),
        ],
    )
    def test_faults(self, broken: dict[str, Any], what: str) -> None:
        """A span that is wrong says where, and where it is skipped costs no other of its line."""
        raw = export(self.SPAN) + export(chat(2, **HELD) | broken, chat(3, **HELD))
        with pytest.raises(InputError) as caught:
            told(opentelemetry, raw)
        assert str(caught.value).startswith(f"log line 2: {what}")
        lines, counts = told(opentelemetry, raw, skip_bad=True)
        assert len(lines) == 2
        assert counts == {"lines that could not be read, skipped": 1}

    def test_a_line_that_is_being_written(self) -> None:
        """Half a line at the end is left out, and costs no other."""
        raw = export(self.SPAN) + export(chat(2, **HELD))[:200]
        lines, counts = told(opentelemetry, raw)
        assert len(lines) == 1
        assert sum(counts.values()) == 1


def _fuzz(number: int, seed: int) -> None:
    """Read broken exports, most of them many in one file."""
    names = ("sdk", "traceloop_and_sdk", "traceloop_0_40", "openinference", "pydantic_ai")
    exports = []
    for name in names:
        for line in short(made(f"spans_{name}.jsonl.gz")).splitlines():
            for entry in json.loads(line)["resourceSpans"]:
                about = entry["resource"]
                for scoped in entry["scopeSpans"]:
                    for span in scoped["spans"][:2]:
                        alone = {"scope": scoped["scope"], "spans": [span]}
                        whole = {"resourceSpans": [{"resource": about, "scopeSpans": [alone]}]}
                        exports.append(json.dumps(whole).encode())
    lines = list(hostile_lines(exports, number, seed))
    for at in range(0, number, 100):
        survives(opentelemetry, b"\n".join(lines[at : at + 90]))
        for line in lines[at + 90 : at + 100]:
            survives(opentelemetry, line)


def test_broken_exports() -> None:
    """Nothing but an error in a sentence comes of broken exports."""
    _fuzz(2_000, 1)


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_many_broken_exports() -> None:
    """Nor of a hundred thousand."""
    _fuzz(100_000, 2)
