"""The double that users test with, asked by the real SDK, through a socket and without."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anthropic
import pytest
from talk import FIVE, HOUR, INSTRUCTIONS, MODEL, body

import cacheplan
from cacheplan.testing import FakeAnthropic


@pytest.fixture
def fake() -> Iterator[FakeAnthropic]:
    """Return a service that listens."""
    with FakeAnthropic() as fake:
        yield fake


Connect = Callable[..., Any]


@pytest.fixture(params=["socket", "transport"])
def connect(request: pytest.FixtureRequest, fake: FakeAnthropic) -> Iterator[Connect]:
    """Return what makes clients of one way in."""
    made: list[Any] = []

    def connect(kind: Any = anthropic.Anthropic, **more: Any) -> Any:
        if request.param == "socket":
            more = {"base_url": fake.url, **more}
        else:
            through = anthropic.DefaultHttpxClient(transport=fake.transport())
            more = {"http_client": through, **more}
        made.append(kind(**{"api_key": "any", **more}))
        return made[-1]

    yield connect
    for client in made:
        client.close()


@pytest.fixture
def client(connect: Connect) -> anthropic.Anthropic:
    """Return a client of either way in."""
    return connect()  # type: ignore[no-any-return]


def read(message: Any) -> int:
    """Return how many tokens a message read from the cache."""
    return int(message.usage.cache_read_input_tokens)


def wrote(message: Any) -> int:
    """Return how many tokens a message wrote into the cache."""
    return int(message.usage.cache_creation_input_tokens)


def test_turn_two_reads_what_turn_one_wrote(
    fake: FakeAnthropic, client: anthropic.Anthropic
) -> None:
    """The second turn of a marked conversation reads the first whole, and writes the rest."""
    one = client.messages.create(**body("Hello"))
    assert read(one) == 0
    assert wrote(one) > 3000
    two = client.messages.create(**body("Hello", one.content[0].text, "And now?"))
    assert read(two) == wrote(one)
    assert 0 < wrote(two) < 50
    assert [call.usage.read for call in fake.calls if call.usage] == [0, wrote(one)]


def test_entries_die_when_the_clock_says_so(
    fake: FakeAnthropic, client: anthropic.Anthropic
) -> None:
    """An entry is read just before its five minutes are over and gone when they are."""
    client.messages.create(**body("Hello"))
    fake.sleep(298)
    assert read(client.messages.create(**body("Hello")))
    fake.sleep(299)
    assert read(client.messages.create(**body("Hello"))) == 0


def test_an_hour_is_told_apart(fake: FakeAnthropic, client: anthropic.Anthropic) -> None:
    """A write for an hour is counted as one, and read 55 minutes later."""
    one = client.messages.create(**body("Hello", cache_control=HOUR))
    assert one.usage.cache_creation
    assert one.usage.cache_creation.ephemeral_1h_input_tokens == wrote(one)
    fake.sleep(3300)
    assert read(client.messages.create(**body("Hello"))) == wrote(one)


def test_workspaces_share_nothing() -> None:
    """What one workspace wrote another does not read, whatever number of keys each has."""
    with FakeAnthropic(workspaces={"key-a": "a", "key-b": "b", "key-c": "a"}) as fake:
        reads = []
        for key in ("key-a", "key-b", "key-c"):
            with anthropic.Anthropic(base_url=fake.url, api_key=key) as client:
                reads.append(read(client.messages.create(**body("Hello"))))
        assert [bool(found) for found in reads] == [False, False, True]
        assert [call.workspace for call in fake.calls] == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"messages": []}, "messages: at least one message is required"),
        ({"extra_body": {"max_tokens": None}}, "max_tokens: Field required"),
        ({"extra_body": {"max_tokens": 200_000}}, "max_tokens: 200000 > 128000, which is the"),
        ({"extra_body": {"cache": True}}, "cache: Extra inputs are not permitted"),
        (
            {"system": [{"type": "text", "text": "x", "cache_control": FIVE}] * 4},
            "A maximum of 4 blocks with cache_control may be provided. Found 5.",
        ),
        (
            {
                "cache_control": HOUR,
                "system": [{"type": "text", "text": "x", "cache_control": FIVE}],
            },
            "cache_control: a ttl='1h' cache_control block must not come after a ttl='5m'",
        ),
        (
            {"cache_control": {"type": "ephemeral", "ttl": "2h"}},
            "cache_control.ephemeral.ttl: Input should be '5m' or '1h'",
        ),
    ],
)
def test_a_wrong_body_is_refused_in_the_words_of_the_api(
    client: anthropic.Anthropic, fake: FakeAnthropic, wrong: dict[str, Any], words: str
) -> None:
    """A body that the API refuses is a ``BadRequestError`` with the API's sentence."""
    with pytest.raises(anthropic.BadRequestError) as refused:
        client.messages.create(**body("Hello", **wrong))
    error = refused.value.body
    assert isinstance(error, dict)
    assert error["error"]["type"] == "invalid_request_error"
    assert words in error["error"]["message"]
    assert [call.usage for call in fake.calls] == [None]


@pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")
def test_models_that_are_not_there(client: anthropic.Anthropic) -> None:
    """An unknown model is not found, and neither is one that was retired."""
    for model in ("claude-opus-9", "claude-opus-4-20250514"):
        with pytest.raises(anthropic.NotFoundError, match=f"model: {model}"):
            client.messages.create(**body("Hello", model=model))


def test_a_model_of_ones_own() -> None:
    """A model that only the caller states a minimum of is served."""
    assume = cacheplan.Assumptions.parse(["minimum.our-model=100"])
    with (
        FakeAnthropic(assume=assume) as fake,
        anthropic.Anthropic(base_url=fake.url, api_key="any") as client,
    ):
        assert wrote(client.messages.create(**body("Hello", model="our-model")))


def test_nobody_in_particular_is_refused(fake: FakeAnthropic) -> None:
    """A request without a key is refused as the API does."""
    with anthropic.DefaultHttpxClient(transport=fake.transport()) as bare:
        answer = bare.post("https://any/v1/messages", json=body("Hello"))
        assert answer.status_code == 401
        assert answer.json()["error"]["type"] == "authentication_error"
        assert bare.get("https://any/v1/nothing", headers={"x-api-key": "k"}).json() == {
            "type": "error",
            "error": {"type": "not_found_error", "message": "Not Found"},
            "request_id": "req_000000000000000000000001",
        }


def test_a_stream_adds_up_to_the_message(client: anthropic.Anthropic, fake: FakeAnthropic) -> None:
    """A streamed answer has the content and the usage that it has in one piece."""
    fake.say([{"type": "text", "text": "Let me look. " * 9}, _LOOK_UP], times=None)
    client.messages.create(**body("Hello"))
    whole = client.messages.create(**body("Hello"))
    with client.messages.stream(**body("Hello")) as stream:
        kinds = [event.type for event in stream]
        streamed = stream.get_final_message()
    assert kinds.count("content_block_start") == 2
    assert streamed.usage.to_dict() == whole.usage.to_dict()
    told = [one.to_dict(exclude_none=True) | {"id": 0} for one in (streamed, whole)]
    assert told[0] == told[1]
    beta = client.beta.messages.create(**body("Hello"))
    assert beta.usage.cache_read_input_tokens == read(whole)


MARKED = [{"type": "text", "text": INSTRUCTIONS, "cache_control": FIVE}]
_LOOK_UP = {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {"q": "Where is it?"}}


