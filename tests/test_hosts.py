"""Addresses: which platform answers, and what of them may be looked at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.io.hosts import host_and_path, platform_at


@pytest.mark.parametrize(
    ("host", "platform"),
    [
        ("api.anthropic.com", None),
        ("bedrock-runtime.eu-west-1.amazonaws.com", "bedrock"),
        ("bedrock-mantle.eu-west-1.api.aws", "bedrock"),
        ("aws-external-anthropic.eu-west-1.api.aws", "aws"),
        ("aiplatform.eu.rep.googleapis.com", "google"),
        ("lamp.services.ai.azure.com", "foundry"),
        ("127.0.0.1:8000", None),
    ],
)
def test_platforms(host: str, platform: str | None) -> None:
    """The SDK's own addresses each tell their platform, and no other does."""
    assert platform_at(host) == platform


@given(host=st.from_regex(r"[a-z]{1,9}(\.[a-z]{1,9}){0,2}(:[0-9]{1,5})?", fullmatch=True),
       path=st.from_regex(r"(/[a-z0-9:%_-]{1,9}){0,4}", fullmatch=True),
       scheme=st.sampled_from(["", "http://", "https://ada:secret@"]),
       rest=st.sampled_from(["", "/", "?key=secret", "/?a=/b", "#secret/"]))  # fmt: skip
def test_parts(host: str, path: str, scheme: str, rest: str) -> None:
    """Host and path are found in any address, and nothing beside them."""
    assert host_and_path(scheme + host + path + rest) == (host, path or "/")


@given(st.text())
def test_anything(url: str) -> None:
    """Whatever stands in the place of an address, it has two parts and no question."""
    host, path = host_and_path(url)
    assert path.startswith("/")
    assert "?" not in host + path
