"""Batches are sent by the real SDK, each once, whatever breaks off and wherever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anthropic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from posted import CALLS, KilledError, Post, built

import cacheplan
from cacheplan.errors import InputError
from cacheplan.io.outbox import Outbox
from cacheplan.io.sending import SETTLE, Clock, Sender, client_for, status, table
from cacheplan.testing import FakeAnthropic

PATH = "/v1/messages/batches"


@pytest.fixture
def post(tmp_path: Path) -> Post:
    """Return a folder that was just built, and a service that is done with batches at once."""
    return Post(folder=built(tmp_path), fake=FakeAnthropic())


@pytest.fixture
def slow(tmp_path: Path) -> Post:
    """Return the same where a batch takes an hour."""
    return Post(folder=built(tmp_path), fake=FakeAnthropic(batch_seconds=3600))


def once(post: Post) -> None:
    """See that every call was sent, and none twice."""
    assert set(post.sent().values()) == {1}
    assert len(post.sent()) == CALLS


def test_every_file_is_sent_once(post: Post) -> None:
    """Submitting sends every file, and submitting again sends nothing."""
    assert post.submit() == []
    assert post.states() == ["sent"] * 3
    assert post.submit() == []
    once(post)


def test_the_bytes_are_those_of_the_file(post: Post) -> None:
    """What arrives is as long as what was counted."""
    lengths: list[int] = []
    handle = post.fake.handle

    def hear(asked: object) -> object:
        content = getattr(asked, "content", b"")
        if getattr(asked, "method", "") == "POST":
            lengths.append(len(content))
        return handle(asked)  # type: ignore[arg-type]

    post.fake.handle = hear  # type: ignore[assignment, method-assign]
    post.submit()
    with Outbox(post.folder) as outbox:
        files = outbox.files()
    assert lengths == [file.bytes for file in files]
    assert lengths == [(post.folder / file.name).stat().st_size for file in files]


class TestSeeds:
    """The requests that write go first, and the others once those have ended."""

    def test_the_others_wait(self, slow: Post) -> None:
        """Before the seeds have ended nothing else is sent; then everything is."""
        said = slow.submit()
        assert slow.states() == ["sent", "built", "built"]
        assert "requests-00002.json waits until seeds-00001.json has ended" in said[0]
        slow.fake.sleep(3600)
        assert slow.submit() == []
        assert slow.states() == ["sent"] * 3
        once(slow)

    def test_waiting(self, slow: Post) -> None:
        """With ``wait`` it is looked again and again until they have ended."""
        assert slow.submit(wait=True) == []
        assert 3600 <= slow.now <= 3620
        once(slow)


class TestDeaths:
    """A process may die before any step; the next one goes on, and sends nothing twice."""

    @pytest.mark.parametrize("step", range(12))
    def test_before_every_step(self, post: Post, step: int) -> None:
        """Whichever step a process died before, in the end each call was sent once."""
        with pytest.raises(KilledError):
            post.submit(die=step)
        assert post.submit() == []
        once(post)

    def test_these_are_all_steps(self, post: Post) -> None:
        """Four steps a file, three files: the test before dies at each."""
        post.submit()
        assert len(post.steps) == 12

    @pytest.mark.parametrize("step", range(12))
    def test_before_every_step_of_slow_batches(self, slow: Post, step: int) -> None:
        """Where a batch shows its ids only later, nothing is sent until it does."""
        for death in (step, None):
            for _ in range(8):
                with suppress(KilledError):
                    slow.submit(die=death)
                slow.fake.sleep(1200)
        assert slow.states() == ["sent"] * 3
        once(slow)

    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(st.lists(st.integers(0, 14), max_size=8), st.sampled_from([0.0, 600.0]))
    def test_again_and_again(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        deaths: list[int],
        seconds: float,
    ) -> None:
        """However often processes die, each call was sent once when one gets through."""
        folder = built(tmp_path_factory.mktemp("mail"))
        post = Post(folder=folder, fake=FakeAnthropic(batch_seconds=seconds))
        for step in deaths:
            try:
                post.submit(die=step)
            except KilledError:
                post.fake.sleep(100)
        for _ in range(6):
            post.submit()
            post.fake.sleep(600)
        once(post)

    @pytest.mark.parametrize(
        "step", [n if n in {2, 3} else pytest.param(n, marks=pytest.mark.long) for n in range(12)]
    )
    def test_killed_processes(self, post: Post, step: int) -> None:
        """The same with a real process that is killed outright."""
        with post.fake:
            assert _process(post, step) == -signal.SIGKILL
            assert _process(post, None) == 0
        once(post)


def _process(post: Post, step: int | None) -> int:
    """Submit in a process of its own, killed before a step; return how it ended."""
    program = (
        "import os, signal, sys, time\n"
        "from cacheplan.io.outbox import Outbox\n"
        "from cacheplan.io.sending import Clock, Sender, client_for\n"
        "heard = []\n"
        "def hear(step):\n"
        "    heard.append(step)\n"
        f"    if len(heard) - 1 == {step}:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "with Outbox(sys.argv[1]) as outbox:\n"
        "    clock = Clock(time.time, time.sleep)\n"
        "    client = client_for(outbox.platform)\n"
        "    said = Sender(outbox, client, clock, settle=0, watch=hear).submit()\n"
        "sys.exit(len(said))\n"
    )
    environment = {
        **os.environ,
        "ANTHROPIC_BASE_URL": post.fake.url,
        "ANTHROPIC_API_KEY": "any",
        "PYTHONPATH": str(Path(cacheplan.__file__).parents[1]),
    }
    words = [sys.executable, "-c", program, str(post.folder)]
    return subprocess.run(words, env=environment, check=False).returncode


class TestLostAnswers:
    """The service took a batch, and nobody heard it."""

    def test_it_is_found_again(self, post: Post) -> None:
        """A batch whose answer was lost is found among the batches and not sent again."""
        _before_posting(post, lambda: post.fake.reset(path=PATH))
        assert post.submit() == []
        assert post.states() == ["sent"] * 3
        once(post)

    def test_it_is_found_later(self, slow: Post) -> None:
        """So is one that is in progress, as soon as it has ended."""
        _before_posting(slow, lambda: slow.fake.reset(path=PATH))
        said = slow.submit()
        assert "seeds-00001.json: the answer was lost" in said[0]
        assert "it may have arrived" in said[0].replace("seeds-00001.json may", "it may")
        slow.fake.sleep(3600)
        slow.submit(wait=True)
        once(slow)

    def test_a_service_that_cannot_be_reached(self, post: Post) -> None:
        """Where nobody answers, that is said, and nothing was written down."""
        post.fake.reset(path=PATH)
        with pytest.raises(InputError, match="the API cannot be reached"):
            post.submit()
        assert post.states() == ["built"] * 3

    def test_before_it_ended_nothing_is_known(self, slow: Post) -> None:
        """A batch in progress shows no ids; it is waited for, then known for certain."""
        with pytest.raises(KilledError):
            slow.submit(die=3)
        (said, *_) = slow.submit()
        assert "may have arrived as msgbatch_" in said
        assert slow.states()[0] == "sending"
        slow.fake.sleep(3600)
        slow.submit()
        slow.fake.sleep(3600)
        assert slow.submit() == []
        once(slow)

    def test_somebody_elses_batch_is_not_ours(self, post: Post) -> None:
        """A batch of the same size, made at the same time by others, is not taken for ours."""
        with pytest.raises(KilledError):
            post.submit(die=2)
        _someone_else(post.fake)
        assert post.submit() == []
        assert set(post.sent().values()) == {1}
        assert len(post.sent()) == CALLS + 1

    def test_somebody_elses_batch_is_waited_for(self, slow: Post) -> None:
        """While another's batch is in progress it may be ours; once it ended it is not."""
        with pytest.raises(KilledError):
            slow.submit(die=2)
        _someone_else(slow.fake)
        assert "may have arrived" in slow.submit()[0]
        slow.fake.sleep(3600)
        slow.submit(wait=True)
        assert slow.states() == ["sent"] * 3
        assert set(slow.sent().values()) == {1}

    def test_our_own_other_file_is_not_this_one(self, slow: Post) -> None:
        """A batch in progress that is known to be another of our files is not waited for."""
        slow.submit()
        slow.fake.sleep(3600)
        with pytest.raises(KilledError):
            slow.submit(die=2)
        _someone_else(slow.fake, 3)
        slow.fake.sleep(1800)
        assert "may have arrived" in slow.submit()[0]
        assert slow.states() == ["sent", "sending", "sent"]
        slow.fake.sleep(1800)
        assert slow.submit() == []
        assert slow.states() == ["sent"] * 3
        assert set(slow.sent().values()) == {1}

    def test_what_arrives_late_is_not_sent_again(self, post: Post) -> None:
        """A request still on its way when its sender died is waited for."""
        with pytest.raises(KilledError):
            post.submit(die=2)
        late: list[bytes] = [(post.folder / "seeds-00001.json").read_bytes()]

        def arrive() -> None:
            if late and post.now > 100:
                _arrive(post.fake, late.pop())

        post.meanwhile = arrive
        assert post.submit(settle=SETTLE) == []
        assert post.now >= 100
        once(post)

    def test_what_was_lost_is_sent_after_a_time(self, post: Post) -> None:
        """Where nothing has arrived after two minutes, nothing will, and it is sent."""
        with pytest.raises(KilledError):
            post.submit(die=2)
        assert post.submit(settle=SETTLE) == []
        assert post.now == SETTLE
        once(post)

    def test_resending_on_demand(self, slow: Post) -> None:
        """Whoever says so sends again what may have arrived."""
        with pytest.raises(KilledError):
            slow.submit(die=3)
        slow.submit(resend=True)
        assert set(slow.sent().values()) == {2}

    def test_older_batches_are_not_looked_at(self, post: Post) -> None:
        """Only what was made since the file was about to be sent can be it."""
        for _ in range(120):
            _someone_else(post.fake)
        with pytest.raises(KilledError):
            post.submit(die=2)
        before = len(post.fake.received)
        assert post.submit() == []
        lists = [one for one in post.fake.received[before:] if one.method == "GET"]
        assert not any(one.path.endswith("results") for one in lists)


