"""The imitated service: one request in, one answer out, and a note of both.

Pure: the time comes in with the request, and an answer says how long it takes. Nothing
here is locked, so whoever calls it from several threads does it one at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from cacheplan import facts
from cacheplan.conversations import complaint
from cacheplan.envelopes import Envelope
from cacheplan.errors import InputError
from cacheplan.io.fake.accounts import Account, Accounts
from cacheplan.io.fake.asking import LARGEST as LARGEST_BODY
from cacheplan.io.fake.asking import identified
from cacheplan.io.fake.batches import LARGEST, Batches
from cacheplan.io.fake.events import events, frames, server_sent
from cacheplan.io.fake.exchange import Answer, Asked, Received, Refusal, answered, encode
from cacheplan.io.fake.limits import Limits
from cacheplan.io.fake.messages import Messages, Said
from cacheplan.io.fake.routes import Operation, Route, route
from cacheplan.io.fake.troubles import Trouble, Troubles, refusal_of
from cacheplan.strict_json import value
from cacheplan.usage import Usage

__all__ = ["Service"]


class _Outcome(NamedTuple):
    """What came of a request."""

    document: Any
    status: int = 200
    usage: Usage | None = None
    streamed: bool = False
    #: True for documents in lines.
    lines: bool = False
    headers: Mapping[str, str] = {}
    #: True for a prompt, answered or not.
    prompt: bool = False
    #: The prompt in full, where only its newest part was sent.
    whole: Any = None
    #: How long it takes.
    seconds: float = 0.0


class _Task(NamedTuple):
    """A request that was understood."""

    asked: Asked
    route: Route
    #: Decoded, and with its model wherever that stood.
    body: Any
    envelope: Envelope


class Service:
    """Everything the imitation remembers."""

    def __init__(
        self,
        messages: Messages,
        *,
        platform: str = "anthropic",
        first_token_after: float = 1.0,
        batch_seconds: float = 0.0,
        workspaces: Mapping[str, str] | None = None,
        keep: int | None = None,
    ) -> None:
        self.messages = messages
        self.batches = Batches(messages, self._note, batch_seconds)
        self.limits = Limits()
        self.accounts = Accounts(messages.sheet)
        self.troubles = Troubles()
        self.first_token_after = first_token_after
        self.received: deque[Received] = deque(maxlen=keep)
        self._platform = platform
        self._workspaces = {_hashed(key): name for key, name in (workspaces or {}).items()}
        self._count = 0
        self._operations: dict[Operation, Callable[[_Task], _Outcome | Refusal]] = {
            "create": self._create,
            "count": self._count_tokens,
            "model-list": _list_models,
            "model-retrieve": _describe_model,
            "batch-create": self._create_batch,
            "batch-list": self._list_batches,
            "batch-retrieve": self._on_batch(self.batches.retrieve),
            "batch-cancel": self._on_batch(self.batches.cancel),
            "batch-delete": self._on_batch(self.batches.delete),
            "batch-results": self._results,
            "usage-old": self._account("usage-old"),
            "cost-old": self._account("cost-old"),
            "usage-new": self._account("usage-new"),
            "cost-new": self._account("cost-new"),
        }

    def answer(self, asked: Asked, at: float) -> tuple[Answer, float]:
        """Answer one request; return also how many seconds that takes on the clock."""
        self.batches.settle(at)
        number, self._count = self._count, self._count + 1
        found = route(asked.method, asked.path, self._platform)
        body: Any = None
        trouble = self.troubles.next(asked.path)
        outcome: _Outcome | Refusal
        if trouble is not None and trouble.status is not None:
            body = _decoded(asked.content)
            outcome = refusal_of(trouble)
        elif found is None:
            outcome = Refusal(404, "Not Found")
        else:
            body, outcome = self._attend(asked, found, at)
        ticket = f"req_{number:024d}"
        if isinstance(outcome, Refusal):
            outcome = _Outcome(
                outcome.body(ticket), outcome.status, headers=outcome.headers, prompt=_asks(found)
            )
        platform = found.platform if found else self._platform
        envelope = Envelope(platform, "messages", self._workspace(asked), at)
        self._record(asked, body, envelope, outcome, self.first_token_after)
        return _broken(_rendered(outcome, found, ticket), trouble), outcome.seconds

    def _record(
        self, asked: Asked, body: Any, envelope: Envelope, outcome: _Outcome, after: float
    ) -> None:
        """Keep what came in and what went out."""
        received = Received(
            number=self._count - 1,
            at=envelope.at or 0.0,
            method=asked.method,
            path=asked.path,
            headers=asked.shown(),
            body=body,
            status=outcome.status,
            answer=outcome.document,
            prompt=outcome.prompt,
            usage=outcome.usage,
            platform=envelope.platform,
            surface=envelope.surface,
            workspace=envelope.workspace,
            first_token_after=after,
            whole=outcome.whole,
        )
        self.received.append(received)

    def _note(self, body: Any, envelope: Envelope, done: Said | Refusal) -> None:
        """Keep what came of a prompt in a batch."""
        self._count += 1
        if isinstance(done, Refusal):
            outcome = _Outcome(done.body(""), done.status, prompt=True)
        else:
            outcome = _Outcome(done.message, usage=done.usage, prompt=True)
        asked = Asked("POST", "/v1/messages/batches", {}, {}, b"")
        self._record(asked, body, envelope, outcome, 0.0)

    def _attend(self, asked: Asked, found: Route, at: float) -> tuple[Any, _Outcome | Refusal]:
        """Do what a request asks for; return its body, decoded, with what came of it."""
        largest = LARGEST if found.operation == "batch-create" else LARGEST_BODY
        refusal = identified(asked, found.platform, largest)
        if refusal is not None:
            return _decoded(asked.content), refusal
        body = None
        if asked.method == "POST" and found.operation not in _BARE:
            try:
                body = value(asked.content)
            except InputError as error:
                return None, Refusal(400, f"The request body is not valid JSON: {complaint(error)}")
        if found.name and isinstance(body, dict):
            body = {**body, "model": found.name}
        envelope = Envelope(found.platform, "messages", self._workspace(asked), at)
        return body, self._operations[found.operation](_Task(asked, found, body, envelope))

    def _count_tokens(self, task: _Task) -> _Outcome | Refusal:
        """Count the tokens of a prompt."""
        counted = self.messages.count(task.body, task.envelope)
        return counted if isinstance(counted, Refusal) else _Outcome({"input_tokens": counted})

    def _create(self, task: _Task) -> _Outcome | Refusal:
        """Answer a prompt."""
        body, streamed = task.body, task.route.streamed
        if streamed is None:
            streamed = isinstance(body, dict) and body.get("stream") is True
        at, workspace = task.envelope.at or 0.0, task.envelope.workspace
        refusal = self.limits.refuse(workspace, at)
        if refusal is not None:
            return refusal
        done = self.messages.create(body, task.envelope, self.first_token_after)
        if isinstance(done, Refusal):
            return done
        self.limits.spend(workspace, done.usage, at)
        headers = self.limits.headers(workspace, at)
        if task.envelope.platform == "bedrock":
            headers |= _counts(done)
        return _Outcome(
            done.message,
            usage=done.usage,
            streamed=streamed,
            headers=headers,
            prompt=True,
            whole=done.body,
            seconds=self.first_token_after * done.rounds,
        )

    def _create_batch(self, task: _Task) -> _Outcome | Refusal:
        """Take a batch, where there are any."""
        platform = facts.PLATFORMS.get(task.envelope.platform)
        if platform is not None and not platform.batch:
            return Refusal(404, "Not Found")
        made = self.batches.create(task.body, task.envelope, task.asked.origin)
        return made if isinstance(made, Refusal) else _Outcome(made)

    def _list_batches(self, task: _Task) -> _Outcome | Refusal:
        """Show a page of batches."""
        found = self.batches.list(task.asked.query, task.envelope)
        return found if isinstance(found, Refusal) else _Outcome(found)

    def _on_batch(
        self, act: Callable[[str, Envelope], dict[str, Any] | Refusal]
    ) -> Callable[[_Task], _Outcome | Refusal]:
        """Have something done to the batch that a path names."""

        def done(task: _Task) -> _Outcome | Refusal:
            found = act(task.route.name, task.envelope)
            return found if isinstance(found, Refusal) else _Outcome(found)

        return done

    def _account(self, account: Account) -> Callable[[_Task], _Outcome | Refusal]:
        """Have one of the Admin API's reports answer."""

        def done(task: _Task) -> _Outcome | Refusal:
            at = task.envelope.at or 0.0
            found = self.accounts.answer(account, task.asked, self.received, at)
            return found if isinstance(found, Refusal) else _Outcome(found)

        return done

    def _results(self, task: _Task) -> _Outcome | Refusal:
        """Hand out the results of a batch, a line each."""
        found = self.batches.results(task.route.name, task.envelope)
        return found if isinstance(found, Refusal) else _Outcome(found, lines=True)

    def _workspace(self, asked: Asked) -> str:
        """Name the workspace of who asks: that of the key, of the header, or the default."""
        headers = asked.headers
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        key = headers.get("x-api-key") or headers.get("api-key") or bearer
        named = headers.get("anthropic-workspace-id") or "default"
        return self._workspaces.get(_hashed(key), named)


