"""What a ledger remembers: its calls as entries, and as a workload like any other.

The prompts are known by keyed digests and lengths alone, as in the digest form; a call
whose prompt could not be told is booked and left out of the workload.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, Final, NamedTuple

from cacheplan import causes, facts
from cacheplan.anonymous import anonymous
from cacheplan.assumptions import Assumptions
from cacheplan.books import Books, balance
from cacheplan.collapses import collapses
from cacheplan.entries import Entry, Marked
from cacheplan.envelopes import Envelope, scope_of
from cacheplan.errors import InputError
from cacheplan.io.database import opened
from cacheplan.labels import Tags
from cacheplan.lengths import settle
from cacheplan.prefixes import PrefixTree
from cacheplan.prices import Sheet
from cacheplan.prompt import Block, Breakpoint, Level, Lifetime
from cacheplan.usage import Usage
from cacheplan.workload import Call, Workload

__all__ = ["Recalled", "booked", "books", "lines", "recall", "told"]


#: How much longer than a session thought a prompt may be billed: the first guess is off by
#: up to a third, and two rounds bill it twice.
_ROUNDS: Final = 1.6


class Recalled(NamedTuple):
    """A ledger, read."""

    #: Every call, in time order; digests are keyed, and prompts are not told again.
    entries: list[Entry]
    #: The calls whose prompts are known; a call's number is its place among the entries.
    workload: Workload


def recall(path: str | PathLike[str], assume: Assumptions | None = None) -> Recalled:
    """Read a ledger, as it stands at this moment."""
    assume = assume or Assumptions()
    with _reading(path) as connection:
        prompts = _Prompts(connection, assume)
        entries: list[Entry] = []
        calls: list[Call] = []
        for row in connection.execute("SELECT * FROM calls ORDER BY at, id"):
            entry = _entry(row)
            if row["tip"] is not None:
                calls.append(prompts.call(row["tip"], entry, len(entries)))
            entries.append(entry)
    if not entries:
        raise InputError("no calls in it").at(str(path))
    prompts.tree.measure()
    # What was billed says better how long a prompt is than what a session thought of it.
    once = [at for at, call in enumerate(calls) if _billed_once(prompts.tree, call)]
    calls, _ = settle(prompts.tree, calls, once, trust_usage=True)
    unknown = len(entries) - len(calls)
    note = f"calls whose prompts the ledger does not know, left out: {unknown}"
    workload = Workload(
        tree=prompts.tree,
        calls=calls,
        assume=assume,
        tokens_from="usage",
        notes=(note,) if unknown else (),
    )
    return Recalled(entries, workload)


def _billed_once(tree: PrefixTree, call: Call) -> bool:
    """Tell a bill of one prompt from one that is the sum of a server tool's rounds."""
    return call.recorded is None or call.recorded.prompt < _ROUNDS * tree.tokens[call.tip]


def told(entries: Sequence[Entry]) -> dict[int, str]:
    """Return the API's own word for what broke a prefix, by number of the entry."""
    words = ((number, causes.told(entry.diagnostics)) for number, entry in enumerate(entries))
    return {number: word for number, word in words if word is not None}


def booked(path: str | PathLike[str]) -> tuple[list[Entry], bytes | None]:
    """Read the calls of a ledger without their prompts, and the key that the file holds."""
    with _reading(path) as connection:
        found = [_entry(row) for row in connection.execute("SELECT * FROM calls ORDER BY at, id")]
        key = connection.execute("SELECT value FROM meta WHERE name = 'key'").fetchone()
    if not found:
        raise InputError("no calls in it").at(str(path))
    return found, None if key is None else bytes(key[0])


def books(path: str | PathLike[str], sheet: Sheet, by: str) -> Books:
    """Read a ledger and add it up."""
    entries, workload = recall(path)
    return balance(entries, collapses(workload, sheet, told(entries)), sheet, by)


def lines(path: str | PathLike[str]) -> Iterator[bytes]:
    """Yield the calls of a ledger in the digest form."""
    for line in anonymous(recall(path).workload, b""):
        yield json.dumps(line).encode()


@contextmanager
def _reading(path: str | PathLike[str]) -> Iterator[sqlite3.Connection]:
    """Open a ledger for one look at it; whoever writes meanwhile is not held up."""
    try:
        with closing(opened(Path(path))) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("BEGIN")
            yield connection
    except sqlite3.Error as error:
        raise InputError(str(error)).at(str(path)) from error


class _Prefix(NamedTuple):
    """One row of the table of prefixes."""

    key: bytes
    parent: int | None
    digest: bytes
    tokens: int
    level: int
    kind: str
    role: str
    refuses: str


