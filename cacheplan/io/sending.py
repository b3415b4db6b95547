"""Request files are sent with the SDK, and none of them twice.

The API has no key that would make the second of two equal batches the first. So what is
about to be sent is written down first, together with the newest batch there was; and where
nobody knows whether a file arrived, the batches made since are looked through. The SDK's
own retries are off for the one request that makes a batch.

What is certain: which batch is ours, once it has ended, because every ``custom_id`` in it
begins with a name drawn for this folder. What is not: whether a batch that is still in
progress is ours, since its ids are not shown; nothing is sent then until it has ended. And
a request that is still on its way when its sender dies may arrive later than the look; so
``SETTLE`` seconds pass before it is taken for lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final, NamedTuple

from cacheplan.errors import InputError
from cacheplan.io.outbox import File, Outbox
from cacheplan.tables import aligned, count

__all__ = ["SETTLE", "Clock", "Sender", "Status", "client_for", "status", "table", "told"]

#: Seconds from the sending of a file after which it has arrived or never will: the SDK
#: gives up on an upload that stands still for ten minutes, but its process is gone then.
SETTLE: Final = 120.0
#: Seconds between two looks at batches.
_PAUSE: Final = 10.0
#: Results that say whose a batch is: one would, if every line were as it should be.
_ENOUGH: Final = 100
#: Answers after which a batch was certainly not made: the request itself was refused.
#: 408 and 409 say that something went wrong underway.
_REFUSED: Final = range(400, 500)
_UNDERWAY: Final = frozenset({408, 409})


class Clock(NamedTuple):
    """Time, handed in: what it is, and how to wait."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


def _quiet(_: str) -> None:
    """Hear what is done, and say nothing."""


def client_for(platform: str) -> Any:
    """Return a client of the SDK; keys and addresses come from the environment."""
    try:
        import anthropic
    except ImportError as error:
        what = "batches are sent with the anthropic package: pip install anthropic"
        raise InputError(what) from error
    name = _CLIENTS[platform]
    if not hasattr(anthropic, name):
        raise InputError(f"this anthropic package has no {name}: pip install -U anthropic")
    with told():
        return getattr(anthropic, name)()


class Sender:
    """Sends the files of one folder.

    ``watch`` hears the name of every step before it is taken; ``resend`` sends again what
    may have arrived.
    """

    def __init__(
        self,
        outbox: Outbox,
        client: Any,
        clock: Clock,
        *,
        settle: float = SETTLE,
        resend: bool = False,
        watch: Callable[[str], None] = _quiet,
    ) -> None:
        self._outbox = outbox
        self._client = client
        self._clock = clock
        self._settle = settle
        self._resend = resend
        self._watch = watch

    def submit(self, *, wait: bool = False) -> list[str]:
        """Send what is to be sent; return what a person should know, in sentences.

        The seeds go first, and the others once these have ended: ``wait`` waits for that.
        """
        said = self.settle()
        for file in self._outbox.files():
            if file.state == "built" and not (said_why := self._held(file, wait=wait)):
                said += self._send(file)
            elif file.state == "built":
                said.append(said_why)
        return list(dict.fromkeys(said))

    def settle(self) -> list[str]:
        """Find out what became of files of which nobody knows whether they arrived."""
        return [why for file in self._outbox.files() if (why := self._settled(file))]

    # --- one file ------------------------------------------------------------------------

    def _held(self, file: File, *, wait: bool) -> str:
        """Say what a file has to wait for; nothing if it can go."""
        if file.seeds:
            return ""
        for seed in self._outbox.files():
            if not seed.seeds or seed.state == "collected":
                continue
            while wait and seed.batch is not None and not self._ended(seed.batch):
                self._clock.sleep(_PAUSE)
            if seed.batch is None or not self._ended(seed.batch):
                return (
                    f"{file.name} waits until {seed.name} has ended, so that it can read what"
                    " that writes: submit again then, or use --wait"
                )
        return ""

    def _ended(self, batch: str) -> bool:
        """Tell whether a batch has ended."""
        with told():
            return bool(self._client.messages.batches.retrieve(batch).processing_status == "ended")

    def _send(self, file: File) -> list[str]:
        """Send one file; what goes wrong underway is looked into at once."""
        import anthropic
        from anthropic.types.messages import MessageBatch

        content = self._outbox.content(file)
        self._watch(f"{file.name}: looking for the newest batch")
        newest = self._newest()
        self._watch(f"{file.name}: writing down that it is about to be sent")
        self._outbox.intend(file, self._clock.now(), newest)
        self._watch(f"{file.name}: sending")
        try:
            # As bytes, so that what was counted is what is sent; tried once.
            made = self._client.with_options(max_retries=0).post(
                "/v1/messages/batches", cast_to=MessageBatch, content=content
            )
        except anthropic.APIStatusError as error:
            status = error.status_code
            if status in _REFUSED and status not in _UNDERWAY:
                self._outbox.withdraw(file)
                raise InputError(f"{file.name} was refused: {_words(error)}") from error
            return self._after(file, f"the API answered {status}")
        except anthropic.APIConnectionError as error:
            return self._after(file, f"the answer was lost ({error})")
        self._watch(f"{file.name}: writing down that it was sent")
        self._outbox.sent(file, made.id, made.created_at.timestamp())
        return []

    def _after(self, file: File, what: str) -> list[str]:
        """Look into a file that may or may not have arrived."""
        (now,) = (one for one in self._outbox.files() if one.number == file.number)
        why = self._settled(now)
        if why:
            return [f"{file.name}: {what}; {why}"]
        (now,) = (one for one in self._outbox.files() if one.number == file.number)
        if now.state == "sent":
            return []
        return [f"{file.name}: {what}, and it did not arrive: submit again"]

    def _newest(self) -> tuple[str, float] | None:
        """Return the newest batch there is."""
        with told():
            page = self._client.messages.batches.list(limit=1)
            return next(((one.id, one.created_at.timestamp()) for one in page.data), None)

    # --- what may have arrived -----------------------------------------------------------

    def _settled(self, file: File) -> str:
        """Find out whether a file arrived; return what stands against knowing it."""
        if file.state != "sending":
            return ""
        while True:
            self._watch(f"{file.name}: looking whether it arrived")
            batch, open_ = self._found(file)
            if batch is not None:
                self._watch(f"{file.name}: writing down that it had arrived")
                self._outbox.sent(file, batch.id, batch.created_at.timestamp())
                return ""
            if self._resend:
                break
            if open_:
                names = ", ".join(open_)
                return (
                    f"{file.name} may have arrived as {names}, which shows its ids only once it"
                    " has ended; nothing is sent again before that (--resend does, and may be"
                    " billed twice)"
                )
            left = (file.intended or 0.0) + self._settle - self._clock.now()
            if left <= 0:
                break
            # It may still be on its way. A look at the end of that time settles it.
            self._clock.sleep(min(left, _PAUSE))
        self._watch(f"{file.name}: writing down that it did not arrive")
        self._outbox.withdraw(file)
        return ""

    def _found(self, file: File) -> tuple[Any, list[str]]:
        """Return the batch that a file became, else those that it may have become."""
        known = {one.batch for one in self._outbox.files()}
        open_ = []
        with told():
            for batch in self._since(file):
                if batch.id in known or _size(batch) != file.requests:
                    continue
                ours = self._ours(batch, file)
                if ours:
                    return batch, []
                if ours is None:
                    open_.append(batch.id)
        return None, open_

    def _since(self, file: File) -> Iterator[Any]:
        """Yield the batches made since a file was about to be sent, the newest first."""
        for batch in self._client.messages.batches.list(limit=100):
            older = file.newest_at is not None and batch.created_at.timestamp() < file.newest_at
            if batch.id == file.newest or older:
                return
            yield batch

    def _ours(self, batch: Any, file: File) -> bool | None:
        """Tell whether a batch is a file of ours; ``None`` where that cannot be seen (yet)."""
        if batch.processing_status != "ended" or batch.results_url is None:
            return None
        results = self._client.messages.batches.results(batch.id)
        try:
            names = {getattr(one, "custom_id", None) for one in islice(results, _ENOUGH)}
        finally:
            results.close()
        if not names:
            return None
        mine = {one.custom_id for one, _, _ in self._outbox.joined() if one.file == file.number}
        return bool(names & mine)


