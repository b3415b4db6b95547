"""Every call of an Anthropic client, marked on its way out and read on its way back.

    client = anthropic.Anthropic(middleware=[cacheplan.Middleware(plan)])

One middleware serves clients of any kind and number, sync and async: the SDK shows it each
attempt at a call before the body is rewritten for a platform and signed. The SDK itself is
imported where a middleware is made, by when the caller has imported it anyway.
"""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any, Self

from cacheplan.errors import CacheplanError
from cacheplan.io.driver import Flight
from cacheplan.io.driving import Driving

__all__ = ["Middleware"]


if TYPE_CHECKING:
    from anthropic import Middleware as _Base
else:
    _Base = object


class Middleware(Driving, _Base):
    """Marks the calls of a client by a plan, or by what it learns from them.

    ``mode`` is ``apply``, ``observe`` (decide and record, and send the body as it came) or
    ``off``; the environment variable ``CACHEPLAN`` overrides it. ``on_existing`` says what
    to do with a body that carries marks: ``respect`` leaves it alone, ``fill`` uses the
    slots that are left, ``replace`` strips it and places anew. ``ledger`` is a file's name,
    or is handed an ``Entry`` for each finished call, ``on_decision`` a ``Decision`` with
    what was billed.
    ``label`` and ``workspace`` are the feature that the cost is booked on, and whose
    entries are shared; ``platform`` is taken from where the answers come from if not said.
    """

    def __new__(cls, *_: object, **__: object) -> Self:
        """Make it one of the SDK's own, which is all that a client accepts."""
        own: Any = cls
        made: Self = object.__new__(_joined(own))
        return made

    def labelled(self, label: str, *, session: str | None = None) -> Self:
        """Return the same middleware for the calls of one feature, or one conversation.

        client.with_options(middleware=[middleware.labelled("triage")])
        """
        twin = copy.copy(self)
        twin.origin = self.origin._replace(label=label, session=session)
        return twin

    def handle(self, request: Any, call_next: Any) -> Any:
        """Send one attempt at a call; the SDK's own hook."""
        flight = self._begin(request)
        if flight is None:
            return call_next(request)
        try:
            response = call_next(self._sent(request, flight))
            if flight.doubtful(response) and flight.refused(response.http_response.read()):
                response = call_next(request)
        except BaseException as error:
            flight.failed(error)
            raise
        flight.arrived(getattr(response, "http_response", None))
        return response

    async def handle_async(self, request: Any, call_next: Any) -> Any:
        """Send one attempt at a call of an async client."""
        flight = self._begin(request)
        if flight is None:
            return await call_next(request)
        try:
            response = await call_next(self._sent(request, flight))
            if flight.doubtful(response) and flight.refused(await response.http_response.aread()):
                response = await call_next(request)
        except BaseException as error:
            flight.failed(error)
            raise
        flight.arrived(getattr(response, "http_response", None))
        return response

    def _begin(self, request: Any) -> Flight | None:
        """Take a call on its way out; nothing that goes wrong here may stop it."""
        try:
            attempt = (request.retries_taken, getattr(request.options, "idempotency_key", None))
            return self.driver.begin(
                request.method, request.url, _whole(request), self.origin, attempt
            )
        except Exception as error:  # noqa: BLE001 -- fail open
            self.driver.fault("reading a call", error)
            return None

    def _sent(self, request: Any, flight: Flight) -> Any:
        """Return the request with the body that goes out.

        ``request.copy`` copies the whole body first, which takes longer than all the rest.
        """
        if not flight.changed:
            return request
        twin = copy.copy(request)
        twin.options = copy.copy(request.options)
        twin.options.json_data = flight.body
        twin.options.extra_json = None
        return twin


def _whole(request: Any) -> Any:
    """Return the body with ``extra_body`` in it, which older versions put in last."""
    body, extra = request.json, getattr(request.options, "extra_json", None)
    return {**body, **extra} if extra and isinstance(body, dict) else body


@functools.cache
def _joined(cls: Any) -> Any:
    """Join a middleware with the SDK's base class, or say what is missing."""
    try:
        from anthropic import Middleware as Base
    except ImportError as error:
        raise CacheplanError(
            "the middleware needs the package anthropic, 0.108 or later: pip install"
            " 'cacheplan[client]'; for an older one there is cacheplan.io.transport"
        ) from error
    if issubclass(cls, Base):
        return cls  # A copy of one that was joined before.
    return type(cls.__name__, (cls, Base), {"__module__": cls.__module__, "__doc__": cls.__doc__})
