"""Entries as rows: what is kept of each call, keyed, and what is left out.

Digests and names are keyed before they are written; words of the API's are kept as they
are, and whatever may quote a prompt is not.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, Final

from cacheplan.entries import Entry, Step
from cacheplan.kinds import CONTENT, TOOLS
from cacheplan.prefixes import SETTINGS
from cacheplan.usage import Usage

__all__ = ["Names", "written"]

#: The words of the API for what a block is, and ours; any other may be the caller's own.
_KINDS: Final = frozenset({*CONTENT, *TOOLS, "tool", "output_config", SETTINGS})
#: The longest word that diagnostics are known to hold is not half as long.
_WORD: Final = 64
#: What joins the parts of a word.
_JOINTS: Final = str.maketrans("", "", "_-#.")


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


def written(connection: sqlite3.Connection, entry: Entry, names: Names) -> Exception | None:
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
        json.dumps(entry.tags),
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
