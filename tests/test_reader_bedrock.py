"""Bedrock's model invocation logs: every way they are exported, and whatever is in them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest
from lighthouse import ANSWERS, BODIES
from mutations import hostile_lines, survives

from cacheplan.errors import InputError
from cacheplan.io.counting import default_counter
from cacheplan.io.documents import File, Head
from cacheplan.io.fake.exchange import Asked
from cacheplan.io.logged import OTHERS, UNKEPT
from cacheplan.io.logs import format_of, told
from cacheplan.io.readers import bedrock
from cacheplan.io.tally import BAD, HALF, Tally
from cacheplan.prompt import Lifetime
from cacheplan.records import Intake
from cacheplan.testing import FakeAnthropic
from cacheplan.workload import Workload

LOGS: Final = Path(__file__).parent / "logs"
MADE: Final = sorted(LOGS.glob("bedrock_*.jsonl.gz"))
MODEL: Final = "us.anthropic.claude-opus-5-5"
SENT: Final = {
    "anthropic_version": "bedrock-2023-05-31",
    "anthropic_beta": ["some-2026"],
    "metadata": {"user_id": "somebody@lighthouse.example"},
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Light lamp 7."}],
}
SAID: Final = {"messages": [{"role": "user", "content": [{"text": "Light lamp 7."}]}]}
POINT: Final = {"cachePoint": {"type": "default"}}
HOUR: Final = {"cachePoint": {"type": "default", "ttl": "1h"}}


def entry(sent: Any = SENT, said: Any = None, **more: Any) -> dict[str, Any]:
    """Return a record."""
    counts = {"inputTokenCount": 5, "cacheReadInputTokenCount": 0, "cacheWriteInputTokenCount": 0}
    return {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "timestamp": "2026-11-02T09:00:00Z",
        "accountId": "123456789012",
        "identity": {"arn": "arn:aws:sts::123456789012:assumed-role/keeper/secret-name"},
        "region": "us-east-1",
        "requestId": "7487ab04",
        "operation": "InvokeModel",
        "modelId": MODEL,
        "input": {"inputContentType": "application/json", "inputBodyJson": sent, **counts},
        "output": {"outputContentType": "application/json", "outputBodyJson": said}
        | {"outputTokenCount": 7},
        "errorCode": None,
        **more,
    }


def opened(raw: bytes) -> File:
    """Return bytes as a file."""
    return File("log", io.BufferedReader(io.BytesIO(raw)))


def lines(raw: bytes, tally: Tally | None = None) -> list[dict[str, Any]]:
    """Read a log; what was passed on as it was is decoded."""
    found = [line for _, line in bedrock.read(opened(raw), tally or Tally())]
    return [
        json.loads(json.dumps(line, default=lambda part: json.loads(bytes(part)))) for line in found
    ]


def one(record: dict[str, Any]) -> dict[str, Any]:
    """Read the log of one call."""
    (line,) = lines(json.dumps(record).encode())
    return line


def workload(raw: bytes) -> Workload:
    """Return the calls of a log."""
    intake = Intake(default_counter())
    for line in lines(raw):
        intake.add(json.dumps(line).encode())
    return intake.workload()


class TestMade:
    """The same conversation, as packages of others sent it and as they were answered."""

    @staticmethod
    def counted() -> Iterator[dict[str, int]]:
        """Yield what the service counts for the conversation, call by call."""
        fake = FakeAnthropic(platform="bedrock")
        for said in ANSWERS:
            fake.say(said)
        for body in BODIES:
            sent = {"anthropic_version": "bedrock-2023-05-31", **body}
            del sent["model"]
            url = f"http://double/model/{MODEL}/invoke"
            fake.handle(Asked.of("POST", url, {"authorization": "any"}, json.dumps(sent).encode()))
        for call in fake.calls:
            used = call.usage
            assert used is not None
            yield {
                "input_tokens": used.uncached,
                "cache_read_input_tokens": used.read,
                "cache_creation_input_tokens": used.written,
                "output_tokens": used.output,
            }

    @pytest.mark.parametrize("name", ["converse", "invoke", "stream"])
    def test_usage(self, name: str) -> None:
        """Each call's usage is what the service counted, to the token."""
        raw = gzip.decompress((LOGS / f"bedrock_{name}.jsonl.gz").read_bytes())
        found = [line["response"]["usage"] for line in lines(raw)]
        assert [{k: v for k, v in used.items() if k != "cache_creation"} for used in found] == list(
            self.counted()
        )

    @pytest.mark.parametrize("name", ["converse", "invoke", "stream"])
    def test_body(self, name: str) -> None:
        """Each body is the one that was meant, whoever sent it."""
        raw = gzip.decompress((LOGS / f"bedrock_{name}.jsonl.gz").read_bytes())
        for line, body in zip(lines(raw), BODIES, strict=True):
            request = line["request"]
            for message in request["messages"]:
                for block in message["content"]:
                    if isinstance(inner := block.get("content"), list):
                        # Converse has no other way to say it.
                        (block["content"],) = (part["text"] for part in inner)
            assert request == {**body, "model": MODEL}

    @pytest.mark.parametrize(("name", "split"), [("invoke", 9441), ("stream", 9441)])
    def test_lifetimes(self, name: str, split: int) -> None:
        """What was written for an hour is known where the answer says so."""
        raw = gzip.decompress((LOGS / f"bedrock_{name}.jsonl.gz").read_bytes())
        first = lines(raw)[0]
        assert first["response"]["usage"]["cache_creation"]["ephemeral_1h_input_tokens"] == split
        assert "lacks" not in first

    def test_an_agents_body(self) -> None:
        """What Strands sends keeps its marks: tools and system for an hour, and the end."""
        raw = gzip.decompress((LOGS / "bedrock_strands.jsonl.gz").read_bytes())
        for call in workload(raw):
            assert [mark.lifetime for mark in call.marks] == [
                Lifetime.ONE_HOUR,
                Lifetime.ONE_HOUR,
                Lifetime.FIVE_MINUTES,
            ]
            assert call.tariff.platform == "bedrock"

    @pytest.mark.parametrize("path", MADE, ids=lambda path: path.name)
    def test_matches(self, path: Path) -> None:
        """Each is told from how it begins."""
        assert bedrock.matches(opened(gzip.decompress(path.read_bytes())).head)