class _Prompts:
    """Hangs the prefixes of a ledger into a tree, as calls ask for them."""

    def __init__(self, connection: sqlite3.Connection, assume: Assumptions) -> None:
        self.tree = PrefixTree()
        rows = connection.execute(
            "SELECT id, key, parent, digest, tokens, level, kind, role, refuses FROM prefixes"
        )
        self._rows = {row[0]: _Prefix(*row[1:]) for row in rows}
        #: By number and by key in the ledger: the node.
        self._nodes: dict[int, int] = {}
        self._keys: dict[bytes, int] = {}
        #: By block: the last row that told of it.
        self._newest: dict[int, int] = {}
        self._assume = assume

    def call(self, number: int, entry: Entry, at: int) -> Call:
        """Return a call with its prompt and its marks."""
        tip = self._tip(number, entry)
        return Call(
            at=entry.at,
            tip=tip,
            tariff=entry.tariff,
            marks=tuple(sorted(self._marks(entry))),
            automatic=next((one.lifetime for one in entry.marked if one.automatic), None),
            first_token_after=1.0 if entry.first_token_after is None else entry.first_token_after,
            output=entry.usage.output if entry.usage else 0,
            failed=entry.error is not None,
            recorded=entry.usage,
            number=at,
            session=entry.session,
            label=entry.label,
            workspace=entry.workspace,
            tags=entry.tags,
        )

    def _marks(self, entry: Entry) -> Iterator[Breakpoint]:
        """Yield the prefixes that were marked, as far as they are known."""
        for mark in entry.marked:
            node = self._keys.get(mark.key)
            if node is not None:
                yield Breakpoint(node, mark.lifetime)

    def _tip(self, number: int, entry: Entry) -> int:
        """Return a whole prompt; what is new of it is hung up."""
        pending = []
        at: int | None = number
        while at is not None and at not in self._nodes:
            pending.append(at)
            at = self._rows[at].parent
        node = self._root(entry) if at is None else self._nodes[at]
        for below in reversed(pending):
            row = self._rows[below]
            node = self.tree.child(node, self._block(below, row, entry.model))
            self._nodes[below] = self._keys[row.key] = node
        return node

    def _block(self, below: int, row: _Prefix, model: str) -> int:
        """Number one block; the same text is the same block, however long it was thought to be.

        Of what a session thought of its length the last is the best.
        """
        block = Block(
            level=Level(row.level),
            kind=row.kind,
            role=row.role,
            digest=row.digest,
            tokens=row.tokens,
            refuses=row.refuses,
        )
        known = facts.find(model)
        number = self.tree.intern(block, int(known is not None and known.model.generation == "old"))
        if below >= self._newest.get(number, below):
            self._newest[number] = below
            self.tree.size[number] = row.tokens
        return number

    def _root(self, entry: Entry) -> int:
        """Return where the prompts of calls begin that can share with this one."""
        around = Envelope(entry.platform, entry.surface, entry.workspace or "", entry.at)
        return self.tree.root(scope_of(entry.model, around, self._assume))


def _entry(row: sqlite3.Row) -> Entry:
    """Read one call."""
    return Entry(
        at=row["at"],
        model=row["model"],
        label=row["label"],
        tags=_tags(row),
        session=_hex(row["session"]),
        workspace=_hex(row["workspace"]),
        platform=row["platform"],
        surface=row["surface"],
        speed=row["speed"],
        geo=row["geo"],
        marked=tuple(_marked(mark) for mark in json.loads(row["marks"])),
        applied=bool(row["applied"]),
        predicted=_usage(row["predicted"]),
        usage=_usage(row["usage"]),
        first_token_after=row["first_token_after"],
        duration=row["duration"],
        error=row["error"],
        status=row["status"],
        request_id=_hex(row["request"]),
        message_id=_hex(row["message"]),
        previous_message_id=_hex(row["previous"]),
        diagnostics=json.loads(row["diagnostics"]) or {},
        retries=row["retries"],
    )


def _marked(found: list[Any]) -> Marked:
    key, tokens, lifetime, rule, automatic = found
    return Marked(
        key=bytes.fromhex(key),
        tokens=tokens,
        lifetime=Lifetime(lifetime),
        rule=rule,
        automatic=automatic,
    )


def _tags(row: sqlite3.Row) -> Tags:
    """Read tags; a file that nobody has written to since there are any has no column."""
    found = json.loads(row["tags"]) if "tags" in row.keys() else ()  # noqa: SIM118 -- no mapping
    return tuple((name, word) for name, word in found)


def _usage(numbers: str | None) -> Usage | None:
    return None if numbers is None else Usage(*json.loads(numbers))


def _hex(digest: bytes | None) -> str | None:
    return None if digest is None else digest.hex()