def _someone_else(fake: FakeAnthropic, requests: int = 1) -> None:
    """Send a batch, as another program of the workspace would."""
    body = {"model": "claude-opus-5-5", "max_tokens": 9, "messages": [_HELLO]}
    made: Any = [
        {"custom_id": f"other-{fake.now}-{number}".replace(".", "_"), "params": body}
        for number in range(requests)
    ]
    with _other(fake) as client:
        client.messages.batches.create(requests=made)


_HELLO = {"role": "user", "content": "Hello"}


def _arrive(fake: FakeAnthropic, content: bytes) -> None:
    """Have a body arrive that was sent long ago."""
    with _other(fake) as client:
        client.post(PATH, cast_to=object, content=content)


def _other(fake: FakeAnthropic) -> anthropic.Anthropic:
    through = anthropic.DefaultHttpxClient(transport=fake.transport())
    return anthropic.Anthropic(api_key="any", http_client=through, max_retries=0)


class TestRefusals:
    """The service says no, or cannot say."""

    @pytest.mark.parametrize("code", [400, 401, 403, 404, 413, 429])
    def test_what_was_refused_was_not_sent(self, post: Post, code: int) -> None:
        """A refusal is told with the API's words, and the file is sent the next time."""
        post.fake.fail(code, path=PATH, message="no, thank you")
        with pytest.raises(InputError, match="no, thank you"):
            post.submit()
        assert post.states() == ["built"] * 3
        assert post.submit() == []
        once(post)

    @pytest.mark.parametrize("code", [400, 413, 429])
    def test_a_refused_file(self, post: Post, code: int) -> None:
        """A file that is refused as it is sent is known not to have arrived."""
        _before_posting(post, lambda: post.fake.fail(code, path=PATH, message="no, thank you"))
        with pytest.raises(InputError, match=r"seeds-00001\.json was refused: no, thank you"):
            post.submit()
        assert post.states() == ["built"] * 3
        assert post.submit(settle=SETTLE) == []
        assert post.now == 0
        once(post)

    @pytest.mark.parametrize("code", [408, 409, 500, 529])
    def test_a_failing_service(self, post: Post, code: int) -> None:
        """Where the service failed, it is looked whether the file arrived, and said if not."""
        _before_posting(post, lambda: post.fake.fail(code, path=PATH, message="no, thank you"))
        said = post.submit(settle=SETTLE)
        assert f"seeds-00001.json: the API answered {code}, and it did not arrive" in said[0]
        assert post.now == SETTLE
        assert post.submit() == []
        once(post)

    @pytest.mark.parametrize("name", ["HOME", "ANTHROPIC_CONFIG_DIR"])
    def test_no_key(self, post: Post, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        """Without a key nothing is written down, and the SDK's words are told in a line."""
        monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
        monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
        monkeypatch.setenv(name, str(post.folder))
        with pytest.raises(InputError, match="the SDK cannot ask"):
            _with_own_key(post)
        assert post.states() == ["built"] * 3


def _with_own_key(post: Post) -> None:
    """Submit with a client that looks for its key by itself."""
    with Outbox(post.folder) as outbox, client_for("anthropic") as client:
        Sender(outbox, client, Clock(lambda: 0.0, lambda _: None)).submit()


def _before_posting(post: Post, act: Callable[[], None]) -> None:
    """Have something happen to the next file as it is sent, and to nothing before it."""
    waiting = [act]
    handle = post.fake.handle

    def hear(asked: object) -> object:
        if getattr(asked, "method", "") == "POST" and waiting:
            waiting.pop()()
        return handle(asked)  # type: ignore[arg-type]

    post.fake.handle = hear  # type: ignore[assignment, method-assign]


class TestFolder:
    """What is wrong with a folder is said before anything is sent."""

    def test_two_at_once(self, post: Post) -> None:
        """While one process is at work on a folder no other is."""
        with Outbox(post.folder), pytest.raises(InputError, match="another process is at work"):
            post.submit()
        assert post.submit() == []

    def test_a_changed_file(self, post: Post) -> None:
        """A request file that was changed is not sent."""
        path = post.folder / "requests-00002.json"
        path.write_bytes(path.read_bytes().replace(b"Question 1", b"Question X"))
        with pytest.raises(InputError, match="is not the file that was built"):
            post.submit()
        assert post.states() == ["sent", "built", "built"]

    def test_a_lost_file(self, post: Post) -> None:
        """A request file that is gone is named."""
        (post.folder / "seeds-00001.json").unlink()
        with pytest.raises(InputError, match=r"seeds-00001\.json: no such file"):
            post.submit()

    def test_no_such_folder(self, tmp_path: Path) -> None:
        """A folder without batches is an error."""
        with pytest.raises(InputError, match="there are no batches in it"):
            Outbox(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"not a database at all, nor ever was" * 9])
    def test_another_file_in_its_place(self, tmp_path: Path, content: bytes) -> None:
        """What is no state of ours is not read as one."""
        (tmp_path / "batch.sqlite").write_bytes(content)
        with pytest.raises(InputError, match=r"not of the form cacheplan\.batch/1"):
            Outbox(tmp_path)


class TestStatus:
    """How far every file has come."""

    def test_before_and_after(self, slow: Post) -> None:
        """What was not sent is said to be built; what was, in the API's words."""
        through = anthropic.DefaultHttpxClient(transport=slow.fake.transport())
        client = anthropic.Anthropic(api_key="any", http_client=through)
        outbox = Outbox(slow.folder)
        assert [one.state for one in status(outbox, lambda: client)] == ["built"] * 3
        slow.submit()
        found = status(outbox, lambda: client)
        assert [one.state for one in found] == ["in_progress", "built", "built"]
        assert found[0].counts["processing"] == 1
        slow.fake.sleep(3600)
        found = status(outbox, lambda: client)
        assert found[0].to_json()["counts"]["succeeded"] == 1
        assert found[0].to_json()["state"] == "ended"
        assert "msgbatch_" in table(found)
        outbox.close()
        client.close()

    def test_nobody_is_asked_of_what_was_not_sent(self, post: Post) -> None:
        """Before anything is sent, no client is made."""
        outbox = Outbox(post.folder)
        assert len(status(outbox, lambda: pytest.fail("nobody is to be asked"))) == 3
        outbox.close()
