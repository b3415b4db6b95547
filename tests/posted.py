"""A folder of batches, the imitated service, and processes that die at a step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anthropic
from batched import call, write

from cacheplan.assumptions import Assumptions
from cacheplan.io.batches import Ways, build
from cacheplan.io.collecting import Collected, collect
from cacheplan.io.database import opened
from cacheplan.io.outbox import Outbox
from cacheplan.io.sending import Clock, Sender
from cacheplan.prices import Sheet
from cacheplan.testing import FakeAnthropic

__all__ = ["CALLS", "KilledError", "Post", "built"]

#: Three files with one request that goes first, and three in each of the others.
CALLS = 7


class KilledError(BaseException):
    """Stands for the end of a process: nothing catches it."""


def built(folder: Path, calls: int = CALLS, **ways: Any) -> Path:
    """Build some calls, three to a file."""
    source = write(folder / "calls.jsonl", [call(number) for number in range(calls)])
    assume = Assumptions(batch_hit_rate=0.98)
    known = Ways(sheet=Sheet.default(), assume=assume, most=3, seeded=True, **ways)
    build([source], folder / "out", known, 1_793_610_000.0, print)
    return folder / "out"


@dataclass(kw_only=True)
class Post:
    """One user who submits and collects, with a clock of their own."""

    folder: Path
    fake: FakeAnthropic
    now: float = 0.0
    #: Whether the service has an address, as other processes need it.
    listening: bool = False
    #: What is done while they wait, beside waiting.
    meanwhile: Callable[[], None] = lambda: None
    steps: list[str] = field(default_factory=list)

    @contextmanager
    def _client(self) -> Iterator[anthropic.Anthropic]:
        way: Any = {"base_url": self.fake.url} if self.listening else {}
        if not self.listening:
            way["http_client"] = anthropic.DefaultHttpxClient(transport=self.fake.transport())
        with anthropic.Anthropic(api_key="any", max_retries=0, **way) as client:
            yield client

    def _watch(self, die: int | None) -> Callable[[str], None]:
        """Return what hears the steps and ends the process before one of them."""
        self.steps = []

        def hear(step: str) -> None:
            if die is not None and len(self.steps) == die:
                raise KilledError(step)
            self.steps.append(step)

        return hear

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
        self.fake.sleep(seconds)
        self.meanwhile()

    def submit(self, *, die: int | None = None, settle: float = 0.0, **how: Any) -> list[str]:
        """Submit as a process of its own would; ``die`` before a step."""
        wait = how.pop("wait", False)
        clock = Clock(lambda: self.now, self._sleep)
        with Outbox(self.folder) as outbox, self._client() as client:
            sender = Sender(outbox, client, clock, settle=settle, watch=self._watch(die), **how)
            return sender.submit(wait=wait)

    def collect(self, *, die: int | None = None, ledger: bool = True) -> Collected:
        """Collect, likewise."""
        hear = self._watch(die)
        clock = Clock(lambda: self.now, self._sleep)
        with Outbox(self.folder) as outbox, self._client() as client:
            sender = Sender(outbox, client, clock, settle=0.0, watch=hear)
            return collect(
                outbox,
                client,
                sender,
                str(self.results),
                ledger=str(self.ledger) if ledger else None,
                again=str(self.again),
                watch=hear,
            )

    @property
    def results(self) -> Path:
        """Where results are written."""
        return self.folder.parent / "results.jsonl"

    @property
    def again(self) -> Path:
        """Where calls are written that were not answered."""
        return self.folder.parent / "again.jsonl"

    @property
    def ledger(self) -> Path:
        """Where they are booked."""
        return self.folder.parent / "ledger.sqlite"

    def states(self) -> list[str]:
        """Return how far each file has come."""
        outbox = Outbox(self.folder)
        states = [file.state for file in outbox.files()]
        outbox.close()
        return states

    def sent(self) -> Counter[str]:
        """Count how often the service took each request."""
        return Counter(
            request["custom_id"]
            for one in self.fake.received
            if (one.method, one.path, one.status) == ("POST", "/v1/messages/batches", 200)
            and not one.prompt
            for request in one.body["requests"]
        )

    def booked(self) -> int:
        """Count the calls in the ledger, and see that none is there twice."""
        if not self.ledger.exists():
            return 0
        connection = opened(self.ledger)
        messages = [row[0] for row in connection.execute("SELECT message FROM calls")]
        connection.close()
        assert len(set(messages)) == len(messages)
        return len(messages)
