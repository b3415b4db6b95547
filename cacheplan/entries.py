"""One finished call as it is written down: digests and numbers, never text.

A session makes an entry for every call that came to an end, and hands it to whoever
keeps the ledger. What stands here is all that a ledger may know of a call. The digests
are those of ``cacheplan.prefix/1`` and ``cacheplan.block/1`` and have no key yet: whoever
stores them keys them first, since without a key a guess at a prompt can be confirmed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from cacheplan.causes import Shortfall
from cacheplan.labels import Tags
from cacheplan.prices import Tariff
from cacheplan.prompt import Level, Lifetime
from cacheplan.usage import Usage

__all__ = ["Entry", "Ledger", "Marked", "Step"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One block of a prompt, and the prefix that it ends."""

    #: Key of the prefix, 16 bytes.
    key: bytes
    #: Digest of the block; of blocks of the kind ``#settings`` the settings' own.
    digest: bytes
    #: Length of the block alone, with what the service puts before it.
    tokens: int
    level: Level
    kind: str
    #: Who speaks, in messages.
    role: str = ""
    #: Why the block takes no mark; empty where it does.
    refuses: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """One prefix that was marked when the call was sent, by whomever."""

    #: Key of the prefix, 16 bytes.
    key: bytes
    #: Tokens up to and including the marked block, as far as that is known.
    tokens: int
    #: The lifetime asked for.
    lifetime: Lifetime
    #: The place as a plan names it, ``caller`` for marks that the body came with.
    rule: str
    #: True for the top-level mark, which the service places.
    automatic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One call from its sending to its end."""

    #: When it was sent, in seconds since the epoch.
    at: float
    model: str
    label: str | None = None
    #: Further names of the caller's own, kept as they are, like the label.
    tags: Tags = ()
    session: str | None = None
    workspace: str | None = None
    platform: str = "anthropic"
    surface: str = "messages"
    speed: str = "standard"
    geo: str = ""
    #: Key of the whole prompt; empty where the body could not be read.
    tip: bytes = b""
    #: Key of the prefix that ``steps`` go on from; empty where they start at the root.
    parent: bytes = b""
    #: The blocks from ``parent`` to the tip. What an earlier entry of the same process
    #: told of within the last hour is not told again; what is older is.
    steps: tuple[Step, ...] = ()
    #: In prompt order.
    marked: tuple[Marked, ...] = ()
    #: True where the marks are ours, false where the body went out as it came.
    applied: bool = False
    #: What the call was expected to use, its output aside; ``None`` where nothing was.
    predicted: Usage | None = None
    #: What was billed; ``None`` where the response did not say.
    usage: Usage | None = None
    #: Seconds to the first token; without streaming, to the whole response.
    first_token_after: float | None = None
    #: Seconds to the end of the response.
    duration: float | None = None
    #: The kind of failure, in the API's own word where it has one; ``None`` for none.
    error: str | None = None
    #: HTTP status of the response, where there was one.
    status: int | None = None
    #: The service's name for the request and for the message.
    request_id: str | None = None
    message_id: str | None = None
    #: The message that ``diagnostics`` compares with, if the caller asked for that.
    previous_message_id: str | None = None
    #: ``diagnostics`` of the response as it came: kinds and numbers, no text.
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    #: How often the SDK had tried before.
    retries: int = 0
    #: What was lost where it read far less than its conversation had kept.
    collapse: Shortfall | None = None

    @property
    def tariff(self) -> Tariff:
        """What decides its price besides its usage and its date."""
        return Tariff(self.model, self.platform, self.surface, self.speed, self.geo)

    @property
    def lifetime(self) -> Lifetime | None:
        """The longest lifetime asked for; ``None`` without a mark."""
        if not self.marked:
            return None
        long = any(mark.lifetime is Lifetime.ONE_HOUR for mark in self.marked)
        return Lifetime.ONE_HOUR if long else Lifetime.FIVE_MINUTES

    @property
    def granted(self) -> Lifetime | None:
        """The longest lifetime that was billed; ``None`` where nothing was written."""
        if self.usage is None or not self.usage.written:
            return None
        return Lifetime.ONE_HOUR if self.usage.write_1h else Lifetime.FIVE_MINUTES


class Ledger(Protocol):
    """Whoever keeps the entries. What it raises is counted, and no call waits for a fix."""

    def record(self, entry: Entry) -> None:
        """Take an entry; called once for every call, from the thread it was made in."""
