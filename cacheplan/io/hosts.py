"""Where calls are answered: which platform stands behind an address.

This file knows names of hosts and opens nothing.
"""

from __future__ import annotations

from typing import Final

__all__ = ["host_and_path", "platform_at"]

#: Platforms by a part of the host they answer at (SDK 2.12.0, read 2026-11-21).
_HOSTS: Final = (
    ("bedrock-", "bedrock"),
    ("aws-external-anthropic", "aws"),
    ("googleapis.com", "google"),
    ("services.ai.azure.com", "foundry"),
)


def platform_at(host: str) -> str | None:
    """Return the platform that answers at a host; ``None`` for any other.

    >>> platform_at("europe-west1-aiplatform.googleapis.com")
    'google'
    """
    return next((name for part, name in _HOSTS if part in host), None)


def host_and_path(url: str) -> tuple[str, str]:
    """Part an address into its host and its path, whatever it is; the rest may hold keys.

    >>> host_and_path("https://me:secret@127.0.0.1:8000/v1/messages/?beta=true#top")
    ('127.0.0.1:8000', '/v1/messages')
    """
    plain = url.partition("?")[0].partition("#")[0]
    scheme, found, rest = plain.partition("://")
    host, _, path = (rest if found else scheme).partition("/")
    return host.rpartition("@")[2].lower(), "/" + path.rstrip("/")
