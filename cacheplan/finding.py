"""One thing that is wrong with a call or a layout, and what mending it is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from cacheplan.changes import Patch
from cacheplan.edits import Edit
from cacheplan.lanes import LaneKey
from cacheplan.prompt import Breakpoint, Place
from cacheplan.workload import Call

__all__ = ["SEVERITIES", "Confidence", "Example", "Finding", "Fix", "Remark", "Severity"]

Severity = Literal["error", "warning", "note"]
Confidence = Literal["high", "medium", "low"]

#: The gravest first: the service refuses the call; money is lost; good to know.
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

#: Gives a call other marks than it was sent with.
Remark = Callable[[Call], Sequence[Breakpoint]]


class Example(NamedTuple):
    """A call in which it can be seen, with the exact span; text, so redacted when shown."""

    #: The call's number, and its id where it has one.
    call: int
    id: str | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """What would mend it."""

    #: True where the model reads the same text in the same order.
    safe: bool
    #: What to do, in a sentence; where it is not safe, what the model would see instead.
    what: str
    #: How prompts change, and how marks do; the saving is simulated with these.
    edit: Edit | None = None
    remark: Remark | None = None
    #: What it changes in one call, as before and after; filled in when it is priced.
    patch: Patch | None = None
    #: Where it is not safe: what mends a part of it and is.
    safely: Fix | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the shape that ``--format json`` prints."""
        safely = None if self.safely is None else self.safely.what
        return {"safe": self.safe, "what": self.what, "safely": safely}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Finding:
    """What is wrong, where, and how bad it is."""

    rule: str
    severity: Severity
    message: str
    code: str = ""
    confidence: Confidence = "high"
    place: Place | None = None
    #: Which calls: model and label.
    lane: LaneKey | None = None
    #: All of them, where it is one fault of several kinds of calls.
    lanes: tuple[LaneKey, ...] = ()
    #: What it is about besides its rule and its calls, in words that are the same whatever
    #: calls show it: a tool's name, what a text begins with. Never shown, since it is text.
    about: str = ""
    #: How many calls it concerns.
    calls: int = 0
    examples: tuple[Example, ...] = ()
    fix: Fix | None = None
    #: Dollars on these calls with the fix applied; ``None`` where nobody simulated it, or
    #: a price is unknown.
    saving: Decimal | None = None
    saving_per_day: Decimal | None = None
    #: Why it is to stay as it is; empty where it is not.
    waived: str = ""
    #: True where a baseline has it.
    known: bool = False

    @property
    def accepted(self) -> bool:
        """Tell whether it is waived or known, so that no check fails for it."""
        return bool(self.waived) or self.known

    @property
    def of(self) -> tuple[tuple[str, str | None], ...]:
        """Every kind of calls that it is about."""
        return self.lanes or (() if self.lane is None else (self.lane,))

    def __repr__(self) -> str:
        """Say it in a line."""
        return f"<Finding: {self}>"

    def __str__(self) -> str:
        """Say it in a line."""
        where = f"{self.place}: " if self.place is not None else ""
        name = f"{self.code} {self.rule}".strip()
        return f"{self.severity}: {where}{self.message} [{name}]"

    def to_json(self) -> dict[str, Any]:
        """Return the shape that ``--format json`` prints."""
        place = None
        if self.place is not None:
            place = {
                "level": str(self.place.level),
                "index": self.place.index,
                "content": self.place.content,
                "inner": self.place.inner,
            }
        return {
            "code": self.code,
            "rule": self.rule,
            "severity": self.severity,
            "confidence": self.confidence,
            "place": place,
            "calls": self.calls,
            "message": self.message,
            "saving_usd": _number(self.saving),
            "saving_usd_per_day": _number(self.saving_per_day),
            "fix": None if self.fix is None else self.fix.to_json(),
        }


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
