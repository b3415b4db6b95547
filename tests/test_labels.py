"""Labels and tags: they hold inside, nowhere else, whatever the code inside is."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

anthropic = pytest.importorskip("anthropic", minversion="0.108")
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from small import digest_line, workload  # noqa: E402

import cacheplan  # noqa: E402
from cacheplan.anonymous import anonymous  # noqa: E402
from cacheplan.entries import Entry  # noqa: E402
from cacheplan.errors import InputError, LedgerError  # noqa: E402
from cacheplan.io import database  # noqa: E402
from cacheplan.io.ledger import Ledger  # noqa: E402
from cacheplan.io.recall import recall  # noqa: E402
from cacheplan.labels import current, label  # noqa: E402
from cacheplan.plan import Lane, Plan, Rule  # noqa: E402
from cacheplan.prompt import Lifetime  # noqa: E402
from cacheplan.session import Origin  # noqa: E402
from cacheplan.testing import FakeAnthropic  # noqa: E402
from cacheplan.usage import Usage  # noqa: E402


def here() -> tuple[str | None, dict[str, str]]:
    """Return what holds."""
    return current().label, dict(current().tags)


NOTHING: tuple[None, dict[str, str]] = (None, {})


class TestBlocks:
    """``with`` a label."""

    def test_inside_only(self) -> None:
        """It holds inside, and not after, an exception or not."""
        with label("summaries", customer="acme"):
            assert here() == ("summaries", {"customer": "acme"})
        assert here() == NOTHING
        with pytest.raises(ValueError, match="no"), label("summaries"):
            raise ValueError("no")
        assert here() == NOTHING

    def test_nested(self) -> None:
        """The inner label holds, tags add up, and a tag alone keeps the label there is."""
        with label("outer", customer="acme", team="a"):
            with label("inner", team="b"):
                assert here() == ("inner", {"customer": "acme", "team": "b"})
            with label(step="2"):
                assert here() == ("outer", {"customer": "acme", "team": "a", "step": "2"})
            assert here() == ("outer", {"customer": "acme", "team": "a"})

    @given(st.recursive(st.just([]), lambda inner: st.lists(inner, max_size=3), max_leaves=12))
    def test_any_nesting(self, tree: list[Any]) -> None:
        """However one object is entered within itself and others, each end is the last begin's."""
        shared = label("shared")

        def walk(within: list[Any], depth: int) -> None:
            before = here()
            for number, inner in enumerate(within):
                with shared if number % 2 else label(f"own {depth}"):
                    expected = "shared" if number % 2 else f"own {depth}"
                    assert here() == (expected, {})
                    walk(inner, depth + 1)
                    assert here() == (expected, {})
            assert here() == before

        walk(tree, 0)
        assert here() == NOTHING

    def test_left_open(self) -> None:
        """The end of a block ends what was begun inside and never ended."""
        with label("outer"):
            label("forgotten").__enter__()
        assert here() == NOTHING

    def test_another_context(self) -> None:
        """A block that a framework ends in another context ends nothing there."""
        block = label("one")
        contextvars.copy_context().run(block.__enter__)
        with label("two"):
            block.__exit__(None, None, None)
            assert here() == ("two", {})

    @pytest.mark.parametrize(
        ("words", "tags"), [((3,), {}), (("a",), {"customer": 7}), ((print,), {})]
    )
    def test_what_is_no_label(self, words: tuple[Any, ...], tags: dict[str, Any]) -> None:
        """A label, and a tag, is text; a decorator without its brackets is told so."""
        with pytest.raises(TypeError, match="text"):
            label(*words, **tags)


