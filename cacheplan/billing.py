"""What was billed, read from whatever way an answer took to its caller.

Plain answers carry ``usage`` once. A stream carries it twice: ``message_start`` has all
of it, ``message_delta`` repeats some counters, cumulative and without the split by
lifetime, so they overwrite and are never added. Server tools and fallbacks add
``iterations``. Bedrock has names of its own. This file knows the fields, not the wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from cacheplan.errors import InputError
from cacheplan.records import recorded_usage
from cacheplan.usage import Usage

__all__ = ["Answer", "billed"]

#: Bedrock's own counters by the API's. ``inputTokens`` is uncached only (AWS page on
#: prompt caching, 2026-09). The second spelling is that of the metrics which end a stream.
_BEDROCK: Final = (
    ("input_tokens", ("inputTokens", "inputTokenCount")),
    ("output_tokens", ("outputTokens", "outputTokenCount")),
    ("cache_read_input_tokens", ("cacheReadInputTokens", "cacheReadInputTokenCount")),
    ("cache_creation_input_tokens", ("cacheWriteInputTokens", "cacheWriteInputTokenCount")),
)
#: Iterations that the top-level sums leave out (SDK types, 2.12.0).
_APART: Final = frozenset({"compaction", "advisor_message"})


def billed(usage: Any) -> Usage | None:
    """Read usage in any of its spellings; ``None`` where there is none that can be read.

    >>> billed({"inputTokens": 5, "cacheReadInputTokens": 100})
    Usage(uncached=5, write_5m=0, write_1h=0, read=100, output=0)
    """
    if not isinstance(usage, Mapping):
        return None
    try:
        found = recorded_usage(_api_names(usage))
        for each in _iterations(usage):
            if each.get("type") in _APART:
                found += recorded_usage(each)
    except InputError:
        return None
    return found


def _iterations(usage: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """Return what is billed apart; nothing where it is none."""
    listed = usage.get("iterations")
    return [each for each in listed if isinstance(each, Mapping)] if listed else ()


def _api_names(usage: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return usage under the API's names."""
    if "input_tokens" in usage:
        return usage
    renamed = dict(usage)
    for name, spellings in _BEDROCK:
        for spelling in spellings:
            if spelling in usage:
                renamed.setdefault(name, usage[spelling])
    details = usage.get("cacheDetails")
    if isinstance(details, list) and "cache_creation" not in usage:
        split = {
            f"ephemeral_{each.get('ttl')}_input_tokens": each.get("inputTokens")
            for each in details
            if isinstance(each, Mapping)
        }
        renamed["cache_creation"] = split
    return renamed


class Answer:
    """Collects what an answer says of itself, in one piece or event by event."""

    __slots__ = ("_usage", "diagnostics", "error", "message_id", "model", "own_rounds")

    def __init__(self) -> None:
        self._usage: dict[str, Any] | None = None
        self.message_id: str | None = None
        self.model: str | None = None
        self.error: str | None = None
        self.diagnostics: Mapping[str, Any] = {}
        #: True where the service called itself again, so that reads add up over rounds.
        self.own_rounds = False

    @property
    def usage(self) -> Usage | None:
        """What was billed, as far as was said."""
        return billed(self._usage)

    def take(self, message: Any) -> None:
        """Take a whole answer, or an error in its place."""
        if not isinstance(message, Mapping):
            return
        if message.get("type") == "error":
            self._fail(message.get("error"))
            return
        if isinstance(found := message.get("id"), str):
            self.message_id = found
        if isinstance(found := message.get("model"), str):
            self.model = found
        self._merge(message.get("usage"))
        self._diagnose(message.get("diagnostics"))

    def event(self, event: Any) -> None:
        """Take one event of a stream; the others say nothing of usage."""
        if not isinstance(event, Mapping):
            return
        kind = event.get("type")
        if kind == "message_start":
            self.take(event.get("message"))
        elif kind == "message_delta":
            self._merge(event.get("usage"))
            self._diagnose(event.get("diagnostics"))
            delta = event.get("delta")
            if isinstance(delta, Mapping):
                self._diagnose(delta.get("diagnostics"))
        elif kind == "error":
            self._fail(event.get("error"))
        metrics = event.get("amazon-bedrock-invocationMetrics")
        if self._usage is None and isinstance(metrics, Mapping):
            self._merge(metrics)

    def _merge(self, usage: Any) -> None:
        """Overwrite counters with later ones; a null says nothing."""
        if not isinstance(usage, Mapping):
            return
        said = {key: part for key, part in usage.items() if part is not None}
        self._usage = {**(self._usage or {}), **said}
        rounds = usage.get("iterations")
        self.own_rounds = self.own_rounds or (isinstance(rounds, list) and len(rounds) > 1)

    def _diagnose(self, diagnostics: Any) -> None:
        if isinstance(diagnostics, Mapping):
            self.diagnostics = diagnostics

    def _fail(self, error: Any) -> None:
        kind = error.get("type") if isinstance(error, Mapping) else None
        self.error = str(kind or "error")
