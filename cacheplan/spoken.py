"""What a span says of one call, whoever drew it: the prompt, the bill, and what it leaves out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Counted", "Spoken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What was billed, as the API counts it."""

    usage: dict[str, Any]
    #: False if the source's input may or may not hold what was cached.
    sure: bool = True
    #: True if it is known for how long each written token was kept.
    parted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One call as its span tells it."""

    model: str | None
    provider: str | None
    #: A Messages body as JSON; ``None`` where no prompt is told.
    body: bytes | None
    #: Words of ``lacking``.
    lacks: frozenset[str] = field(default_factory=frozenset)
    counted: Counted | None = None
    #: The id of the answer: the same in every span that tells of this call.
    message: str | None = None
    session: str | None = None
    label: str | None = None
    workspace: str | None = None
    #: Seconds to the first of the answer, as the span has it.
    wait: Any = None
    #: The sort of error it ended in.
    failed: str | None = None
