"""The middleware, driven by the real SDK: every way there is, and whatever may go wrong."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

anthropic = pytest.importorskip("anthropic", minversion="0.108")

from ways import ASYNC, PLATFORMS, SYNC, Way, client, platform_client, result  # noqa: E402

import cacheplan  # noqa: E402
from cacheplan.decision import Decision  # noqa: E402
from cacheplan.entries import Entry  # noqa: E402
from cacheplan.plan import Lane, Plan, Rule  # noqa: E402
from cacheplan.prompt import Lifetime  # noqa: E402
from cacheplan.testing import FakeAnthropic  # noqa: E402
from cacheplan.usage import Usage  # noqa: E402

SHORT, LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR
PLAN = Plan(
    lanes=(
        Lane(
            model=None,
            label=None,
            rules=(
                Rule(place="system", lifetime=LONG, because="everybody shares it"),
                Rule(place="tail after talk", lifetime=SHORT),
                Rule(place="tail after tools", lifetime=SHORT),
            ),
        ),
    )
)
CITY = '{"city": "Ulm"}'
TOOL_USE = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"city": "Ulm"}}
LATER = {**TOOL_USE, "name": "look_later"}


def body(**fields: Any) -> dict[str, Any]:
    """Return a body that is long enough to be cached."""
    return {
        "model": "claude-sonnet-5",
        "max_tokens": 50,
        "system": "Answer in one word. " * 400,
        "messages": [{"role": "user", "content": "How is the weather in Ulm? " * 200}],
        **fields,
    }


class Kept:
    """A ledger that keeps everything."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def record(self, entry: Entry) -> None:
        """Keep an entry."""
        self.entries.append(entry)


class Marker(anthropic.Middleware):  # type: ignore[misc,name-defined] # known when it is run
    """Marks every body with ``cacheplan.mark`` and does nothing else: the yardstick."""

    def handle(self, request: Any, call_next: Any) -> Any:
        """Send a marked copy, by the SDK's own means."""
        return call_next(self._marked(request))

    async def handle_async(self, request: Any, call_next: Any) -> Any:
        """Likewise."""
        return await call_next(self._marked(request))

    def _marked(self, request: Any) -> Any:
        if request.method.lower() != "post" or "count_tokens" in request.url:
            return request
        sent = request.json
        if "batches" in request.url:
            entries = [{**e, "params": cacheplan.mark(e["params"], PLAN)} for e in sent["requests"]]
            return request.copy(body={**sent, "requests": entries})
        whole = {**sent, **(request.options.extra_json or {})}
        made = request.copy(body=cacheplan.mark(whole, PLAN))
        made.options.extra_json = None
        return made


def charged(fake: FakeAnthropic) -> list[Usage]:
    """Return what each call was charged."""
    return [call.usage for call in fake.calls if call.usage]


def prepared(way: str) -> FakeAnthropic:
    """Return an imitation that has the right thing to say."""
    fake = FakeAnthropic()
    if "parse" in way:
        fake.say(CITY)
    if "tool_runner" in way:
        fake.say([LATER if way.startswith("a_") else TOOL_USE])
    return fake


@pytest.mark.parametrize("waits", [False, True])
def test_calls_that_end_in_milliseconds(*, waits: bool) -> None:
    """Without a plan and by the wall's clock: the second call reads what the first wrote."""
    fake = FakeAnthropic()
    c = client(fake, waits=waits, middleware=[cacheplan.Middleware()])
    for question in ("What does rule 1 say?", "And rule 2?", "And rule 3?"):
        made = c.messages.create(**body(messages=[{"role": "user", "content": question}]))
        if waits:
            asyncio.run(_awaited(made))
    assert [usage.read > 0 for usage in charged(fake)] == [False, True, True]


async def _awaited(made: Any) -> Any:
    """Wait for it."""
    return await made


