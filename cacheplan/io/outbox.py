"""What is known of a folder of request files: built, being sent, sent, collected.

One SQLite file beside the request files. What is about to be done is written down before
it is done, and what came of it after; a process may die between any two lines of that, and
the next one reads how far it came. Nothing is sent from here, and no key and no prompt is
written: a request is known by its place in its file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from cacheplan.errors import InputError
from cacheplan.io.database import transaction

__all__ = ["FORMAT", "NAME", "Asked", "File", "Outbox", "Result", "Stray", "digest"]

#: Names the form of the file; another one is not read.
FORMAT: Final = "cacheplan.batch/1"
#: The file's name, and that of the lock beside it.
NAME: Final = "batch.sqlite"
_LOCK: Final = "lock.sqlite"

SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE files (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    requests INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    seeds INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'built',
    intended REAL,
    newest TEXT,
    newest_at REAL,
    batch TEXT UNIQUE,
    created REAL
);
CREATE TABLE requests (
    number INTEGER PRIMARY KEY,
    custom_id TEXT NOT NULL UNIQUE,
    file INTEGER NOT NULL REFERENCES files (number),
    start INTEGER NOT NULL,
    end INTEGER NOT NULL,
    source TEXT NOT NULL,
    line INTEGER NOT NULL,
    rest BLOB NOT NULL
);
CREATE TABLE results (
    custom_id TEXT PRIMARY KEY REFERENCES requests (custom_id),
    type TEXT NOT NULL,
    raw BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE strays (file INTEGER NOT NULL, custom_id TEXT NOT NULL, why TEXT NOT NULL);
CREATE TABLE booked (
    custom_id TEXT NOT NULL,
    ledger TEXT NOT NULL,
    PRIMARY KEY (custom_id, ledger)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One request file, and how far it came."""

    number: int
    name: str
    digest: str
    requests: int
    bytes: int
    #: Whether its requests are to be served before those of the other files.
    seeds: bool
    #: ``built``, ``sending`` (it was about to be sent; nobody knows whether it arrived),
    #: ``sent`` or ``collected``.
    state: str = "built"
    #: When it was about to be sent.
    intended: float | None = None
    #: The newest batch there was just before, and when that was created.
    newest: str | None = None
    newest_at: float | None = None
    #: The batch that it became.
    batch: str | None = None
    created: float | None = None


class Asked(NamedTuple):
    """One request: where it stands in its file, and the call it is."""

    #: In the order of the source.
    number: int
    custom_id: str
    file: int
    start: int
    end: int
    source: str
    line: int
    #: What the line said besides its request, as JSON.
    rest: bytes


class Result(NamedTuple):
    """What came of one request, as JSON."""

    custom_id: str
    type: str
    raw: bytes


class Stray(NamedTuple):
    """A line of results that belongs to no request, or the second for one."""

    file: str
    custom_id: str
    why: str


