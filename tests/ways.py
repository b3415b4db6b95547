"""Every way in which the Anthropic SDK sends a Messages body, each as a function.

A way takes a client and a body and returns what the caller would see, as plain JSON. The
same names are there for blocking clients and for those that wait; what a version of the
SDK does not have is left out of the table.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

import anthropic
import pydantic

from cacheplan.testing import FakeAnthropic

__all__ = ["ASYNC", "PLATFORMS", "SYNC", "Way", "client", "platform_client", "result"]

#: Newer tool runners leave the start of a conversation to the service, unless told not to.
_RUNNER = inspect.signature(anthropic.resources.beta.messages.Messages.tool_runner).parameters
WHOLE: dict[str, Any] = {"thread": False} if "thread" in _RUNNER else {}

Way = Callable[[Any, dict[str, Any]], Any]


class Weather(pydantic.BaseModel):
    """What a parsed answer looks like."""

    city: str


@anthropic.beta_tool
def look(city: str) -> str:
    """Look at the weather.

    Args:
        city: Where.
    """
    return f"rain in {city}"


@anthropic.beta_async_tool
async def look_later(city: str) -> str:
    """Look at the weather.

    Args:
        city: Where.
    """
    return f"rain in {city}"


def plain(found: Any) -> Any:
    """Turn what the SDK hands out into JSON."""
    if isinstance(found, list | tuple):
        return [plain(each) for each in found]
    if hasattr(found, "to_dict"):
        return json.loads(json.dumps(found.to_dict(mode="json", warnings=False)))
    return found


def batch(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a batch of two calls."""
    return [{"custom_id": name, "params": body} for name in ("a", "b")]


# Blocking.


def create(c: Any, body: dict[str, Any]) -> Any:
    """The plainest of all."""
    return plain(c.messages.create(**body))


def create_stream(c: Any, body: dict[str, Any]) -> Any:
    """A stream of raw events."""
    return [plain(event) for event in c.messages.create(**body, stream=True)]


def stream(c: Any, body: dict[str, Any]) -> Any:
    """The helper that adds a stream up."""
    with c.messages.stream(**body) as found:
        text = list(found.text_stream)
        return [text, plain(found.get_final_message())]


def parse(c: Any, body: dict[str, Any]) -> Any:
    """A structured answer."""
    found = c.messages.parse(**body, output_format=Weather)
    return [plain(found), found.parsed_output.model_dump()]


def raw(c: Any, body: dict[str, Any]) -> Any:
    """The response itself, read."""
    found = c.messages.with_raw_response.create(**body)
    return [plain(found.parse()), found.status_code, found.http_response.text]


def raw_stream(c: Any, body: dict[str, Any]) -> Any:
    """The response itself, read by whoever wants to, as bytes."""
    with c.messages.with_streaming_response.create(**body) as found:
        assert not found.http_response.is_stream_consumed, "nobody has read it yet"
        return b"".join(found.iter_bytes()).decode()


def raw_stream_of_events(c: Any, body: dict[str, Any]) -> Any:
    """The lines of a stream, as they come."""
    with c.messages.with_streaming_response.create(**body, stream=True) as found:
        assert not found.http_response.is_stream_consumed, "nobody has read it yet"
        return list(found.iter_lines())


def raw_client(c: Any, body: dict[str, Any]) -> Any:
    """A client that always returns responses."""
    return plain(c.with_raw_response.messages.create(**body).parse())


def beta_create(c: Any, body: dict[str, Any]) -> Any:
    """The twin for what is not settled yet."""
    return plain(c.beta.messages.create(**body))


def beta_stream(c: Any, body: dict[str, Any]) -> Any:
    """Its stream."""
    with c.beta.messages.stream(**body) as found:
        return plain(found.get_final_message())


def tool_runner(c: Any, body: dict[str, Any]) -> Any:
    """A loop that calls tools by itself: two calls."""
    runner = c.beta.messages.tool_runner(**{**body, "tools": [look]}, **WHOLE)
    return plain(list(runner))


