"""Paths of every platform, by the clients that the SDK has for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from talk import FIVE, INSTRUCTIONS, MODEL, body

from cacheplan.io.fake.routes import route
from cacheplan.testing import FakeAnthropic

MARKED = [{"type": "text", "text": INSTRUCTIONS, "cache_control": FIVE}]


@pytest.fixture
def fake() -> Iterator[FakeAnthropic]:
    """Return a service that listens."""
    with FakeAnthropic() as fake:
        yield fake


def bedrock(fake: FakeAnthropic) -> Any:
    """Return a client of Bedrock's runtime."""
    return anthropic.AnthropicBedrock(api_key="any", aws_region="us-east-1", base_url=fake.url)


def vertex(fake: FakeAnthropic) -> Any:
    """Return a client of Google's older way."""
    url = f"{fake.url}/v1"
    return anthropic.AnthropicVertex(
        access_token="any",  # noqa: S106 -- opens nothing
        project_id="p",
        region="global",
        base_url=url,
    )


def foundry(fake: FakeAnthropic) -> Any:
    """Return a client of Foundry."""
    return anthropic.AnthropicFoundry(api_key="any", base_url=f"{fake.url}/foundry")


def aws(fake: FakeAnthropic) -> Any:
    """Return a client of Claude Platform on AWS."""
    return anthropic.AnthropicAWS(
        api_key="any", aws_region="us-east-1", workspace_id="w", base_url=f"{fake.url}/aws"
    )


def google(fake: FakeAnthropic) -> Any:
    """Return a client of Google's newer way."""
    if not hasattr(anthropic, "AnthropicGoogleCloud"):
        pytest.skip("this SDK has no such client")
    url = f"{fake.url}/v1alpha/projects/p/locations/global/invoke"
    return anthropic.AnthropicGoogleCloud(skip_auth=True, base_url=url, workspace_id="w")


CLIENTS = {"bedrock": bedrock, "google": vertex, "foundry": foundry, "aws": aws}


@pytest.mark.parametrize(
    ("platform", "made"),
    [*CLIENTS.items(), ("google", google)],
    ids=["bedrock", "vertex", "foundry", "aws", "google"],
)
def test_every_client_is_answered(fake: FakeAnthropic, platform: str, made: Any) -> None:
    """Each platform's client reads what it wrote, and its calls are booked on the platform."""
    model = f"anthropic.{MODEL}" if platform == "bedrock" else MODEL
    with made(fake) as client:
        asked = body("Hello", model=model, system=MARKED, cache_control=None)
        reads = [
            client.messages.create(**asked).usage.cache_read_input_tokens,
            client.beta.messages.create(**asked).usage.cache_read_input_tokens,
        ]
    assert reads[0] == 0
    assert reads[1] > 3000
    assert {call.platform for call in fake.calls} == {platform}
    assert [one["model"] for one in fake.bodies] == [model] * 2
    assert {line["platform"] for line in fake.lines()} == {platform}


@pytest.mark.parametrize("made", [vertex, foundry, aws, google])
def test_every_client_streams(fake: FakeAnthropic, made: Any) -> None:
    """A stream adds up on each platform that sends server-sent events."""
    with made(fake) as client, client.messages.stream(**body("Hello")) as stream:
        assert stream.get_final_message().usage.cache_creation_input_tokens > 3000


def test_bedrock_refuses_in_its_own_shape(fake: FakeAnthropic) -> None:
    """Bedrock's errors carry the API's words, and its own name for the kind of error."""
    four = [{"type": "text", "text": "x", "cache_control": FIVE}] * 5
    with bedrock(fake) as client:
        asked = body("Hello", model=f"anthropic.{MODEL}", system=four, cache_control=None)
        with pytest.raises(anthropic.BadRequestError, match="maximum of 4 blocks") as refused:
            client.messages.create(**asked)
    assert refused.value.body == {
        "message": "A maximum of 4 blocks with cache_control may be provided. Found 5."
    }
    assert refused.value.response.headers["x-amzn-errortype"] == "ValidationException"


def test_bedrock_counts_in_headers(fake: FakeAnthropic) -> None:
    """Bedrock says the usage in its headers as well."""
    with bedrock(fake) as client:
        asked = body("Hello", model=f"anthropic.{MODEL}", system=MARKED, cache_control=None)
        raw = client.messages.with_raw_response.create(**asked)
    written = raw.parse().usage.cache_creation_input_tokens
    assert raw.headers["x-amzn-bedrock-cache-write-input-token-count"] == str(written)


def test_older_bedrock_takes_no_automatic_mark(fake: FakeAnthropic) -> None:
    """What a platform's older integration does not know is refused there alone."""
    with bedrock(fake) as client:
        asked = body("Hello", model="anthropic.claude-opus-4-6-v1:0")
        with pytest.raises(anthropic.BadRequestError, match="Extra inputs are not permitted"):
            client.messages.create(**asked)


def test_platforms_without_batches(fake: FakeAnthropic) -> None:
    """Where a platform has no batches there is no such path."""
    one = {"custom_id": "a", "params": body("Hello")}
    with (
        anthropic.Anthropic(base_url=f"{fake.url}/google", api_key="any") as client,
        pytest.raises(anthropic.NotFoundError),
    ):
        client.messages.batches.create(requests=[one])  # type: ignore[list-item]


def test_vertex_counts_tokens(fake: FakeAnthropic) -> None:
    """Google's older way to count is understood."""
    with vertex(fake) as client:
        asked = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
        assert client.messages.count_tokens(**asked).input_tokens > 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/messages"),
        ("POST", "/v1/messages/"),
        ("POST", "/v1/models"),
        ("GET", "/model/x/invoke"),
        ("POST", "/v1/complete"),
        ("DELETE", "/v1/messages/batches"),
    ],
)
def test_nothing_else_is_a_path(method: str, path: str) -> None:
    """What is no path of the API means nothing."""
    assert route(method, path) is None


def test_bedrock_streams_in_frames(fake: FakeAnthropic) -> None:
    """Amazon's own decoder reads the frames of a stream, checksums and all."""
    pytest.importorskip("botocore")
    with bedrock(fake) as client:
        asked = body("Hello", model=f"anthropic.{MODEL}")
        with client.messages.stream(**asked) as stream:
            assert stream.get_final_message().usage.cache_creation_input_tokens > 3000
