"""Results are joined to their calls and booked, each once, in whatever order they come."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from batched import call, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from posted import CALLS, KilledError, Post, built

import cacheplan
from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError
from cacheplan.io.batches import Ways, build
from cacheplan.io.outbox import Outbox, Result
from cacheplan.io.reading import read
from cacheplan.io.recall import recall
from cacheplan.prices import Sheet
from cacheplan.testing import FakeAnthropic

DAY = 24 * 3600


@pytest.fixture
def post(tmp_path: Path) -> Post:
    """Return a folder whose batches were sent and have ended."""
    post = Post(folder=built(tmp_path), fake=FakeAnthropic())
    post.submit()
    return post


def rows(post: Post) -> list[dict[str, Any]]:
    """Return the lines of the results."""
    return [json.loads(line) for line in post.results.read_text().splitlines()]


def whole(post: Post) -> None:
    """See that every call is answered once, in its place, and booked once."""
    assert [row["id"] for row in rows(post)] == [f"order-{number}" for number in range(CALLS)]
    for number, row in enumerate(rows(post)):
        said = row["response"]["content"][0]["text"]
        assert said == f"You said: Question {number}?"
    assert post.booked() == CALLS


def test_results_are_joined_to_their_calls(post: Post) -> None:
    """Each answer stands beside its call, in the order of the source."""
    found = post.collect()
    assert found.whole
    assert found.counts == {"succeeded": CALLS}
    assert found.booked == CALLS
    whole(post)


def test_results_are_a_workload(post: Post) -> None:
    """What was collected is a workload of batch calls, with the usage that was billed."""
    post.collect()
    calls = read(str(post.results))
    assert len(calls) == CALLS
    assert {call.tariff.surface for call in calls} == {"batch"}
    billed = {one.usage for one in post.fake.calls}
    assert {call.recorded for call in calls} == billed


def test_the_ledger_has_what_was_billed(post: Post) -> None:
    """An entry says model, label, surface and usage, and nothing of what was said."""
    post.collect()
    entries = recall(post.ledger).entries
    assert {(one.model, one.label, one.surface) for one in entries} == {
        ("claude-opus-5-5", "orders", "batch")
    }
    assert sorted(str(one.usage) for one in entries) == sorted(
        str(one.usage) for one in post.fake.calls
    )
    assert b"Question" not in post.ledger.read_bytes()


def test_names_and_tags_are_kept(tmp_path: Path) -> None:
    """Whatever a line says besides its request is there again, and booked as far as can be."""
    line = {**call(1), "session": "s", "tags": {"customer": "acme"}, "note": [1, {"a": "é"}]}
    source = write(tmp_path / "calls.jsonl", [line])
    ways = Ways(sheet=Sheet.default(), assume=Assumptions())
    build([source], tmp_path / "out", ways, 0.0, print)
    post = Post(folder=tmp_path / "out", fake=FakeAnthropic())
    post.submit()
    post.collect()
    (row,) = rows(post)
    assert {key: row[key] for key in line if key != "request"} == {
        key: line[key] for key in line if key != "request"
    }
    (entry,) = recall(post.ledger).entries
    assert entry.tags == (("customer", "acme"),)


def test_collecting_again_changes_nothing(post: Post) -> None:
    """Everything is fetched and booked once, however often it is asked for."""
    post.collect()
    before = post.results.read_bytes()
    post.fake.received.clear()
    assert post.collect().booked == 0
    assert post.results.read_bytes() == before
    whole(post)


def test_a_ledger_may_come_later(post: Post) -> None:
    """Results that were collected without a ledger are booked when there is one."""
    assert post.collect(ledger=False).booked == 0
    assert post.collect().booked == CALLS
    whole(post)


def test_what_has_not_ended_is_open(tmp_path: Path) -> None:
    """Before everything has ended, what there is is written, and the rest is counted."""
    post = Post(folder=built(tmp_path), fake=FakeAnthropic(batch_seconds=3600))
    post.submit()
    found = post.collect()
    assert (found.whole, found.counts) == (False, {"open": CALLS})
    assert rows(post) == []
    post.fake.sleep(3600)
    post.submit()
    found = post.collect()
    assert found.counts == {"succeeded": 1, "open": CALLS - 1}
    assert len(rows(post)) == post.booked() == 1
    post.fake.sleep(3600)
    assert post.collect().whole
    whole(post)


class TestDeaths:
    """A process may die before any step; in the end everything is there once."""

    @pytest.mark.parametrize("step", range(19))
    def test_before_every_step(self, post: Post, step: int) -> None:
        """Whichever step a process died before, each call is answered and booked once."""
        with pytest.raises(KilledError):
            post.collect(die=step)
        assert post.collect().whole
        whole(post)

    def test_these_are_all_steps(self, post: Post) -> None:
        """Three steps a file, one for each entry, three writings: the test before has all."""
        post.collect()
        assert len(post.steps) == 3 * 3 + CALLS + 3

    @settings(
        max_examples=15,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=8))
    def test_again_and_again(
        self, tmp_path_factory: pytest.TempPathFactory, deaths: list[tuple[bool, int]]
    ) -> None:
        """However often submitting and collecting die, nothing is sent or booked twice."""
        post = Post(folder=built(tmp_path_factory.mktemp("mail")), fake=FakeAnthropic())
        for submitting, step in deaths:
            try:
                if submitting:
                    post.submit(die=step)
                else:
                    post.collect(die=step)
            except KilledError:
                post.fake.sleep(100)
        post.submit()
        assert post.collect().whole
        assert set(post.sent().values()) == {1}
        whole(post)

    @pytest.mark.parametrize(
        "step", [n if n == 12 else pytest.param(n, marks=pytest.mark.long) for n in range(18)]
    )
    def test_killed_processes(self, tmp_path: Path, step: int) -> None:
        """The same with a real process that is killed outright."""
        post = Post(folder=built(tmp_path), fake=FakeAnthropic(), listening=True)
        with post.fake:
            post.submit()
            assert _process(post, step) == -signal.SIGKILL
            assert post.booked() == min(max(step - 9, 0), CALLS)
            assert _process(post, None) == 0
        whole(post)


def _process(post: Post, step: int | None) -> int:
    """Collect in a process of its own, killed before a step; return how it ended."""
    program = (
        "import os, signal, sys, time\n"
        "from cacheplan.io.collecting import collect\n"
        "from cacheplan.io.outbox import Outbox\n"
        "from cacheplan.io.sending import Clock, Sender, client_for\n"
        "heard = []\n"
        "def hear(step):\n"
        "    heard.append(step)\n"
        f"    if len(heard) - 1 == {step}:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "folder, results, ledger = sys.argv[1:]\n"
        "with Outbox(folder) as outbox:\n"
        "    client = client_for(outbox.platform)\n"
        "    sender = Sender(outbox, client, Clock(time.time, time.sleep), settle=0)\n"
        "    collect(outbox, client, sender, results, ledger=ledger, watch=hear)\n"
    )
    environment = {
        **os.environ,
        "ANTHROPIC_BASE_URL": post.fake.url,
        "ANTHROPIC_API_KEY": "any",
        "PYTHONPATH": str(Path(cacheplan.__file__).parents[1]),
    }
    words = [sys.executable, "-c", program]
    words += map(str, (post.folder, post.results, post.ledger))
    return subprocess.run(words, env=environment, check=False).returncode


class TestUnanswered:
    """What was canceled, expired or failed is told apart, and can be built again."""

    def test_an_expired_batch(self, tmp_path: Path) -> None:
        """Requests of a batch that expired are not booked; they can be built and sent again."""
        post = Post(folder=built(tmp_path), fake=FakeAnthropic(batch_seconds=2 * DAY))
        post.submit(wait=True)
        post.fake.sleep(DAY)
        found = post.collect()
        assert (found.whole, found.counts) == (False, {"expired": CALLS})
        assert (found.booked, post.booked()) == (0, 0)
        assert {row["result"] for row in rows(post)} == {"expired"}
        again = tmp_path / "again"
        again.mkdir()
        ways = Ways(sheet=Sheet.default(), assume=Assumptions(batch_hit_rate=0.98), most=3)
        made = build([str(post.again)], again / "out", ways, post.fake.now, print)
        assert made.calls == CALLS
        second = Post(folder=again / "out", fake=FakeAnthropic())
        second.submit()
        assert second.collect().whole
        whole(second)

    def test_a_canceled_batch(self, tmp_path: Path) -> None:
        """So can those of a batch that was canceled."""
        post = Post(folder=built(tmp_path), fake=FakeAnthropic(batch_seconds=3600))
        post.submit()
        with Outbox(post.folder) as outbox:
            name = str(outbox.files()[0].batch)
        _service(post).batches.cancel(name, _service(post).batches._batches[name].envelope)
        post.fake.sleep(10)
        assert post.collect().counts == {"canceled": 1, "open": CALLS - 1}
        assert len(post.again.read_text().splitlines()) == 1

    @pytest.mark.parametrize(
        ("kind", "again"), [("invalid_request_error", 0), ("overloaded_error", 1), ("api_error", 1)]
    )
    def test_errors(self, post: Post, kind: str, again: int) -> None:
        """What the service failed at can be sent again; what it refused would be refused again."""
        error = {"type": "error", "error": {"type": kind, "message": "no"}, "request_id": None}
        _results(
            post, 0, lambda lines: [{**lines[0], "result": {"type": "errored", "error": error}}]
        )
        found = post.collect()
        assert found.counts == {"errored": 1, "succeeded": CALLS - 1}
        assert (found.whole, post.booked()) == (False, CALLS - 1)
        (row,) = [row for row in rows(post) if row["result"] == "errored"]
        assert row["response"] == {"type": "error", "error": {"type": kind, "message": "no"}}
        assert len(post.again.read_text().splitlines()) == again

    def test_results_that_are_no_longer_kept(self, post: Post) -> None:
        """After 29 days there are no results; that is said, and nothing is made up."""
        post.fake.sleep(30 * DAY)
        found = post.collect()
        assert found.counts == {"open": CALLS}
        assert len(found.notes) == 3
        assert "are no longer kept" in found.notes[0]


def _service(post: Post) -> Any:
    return post.fake._service


def _answers(post: Post, change: Callable[[Sequence[bytes]], Sequence[bytes]]) -> None:
    """Change the bytes of results on their way."""
    handle = post.fake.handle

    def changed(asked: Any) -> Any:
        answer = handle(asked)
        results = asked.path.endswith("results")
        return answer._replace(pieces=change(answer.pieces)) if results else answer

    post.fake.handle = changed  # type: ignore[method-assign]


def _results(post: Post, file: int, change: Any) -> None:
    """Change the results of one file as the service hands them out."""
    with Outbox(post.folder) as outbox:
        name = outbox.files()[file].batch
    _service(post).batches.settle(post.fake.now)
    batch = _service(post).batches._batches[name]
    batch.results = change(batch.results)


class TestStrays:
    """Results that fit nothing are listed, never dropped, and never taken for others."""

    def test_unknown_ids(self, post: Post) -> None:
        """A result for no request of ours is named."""
        other = {"custom_id": "who-is-this", "result": {"type": "expired"}}
        _results(post, 1, lambda lines: [*lines, other])
        found = post.collect()
        assert [stray.custom_id for stray in found.strays] == ["who-is-this"]
        assert "who-is-this: belongs to no request of this file" in str(found)
        assert not found.whole
        whole(post)

    def test_ids_of_another_file(self, post: Post) -> None:
        """A result for a request of another file is not taken for that request's."""
        with Outbox(post.folder) as outbox:
            name = next(one.custom_id for one, _, _ in outbox.joined() if one.file == 3)
        wrong = {"custom_id": name, "result": {"type": "expired"}}
        _results(post, 1, lambda lines: [wrong, *lines])
        found = post.collect()
        assert [stray.custom_id for stray in found.strays] == [name]
        whole(post)

    def test_ids_that_come_twice(self, post: Post) -> None:
        """Of two results for one request the first stands, and the second is named."""
        _results(post, 2, lambda lines: [{**lines[0], "result": {"type": "expired"}}, *lines])
        found = post.collect()
        assert [stray.why for stray in found.strays] == ["has another result; the first stands"]
        whole(post)

    def test_requests_without_a_result(self, post: Post) -> None:
        """A request that an ended batch says nothing of is named."""
        _results(post, 2, lambda lines: lines[1:])
        found = post.collect()
        assert [stray.why for stray in found.strays] == ["has no result"]
        assert sum(found.counts.values()) == CALLS - 1

    @pytest.mark.parametrize(
        "line",
        [
            {"custom_id": None, "result": {"type": "succeeded"}},
            {"result": {"type": "succeeded"}},
            {"custom_id": "a", "result": None},
            {},
            [],
            "text",
        ],
        ids=str,
    )
    def test_lines_of_another_shape(self, post: Post, line: Any) -> None:
        """A line of results that is none is listed, and the others are kept."""
        more = json.dumps(line).encode() + b"\n"
        _answers(post, lambda pieces: (more, *pieces))
        found = post.collect()
        assert len(found.strays) == 3
        assert not found.whole
        whole(post)

    def test_a_message_without_usage(self, post: Post) -> None:
        """A message that does not say what it used is booked without it."""
        message = {"id": "msg_1", "type": "message", "model": "m", "role": "assistant",
                   "content": []}  # fmt: skip
        _results(
            post, 0,
            lambda lines: [{**lines[0], "result": {"type": "succeeded", "message": message}}],
        )  # fmt: skip
        assert post.collect().booked == CALLS
        assert [one.usage for one in recall(post.ledger).entries].count(None) == 1


