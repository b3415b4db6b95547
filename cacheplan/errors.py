"""What can go wrong, and whose fault it is.

    CacheplanError
    ├── InputError        the caller's data or words: names the place (exit code 2)
    │   └── UnsupportedError  well formed, but nothing here can read it
    ├── UnknownFactError  the answer needs a price or minimum nobody states (exit code 3)
    ├── RejectedError     the service would refuse this call, in its own words
    └── LedgerError       the ledger cannot be written; no call waits for that

An ``InputError`` is raised where the fault is seen and grows its path as it rises:
the place deep inside knows ``ttl``, each caller on the way adds the step it took, and
the reader adds file and line last.
"""

from __future__ import annotations

from typing import Self

__all__ = [
    "CacheplanError",
    "InputError",
    "LedgerError",
    "RejectedError",
    "UnknownFactError",
    "UnsupportedError",
]


class CacheplanError(Exception):
    """Everything this library raises on purpose."""


class InputError(CacheplanError):
    """Something handed to us cannot be what it claims to be.

    >>> try:
    ...     raise InputError('"2h" is not 5m or 1h').within("ttl").within("cache_control")
    ... except InputError as error:
    ...     print(error.within(3).within("messages").at("calls.jsonl", 17))
    calls.jsonl line 17: messages[3].cache_control.ttl: "2h" is not 5m or 1h
    """

    def __init__(
        self,
        what: str,
        path: tuple[str | int, ...] = (),
        source: str | None = None,
        line: int | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        #: Steps from the outside in: keys as text, indices as numbers.
        self.path = path
        self.source = source
        self.line = line

    def within(self, step: str | int) -> Self:
        """Return the same fault, seen from one step further out."""
        return type(self)(self.what, (step, *self.path), self.source, self.line)

    def at(self, source: str, line: int | None = None) -> Self:
        """Return the same fault with the file (and line) it stands in."""
        return type(self)(self.what, self.path, source, line)

    def __str__(self) -> str:
        """Say file, line, path and fault in one line."""
        place = ""
        for step in self.path:
            place += f"[{step}]" if isinstance(step, int) else f".{step}" if place else step
        head = [] if self.source is None else [self.source]
        if self.line is not None:
            head.append(f"line {self.line}")
        return _in_one_line(": ".join(part for part in (" ".join(head), place, self.what) if part))


#: A line that is longer than this was made by quoting what should not be quoted whole.
_LONGEST = 400


def _in_one_line(text: str) -> str:
    """Escape what would break a line or a terminal, and leave out the middle of a long one."""
    shown = "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )
    if len(shown) <= _LONGEST:
        return shown
    return f"{shown[: _LONGEST // 2]} … {shown[-_LONGEST // 2 :]}"


class UnsupportedError(InputError):
    """Well formed, but a form this version cannot read."""


class UnknownFactError(CacheplanError):
    """An answer needs a fact that no table states; it is never replaced by a guess."""


class RejectedError(CacheplanError):
    """The service answers this call with a 400; the message is the service's own."""


class LedgerError(CacheplanError):
    """The ledger cannot be written just now; what was to be written waits in memory."""
