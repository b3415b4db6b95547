"""The ledger: every finished call in one SQLite file, in digests and numbers.

One process after another, or many at once, may write to the file. An entry that
``record`` returned for is on the disk: it outlives the process, killed or not. What is
kept is a tree of prefixes, each told once, and a row a call, so a conversation costs a few
hundred bytes a turn. Digests are keyed, since without a key a guess at a prompt could be
confirmed; whoever has the file with its own key in it can still do so, and nobody who
keeps the key apart needs to fear that. Reading back is `recall`'s.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from statistics import median
from typing import Any, Final, Self

from cacheplan.entries import Entry, Step
from cacheplan.errors import InputError, LedgerError
from cacheplan.kinds import CONTENT, TOOLS
from cacheplan.prefixes import SETTINGS
from cacheplan.usage import Usage

__all__ = ["FORMAT", "SCHEMA", "Ledger", "opened"]

#: Names the form of the file; another one is not read.
FORMAT: Final = "cacheplan.ledger/1"
#: Entries that wait while the file cannot be written, the oldest given up first: half an
#: hour of a busy process, in a few megabytes.
WAITING: Final = 10_000
#: Entries between two looks at age and size, so that looking costs nothing by the call.
EVERY: Final = 500
#: Rows taken out in one transaction: another process waits no longer than that takes.
AT_ONCE: Final = 2_000
#: Seconds to wait for another process's transaction. A transaction here takes a fraction
#: of a millisecond; what takes longer is a tool that holds the file, and the call goes on.
PATIENCE: Final = 0.25
#: What a file may grow to before its oldest calls go.
LARGEST: Final = 1 << 30
#: Days after which calls go: a quarter, so that a month can be compared with the last.
OLDEST: Final = 92

#: Ledgers of this process, which a fork must not take along; and what it took anyway,
#: never closed, since closing it would close it for the parent.
_OPEN: Final[weakref.WeakSet[Ledger]] = weakref.WeakSet()
_INHERITED: Final[list[sqlite3.Connection]] = []

#: The words of the API for what a block is, and ours; any other may be the caller's own.
_KINDS: Final = frozenset({*CONTENT, *TOOLS, "tool", "output_config", SETTINGS})
_DAY: Final = 86_400
#: The longest word that diagnostics are known to hold is not half as long.
_WORD: Final = 64
#: What joins the parts of a word.
_JOINTS: Final = str.maketrans("", "", "_-#.")

SCHEMA: Final = """
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
    marks TEXT NOT NULL
);
CREATE INDEX calls_by_time ON calls (at);
CREATE INDEX calls_by_tip ON calls (tip);
"""


class Ledger:
    """Writes finished calls down. One may be shared by all threads of a program.

    ``oldest`` days and ``largest`` bytes bound the file. ``key`` keys the digests; without
    one the file makes its own and holds it. Nothing is opened before the first entry.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        key: bytes | None = None,
        oldest: float = OLDEST,
        largest: int = LARGEST,
    ) -> None:
        self.path = Path(path)
        self._key = key
        self._oldest = oldest
        self._largest = largest
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._names: Names | None = None
        self._waiting: deque[Entry] = deque(maxlen=WAITING)
        self._since_look = EVERY
        #: Entries that were given up: too many were waiting, or one could not be kept.
        self.lost = 0
        _OPEN.add(self)

    @property
    def waiting(self) -> int:
        """How many entries are not on the disk yet, because it could not be written."""
        return len(self._waiting)

    def record(self, entry: Entry) -> None:
        """Write an entry down, and whatever waited before it.

        Raises ``LedgerError`` where the file cannot be written; the entry waits then.
        """
        with self._lock:
            self.lost += len(self._waiting) == WAITING
            self._waiting.append(entry)
            self._flush()

    def close(self) -> None:
        """Write down what waits, and let go of the file."""
        with self._lock:
            try:
                if self._waiting:
                    self._flush()
            finally:
                if self._connection is not None:
                    self._connection.close()
                self._connection = None

    def __enter__(self) -> Self:
        """Keep it for a block of code."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _flush(self) -> None:
        """Write everything that waits in one transaction, so that all of it stands or none."""
        try:
            connection = self._open()
            with _transaction(connection):
                names = self._names_of(connection)
                faults = [_written(connection, entry, names) for entry in self._waiting]
            self._waiting.clear()
            self._since_look += len(faults)
            if self._since_look >= EVERY:
                self._since_look = 0
                self._prune(connection)
        except (sqlite3.Error, OSError) as error:
            self._drop()
            raise LedgerError(f"{self.path}: {_reason(error)}") from error
        unfit = [fault for fault in faults if fault is not None]
        self.lost += len(unfit)
        if unfit:
            raise LedgerError(f"{self.path}: an entry cannot be kept: {unfit[0]}") from unfit[0]

    def _open(self) -> sqlite3.Connection:
        """Return this process's connection."""
        if self._connection is None:
            self._connection = opened(self.path, create=True)
            self._names = None
        return self._connection

    def _names_of(self, connection: sqlite3.Connection) -> Names:
        """Return what keys digests: the caller's key, or the file's own."""
        if self._names is None:
            key = self._key
            if key is None:
                made = ("key", secrets.token_bytes(32))
                connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", made)
                found = connection.execute("SELECT value FROM meta WHERE name = 'key'").fetchone()
                key = found[0]
            self._names = Names(key)
        return self._names

    def _drop(self) -> None:
        """Let go of a connection that failed; the next entry tries anew."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _begin_anew(self) -> None:
        """Start over in a forked process: with a lock that is free and a connection of its own."""
        self._lock = threading.Lock()
        self._waiting.clear()
        if self._connection is not None:
            _INHERITED.append(self._connection)
        self._connection = None

    def _prune(self, connection: sqlite3.Connection) -> None:
        """Take out calls that are too old or too many, and prefixes that nobody needs."""
        rows = connection.execute("SELECT at FROM calls ORDER BY id DESC LIMIT ?", (EVERY,))
        recent = [at for (at,) in rows]
        if not recent:
            return
        # By what most calls say: one clock that is wrong must not make all others old.
        gone = _delete(connection, median(recent) - self._oldest * _DAY)
        while _size(connection) > self._largest:
            took = _delete(connection, max(recent))
            gone += took
            if not took:
                break
            _forget(connection)
        if gone:
            _forget(connection)
            connection.execute("PRAGMA incremental_vacuum")


def _begin_anew() -> None:
    """Let every ledger start over after a fork."""
    for ledger in list(_OPEN):
        ledger._begin_anew()  # noqa: SLF001 -- its own module


if hasattr(os, "register_at_fork"):  # Windows does not fork.
    os.register_at_fork(after_in_child=_begin_anew)


class Names:
    """Turns digests and names into keyed digests, each once."""

    def __init__(self, key: bytes) -> None:
        # BLAKE2b takes keys of up to 64 bytes; a longer one is hashed down first.
        self._key = key if len(key) <= 64 else blake2b(key).digest()  # noqa: PLR2004 -- BLAKE2b's own limit

    def of(self, word: str | bytes) -> bytes:
        """Return the digest of a name or of a digest."""
        form = word.encode("utf-8", "surrogatepass") if isinstance(word, str) else word
        return blake2b(form, digest_size=16, key=self._key).digest()

    def maybe(self, word: str | None) -> bytes | None:
        """Return the digest of a name that may be missing; an empty one is none."""
        return self.of(word) if word else None


def opened(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """Open a ledger, made first where it may be; anything else in its place is refused."""
    mode = "rwc" if create else "ro"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=PATIENCE,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        _checked(connection, path, create=create)
    except BaseException:
        connection.close()
        raise
    return connection


def _checked(connection: sqlite3.Connection, path: Path, *, create: bool) -> None:
    """See that the file is a ledger, and make it one where it is new."""
    if create:
        # Only before the first table is made does it take effect.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _write_ahead(connection)
        # In WAL a commit survives the process with NORMAL; FULL would add what a power
        # cut takes, for ten times the wait.
        connection.execute("PRAGMA synchronous = NORMAL")
        with _transaction(connection):
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                for statement in SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute("INSERT INTO meta VALUES ('format', ?)", (FORMAT,))
    try:
        found = connection.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        found = None
    if found is None or found[0] != FORMAT:
        raise InputError(f"this is not a ledger of the form {FORMAT}").at(str(path))


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Let readers and a writer not wait for one another.

    The change needs the file alone, and SQLite does not wait for that by itself: where
    several processes begin at once, all but the first come again.
    """
    until = time.monotonic() + PATIENCE
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
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all of it or none; begun as a writer, so that it never has to be one later."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _written(connection: sqlite3.Connection, entry: Entry, names: Names) -> Exception | None:
    """Write one entry; return what is wrong with it, so that it holds up no other."""
    try:
        _write(connection, entry, names)
    except sqlite3.DatabaseError as error:
        if type(error) in {sqlite3.OperationalError, sqlite3.DatabaseError}:
            raise
        return error
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        return error
    except sqlite3.InterfaceError as error:
        return error
    return None


