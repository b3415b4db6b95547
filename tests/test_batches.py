"""Building request files: what the API takes, every byte counted, all of it or nothing."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import anthropic
import pytest
from batched import call, write
from talk import INSTRUCTIONS

from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError
from cacheplan.io import door
from cacheplan.io.batches import Built, Ways, build
from cacheplan.io.outbox import NAME, Outbox
from cacheplan.io.reading import read
from cacheplan.prices import Sheet
from cacheplan.testing import FakeAnthropic

NOW = 1_793_610_000.0


def made(folder: Path, *lines: dict[str, Any], told: list[str] | None = None, **ways: Any) -> Built:
    """Build lines into the folder ``out``."""
    source = write(folder / "calls.jsonl", lines)
    known = Ways(sheet=Sheet.default(), assume=Assumptions(), **ways)
    say = ([] if told is None else told).append
    return build([source], folder / "out", known, NOW, say)


def bodies(folder: Path) -> list[dict[str, Any]]:
    """Return the contents of the request files, in their order."""
    files = sorted((folder / "out").glob("*.json"), key=lambda path: path.stem[-5:])
    return [json.loads(path.read_bytes()) for path in files]


def test_calls_become_a_body(tmp_path: Path) -> None:
    """A request file is a body for the API that holds each call once, marked and named."""
    built = made(tmp_path, *[call(number) for number in range(40)])
    (file,) = built.files
    (body,) = bodies(tmp_path)
    assert file.bytes == (tmp_path / "out" / file.name).stat().st_size
    names = [one["custom_id"] for one in body["requests"]]
    assert len(set(names)) == 40
    assert {name.split("-", 2)[2] for name in names} == {f"order-{n}" for n in range(40)}
    for one in body["requests"]:
        (system,) = one["params"]["system"]
        assert system["cache_control"]["type"] == "ephemeral"
        assert system["text"] == INSTRUCTIONS


def test_the_api_takes_what_is_built(tmp_path: Path) -> None:
    """The imitated service takes the file as it is, and answers every request in it."""
    built = made(tmp_path, *[call(number) for number in range(20)], seeded=True)
    with FakeAnthropic() as fake, anthropic.Anthropic(base_url=fake.url, api_key="any") as client:
        for body in bodies(tmp_path):
            client.messages.batches.create(requests=body["requests"])
        client.messages.batches.list()
        assert [one.status for one in fake.calls] == [200] * 20
    assert [(file.seeds, file.requests) for file in built.files] == [(True, 1), (False, 19)]


def test_what_begins_alike_stands_together(tmp_path: Path) -> None:
    """Calls that share a prefix are neighbours in the file, however they came."""
    lines = [call(number, system=f"{INSTRUCTIONS} {number % 3}") for number in range(30)]
    made(tmp_path, *lines)
    (body,) = bodies(tmp_path)
    kinds = [one["params"]["system"][0]["text"][-1] for one in body["requests"]]
    changes = sum(one != other for one, other in pairwise(kinds))
    assert changes == 2


def test_nothing_but_marks_changes(tmp_path: Path) -> None:
    """Everything but ``cache_control`` stays as it was written, odd spellings included."""
    line = (
        b'{"request": {"model":"claude-opus-5-5",  "max_tokens":1.0e1, "system":"\\u00e9\xc3\xa9",'
        b'"messages": [ {"role":"user","content":"Hi"} ], "metadata": {"user_id":"u"} }}\n'
    ).replace(b"1.0e1", b"10")
    (tmp_path / "calls.jsonl").write_bytes(line)
    ways = Ways(sheet=Sheet.default(), assume=Assumptions())
    build([str(tmp_path / "calls.jsonl")], tmp_path / "out", ways, NOW, print)
    content = (tmp_path / "out" / "requests-00001.json").read_bytes()
    assert b'"system":"\\u00e9\xc3\xa9"' in content
    assert b'[{"role":"user","content":"Hi"}]' in content.replace(b" ", b"")


def test_marks_of_the_source_are_replaced(tmp_path: Path) -> None:
    """A call that came with marks has those of the batch instead, and none beside them."""
    old = {"type": "ephemeral"}
    made(tmp_path, call(1, cache_control=old), call(2, cache_control=old))
    (body,) = bodies(tmp_path)
    assert b"cache_control" not in json.dumps(body).encode()


def test_a_plan_places_the_marks(tmp_path: Path) -> None:
    """With a plan, marks stand where the plan says."""
    lines = [{"at": number, **call(number)} for number in range(20)]
    plan = door.choose(read(write(tmp_path / "log.jsonl", lines)))
    built = made(tmp_path, *lines[:2], plan=plan)
    assert {family.marked for family in built.batch.families} == {"as the plan says"}
    assert "cache_control" in json.dumps(bodies(tmp_path))


@pytest.mark.parametrize(("most", "sizes"), [(5, [5]), (4, [4, 1]), (2, [2, 2, 1]), (1, [1] * 5)])
def test_the_edge_of_requests(tmp_path: Path, most: int, sizes: list[int]) -> None:
    """As many requests as a batch may have are one file; one more begins the next."""
    built = made(tmp_path, *[call(number) for number in range(5)], most=most)
    assert [file.requests for file in built.files] == sizes
    assert [len(body["requests"]) for body in bodies(tmp_path)] == sizes


@pytest.mark.parametrize(("over", "files"), [(0, 1), (1, 2)])
def test_the_edge_of_bytes(tmp_path: Path, over: int, files: int) -> None:
    """A file that is as long as a batch may be is one; a byte less of room makes it two."""
    size = made(tmp_path, *[call(number) for number in range(4)]).files[0].bytes
    (tmp_path / "again").mkdir()
    lines = [call(number) for number in range(4)]
    built = made(tmp_path / "again", *lines, largest=size - over)
    assert len(built.files) == files
    assert all(file.bytes <= size - over for file in built.files)


def test_one_call_over_the_limit(tmp_path: Path) -> None:
    """A call that no batch has room for is named with its bytes, and nothing is written."""
    size = made(tmp_path, call(1)).files[0].bytes
    again = tmp_path / "again"
    again.mkdir()
    assert made(again, call(1), largest=size).files[0].bytes == size
    told: list[str] = []
    third = tmp_path / "third"
    third.mkdir()
    with pytest.raises(InputError, match="calls that cannot be in a batch: 1; nothing"):
        made(third, call(1), largest=size - 1, told=told)
    (words,) = told
    assert f"line 1: request: {size - 17:,} bytes" in words
    assert not (third / "out").exists()


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"stream": True}, "stream: this is not supported in a Message Batch"),
    ({"speed": "fast"}, "speed: this is not supported in a Message Batch"),
    ({"max_tokens": 0}, "max_tokens: 0 is not supported in a Message Batch"),
    ({"max_tokens": None}, "max_tokens: Field required"),
    ({"store": True}, "store: Extra inputs are not permitted"),
    ({"messages": []}, "messages: at least one message is required"),
    ({"model": "claude-opus-4-1"}, 'the model "claude-opus-4-1" is no longer served'),
    ({"max_tokens": 10**6}, "max_tokens: 1000000 > 128000"),
]


@pytest.mark.parametrize(("more", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_what_the_api_refuses_is_refused_first(
    tmp_path: Path, more: dict[str, Any], words: str
) -> None:
    """What no batch takes is said with file and line, for each call, before anything is written."""
    told: list[str] = []
    with pytest.raises(InputError, match="calls that cannot be in a batch: 2; nothing was written"):
        made(tmp_path, call(1), call(2, **more), call(3), call(4, **more), told=told)
    source = str(tmp_path / "calls.jsonl")
    assert [line.split(": ")[0] for line in told] == [f"{source} line 2", f"{source} line 4"]
    assert all(words in line for line in told)
    assert [path.name for path in tmp_path.iterdir()] == ["calls.jsonl"]


LINES: list[tuple[dict[str, Any], str]] = [
    ({"at": 0, "model": "m", "blocks": []}, "request: missing"),
    ({**call(1), "calls_per_hour": 5}, "calls_per_hour: a planned line is no call yet"),
    ({**call(1), "platform": "bedrock"}, "there are no Message Batches on bedrock"),
    ({"request": []}, "request"),
    (call(1, thread={"type": "continue"}), "newest part of its prompt"),
]


#: What a log may leave unsaid, and what is said of a call that must not be sent without it.
UNSAID = [
    ("tools", "which tools were sent"),
    ("system", "what the system prompt said"),
    ("settings", "what was set"),
    ("text", "the whole text"),
]
LINES += [({**call(1), "lacks": ["marks", word]}, f"not say {words}") for word, words in UNSAID]


@pytest.mark.parametrize(("line", "words"), LINES, ids=[words for _, words in LINES])
def test_lines_that_cannot_be_sent(tmp_path: Path, line: dict[str, Any], words: str) -> None:
    """A line without a whole request for one call is said with its number."""
    told: list[str] = []
    with pytest.raises(InputError):
        made(tmp_path, line, told=told)
    assert len(told) == 1
    assert words in told[0]
    assert "line 1" in told[0]


def test_what_is_not_sent_may_be_missing(tmp_path: Path) -> None:
    """A batch marks anew and goes out now: a log without marks or times is enough for it."""
    assert made(tmp_path, {**call(1), "lacks": ["marks", "times", "lifetimes"]}).calls == 1


def test_many_faults_are_told_in_part(tmp_path: Path) -> None:
    """Of very many faults the first fifty are told, and how many there are."""
    told: list[str] = []
    with pytest.raises(InputError, match=r"batch: 60 \(the first 50 are above\); nothing"):
        made(tmp_path, *[call(number, stream=True) for number in range(60)], told=told)
    assert len(told) == 50


def test_calls_of_one_sender(tmp_path: Path) -> None:
    """Calls of two workspaces are not put into one folder, which one key sends."""
    two = [{**call(1), "workspace": "a"}, {**call(2), "workspace": "b"}]
    with pytest.raises(InputError, match=r'several workspaces \("a", "b"\)'):
        made(tmp_path, *two)
    assert not (tmp_path / "out").exists()


def test_a_model_that_nobody_listed(tmp_path: Path) -> None:
    """A model newer than the tables is left to the API, without marks."""
    built = made(tmp_path, *[call(number, model="a-new-one") for number in range(20)])
    assert built.batch.unmeasured == ("a-new-one",)
    assert "cache_control" not in json.dumps(bodies(tmp_path))


def test_no_calls(tmp_path: Path) -> None:
    """A file without calls is an error."""
    with pytest.raises(InputError, match="no calls in it"):
        made(tmp_path)


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    """What is there already is not written over; an empty folder is taken."""
    made(tmp_path, call(1))
    before = (tmp_path / "out" / NAME).read_bytes()
    with pytest.raises(InputError, match="this is there already"):
        made(tmp_path, call(2))
    assert (tmp_path / "out" / NAME).read_bytes() == before
    (tmp_path / "other" / "out").mkdir(parents=True)
    assert made(tmp_path / "other", call(1)).calls == 1


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """Where no folder can be made, that is said, and nothing is left."""
    source = write(tmp_path / "calls.jsonl", [call(1)])
    ways = Ways(sheet=Sheet.default(), assume=Assumptions())
    with pytest.raises(InputError, match="no such file"):
        build([source], tmp_path / "missing" / "out", ways, NOW, print)
    assert [path.name for path in tmp_path.iterdir()] == ["calls.jsonl"]


def test_a_call_may_have_any_id_or_none(tmp_path: Path) -> None:
    """Ids that are the same, too long, or of other letters do not matter."""
    names = ["a", "a", "x" * 200, "Zoë's", "", None]
    made(tmp_path, *[{**call(number), "id": name} for number, name in enumerate(names)])
    (body,) = bodies(tmp_path)
    made_names = [one["custom_id"] for one in body["requests"]]
    assert len(set(made_names)) == 6


def test_several_files_and_compressed_ones(tmp_path: Path) -> None:
    """Calls of several files are one build, and each knows where it was read."""
    one = write(tmp_path / "one.jsonl", [call(1), call(2)])
    two = tmp_path / "two.jsonl.gz"
    two.write_bytes(gzip.compress(json.dumps(call(3)).encode()))
    ways = Ways(sheet=Sheet.default(), assume=Assumptions())
    build([one, str(two)], tmp_path / "out", ways, NOW, print)
    with Outbox(tmp_path / "out") as outbox:
        asked = [asked for asked, _, _ in outbox.joined()]
    assert [(Path(each.source).name, each.line) for each in asked] == [
        ("one.jsonl", 1), ("one.jsonl", 2), ("two.jsonl.gz", 1),
    ]  # fmt: skip


def test_no_key_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in the environment is in none of the files."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-very-secret")
    made(tmp_path, call(1))
    assert not any(b"very-secret" in path.read_bytes() for path in (tmp_path / "out").rglob("*"))


@pytest.mark.long
def test_a_hundred_thousand_calls_and_one(tmp_path: Path) -> None:
    """100,001 calls are two files, and the service takes the full one."""
    body = {"model": "claude-haiku-4-5", "max_tokens": 1}
    lines = (
        {"request": {**body, "messages": [{"role": "user", "content": f"{number}"}]}}
        for number in range(100_001)
    )
    built = made(tmp_path, *lines)
    assert [file.requests for file in built.files] == [100_000, 1]
    with (
        FakeAnthropic(batch_seconds=9) as fake,
        anthropic.Anthropic(base_url=fake.url, api_key="any") as client,
    ):
        content = (tmp_path / "out" / built.files[0].name).read_bytes()
        taken = client.post("/v1/messages/batches", cast_to=object, content=content)
        assert fake.received[-1].status == 200
        assert taken
