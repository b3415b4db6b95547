"""One thing that is wrong with a call or a layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from cacheplan.prompt import Place

__all__ = ["SEVERITIES", "Finding", "Severity"]

Severity = Literal["error", "warning", "note"]

#: The gravest first: the service refuses the call; money is lost; good to know.
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong, where, and how bad it is."""

    rule: str
    severity: Severity
    message: str
    place: Place | None = None

    def __str__(self) -> str:
        """Say it in a line."""
        where = f"{self.place}: " if self.place is not None else ""
        return f"{self.severity}: {where}{self.message} [{self.rule}]"

    def to_json(self) -> dict[str, Any]:
        """Return the shape that ``check --format json`` prints."""
        place = None
        if self.place is not None:
            place = {
                "level": str(self.place.level),
                "index": self.place.index,
                "content": self.place.content,
                "inner": self.place.inner,
            }
        return {
            "rule": self.rule,
            "severity": self.severity,
            "message": self.message,
            "place": place,
        }
