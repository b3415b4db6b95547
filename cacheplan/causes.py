"""When a call read far less than it should have, and the words for why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["CAUSES", "Shortfall", "collapsed", "told"]

#: What must be missing, as a share and in tokens, before it is a collapse: where Claude
#: Code, too, speaks of a break (read from its sources, 2026-11-21).
SHARE: Final = 0.95
LEAST: Final = 2_000

#: What each cause means. The API's four words first, then ours.
CAUSES: Final[Mapping[str, str]] = {
    "model_changed": "the model or the speed changed, and each has entries of its own",
    "tools_changed": "the tools changed, which renders everything anew",
    "system_changed": "the system prompt changed, which renders the messages anew",
    "messages_changed": "earlier messages changed, instead of new ones being added",
    "not_marked": "the call has no mark, so it looked for nothing",
    "ttl_expired": "the entry had lived as long as was asked for",
    "lookback_exceeded": "no mark stands near enough to the end of what was kept",
    "unexplained": "nothing that was sent explains it; the entry was gone early",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """A collapse as it is told when it happens."""

    #: A key of ``CAUSES``, or another word of the API's.
    cause: str
    #: Tokens that were kept, and were paid for again.
    lost: int
    #: True where the API said so itself.
    told: bool

    def __str__(self) -> str:
        """Say what was lost, and why."""
        return f"{self.lost:,} tokens paid for again: {CAUSES.get(self.cause, self.cause)}"


def collapsed(established: int, read: int) -> bool:
    """Say whether so much less was read that it is no rounding."""
    return read < SHARE * established and established - read >= LEAST


def told(diagnostics: Mapping[str, Any]) -> str | None:
    """Return the API's own word for what broke a prefix, where it has one."""
    reason = diagnostics.get("cache_miss_reason")
    word = reason.get("type") if isinstance(reason, Mapping) else reason
    return word if isinstance(word, str) and word.endswith("_changed") else None
