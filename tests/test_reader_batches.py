"""Message Batches: request files and results, apart, together, and broken."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any, Final

import pytest
from lighthouse import BODIES
from mutations import hostile_lines, survives

from cacheplan import Assumptions
from cacheplan.errors import InputError
from cacheplan.io.documents import File, Head
from cacheplan.io.logged import OTHERS
from cacheplan.io.readers import batches
from cacheplan.io.tally import Tally
from cacheplan.testing import FakeAnthropic

LOGS: Final = Path(__file__).parent / "logs"
PARAMS: Final = {"model": "claude-opus-5-5", "max_tokens": 9, "messages": []}


def made(name: str) -> bytes:
    """Return a file that the SDK and the double made."""
    return gzip.decompress((LOGS / name).read_bytes())


def lines(raw: bytes, tally: Tally | None = None) -> list[dict[str, Any]]:
    """Read a file; what was passed on as it was is decoded."""
    file = File("log", io.BufferedReader(io.BytesIO(raw)))
    found = [line for _, line in batches.read(file, tally or Tally())]
    text = json.dumps(found, default=lambda part: json.loads(bytes(part)))
    return list(json.loads(text))


def one(entry: dict[str, Any]) -> dict[str, Any]:
    """Read one entry."""
    (line,) = lines(json.dumps(entry).encode())
    return line


class TestMade:
    """The conversation as a batch of the SDK's, with its results."""

    @pytest.mark.parametrize("name", ["batches_requests.json.gz", "batches_requests.jsonl.gz"])
    def test_requests(self, name: str) -> None:
        """Each request is a call of the batch, its body as it was sent, its time unknown."""
        found = lines(made(name))
        assert [line["request"] for line in found[:-1]] == BODIES
        assert [line["id"] for line in found] == [
            *(f"night-{at}" for at in range(4)),
            "night-refused",
        ]
        assert {line["surface"] for line in found} == {"batch"}
        assert [line["at"] for line in found] == [1, 2, 3, 4, 5]
        assert all(line["lacks"] == ["times"] for line in found)

    def test_results(self) -> None:
        """Each result answers its request, and all usage is what the service counted."""
        fake = FakeAnthropic(assume=Assumptions(batch_hit_rate=0.98))
        through = pytest.importorskip("anthropic").DefaultHttpxClient(transport=fake.transport())
        client = pytest.importorskip("anthropic").Anthropic(api_key="any", http_client=through)
        requests = [{"custom_id": f"night-{at}", "params": body} for at, body in enumerate(BODIES)]
        with client:
            client.messages.batches.create(requests=requests)
            fake.finish_batches()
        found = {
            line["answers"]: line["response"] for line in lines(made("batches_results.jsonl.gz"))
        }
        assert found.pop("night-refused") == {
            "type": "error",
            "error": {"type": "invalid_request_error"},
        }
        keys = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
        for at, call in enumerate(fake.calls):
            used = call.usage
            assert used is not None
            usage = found[f"night-{at}"]["usage"]
            assert [usage[key] for key in keys] == [used.uncached, used.read, used.written]
            split = usage["cache_creation"]
            assert split["ephemeral_1h_input_tokens"] == used.write_1h

    @pytest.mark.parametrize("path", sorted(LOGS.glob("batches_*.gz")), ids=lambda path: path.name)
    def test_matches(self, path: Path) -> None:
        """Each is told from how it begins."""
        assert batches.matches(Head(gzip.decompress(path.read_bytes())))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b'{"at": 1, "request": {"model": "m", "messages": []}}',
        b'{"custom_id": "a", "at": 1, "result": "succeeded", "request": {"model": "m"}}',
        b'{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {}}',
        b'{"recordId": "a", "modelInput": {"messages": []}}',
        b'{"model": "m", "messages": []}',
    ],
)
def test_others(raw: bytes) -> None:
    """Other files that name requests are none of these: calls collected, other batches."""
    assert not batches.matches(Head(raw))


