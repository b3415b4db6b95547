"""``FakeAnthropic``: the imitated service with a clock, a lock, and two ways in."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from cacheplan.assumptions import Assumptions
from cacheplan.io.counting import default_counter
from cacheplan.io.fake.exchange import Answer, Asked, Received
from cacheplan.io.fake.listening import Listener
from cacheplan.io.fake.messages import Messages
from cacheplan.io.fake.replies import Content, Reply
from cacheplan.io.fake.service import Service
from cacheplan.io.fake.transports import Transport
from cacheplan.io.fake.troubles import Trouble
from cacheplan.prices import Sheet
from cacheplan.records import Intake
from cacheplan.tokens import TokenCounter
from cacheplan.workload import Workload

__all__ = ["FakeAnthropic"]

#: 2026-11-02, 09:00 UTC, a Monday: after every rule here came into force, and before the
#: next model is retired.
_START: Final = 1_793_610_000.0
#: Seconds until the next attempt. At 0 the SDK waits half a second or more of its own
#: accord, and a test with it.
_SOON: Final = 0.001
_TOO_MANY: Final = 429
#: From this status on it is the service's fault.
_OURS: Final = 500


class FakeAnthropic:
    """The Messages API for tests, with a clock of its own.

    Used as a context, it listens at ``url`` until it is left; ``transport()`` needs
    neither. What a prompt is charged is what ``cacheplan simulate`` says of the same calls.

    ``platform`` is who the service is taken to be where the path does not say so.
    ``workspaces`` maps API keys to names; keys without one share the workspace
    ``default``. A call takes ``first_token_after`` seconds of the clock, ``batch_seconds``
    pass between the creation of a batch and its end. ``keep`` bounds memory to the newest
    so many calls. ``strict=False`` takes conversations that make no sense, and members of
    a body that nobody knows. ``clock`` replaces the clock with another.
    """

    def __init__(  # noqa: PLR0913 -- each is by keyword and has a default
        self,
        *,
        platform: str = "anthropic",
        workspaces: Mapping[str, str] | None = None,
        start: float = _START,
        clock: Callable[[], float] | None = None,
        first_token_after: float = 1.0,
        batch_seconds: float = 0.0,
        counter: TokenCounter | None = None,
        sheet: Sheet | None = None,
        assume: Assumptions | None = None,
        strict: bool = True,
        keep: int | None = None,
    ) -> None:
        self._assume = assume or Assumptions()
        self._given = counter
        messages = Messages(
            self._counter, sheet or Sheet.default(), self._assume, strict=strict, keep=keep
        )
        self._service = Service(
            messages,
            platform=platform,
            first_token_after=first_token_after,
            batch_seconds=batch_seconds,
            workspaces=workspaces,
            keep=keep,
        )
        self._clock = clock
        self._now = start
        self._held = False
        self._lock = threading.RLock()
        self._listener: Listener | None = None

    def _counter(self) -> TokenCounter:
        """Return who counts: the one that was given, or a fresh one."""
        return self._given or default_counter(self._assume)

    def __enter__(self) -> Self:
        """Begin to listen."""
        if self._listener is None:
            self._listener = Listener(self.handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening."""
        self.close()

    def close(self) -> None:
        """Stop listening; what was received can still be asked for."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

    @property
    def url(self) -> str:
        """The address to give a client as ``base_url``."""
        if self._listener is None:
            raise RuntimeError("it listens only inside `with FakeAnthropic() as fake:`")
        return self._listener.url

    def transport(self) -> Any:
        """Return a transport for clients of httpx and httpx2, blocking or not."""
        return Transport(self.handle)

    def handle(self, asked: Asked) -> Answer:
        """Answer one request at the clock's time, which a prompt moves on."""
        with self._lock:
            answer, takes = self._service.answer(asked, self.now)
            if not self._held:
                self._now += takes
        return answer

    # The clock.

    @property
    def now(self) -> float:
        """The time here, in seconds since 1970."""
        return self._now if self._clock is None else self._clock()

    def clock(self) -> float:
        """Return the time here, for whoever takes a clock as a function."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass here; nobody waits."""
        if seconds < 0:
            raise ValueError("time does not run backwards")
        if self._clock is not None:
            raise RuntimeError("this clock is not ours to move")
        with self._lock:
            self._now += seconds

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Have calls in here start at one moment, so that none reads what another writes."""
        with self._lock:
            self._held = True
        try:
            yield
        finally:
            with self._lock:
                self._held = False
                self._now += self._service.first_token_after

    # What it answers.

    def say(
        self,
        content: Content | Callable[[dict[str, Any]], Content],
        *,
        times: int | None = 1,
        stop_reason: str | None = None,
        usage: Mapping[str, Any] | None = None,
        output_tokens: int | None = None,
    ) -> None:
        """Answer the next call (``times``: how many, ``None``: all) with this.

        Text, a block, blocks, or a function from the body to any of these. ``usage``
        replaces members of what was worked out.
        """
        reply = Reply(
            content=content,
            times=times,
            stop_reason=stop_reason,
            usage=usage or {},
            output_tokens=output_tokens,
        )
        with self._lock:
            self._service.messages.script.add(reply)

    def fail(
        self,
        status: int,
        times: int = 1,
        kind: str = "",
        *,
        message: str = "",
        retry_after: float | None = _SOON,
        path: str = "",
    ) -> None:
        """Refuse the next requests with a status, before anything is read or written.

        ``retry_after`` goes with what the SDK tries again; ``None`` leaves it out.
        """
        headers = {}
        if (status == _TOO_MANY or status >= _OURS) and retry_after is not None:
            headers["retry-after"] = f"{retry_after:g}"
        if status == _TOO_MANY:
            headers |= _LIMITS
        trouble = Trouble(status=status, message=message, kind=kind, headers=headers, path=path)
        with self._lock:
            self._service.troubles.add(trouble, times)

    def reset(self, times: int = 1, *, after: int = 3, path: str = "") -> None:
        """Break the connection: ``after`` so many events of a stream, or before an answer.

        The service has done its work by then: the prompt was read, and is charged.
        """
        with self._lock:
            self._service.troubles.add(Trouble(status=None, after=after, path=path), times)

    def limit(self, *, requests: int | None = None, input_tokens: int | None = None) -> None:
        """Let each workspace send no more than this within a minute of the clock.

        What is read from the cache does not count. ``None`` is no limit.
        """
        sizes = {"requests": requests, "input-tokens": input_tokens}
        with self._lock:
            self._service.limits.set({name: size for name, size in sizes.items() if size})

    def finish_batches(self) -> None:
        """End every batch now."""
        with self._lock:
            self._service.batches.finish(self.now)

    def report(self, kind: str, row: Mapping[str, Any], at: float | None = None) -> None:
        """Have the Admin API's reports of ``usage`` or ``cost`` say this row as well.

        The row is flat, with whatever columns; ``at`` is a moment of its day, now if not said.
        """
        if kind not in ("usage", "cost"):
            raise ValueError(f'"{kind}" is not usage or cost')
        with self._lock:
            self._service.accounts.add(kind, self.now if at is None else at, row)

    # What it received.

    @property
    def received(self) -> list[Received]:
        """Every request, in order."""
        with self._lock:
            return list(self._service.received)

    @property
    def calls(self) -> list[Received]:
        """Every prompt, in order, refused ones included."""
        return [one for one in self.received if one.prompt]

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The bodies of all calls, as they came over the wire."""
        return [call.body for call in self.calls]

    def lines(self) -> list[dict[str, Any]]:
        """Return the calls that were answered, as lines of a workload file."""
        return [call.line() for call in self.calls if call.usage is not None]

    def workload(self) -> Workload:
        """Return the calls that were answered, as a workload."""
        intake = Intake(self._counter(), self._assume)
        for line in self.lines():
            intake.add(json.dumps(line).encode())
        return intake.workload()

    def save(self, path: str | Path) -> None:
        """Write the calls that were answered into a workload file."""
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in self.lines())
        Path(path).write_text(text, encoding="utf-8")


#: What the API says of its limits beside a 429 (Claude docs, rate limits, 2026-08-22).
_LIMITS: Final = {
    "anthropic-ratelimit-requests-limit": "4000",
    "anthropic-ratelimit-requests-remaining": "0",
    "anthropic-ratelimit-input-tokens-limit": "2000000",
    "anthropic-ratelimit-input-tokens-remaining": "0",
    "anthropic-ratelimit-output-tokens-limit": "400000",
    "anthropic-ratelimit-output-tokens-remaining": "400000",
}