def table(columns: list[str], texts: list[str]) -> str:
    """Return texts as the second column of comma-separated values."""
    written = io.StringIO()
    rest = ["us"] * (len(columns) - 2)
    csv.writer(written).writerows([columns, *(["1793610000000", text, *rest] for text in texts)])
    return written.getvalue()


def wrapped(way: str, records: list[dict[str, Any]]) -> bytes:
    """Return records as one of Amazon's tools hands them out."""
    texts = [json.dumps(record, separators=(",", ":")) for record in records]
    events = [{"timestamp": 1793610000000, "message": text, "eventId": "3"} for text in texts]
    rows = [
        [{"field": "@timestamp", "value": "x"}, {"field": "@message", "value": text}]
        for text in texts
    ]
    ways = {
        "s3": "\n".join(texts),
        "filter-log-events": json.dumps({"events": events, "searchedLogStreams": []}, indent=4),
        "subscription": json.dumps({"messageType": "DATA_MESSAGE", "logEvents": events}),
        "lines of events": "\n".join(map(json.dumps, events)),
        "list of events": json.dumps(events),
        "export task": "".join(f"2026-11-02T09:00:00.000Z {text}\n" for text in texts),
        "query": json.dumps({"results": rows, "status": "Complete"}),
        "table of events": table(["timestamp", "message"], texts),
        "table of rows": table(["@timestamp", "@message", "@log.stream"], texts),
        "list of rows": json.dumps([{"@timestamp": "x", "@message": text} for text in texts]),
        "list of records": json.dumps([{"@message": record} for record in records]),
    }
    return ways[way].encode()


WAYS: Final = (
    "s3",
    "filter-log-events",
    "subscription",
    "lines of events",
    "list of events",
    "export task",
    "query",
    "table of events",
    "table of rows",
    "list of rows",
    "list of records",
)


