"""The transport: the same marks for those whose SDK has no middleware, or who have none."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

import anthropic
import pytest
from ways import ASYNC, SYNC, Way, result

from cacheplan.entries import Entry
from cacheplan.io.transport import Transport
from cacheplan.marking import mark_body
from cacheplan.plan import Lane, Plan, Rule
from cacheplan.prompt import Lifetime
from cacheplan.testing import FakeAnthropic

GENERATION = anthropic.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]
LIBRARY = importlib.import_module(GENERATION)
PLACES = ("system", "tail after talk", "tail after tools")
RULES = tuple(Rule(place=place, lifetime=Lifetime.FIVE_MINUTES) for place in PLACES)
PLAN = Plan(lanes=(Lane(model=None, label=None, rules=RULES),))
KEY = {"x-api-key": "any"}
#: The ways whose bodies are the caller's own, so that the yardstick can be marked by hand.
PLAIN = [way for way in (*SYNC.values(), *ASYNC.values()) if "parse" not in way.__name__
         and "runner" not in way.__name__]  # fmt: skip


def body() -> dict[str, Any]:
    """Return a body that is long enough to be cached."""
    return {
        "model": "claude-sonnet-5",
        "max_tokens": 50,
        "system": "Answer in one word. " * 400,
        "messages": [{"role": "user", "content": "How is the weather in Ulm? " * 200}],
    }


class Kept:
    """A ledger that keeps everything."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def record(self, entry: Entry) -> None:
        """Keep an entry."""
        self.entries.append(entry)


def client(transport: Any, *, waits: bool, **options: Any) -> Any:
    """Return a client of the SDK over a transport."""
    made = LIBRARY.AsyncClient if waits else LIBRARY.Client
    kind = anthropic.AsyncAnthropic if waits else anthropic.Anthropic
    return kind(api_key="any", http_client=made(transport=transport), **options)


@pytest.mark.parametrize("way", PLAIN, ids=lambda way: way.__name__)
def test_every_way(way: Way) -> None:
    """What is sent has the plan's marks, the answer is untouched, and usage comes back."""
    waits = way.__name__ in ASYNC
    plain, fake, kept = FakeAnthropic(), FakeAnthropic(), Kept()
    expected = result(way, client(plain.transport(), waits=waits), mark_body(body(), PLAN))
    transport = Transport(fake.transport(), PLAN, ledger=kept)
    assert result(way, client(transport, waits=waits), body()) == expected
    assert fake.bodies == plain.bodies
    assert [entry.usage for entry in kept.entries] == [call.usage for call in fake.calls]
    assert transport.faults == {}


@pytest.mark.parametrize("waits", [False, True])
class TestTrouble:
    """Retries, refusals and errors, as with the middleware."""

    def test_retries(self, *, waits: bool) -> None:
        """Each attempt carries the same marks."""
        fake, kept = FakeAnthropic(), Kept()
        fake.fail(529, times=1)
        transport = Transport(fake.transport(), PLAN, ledger=kept)
        c = client(transport, waits=waits, max_retries=1)
        result(ASYNC["a_create"] if waits else SYNC["create"], c, body())
        assert [call.body for call in fake.received] == [mark_body(body(), PLAN)] * 2
        assert [entry.retries for entry in kept.entries] == [0, 1]

    def test_refused(self, *, waits: bool) -> None:
        """Marks that the service refuses are taken back, once."""
        fake = FakeAnthropic()
        fake.fail(400, message="system.0.cache_control: no")
        transport = Transport(fake.transport(), PLAN)
        c = client(transport, waits=waits, max_retries=0)
        result(ASYNC["a_create"] if waits else SYNC["create"], c, body())
        assert fake.received[-1].body == body()
        assert transport.faults == {"refused: system": 1}

    def test_no_connection(self, *, waits: bool) -> None:
        """A call that never arrived fails for the caller, and is an entry."""
        fake, kept = FakeAnthropic(), Kept()
        fake.reset(after=0)
        transport = Transport(fake.transport(), PLAN, ledger=kept)
        c = client(transport, waits=waits, max_retries=0)
        with pytest.raises(anthropic.APIConnectionError):
            result(ASYNC["a_create"] if waits else SYNC["create"], c, body())
        assert [entry.error for entry in kept.entries] == ["ReadError"]


class TestAnyClient:
    """Users of httpx alone."""

    def test_posted_json(self) -> None:
        """A body that is posted as JSON is marked, and the caller's object is not."""
        fake, mine = FakeAnthropic(), body()
        with LIBRARY.Client(headers=KEY, transport=Transport(fake.transport(), PLAN)) as http:
            answer = http.post("https://api.anthropic.com/v1/messages", json=mine)
        assert answer.json()["content"]
        assert fake.bodies == [mark_body(body(), PLAN)]
        assert mine == body()

    def test_posted_later(self) -> None:
        """So it is for a client that does not block."""
        fake = FakeAnthropic()

        async def post() -> Any:
            transport = Transport(fake.transport(), PLAN)
            async with LIBRARY.AsyncClient(headers=KEY, transport=transport) as http:
                return await http.post("https://api.anthropic.com/v1/messages", json=body())

        assert asyncio.run(post()).json()["content"]
        assert fake.bodies == [mark_body(body(), PLAN)]

    @pytest.mark.parametrize("content", [b"", b"not json", b"[1]", b'"text"'])
    def test_other_bytes(self, content: bytes) -> None:
        """What is no body goes through as it is."""
        fake = FakeAnthropic()
        transport = Transport(fake.transport(), PLAN)
        with LIBRARY.Client(headers=KEY, transport=transport) as http:
            answer = http.post("https://api.anthropic.com/v1/messages", content=content)
        assert answer.status_code == 400
        assert not transport.faults

    def test_signed(self) -> None:
        """Bytes that are signed must not change."""
        fake = FakeAnthropic()
        headers = {"authorization": "AWS4-HMAC-SHA256 Credential=x"}
        with LIBRARY.Client(headers=KEY, transport=Transport(fake.transport(), PLAN)) as http:
            http.post("https://api.anthropic.com/v1/messages", json=body(), headers=headers)
        assert fake.received[-1].body == body()

    def test_other_paths(self) -> None:
        """Everything else passes."""
        fake = FakeAnthropic()
        with LIBRARY.Client(headers=KEY, transport=Transport(fake.transport(), PLAN)) as http:
            assert http.get("https://api.anthropic.com/v1/models").status_code == 200
