"""Labels and tags: they hold inside, nowhere else, whatever the code inside is."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.labels import current, label


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
