"""What was billed, read from whatever way an answer took to its caller.

Plain answers carry ``usage`` once. A stream carries it twice: ``message_start`` has all
of it, ``message_delta`` repeats some counters, cumulative and without the split by
lifetime, so they overwrite and are never added. Server tools and fallbacks add
``iterations``. Bedrock has names of its own. This file knows the fields, not the wire:
events come as objects, as the SDKs hand them out or as JSON decodes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from cacheplan.errors import InputError
from cacheplan.stated import recorded_usage
from cacheplan.usage import Usage

__all__ = ["Answer", "billed", "streamed"]

#: Bedrock's own counters by the API's. ``inputTokens`` is uncached only (AWS page on
#: prompt caching, 2026-09). The second spelling is that of the metrics which end a stream.
_BEDROCK: Final = (
    ("input_tokens", ("inputTokens", "inputTokenCount")),
    ("output_tokens", ("outputTokens", "outputTokenCount")),
    ("cache_read_input_tokens", ("cacheReadInputTokens", "cacheReadInputTokenCount")),
    ("cache_creation_input_tokens", ("cacheWriteInputTokens", "cacheWriteInputTokenCount")),
)
#: Events of the API that say what was billed, or that nothing more comes.
_SPEAKING: Final = frozenset({"message_start", "message_delta", "error"})
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


def streamed(events: Iterable[Any]) -> Usage | None:
    """Turn the events of one stream into one usage record, whoever handed them out.

    An event is an object of the SDK's, a mapping, or JSON as it came: the API's own, those
    of ``InvokeModelWithResponseStream`` as boto3 unpacks them, or of Bedrock's ``Converse``.
    Later counters overwrite earlier ones, since they are sums; the split by lifetime is
    that of the start, and what is written beyond it is written for 5 minutes. ``None``
    where no event speaks of usage, or what one says cannot be read.

    >>> start = {"input_tokens": 3, "cache_creation_input_tokens": 10, "output_tokens": 1}
    >>> start["cache_creation"] = {"ephemeral_1h_input_tokens": 10}
    >>> end = {"cache_creation_input_tokens": 14, "output_tokens": 9}
    >>> streamed([
    ...     {"type": "message_start", "message": {"usage": start}},
    ...     {"type": "message_delta", "usage": end},
    ... ])
    Usage(uncached=3, write_5m=4, write_1h=10, read=0, output=9)
    """
    answer = Answer()
    for event in events:
        answer.event(event)
    return answer.usage


def _plain(event: Any) -> Any:
    """Return an event as a mapping; what is none says nothing."""
    if isinstance(event, Mapping):
        held = event.get("chunk", event)
        inner = held.get("bytes") if isinstance(held, Mapping) else None
        return event if inner is None else _plain(inner)
    if isinstance(event, str | bytes | bytearray | memoryview):
        try:
            return msgspec.json.decode(event)
        except (ValueError, RecursionError):
            return None
    # Every SDK's objects are pydantic's. The helpers' other events hold the whole message.
    dump = getattr(event, "model_dump", None)
    if not callable(dump) or getattr(event, "type", None) not in _SPEAKING:
        return None
    return dump(mode="json", warnings=False)


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

    @property
    def counters(self) -> Mapping[str, Any] | None:
        """What was billed, under the API's names, for those who write an answer down."""
        return None if self._usage is None else _api_names(self._usage)

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
        """Take one event of a stream; most say nothing of usage."""
        event = _plain(event)
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
        if isinstance(last := event.get("metadata"), Mapping):
            self._merge(last.get("usage"))

    def _merge(self, usage: Any) -> None:
        """Overwrite counters with later ones; a null says nothing.

        Nor does a 0 where something was counted before: sums never shrink, but proxies fill
        in what the service left out.
        """
        if not isinstance(usage, Mapping):
            return
        known = self._usage or {}
        said = {
            key: part
            for key, part in usage.items()
            if part is not None and not (part == 0 and known.get(key))
        }
        self._usage = {**known, **said}
        rounds = usage.get("iterations")
        self.own_rounds = self.own_rounds or (isinstance(rounds, list) and len(rounds) > 1)

    def _diagnose(self, diagnostics: Any) -> None:
        if isinstance(diagnostics, Mapping):
            self.diagnostics = diagnostics

    def _fail(self, error: Any) -> None:
        kind = error.get("type") if isinstance(error, Mapping) else None
        self.error = str(kind or "error")