@pytest.mark.parametrize("way", [*SYNC.values(), *ASYNC.values()], ids=[*SYNC, *ASYNC])
class TestEveryWay:
    """A call gets the plan's marks and its caller the answer, whatever way it goes."""

    def run(self, way: Way, middleware: Any) -> tuple[Any, FakeAnthropic]:
        """Go one way with one middleware."""
        fake = prepared(way.__name__)
        c = client(fake, waits=way.__name__ in ASYNC, middleware=[middleware])
        return result(way, c, body()), fake

    def test_marks_on_the_wire_and_answer(self, way: Way) -> None:
        """What is sent is what ``cacheplan.mark`` makes, and what comes back is untouched."""
        expected, plain = self.run(way, Marker())
        middleware = cacheplan.Middleware(PLAN)
        found, fake = self.run(way, middleware)
        assert fake.bodies == plain.bodies
        assert found == expected
        assert middleware.faults == {}
        assert "cache_control" in str(fake.bodies[0])

    def test_usage_comes_back(self, way: Way) -> None:
        """The ledger and the user are told what the service charged, for each call."""
        kept, decisions = Kept(), list[Decision]()
        middleware = cacheplan.Middleware(PLAN, ledger=kept, on_decision=decisions.append)
        _, fake = self.run(way, middleware)
        billed = charged(fake)
        assert len(billed) == len(fake.calls) > 0
        assert [entry.usage for entry in kept.entries] == billed
        assert [decision.billed for decision in decisions] == billed
        for entry, call in zip(kept.entries, fake.calls, strict=True):
            assert entry.surface == call.surface
            assert entry.message_id is not None
            assert len(entry.marked) == str(call.body).count("'cache_control'")
            assert entry.error is None

    def test_observed(self, way: Way) -> None:
        """An observer sends what the caller wrote, and says what it would have done."""
        decisions = list[Decision]()
        middleware = cacheplan.Middleware(PLAN, mode="observe", on_decision=decisions.append)
        expected, plain = self.run(way, cacheplan.Middleware(mode="off"))
        found, fake = self.run(way, middleware)
        assert found == expected
        assert fake.bodies == plain.bodies
        assert "cache_control" not in str(fake.bodies)
        assert len(decisions[0].marks) == 2
        assert not any(decision.applied for decision in decisions)


def skip_without_signer(name: str) -> None:
    """Skip a platform whose SDK needs a library that is not installed."""
    if name == "bedrock":
        pytest.importorskip("botocore")
    if name == "vertex":
        pytest.importorskip("google.auth")


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("name", PLATFORMS)
class TestPlatforms:
    """Clients of other platforms rewrite and sign what the middleware made."""

    def test_marks_arrive(self, name: str, *, waits: bool) -> None:
        """The marks reach the platform, and its usage comes back, streamed or not."""
        skip_without_signer(name)
        model = PLATFORMS[name][2]
        for way in ("create", "stream"):
            fake, kept = FakeAnthropic(), Kept()
            middleware = cacheplan.Middleware(PLAN, ledger=kept)
            c = platform_client(name, fake, waits=waits, middleware=[middleware])
            go = ASYNC[f"a_{way}"] if waits else SYNC[way]
            result(go, c, body(model=model))
            (sent,) = fake.bodies
            marked = cacheplan.mark(body(model=model), PLAN)
            assert (sent["system"], sent["messages"]) == (marked["system"], marked["messages"])
            assert [entry.usage for entry in kept.entries] == [fake.calls[0].usage]
            assert middleware.faults == {}

    def test_platform_is_learned(self, name: str, *, waits: bool) -> None:
        """From the second call on the platform is known by where the answers come from."""
        skip_without_signer(name)
        fake, kept = FakeAnthropic(), Kept()
        middleware = cacheplan.Middleware(PLAN, ledger=kept)
        c = platform_client(name, fake, waits=waits, middleware=[middleware])
        for _ in range(2):
            go = ASYNC["a_create"] if waits else SYNC["create"]
            result(go, c, body(model=PLATFORMS[name][2]))
        assert kept.entries[1].platform == name.partition("-")[0].replace("vertex", "google")