def test_a_raw_stream_sends_what_the_api_sends(client: anthropic.Anthropic) -> None:
    """The first event has the split by lifetime, the last but one only the sums."""
    events = list(client.messages.create(**body("Hello"), stream=True))
    first, last = events[0], events[-2]
    assert first.type == "message_start"
    assert first.message.usage.cache_creation
    assert first.message.usage.cache_creation.ephemeral_5m_input_tokens
    assert last.type == "message_delta"
    sums = last.usage.to_dict()
    assert "cache_creation" not in sums
    assert sums["cache_creation_input_tokens"] == first.message.usage.cache_creation_input_tokens
    assert events[-1].type == "message_stop"


def test_answers_are_what_was_asked_for(client: anthropic.Anthropic, fake: FakeAnthropic) -> None:
    """Scripted answers come in their order, functions see the body, and then it echoes."""
    fake.say("Seven.")
    fake.say(lambda asked: f"{len(asked['messages'])} so far", stop_reason="stop_sequence")
    fake.say(_LOOK_UP)
    done = [client.messages.create(**body("How many?")) for _ in range(4)]
    texts = [getattr(one.content[0], "text", "") for one in done]
    assert texts == ["Seven.", "1 so far", "", "You said: How many?"]
    stops = [one.stop_reason for one in done]
    assert stops == ["end_turn", "stop_sequence", "tool_use", "end_turn"]


def test_a_function_that_fails_is_told(client: anthropic.Anthropic, fake: FakeAnthropic) -> None:
    """What a test's own function raises reaches the test, and is not retried."""
    fake.say(lambda asked: asked["nothing"])
    with pytest.raises(anthropic.InternalServerError, match="KeyError"):
        client.messages.create(**body("Hello"))
    assert len(fake.calls) == 1


def test_short_answers_are_cut(client: anthropic.Anthropic, fake: FakeAnthropic) -> None:
    """No answer is longer than ``max_tokens``, and a pre-warming call has none."""
    fake.say("word " * 500)
    cut = client.messages.create(**body("Hello", max_tokens=10))
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 10)
    warm = client.messages.create(**body("Hello", max_tokens=0))
    assert (warm.content, warm.stop_reason, warm.usage.output_tokens) == ([], "max_tokens", 0)
    assert read(warm)


def test_forced_tools_and_formats_are_obeyed(client: anthropic.Anthropic) -> None:
    """A forced tool is called, and a JSON format filled, with the least that is allowed."""
    schema = {
        "type": "object",
        "properties": {"city": {"$ref": "#/$defs/city"}, "days": {"type": "array"}},
        "required": ["city", "days"],
        "$defs": {"city": {"enum": ["Bonn", "Rome"]}},
    }
    tools = [{"name": "look_up", "input_schema": schema}]
    choice = {"type": "tool", "name": "look_up"}
    asked = body("Hello", model="claude-sonnet-5", tools=tools, tool_choice=choice)
    called = client.messages.create(**asked).content[0]
    assert called.type == "tool_use"
    assert called.input == {"city": "Bonn", "days": []}
    wanted = {"format": {"type": "json_schema", "schema": schema}}
    told = client.messages.create(**body("Hello", output_config=wanted)).content[0]
    assert told.type == "text"
    assert json.loads(told.text) == {"city": "Bonn", "days": []}


def test_a_tool_runner_runs_its_tools(client: anthropic.Anthropic, fake: FakeAnthropic) -> None:
    """The SDK's own loop calls the tool, sends its result, and reads the turn before."""

    @anthropic.beta_tool
    def look_up(q: str) -> str:
        """Look something up.

        Args:
            q: What to look for.
        """
        return f"{q} is on the shelf"

    fake.say(_LOOK_UP)
    runner = client.beta.messages.tool_runner(**body("Hello"), tools=[look_up])
    last = runner.until_done()
    assert read(last)
    assert fake.bodies[1]["messages"][-1]["content"][0]["type"] == "tool_result"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, anthropic.AuthenticationError),
        (413, anthropic.APIStatusError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.APIStatusError),
    ],
)
def test_failures_on_demand(
    connect: Connect, fake: FakeAnthropic, status: int, kind: type[anthropic.APIStatusError]
) -> None:
    """A demanded status arrives as the SDK's error for it, once, and nothing is written."""
    client = connect(max_retries=0)
    fake.fail(status)
    with pytest.raises(kind) as failed:
        client.messages.create(**body("Hello"))
    assert failed.value.status_code == status
    assert read(client.messages.create(**body("Hello"))) == 0
    assert [call.status for call in fake.calls] == [status, 200]


