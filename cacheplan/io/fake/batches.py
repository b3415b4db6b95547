"""Message Batches: created, processed when the clock says so, and handed out as lines.

Limits and words of states are those of the batch pages (Claude docs, 2026-08-22) and of
the SDK's types (anthropic 2.12.0). Everything in a batch is served at the moment it ends,
one after the other, so that each can read what those before it wrote.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from cacheplan.envelopes import Envelope
from cacheplan.io.fake.exchange import Refusal
from cacheplan.io.fake.messages import Messages, Said

__all__ = ["LARGEST", "Batches", "Note"]

#: Bytes and requests that a batch may have.
LARGEST: Final = 256 << 20
_MOST: Final = 100_000
_EXPIRES: Final = 24 * 3600.0
#: How long results are kept, from the creation on.
_KEPT: Final = 29 * 24 * 3600.0
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
#: How many batches a list shows at a time, unless asked for more.
_PAGE: Final = 20

#: Told of each request of a batch when it was processed: its body, where and when, and
#: what came of it.
Note = Callable[[Any, Envelope, Said | Refusal], None]


@dataclass(slots=True, kw_only=True)
class _Batch:
    """One batch; its requests are let go of when it ends."""

    id: str
    requests: list[Mapping[str, Any]]
    envelope: Envelope
    created: float
    due: float
    origin: str
    cancelled: float | None = None
    ended: float | None = None
    results: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0

    @property
    def ends(self) -> float:
        """When it ends at the latest."""
        return min(self.due, self.created + _EXPIRES)


class Batches:
    """Every batch, by the order of creation."""

    def __init__(self, messages: Messages, note: Note, seconds: float) -> None:
        self.seconds = seconds
        self._messages = messages
        self._note = note
        self._batches: dict[str, _Batch] = {}
        self._made = 0

    def create(self, body: Any, envelope: Envelope, origin: str) -> dict[str, Any] | Refusal:
        """Take a batch; its requests are looked at when they are processed."""
        requests = body.get("requests") if isinstance(body, Mapping) else None
        fault = next(_faults(requests), "")
        if fault or not isinstance(requests, list):
            return Refusal(400, fault)
        at = envelope.at or 0.0
        self._made += 1
        batch = _Batch(
            id=f"msgbatch_{self._made:024d}",
            requests=requests,
            envelope=envelope._replace(surface="batch"),
            created=at,
            due=at + self.seconds,
            origin=origin,
            count=len(requests),
        )
        self._batches[batch.id] = batch
        return _shown(batch, at)

    def settle(self, at: float) -> None:
        """Process what is due."""
        due = [one for one in self._batches.values() if one.ended is None and one.ends <= at]
        for batch in sorted(due, key=lambda one: one.ends):
            self._process(batch)

    def finish(self, at: float) -> None:
        """Process everything now."""
        for batch in self._batches.values():
            batch.due = min(batch.due, at)
        self.settle(at)

    def _process(self, batch: _Batch) -> None:
        """Answer every request of a batch, or none where it came to its end otherwise."""
        batch.ended = batch.ends
        otherwise = "canceled" if batch.cancelled is not None else ""
        otherwise = otherwise or ("expired" if batch.due > batch.ends else "")
        envelope = batch.envelope._replace(at=batch.ended)
        for request in batch.requests:
            result = {"type": otherwise} if otherwise else self._answer(request, envelope)
            batch.results.append({"custom_id": request["custom_id"], "result": result})
        batch.requests = []

    def _answer(self, request: Mapping[str, Any], envelope: Envelope) -> dict[str, Any]:
        """Answer one request."""
        body = request["params"]
        done = self._messages.create(body, envelope, first_token_after=0.0)
        self._note(body, envelope, done)
        if isinstance(done, Refusal):
            return {"type": "errored", "error": done.body("")}
        return {"type": "succeeded", "message": done.message}

    def _find(self, name: str, envelope: Envelope) -> _Batch | Refusal:
        """Find a batch of the workspace that asks."""
        found = self._batches.get(name)
        if found is None or found.envelope.workspace != envelope.workspace:
            return Refusal(404, f"Message Batch with ID '{name}' not found.")
        return found

    def retrieve(self, name: str, envelope: Envelope) -> dict[str, Any] | Refusal:
        """Show one batch."""
        found = self._find(name, envelope)
        return found if isinstance(found, Refusal) else _shown(found, envelope.at or 0.0)

    def results(self, name: str, envelope: Envelope) -> list[dict[str, Any]] | Refusal:
        """Return a batch's results, the last first: no order is promised."""
        found = self._find(name, envelope)
        if isinstance(found, Refusal):
            return found
        if _shown(found, envelope.at or 0.0)["results_url"] is None:
            return Refusal(404, f"Message Batch '{name}' has no results: none yet, or no more.")
        return found.results[::-1]

    def cancel(self, name: str, envelope: Envelope) -> dict[str, Any] | Refusal:
        """Have a batch end before it is processed."""
        found = self._find(name, envelope)
        if isinstance(found, Refusal):
            return found
        if found.ended is not None:
            return Refusal(400, f"Message Batch '{name}' has ended and cannot be canceled.")
        found.cancelled = found.due = envelope.at or 0.0
        return _shown(found, found.cancelled)

    def delete(self, name: str, envelope: Envelope) -> dict[str, Any] | Refusal:
        """Forget a batch that has ended."""
        found = self._find(name, envelope)
        if isinstance(found, Refusal):
            return found
        if found.ended is None:
            return Refusal(400, f"Message Batch '{name}' is in progress; cancel it first.")
        del self._batches[name]
        return {"id": name, "type": "message_batch_deleted"}

    def list(self, query: Mapping[str, str], envelope: Envelope) -> dict[str, Any] | Refusal:
        """Show a page of batches, the newest first."""
        if not query.get("limit", "1").isdecimal():
            return Refusal(400, "limit: Input should be a valid integer")
        mine = [
            one for one in self._batches.values() if one.envelope.workspace == envelope.workspace
        ][::-1]
        names = [one.id for one in mine]
        limit = int(query.get("limit", _PAGE))
        start, end = 0, len(mine)
        if query.get("after_id") in names:
            start = names.index(query["after_id"]) + 1
        if query.get("before_id") in names:
            end = names.index(query["before_id"])
            start = max(0, end - limit)
        page = mine[start:end][:limit]
        more = start > 0 if "before_id" in query else len(mine) > start + len(page)
        return {
            "data": [_shown(one, envelope.at or 0.0) for one in page],
            "has_more": more,
            "first_id": page[0].id if page else None,
            "last_id": page[-1].id if page else None,
        }