class TestFunctions:
    """A label as a decorator."""

    def test_plain(self) -> None:
        """A function keeps its name, signature and answer, and runs inside."""

        @label("summaries")
        def summarize(text: str, *, words: int = 3) -> Any:
            """Shorten."""
            return text, words, here()

        assert summarize("a", words=4) == ("a", 4, ("summaries", {}))
        assert summarize.__name__ == "summarize"
        assert list(inspect.signature(summarize).parameters) == ["text", "words"]
        assert here() == NOTHING

    def test_method(self) -> None:
        """A method is a function like others."""

        class Agent:
            @label("agent")
            def run(self) -> Any:
                return here()

        assert Agent().run() == ("agent", {})

    def test_coroutine(self) -> None:
        """A coroutine runs inside, and is still told to be one."""

        @label("summaries")
        async def summarize() -> Any:
            await asyncio.sleep(0)
            return here()

        async def both() -> Any:
            return await asyncio.gather(summarize(), label("other")(summarize)()), here()

        assert inspect.iscoroutinefunction(summarize)
        assert asyncio.run(both()) == ([("summaries", {}), ("summaries", {})], NOTHING)

    def test_generator(self) -> None:
        """A generator's label holds while it runs; sent, thrown and returned values pass."""
        closed = []

        @label("parts")
        def parts() -> Any:
            try:
                sent = yield here()
                try:
                    yield sent, here()
                except KeyError:
                    yield "caught", here()
                return "end"
            finally:
                closed.append(here())

        running = parts()
        assert next(running) == ("parts", {})
        assert here() == NOTHING
        with label("outside"):
            assert running.send(5) == (5, ("parts", {}))
            assert here() == ("outside", {})
        assert running.throw(KeyError()) == ("caught", ("parts", {}))
        with pytest.raises(StopIteration) as end:
            next(running)
        assert end.value.value == "end"
        early = parts()
        next(early)
        early.close()
        assert closed == [("parts", {})] * 2
        assert here() == NOTHING

    def test_async_generator(self) -> None:
        """So does an async one's."""
        closed = []

        @label("parts")
        async def parts() -> AsyncIterator[Any]:
            try:
                for _ in range(3):
                    await asyncio.sleep(0)
                    yield here()
            finally:
                closed.append(here())

        async def read() -> Any:
            found = [(part, here()) async for part in parts()]
            early = parts()
            await anext(early)
            await early.aclose()  # type: ignore[attr-defined] # of every async generator
            thrown = parts()
            await anext(thrown)
            with pytest.raises(KeyError):
                await thrown.athrow(KeyError())  # type: ignore[attr-defined] # likewise
            return found

        assert asyncio.run(read()) == [(("parts", {}), NOTHING)] * 3
        assert closed == [("parts", {})] * 3

    @pytest.mark.parametrize("wrong", [Path, 3, None])
    def test_what_is_no_function(self, wrong: Any) -> None:
        """A class would no longer be one, so it is refused, as is a value."""
        with pytest.raises(TypeError, match="around functions"):
            label("a")(wrong)

    def test_an_error_is_the_callers(self) -> None:
        """What a function raises comes out, and the label is gone."""

        @label("parts")
        def parts() -> Iterator[int]:
            yield 1
            raise LookupError("gone")

        with pytest.raises(LookupError, match="gone"):
            list(parts())
        assert here() == NOTHING


def run(found: list[Any], way: Any = None) -> None:
    """Find out what holds, in a context or as it comes."""
    found.append(way(here) if way else here())


class TestMany:
    """Threads and tasks."""

    def test_threads(self) -> None:
        """One object serves many threads at once, and none sees another's."""
        shared, wrong = label("shared"), []
        barrier = threading.Barrier(8)

        def work(number: int) -> None:
            barrier.wait()
            for _ in range(200):
                with shared, label(str(number)):
                    if here() != (str(number), {}):
                        wrong.append(number)
                if here() != NOTHING:
                    wrong.append(number)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        assert not wrong

    def test_a_new_thread(self) -> None:
        """A thread begins without a label, unless it is run in a copy of the context."""
        found: list[Any] = []
        with label("outer"):
            copied = contextvars.copy_context()
            for arguments in ([], [copied.run]):
                thread = threading.Thread(target=run, args=(found, *arguments))
                thread.start()
                thread.join()
            found.append(asyncio.run(asyncio.to_thread(here)))
        assert found == [NOTHING, ("outer", {}), ("outer", {})]

    def test_tasks(self) -> None:
        """Tasks that take turns keep to their own, and one that was begun inside has it."""

        async def turn(name: str) -> list[Any]:
            found = []
            with label(name):
                for _ in range(20):
                    await asyncio.sleep(0)
                    found.append(here())
            return found

        async def all_of_them() -> Any:
            with label("outer"):
                begun = asyncio.create_task(asyncio.sleep(0, None))
                inside = asyncio.create_task(asyncio.to_thread(here))
            await begun
            return await asyncio.gather(*(turn(str(n)) for n in range(5))), await inside

        turns, inside = asyncio.run(all_of_them())
        assert turns == [[(str(n), {})] * 20 for n in range(5)]
        assert inside == ("outer", {})