def test_a_400_that_names_marks(client: anthropic.Anthropic, fake: FakeAnthropic) -> None:
    """The demanded 400 is about marks, unless it is given other words."""
    fake.fail(400)
    fake.fail(400, message="messages: not today", kind="billing_error")
    with pytest.raises(anthropic.BadRequestError, match="cache_control"):
        client.messages.create(**body("Hello"))
    with pytest.raises(anthropic.BadRequestError, match="not today") as refused:
        client.messages.create(**body("Hello"))
    assert isinstance(refused.value.body, dict)
    assert refused.value.body["error"]["type"] == "billing_error"


def test_the_sdk_retries(client: anthropic.Anthropic, fake: FakeAnthropic) -> None:
    """The SDK's retries see the failures first, and each attempt is kept."""
    fake.fail(529)
    fake.fail(429)
    message = client.messages.create(**body("Hello"))
    assert message.content
    assert [call.status for call in fake.calls] == [529, 429, 200]
    assert fake.bodies[0] == fake.bodies[2]


def test_failures_for_one_path(client: anthropic.Anthropic, fake: FakeAnthropic) -> None:
    """A failure meant for one path leaves the others alone."""
    fake.fail(400, path="/v1/messages/count_tokens")
    client.messages.create(**body("Hello"))
    with pytest.raises(anthropic.BadRequestError):
        client.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": "Hi"}])


def test_a_connection_breaks_in_a_stream(client: anthropic.Anthropic, fake: FakeAnthropic) -> None:
    """A stream breaks off after so many events; what its prompt wrote is there."""
    fake.reset(after=4)
    seen = []
    with pytest.raises(Exception, match="reset"), client.messages.stream(**body("Hello")) as stream:
        seen += [event.type for event in stream]
    assert client.messages.create(**body("Hello")).usage.cache_read_input_tokens


def test_a_connection_breaks_before_the_answer(connect: Connect, fake: FakeAnthropic) -> None:
    """A connection that breaks at once is the SDK's connection error."""
    fake.reset()
    with pytest.raises(anthropic.APIConnectionError):
        connect(max_retries=0).messages.create(**body("Hello"))


def test_counting_neither_reads_nor_writes(
    client: anthropic.Anthropic, fake: FakeAnthropic
) -> None:
    """Counted tokens are those of the whole prompt, and the cache knows nothing of it."""
    whole = body("Hello")
    asked = {key: part for key, part in whole.items() if key != "max_tokens"}
    counted = client.messages.count_tokens(**asked).input_tokens
    one = client.messages.create(**whole)
    assert read(one) == 0
    assert counted == wrote(one) + one.usage.input_tokens
    assert len(fake.calls) == 1
    assert len(fake.received) == 2


def test_models_are_listed(client: anthropic.Anthropic) -> None:
    """The models of the table can be listed, without those that were retired by now."""
    names = [model.id for model in client.models.list()]
    assert MODEL in names
    assert "claude-opus-4-1" not in names
    assert client.models.retrieve(MODEL).id == MODEL


