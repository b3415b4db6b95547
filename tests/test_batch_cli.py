"""``cacheplan batch`` as a person types it: every command, exit code and sentence."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from batched import call, write
from click.testing import CliRunner, Result

from cacheplan.io.cli import main
from cacheplan.io.outbox import Outbox
from cacheplan.io.recall import recall
from cacheplan.testing import FakeAnthropic


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with calls, no settings and a key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-very-secret")
    write(tmp_path / "calls.jsonl", [call(number) for number in range(20)])
    return tmp_path


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAnthropic]:
    """Return the service that the environment names."""
    with FakeAnthropic() as fake:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", fake.url)
        yield fake


def run(words: str, code: int = 0) -> Result:
    """Run a command, and see how it ends."""
    result = CliRunner().invoke(main, shlex.split(f"batch {words}"))
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def test_from_calls_to_a_ledger(fake: FakeAnthropic) -> None:
    """Built, sent, collected and booked, each call once, by five commands."""
    assert "requests-00001.json        20" in run("build calls.jsonl -o out").stdout
    assert "built" in run("status out").stdout
    assert "requests-00001.json is msgbatch_" in run("submit out --wait").stdout
    assert "was sent before as msgbatch_" in run("submit out").stdout
    (row,) = json.loads(run("status out --format json").stdout)
    assert (row["state"], row["counts"]["succeeded"]) == ("ended", 20)
    done = run("collect out -o results.jsonl --ledger ledger.db --again again.jsonl")
    assert done.stdout == "requests: succeeded 20\nbooked: 20\n"
    assert len(recall("ledger.db").entries) == 20
    found = json.loads(run("collect out -o r.jsonl --ledger ledger.db --format json").stdout)
    assert found == {"counts": {"succeeded": 20}, "booked": 0, "strays": [], "notes": []}
    assert Path("r.jsonl").read_bytes() == Path("results.jsonl").read_bytes()
    assert Path("again.jsonl").read_bytes() == b""
    assert len(fake.calls) == 20


def test_results_on_standard_output(fake: FakeAnthropic) -> None:
    """With ``-o -`` standard output has the results and nothing else."""
    run("build calls.jsonl -o out")
    run("submit out")
    lines = run("collect out -o - --quiet").stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"order-{n}" for n in range(20)]
    assert len(fake.calls) == 20


def test_no_key_is_written_or_printed(fake: FakeAnthropic, folder: Path) -> None:
    """The key is in no file and in no output."""
    output = run("build calls.jsonl -o out --seed-requests").output
    output += run("submit out").output + run("collect out -o results.jsonl --ledger l.db").output
    assert "very-secret" not in output
    assert not any(
        b"very-secret" in path.read_bytes() for path in folder.rglob("*") if path.is_file()
    )
    assert fake.calls


def test_seeds_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for the seeds is said, and ends with 1."""
    with FakeAnthropic(batch_seconds=3600) as fake:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", fake.url)
        run("build calls.jsonl -o out --seed-requests")
        assert "requests-00002.json waits until seeds-00001.json" in run("submit out", 1).stdout
        assert "open 20" in run("collect out -o r.jsonl", 1).stdout
        fake.finish_batches()
        run("submit out")


