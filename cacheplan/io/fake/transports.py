"""The imitation as a transport of httpx and httpx2, blocking or not: no socket at all.

One object serves both generations and both colours, told apart by the request that it is
handed. The libraries are not imported before that.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Self

from cacheplan.io.fake.exchange import Answer, Asked

__all__ = ["Transport"]


class Transport:
    """What ``httpx.Client(transport=…)`` and its twins take."""

    def __init__(self, handle: Callable[[Asked], Answer]) -> None:
        self._handle = handle

    def handle_request(self, request: Any) -> Any:
        """Answer a blocking client."""
        library, answer = self._answer(request, request.read())
        return library.Response(
            answer.status,
            headers=dict(answer.headers),
            content=_pieces(answer, library, request),
            request=request,
        )

    async def handle_async_request(self, request: Any) -> Any:
        """Answer a client that does not block."""
        library, answer = self._answer(request, await request.aread())
        return library.Response(
            answer.status,
            headers=dict(answer.headers),
            content=_pieces_later(answer, library, request),
            request=request,
        )

    def _answer(self, request: Any, content: bytes) -> tuple[Any, Answer]:
        """Ask the imitation; return the library whose request it is as well."""
        library = importlib.import_module(type(request).__module__.partition(".")[0])
        asked = Asked.of(request.method, str(request.url), dict(request.headers), content)
        answer = self._handle(asked)
        if answer.broken and not answer.pieces:
            raise library.ReadError("connection reset by the imitation", request=request)
        return library, answer

    def close(self) -> None:
        """Nothing is held open."""

    async def aclose(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> Self:
        """Be entered with the client."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """Be left with the client."""

    async def __aenter__(self) -> Self:
        """Be entered with the client."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """Be left with the client."""


def _pieces(answer: Answer, library: Any, request: Any) -> Iterator[bytes]:
    """Yield an answer's pieces, and break off where it is broken."""
    yield from answer.pieces
    if answer.broken:
        raise library.ReadError("connection reset by the imitation", request=request)


async def _pieces_later(answer: Answer, library: Any, request: Any) -> AsyncIterator[bytes]:
    """Do the same for a client that does not block."""
    for piece in answer.pieces:
        yield piece
    if answer.broken:
        raise library.ReadError("connection reset by the imitation", request=request)