def _write(connection: sqlite3.Connection, entry: Entry, names: Names) -> None:
    """Write one call and the prefixes that are new."""
    tip = _lay(connection, entry, names)
    marks = [
        [names.of(mark.key).hex(), mark.tokens, str(mark.lifetime), mark.rule, mark.automatic]
        for mark in entry.marked
    ]
    row = (
        entry.at,
        entry.model,
        entry.platform,
        entry.surface,
        entry.speed,
        entry.geo,
        entry.label,
        names.maybe(entry.session),
        names.maybe(entry.workspace),
        tip,
        entry.applied,
        _numbers(entry.predicted),
        _numbers(entry.usage),
        entry.first_token_after,
        entry.duration,
        _word(entry.error),
        entry.status,
        names.maybe(entry.request_id),
        names.maybe(entry.message_id),
        names.maybe(entry.previous_message_id),
        json.dumps(_told(entry.diagnostics)),
        entry.retries,
        json.dumps(marks),
    )
    places = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO calls VALUES (NULL, {places})", row)  # noqa: S608 -- question marks


def _lay(connection: sqlite3.Connection, entry: Entry, names: Names) -> int | None:
    """Return the number of a prompt, made where it is new; ``None`` if its start is unknown.

    That is so after the file was moved away under a running program: until its session
    tells its prefixes again, its calls are booked without their prompts.
    """
    if not entry.tip:
        return None
    node = None
    if entry.parent:
        node = _number(connection, names.of(entry.parent))
        if node is None:
            return None
    for step in entry.steps:
        key = names.of(step.key)
        found = _number(connection, key)
        node = _add(connection, key, node, step, names) if found is None else found
    return node


