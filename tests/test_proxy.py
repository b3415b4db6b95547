"""The stand-in for the API: what passes is marked, recorded, and otherwise untouched."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import anthropic
import pytest

import cacheplan
from cacheplan.errors import InputError
from cacheplan.io.proxy import Proxy
from cacheplan.io.recall import recall
from cacheplan.testing import FakeAnthropic

PROGRAM: Final = "import sys; from cacheplan.io.cli import main; sys.exit(main())"
#: The package under test, wherever it was imported from, and no other.
ENVIRONMENT: Final = {**os.environ, "PYTHONPATH": str(Path(cacheplan.__file__).parents[1])}
RULES: Final = "\n".join(f"Rule {number}: be brief, and cite this rule." for number in range(400))
CALL: Final[dict[str, Any]] = {
    "model": "claude-sonnet-5",
    "max_tokens": 64,
    "system": RULES,
    "messages": [{"role": "user", "content": "What does rule 1 say?"}],
}


@pytest.fixture
def fake() -> Iterator[FakeAnthropic]:
    """Stand in for the API."""
    with FakeAnthropic() as fake:
        yield fake


@contextlib.contextmanager
def through(fake: FakeAnthropic, **options: Any) -> Iterator[anthropic.Anthropic]:
    """Call the API through the proxy."""
    given = {"clock": fake.clock, **options}
    with (
        Proxy(fake.url, port=0, **given) as proxy,
        anthropic.Anthropic(base_url=proxy.url, api_key="any", max_retries=0) as client,
    ):
        yield client


def marked(fake: FakeAnthropic) -> list[bool]:
    """Say of each call that arrived whether its system prompt is marked."""
    return ["cache_control" in str(call.body["system"]) for call in fake.calls]


def test_calls_are_marked(fake: FakeAnthropic, tmp_path: Path) -> None:
    """A program that was told nothing but an address has its calls marked and recorded."""
    path = tmp_path / "calls.db"
    with through(fake, ledger=path, label="rules") as client:
        for _ in range(3):
            client.messages.create(**CALL)
            fake.sleep(30)
    assert marked(fake) == [True, True, True]
    entries = recall(path).entries
    assert [entry.label for entry in entries] == ["rules"] * 3
    assert [bool(entry.usage and entry.usage.read) for entry in entries] == [False, True, True]


def test_an_answer_is_untouched(fake: FakeAnthropic) -> None:
    """A plain answer comes back as the API gave it, its headers too."""
    fake.say("Be brief.", times=2)
    direct = anthropic.Anthropic(base_url=fake.url, api_key="any")
    with through(fake, mode="observe") as client, direct:
        mine = client.messages.with_raw_response.create(**CALL)
        theirs = direct.messages.with_raw_response.create(**CALL)
    assert mine.headers["request-id"]
    assert mine.parse().content == theirs.parse().content


def test_a_stream_is_passed_on(fake: FakeAnthropic, tmp_path: Path) -> None:
    """A stream comes back event by event, and its usage is recorded."""
    path = tmp_path / "calls.db"
    with through(fake, ledger=path) as client, client.messages.stream(**CALL) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_message()
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    (entry,) = recall(path).entries
    assert entry.usage is not None
    assert entry.usage.prompt == (
        final.usage.input_tokens
        + (final.usage.cache_read_input_tokens or 0)
        + (final.usage.cache_creation_input_tokens or 0)
    )


@pytest.mark.parametrize("status", [400, 429, 529])
def test_errors_come_back(fake: FakeAnthropic, status: int) -> None:
    """What the API refuses is refused in its own words."""
    fake.fail(status, message="so it is")
    with through(fake) as client, pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(**CALL)
    assert caught.value.status_code == status
    assert "so it is" in str(caught.value)


def test_refused_marks(fake: FakeAnthropic) -> None:
    """A call whose marks are refused goes out once more as it came."""
    fake.fail(400, message="system.0.cache_control: not today")
    with through(fake) as client:
        answer = client.messages.create(**CALL)
    assert answer.content
    assert marked(fake)[-1] is False


def test_nobody_there() -> None:
    """Where the API cannot be reached the client hears so in the API's own shape."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{free.getsockname()[1]}"
    with (
        Proxy(dead, port=0) as proxy,
        anthropic.Anthropic(base_url=proxy.url, api_key="any", max_retries=0) as client,
        pytest.raises(anthropic.APIStatusError, match="could not be reached") as caught,
    ):
        client.messages.create(**CALL)
    assert caught.value.status_code == 502


def test_other_paths(fake: FakeAnthropic) -> None:
    """What is no call of the Messages API passes as it is."""
    with through(fake) as client:
        counted = client.messages.count_tokens(model=CALL["model"], messages=CALL["messages"])
        assert counted.input_tokens > 0
        assert client.models.list().data


def test_many_at_once(fake: FakeAnthropic) -> None:
    """Connections do not wait for one another."""
    answers: list[str] = []
    with through(fake) as client:
        threads = [
            threading.Thread(target=lambda: answers.append(client.messages.create(**CALL).id))
            for _ in range(32)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(set(answers)) == 32


@pytest.mark.parametrize(
    ("options", "words"),
    [({"upstream": "ftp://somewhere"}, "begins with http"), ({"port": "taken"}, "already in use")],
)
def test_bad_options(options: dict[str, Any], words: str) -> None:
    """An address or a port that cannot be is said in a line."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        if options.get("port") == "taken":
            options = {"port": taken.getsockname()[1]}
        with pytest.raises(InputError, match=words):
            Proxy(**{"port": 0, **options})


def test_a_gateway(fake: FakeAnthropic, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment names a gateway, calls go there; never to the proxy itself."""
    monkeypatch.setenv("ANTHROPIC_BASE_URL", fake.url)
    with (
        Proxy(port=0) as proxy,
        anthropic.Anthropic(base_url=proxy.url, api_key="any") as client,
    ):
        client.messages.create(**CALL)
        port = int(proxy.url.rpartition(":")[2])
    assert len(fake.calls) == 1
    monkeypatch.setenv("ANTHROPIC_BASE_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(InputError, match="this proxy itself"):
        Proxy(port=port)


def test_command(fake: FakeAnthropic, tmp_path: Path) -> None:
    """The command says where it listens, and ends when it is interrupted."""
    words = ["proxy", "--port", "0", "--upstream", fake.url, "--ledger", str(tmp_path / "calls.db")]
    started = subprocess.Popen(
        [sys.executable, "-u", "-c", PROGRAM, *words],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None
    said = re.fullmatch(r"ANTHROPIC_BASE_URL=(\S+)\n", started.stdout.readline())
    assert said is not None
    with anthropic.Anthropic(base_url=said.group(1), api_key="any") as client:
        client.messages.create(**CALL)
    started.send_signal(signal.SIGINT)
    _, errors = started.communicate(timeout=30)
    assert started.returncode == 130
    assert "Traceback" not in errors
    assert len(recall(tmp_path / "calls.db").entries) == 1
