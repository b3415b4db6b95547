"""What goes wrong on demand, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from cacheplan.io.fake.exchange import KINDS, Refusal
from cacheplan.validity import number_words

__all__ = ["Trouble", "Troubles", "refusal_of"]

#: What the API says with a status. 400 is the refusal that whoever places marks has to be
#: ready for: one mark too many. Words of 429, 500 and 529 as users report them.
_WORDS: Final[Mapping[int, str]] = MappingProxyType(
    {
        400: number_words(5),
        401: "invalid x-api-key",
        403: "Your API key does not have permission to use the specified resource.",
        404: "Not found",
        413: "Request exceeds the maximum size",
        429: "This request would exceed your organization's rate limit of 2,000,000 input tokens"
        " per minute.",
        500: "Internal server error",
        529: "Overloaded",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One thing that goes wrong, a number of times."""

    #: ``None``: the connection breaks.
    status: int | None
    message: str = ""
    kind: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Only requests of this path; empty: any.
    path: str = ""
    #: Pieces of the answer that still arrive before the connection breaks.
    after: int = 0


class Troubles:
    """Waiting troubles, each for the next request that it is meant for."""

    def __init__(self) -> None:
        self._waiting: list[Trouble] = []

    def add(self, trouble: Trouble, times: int) -> None:
        """Have something go wrong so many times."""
        self._waiting += [trouble] * times

    def next(self, path: str) -> Trouble | None:
        """Return what goes wrong with a request, if anything does."""
        for at, trouble in enumerate(self._waiting):
            if trouble.path in ("", path):
                return self._waiting.pop(at)
        return None


def refusal_of(trouble: Trouble) -> Refusal:
    """Say it as the API would."""
    status = trouble.status or 500
    message = trouble.message or _WORDS.get(status, KINDS.get(status, "error"))
    return Refusal(status, message, trouble.kind, trouble.headers)