class Status(NamedTuple):
    """One file, and what the API says of its batch."""

    file: File
    #: ``built``, ``sending``, ``collected``, or the API's own word.
    state: str
    #: How many of its requests are in which state.
    counts: dict[str, int]
    expires: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the shape that ``batch status --format json`` prints."""
        return {
            "file": self.file.name,
            "requests": self.file.requests,
            "bytes": self.file.bytes,
            "seeds": self.file.seeds,
            "batch": self.file.batch,
            "state": self.state,
            "counts": self.counts,
            "expires_at": self.expires or None,
        }


#: By platform that has batches: the client that speaks to it.
_CLIENTS: Final = {"anthropic": "Anthropic", "aws": "AnthropicAWS"}
_TRANSPORTS: Final = frozenset({"httpx", "httpx2", "httpcore", "httpcore2"})
_COUNTS: Final = ("processing", "succeeded", "errored", "canceled", "expired")


def status(outbox: Outbox, client: Callable[[], Any]) -> list[Status]:
    """Ask how every batch is doing; ``client`` is made only where there is one to ask of."""
    found = []
    asked: Any = None
    for file in outbox.files():
        if file.batch is None:
            found.append(Status(file, file.state, {}))
            continue
        asked = asked or client()
        with told():
            batch = asked.messages.batches.retrieve(file.batch)
        counts = {name: int(getattr(batch.request_counts, name)) for name in _COUNTS}
        state = "collected" if file.state == "collected" else str(batch.processing_status)
        found.append(Status(file, state, counts, batch.expires_at.isoformat()))
    return found


def table(found: list[Status]) -> str:
    """Lay out how every file is doing."""
    rows = [
        (
            one.file.name,
            one.file.batch or "",
            one.state,
            count(one.file.requests),
            *(count(one.counts[name]) if one.counts else "-" for name in _COUNTS),
        )
        for one in found
    ]
    return aligned(("file", "batch", "state", "requests", *_COUNTS), rows, left=3)


def _size(batch: Any) -> int:
    """Count the requests of a batch."""
    return sum(int(getattr(batch.request_counts, name)) for name in _COUNTS)


@contextmanager
def told() -> Iterator[None]:
    """Say what the API or the SDK has against asking, in a line."""
    import anthropic

    try:
        yield
    except anthropic.APIStatusError as error:
        raise InputError(f"the API says {error.status_code}: {_words(error)}") from error
    except anthropic.APIConnectionError as error:
        raise InputError(f"the API cannot be reached: {error}") from error
    except (anthropic.AnthropicError, TypeError) as error:
        raise InputError(f"the SDK cannot ask: {error}") from error
    except Exception as error:
        # What breaks off while it is read comes from whichever transport the SDK has.
        if type(error).__module__.partition(".")[0] not in _TRANSPORTS:
            raise
        raise InputError(f"the answer broke off: {error}") from error


def _words(error: Any) -> str:
    """Return what the API says to a refused request, without its wrapping."""
    body = error.body
    inner = body.get("error") if isinstance(body, dict) else None
    message = inner.get("message") if isinstance(inner, dict) else None
    return str(message or error.message)