def test_diagnostics_name_what_changed(client: anthropic.Anthropic) -> None:
    """A miss is explained in the API's words, and a hit by nothing."""

    def ask(previous: Any, **more: Any) -> Any:
        asked = {"extra_body": {"diagnostics": {"previous_message_id": previous}}, **more}
        return client.messages.create(**body("Hello", **asked)).to_dict()

    one = ask(None)
    assert one["diagnostics"] is None
    assert ask(one["id"])["diagnostics"] is None
    lost = one["usage"]["cache_creation_input_tokens"]
    changes: dict[str, dict[str, Any]] = {
        "system_changed": {"system": "New. " + INSTRUCTIONS},
        "tools_changed": {"tools": [{"name": "t", "input_schema": {"type": "object"}}]},
        "model_changed": {"model": "claude-opus-5"},
    }
    for reason, change in changes.items():
        found = ask(one["id"], **change)["diagnostics"]["cache_miss_reason"]
        assert found == {"type": reason, "cache_missed_input_tokens": lost}
    unknown = ask("msg_of_somebody_else")["diagnostics"]["cache_miss_reason"]
    assert unknown == {"type": "previous_message_not_found"}


def test_calls_at_once_read_nothing_of_each_other(
    client: anthropic.Anthropic, fake: FakeAnthropic
) -> None:
    """Calls of one moment each write; the next one reads."""
    with fake.at_once():
        assert [read(client.messages.create(**body("Hello"))) for _ in range(3)] == [0, 0, 0]
    assert read(client.messages.create(**body("Hello")))


@pytest.mark.long
def test_a_thousand_threads(fake: FakeAnthropic) -> None:
    """A thousand threads are each answered, over as many connections."""
    with (
        anthropic.Anthropic(base_url=fake.url, api_key="any", timeout=120) as client,
        ThreadPoolExecutor(1000) as pool,
    ):
        asked = [body(f"Question {at}", system="Be brief.") for at in range(1000)]
        done = list(pool.map(lambda one: client.messages.create(**one), asked))
    assert [one.content[0].text for one in done] == [  # type: ignore[union-attr]
        f"You said: Question {at}" for at in range(1000)
    ]
    assert len({one.id for one in done}) == len(fake.calls) == 1000


def test_a_client_that_does_not_block(fake: FakeAnthropic) -> None:
    """An asynchronous client is answered the same, by either way in, streams included."""

    async def ask(client: anthropic.AsyncAnthropic) -> list[Any]:
        async with client:
            one = await client.messages.create(**body("Hello"))
            async with client.messages.stream(**body("Hello")) as stream:
                return [one, await stream.get_final_message()]

    through = anthropic.DefaultAsyncHttpxClient(transport=fake.transport())
    for client in (
        anthropic.AsyncAnthropic(base_url=fake.url, api_key="any"),
        anthropic.AsyncAnthropic(http_client=through, api_key="any"),
    ):
        fake.sleep(1000)
        one, streamed = asyncio.run(ask(client))
        assert read(one) == 0
        assert read(streamed) == wrote(one)


def test_many_at_once_without_blocking(fake: FakeAnthropic) -> None:
    """A hundred tasks of one loop are answered, and a broken one is told."""

    async def ask() -> list[Any]:
        through = anthropic.DefaultAsyncHttpxClient(transport=fake.transport())
        client = anthropic.AsyncAnthropic(http_client=through, api_key="any", max_retries=0)
        async with client:
            asked = [body(f"Question {at}", system=MARKED) for at in range(100)]
            tasks = [client.messages.create(**one) for one in asked]
            return await asyncio.gather(*tasks, return_exceptions=True)

    fake.reset()
    done = asyncio.run(ask())
    assert sum(isinstance(one, anthropic.APIConnectionError) for one in done) == 1
    assert sum(read(one) > 0 for one in done if not isinstance(one, Exception)) == 99


def test_what_was_received_can_be_replayed(
    client: anthropic.Anthropic, fake: FakeAnthropic, tmp_path: Path
) -> None:
    """What was answered is a workload: saved, read, and reviewed like any other."""
    client.messages.create(**body("Hello"))
    fake.fail(400)
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(**body("Hello"))
    client.messages.create(**body("Hello"))
    fake.save(tmp_path / "calls.jsonl")
    for workload in (fake.workload(), cacheplan.read(str(tmp_path / "calls.jsonl"))):
        assert [call.recorded for call in workload] == [
            call.usage for call in fake.calls if call.usage
        ]