def test_an_interrupted_submit_goes_on(
    fake: FakeAnthropic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody knows the fate of is looked for, and only then sent."""
    run("build calls.jsonl -o out")
    with Outbox("out") as outbox:
        outbox.intend(outbox.files()[0], time.time(), None)
    naps: list[float] = []
    monkeypatch.setattr("cacheplan.io.mailing.time.sleep", naps.append)
    run("submit out --settle 0")
    assert naps == []
    assert len(fake.calls) == 20 or run("status out").stdout
    posted = [one for one in fake.received if one.method == "POST" and not one.prompt]
    assert len(posted) == 1


def test_faults_are_told_one_by_one() -> None:
    """Each call that no batch takes is a line on standard error, and nothing is written."""
    write(Path("bad.jsonl"), [call(1), call(2, stream=True), call(3, max_tokens=0)])
    result = run("build bad.jsonl -o out", 2)
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "bad.jsonl line 2: request: stream: this is not supported in a Message Batch",
        "bad.jsonl line 3: request: max_tokens: 0 is not supported in a Message Batch",
        "cacheplan: calls that cannot be in a batch: 2; nothing was written",
    ]
    assert not Path("out").exists()


WRONG: list[tuple[str, str]] = [
    ("build missing.jsonl -o out", "missing.jsonl: no such file"),
    ("build calls.jsonl -o .", ".: this is there already"),
    ("build calls.jsonl -o out --plan calls.jsonl", "calls.jsonl"),
    ("submit nowhere", "nowhere: there are no batches in it"),
    ("status nowhere", "nowhere: there are no batches in it"),
    ("collect nowhere -o r.jsonl", "nowhere: there are no batches in it"),
    ("advise calls.jsonl --deadline 2020-01-01T00:00:00Z", "the deadline has passed"),
    ("advise calls.jsonl --deadline 0h", "the deadline has come"),
    ("advise calls.jsonl --deadline 2099-01-01T00:00:00", "names no time zone"),
    ("advise calls.jsonl --deadline soon", "is not a time such as 6h"),
    ("advise calls.jsonl", "--deadline"),
    ("advise missing.jsonl --deadline 6h", "missing.jsonl: no such file"),
]


@pytest.mark.parametrize(("words", "said"), WRONG, ids=[words for words, _ in WRONG])
def test_what_is_wrong_is_said_in_a_line(words: str, said: str) -> None:
    """Bad input ends with 2 and says what is wrong."""
    assert said in run(words, 2).stderr


def test_a_refused_batch(fake: FakeAnthropic) -> None:
    """What the API has against a batch is told with its words, and ends with 2."""
    run("build calls.jsonl -o out")
    fake.fail(401, message="invalid x-api-key")
    assert "the API says 401: invalid x-api-key" in run("submit out", 2).stderr
    run("submit out")


def test_strays_are_told(fake: FakeAnthropic) -> None:
    """A result that fits nothing is printed, and the command ends with 1."""
    run("build calls.jsonl -o out")
    run("submit out")
    service: Any = fake._service
    service.batches.settle(fake.now)
    for batch in service.batches._batches.values():
        batch.results.append({"custom_id": "who", "result": {"type": "expired"}})
    done = run("collect out -o r.jsonl", 1)
    assert "requests-00001.json: who: belongs to no request of this file" in done.stdout


class TestAdvise:
    """Batch or now."""

    def test_in_words(self) -> None:
        """The verdict comes first, then every way with its cost at both ends."""
        said = run("advise calls.jsonl --deadline 6h").stdout
        assert said.startswith("now: ")
        assert "at 98.00 % of cache hits  at 30.00 %" in said

    def test_as_json(self) -> None:
        """As JSON a batch has a band and no point."""
        found = json.loads(run("advise calls.jsonl --deadline 6h --format json").stdout)
        assert found["calls"] == 20
        assert set(found["batch"]["cost_usd"]) == {"low", "high"}
        assert found["seconds_left"] == 6 * 3600

    def test_a_moment(self) -> None:
        """A deadline may be a moment, far away."""
        said = run("advise calls.jsonl --deadline 2999-01-01T00:00:00Z").stdout
        assert "none is promised" not in said

    def test_too_short(self) -> None:
        """Ten minutes are too short for any batch, and that is the verdict."""
        said = run("advise calls.jsonl --deadline 10m").stdout
        assert said.startswith("now: 10 min are left, and no batch can be counted on within 1 h")

    def test_planned_calls(self) -> None:
        """Calls that are only planned can be weighed, too."""
        line = {**call(1), "calls_per_hour": 20, "hours": 2, "arrivals": "steady"}
        write(Path("planned.jsonl"), [line])
        found = json.loads(run("advise planned.jsonl --deadline 6h --format json").stdout)
        assert found["calls"] == 40

    def test_an_unknown_price(self) -> None:
        """Where nobody states a price, the command ends with 3."""
        write(Path("new.jsonl"), [call(1, model="a-new-one")])
        assert "nobody states the price" in run("advise new.jsonl --deadline 6h", 3).stderr

    def test_a_plan_for_now(self) -> None:
        """A plan of one's own says how calls sent now are marked."""
        plan = {"format": "cacheplan.plan/1", "lanes": [], "prefixes": {}}
        Path("plan.json").write_text(json.dumps(plan))
        words = "advise calls.jsonl --deadline 6h --format json --plan plan.json"
        found = json.loads(run(words).stdout)
        assert found["now"]["cost_usd"] == found["now"]["unmarked_cost_usd"]


def test_the_sdk_is_needed_to_send(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the anthropic package everything but sending works, and that says so."""
    run("build calls.jsonl -o out")
    run("status out")
    monkeypatch.setitem(sys.modules, "anthropic", None)
    assert "pip install anthropic" in run("submit out", 2).stderr
