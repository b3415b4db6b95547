"""What the API says to a body that it does not take, as an answer with a status.

Marks are ``validity``'s and what stands around them is ``conversations``'; here are who
sends it, how much it is, and models that are not there. Where users have reported the
API's words (on prompt length, say) they are those; the rest are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from cacheplan import facts
from cacheplan.assumptions import Assumptions
from cacheplan.conversations import faults, gone, shape, unsupported
from cacheplan.io.fake.exchange import Asked, Refusal
from cacheplan.prices import Sheet
from cacheplan.validity import Fault

__all__ = ["LARGEST", "identified", "sensible", "shaped", "supported"]

#: Bytes a body may have (Claude docs, errors, 2026-08-22).
LARGEST: Final = 32 << 20


def identified(asked: Asked, platform: str, largest: int) -> Refusal | None:
    """Refuse a request that does not say who sends it, or says too much.

    The clouds' clients may leave that to a proxy which signs for them.
    """
    named = any(asked.headers.get(name) for name in ("x-api-key", "authorization"))
    if platform == "anthropic" and not named:
        return Refusal(401, "x-api-key header is required")
    if len(asked.content) > largest:
        return Refusal(413, "Request exceeds the maximum size")
    return None


def shaped(body: Any, *, counting: bool = False, strict: bool = True) -> Refusal | None:
    """Refuse a body without the API's shape: the first thing that its validator would say."""
    needed = ("model", "messages") if counting else ("model", "max_tokens", "messages")
    return _first(shape(body, needed=needed, closed=strict))


def supported(
    body: Mapping[str, Any], platform: str, sheet: Sheet, assume: Assumptions, at: float
) -> Refusal | None:
    """Refuse a model that is not there, and what a model does not do."""
    name = body["model"]
    found = facts.find(name)
    if found is None:
        known = sheet.minimum(name, platform, assume) is not None
        return None if known else Refusal(404, f"model: {name}")
    if gone(name, platform, at):
        return Refusal(404, f"model: {name}")
    return _first(unsupported(body))


def sensible(
    body: Mapping[str, Any], platform: str, surface: str, *, strict: bool
) -> Refusal | None:
    """Refuse marks that may not stand, and conversations that make no sense."""
    return _first(faults(body, platform, surface, strict=strict))


def _first(faults: Iterable[Fault]) -> Refusal | None:
    """Answer with what would be noticed first."""
    return next((_bad(fault.message) for fault in faults), None)


def _bad(message: str) -> Refusal:
    return Refusal(400, message)