class Kept:
    """A ledger that keeps everything."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def record(self, entry: Entry) -> None:
        """Keep an entry."""
        self.entries.append(entry)

    @property
    def said(self) -> list[tuple[str | None, dict[str, str]]]:
        """What entries say of whose they are."""
        return [(entry.label, dict(entry.tags)) for entry in self.entries]


ASKED: dict[str, Any] = {
    "model": "claude-sonnet-5",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Where is it? " * 900}],
}


class TestCalls:
    """Calls that go through a middleware take what holds where they are made."""

    def test_middleware(self) -> None:
        """A label holds where no other is given; tags hold in any case, streams included."""
        kept, fake = Kept(), FakeAnthropic()
        marking = cacheplan.Middleware(ledger=kept)
        through = anthropic.DefaultHttpxClient(transport=fake.transport())
        with anthropic.Anthropic(
            api_key="any", http_client=through, middleware=[marking]
        ) as client:
            client.messages.create(**ASKED)
            with cacheplan.label("summaries", customer="acme"):
                client.messages.create(**ASKED)
                with client.messages.stream(**ASKED) as stream:
                    stream.get_final_message()
                own = client.with_options(middleware=[marking.labelled("own")])
                own.messages.create(**ASKED)
            with cacheplan.label(customer="acme"):
                client.messages.create(**ASKED)
        tag = {"customer": "acme"}
        assert kept.said == [
            NOTHING, ("summaries", tag), ("summaries", tag), ("own", tag), (None, tag),
        ]  # fmt: skip

    def test_the_plan_for_a_label(self) -> None:
        """A plan marks by the label, wherever it was given."""
        rule = Rule(place="tail after talk", lifetime=Lifetime.ONE_HOUR)
        plan = Plan(lanes=(Lane(model=None, label="kept", rules=(rule,)),))
        fake = FakeAnthropic()
        through = anthropic.DefaultHttpxClient(transport=fake.transport())
        marking = [cacheplan.Middleware(plan)]
        with anthropic.Anthropic(api_key="any", http_client=through, middleware=marking) as client:
            for name in ("kept", "other"):
                with cacheplan.label(name):
                    client.messages.create(**ASKED)
        assert ["cache_control" in str(body) for body in fake.bodies] == [True, False]

    def test_async_and_batches(self) -> None:
        """Tasks that run at once book each on its own; a batch books all its calls on one."""
        kept, fake = Kept(), FakeAnthropic()
        marking = cacheplan.Middleware(ledger=kept)
        through = anthropic.DefaultAsyncHttpxClient(transport=fake.transport())

        async def one(client: Any, name: str) -> None:
            with cacheplan.label(name):
                await client.messages.create(**ASKED)

        async def all_of_them() -> None:
            client = anthropic.AsyncAnthropic(
                api_key="any", http_client=through, middleware=[marking]
            )
            async with client:
                await asyncio.gather(*(one(client, str(n)) for n in range(6)))
                with cacheplan.label("batch"):
                    made = await client.messages.batches.create(
                        requests=[{"custom_id": "a", "params": ASKED}]
                    )
                async for _ in await client.messages.batches.results(made.id):
                    pass

        asyncio.run(all_of_them())
        assert sorted(kept.said) == [*((str(n), {}) for n in range(6)), ("batch", {})]

    def test_without_an_sdk(self) -> None:
        """A session of one's own is told by its origin, tags and all."""
        session = cacheplan.Session()
        origin = Origin(label="a", tags=(("customer", "acme"),))
        _, decision = session.prepare(ASKED, 1.0, origin)
        entry = session.observe(decision, Usage(uncached=3), at=2.0)
        assert (decision.tags, entry.tags) == (origin.tags, origin.tags)


