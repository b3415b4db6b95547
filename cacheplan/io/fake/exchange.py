"""One request as it came in, one answer as it goes out, and how the API says no.

This file may know HTTP's words and the API's shape of an error; it knows no prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import msgspec

from cacheplan.usage import Usage

__all__ = ["KINDS", "Answer", "Asked", "Received", "Refusal", "answered", "encode"]

#: By status: the ``type`` of the API's error (Claude docs, errors, 2026-08-22, and the
#: SDK's error types, anthropic 2.12.0).
KINDS: Final[Mapping[int, str]] = MappingProxyType(
    {
        400: "invalid_request_error",
        401: "authentication_error",
        402: "billing_error",
        403: "permission_error",
        404: "not_found_error",
        409: "conflict_error",
        413: "request_too_large",
        429: "rate_limit_error",
        500: "api_error",
        504: "timeout_error",
        529: "overloaded_error",
    }
)

#: Headers that carry who asks. What was received is kept for a test to look at, and a
#: test is run by people with real keys in their environment.
_SECRET: Final = frozenset(
    {"api-key", "authorization", "cookie", "x-amz-security-token", "x-api-key"}
)


class Asked(NamedTuple):
    """One request."""

    method: str
    path: str
    query: Mapping[str, str]
    #: By name in small letters.
    headers: Mapping[str, str]
    content: bytes
    #: Scheme and host as the caller wrote them, for addresses in answers.
    origin: str = ""
    #: The query with every name that comes more than once.
    pairs: Sequence[tuple[str, str]] = ()

    @classmethod
    def of(
        cls, method: str, url: str, headers: Mapping[str, str], content: bytes, origin: str = ""
    ) -> Asked:
        """Take a request apart."""
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query)
        return cls(
            method=method.upper(),
            path=parts.path,
            query=dict(pairs),
            headers={name.lower(): value for name, value in headers.items()},
            content=content,
            origin=origin or f"{parts.scheme}://{parts.netloc}",
            pairs=pairs,
        )

    def shown(self) -> dict[str, str]:
        """Return the headers without what proves who asks."""
        return {
            name: "(kept out)" if name in _SECRET else value for name, value in self.headers.items()
        }


class Answer(NamedTuple):
    """One answer; a stream comes in several pieces."""

    status: int
    headers: Mapping[str, str]
    pieces: Sequence[bytes]
    #: True where the connection breaks after the last piece.
    broken: bool = False


class Refusal(NamedTuple):
    """Why a request is answered with an error."""

    status: int
    message: str
    #: The error's ``type``; left out, the one that goes with the status.
    kind: str = ""
    headers: Mapping[str, str] = MappingProxyType({})

    def body(self, ticket: str) -> dict[str, Any]:
        """Return the API's shape of an error."""
        kind = self.kind or KINDS.get(self.status, "api_error")
        error = {"type": kind, "message": self.message}
        return {"type": "error", "error": error, "request_id": ticket or None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as a test may want to look at it."""

    #: In the order of arrival, from 0.
    number: int
    #: On the imitation's clock.
    at: float
    method: str
    path: str
    #: Names in small letters; keys and tokens are kept out.
    headers: Mapping[str, str]
    #: Decoded; ``None`` where there was none, or none that is JSON.
    body: Any
    status: int
    #: What was answered, decoded; a stream is the message it adds up to.
    answer: Any = field(repr=False)
    #: True for a prompt, answered or not.
    prompt: bool = False
    #: What a prompt was charged; ``None`` for everything else, and where it was refused.
    usage: Usage | None = None
    platform: str = "anthropic"
    surface: str = "messages"
    workspace: str = "default"
    #: Seconds from the start of a call to the start of its answer.
    first_token_after: float = 1.0
    #: The prompt in full, where ``body`` is only the newest part of a thread.
    whole: Any = field(default=None, repr=False)

    def line(self) -> dict[str, Any]:
        """Return it as a line of a workload file."""
        used = {} if self.usage is None else {"output_tokens": self.usage.output}
        response = {key: self.answer[key] for key in _OF_RESPONSE if self.answer.get(key)}
        return {
            "at": self.at,
            "id": self.answer.get("id"),
            "platform": self.platform,
            "surface": self.surface,
            "workspace": self.workspace,
            "first_token_after": self.first_token_after,
            **used,
            "request": self.body if self.whole is None else self.whole,
            "response": response,
        }


#: What a workload's line tells of an answer.
_OF_RESPONSE: Final = ("id", "usage", "diagnostics")

_ENCODER: Final = msgspec.json.Encoder()


def encode(document: Any) -> bytes:
    """Write JSON."""
    return _ENCODER.encode(document)


def answered(status: int, document: Any, headers: Mapping[str, str]) -> Answer:
    """Answer with one JSON document."""
    return Answer(status, {"content-type": "application/json", **headers}, (encode(document),))
