"""Which path means what, on every platform that the SDK has a client for.

Read from the clients of anthropic 2.12.0 (2026-11-21): each rewrites ``/v1/messages`` its
own way before it signs and sends. A path may have anything in front, so that a client can
be pointed at an address that ends in ``/foundry``, ``/aws`` and so on; that names the
platform.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple
from urllib.parse import unquote

__all__ = ["Operation", "Route", "route"]

Operation = Literal[
    "create",
    "count",
    "batch-create",
    "batch-list",
    "batch-retrieve",
    "batch-results",
    "batch-cancel",
    "batch-delete",
    "model-list",
    "model-retrieve",
    "usage-old",
    "cost-old",
    "usage-new",
    "cost-new",
]


class Route(NamedTuple):
    """What is asked for."""

    operation: Operation
    platform: str
    #: The model, where the path names it and the body does not; or the id of a thing.
    name: str = ""
    #: Whether the path itself says that the answer is streamed, or that it is not.
    streamed: bool | None = None


#: By the first step of the path: the platform that it stands for.
_STEPS: Final[Mapping[str, str]] = MappingProxyType(
    {name: name for name in ("aws", "bedrock", "google", "foundry")}
)

_PATHS: Final[tuple[tuple[str, str, Operation], ...]] = (
    ("POST", r"messages", "create"),
    ("POST", r"messages/count_tokens", "count"),
    ("POST", r"messages/batches", "batch-create"),
    ("GET", r"messages/batches", "batch-list"),
    ("GET", r"messages/batches/(?P<name>[^/]+)", "batch-retrieve"),
    ("GET", r"messages/batches/(?P<name>[^/]+)/results", "batch-results"),
    ("POST", r"messages/batches/(?P<name>[^/]+)/cancel", "batch-cancel"),
    ("DELETE", r"messages/batches/(?P<name>[^/]+)", "batch-delete"),
    ("GET", r"models", "model-list"),
    ("GET", r"models/(?P<name>[^/]+)", "model-retrieve"),
    ("GET", r"organizations/usage_report/messages", "usage-old"),
    ("GET", r"organizations/cost_report", "cost-old"),
    ("GET", r"organizations/analytics/usage", "usage-new"),
    ("GET", r"organizations/analytics/cost", "cost-new"),
)
_OWN: Final = tuple(
    (method, re.compile(f"(?P<before>.*)/v1/{path}"), operation)
    for method, path, operation in _PATHS
)

#: Bedrock's runtime and Google's older way: the model is part of the path.
_BEDROCK: Final = re.compile(r".*/model/(?P<name>[^/]+)/invoke(?P<stream>-with-response-stream)?")
_GOOGLE: Final = re.compile(
    r".*/publishers/anthropic/models/(?P<name>[^/]+):(?P<verb>rawPredict|streamRawPredict)"
)


def route(method: str, path: str, platform: str = "anthropic") -> Route | None:
    """Say what a path means; ``None`` where it means nothing.

    >>> route("POST", "/v1/messages")
    Route(operation='create', platform='anthropic', name='', streamed=None)
    >>> route("POST", "/foundry/v1/messages").platform
    'foundry'
    >>> route("POST", "/model/anthropic.claude-opus-5/invoke").name
    'anthropic.claude-opus-5'
    """
    if found := _BEDROCK.fullmatch(path):
        name, streamed = unquote(found["name"]), found["stream"] is not None
        return Route("create", "bedrock", name, streamed) if method == "POST" else None
    if found := _GOOGLE.fullmatch(path):
        name, streamed = unquote(found["name"]), found["verb"] == "streamRawPredict"
        if name == "count-tokens":
            return Route("count", "google")
        return Route("create", "google", name, streamed) if method == "POST" else None
    for wanted, pattern, operation in _OWN:
        found = pattern.fullmatch(path)
        if found and wanted == method:
            named = unquote(found.groupdict().get("name") or "")
            return Route(operation, _platform(found["before"], platform), named)
    return None


def _platform(before: str, platform: str) -> str:
    """Read the platform from what stands in front of a path."""
    steps = before.strip("/").split("/")
    if steps[-1] == "invoke" and "projects" in steps:
        return "google"  # Google's newer way: the whole API behind a project.
    return _STEPS.get(steps[0], platform)