class TestLeftAlone:
    """What must not be marked goes out as it came."""

    def test_counting(self) -> None:
        """Counting tokens is no call, and is neither marked nor recorded."""
        fake, kept = FakeAnthropic(), Kept()
        c = client(fake, middleware=[cacheplan.Middleware(PLAN, ledger=kept)])
        sent = {key: part for key, part in body().items() if key != "max_tokens"}
        c.messages.count_tokens(**sent)
        assert "cache_control" not in str(fake.received[-1].body)
        assert not kept.entries

    @pytest.mark.parametrize("switch", ["off", "OFF", "0", "observe"])
    def test_switch(self, monkeypatch: pytest.MonkeyPatch, switch: str) -> None:
        """The environment turns the middleware off, or into an observer, whatever was asked."""
        monkeypatch.setenv("CACHEPLAN", switch)
        fake, kept = FakeAnthropic(), Kept()
        c = client(fake, middleware=[cacheplan.Middleware(PLAN, ledger=kept)])
        c.messages.create(**body())
        assert fake.bodies == [body()]
        assert len(kept.entries) == (switch == "observe")

    def test_unknown_mode(self) -> None:
        """A mode that there is not is refused where it is written."""
        with pytest.raises(cacheplan.CacheplanError, match="apply, observe, off"):
            cacheplan.Middleware(mode="on")

    def test_callers_object(self) -> None:
        """The body that the caller holds is not touched."""
        fake = FakeAnthropic()
        c = client(fake, middleware=[cacheplan.Middleware(PLAN)])
        mine = body()
        before = copy.deepcopy(mine)
        c.messages.create(**mine)
        assert mine == before

    def test_generators_and_models(self) -> None:
        """Content that the SDK turns into JSON first is marked like any other."""
        fake = FakeAnthropic()
        c = client(fake, middleware=[cacheplan.Middleware(PLAN)])
        said = anthropic.types.TextBlock(type="text", text="Rain. " * 300)
        turns = body()["messages"] + [
            {"role": "assistant", "content": [said]},
            {"role": "user", "content": "And in Bonn?"},
        ]
        c.messages.create(**body(messages=(turn for turn in turns)))
        (sent,) = fake.bodies
        assert "cache_control" in str(sent["messages"][-1])
        assert sent["messages"][1]["content"][0]["text"] == said.text

    @pytest.mark.parametrize("sent", [[1, 2], {"model": 3}, {"messages": "hi"}, None])
    def test_no_body_at_all(self, sent: Any) -> None:
        """Bodies that are none reach the service, which says what is wrong with them."""
        fake = FakeAnthropic()
        middleware = cacheplan.Middleware(PLAN)
        c = client(fake, middleware=[middleware])
        with pytest.raises(anthropic.BadRequestError):
            c.post("/v1/messages", body=sent, cast_to=object)
        assert fake.received[-1].body == sent
        assert not middleware.faults

    def test_unknown_content(self) -> None:
        """A kind of block that nobody knows is passed on, and a mark may stand behind it."""
        fake = FakeAnthropic(strict=False)
        c = client(fake, middleware=[cacheplan.Middleware(PLAN)])
        odd = [{"type": "hologram", "beams": [1, 2]}, {"type": "text", "text": "What is it?"}]
        sent = body(messages=[{"role": "user", "content": odd}])
        with contextlib.suppress(anthropic.BadRequestError):
            c.messages.create(**sent)
        assert fake.received[-1].body["messages"][0]["content"][0] == odd[0]


