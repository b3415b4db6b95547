"""Limits by the minute: requests, and prompt tokens that were not read from the cache.

What is read does not count (Claude docs, rate limits, 2026-08-22), which is half of what
caching is worth to whoever sends much. Each workspace has a bucket of each sort, which
fills evenly; a call is taken while there is anything in it.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

from cacheplan.io.fake.exchange import Refusal
from cacheplan.usage import Usage

__all__ = ["Limits"]

_MINUTE: Final = 60.0


class _Bucket:
    """Holds so much, and fills up within a minute."""

    def __init__(self, size: int, at: float) -> None:
        self.size = size
        self._left = float(size)
        self._at = at

    def left(self, at: float) -> float:
        """Return what is in it at a moment; less than nothing where too much was taken."""
        filled = self._left + self.size * max(at - self._at, 0.0) / _MINUTE
        self._left, self._at = min(filled, float(self.size)), at
        return self._left

    def take(self, amount: float, at: float) -> None:
        """Take something out, be it more than there is."""
        self._left = self.left(at) - amount

    def seconds(self, level: float, at: float) -> float:
        """Return how long it takes to fill to a level."""
        return max(level - self.left(at), 0.0) * _MINUTE / self.size


class Limits:
    """What every workspace may send within a minute."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def set(self, sizes: dict[str, int]) -> None:
        """Limit these from here on: ``requests``, ``input-tokens``."""
        self._sizes = sizes
        self._buckets = {}

    def refuse(self, workspace: str, at: float) -> Refusal | None:
        """Refuse a call of a workspace that has nothing left."""
        for sort, size in self._sizes.items():
            bucket = self._bucket(workspace, sort, at)
            if bucket.left(at) < 1:
                words = (
                    "This request would exceed your organization's rate limit of"
                    f" {size:,} {sort.replace('-', ' ')} per minute."
                )
                wait = {"retry-after": str(math.ceil(bucket.seconds(1, at)))}
                return Refusal(429, words, headers={**self.headers(workspace, at), **wait})
        return None

    def spend(self, workspace: str, usage: Usage, at: float) -> None:
        """Count a call that was answered."""
        amounts = {"requests": 1, "input-tokens": usage.uncached + usage.written}
        for sort in self._sizes:
            self._bucket(workspace, sort, at).take(amounts[sort], at)

    def headers(self, workspace: str, at: float) -> dict[str, str]:
        """Say what is left, and when all of it is back."""
        found = {}
        for sort, size in self._sizes.items():
            bucket = self._bucket(workspace, sort, at)
            full = datetime.fromtimestamp(at + bucket.seconds(size, at), UTC)
            name = f"anthropic-ratelimit-{sort}"
            found[f"{name}-limit"] = str(size)
            found[f"{name}-remaining"] = str(max(int(bucket.left(at)), 0))
            found[f"{name}-reset"] = full.strftime("%Y-%m-%dT%H:%M:%SZ")
        return found

    def _bucket(self, workspace: str, sort: str, at: float) -> _Bucket:
        """Return a bucket, full when it is first asked for."""
        key = workspace, sort
        if key not in self._buckets:
            self._buckets[key] = _Bucket(self._sizes[sort], at)
        return self._buckets[key]