class TestBroken:
    """What breaks off in the middle keeps nothing by halves."""

    def test_results_that_break_off(self, post: Post) -> None:
        """Where a connection breaks, none of a file's results are kept, and all come later."""
        with Outbox(post.folder) as outbox:
            name = outbox.files()[1].batch
        post.fake.reset(path=f"/v1/messages/batches/{name}/results")
        with pytest.raises(InputError):
            post.collect()
        assert post.states() == ["collected", "sent", "sent"]
        assert post.collect().whole
        whole(post)

    def test_results_that_are_not_json(self, post: Post) -> None:
        """A line that is cut off is told, and none of the file's results are kept."""
        handle = post.fake.handle
        _answers(post, lambda pieces: tuple(piece[: len(piece) // 2] for piece in pieces))
        with pytest.raises(InputError, match="a result cannot be read, so none is kept"):
            post.collect()
        assert post.states() == ["sent"] * 3
        post.fake.handle = handle  # type: ignore[method-assign]
        assert post.collect().whole
        whole(post)

    def test_a_ledger_that_is_none(self, post: Post) -> None:
        """A file that is no ledger is named, and is left as it is."""
        post.ledger.write_bytes(b"something else, and long enough to be anything" * 9)
        with pytest.raises(InputError, match=r"ledger\.sqlite"):
            post.collect()
        assert post.ledger.read_bytes().startswith(b"something else")

    def test_an_output_that_cannot_be_written(self, post: Post) -> None:
        """Where results cannot be written they are kept, and written the next time."""
        post.results.mkdir()
        with pytest.raises(InputError, match="directory"):
            post.collect()
        post.results.rmdir()
        assert post.collect().whole
        whole(post)


def test_all_or_none_of_a_file(post: Post) -> None:
    """Results that end in an error half-way leave the file as it was."""

    def half() -> Any:
        yield Result("x", "succeeded", b"{}")
        raise KilledError

    with Outbox(post.folder) as outbox:
        file = outbox.files()[0]
        with pytest.raises(KilledError):
            outbox.collect(file, half())
        assert outbox.files()[0].state == "sent"
        assert outbox.strays() == []