class Outbox:
    """The state of one folder. Used as a context, it lets nobody else work on the folder."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        path = self.folder / NAME
        if not path.is_file():
            raise InputError("there are no batches in it; build some first").at(str(folder))
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._lock: sqlite3.Connection | None = None
        try:
            _made_sure(self._connection)
            found = self._meta("format")
        except sqlite3.Error:
            found = ""
        if found != FORMAT:
            self._connection.close()
            raise InputError(f"this is not of the form {FORMAT}").at(str(path))
        #: What every ``custom_id`` of this folder begins with.
        self.run = self._meta("run")
        self.platform = self._meta("platform")

    @classmethod
    def make(
        cls, folder: Path, about: dict[str, str], files: Iterable[File], asked: Iterable[Asked]
    ) -> None:
        """Write the state of files that were just built."""
        with closing(sqlite3.connect(folder / NAME, isolation_level=None)) as connection:
            _made_sure(connection)
            connection.executescript("BEGIN;" + SCHEMA)
            about = {"format": FORMAT, **about}
            connection.executemany("INSERT INTO meta VALUES (?, ?)", about.items())
            connection.executemany(
                "INSERT INTO files (number, name, digest, requests, bytes, seeds)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                [(f.number, f.name, f.digest, f.requests, f.bytes, f.seeds) for f in files],
            )
            places = ", ".join("?" * len(Asked._fields))
            connection.executemany(f"INSERT INTO requests VALUES ({places})", asked)  # noqa: S608 -- question marks
            connection.execute("COMMIT")

    def __enter__(self) -> Self:
        """Keep everybody else out; a process that dies lets go of it."""
        try:
            lock = sqlite3.connect(self.folder / _LOCK, timeout=0, isolation_level=None)
            self._lock = lock
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            self.close()
            what = "another process is at work on it"
            if "locked" not in str(error):
                what = str(error)
            raise InputError(what).at(str(self.folder)) from error
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of it."""
        self.close()

    def close(self) -> None:
        """Let go of both files."""
        self._connection.close()
        if self._lock is not None:
            self._lock.close()
        self._lock = None

    def _meta(self, name: str) -> str:
        row = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return "" if row is None else str(row[0])

    # --- files ---------------------------------------------------------------------------

    def files(self) -> list[File]:
        """Return every file as it stands now, the seeds first."""
        rows = self._connection.execute("SELECT * FROM files ORDER BY number")
        names = [column[0] for column in rows.description]
        found = (dict(zip(names, row, strict=True)) for row in rows)
        return [File(**{**row, "seeds": bool(row["seeds"])}) for row in found]

    def content(self, file: File) -> bytes:
        """Return the body that a file is, if it is still the one that was built."""
        path = self.folder / file.name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError((error.strerror or str(error)).lower()).at(str(path)) from error
        if digest([content]) != file.digest:
            raise InputError("this is not the file that was built; build anew").at(str(path))
        return content

    def intend(self, file: File, at: float, newest: tuple[str, float] | None) -> None:
        """Write down that a file is about to be sent, and which batch was the newest."""
        name, created = newest or (None, None)
        self._set(file, "sending", intended=at, newest=name, newest_at=created)

    def withdraw(self, file: File) -> None:
        """Write down that a file did not arrive, for certain."""
        self._set(file, "built", intended=None, newest=None, newest_at=None)

    def sent(self, file: File, batch: str, created: float) -> None:
        """Write down which batch a file became."""
        self._set(file, "sent", batch=batch, created=created)

    def _set(self, file: File, state: str, **more: Any) -> None:
        """Change one file's row."""
        names = ", ".join(f"{name} = ?" for name in ("state", *more))
        words = f"UPDATE files SET {names} WHERE number = ?"  # noqa: S608 -- our own names
        self._connection.execute(words, (state, *more.values(), file.number))

    # --- results -------------------------------------------------------------------------

    def collect(self, file: File, found: Iterable[Result]) -> None:
        """Keep the results of a file, all of them or none."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            rows = connection.execute(
                "SELECT custom_id FROM requests WHERE file = ?", (file.number,)
            )
            mine, seen = {row[0] for row in rows}, set[str]()
            for result in found:
                if result.custom_id not in mine:
                    self._stray(file, result.custom_id, "belongs to no request of this file")
                elif result.custom_id in seen:
                    self._stray(file, result.custom_id, "has another result; the first stands")
                else:
                    connection.execute("INSERT INTO results VALUES (?, ?, ?)", result)
                seen.add(result.custom_id)
            for name in sorted(mine - seen):
                self._stray(file, name, "has no result")
            self._set(file, "collected")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _stray(self, file: File, name: str, why: str) -> None:
        words = (file.number, name, why)
        self._connection.execute("INSERT INTO strays VALUES (?, ?, ?)", words)

    def strays(self) -> list[Stray]:
        """Return what results did not fit, in the order it was met."""
        rows = self._connection.execute(
            "SELECT name, custom_id, why FROM strays JOIN files ON files.number = file"
            " ORDER BY strays.rowid"
        )
        return [Stray(*row) for row in rows]

    def joined(self) -> Iterator[tuple[Asked, File, Result | None]]:
        """Yield every request in the order of the source, with what came of it."""
        files = {file.number: file for file in self.files()}
        rows = self._connection.execute(
            "SELECT requests.*, results.type, results.raw FROM requests"
            " LEFT JOIN results USING (custom_id) ORDER BY requests.number"
        )
        for row in rows:
            *asked, kind, raw = row
            one = Asked(*asked)
            result = None if kind is None else Result(one.custom_id, kind, raw)
            yield one, files[one.file], result

    def counts(self) -> dict[str, int]:
        """Count the results by type."""
        rows = self._connection.execute("SELECT type, count(*) FROM results GROUP BY type")
        return {str(kind): int(number) for kind, number in rows}

    # --- the ledger ----------------------------------------------------------------------

    def booked(self, ledger: str) -> set[str]:
        """Return which requests are known to be in a ledger."""
        rows = self._connection.execute("SELECT custom_id FROM booked WHERE ledger = ?", (ledger,))
        return {str(row[0]) for row in rows}

    def book(self, names: Iterable[str], ledger: str) -> None:
        """Write down which requests are in a ledger."""
        with transaction(self._connection):
            self._connection.executemany(
                "INSERT OR IGNORE INTO booked VALUES (?, ?)", ((name, ledger) for name in names)
            )


def digest(parts: Iterable[bytes]) -> str:
    """Return what tells a file from one that was changed."""
    found = blake2b(digest_size=16)
    for part in parts:
        found.update(part)
    return found.hexdigest()


def _made_sure(connection: sqlite3.Connection) -> None:
    """Have what is written be on the disk before the next line is run."""
    connection.execute("PRAGMA synchronous = FULL")