def tool_runner_thread(c: Any, body: dict[str, Any]) -> Any:
    """The same with the conversation held by the service: the second call has no start."""
    return plain(list(c.beta.messages.tool_runner(**{**body, "tools": [look]})))


def tool_runner_stream(c: Any, body: dict[str, Any]) -> Any:
    """The same, streaming."""
    runner = c.beta.messages.tool_runner(**{**body, "tools": [look]}, stream=True, **WHOLE)
    return [plain(each.get_final_message()) for each in runner]


def batches(c: Any, body: dict[str, Any]) -> Any:
    """A batch and its results."""
    made = c.messages.batches.create(requests=batch(body))
    return [plain(each) for each in c.messages.batches.results(made.id)]


def beta_batches(c: Any, body: dict[str, Any]) -> Any:
    """The same, by the twin."""
    made = c.beta.messages.batches.create(requests=batch(body))
    return [plain(each) for each in c.beta.messages.batches.results(made.id)]


def with_options(c: Any, body: dict[str, Any]) -> Any:
    """A client derived from another."""
    return plain(c.with_options(timeout=9).messages.create(**body))


def post(c: Any, body: dict[str, Any]) -> Any:
    """The way around every helper."""
    return c.post("/v1/messages", body=body, cast_to=object)


def extra_body(c: Any, body: dict[str, Any]) -> Any:
    """Members that the SDK does not know."""
    rest = {key: part for key, part in body.items() if key != "system"}
    return plain(c.messages.create(**rest, extra_body={"system": body["system"]}))


# Those who wait.


async def a_create(c: Any, body: dict[str, Any]) -> Any:
    """See ``create``."""
    return plain(await c.messages.create(**body))


async def a_create_stream(c: Any, body: dict[str, Any]) -> Any:
    """See ``create_stream``."""
    return [plain(event) async for event in await c.messages.create(**body, stream=True)]


async def a_stream(c: Any, body: dict[str, Any]) -> Any:
    """See ``stream``."""
    async with c.messages.stream(**body) as found:
        text = [each async for each in found.text_stream]
        return [text, plain(await found.get_final_message())]


async def a_parse(c: Any, body: dict[str, Any]) -> Any:
    """See ``parse``."""
    found = await c.messages.parse(**body, output_format=Weather)
    return [plain(found), found.parsed_output.model_dump()]


async def a_raw(c: Any, body: dict[str, Any]) -> Any:
    """See ``raw``."""
    found = await c.messages.with_raw_response.create(**body)
    parsed = found.parse()
    parsed = await parsed if inspect.isawaitable(parsed) else parsed
    return [plain(parsed), found.status_code, found.http_response.text]


async def a_raw_stream(c: Any, body: dict[str, Any]) -> Any:
    """See ``raw_stream``."""
    async with c.messages.with_streaming_response.create(**body) as found:
        assert not found.http_response.is_stream_consumed, "nobody has read it yet"
        return b"".join([each async for each in found.iter_bytes()]).decode()


async def a_raw_stream_of_events(c: Any, body: dict[str, Any]) -> Any:
    """See ``raw_stream_of_events``."""
    async with c.messages.with_streaming_response.create(**body, stream=True) as found:
        assert not found.http_response.is_stream_consumed, "nobody has read it yet"
        return [each async for each in found.iter_lines()]


async def a_beta_create(c: Any, body: dict[str, Any]) -> Any:
    """See ``beta_create``."""
    return plain(await c.beta.messages.create(**body))


async def a_beta_stream(c: Any, body: dict[str, Any]) -> Any:
    """See ``beta_stream``."""
    async with c.beta.messages.stream(**body) as found:
        return plain(await found.get_final_message())


async def a_tool_runner(c: Any, body: dict[str, Any]) -> Any:
    """See ``tool_runner``."""
    runner = c.beta.messages.tool_runner(**{**body, "tools": [look_later]}, **WHOLE)
    return [plain(each) async for each in runner]


