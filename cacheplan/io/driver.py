"""What every way of sending a call has in common: mark it, watch its answer, tell of it.

A driver sits between a ``Session``, which knows no clock, and the SDK or a transport, which
know no plan. It fails open: whatever goes wrong here, the call goes out as the caller wrote
it and comes back as the service answered; what went wrong is counted, and said once.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, Literal, NamedTuple

import msgspec

from cacheplan.billing import Answer
from cacheplan.decision import Decision
from cacheplan.entries import Ledger
from cacheplan.errors import InputError
from cacheplan.io.hosts import platform_at
from cacheplan.io.watching import Watch, read_already, taken, watch
from cacheplan.labels import current
from cacheplan.marks import mark, unmark
from cacheplan.session import Origin, Outcome, Session

__all__ = ["SWITCH", "Driver", "Flight", "Mode", "OnDecision"]

#: The environment variable that overrides every ``mode``.
SWITCH: Final = "CACHEPLAN"
_MODES: Final = ("apply", "observe", "off")
Mode = Literal["apply", "observe", "off"]
OnDecision = Callable[[Decision], object]

_MESSAGES: Final = "/v1/messages"
_BATCHES: Final = "/v1/messages/batches"
_RESULTS: Final = "/results"
#: Calls that failed and may be tried again, entries of batches whose results are still to
#: come, and models whose platform is known: as many as are remembered.
_WAITING: Final = 1024
_IN_BATCHES: Final = 100_000
_MODELS: Final = 128
_BAD_REQUEST: Final = 400

_log = logging.getLogger("cacheplan")


class Tracked(NamedTuple):
    """One call of a flight, and its name in a batch."""

    decision: Decision
    body: Any
    name: str | None = None


class Driver:
    """Marks bodies on their way out, and reads usage on its way back."""

    def __init__(
        self,
        session: Session,
        *,
        mode: Mode = "apply",
        ledger: Ledger | None = None,
        on_decision: OnDecision | None = None,
        platform: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.session = session
        #: Whether anybody wants to hear of calls.
        self.heard = session.expecting = ledger is not None or on_decision is not None
        self.mode = _mode(mode)
        #: What went wrong here so far, by where and what; no call failed for it.
        self.faults: Counter[str] = Counter()
        self._ledger = ledger
        self._on_decision = on_decision
        self._platform = platform
        self.clock = clock
        self._lock = threading.Lock()
        self._platforms: OrderedDict[str, str] = OrderedDict()
        self._tries: OrderedDict[str, list[Tracked]] = OrderedDict()
        self._batches: OrderedDict[str, dict[str, Decision]] = OrderedDict()

    def begin(
        self, method: str, url: str, body: Any, origin: Origin, attempt: tuple[int, str | None]
    ) -> Flight | None:
        """Take a call on its way out; ``None`` for what is none of ours, or went wrong here.

        ``attempt`` is how often it was tried before, and a name that all tries share.
        """
        if self.mode == "off":
            return None
        try:
            path = url.partition("?")[0].rstrip("/")
            if method.upper() == "POST":
                if path.endswith(_MESSAGES):
                    return self._one(body, origin, attempt)
                if path.endswith(_BATCHES):
                    return self._many(body, origin, attempt)
            elif path.endswith(_RESULTS) and _BATCHES in path:
                return Flight(self, body, (), results=path.split("/")[-2])
        except Exception as error:  # noqa: BLE001 -- fail open
            self.fault("deciding", error)
        return None

    def _one(self, body: Any, origin: Origin, attempt: tuple[int, str | None]) -> Flight:
        """Prepare a call."""
        calls = self._again(attempt)
        if not calls:
            calls = [self._prepare(body, origin)]
        elif calls[0].decision.applied:
            calls = [calls[0]._replace(body=_marked(body, calls[0].decision, self.session))]
        going = calls[0].body if calls[0].decision.applied else body
        return Flight(self, going, tuple(calls), attempt=attempt)

    def _many(self, body: Any, origin: Origin, attempt: tuple[int, str | None]) -> Flight | None:
        """Prepare the calls of a batch, in their order."""
        requests = body.get("requests") if isinstance(body, dict) else None
        if not isinstance(requests, list | tuple):
            return None
        calls, going = [], list(requests)
        origin = origin._replace(surface="batch")
        for at, entry in enumerate(requests):
            if not isinstance(entry, Mapping):
                continue
            tracked = self._prepare(entry.get("params"), origin)
            calls.append(tracked._replace(name=str(entry.get("custom_id"))))
            if tracked.decision.applied:
                going[at] = {**entry, "params": tracked.body}
        changed = any(tracked.decision.applied for tracked in calls)
        sent = {**body, "requests": going} if changed else body
        return Flight(self, sent, tuple(calls), attempt=attempt, batch=True)

    def _prepare(self, body: Any, origin: Origin) -> Tracked:
        """Have the session decide about one body."""
        model = body.get("model") if isinstance(body, dict) else None
        platform = self._platform or self._platforms.get(str(model)) or _spelled(str(model))
        origin = _named(origin)._replace(platform=platform)
        applying = self.mode == "apply"
        going, decision = self.session.prepare(body, self.clock(), origin, apply=applying)
        return Tracked(decision, going)

    def _again(self, attempt: tuple[int, str | None]) -> list[Tracked]:
        """Return what was decided when the same call was tried before."""
        tries, name = attempt
        if not tries or name is None:
            return []
        with self._lock:
            found = self._tries.pop(name, [])
        now = self.clock()
        return [each._replace(decision=replace(each.decision, at=now)) for each in found]

    def remember_try(self, flight: Flight) -> None:
        """Keep what was decided for a call that failed, in case it is tried again."""
        name = flight.attempt[1]
        if name is None or flight.batch:
            return
        with self._lock:
            self._tries[name] = [each._replace(body=None) for each in flight.calls]
            while len(self._tries) > _WAITING:
                self._tries.popitem(last=False)

    def learn_platform(self, model: str, host: str) -> None:
        """Note where the calls of a model are answered."""
        found = platform_at(host) or "anthropic"
        if self._platform is None and self._platforms.get(model) != found:
            with self._lock:
                self._platforms[model] = found
                while len(self._platforms) > _MODELS:
                    self._platforms.popitem(last=False)

    def hold(self, batch: str, calls: Mapping[str, Decision]) -> None:
        """Keep the decisions of a batch until its results come."""
        with self._lock:
            self._batches[batch] = dict(calls)
            while sum(map(len, self._batches.values())) > _IN_BATCHES:
                self._batches.popitem(last=False)

    def held(self, batch: str, name: str) -> Decision | None:
        """Return what was decided for one call of a batch, once."""
        with self._lock:
            return self._batches.get(batch, {}).pop(name, None)

    def tell(self, decision: Decision, outcome: Outcome) -> None:
        """Let the session, the ledger and the user know how a call ended."""
        try:
            if not self.heard:
                self.session.learn(decision, outcome, self.clock())
                return
            entry = self.session.observe(decision, outcome, self.clock())
        except Exception as error:  # noqa: BLE001 -- fail open
            self.fault("learning", error)
            return
        if self._ledger is not None:
            try:
                self._ledger.record(entry)
            except Exception as error:  # noqa: BLE001 -- fail open
                self.fault("the ledger", error)
        if self._on_decision is not None:
            try:
                self._on_decision(self.session.finished(decision, entry))
            except Exception as error:  # noqa: BLE001 -- fail open
                self.fault("on_decision", error)

    def bar(self, calls: tuple[Tracked, ...], complaint: str) -> None:
        """Give up the rules whose marks the service refused, and say so."""
        for each in calls:
            if not each.decision.applied:
                continue
            rules = self.session.bar(each.decision, complaint)
            new = [rule for rule in rules if not self.faults[f"refused: {rule}"]]
            self.faults.update(f"refused: {rule}" for rule in rules)
            if new:
                _log.warning(
                    "the service refused marks by the rule %s for %s, which is not used again"
                    " in this process: %s", ", ".join(new), each.decision.model, complaint[:400],
                )  # fmt: skip

    def fault(self, where: str, error: BaseException) -> None:
        """Count what went wrong, and say it the first time."""
        key = f"{where}: {type(error).__name__}"
        with self._lock:
            self.faults[key] += 1
            first = self.faults[key] == 1
        if first:
            _log.warning("%s failed, calls go out as they came: %s", where, error, exc_info=error)


class Flight:
    """One attempt at a call, or a batch of them, from its sending to its end."""

    def __init__(
        self,
        driver: Driver,
        body: Any,
        calls: tuple[Tracked, ...],
        *,
        attempt: tuple[int, str | None] = (0, None),
        batch: bool = False,
        results: str = "",
    ) -> None:
        self.body = body
        self.calls = calls
        self.attempt = attempt
        self.batch = batch
        self._driver = driver
        self._results = results
        self._begun = time.monotonic()
        self._first: float | None = None
        self._answer = Answer()
        self._blamed: tuple[tuple[Tracked, ...], str] = (), ""  # Whose marks, in what words.

    @property
    def changed(self) -> bool:
        """Whether the body that goes out is another than the caller's."""
        return any(each.decision.applied for each in self.calls)

    def doubtful(self, response: Any) -> bool:
        """Tell whether an answer may be a complaint about our marks."""
        return self.changed and getattr(response, "status_code", None) == _BAD_REQUEST

    def refused(self, content: bytes) -> bool:
        """Tell whether the service seems to refuse our marks, and the call goes without them."""
        if b"cache_control" not in content:
            return False
        self._blamed = self.calls, content.decode("utf-8", "replace")
        self.withdraw("the service refused its marks")
        return True

    def withdraw(self, why: str = "its marks could not be written") -> None:
        """Note that the body goes out as the caller wrote it after all."""
        self.calls = tuple(
            each._replace(decision=replace(each.decision, applied=False, left=why))
            for each in self.calls
        )

    def failed(self, error: BaseException) -> None:
        """No answer came."""
        try:
            self._driver.remember_try(self)
            self._end(error, None)
        except Exception as fault:  # noqa: BLE001 -- fail open
            self._driver.fault("telling of a failure", fault)

    def arrived(self, response: Any) -> None:
        """An answer came, read or still to be read."""
        try:
            if getattr(response, "is_stream_consumed", None) is None:
                self._end(None, None)  # Somebody answered without the service.
                return
            if response.status_code < _BAD_REQUEST:  # Else it was not for the marks.
                self._driver.bar(*self._blamed)
            if not (self._driver.heard or self._results or self._teaches(response)):
                return
            for each in self.calls[:1]:
                self._driver.learn_platform(each.decision.model, response.request.url.host)
            if response.status_code >= _BAD_REQUEST:
                self._driver.remember_try(self)
            content = read_already(response)
            if content is not None:
                for text in content.splitlines() if self._results else [content]:
                    self._take(text, event=False)
                self._end(None, response)
                return
            kind = response.headers.get("content-type", "")
            event = "json" not in kind and not self._results
            watcher = Watch(
                response,
                lambda text: self._take(text, event=event),
                self._begin,
                lambda error: self._end(error, response),
                lines=bool(self._results),
            )
            watch(response, watcher)
        except Exception as fault:  # noqa: BLE001 -- fail open
            self._driver.fault("watching an answer", fault)

    def _teaches(self, response: Any) -> bool:
        """Tell whether an answer teaches more than that it is there."""
        calls = [each.decision for each in self.calls if each.decision.slip is not None]
        if response.status_code >= _BAD_REQUEST or self.batch:
            return bool(calls)
        if any(map(self._driver.session.curious, calls)):
            return True
        self._begin()
        return False

    def _begin(self) -> None:
        """The first byte is here."""
        self._first = time.monotonic() - self._begun
        for each in () if self.batch else self.calls:
            self._driver.session.begun(each.decision, self._driver.clock())

    def _take(self, text: bytes, *, event: bool) -> None:
        """Look at a whole answer, an event, or a line of results."""
        if self._results:
            self._result(text)
        elif text:
            taken(self._answer, text, event=event)

    def _result(self, text: bytes) -> None:
        """Look at the result of one call of a batch."""
        name, answer = _read_result(text)
        decision = self._driver.held(self._results, name)
        if decision is None:
            at = self._driver.clock()
            decision = Decision(at=at, model=answer.model or "", surface="batch")
        self._driver.tell(decision, _outcome(answer, answer.error))

    def _end(self, error: BaseException | None, response: Any) -> None:
        """The answer is over."""
        if self._results:
            return
        answer, driver = self._answer, self._driver
        status = getattr(response, "status_code", None)
        wrong: Any = answer.error or error
        if status is not None and status >= _BAD_REQUEST:
            wrong = wrong or f"status {status}"
        if self.batch and wrong is None:
            if answer.message_id is not None:
                sealed = driver.session.seal
                held = {str(each.name): sealed(each.decision) for each in self.calls}
                driver.hold(answer.message_id, held)
            return
        duration = time.monotonic() - self._begun
        outcome = _outcome(answer, wrong)._replace(
            first_token_after=self._first if self._first is not None else duration,
            duration=duration,
            status=status,
            request_id=response.headers.get("request-id") if response is not None else None,
            retries=self.attempt[0],
        )
        for each in self.calls:
            driver.tell(each.decision, outcome._replace(previous_message_id=_previous(self.body)))


