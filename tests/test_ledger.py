"""The ledger: what was acknowledged is there, whoever writes, whatever happens."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
from entered import entries
from hypothesis import HealthCheck, given, settings
from small import digest_line, digest_workloads, workload

import cacheplan
from cacheplan.entries import Entry, Marked, Step
from cacheplan.errors import InputError, LedgerError
from cacheplan.io import database, rows
from cacheplan.io import ledger as module
from cacheplan.io.ledger import Ledger
from cacheplan.io.recall import recall
from cacheplan.policies import as_marked
from cacheplan.prices import Sheet
from cacheplan.projection import replay
from cacheplan.prompt import Level, Lifetime
from cacheplan.usage import Usage
from cacheplan.workload import Workload

MODEL: Final = "claude-sonnet-5"
ENVIRONMENT: Final = {**os.environ, "PYTHONPATH": str(Path(cacheplan.__file__).parents[1])}

#: Writes numbered entries until it is killed, and says of each that it was acknowledged:
#: of those that waited, when the next one was.
WRITER: Final = """
import sys
from cacheplan.entries import Entry, Step
from cacheplan.errors import LedgerError
from cacheplan.io.ledger import Ledger
from cacheplan.prompt import Level
ledger = Ledger(sys.argv[1])
name, before, waiting = sys.argv[2], b"", ""
for number in range(100_000):
    key = f"{name}{number:015}".encode()
    step = Step(key=key, digest=key, tokens=10, level=Level.MESSAGES, kind="text")
    entry = Entry(
        at=number, model="m", label=f"{name}{number}", tip=key, parent=before, steps=(step,)
    )
    before, waiting = key, f"{waiting}{name}{number}\\n"
    try:
        ledger.record(entry)
    except LedgerError:
        continue
    sys.stdout.write(waiting)
    sys.stdout.flush()
    waiting = ""
