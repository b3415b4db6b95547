"""Every call of an HTTP client, marked on its way out: for SDKs without middleware.

    http = httpx.Client(transport=Transport(httpx.HTTPTransport(), plan))
    client = anthropic.Anthropic(http_client=http)            # older than 0.108

A transport sees bytes, so a body is read from JSON and written back where marks were added;
and it sees them last, so bodies that are signed already go through untouched. It serves
httpx and httpx2, blocking or not, by whatever it is wrapped around.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Self, Unpack

import msgspec

from cacheplan.io.driver import Flight
from cacheplan.io.driving import Driving, Options
from cacheplan.plan import Plan

__all__ = ["Transport"]


class Transport(Driving):
    """Marks what passes on the way to another transport; its arguments are ``Middleware``'s."""

    def __init__(self, inner: Any, plan: Plan | None = None, **options: Unpack[Options]) -> None:
        super().__init__(plan, **options)
        self._inner = inner

    def handle_request(self, request: Any) -> Any:
        """Send one request."""
        flight = self._begin(request)
        if flight is None:
            return self._inner.handle_request(request)
        try:
            response = self._inner.handle_request(self._sent(request, flight))
            if flight.doubtful(response) and flight.refused(response.read()):
                response = self._inner.handle_request(request)
        except BaseException as error:
            flight.failed(error)
            raise
        response.request = request
        flight.arrived(response)
        return response

    async def handle_async_request(self, request: Any) -> Any:
        """Send one request of a client that does not block."""
        flight = self._begin(request)
        if flight is None:
            return await self._inner.handle_async_request(request)
        try:
            response = await self._inner.handle_async_request(self._sent(request, flight))
            if flight.doubtful(response) and flight.refused(await response.aread()):
                response = await self._inner.handle_async_request(request)
        except BaseException as error:
            flight.failed(error)
            raise
        response.request = request
        flight.arrived(response)
        return response

    def _begin(self, request: Any) -> Flight | None:
        """Take a call on its way out; nothing that goes wrong here may stop it."""
        try:
            if request.headers.get("authorization", "").startswith("AWS4-"):
                return None  # Signed as it is.
            body = None
            if request.method == "POST" and "/messages" in request.url.path:
                body = msgspec.json.decode(request.content)
            return self.driver.begin(
                request.method, str(request.url), body, self.origin, _attempt(request)
            )
        except msgspec.DecodeError:
            return None  # The service will say what is wrong with it.
        except Exception as error:  # noqa: BLE001 -- fail open
            self.driver.fault("reading a call", error)
            return None

    def _sent(self, request: Any, flight: Flight) -> Any:
        """Return the request with the body that goes out."""
        if not flight.changed:
            return request
        try:
            headers = request.headers.copy()
            del headers["content-length"]
            library = sys.modules[type(request).__module__.partition(".")[0]]
            return library.Request(
                request.method,
                request.url,
                headers=headers,
                content=msgspec.json.encode(flight.body),
                extensions=request.extensions,
            )
        except Exception as error:  # noqa: BLE001 -- fail open
            self.driver.fault("writing a call", error)
            flight.withdraw()
            return request

    def close(self) -> None:
        """Close what this stands before."""
        self._inner.close()

    async def aclose(self) -> None:
        """Close what this stands before."""
        await self._inner.aclose()

    def __enter__(self) -> Self:
        """Open what this stands before."""
        self._inner.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close what this stands before."""
        self._inner.__exit__(kind, error, traceback)

    async def __aenter__(self) -> Self:
        """Open what this stands before."""
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close what this stands before."""
        await self._inner.__aexit__(kind, error, traceback)


def _attempt(request: Any) -> tuple[int, str | None]:
    """Return how often a call was tried before, and its name, if the SDK says so."""
    tries = request.headers.get("x-stainless-retry-count", "0")
    return (int(tries) if tries.isdigit() else 0), request.headers.get("idempotency-key")