def _number(connection: sqlite3.Connection, key: bytes) -> int | None:
    found = connection.execute("SELECT id FROM prefixes WHERE key = ?", (key,)).fetchone()
    return None if found is None else int(found[0])


def _add(
    connection: sqlite3.Connection, key: bytes, parent: int | None, step: Step, names: Names
) -> int:
    """Write one prefix."""
    kind = step.kind if step.kind in _KINDS else "other"
    row = (
        key,
        parent,
        names.of(step.digest),
        step.tokens,
        int(step.level),
        kind,
        _word(step.role) or "",
        _word(step.refuses) or "",
    )
    made = connection.execute("INSERT INTO prefixes VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    return int(made.lastrowid or 0)


def _numbers(usage: Usage | None) -> str | None:
    """Write usage as its five numbers."""
    if usage is None:
        return None
    return json.dumps([usage.uncached, usage.write_5m, usage.write_1h, usage.read, usage.output])


def _word(text: str | None) -> str | None:
    """Return a word of the API's; anything longer may quote a prompt and is not kept."""
    if not text:
        return text
    plain = text.translate(_JOINTS)
    return text if len(text) <= _WORD and plain.isalnum() and plain.isascii() else "other"


def _told(found: Any) -> Any:
    """Return diagnostics with numbers and words only."""
    if isinstance(found, Mapping):
        return {str(_word(str(key))): _told(part) for key, part in found.items()}
    if isinstance(found, str):
        return _word(found)
    if isinstance(found, (int, float)) or found is None:
        return found
    return [_told(part) for part in found] if isinstance(found, Iterable) else None


def _delete(connection: sqlite3.Connection, before: float) -> int:
    """Take out one portion of the calls before a moment, and say how many there were."""
    with _transaction(connection):
        made = connection.execute(
            "DELETE FROM calls WHERE id IN (SELECT id FROM calls WHERE at < ? ORDER BY at LIMIT ?)",
            (before, AT_ONCE),
        )
    return made.rowcount


def _forget(connection: sqlite3.Connection) -> None:
    """Take out prefixes that no call ends with or goes through, the longest first."""
    while True:
        with _transaction(connection):
            made = connection.execute(
                "DELETE FROM prefixes WHERE id IN ("
                " SELECT own.id FROM prefixes AS own"
                " WHERE NOT EXISTS (SELECT 1 FROM prefixes AS next WHERE next.parent = own.id)"
                " AND NOT EXISTS (SELECT 1 FROM calls WHERE calls.tip = own.id) LIMIT ?)",
                (AT_ONCE,),
            )
        if not made.rowcount:
            return


def _size(connection: sqlite3.Connection) -> int:
    """Return the bytes that are in use."""
    pages, free, size = (
        connection.execute(f"PRAGMA {what}").fetchone()[0]
        for what in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _reason(error: Exception) -> str:
    """Say in the system's own words what is the matter."""
    return str(error.strerror if isinstance(error, OSError) and error.strerror else error).lower()
