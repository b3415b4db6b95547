"""Limits by the minute, and what caching does to them."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import pytest
from talk import body

from cacheplan.testing import FakeAnthropic


@pytest.fixture
def fake() -> FakeAnthropic:
    """Return a service."""
    return FakeAnthropic(workspaces={"other": "other"}, first_token_after=0.0)


@pytest.fixture
def client(fake: FakeAnthropic) -> Iterator[anthropic.Anthropic]:
    """Return a client that does not try again."""
    through = anthropic.DefaultHttpxClient(transport=fake.transport())
    with anthropic.Anthropic(http_client=through, api_key="any", max_retries=0) as client:
        yield client


def test_requests_by_the_minute(fake: FakeAnthropic, client: anthropic.Anthropic) -> None:
    """After as many requests as a minute allows the next is refused, until time has passed."""
    fake.limit(requests=2)
    for _ in range(2):
        client.messages.create(**body("Hello"))
    with pytest.raises(anthropic.RateLimitError, match="2 requests per minute") as refused:
        client.messages.create(**body("Hello"))
    headers = refused.value.response.headers
    assert headers["retry-after"] == "30"
    assert headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert headers["anthropic-ratelimit-requests-reset"] == "2026-11-02T09:01:00Z"
    fake.sleep(30)
    client.messages.create(**body("Hello"))


def test_what_is_read_does_not_count(fake: FakeAnthropic, client: anthropic.Anthropic) -> None:
    """Under a limit of tokens, marked calls go on where unmarked ones are refused."""
    asked = {key: part for key, part in body("Hello").items() if key != "max_tokens"}
    fake.limit(input_tokens=3 * client.messages.count_tokens(**asked).input_tokens)
    for _ in range(20):
        client.messages.create(**body("Hello"))
    fake.sleep(60)
    unmarked = body("Hello", cache_control=None)
    for _ in range(3):
        client.messages.create(**unmarked)
    with pytest.raises(anthropic.RateLimitError, match="input tokens per minute"):
        client.messages.create(**unmarked)


def test_a_workspace_spends_its_own(fake: FakeAnthropic, client: anthropic.Anthropic) -> None:
    """One workspace's calls leave another's limit alone; no limit is no header."""
    raw = client.messages.with_raw_response.create(**body("Hello"))
    assert "anthropic-ratelimit-requests-limit" not in raw.headers
    fake.limit(requests=1)
    client.messages.create(**body("Hello"))
    client.with_options(api_key="other").messages.create(**body("Hello"))
    with pytest.raises(anthropic.RateLimitError):
        client.messages.create(**body("Hello"))
    fake.limit()
    client.messages.create(**body("Hello"))
