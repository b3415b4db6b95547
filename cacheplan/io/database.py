"""The ledger's file: its form, how it is opened, and how it is kept small.

SQLite in write-ahead mode: any number of processes may read while one writes, and a commit
outlives the process that made it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cacheplan.errors import InputError

__all__ = ["AT_ONCE", "FORMAT", "forget", "opened", "size", "take_out", "transaction"]

#: Names the form of the file. Those before it are read as they are, and brought up to it
#: when they are next written to; any other is not read.
FORMAT: Final = "cacheplan.ledger/2"
#: By form: what it lacks that the next one has.
_GREW: Final = {
    # Tags, as JSON: pairs of a name and a word.
    "cacheplan.ledger/1": (
        FORMAT,
        "ALTER TABLE calls ADD COLUMN tags TEXT NOT NULL DEFAULT '[]'",
    ),
}
#: Rows taken out in one transaction: another process waits no longer than that takes.
AT_ONCE: Final = 2_000
#: Seconds to wait for another process's transaction. A transaction here takes a fraction
#: of a millisecond; what takes longer is a tool that holds the file, and the call goes on.
PATIENCE: Final = 0.25

_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE prefixes (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    parent INTEGER REFERENCES prefixes (id),
    digest BLOB NOT NULL,
    tokens INTEGER NOT NULL,
    level INTEGER NOT NULL,
    kind TEXT NOT NULL,
    role TEXT NOT NULL,
    refuses TEXT NOT NULL
);
CREATE INDEX prefixes_by_parent ON prefixes (parent);
CREATE TABLE calls (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    model TEXT NOT NULL,
    platform TEXT NOT NULL,
    surface TEXT NOT NULL,
    speed TEXT NOT NULL,
    geo TEXT NOT NULL,
    label TEXT,
    session BLOB,
    workspace BLOB,
    tip INTEGER REFERENCES prefixes (id),
    applied INTEGER NOT NULL,
    predicted TEXT,
    usage TEXT,
    first_token_after REAL,
    duration REAL,
    error TEXT,
    status INTEGER,
    request BLOB,
    message BLOB,
    previous BLOB,
    diagnostics TEXT NOT NULL,
    retries INTEGER NOT NULL,
    marks TEXT NOT NULL,
    tags TEXT NOT NULL DEFAULT '[]'
);
CREATE INDEX calls_by_time ON calls (at);
CREATE INDEX calls_by_tip ON calls (tip);
"""


def opened(path: Path, *, create: bool = False, patience: float = PATIENCE) -> sqlite3.Connection:
    """Open a ledger, made first where it may be; anything else in its place is refused.

    ``patience`` is how many seconds another process's transaction is waited for.
    """
    mode = "rwc" if create else "ro"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=patience,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        _checked(connection, path, create=create, patience=patience)
    except BaseException:
        connection.close()
        raise
    return connection


def _checked(connection: sqlite3.Connection, path: Path, *, create: bool, patience: float) -> None:
    """See that the file is a ledger, and make it one where it is new."""
    if create:
        # Only before the first table is made does it take effect.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _write_ahead(connection, patience)
        # In WAL a commit survives the process with NORMAL; FULL would add what a power
        # cut takes, for ten times the wait.
        connection.execute("PRAGMA synchronous = NORMAL")
        with transaction(connection):
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute("INSERT INTO meta VALUES ('format', ?)", (FORMAT,))
    try:
        found = connection.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        found = None
    if found is None or found[0] not in {FORMAT, *_GREW}:
        raise InputError(f"this is not a ledger of the form {FORMAT}").at(str(path))
    if create and found[0] != FORMAT:
        _grow(connection)


def _grow(connection: sqlite3.Connection) -> None:
    """Bring an older file up to this form, whole or not at all, whoever else tries."""
    with transaction(connection):
        while True:
            (found,) = connection.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
            if found not in _GREW:
                return
            form, statement = _GREW[found]
            connection.execute(statement)
            connection.execute("UPDATE meta SET value = ? WHERE name = 'format'", (form,))


def _write_ahead(connection: sqlite3.Connection, patience: float) -> None:
    """Let readers and a writer not wait for one another.

    The change needs the file alone, and SQLite does not wait for that by itself: where
    several processes begin at once, all but the first come again.
    """
    until = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() >= until:
                raise
            time.sleep(PATIENCE / 50)
        else:
            return


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all of it or none; begun as a writer, so that it never has to be one later."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def take_out(connection: sqlite3.Connection, before: float) -> int:
    """Take out one portion of the calls before a moment, and say how many there were."""
    with transaction(connection):
        made = connection.execute(
            "DELETE FROM calls WHERE id IN (SELECT id FROM calls WHERE at < ? ORDER BY at LIMIT ?)",
            (before, AT_ONCE),
        )
    return made.rowcount


def forget(connection: sqlite3.Connection) -> None:
    """Take out prefixes that no call ends with or goes through, the longest first."""
    while True:
        with transaction(connection):
            made = connection.execute(
                "DELETE FROM prefixes WHERE id IN ("
                " SELECT own.id FROM prefixes AS own"
                " WHERE NOT EXISTS (SELECT 1 FROM prefixes AS next WHERE next.parent = own.id)"
                " AND NOT EXISTS (SELECT 1 FROM calls WHERE calls.tip = own.id) LIMIT ?)",
                (AT_ONCE,),
            )
        if not made.rowcount:
            return


def size(connection: sqlite3.Connection) -> int:
    """Return the bytes that are in use."""
    pages, free, size = (
        connection.execute(f"PRAGMA {what}").fetchone()[0]
        for what in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)