class TestWays:
    """One record, however it is handed out."""

    @pytest.mark.parametrize("way", WAYS)
    def test_the_same_calls(self, way: str) -> None:
        """Every export is recognised, and has the same calls in it."""
        raw = wrapped(way, [entry(), entry(SAID, operation="ConverseStream", requestId="2")])
        assert format_of(Head(raw)) is bedrock
        assert [line["id"] for line in lines(raw)] == ["7487ab04", "2"]

    def test_what_the_service_says_itself(self) -> None:
        """That the log may be written to is no call, nor is what else stands in a group."""
        events = [{"message": "Permissions are correctly set for Amazon Bedrock logs."}, {"id": 3}]
        events += [{"message": json.dumps(entry())}]
        tally = Tally()
        assert len(lines(json.dumps({"events": events}).encode(), tally)) == 1
        assert tally.of(bedrock.NO_CALLS) == 2

    def test_what_speaks_of_a_table(self) -> None:
        """A prompt with commas around the names of columns makes no table of its log."""
        sent = {**SENT, "messages": [{"role": "user", "content": "timestamp, message, lamp"}]}
        assert lines(json.dumps(entry(sent)).encode())[0]["request"]["messages"] == sent["messages"]

    def test_a_broken_cell(self) -> None:
        """What is wrong in a table is said with the line that its row begins on."""
        raw = table(["timestamp", "message"], ["{}", '{"modelId":']).encode()
        with pytest.raises(InputError, match=r"^log line 2: modelId: "):
            lines(raw.replace(b"{}", b'{"modelId": 7}'))
        tally = Tally(skip_bad=True)
        assert not lines(raw, tally)
        assert tally.notes() == (f"{BAD}: 2",)

    def test_a_log_that_is_written_to(self) -> None:
        """Half a line at the end is counted."""
        raw = json.dumps(entry()).encode()
        tally = Tally()
        assert len(lines(raw + b"\n" + raw[:300], tally)) == 1
        assert tally.of(HALF) == 1

    def test_a_body_as_text(self) -> None:
        """A body that a pipeline wrote as text is read all the same."""
        assert one(entry(json.dumps(SENT)))["request"] == one(entry())["request"]

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b'{"at": 1, "request": {"model": "m", "messages": []}}',
            json.dumps({"message": {"content": wrapped("s3", [entry()]).decode()}}).encode(),
            b'{"events": [{"message": "Light lamp 7."}]}',
            b'{"schemaType": "Other", "modelId": "m", "operation": "o"}',
            b"2026-11-02T09:00:00.000Z Light lamp 7.",
            b"timestamp,message\r\n1793610000000,Light lamp 7.\r\n",
            wrapped("table of events", [entry()]).replace(b"message", b"prompt"),
            b'{"custom_id": "a", "params": {"model": "m"}}',
        ],
    )
    def test_others(self, raw: bytes) -> None:
        """What only speaks of such a log, or looks a little like one, is none."""
        assert not bedrock.matches(Head(raw))