class TestFaults:
    """Whatever goes wrong inside, the call goes through; it is counted, and said once."""

    def run(self, caplog: pytest.LogCaptureFixture, **options: Any) -> cacheplan.Middleware:
        """Send two calls through a middleware with something broken in it."""
        fake = FakeAnthropic()
        middleware = cacheplan.Middleware(PLAN, **options)
        return self.send(caplog, middleware, fake)

    def send(
        self,
        caplog: pytest.LogCaptureFixture,
        middleware: cacheplan.Middleware,
        fake: FakeAnthropic,
    ) -> cacheplan.Middleware:
        """Send two calls, one of them streamed, and see them answered."""
        c = client(fake, middleware=[middleware])
        with caplog.at_level(logging.WARNING, "cacheplan"):
            assert c.messages.create(**body()).content
            assert list(c.messages.create(**body(), stream=True))
        assert len(fake.calls) == 2
        return middleware

    def test_ledger(self, caplog: pytest.LogCaptureFixture) -> None:
        """A ledger that cannot be written to costs its entries and nothing else."""

        class Full:
            def record(self, entry: Entry) -> None:
                raise OSError(28, f"No space left for {entry.model}")

        middleware = self.run(caplog, ledger=Full())
        assert middleware.faults == {"the ledger: OSError": 2}
        assert len(caplog.records) == 1

    def test_on_decision(self, caplog: pytest.LogCaptureFixture) -> None:
        """What the user's own function raises does not reach the call."""

        def broken(decision: Decision) -> None:
            raise KeyError(decision.model)

        middleware = self.run(caplog, on_decision=broken)
        assert middleware.faults == {"on_decision: KeyError": 2}
        assert len(caplog.records) == 1

    @pytest.mark.parametrize("step", ["prepare", "observe", "learn"])
    def test_session(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        """A mistake of ours sends the caller's own body."""

        def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        fake, kept = FakeAnthropic(), Kept()
        middleware = cacheplan.Middleware(PLAN, ledger=None if step == "learn" else kept)
        monkeypatch.setattr(middleware.session, step, broken)
        self.send(caplog, middleware, fake)
        assert sum(middleware.faults.values()) == 2
        assert len(caplog.records) == 1
        if step == "prepare":
            assert fake.bodies == [body(), body(stream=True)]

    def test_no_answer_of_ours(self) -> None:
        """An answer that another middleware made up is handed on."""
        made = anthropic.types.Message.model_construct(id="msg_own")
        c = client(FakeAnthropic(), middleware=[cacheplan.Middleware(PLAN), lambda *_: made])
        assert c.messages.create(**body()) is made


@pytest.mark.parametrize("waits", [False, True])
class TestTrouble:
    """Errors reach the caller as they are, and the ledger as errors."""

    def go(
        self,
        fake: FakeAnthropic,
        middleware: Any,
        sent: dict[str, Any],
        *,
        waits: bool,
        **more: Any,
    ) -> Any:
        """Send one call."""
        c = client(fake, waits=waits, middleware=[middleware], **more)
        return result(ASYNC["a_create"] if waits else SYNC["create"], c, sent)

    def test_retries(self, *, waits: bool) -> None:
        """Each attempt carries the same marks, and counts as one call for what is learned."""
        fake, kept = FakeAnthropic(), Kept()
        fake.fail(529, times=2)
        middleware = cacheplan.Middleware(PLAN, ledger=kept)
        self.go(fake, middleware, body(), waits=waits, max_retries=2)
        sent = [call.body for call in fake.received]
        assert sent == [cacheplan.mark(body(), PLAN)] * 3
        assert [entry.status for entry in kept.entries] == [529, 529, 200]
        assert [entry.error for entry in kept.entries] == ["overloaded_error"] * 2 + [None]
        assert [entry.retries for entry in kept.entries] == [0, 1, 2]
        assert {entry.predicted for entry in kept.entries} == {kept.entries[0].predicted}

    def test_refused_mark(self, caplog: pytest.LogCaptureFixture, *, waits: bool) -> None:
        """A mark that the service refuses is taken back once, its rule said and not used again."""
        fake, kept = FakeAnthropic(), Kept()
        words = "messages.0.content.0.cache_control: not today"
        fake.fail(400, message=words)
        middleware = cacheplan.Middleware(PLAN, ledger=kept)
        with caplog.at_level(logging.WARNING, "cacheplan"):
            found = self.go(fake, middleware, body(), waits=waits)
            assert found["content"]
            self.go(fake, middleware, body(), waits=waits)
        first, again, later = (call.body for call in fake.received)
        assert "cache_control" in str(first["messages"])
        assert again == body()
        assert "cache_control" in str(later["system"])
        assert "cache_control" not in str(later["messages"])
        assert "tail after talk" in caplog.text
        assert [entry.applied for entry in kept.entries] == [False, True]
        assert middleware.faults == {"refused: tail after talk": 1}

    @pytest.mark.parametrize("name", ["create_stream", "stream", "raw_stream", "batches"])
    def test_refused_on_any_way(self, name: str, *, waits: bool) -> None:
        """So it is where the answer would have been a stream, or is about a batch."""
        plain, fake = FakeAnthropic(), FakeAnthropic()
        way = ASYNC[f"a_{name}"] if waits else SYNC[name]
        expected = result(way, client(plain, waits=waits), body())
        fake.fail(400, message="requests.0.params.system.0.cache_control: no")
        c = client(fake, waits=waits, middleware=[cacheplan.Middleware(PLAN)])
        found = result(way, c, body())
        if name != "batches":
            assert [fake.received[-1].body] == plain.bodies
            assert str(found).replace(" ", "") == str(expected).replace(" ", "")
        else:
            assert "cache_control" not in str(fake.bodies)
            assert len(found) == len(expected) == 2

    def test_refused_without_marks_too(self, *, waits: bool) -> None:
        """A body that is refused as the caller wrote it gives up no rule: it was not the marks."""
        fake, kept = FakeAnthropic(), Kept()
        fake.fail(400, times=2, message="messages.0.cache_control: Extra inputs are not permitted")
        middleware = cacheplan.Middleware(PLAN, ledger=kept)
        with pytest.raises(anthropic.BadRequestError, match="Extra inputs"):
            self.go(fake, middleware, body(), waits=waits)
        self.go(fake, middleware, body(), waits=waits)
        assert [call.body for call in fake.received][1:] == [body(), cacheplan.mark(body(), PLAN)]
        assert [(entry.applied, entry.status) for entry in kept.entries] == [
            (False, 400),
            (True, 200),
        ]
        assert middleware.faults == {}

    def test_other_refusals(self, *, waits: bool) -> None:
        """A refusal that is not about marks is the caller's, at the first attempt."""
        fake, kept = FakeAnthropic(), Kept()
        fake.fail(400, message="max_tokens: too many")
        with pytest.raises(anthropic.BadRequestError, match="too many"):
            self.go(fake, cacheplan.Middleware(PLAN, ledger=kept), body(), waits=waits)
        assert len(fake.received) == 1
        assert [entry.error for entry in kept.entries] == ["invalid_request_error"]

    def test_broken_stream(self, *, waits: bool) -> None:
        """A stream that breaks off breaks for the caller, and what it had said is kept."""
        fake, kept = FakeAnthropic(), Kept()
        fake.reset(after=3)
        c = client(fake, waits=waits, middleware=[cacheplan.Middleware(PLAN, ledger=kept)])
        with pytest.raises(Exception, match=r"(?i)reset|incomplete|closed|read"):
            result(ASYNC["a_create_stream"] if waits else SYNC["create_stream"], c, body())
        (entry,) = kept.entries
        assert entry.usage is not None
        assert entry.usage.written == charged(fake)[0].written

    def test_no_connection(self, *, waits: bool) -> None:
        """A call that never arrived is an error of its own kind."""
        fake, kept = FakeAnthropic(), Kept()
        fake.reset(after=0)
        with pytest.raises(anthropic.APIConnectionError):
            self.go(fake, cacheplan.Middleware(PLAN, ledger=kept), body(), waits=waits)
        assert [(entry.error, entry.usage) for entry in kept.entries] == [
            ("APIConnectionError", None)
        ]

    def test_stream_left_early(self, *, waits: bool) -> None:
        """Whoever closes a stream has its usage booked as far as it was said."""
        fake, kept = FakeAnthropic(), Kept()
        c = client(fake, waits=waits, middleware=[cacheplan.Middleware(PLAN, ledger=kept)])

        def leave() -> None:
            with c.messages.create(**body(), stream=True) as events:
                next(iter(events))

        async def leave_later() -> None:
            async with await c.messages.create(**body(), stream=True) as events:
                async for _ in events:
                    break

        if waits:
            asyncio.run(leave_later())
        else:
            leave()
        assert [entry.usage.prompt for entry in kept.entries if entry.usage] == [
            charged(fake)[0].prompt
        ]


class TestMany:
    """One middleware serves any number of clients and threads."""

    def test_thousand_threads(self) -> None:
        """A thousand threads at once get a thousand answers, and lose no entry."""
        fake, kept = FakeAnthropic(), Kept()
        middleware = cacheplan.Middleware(PLAN, ledger=kept)
        c = client(fake, middleware=[middleware])
        wrong: list[BaseException] = []

        def call(number: int) -> None:
            sent = body(messages=[{"role": "user", "content": f"{number % 50} " * 20}])
            try:
                c.messages.create(**sent)
            except BaseException as error:
                wrong.append(error)
                raise

        threads = [threading.Thread(target=call, args=(number,)) for number in range(1000)]
        run_all(threads)
        assert not wrong
        assert len(kept.entries) == 1000
        assert middleware.faults == {}
        assert all("cache_control" in str(sent["system"]) for sent in fake.bodies)

    def test_features(self) -> None:
        """One feature is marked by its own rules, and booked under its own name."""
        lanes = (Lane(model=None, label="chat", rules=PLAN.lanes[0].rules),)
        fake, kept = FakeAnthropic(), Kept()
        middleware = cacheplan.Middleware(Plan(lanes=lanes), ledger=kept)
        c = client(fake, middleware=[middleware])
        c.messages.create(**body())
        chat = c.with_options(middleware=[middleware.labelled("chat", session="s1")])
        chat.messages.create(**body())
        assert ["cache_control" in str(sent) for sent in fake.bodies] == [False, True]
        assert [(entry.label, entry.session) for entry in kept.entries] == [
            (None, None),
            ("chat", "s1"),
        ]

    def test_twins_of_twins(self) -> None:
        """A label may be given anew for every call; nothing piles up."""
        middleware = cacheplan.Middleware(PLAN)
        twin = middleware
        for number in range(5):
            twin = twin.labelled(f"{number}")
        assert type(twin) is type(middleware)
        assert twin.session is middleware.session
        assert isinstance(twin, anthropic.Middleware)

    def test_learns(self) -> None:
        """Without a plan a conversation is marked, and reads what it wrote."""
        fake = FakeAnthropic()
        middleware = cacheplan.Middleware(clock=fake.clock)
        c = client(fake, middleware=[middleware])
        turns = body()["messages"]
        for _ in range(3):
            answer = c.messages.create(**body(messages=turns))
            turns = [
                *turns,
                {"role": "assistant", "content": [block.to_dict() for block in answer.content]},
                {"role": "user", "content": "And tomorrow?"},
            ]
            fake.sleep(20)
        assert [usage.read > 2000 for usage in charged(fake)] == [False, True, True]

    def test_batch_results_elsewhere(self) -> None:
        """Results of a batch that another process made are booked by what they say."""
        fake, kept = FakeAnthropic(), Kept()
        made = client(fake).messages.batches.create(requests=[{"custom_id": "a", "params": body()}])
        c = client(fake, middleware=[cacheplan.Middleware(PLAN, ledger=kept)])
        assert [line.custom_id for line in c.messages.batches.results(made.id)] == ["a"]
        (entry,) = kept.entries
        assert (entry.model, entry.surface, entry.tip) == ("claude-sonnet-5", "batch", b"")
        assert entry.usage == fake.calls[0].usage


def run_all(threads: list[threading.Thread]) -> None:
    """Start all, and wait for all."""
    each: Callable[[threading.Thread], None]
    for each in (threading.Thread.start, threading.Thread.join):
        for thread in threads:
            each(thread)