def _hashed(key: str) -> bytes:
    """Return what tells keys apart without being one."""
    return blake2b(key.encode(), digest_size=16).digest()


def _decoded(content: bytes) -> Any:
    """Return what was sent to where nobody read it, for the record."""
    try:
        return value(content)
    except InputError:
        return None


def _asks(found: Route | None) -> bool:
    """Tell whether a route takes a prompt."""
    return found is not None and found.operation == "create"


def _rendered(outcome: _Outcome, found: Route | None, ticket: str) -> Answer:
    """Write an outcome as the platform does."""
    headers = {"request-id": ticket, **outcome.headers}
    amazon = found is not None and found.platform == "bedrock" and bool(found.name)
    if outcome.status != _DONE and amazon:
        error = outcome.document["error"]
        headers["x-amzn-errortype"] = _AMAZON.get(outcome.status, "ValidationException")
        return answered(outcome.status, {"message": error["message"]}, headers)
    if outcome.lines:
        headers["content-type"] = "application/x-jsonl"
        lines = b"".join(encode(line) + b"\n" for line in outcome.document)
        return Answer(_DONE, headers, (lines,))
    if not outcome.streamed:
        return answered(outcome.status, outcome.document, headers)
    if amazon:
        headers["content-type"] = "application/vnd.amazon.eventstream"
        return Answer(_DONE, headers, frames(events(outcome.document)))
    headers["content-type"] = "text/event-stream; charset=utf-8"
    return Answer(_DONE, headers, server_sent(events(outcome.document)))


