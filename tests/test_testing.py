"""The double that users test with, asked by the real SDK, through a socket and without."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import pytest
from talk import body

from cacheplan.testing import FakeAnthropic

Ask = Callable[..., Any]


@pytest.fixture
def fake() -> Iterator[FakeAnthropic]:
    """Return a service that listens."""
    with FakeAnthropic() as fake:
        yield fake


@pytest.fixture(params=["socket", "transport"])
def client(request: pytest.FixtureRequest, fake: FakeAnthropic) -> Iterator[anthropic.Anthropic]:
    """Return a client of either way in."""
    if request.param == "socket":
        made = anthropic.Anthropic(base_url=fake.url, api_key="any")
    else:
        through = anthropic.DefaultHttpxClient(transport=fake.transport())
        made = anthropic.Anthropic(http_client=through, api_key="any")
    with made:
        yield made


def test_turn_two_reads_what_turn_one_wrote(
    fake: FakeAnthropic, client: anthropic.Anthropic
) -> None:
    """The second turn of a marked conversation reads the first whole, and writes the rest."""
    one = client.messages.create(**body("Hello"))
    assert one.usage.cache_read_input_tokens == 0
    assert one.usage.cache_creation_input_tokens
    two = client.messages.create(**body("Hello", one.content[0].text, "And now?"))
    assert two.usage.cache_read_input_tokens == one.usage.cache_creation_input_tokens
    assert two.usage.cache_creation_input_tokens
    assert [call.usage.read for call in fake.calls if call.usage] == [
        0,
        two.usage.cache_read_input_tokens,
    ]


def test_entries_die_when_the_clock_says_so(
    fake: FakeAnthropic, client: anthropic.Anthropic
) -> None:
    """An entry is read 298 seconds after its last use, and gone 300 seconds after it."""
    client.messages.create(**body("Hello"))
    fake.sleep(298)
    assert client.messages.create(**body("Hello")).usage.cache_read_input_tokens
    fake.sleep(299)
    assert client.messages.create(**body("Hello")).usage.cache_read_input_tokens == 0


def test_a_client_that_does_not_block(fake: FakeAnthropic) -> None:
    """An asynchronous client is answered the same, by either way in."""

    async def ask() -> list[int | None]:
        through = anthropic.DefaultAsyncHttpxClient(transport=fake.transport())
        socket = anthropic.AsyncAnthropic(base_url=fake.url, api_key="any")
        direct = anthropic.AsyncAnthropic(http_client=through, api_key="any")
        async with socket, direct:
            return [
                (await one.messages.create(**body("Hello"))).usage.cache_read_input_tokens
                for one in (socket, direct)
            ]

    first, second = asyncio.run(ask())
    assert (first, bool(second)) == (0, True)
