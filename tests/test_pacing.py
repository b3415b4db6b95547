"""Asking the service to count, at its pace, and going on where it was broken off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anthropic
import pytest
from click.testing import CliRunner, Result
from small import message, request

from cacheplan import facts
from cacheplan.io.cli import main
from cacheplan.io.counting import api_counter
from cacheplan.io.pacing import Paced, paced_client
from cacheplan.prompt import Block, Level
from cacheplan.testing import FakeAnthropic

COUNT = "/v1/messages/count_tokens"


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now += seconds


def asked(clock: Clock, per_minute: int, takes: float, times: int) -> Paced:
    """Ask so many times, each answer taking so long."""

    def answer(**_: Any) -> SimpleNamespace:
        clock.now += takes
        return SimpleNamespace(input_tokens=3)

    client = SimpleNamespace(messages=SimpleNamespace(count_tokens=answer))
    paced = Paced(client, per_minute, clock=clock, sleep=clock.sleep)
    for _ in range(times):
        assert paced.messages.count_tokens(model="any").input_tokens == 3
    return paced


def test_no_faster_than_allowed() -> None:
    """However fast answers come, no more are asked for in a minute than were said."""
    clock = Clock()
    paced = asked(clock, per_minute=120, takes=0.1, times=241)
    assert paced.asked == 241
    assert clock.now - 100 == pytest.approx(120.1)


def test_no_slower_than_answers_come() -> None:
    """Where answers take longer than the pace, nobody waits besides, and none is caught up."""
    clock = Clock()
    asked(clock, per_minute=120, takes=1.0, times=10)
    assert clock.slept == []
    assert clock.now == 110


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAnthropic]:
    """Return a service that listens where the SDK looks, for a user who has asked nothing yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "kept"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "kept"))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    lines = [
        {
            "at": at,
            "label": "chat",
            "request": request(
                message("user", f"question {at} about the harbour and the sea"),
                system="Be brief, and say where you know it from. " * 100,
            ),
        }
        for at in range(6)
    ]
    Path("calls.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with FakeAnthropic() as fake:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", fake.url)
        yield fake


def run(words: str) -> Result:
    """Run a command line in this process."""
    result = CliRunner().invoke(main, words.split())
    assert "Traceback" not in result.output
    return result


def questions(fake: FakeAnthropic) -> int:
    """Return how often the service was asked to count."""
    return sum(one.path == COUNT for one in fake.received)


WORDS = "estimate calls.jsonl --count api --rpm 60000 --format json"


def test_counts_are_the_services(fake: FakeAnthropic) -> None:
    """Lengths are those that the service counts, through the real SDK."""
    done = run(WORDS)
    found = json.loads(done.stdout)
    assert done.exit_code == 0
    assert found["counter"] == "count_tokens"
    # Six questions, the instructions, and what to compare either kind with.
    assert questions(fake) == 9
    with anthropic.Anthropic() as client:
        first = json.loads(Path("calls.jsonl").read_text().splitlines()[0])["request"]
        first.pop("max_tokens")
        each = client.messages.count_tokens(**first).input_tokens
    assert found["prompt_tokens"]["total"] == pytest.approx(6 * each, abs=12)


def test_asked_once(fake: FakeAnthropic) -> None:
    """What was answered is kept, so the same file again asks nothing."""
    first = run(WORDS).stdout
    before = questions(fake)
    assert run(WORDS).stdout == first
    assert questions(fake) == before


def test_a_sample_asks_less(fake: FakeAnthropic) -> None:
    """Of a sample only what its calls hold is asked for."""
    found = json.loads(run(f"{WORDS} --sample 3").stdout)
    assert found["counted"] == 3
    assert questions(fake) == 6
    total = found["prompt_tokens"]
    assert total["low"] <= total["total"] <= total["high"]


def test_broken_off(fake: FakeAnthropic) -> None:
    """A count that is broken off goes on where it was, and asks nothing twice."""

    def stop(asked: int) -> None:
        if asked > 4:
            raise KeyboardInterrupt

    blocks = [
        Block(level=Level.MESSAGES, kind="text", role="user", body={"text": f"part {at}"})
        for at in range(10)
    ]
    found = anthropic_model()
    with anthropic.Anthropic() as client:
        with pytest.raises(KeyboardInterrupt):
            api_counter(Paced(client, 60_000, stop)).count(blocks, found)
        assert questions(fake) == 4
        counts = api_counter(Paced(client, 60_000)).count(blocks, found)
    assert questions(fake) == 11
    assert all(count.source == "counted" for count in counts)


def anthropic_model() -> Any:
    """Return a model that the tables list."""
    found = facts.find("claude-opus-5")
    assert found is not None
    return found.model


def test_told_to_wait(fake: FakeAnthropic) -> None:
    """A refusal for asking too fast is waited out."""
    fake.fail(429, times=3)
    done = run(WORDS)
    assert done.exit_code == 0
    assert questions(fake) == 12


def test_refused(fake: FakeAnthropic) -> None:
    """Whoever may not ask is told so in a line, and nothing is printed."""
    fake.fail(401, times=1, message="invalid x-api-key")
    done = run(WORDS)
    assert done.exit_code == 2
    assert "the service could not be asked to count" in done.stderr
    assert not done.stdout


@pytest.mark.usefixtures("fake")
def test_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key nothing is asked, and that is said in a line."""
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
    done = run(WORDS)
    assert done.exit_code == 2
    assert "could not be asked" in done.stderr or "cannot be asked" in done.stderr


@pytest.mark.usefixtures("fake")
def test_progress() -> None:
    """Who waits hears how often the service was asked."""
    heard: list[int] = []
    client = paced_client(60_000, heard.append)
    client.count_tokens(model="claude-opus-5", messages=[{"role": "user", "content": "x"}])
    assert heard == [1]
