"""The ledger: every finished call in one SQLite file, in digests and numbers.

One process after another, or many at once, may write to the file. An entry that
``record`` returned for is on the disk: it outlives the process, killed or not. What is
kept is a tree of prefixes, each told once, and a row a call, so a conversation costs a few
hundred bytes a turn. Digests are keyed, since without a key a guess at a prompt could be
confirmed; whoever has the file with its own key in it can still do so, and nobody who
keeps the key apart needs to fear that. Reading back is `recall`'s.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import weakref
from collections import deque
from pathlib import Path
from statistics import median
from typing import Final, Self

from cacheplan import entries
from cacheplan.entries import Entry
from cacheplan.errors import InputError, LedgerError
from cacheplan.io.database import PATIENCE, forget, opened, size, take_out, transaction
from cacheplan.io.rows import Names, written

__all__ = ["Ledger", "kept"]

#: Entries that wait while the file cannot be written, the oldest given up first: half an
#: hour of a busy process, in a few megabytes.
WAITING: Final = 10_000
#: Entries between two looks at age and size, so that looking costs nothing by the call.
EVERY: Final = 500
#: What a file may grow to before its oldest calls go.
LARGEST: Final = 1 << 30
#: Days after which calls go: a quarter, so that a month can be compared with the last.
OLDEST: Final = 92

#: Ledgers of this process, which a fork must not take along; and what it took anyway,
#: never closed, since closing it would close it for the parent.
_OPEN: Final[weakref.WeakSet[Ledger]] = weakref.WeakSet()
_INHERITED: Final[list[sqlite3.Connection]] = []

_DAY: Final = 86_400


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
        #: Which file is open; another one may come to lie under its name.
        self._file: tuple[int, int] | None = None
        #: Where the file was held too long, nobody waits for it again until it is free.
        self._patience = PATIENCE
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
            self._patience = PATIENCE
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

    def __del__(self) -> None:
        """Let go of the file with the ledger; whoever drops one is done with it."""
        connection = getattr(self, "_connection", None)
        if connection is not None:
            connection.close()

    def _flush(self) -> None:
        """Write everything that waits in one transaction, so that all of it stands or none."""
        try:
            connection = self._open()
            with transaction(connection):
                names = self._names_of(connection)
                faults = [written(connection, entry, names) for entry in self._waiting]
            self._waiting.clear()
            self._patience = PATIENCE
            self._since_look += len(faults)
            if self._since_look >= EVERY:
                self._since_look = 0
                self._prune(connection)
        except (sqlite3.Error, OSError) as error:
            self._drop()
            self._patience = 0.0
            raise LedgerError(f"{self.path}: {_reason(error)}") from error
        unfit = [fault for fault in faults if fault is not None]
        self.lost += len(unfit)
        if unfit:
            raise LedgerError(f"{self.path}: an entry cannot be kept: {unfit[0]}") from unfit[0]

    def _open(self) -> sqlite3.Connection:
        """Return this process's connection, a new one where the file was taken away.

        What is written to a file without a name goes with the last who has it open.
        """
        if self._connection is not None and _lying(self.path) != self._file:
            self._drop()
        if self._connection is None:
            self._connection = opened(self.path, create=True, patience=self._patience)
            self._file = _lying(self.path)
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
        gone = take_out(connection, median(recent) - self._oldest * _DAY)
        while size(connection) > self._largest:
            took = take_out(connection, max(recent))
            gone += took
            if not took:
                break
            forget(connection)
        if gone:
            forget(connection)
            connection.execute("PRAGMA incremental_vacuum")


def _begin_anew() -> None:
    """Let every ledger start over after a fork."""
    for ledger in list(_OPEN):
        ledger._begin_anew()  # noqa: SLF001 -- its own module


if hasattr(os, "register_at_fork"):  # Windows does not fork.
    os.register_at_fork(after_in_child=_begin_anew)


def _lying(path: Path) -> tuple[int, int] | None:
    """Return which file lies under a name."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _reason(error: Exception) -> str:
    """Say in the system's own words what is the matter."""
    return str(error.strerror if isinstance(error, OSError) and error.strerror else error).lower()


def kept(ledger: entries.Ledger | str | os.PathLike[str] | None) -> entries.Ledger | None:
    """Return whoever keeps the entries: as it came, or a file of that name."""
    if isinstance(ledger, str | os.PathLike):
        return Ledger(ledger)
    if ledger is not None and not callable(getattr(ledger, "record", None)):
        raise InputError(f"ledger is a {type(ledger).__name__}, not a file's name or a Ledger")
    return ledger
