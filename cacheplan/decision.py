"""What was decided for one call, and why: a value, before the call and after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cacheplan.causes import Shortfall
from cacheplan.entries import Marked
from cacheplan.labels import Tags
from cacheplan.prompt import Lifetime, Place
from cacheplan.usage import Usage

__all__ = ["Decision", "Placed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A mark that was decided on."""

    #: Where in the body it stands.
    place: Place
    #: The place as a plan names it.
    rule: str
    lifetime: Lifetime
    #: Tokens up to and including the marked block, as far as that is known.
    tokens: int
    #: Why, in a sentence.
    because: str = ""

    def __str__(self) -> str:
        """Say where, how long and why."""
        why = f": {self.because}" if self.because else ""
        return f"{self.place} for {self.lifetime} ({self.rule}){why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One call: what it carried, what was marked, what it was expected to use and did."""

    at: float
    model: str = ""
    label: str | None = None
    tags: Tags = ()
    session: str | None = None
    workspace: str = ""
    platform: str = "anthropic"
    surface: str = "messages"
    #: What was decided to mark, in prompt order.
    marks: tuple[Placed, ...] = ()
    #: True where the body that goes out has these marks.
    applied: bool = False
    #: The marks that the body carried when it came.
    found: tuple[Marked, ...] = ()
    #: Why the body is left as it came; empty where it is not.
    left: str = ""
    #: Marks that were wanted and left out: which rule, and why.
    dropped: tuple[tuple[str, str], ...] = ()
    #: What the call is expected to use as it goes out, its output aside, going by the
    #: calls that this session has seen; ``None`` where the prompt could not be read.
    predicted: Usage | None = None
    #: What was billed, and the kind of failure, once the call is over.
    billed: Usage | None = None
    error: str | None = None
    #: That it read far less than the call before it in its conversation had kept, and why.
    collapse: Shortfall | None = None
    #: What the session needs to recognise the call by.
    slip: Any = field(default=None, repr=False, compare=False)

    @property
    def rules(self) -> Iterable[str]:
        """The rules behind the marks that went out."""
        return dict.fromkeys(mark.rule for mark in self.marks) if self.applied else ()

    def __str__(self) -> str:
        """Say in a few lines what happened to the body."""
        if self.applied:
            lines = [f"marked {mark}" for mark in self.marks]
        else:
            lines = [f"left as it came: {self.left or 'nothing is worth a mark'}"]
            lines += [f"would mark {mark}" for mark in self.marks]
        lines += [f"not marked: {rule}, {why}" for rule, why in self.dropped]
        for word, usage in (("expected", self.predicted), ("billed", self.billed)):
            if usage is not None:
                lines.append(
                    f"{word}: {usage.read:,} read, {usage.written:,} written,"
                    f" {usage.uncached:,} uncached"
                )
        ends = (("collapsed", self.collapse), ("failed", self.error))
        return "\n".join([*lines, *(f"{word}: {end}" for word, end in ends if end)])