def _faults(requests: Any) -> Iterator[str]:
    """Yield what is wrong with a batch as a whole."""
    if not isinstance(requests, list):
        yield "requests: " + ("Field required" if requests is None else _NO_LIST)
        return
    if not requests:
        yield "requests: List should have at least 1 item after validation, not 0"
    if len(requests) > _MOST:
        found = len(requests)
        yield f"requests: List should have at most {_MOST} items after validation, not {found}"
    seen: set[str] = set()
    for at, request in enumerate(requests):
        for name, sort in (("custom_id", str), ("params", Mapping)):
            if not isinstance(request, Mapping) or not isinstance(request.get(name), sort):
                yield f"requests.{at}.{name}: Field required"
        name = request["custom_id"]
        if not _NAME.fullmatch(name):
            yield f"requests.{at}.custom_id: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'"
        if name in seen:
            yield f"requests.{at}.custom_id: '{name}' stands twice; ids are unique in a batch"
        seen.add(name)


_NO_LIST: Final = "Input should be a valid list"


def _shown(batch: _Batch, at: float) -> dict[str, Any]:
    """Describe a batch as the API does."""
    ended = batch.ended is not None
    kept = at < batch.created + _KEPT
    status = "in_progress" if batch.cancelled is None else "canceling"
    counts = Counter(line["result"]["type"] for line in batch.results)
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": "ended" if ended else status,
        "request_counts": {
            "processing": 0 if ended else batch.count,
            **{name: counts[name] for name in ("succeeded", "errored", "canceled", "expired")},
        },
        "created_at": _moment(batch.created),
        "expires_at": _moment(batch.created + _EXPIRES),
        "ended_at": None if batch.ended is None else _moment(batch.ended),
        "cancel_initiated_at": None if batch.cancelled is None else _moment(batch.cancelled),
        "archived_at": None if kept else _moment(batch.created + _KEPT),
        "results_url": f"{batch.origin}/v1/messages/batches/{batch.id}/results"
        if ended and kept
        else None,
    }


def _moment(at: float) -> str:
    """Write a time as RFC 3339 has it."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
