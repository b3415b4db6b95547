"""Whose call it is: a label, and tags, put on every call that is made inside them.

    with cacheplan.label("summaries", customer="acme"):
        client.messages.create(...)

    @cacheplan.label("summaries")
    async def summarize(text): ...

What is set holds for the code inside and for whatever that code calls, in its own thread
and its own task, and for tasks that are begun there. A thread that is begun there starts
without, as with every ``contextvars`` variable, unless it runs in a copy of the context
(``asyncio.to_thread`` does). Knows nothing of calls: whoever sends them asks ``current``.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextvars import ContextVar
from typing import Any, Final, Self, TypeVar, cast

__all__ = ["Named", "Tags", "current", "label", "tags_of"]

_Function = TypeVar("_Function", bound=Callable[..., Any])
#: Names and words, sorted by name: pairs, so that nobody can change them.
Tags = tuple[tuple[str, str], ...]


class Named:
    """A label and tags as they hold at some place, and what held around it."""

    __slots__ = ("around", "by", "label", "tags")

    def __init__(self, name: str | None, tags: Tags, around: Named | None, by: object) -> None:
        #: The feature that the cost is booked on.
        self.label = name
        self.tags = tags
        self.around = around
        self.by = by


_NONE: Final = Named(None, (), None, None)
_CURRENT: Final[ContextVar[Named]] = ContextVar("cacheplan.label", default=_NONE)


def current() -> Named:
    """Return what holds here."""
    return _CURRENT.get()


def tags_of(given: Mapping[str, Any]) -> Tags:
    """Return tags as they are kept: by name, each a word."""
    for name, word in given.items():
        if not isinstance(word, str):
            raise TypeError(f"the tag {name} is {type(word).__name__}, not text")
    return tuple(sorted(given.items()))


class label:  # noqa: N801 -- used as a word of the language, like ``contextlib.suppress``
    """Put a label, and tags, on the calls that are made inside.

    The inner of two labels holds; tags add up, and of two of one name the inner one holds.
    ``label(customer="acme")`` adds a tag to whatever label there is. As a decorator it takes
    functions, coroutines and generators of either kind; a generator's label holds while it
    runs, not while it waits to be asked for more.

    A label that a middleware or a call was given itself goes before this one.
    """

    def __init__(self, name: str | None = None, /, **tags: str) -> None:
        if name is not None and not isinstance(name, str):
            raise TypeError(f"a label is text, not {type(name).__name__}; write @label(...)")
        self._name = name
        self._tags = tags_of(tags)

    def __enter__(self) -> Self:
        """Begin; one object may be entered any number of times, in any number of threads."""
        around = _CURRENT.get()
        tags = tuple(sorted({**dict(around.tags), **dict(self._tags)}.items()))
        name = around.label if self._name is None else self._name
        _CURRENT.set(Named(name, tags, around, self))
        return self

    def __exit__(self, *_: object) -> None:
        """End, and whatever was left open inside with it.

        Where a framework ends a block in another context than it began it, there is nothing
        of ours to end.
        """
        found: Named | None = _CURRENT.get()
        while found is not None:
            if found.by is self:
                _CURRENT.set(found.around or _NONE)
                return
            found = found.around

    def __call__(self, function: _Function) -> _Function:
        """Have a function always run inside."""
        if isinstance(function, type) or not callable(function):
            raise TypeError("a label goes around functions, not around classes or values")
        if inspect.isasyncgenfunction(function):
            made: Any = self._pulled(function)
        elif inspect.iscoroutinefunction(function):
            made = self._awaited(function)
        elif inspect.isgeneratorfunction(function):
            made = self._yielded(function)
        else:
            made = self._called(function)
        return cast("_Function", functools.wraps(function)(made))

    def _called(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Turn a plain function."""

        def inside(*arguments: Any, **named: Any) -> Any:
            with self:
                return function(*arguments, **named)

        return inside

    def _awaited(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Turn a coroutine function."""

        async def inside(*arguments: Any, **named: Any) -> Any:
            with self:
                return await function(*arguments, **named)

        return inside

    def _yielded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Turn a generator function; what it yields to runs outside."""

        def inside(*arguments: Any, **named: Any) -> Generator[Any, Any, Any]:
            running = function(*arguments, **named)
            step, given = running.send, None
            try:
                while True:
                    try:
                        with self:
                            made = step(given)
                    except StopIteration as end:
                        return end.value
                    try:
                        step, given = running.send, (yield made)
                    except GeneratorExit:
                        raise
                    except BaseException as error:  # noqa: BLE001 -- it is the generator's own
                        step, given = running.throw, error
            finally:
                with self:
                    running.close()

        return inside

    def _pulled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Turn an async generator function likewise."""

        async def inside(*arguments: Any, **named: Any) -> AsyncGenerator[Any, Any]:
            running = function(*arguments, **named)
            step, given = running.asend, None
            try:
                while True:
                    try:
                        with self:
                            made = await step(given)
                    except StopAsyncIteration:
                        return
                    try:
                        step, given = running.asend, (yield made)
                    except GeneratorExit:
                        raise
                    except BaseException as error:  # noqa: BLE001 -- it is the generator's own
                        step, given = running.athrow, error
            finally:
                with self:
                    await running.aclose()

        return inside