class TestWrittenDown:
    """Tags in files."""

    def test_lines(self) -> None:
        """A line of a workload has tags: an object of words, and of nothing else."""
        call = workload([digest_line([("a", 5, "messages")], tags={"b": "2", "a": "1"})]).calls[0]
        assert call.tags == (("a", "1"), ("b", "2"))
        for wrong, words in (({"a": 3}, "tags: the tag a is int, not text"), ([], "tags: this is")):
            with pytest.raises(InputError, match=words):
                workload([digest_line([("a", 5, "messages")], tags=wrong)])

    def test_handed_on(self) -> None:
        """The digest form keeps the names of tags, and of what they say a keyed digest."""
        lines = [digest_line([("a", 5, "messages")], tags={"customer": name}) for name in "xyx"]
        found = [line["tags"]["customer"] for line in anonymous(workload(lines), b"key")]
        assert found[0] == found[2] != found[1]
        assert "x" not in found

    def test_ledger(self, tmp_path: Path) -> None:
        """A ledger keeps tags as they are, like the label."""
        with Ledger(tmp_path / "calls.db") as ledger:
            ledger.record(Entry(at=1.0, model="m", label="a", tags=(("customer", "Ümit"),)))
        found = recall(tmp_path / "calls.db")
        assert [entry.tags for entry in found.entries] == [(("customer", "Ümit"),)]


class TestOlderLedgers:
    """Files of the form before this one."""

    @pytest.fixture
    def older(self, tmp_path: Path) -> Path:
        """Return a ledger as the first form had it, with one call in it."""
        path = tmp_path / "calls.db"
        with Ledger(path) as ledger:
            ledger.record(Entry(at=1.0, model="m", label="before", usage=Usage(read=3)))
        connection = sqlite3.connect(path)
        connection.execute("ALTER TABLE calls DROP COLUMN tags")
        connection.execute("UPDATE meta SET value = 'cacheplan.ledger/1' WHERE name = 'format'")
        connection.commit()
        connection.close()
        return path

    def test_read(self, older: Path) -> None:
        """It is read as it is, and not touched."""
        before = older.read_bytes()
        (entry,) = recall(older).entries
        assert (entry.label, entry.tags, entry.usage) == ("before", (), Usage(read=3))
        assert older.read_bytes() == before

    def test_written(self, older: Path) -> None:
        """It is brought up to this form when it is written to, with all that was in it."""
        with Ledger(older) as ledger:
            ledger.record(Entry(at=2.0, model="m", label="after", tags=(("a", "b"),)))
        found = [(entry.label, entry.tags) for entry in recall(older).entries]
        assert found == [("before", ()), ("after", (("a", "b"),))]
        with closing(sqlite3.connect(older)) as connection:
            form = connection.execute("SELECT value FROM meta WHERE name = 'format'")
            assert form.fetchone() == (database.FORMAT,)

    def test_many_at_once(self, older: Path) -> None:
        """Where several begin to write at once, it is brought up once."""
        ledgers = [Ledger(older) for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            for number, ledger in enumerate(ledgers):
                pool.submit(ledger.record, Entry(at=number, model="m", label=str(number)))
        for ledger in ledgers:
            ledger.close()
        assert sorted(str(entry.label) for entry in recall(older).entries) == [
            *map(str, range(8)), "before",
        ]  # fmt: skip

    def test_cut_off(self, older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file that could not be brought up is as it was, and the entry waits."""
        grown = {"cacheplan.ledger/1": ("cacheplan.ledger/2", "ALTER TABLE missing ADD a")}
        monkeypatch.setattr(database, "_GREW", grown)
        ledger = Ledger(older)
        with pytest.raises(LedgerError, match="no such table"):
            ledger.record(Entry(at=2.0, model="m"))
        assert ledger.waiting == 1
        monkeypatch.undo()
        ledger.close()
        assert len(recall(older).entries) == 2

    def test_a_later_form(self, older: Path) -> None:
        """A form that nobody here knows is neither read nor written."""
        connection = sqlite3.connect(older)
        connection.execute("UPDATE meta SET value = 'cacheplan.ledger/9' WHERE name = 'format'")
        connection.commit()
        connection.close()
        with pytest.raises(InputError, match="not a ledger of the form"):
            recall(older)
        with pytest.raises(InputError, match="not a ledger of the form"):
            Ledger(older).record(Entry(at=2.0, model="m"))
