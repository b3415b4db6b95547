"""OpenTelemetry: spans of calls in OTLP JSON, by the GenAI conventions.

A collector's file exporter and the SDKs' file exporters write one ``{"resourceSpans": …}``
a line; it may also be one document, or a list. Which attributes mean what is said in
``genai``, and for OpenInference's spans, which may stand beside them, in ``openinference``.

* Usage is there by default, prompts only where somebody switched them on. Without one a
  call is read for its usage alone.
* Agents, chains and tools draw spans too, which repeat what the calls inside them say.
* Metrics and logs may stand in the same file. They are no calls: Claude Code's metrics
  (``claude_code.token.usage``) are sums, and its events (``claude_code.api_request``) have
  usage without prompts, which its transcripts have with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from cacheplan.io.documents import File, Head
from cacheplan.io.tally import Tally
from cacheplan.io.tracing import LISTS, exported

__all__ = ["LACKS", "NAME", "WHAT", "matches", "read"]

NAME: Final = "opentelemetry"
WHAT: Final = "OpenTelemetry's spans in OTLP JSON, by the GenAI conventions"
#: Of the GenAI conventions; OpenInference's spans may say where marks stood.
LACKS: Final = frozenset({"marks"})

#: Files of metrics or logs alone are read as well, to say that no calls are in there.
_OTHERS: Final = ("resourceMetrics", "resourceLogs")


def matches(head: Head) -> bool:
    """Tell OTLP JSON by the list that holds everything."""
    return any(name in head.paths for name in (*LISTS, *_OTHERS))


def read(file: File, tally: Tally) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the calls to Claude."""
    yield from exported(file, tally)
