"""The words everyone says: level, lifetime, place, block, breakpoint.

Nothing here knows a price, a limit or a file.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

__all__ = ["Block", "Breakpoint", "Level", "Lifetime", "Place"]


class Level(enum.IntEnum):
    """The three levels of a prompt, in the order the service renders them."""

    TOOLS = 0
    SYSTEM = 1
    MESSAGES = 2

    def __str__(self) -> str:
        """Return the key of the body that holds this level."""
        return self.name.lower()


class Lifetime(enum.StrEnum):
    """How long an entry lives after the start of the call that last used it."""

    FIVE_MINUTES = "5m"
    ONE_HOUR = "1h"

    @property
    def seconds(self) -> int:
        """The promised minimum; the service may keep an entry a few seconds longer."""
        return 3600 if self is Lifetime.ONE_HOUR else 300


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """Where in a body a block stands.

    >>> print(Place(level=Level.MESSAGES, index=3, content=0))
    messages[3].content[0]
    >>> print(Place(level=Level.TOOLS, index=1))
    tools[1]
    """

    level: Level
    #: Which tool, system block or message.
    index: int
    #: Which block of a message's content; ``None`` outside messages, and where the
    #: content is a plain string.
    content: int | None = None
    #: Which block inside a tool result or document.
    inner: int | None = None

    def __str__(self) -> str:
        """Write the place as the API's own error messages do."""
        text = f"{self.level}[{self.index}]"
        if self.level is Level.MESSAGES:
            text += ".content" if self.content is None else f".content[{self.content}]"
        return text if self.inner is None else f"{text}.content[{self.inner}]"


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """One tool definition, one system block or one content block.

    A block is what it says and where it may stand, not where it did stand: the same
    text in two conversations is one block. A ``msgspec.Struct`` because logs hold
    millions.
    """

    level: Level
    #: The block's ``type``; ``text`` for a plain string, ``tool`` for a tool definition
    #: that names no type.
    kind: str
    #: Who speaks: ``user``, ``assistant`` or ``system`` inside messages, else empty.
    role: str = ""
    #: The block as the caller wrote it, without ``cache_control``; empty for a digest.
    body: Mapping[str, Any] = {}
    #: Identity: 16 bytes over the canonical form, level and role included.
    digest: bytes = b""
    #: Tokens as the source states them; ``None`` where they have to be counted.
    tokens: int | None = None
    #: Why the service refuses a breakpoint here (``thinking``, ``blank``, ``deferred``,
    #: ``nested``); empty where it takes one.
    refuses: str = ""


class Breakpoint(NamedTuple):
    """A mark on the block at the end of one prefix (a node of the prefix tree)."""

    node: int
    lifetime: Lifetime