class TestCalls:
    """What of a record becomes a call."""

    def test_invoke(self) -> None:
        """A body of Claude's own gets its model, and loses what is no part of a prompt."""
        answer = {"id": "msg_1", "usage": {"input_tokens": 5, "output_tokens": 7}}
        assert one(entry(said=answer)) == {
            "at": "2026-11-02T09:00:00+00:00",
            "id": "7487ab04",
            "platform": "bedrock",
            "request": {"model": MODEL, "max_tokens": 9, "messages": SENT["messages"]},
            "response": {
                "id": "msg_1",
                "usage": {
                    "input_tokens": 5,
                    "cache_read_input_tokens": 0,
                    "cache_creation_input_tokens": 0,
                    "output_tokens": 7,
                },
            },
        }

    @pytest.mark.parametrize(
        ("name", "sent"),
        [
            ("anthropic.claude-opus-4-6-v1:0", "anthropic.claude-opus-4-6-v1:0"),
            (
                "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-a",
                "anthropic.claude-a",
            ),
            ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/" + MODEL, MODEL),
        ],
    )
    def test_names_of_models(self, name: str, sent: str) -> None:
        """An address around an id is taken off."""
        assert one(entry(modelId=name))["request"]["model"] == sent

    def test_a_profile_of_an_application(self) -> None:
        """Where the id names no model the answer may; where neither does it is left out."""
        name = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/x7y8"
        answer = {"id": "msg_1", "model": "claude-opus-5-5", "usage": {"input_tokens": 5}}
        assert one(entry(said=answer, modelId=name))["request"]["model"] == "claude-opus-5-5"
        tally = Tally()
        assert not lines(json.dumps(entry(modelId=name)).encode(), tally)
        assert tally.notes() == (f"{bedrock.UNNAMED}: 1",)

    def test_the_government(self) -> None:
        """GovCloud has prices of its own, so its region goes with a model that names none."""
        plain = "anthropic.claude-opus-5-5"
        assert "inference_geo" not in one(entry(modelId=plain))["request"]
        there = one(entry(modelId=plain, region="us-gov-west-1"))
        assert there["request"]["inference_geo"] == "us-gov-west-1"

    def test_a_stream(self) -> None:
        """A stream is its start with its end on top, and says when it began."""
        start = {"input_tokens": 5, "cache_creation_input_tokens": 10, "output_tokens": 1}
        start["cache_creation"] = {"ephemeral_1h_input_tokens": 10}  # type: ignore[assignment]
        metrics = {"inputTokenCount": 5, "firstByteLatency": 2635}
        said = [
            {"type": "message_start", "message": {"id": "msg_1", "usage": start}},
            {"type": "message_delta", "usage": {"output_tokens": 9}},
            {"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics},
        ]
        line = one(entry(said=said, operation="InvokeModelWithResponseStream"))
        assert line["response"]["usage"]["cache_creation"]["ephemeral_1h_input_tokens"] == 10
        assert line["response"]["usage"]["output_tokens"] == 9
        assert line["first_token_after"] == 2.635

    def test_counts_that_only_the_record_has(self) -> None:
        """What an answer of Converse leaves out the record says."""
        record = entry(SAID, {"usage": {"inputTokens": 6, "outputTokens": 8}}, operation="Converse")
        record["input"]["cacheReadInputTokenCount"] = 100
        used = one(record)["response"]["usage"]
        assert (used["input_tokens"], used["cache_read_input_tokens"], used["output_tokens"]) == (
            6,
            100,
            8,
        )

    def test_nothing_counted(self) -> None:
        """Where nobody counted there is no usage, which is not the same as none used."""
        assert one(entry(input={"inputBodyJson": SENT}, output=None))["response"] == {}

    def test_a_failed_call(self) -> None:
        """A call that failed has an error and no usage."""
        line = one(entry(errorCode="ThrottlingException"))
        assert line["response"] == {"type": "error", "error": {"type": "ThrottlingException"}}

    def test_pictures_that_lie_elsewhere(self) -> None:
        """A picture that the log put elsewhere is not there, so that the text is not whole."""
        image = {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/k"}}}}
        body = {"messages": [{"role": "user", "content": [image]}]}
        assert one(entry(body, operation="Converse"))["lacks"] == ["text"]
        spoken = {"messages": [{"role": "user", "content": [{"text": 'an "s3Location"'}]}]}
        assert "lacks" not in one(entry(spoken, operation="Converse"))


#: Where the service puts what is large, and where its log has the rest.
KEY: Final = "AWSLogs/123456789012/BedrockModelInvocationLogs/us-east-1/2026/11/02/09"
LOG: Final = "20261102T090000000Z_5b6e.json.gz"


def apart(folder: Path, records: list[dict[str, Any]], *, sides: str = "input output") -> Path:
    """Write a log as a bucket holds it, the bodies of its records in files of their own."""
    (folder / "data").mkdir(parents=True)
    for record in records:
        for side in sides.split():
            body = record[side].pop(f"{side}BodyJson")
            name = f"{record['requestId']}_{side}.json.gz"
            record[side][f"{side}BodyS3Path"] = f"s3://bucket/{KEY}/data/{name}"
            (folder / "data" / name).write_bytes(gzip.compress(json.dumps(body).encode()))
    raw = "".join(json.dumps(record) + "\n" for record in records).encode()
    (folder / LOG).write_bytes(gzip.compress(raw))
    return folder


def calls(*sources: Path | str, tally: Tally | None = None, form: str | None = None) -> list[Any]:
    """Return the lines of calls in files and folders."""
    return [json.loads(one.line) for one in told(sources, tally or Tally(), form)]


class TestApart:
    """Bodies that are too large for their record, in files of their own."""

    @pytest.mark.parametrize("path", MADE, ids=lambda path: path.name)
    def test_the_same_calls(self, path: Path, tmp_path: Path) -> None:
        """A copied bucket has the calls that it would have were they small; nothing is counted."""
        records = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        tally = Tally()
        assert calls(apart(tmp_path / "logs", records), tally=tally) == calls(path)
        assert not tally.notes()

    @pytest.mark.parametrize("form", [None, "bedrock"])
    @pytest.mark.parametrize("name", ["data/7487ab04_input.json.gz", "7487ab04_input.json.gz"])
    def test_a_part_is_no_log(self, tmp_path: Path, name: str, form: str | None) -> None:
        """A folder's files are logs, parts of them, or foreign, and only those are counted."""
        folder = apart(tmp_path / "logs", [entry(requestId="0"), entry()], sides="input")
        (folder / "data" / "7487ab04_input.json.gz").rename(folder / name)
        (folder / "notes.txt").write_text("Light lamp 7.")
        tally = Tally(skip_bad=True)
        assert [line["id"] for line in calls(folder, tally=tally, form=form)] == ["0", "7487ab04"]
        if form is None:
            what = "files of a folder that hold no calls in any known form, left out"
            assert tally.notes() == (f"{what}: 1",)

    def test_parts_of_calls_that_are_left_out(self, tmp_path: Path) -> None:
        """Another model's prompt is not read, and is no foreign file either."""
        folder = apart(tmp_path / "logs", [entry(), entry(requestId="2", modelId="meta.llama")])
        (folder / "data" / "2_input.json.gz").write_bytes(b"not looked at")
        tally = Tally()
        assert len(calls(folder, tally=tally)) == 1
        assert tally.notes() == (f"{OTHERS}: 1",)

    def test_parts_that_a_shell_names(self, tmp_path: Path) -> None:
        """A pattern that the shell took apart names the folder of parts as well."""
        folder = apart(tmp_path / "logs", [entry()])
        assert len(calls(folder / LOG, folder / "data")) == 1

    def test_events_beside_a_bucket(self, tmp_path: Path) -> None:
        """What CloudWatch exports finds its bodies in the copy of a bucket beside it."""
        record = entry()
        apart(tmp_path / KEY, [record])
        (tmp_path / KEY / LOG).unlink()
        events = tmp_path / "events.json"
        events.write_bytes(wrapped("filter-log-events", [record]))
        assert calls(events) == [one(entry())]

    @pytest.mark.parametrize("sides", ["input", "input output"])
    def test_a_prompt_that_was_not_copied(self, tmp_path: Path, sides: str) -> None:
        """Where a prompt is not there its call is counted and left out."""
        folder = apart(tmp_path / "logs", [entry(), entry(requestId="2")], sides=sides)
        (folder / "data" / "2_input.json.gz").unlink()
        tally = Tally()
        assert [line["id"] for line in calls(folder, tally=tally)] == ["7487ab04"]
        assert tally.notes() == (f"{bedrock.ELSEWHERE}: 1",)

    def test_an_answer_that_was_not_copied(self, tmp_path: Path) -> None:
        """Where only the answer is not there, the record has its counts."""
        folder = apart(tmp_path / "logs", [entry()])
        (folder / "data" / "7487ab04_output.json.gz").unlink()
        (line,) = calls(folder)
        assert line == one(entry())

    def test_standard_input_has_no_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What comes through a pipe lies nowhere, so that nothing lies beside it."""
        monkeypatch.chdir(apart(tmp_path / "logs", [entry()]))
        raw = io.BytesIO((tmp_path / "logs" / LOG).read_bytes())
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(raw))
        tally = Tally()
        assert not calls("-", tally=tally)
        assert tally.notes() == (f"{bedrock.ELSEWHERE}: 1",)

    @pytest.mark.parametrize(
        ("side", "raw", "what"),
        [
            ("input", b"", "7487ab04_input.json.gz: nothing stands in it"),
            (
                "output",
                gzip.compress(b"{}" * 99, mtime=0)[:-9],
                "7487ab04_output.json.gz: the compressed file ends too early",
            ),
            ("input", b"[]", ""),
            ("input", b'{"messages": ', ""),
            ("output", b'{"usage": NaN}', "usage: "),
            ("output", b'{"a": ' * 10_000, ""),
        ],
        ids=range(6),
    )
    def test_damaged(self, tmp_path: Path, side: str, raw: bytes, what: str) -> None:
        """What is wrong with a body is said with the place of its record in the log."""
        folder = apart(tmp_path / "logs", [entry(requestId="0"), entry()])
        (folder / "data" / f"7487ab04_{side}.json.gz").write_bytes(raw)
        with pytest.raises(InputError) as caught:
            calls(folder)
        place = f"{folder / LOG} line 2: "
        assert str(caught.value).startswith(f"{place}{side}.{side}BodyS3Path")
        assert what in str(caught.value)
        tally = Tally(skip_bad=True)
        assert [line["id"] for line in calls(folder, tally=tally)] == ["0"]
        assert tally.notes() == (f"{BAD}: 1",)

    def test_hostile_bodies(self, tmp_path: Path) -> None:
        """Whatever stands in a body, nothing but an error with a place leaves it."""
        made = [json.loads(line) for line in seeds() if line.startswith(b'{"schemaType"')]
        for number, record in enumerate(made):
            folder = apart(tmp_path / str(number), [record])
            for side in ("input", "output"):
                path = folder / "data" / f"{record['requestId']}_{side}.json.gz"
                whole = path.read_bytes()
                for body in hostile_lines([whole, gzip.decompress(whole)], 40, seed=number):
                    path.write_bytes(body)
                    with suppress(InputError):
                        calls(folder)
                    calls(folder, tally=Tally(skip_bad=True))
                path.write_bytes(whole)


class TestLifetimes:
    """For how long was written what was."""

    @staticmethod
    def read(points: list[dict[str, Any]], usage: dict[str, Any]) -> dict[str, Any]:
        """Read a call of Converse with these cache points that was answered like this."""
        content = [part for point in points for part in ({"text": "Light lamp 7."}, point)]
        body = {"messages": [{"role": "user", "content": content}]}
        return one(entry(body, {"usage": usage}, operation="Converse"))

    @pytest.mark.parametrize(("point", "long"), [(POINT, 0), (HOUR, 50)])
    def test_as_all_marks_say(self, point: dict[str, Any], long: int) -> None:
        """Where all marks are of one lifetime, what was written is of that one."""
        line = self.read([point], {"inputTokens": 5, "cacheWriteInputTokens": 50})
        split = line["response"]["usage"]["cache_creation"]
        assert (split["ephemeral_5m_input_tokens"], split["ephemeral_1h_input_tokens"]) == (
            50 - long,
            long,
        )
        assert "lacks" not in line

    @pytest.mark.parametrize("points", [[], [HOUR, POINT]], ids=["none", "both"])
    def test_unknown(self, points: list[dict[str, Any]]) -> None:
        """Where marks of both lifetimes, or none, could have written it, nobody knows."""
        line = self.read(points, {"inputTokens": 5, "cacheWriteInputTokens": 50})
        assert "cache_creation" not in line["response"]["usage"]
        assert line["lacks"] == ["lifetimes"]

    def test_as_the_answer_says(self) -> None:
        """Details by lifetime go before everything."""
        details = [{"ttl": "1h", "inputTokens": 30}, {"ttl": "5m", "inputTokens": 20}]
        usage = {"inputTokens": 5, "cacheWriteInputTokens": 50, "cacheDetails": details}
        line = self.read([HOUR, POINT], usage)
        assert line["response"]["usage"]["cache_creation"] == {
            "ephemeral_5m_input_tokens": 20,
            "ephemeral_1h_input_tokens": 30,
        }
        assert "lacks" not in line


class TestLeftOut:
    """What is left out, and counted."""

    @pytest.mark.parametrize(
        ("record", "why"),
        [
            (entry(modelId="amazon.nova-lite-v1:0"), OTHERS),
            (
                entry(modelId="arn:aws:bedrock:us-east-1::foundation-model/meta.llama"),
                OTHERS,
            ),
            (entry(operation="CountTokens"), bedrock.NO_CALLS),
            (entry(None), UNKEPT),
            (
                entry(input={"inputBodyJson": None, "inputBodyS3Path": "s3://b/k"}),
                bedrock.ELSEWHERE,
            ),
            (entry(input={"inputBodyS3Path": "s3://b/k"}, output=None), bedrock.ELSEWHERE),
        ],
        ids=range(6),
    )
    def test_counted(self, record: dict[str, Any], why: str) -> None:
        """Another model's call, no call, and one without a body are counted, each as what it is."""
        tally = Tally()
        assert not lines(json.dumps(record).encode(), tally)
        assert tally.notes() == (f"{why}: 1",)

    def test_secrets(self) -> None:
        """Who made a call stands nowhere, nor on whose behalf."""
        text = json.dumps(one(entry()))
        for secret in ("secret-name", "123456789012", "somebody", "arn:", "bedrock-2023"):
            assert secret not in text


@pytest.mark.parametrize(
    ("record", "where"),
    [
        (entry(timestamp=None), "timestamp: "),
        (entry(input={"inputTokenCount": -1, "inputBodyJson": SENT}), ""),
        (entry(input={"inputTokenCount": "many"}), "input.inputTokenCount: "),
        (entry([]), "input.inputBodyJson: "),
        (entry({"messages": [7]}, operation="Converse"), "input.inputBodyJson.messages[0]: "),
        (entry("no body"), ""),
        (entry(said={"usage": {"input_tokens": "many"}}), "output.outputBodyJson: "),
    ],
    ids=range(7),
)
def test_what_is_wrong(record: dict[str, Any], where: str) -> None:
    """What is wrong with a record is said with its line and the path inside it."""
    with pytest.raises(InputError) as caught:
        one(record)
    assert str(caught.value).startswith(f"log line 1: {where}")


@pytest.mark.parametrize(
    "path",
    sorted(path for path in LOGS.glob("*.gz") if not path.name.startswith("bedrock_")),
    ids=lambda path: path.name,
)
def test_every_other_log(path: Path) -> None:
    """No other format's file is taken for one."""
    with gzip.open(path) as stream:
        assert not bedrock.matches(Head(stream.read(1 << 18)))


#: Ways that need more than one line for an entry.
OF_LINES: Final = ("filter-log-events", "table of events", "table of rows")


def seeds() -> list[bytes]:
    """Return entries of every sort."""
    made = [gzip.decompress(path.read_bytes()).splitlines()[1] for path in MADE]
    samples = [wrapped(way, [entry()]) for way in WAYS if way not in OF_LINES]
    image = {"image": {"format": "png", "source": {"bytes": "AA=="}}}
    body = {"system": [{"text": "Be brief."}, HOUR], "toolConfig": {"tools": []}}
    body |= {"messages": [{"role": "user", "content": [image, {"text": "Hi"}, POINT]}]}
    samples.append(json.dumps(entry(body, {"usage": {}}, operation="Converse")).encode())
    return [*samples, *made]


def hostile(number: int) -> None:
    """Read broken entries: records a line as one file, all else as files of their own."""
    together = []
    header, row = wrapped("table of events", [entry()]).splitlines(keepends=True)
    for line in hostile_lines([*seeds(), row], number, seed=8):
        if line.startswith(b"1793610000000,"):
            survives(bedrock, header + line)
        elif line.startswith(b'{"schemaType"') and b'"logEvents"' not in line:
            together.append(line)
        else:
            survives(bedrock, line)
    for start in range(0, len(together), 50):
        survives(bedrock, b"\n".join(together[start : start + 50]))


def test_hostile_lines() -> None:
    """Whatever stands in a log, nothing but an error with a place leaves it."""
    hostile(2_000)


@pytest.mark.long
def test_many_hostile_lines() -> None:
    """Nor after a hundred thousand of them."""
    hostile(100_000)