async def a_batches(c: Any, body: dict[str, Any]) -> Any:
    """See ``batches``."""
    made = await c.messages.batches.create(requests=batch(body))
    return [plain(each) async for each in await c.messages.batches.results(made.id)]


async def a_with_options(c: Any, body: dict[str, Any]) -> Any:
    """See ``with_options``."""
    return plain(await c.with_options(timeout=9).messages.create(**body))


async def a_post(c: Any, body: dict[str, Any]) -> Any:
    """See ``post``."""
    return await c.post("/v1/messages", body=body, cast_to=object)


SYNC: Mapping[str, Way] = {
    way.__name__: way
    for way in (
        create, create_stream, stream, parse, raw, raw_stream, raw_stream_of_events, raw_client,
        beta_create, beta_stream, tool_runner, tool_runner_stream, batches, beta_batches,
        with_options, post, extra_body, *([tool_runner_thread] if WHOLE else []),
    )
}  # fmt: skip
ASYNC: Mapping[str, Way] = {
    way.__name__: way
    for way in (
        a_create, a_create_stream, a_stream, a_parse, a_raw, a_raw_stream,
        a_raw_stream_of_events, a_beta_create, a_beta_stream, a_tool_runner, a_batches,
        a_with_options, a_post,
    )
}  # fmt: skip

#: By platform: the client, and what it needs to be made; only those this SDK has.
_ALL: Mapping[str, tuple[str, dict[str, Any], str]] = {
    "bedrock": (
        "AnthropicBedrock",
        {"aws_access_key": "a", "aws_secret_key": "b", "aws_region": "us-east-1"},
        "anthropic.claude-sonnet-5",
    ),
    "bedrock-mantle": (
        "AnthropicBedrockMantle",
        {"api_key": "any", "aws_region": "us-east-1"},
        "anthropic.claude-sonnet-5",
    ),
    "vertex": (
        "AnthropicVertex",
        {"access_token": "any", "region": "global", "project_id": "p"},
        "claude-sonnet-5",
    ),
    "foundry": ("AnthropicFoundry", {"api_key": "any", "resource": "r"}, "claude-sonnet-5"),
    "aws": (
        "AnthropicAWS",
        {"api_key": "any", "aws_region": "us-east-1", "workspace_id": "w"},
        "claude-sonnet-5",
    ),
    "google": (
        "AnthropicGoogleCloud",
        {"project": "p", "workspace_id": "w", "skip_auth": True},
        "claude-sonnet-5",
    ),
}
PLATFORMS = {name: row for name, row in _ALL.items() if hasattr(anthropic, row[0])}


def http(*, waits: bool, fake: FakeAnthropic) -> Any:
    """Return an HTTP client of the generation that this SDK uses, without a socket."""
    generation = anthropic.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]
    library = importlib.import_module(generation)
    made = library.AsyncClient if waits else library.Client
    return made(transport=fake.transport())


def client(fake: FakeAnthropic, *, waits: bool = False, **options: Any) -> Any:
    """Return a client that talks to the imitation."""
    made = anthropic.AsyncAnthropic if waits else anthropic.Anthropic
    options = {"max_retries": 0, **options}
    return made(api_key="any", http_client=http(waits=waits, fake=fake), **options)


def platform_client(name: str, fake: FakeAnthropic, *, waits: bool = False, **options: Any) -> Any:
    """Return a platform's client that talks to the imitation."""
    kind, needs, _ = PLATFORMS[name]
    made = getattr(anthropic, f"Async{kind}" if waits else kind)
    return made(http_client=http(waits=waits, fake=fake), max_retries=0, **needs, **options)


def result(way: Way, c: Any, body: dict[str, Any]) -> Any:
    """Go a way to its end."""
    found = way(c, body)
    return asyncio.run(found) if inspect.iscoroutine(found) else found
