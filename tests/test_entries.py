"""What a ledger may know of a call: digests and numbers."""

from __future__ import annotations

import dataclasses

import pytest

from cacheplan.entries import Entry, Marked
from cacheplan.prompt import Lifetime
from cacheplan.usage import Usage

SHORT, LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR


def marked(lifetime: Lifetime) -> Marked:
    """Return a marked prefix."""
    return Marked(key=b"k" * 16, tokens=2_000, lifetime=lifetime, rule="system")


@pytest.mark.parametrize(
    ("asked", "longest"), [((), None), ((SHORT,), SHORT), ((LONG, SHORT), LONG)]
)
def test_the_longest_lifetime_asked_for(asked: tuple[Lifetime, ...], longest: Lifetime) -> None:
    """A call asked for an hour if one of its marks did, and for nothing without a mark."""
    entry = Entry(at=0.0, model="m", marked=tuple(map(marked, asked)))
    assert entry.lifetime is longest


@pytest.mark.parametrize(
    ("usage", "granted"),
    [
        (None, None),
        (Usage(read=5_000), None),
        (Usage(write_5m=10), SHORT),
        (Usage(write_5m=10, write_1h=10), LONG),
    ],
)
def test_the_longest_lifetime_granted(usage: Usage | None, granted: Lifetime | None) -> None:
    """What was granted is what was billed, and a call that wrote nothing was granted none."""
    assert Entry(at=0.0, model="m", usage=usage).granted is granted


def test_an_entry_cannot_change() -> None:
    """Once a call is finished, what is known of it is fixed."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Entry(at=0.0, model="m").at = 1.0  # type: ignore[misc] # that is what is tried
