"""Asking the service no faster than it allows, and saying how far that has come."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from cacheplan.errors import CacheplanError

__all__ = ["Paced", "paced_client"]

#: Times a refusal for asking too fast is waited out, as the service says how long.
_RETRIES = 8


class Paced:
    """Stands where a client does for counting tokens, and asks evenly over the minute."""

    def __init__(
        self,
        client: Any,
        per_minute: int,
        watch: Callable[[int], None] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._gap = 60 / per_minute
        self._watch = watch or (lambda _: None)
        self._clock, self._sleep = clock, sleep
        self._next = clock()
        #: How often the service was asked.
        self.asked = 0

    @property
    def messages(self) -> Paced:
        """Return what counts: itself."""
        return self

    def count_tokens(self, **request: Any) -> Any:
        """Ask, once it is time."""
        wait = self._next - self._clock()
        if wait > 0:
            self._sleep(wait)
        self._next = max(self._next, self._clock()) + self._gap
        self.asked += 1
        self._watch(self.asked)
        return self._client.messages.count_tokens(**request)


def paced_client(per_minute: int, watch: Callable[[int], None]) -> Paced:
    """Return the SDK's client, paced; key and address come from the environment, as ever."""
    try:
        import anthropic
    except ImportError as error:
        what = "asking the service needs its SDK: pip install 'cacheplan[client]'"
        raise CacheplanError(what) from error
    try:
        client = anthropic.Anthropic(max_retries=_RETRIES)
    except anthropic.AnthropicError as error:
        raise CacheplanError(f"the service cannot be asked: {error}") from error
    return Paced(client, per_minute, watch)
