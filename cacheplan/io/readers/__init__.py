"""One module a format of log, all of one shape, listed by hand.

``NAME`` is what ``--from`` takes, ``WHAT`` says which files they are, ``LACKS`` what such
a file never says of its calls. ``matches(head)`` tells the format from how a file begins,
and ``read(file, tally)`` yields its calls as lines of a workload, each with the number of
the entry that it was.
"""

from __future__ import annotations

from types import ModuleType
from typing import Final

from cacheplan.io.readers import (
    batches,
    bedrock,
    bodies,
    claude_code,
    har,
    helicone,
    langfuse,
    langsmith,
    litellm,
    opentelemetry,
    phoenix,
)

__all__ = ["READERS"]

#: Every format, in the order in which they are asked; the first that matches reads.
READERS: Final[tuple[ModuleType, ...]] = (
    claude_code,
    har,
    bedrock,
    helicone,
    langsmith,
    langfuse,
    phoenix,
    litellm,
    opentelemetry,
    batches,
    bodies,
)