"""


def plain(at: float, **fields: Any) -> Entry:
    """Return an entry of a prompt that nobody told."""
    return Entry(at=at, model=MODEL, **fields)


def labels(path: Path) -> list[str | None]:
    """Return the labels of all calls that a ledger holds."""
    return [entry.label for entry in recall(path).entries]


def whole(path: Path) -> bool:
    """Say whether SQLite finds nothing wrong with a file."""
    connection = sqlite3.connect(path)
    sound = connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    sound = sound and not connection.execute("PRAGMA foreign_key_check").fetchall()
    connection.close()
    return sound


class TestKept:
    """What is written down comes back."""

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(lines=digest_workloads(models=[MODEL, "claude-opus-4-8"]))
    def test_a_workload(
        self, lines: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """Calls told entry by entry read, write and pay what the calls themselves do."""
        for line in lines:
            # One name has one length, as one text has; the mark without a place has none.
            for block in line["blocks"]:
                block["digest"] += str(block["tokens"])
            line.pop("automatic", None)
        calls = workload(lines)
        path = tmp_path_factory.mktemp("ledger") / "calls.db"
        with Ledger(path) as ledger:
            for entry in entries(calls):
                ledger.record(entry)
        back = recall(path).workload
        assert served(back) == served(calls)

    def test_every_number(self, tmp_path: Path) -> None:
        """All that an entry says in numbers is kept as it was; names are kept as digests."""
        path = tmp_path / "calls.db"
        step = Step(key=b"k" * 16, digest=b"d" * 16, tokens=7, level=Level.SYSTEM, kind="text")
        mark = Marked(
            key=b"k" * 16, tokens=7, lifetime=Lifetime.ONE_HOUR, rule="system", automatic=True
        )
        entry = plain(
            12.5,
            label="summaries",
            platform="bedrock",
            surface="batch",
            speed="fast",
            geo="us",
            tip=b"k" * 16,
            steps=(step,),
            marked=(mark,),
            applied=True,
            predicted=Usage(1, 2, 3, 4, 5),
            usage=Usage(5, 4, 3, 2, 1),
            first_token_after=0.5,
            duration=2.0,
            error="overloaded_error",
            status=529,
            retries=2,
            diagnostics={"cache_miss_reason": {"type": "tools_changed", "n": 3}},
        )
        with Ledger(path) as ledger:
            ledger.record(entry)
        (back,) = recall(path).entries
        names = ("label", "platform", "surface", "speed", "geo", "applied", "predicted", "usage")
        more = ("first_token_after", "duration", "error", "status", "retries", "diagnostics", "at")
        for name in (*names, *more):
            assert getattr(back, name) == getattr(entry, name), name
        assert back.marked[0].key != mark.key
        assert back.lifetime is Lifetime.ONE_HOUR

    def test_an_unknown_start(self, tmp_path: Path) -> None:
        """A call whose prompt goes on from one that the file lost is booked without it."""
        path = tmp_path / "calls.db"
        with Ledger(path) as ledger:
            ledger.record(plain(1.0, tip=b"t" * 16, parent=b"p" * 16, usage=Usage(read=3)))
        found = recall(path)
        assert [entry.usage for entry in found.entries] == [Usage(read=3)]
        assert not found.workload.calls


def served(calls: Workload) -> list[tuple[float, int, int, int, int, str | None]]:
    """Return what the service would have counted for each call as it was marked."""
    found = replay(calls, as_marked(calls), Sheet.default())
    return [
        (call.at, used.uncached, used.write_5m, used.write_1h, used.read, refused)
        for call, used, refused, _ in found
    ]


class TestPrivacy:
    """Digests and numbers, never text or keys."""

    def test_no_text(self, tmp_path: Path) -> None:
        """Nothing that a session, a user or an error said stands in the file."""
        path = tmp_path / "calls.db"
        secret = "sk-ant-the-secret"  # noqa: S105 -- nobody's
        step = Step(
            key=b"raw-prefix-key-1", digest=b"raw-block-digest", tokens=1,
            level=Level.MESSAGES, kind=secret, role=f"{secret} {secret}", refuses=f"a {secret}",
        )  # fmt: skip
        with Ledger(path) as ledger:
            ledger.record(
                plain(
                    1.0,
                    session=secret,
                    workspace=secret,
                    request_id=secret,
                    message_id=secret,
                    previous_message_id=secret,
                    error=f"it said: {secret}!",
                    diagnostics={"told": [f"you wrote {secret}"], f"a {secret}": 1},
                    tip=step.key,
                    steps=(step,),
                )
            )
        written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert secret.encode() not in written
        assert step.key not in written
        assert step.digest not in written

    def test_a_key_of_ones_own(self, tmp_path: Path) -> None:
        """With a key kept apart, two files with it agree and none holds it."""
        keys = []
        for name, key in (("a", b"mine"), ("b", b"mine"), ("c", None)):
            step = Step(key=b"k" * 16, digest=b"d", tokens=1, level=Level.TOOLS, kind="tool")
            with Ledger(tmp_path / name, key=key) as ledger:
                ledger.record(plain(1.0, session="s", tip=step.key, steps=(step,)))
            keys.append(recall(tmp_path / name).entries[0].session)
            with closing(sqlite3.connect(tmp_path / name)) as connection:
                held = connection.execute("SELECT name FROM meta").fetchall()
            assert (("key",) in held) == (key is None)
        assert keys[0] == keys[1] != keys[2]


class TestMany:
    """Threads, processes, and processes that die."""

    def test_threads(self, tmp_path: Path) -> None:
        """What a thousand threads write at once is all there."""
        path = tmp_path / "calls.db"
        ledger = Ledger(path)
        threads = [
            threading.Thread(target=ledger.record, args=(plain(n, label=str(n)),))
            for n in range(1_000)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ledger.close()
        assert sorted(map(int, filter(None, labels(path)))) == list(range(1_000))

    def test_killed_processes(self, tmp_path: Path) -> None:
        """Of processes killed at any instant every acknowledged row is there, and none by half."""
        path = tmp_path / "calls.db"
        rng = random.Random(20261121)
        said = []
        for round_ in range(4):
            writers = []
            for which in "abc":
                said.append(tmp_path / f"{which}{round_}.said")
                arguments = [sys.executable, "-c", WRITER, str(path), f"{which}{round_}x"]
                with said[-1].open("wb") as out:
                    writers.append(subprocess.Popen(arguments, stdout=out, env=ENVIRONMENT))
            until = time.monotonic() + 60
            while not all(file.stat().st_size for file in said) and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(rng.uniform(0.0, 0.15))
            for writer in writers:
                writer.send_signal(signal.SIGKILL)
                writer.wait()
        # The last line of each may have been cut off by the kill.
        acknowledged = [line for file in said for line in file.read_text().split("\n")[:-1]]
        kept = labels(path)
        assert len(acknowledged) > 12
        assert set(acknowledged) <= set(kept)
        assert len(kept) == len(set(kept))
        assert whole(path)
        # Every prompt is told whole: a step a number, from the first on.
        found = recall(path)
        lengths = [len(found.workload.tree.path(call.tip)) for call in found.workload]
        numbers = [int(str(call.label).partition("x")[2]) + 1 for call in found.workload]
        assert lengths == numbers

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
    @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
    def test_a_fork(self, tmp_path: Path) -> None:
        """A forked process writes on a connection of its own."""
        path = tmp_path / "calls.db"
        ledger = Ledger(path)
        ledger.record(plain(1.0, label="before"))
        child = os.fork()
        if not child:
            try:
                ledger.record(plain(2.0, label="child"))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        ledger.record(plain(3.0, label="parent"))
        ledger.close()
        assert labels(path) == ["before", "child", "parent"]


class TestFaults:
    """What cannot be written waits, and is said in a line."""

    def test_locked(self, tmp_path: Path) -> None:
        """While another program holds the file entries wait, and then all are written."""
        path = tmp_path / "calls.db"
        ledger = Ledger(path)
        ledger.record(plain(1.0))
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        for at in (2.0, 3.0):
            with pytest.raises(LedgerError, match=r"calls.db: database is locked"):
                ledger.record(plain(at))
        assert ledger.waiting == 2
        holder.execute("ROLLBACK")
        holder.close()
        ledger.record(plain(4.0))
        assert ledger.waiting == 0
        assert [entry.at for entry in recall(path).entries] == [1.0, 2.0, 3.0, 4.0]

    def test_locked_for_long(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """One call waits for a file that is held, those after it do not; closing does."""
        waited: list[float] = []

        def watched(*args: Any, **fields: Any) -> sqlite3.Connection:
            waited.append(fields["patience"])
            return database.opened(*args, **fields)

        monkeypatch.setattr(module, "opened", watched)
        path = tmp_path / "calls.db"
        ledger = Ledger(path)
        ledger.record(plain(1.0))
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        for at in (2.0, 3.0, 4.0):
            with pytest.raises(LedgerError, match="database is locked"):
                ledger.record(plain(at))
        holder.execute("ROLLBACK")
        holder.close()
        ledger.close()
        assert waited == [database.PATIENCE, 0.0, 0.0, database.PATIENCE]
        assert [entry.at for entry in recall(path).entries] == [1.0, 2.0, 3.0, 4.0]

    @pytest.mark.skipif(sys.platform == "win32", reason="an open file stays where it is")
    @pytest.mark.parametrize("beside", [("",), ("", "-wal", "-shm")])
    def test_taken_away(self, tmp_path: Path, beside: tuple[str, ...]) -> None:
        """After the file was moved or removed under a program, a new one holds what follows."""
        path = tmp_path / "calls.db"
        ledger, other = Ledger(path), Ledger(path)
        ledger.record(plain(1.0))
        other.record(plain(2.0))
        for end in beside:
            Path(f"{path}{end}").rename(f"{tmp_path}/old.db{end}")
        ledger.record(plain(3.0))
        other.record(plain(4.0))
        ledger.close()
        other.close()
        assert [entry.at for entry in recall(path).entries] == [3.0, 4.0]
        assert whole(path)

    @pytest.mark.parametrize("odd", [5, {}, print])
    def test_no_ledger(self, odd: Any) -> None:
        """What can keep no entries is refused where it is given."""
        with pytest.raises(InputError, match=r"ledger is a \w+, not a file's name or a Ledger"):
            module.kept(odd)

    def test_corrupt(self, tmp_path: Path) -> None:
        """A file that is no database is left as it is."""
        path = tmp_path / "calls.db"
        path.write_bytes(b"not a database, " * 100)
        with pytest.raises(LedgerError, match=r"calls.db: file is not a database"):
            Ledger(path).record(plain(1.0))
        assert path.read_bytes() == b"not a database, " * 100

    def test_another_database(self, tmp_path: Path) -> None:
        """A database of somebody else's is neither written to nor read."""
        path = tmp_path / "calls.db"
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE theirs (a)")
        other.commit()
        other.close()
        with pytest.raises(InputError, match="not a ledger"):
            Ledger(path).record(plain(1.0))
        with pytest.raises(InputError, match="not a ledger"):
            recall(path)

    def test_no_folder(self, tmp_path: Path) -> None:
        """Where no file can be made, that is said, and the entry waits."""
        ledger = Ledger(tmp_path / "missing" / "calls.db")
        with pytest.raises(LedgerError, match="unable to open database file"):
            ledger.record(plain(1.0))
        assert ledger.waiting == 1
        (tmp_path / "missing").mkdir()
        ledger.record(plain(2.0))
        assert ledger.waiting == 0

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full disk")
    def test_a_full_disk(self, tmp_path: Path) -> None:
        """A file that may not grow keeps what it has, and entries wait."""
        path = tmp_path / "calls.db"
        program = (
            "import resource, sys\n"
            "from cacheplan.entries import Entry\n"
            "from cacheplan.errors import LedgerError\n"
            "from cacheplan.io.ledger import Ledger\n"
            "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
            "ledger, kept = Ledger(sys.argv[1]), 0\n"
            "for n in range(5_000):\n"
            "    try:\n"
            "        ledger.record(Entry(at=n, model='m' * 50))\n"
            "    except LedgerError:\n"
            "        break\n"
            "    kept += 1\n"
            "print(kept, ledger.waiting)\n"
        )
        made = subprocess.run(
            [sys.executable, "-c", program, str(path)],
            capture_output=True, text=True, env=ENVIRONMENT, check=True,
        )  # fmt: skip
        kept, waiting = map(int, made.stdout.split())
        assert 0 < kept < 5_000
        assert waiting == 1
        assert len(recall(path).entries) >= kept
        assert whole(path)

    def test_too_many_wait(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Only so many entries wait; the oldest are given up, and counted."""
        monkeypatch.setattr(module, "WAITING", 3)
        ledger = Ledger(tmp_path / "missing" / "calls.db")
        for at in range(5):
            with pytest.raises(LedgerError):
                ledger.record(plain(at))
        assert (ledger.waiting, ledger.lost) == (3, 2)

    @pytest.mark.parametrize(
        "fault", [{"at": None}, {"label": object()}, {"label": "\ud800"}, {"status": 1 << 70}]
    )
    def test_an_entry_that_cannot_be_kept(self, tmp_path: Path, fault: dict[str, Any]) -> None:
        """An entry that no row can hold is counted and holds up no other."""
        path = tmp_path / "calls.db"
        ledger = Ledger(path)
        with pytest.raises(LedgerError, match="cannot be kept"):
            ledger.record(Entry(**{"at": 1.0, "model": MODEL, **fault}))
        ledger.record(plain(2.0))
        assert (ledger.lost, ledger.waiting) == (1, 0)
        assert [entry.at for entry in recall(path).entries] == [2.0]

    def test_a_clock_that_jumps_back(self, tmp_path: Path) -> None:
        """A call that seems to come before another is kept, and read in the order of time."""
        path = tmp_path / "calls.db"
        with Ledger(path) as ledger:
            for at in (10.0, 5.0, -3.0):
                ledger.record(plain(at))
        assert [entry.at for entry in recall(path).entries] == [-3.0, 5.0, 10.0]


class TestBounds:
    """The file stays as small and as young as was asked for."""

    @pytest.mark.parametrize("days", [1, 7, 40])
    def test_by_age(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int) -> None:
        """Calls older than that are gone, with the prefixes that only they had."""
        monkeypatch.setattr(module, "EVERY", 1)
        path = tmp_path / "calls.db"
        with Ledger(path, oldest=days) as ledger:
            self.write(ledger, 60, 86_400.0)
        assert [entry.at // 86_400 for entry in recall(path).entries] == [*range(59 - days, 60)]
        # One that all share, and one of its own for each.
        with closing(sqlite3.connect(path)) as connection:
            prefixes = connection.execute("SELECT count(*) FROM prefixes").fetchone()
        assert prefixes == (days + 2,)

    def test_one_wrong_clock(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A call from the far future makes no other call old."""
        monkeypatch.setattr(module, "EVERY", 5)
        path = tmp_path / "calls.db"
        with Ledger(path, oldest=10) as ledger:
            self.write(ledger, 5, 1.0)
            ledger.record(plain(1e12))
            self.write(ledger, 9, 1.0)
        assert len(recall(path).entries) == 15

    def test_by_size(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Past its size the oldest calls go, and the file itself grows no further."""
        monkeypatch.setattr(module, "EVERY", 100)
        monkeypatch.setattr(database, "AT_ONCE", 50)
        path = tmp_path / "calls.db"
        with Ledger(path, largest=150_000) as ledger:
            self.write(ledger, 3_000, 1.0)
            newest = [entry.at for entry in recall(path).entries]
        assert newest == sorted(newest)
        assert newest[-1] == 2_999
        assert 100 < len(newest) < 2_000
        assert path.stat().st_size < 400_000
        assert whole(path)

    @staticmethod
    def write(ledger: Ledger, calls: int, apart: float) -> None:
        """Write calls of one shared prefix and one of their own each."""
        shared = Step(key=b"s" * 16, digest=b"s", tokens=9, level=Level.SYSTEM, kind="text")
        for number in range(calls):
            key = f"{number:016}".encode()
            own = Step(key=key, digest=key, tokens=1, level=Level.MESSAGES, kind="text")
            ledger.record(plain(number * apart, tip=key, steps=(shared, own)))


def test_json_is_short() -> None:
    """Usage takes a few bytes a row."""
    assert json.loads(str(rows._numbers(Usage(1, 2, 3, 4, 5)))) == [1, 2, 3, 4, 5]


def test_digest_lines(tmp_path: Path) -> None:
    """A ledger is a workload to whoever reads one."""
    lines = [
        digest_line([("a", 3_000, "system"), (f"m{n}", 10, "messages")], at=n, label="jobs")
        for n in range(12)
    ]
    path = tmp_path / "calls.db"
    with Ledger(path) as ledger:
        for entry in entries(workload(lines)):
            ledger.record(entry)
    back = cacheplan.read(path)
    assert len(back) == 12
    lane = cacheplan.choose(back).lanes[0]
    assert [rule.place for rule in lane.rules if rule.lifetime] == ["system"]