def test_keys_are_kept_out(fake: FakeAnthropic) -> None:
    """What was received holds no key, so a failing test shows none."""
    with anthropic.Anthropic(base_url=fake.url, api_key="sk-secret") as client:
        client.messages.create(**body("Hello"))
    assert "sk-secret" not in repr(fake.received) + json.dumps(fake.lines())
    headers = fake.calls[0].headers
    assert "(kept out)" in (headers.get("x-api-key"), headers.get("authorization"))


def test_memory_is_bounded_on_demand() -> None:
    """With ``keep``, only the newest calls are remembered, and they are still read."""
    with FakeAnthropic(keep=5) as fake:
        through = anthropic.DefaultHttpxClient(transport=fake.transport())
        with anthropic.Anthropic(http_client=through, api_key="any") as client:
            for at in range(40):
                one = client.messages.create(**body(f"Question {at}"))
                again = client.messages.create(**body(f"Question {at}"))
                assert read(again) == read(one) + wrote(one)
        assert len(fake.calls) == 5


def test_time_is_ours(fake: FakeAnthropic) -> None:
    """The clock begins at a fixed moment, moves by calls and sleeps, and never back."""
    assert fake.now == fake.clock() == FakeAnthropic().now
    before = fake.now
    fake.sleep(60)
    assert fake.now == before + 60
    with pytest.raises(ValueError, match="backwards"):
        fake.sleep(-1)
    given = FakeAnthropic(clock=lambda: 7.0)
    assert given.now == 7.0
    with pytest.raises(RuntimeError, match="not ours"):
        given.sleep(1)
    with pytest.raises(RuntimeError, match="listens only"):
        _ = given.url


def test_usage_can_be_given(client: anthropic.Anthropic, fake: FakeAnthropic) -> None:
    """Members of the usage are replaced on demand, such as the rounds of server tools."""
    rounds = [{"type": "message", "input_tokens": 5, "output_tokens": 6}]
    fake.say("Found.", usage={"iterations": rounds, "server_tool_use": {"web_search_requests": 2}})
    found = client.beta.messages.create(**body("Hello")).usage.to_dict()
    assert found["iterations"] == rounds
    assert found["server_tool_use"] == {"web_search_requests": 2}


def test_rounds_of_server_tools_are_charged(
    client: anthropic.Anthropic, fake: FakeAnthropic
) -> None:
    """Where a server tool answers, the service's own mark writes, and reads what it wrote."""
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    hit = {"type": "web_search_result", "url": "u", "title": "t", "encrypted_content": "e" * 9000}
    result = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [hit]}
    fake.say([search, result, {"type": "text", "text": "Found."}])
    tools = [{"type": "web_search_20250305", "name": "web_search"}]
    one = client.messages.create(**body("Hello", tools=tools))
    assert read(one) > 3000
    assert wrote(one) > read(one)
    with client.messages.stream(**body("Hello", tools=tools)) as stream:
        assert read(stream.get_final_message()) > 3000


def test_a_thread_is_held(client: anthropic.Anthropic, fake: FakeAnthropic) -> None:
    """A later turn of a thread sends only what is new, and is charged for all of it."""
    if not hasattr(client.beta.messages, "thread"):
        pytest.skip("this SDK has no threads")
    thread = client.beta.messages.thread(**body())
    one = thread.send({"role": "user", "content": "Hello"})
    two = thread.send({"role": "user", "content": "And now?"})
    assert read(two) == wrote(one) > 3000
    assert len(fake.bodies[-1]["messages"]) == 1
    assert len(fake.lines()[-1]["request"]["messages"]) == 3