def _outcome(answer: Answer, wrong: BaseException | str | None) -> Outcome:
    """Return what an answer says of itself; usage outranks a failure that came after it."""
    usage = answer.usage
    return Outcome(
        usage if usage is not None else wrong,
        message_id=answer.message_id,
        diagnostics=answer.diagnostics,
        own_rounds=answer.own_rounds,
    )


def _mode(asked: str) -> Mode:
    """Return the mode: the environment's if it has one, else what was asked for."""
    switch = os.environ.get(SWITCH, "").strip().lower()
    found = {"0": "off", "false": "off", "no": "off"}.get(switch, switch)
    for mode in _MODES:
        if mode == (found if found in _MODES else asked):
            return mode
    raise InputError(f'mode is "{asked}", not {", ".join(_MODES)}')


def _named(origin: Origin) -> Origin:
    """Add what ``cacheplan.label`` says here: a label where no other was given, and tags."""
    named = current()
    if named.by is None:
        return origin
    label = named.label if origin.label is None else origin.label
    return origin._replace(label=label, tags=named.tags)


def _spelled(model: str) -> str:
    """Return the platform that the spelling of a model's id belongs to."""
    if "anthropic." in model:
        return "bedrock"
    return "google" if "@" in model else "anthropic"


def _marked(body: Any, decision: Decision, session: Session) -> Any:
    """Mark a body as was decided before."""
    plain = unmark(body) if session.replaces else body
    return mark(plain, [(each.place, each.lifetime) for each in decision.marks])


def _previous(body: Any) -> str | None:
    """Return the message that a call wants its diagnostics held against."""
    asked = body.get("diagnostics") if isinstance(body, dict) else None
    found = asked.get("previous_message_id") if isinstance(asked, dict) else None
    return found if isinstance(found, str) else None


def _read_result(text: bytes) -> tuple[str, Answer]:
    """Read a line of a batch's results."""
    answer = Answer()
    line = msgspec.json.decode(text)
    result = line.get("result") or {}
    if result.get("type") == "succeeded":
        answer.take(result.get("message"))
    elif result.get("type") == "errored":
        error = result.get("error") or {}
        answer.take(error if error.get("type") == "error" else {"type": "error", "error": error})
    else:
        answer.error = str(result.get("type"))
    return str(line.get("custom_id")), answer