@pytest.mark.parametrize(
    ("result", "response"),
    [
        ({"type": "expired"}, {"type": "error", "error": {"type": "expired"}}),
        ({"type": "canceled"}, {"type": "error", "error": {"type": "canceled"}}),
        (
            {"type": "errored", "error": {"type": "error", "error": {"type": "api_error"}}},
            {"type": "error", "error": {"type": "api_error"}},
        ),
        (
            {"type": "succeeded", "message": {"id": "msg_1", "usage": {"input_tokens": 5}}},
            {"id": "msg_1", "usage": {"input_tokens": 5}},
        ),
        ({"type": "succeeded"}, {"type": "error", "error": {"type": "succeeded"}}),
        ({"type": "succeeded", "message": {}}, {}),
    ],
    ids=str,
)
def test_what_came_of_it(result: dict[str, Any], response: dict[str, Any]) -> None:
    """What succeeded has its usage; all else is an error, which was not billed."""
    assert one({"custom_id": "a", "result": result}) == {"answers": "a", "response": response}


def test_both_in_one() -> None:
    """Who joined requests and results has both in one line."""
    line = one({"custom_id": "a", "params": PARAMS, "result": {"type": "expired"}})
    assert (line["id"], line["request"]) == ("a", PARAMS)
    assert line["response"]["error"] == {"type": "expired"}


def test_another_providers_batch() -> None:
    """Requests to other models are counted."""
    tally = Tally()
    entry = {"custom_id": "a", "params": {"model": "gpt-5.5", "messages": []}}
    assert not lines(json.dumps(entry).encode(), tally)
    assert tally.notes() == (f"{OTHERS}: 1",)


def test_secrets() -> None:
    """Whose request it is goes no further, nor does what an error quotes."""
    params = {**PARAMS, "metadata": {"user_id": "somebody@lighthouse.example"}}
    error = {"type": "error", "error": {"type": "api_error", "message": "sk-ant-secret"}}
    entry = {"custom_id": "a", "params": params, "result": {"type": "errored", "error": error}}
    text = json.dumps(one(entry))
    assert "somebody" not in text
    assert "sk-ant" not in text


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ({"custom_id": "a"}, "params: missing"),
        ({"custom_id": 7, "params": PARAMS}, "custom_id: "),
        ({"custom_id": "a", "params": []}, "params: expected an object, found a list"),
        ({"custom_id": "a", "result": {}}, "result: "),
        ({"custom_id": "a", "result": "succeeded"}, "result: "),
        ({"params": PARAMS}, "object missing required field"),
    ],
    ids=str,
)
def test_what_is_wrong(entry: dict[str, Any], what: str) -> None:
    """What is wrong with an entry is said with its line and the path inside it."""
    with pytest.raises(InputError) as caught:
        one(entry)
    assert str(caught.value).startswith(f"log line 1: {what}")


@pytest.mark.parametrize(
    "path",
    sorted(path for path in LOGS.glob("*.gz") if not path.name.startswith("batches_")),
    ids=lambda path: path.name,
)
def test_every_other_log(path: Path) -> None:
    """No other format's file is taken for one."""
    with gzip.open(path) as stream:
        assert not batches.matches(Head(stream.read(1 << 18)))


def hostile(number: int) -> None:
    """Read broken entries: those of one line each as one file, all else as files of their own."""
    seeds = [
        json.dumps({"custom_id": "a", "params": {**PARAMS, "mcp_servers": []}}).encode(),
        json.dumps({"requests": [{"custom_id": "a", "params": BODIES[0]}]}).encode(),
        *made("batches_results.jsonl.gz").splitlines(),
        made("batches_requests.jsonl.gz").splitlines()[1],
    ]
    together = []
    for line in hostile_lines(seeds, number, seed=8):
        if line.startswith((b'{"custom_id":"', b'{"custom_id": "')) and b'"requests"' not in line:
            together.append(line)
        else:
            survives(batches, line)
    for start in range(0, len(together), 50):
        survives(batches, b"\n".join(together[start : start + 50]))


def test_hostile_lines() -> None:
    """Whatever stands in a file, nothing but an error with a place leaves it."""
    hostile(2_000)


@pytest.mark.long
def test_many_hostile_lines() -> None:
    """Nor after a hundred thousand of them."""
    hostile(100_000)
