"""What a person sees while long work runs: one line on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["bytes_read", "watching"]

#: Bytes between two words about reading; more often, the words cost more than the work.
_STEP = 1 << 22


@contextmanager
def watching(*, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Yield a function that says what is being done now, if anybody is there to see it."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield status.update


def bytes_read(say: Callable[[str], None]) -> Callable[[int], None]:
    """Return what hears the length of each line and says how far reading has come."""
    total = said = 0

    def hear(length: int) -> None:
        nonlocal total, said
        total += length
        if total - said >= _STEP:
            said = total
            say(f"reading: {total / 1e6:,.0f} MB")

    return hear