_DONE: Final = 200
#: What is posted without a body.
_BARE: Final[frozenset[Operation]] = frozenset({"batch-cancel"})
#: What Bedrock calls its errors (AWS API reference, InvokeModel, 2026-09).
_AMAZON: Final = {
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    500: "InternalServerException",
    529: "ServiceUnavailableException",
}


def _broken(answer: Answer, trouble: Trouble | None) -> Answer:
    """Lose the rest of an answer on the way."""
    if trouble is None or trouble.status is not None:
        return answer
    kept = answer.pieces[: trouble.after] if len(answer.pieces) > 1 else ()
    return answer._replace(pieces=kept, broken=True)


def _counts(done: Said) -> dict[str, str]:
    """Return the headers in which Bedrock counts (AWS user guide, 2026-09)."""
    used = done.usage
    return {
        "x-amzn-bedrock-input-token-count": str(used.uncached),
        "x-amzn-bedrock-output-token-count": str(used.output),
        "x-amzn-bedrock-cache-read-input-token-count": str(used.read),
        "x-amzn-bedrock-cache-write-input-token-count": str(used.written),
    }


def _list_models(task: _Task) -> _Outcome:
    """List the models that are there."""
    at = task.envelope.at or 0.0
    rows = [
        _row(model)
        for model in facts.MODELS
        if not model.retired or at < facts.moment(model.retired)
    ]
    ends = {"first_id": rows[0]["id"], "last_id": rows[-1]["id"]}
    return _Outcome({"data": rows, "has_more": False, **ends})


def _describe_model(task: _Task) -> _Outcome | Refusal:
    """Describe one model."""
    name = task.route.name
    found = facts.find(name)
    return Refusal(404, f"model: {name}") if found is None else _Outcome(_row(found.model))


def _row(model: facts.Model) -> dict[str, Any]:
    """Describe a model as the API does."""
    words = model.id.split("-")
    return {
        "type": "model",
        "id": model.id,
        "display_name": " ".join(words[:2]).title() + " " + ".".join(words[2:4]),
        "created_at": f"{model.released or '2026-01-01'}T00:00:00Z",
        "max_input_tokens": model.context,
        "max_tokens": model.max_output,
    }
