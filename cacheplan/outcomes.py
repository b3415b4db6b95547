"""Who sends a call, and how it ended: what a driver tells a session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from cacheplan.billing import billed
from cacheplan.labels import Tags
from cacheplan.usage import Usage

__all__ = ["Origin", "Outcome"]


class Origin(NamedTuple):
    """Who sends a call, and where to."""

    #: The feature that the cost is booked on.
    label: str | None = None
    session: str | None = None
    workspace: str = ""
    platform: str = "anthropic"
    surface: str = "messages"
    tags: Tags = ()


class Outcome(NamedTuple):
    """How a call ended, as far as its driver knows."""

    #: Usage as the API wrote it or as a value; or what went wrong, as an exception or in
    #: a word.
    result: Usage | Mapping[str, Any] | BaseException | str | None = None
    first_token_after: float | None = None
    duration: float | None = None
    status: int | None = None
    request_id: str | None = None
    message_id: str | None = None
    previous_message_id: str | None = None
    diagnostics: Mapping[str, Any] = {}
    retries: int = 0
    #: True where the service called itself again: then usage adds up over rounds.
    own_rounds: bool = False

    def ended(self) -> tuple[Usage | None, str | None]:
        """Tell usage from failure."""
        result = self.result
        if isinstance(result, Usage):
            return result, None
        if isinstance(result, BaseException):
            return None, type(result).__name__
        if isinstance(result, str):
            return None, result
        return billed(result), None
