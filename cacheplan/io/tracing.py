"""Spans become lines of a workload: those that are calls, each call once.

Several libraries may draw a span of one call: the SDK its own, without the prompt unless
that is switched on, and around it whoever watches the SDK, with the prompt and without
lifetimes. They name the same answer, or one is the other's parent and counts the same. A
span without a prompt is held back for a while, until one that has it comes.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

import msgspec

from cacheplan import genai, openinference
from cacheplan.io.documents import File, records
from cacheplan.io.logged import OTHERS, UNSURE, asked, moment, named
from cacheplan.io.tally import Tally
from cacheplan.spans import Batch, Span, batches, from_otlp, text
from cacheplan.spoken import Spoken

__all__ = ["LISTS", "Calls", "exported"]

#: What holds all entries of a document of OTLP, in either spelling.
LISTS: Final = ("resourceSpans", "resource_spans")
#: How a document begins that is laid out over lines.
_LAID_OUT: Final = re.compile(rb"\s*\{\s*\n")
_OTHERS: Final = "entries of metrics and logs, which are no calls, left out"

_NONE: Final = "spans that are no calls to a model, left out"
_TWICE: Final = "spans of calls that another span tells of as well, counted once"
_EMPTY: Final = "calls of which neither prompt nor usage was recorded, left out"
#: How many spans without a prompt wait for one that has it. A batch of the SDK's exporter
#: holds 512 spans, one of a collector 8,192.
_WAITING: Final = 10_000
#: How many calls are remembered with their spans; those of one call end at one time.
_RECENT: Final = 100_000
#: Seconds that no answer is waited for.
_LONGEST: Final = 86_400
_EXACT: Final = "input.value"
_PARTS: Final = "gen_ai.input.messages"
_PROMPT: Final = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
#: What a span without a prompt does not say.
_ALL: Final = frozenset({"tools", "system", "settings", "text", "marks"})
#: By how a provider's name begins, in both conventions: where Claude runs there.
_PLATFORMS: Final = {
    "aws": "bedrock",
    "bedrock": "bedrock",
    "amazon": "bedrock",
    "gcp": "google",
    "google": "google",
    "vertex": "google",
    "azure": "foundry",
}
#: A hash, since a log has millions of what it names.
_Key = int


class _Call(NamedTuple):
    """A call that was told of: which entry it was, its span, and what that says."""

    number: int
    at: float | str
    span: Span
    spoken: Spoken

    @property
    def own(self) -> _Key:
        """What names its span; one without an id is none of the others."""
        if not self.span.id:
            return hash((self.number, self.at, self.span.name, self.spoken.message, self.bill))
        return hash((self.span.trace, self.span.id))

    @property
    def outer(self) -> _Key | None:
        """What names the span around it."""
        return hash((self.span.trace, self.span.parent)) if self.span.parent else None

    @property
    def answer(self) -> _Key | None:
        """What names the answer, in whichever span."""
        return hash(self.spoken.message) if self.spoken.message else None

    @property
    def bill(self) -> _Key | None:
        """What the prompt was billed; of the output some spans count too much."""
        found = self.spoken.counted
        if found is None:
            return None
        return hash(tuple(count for name, count in found.usage.items() if name in _PROMPT))


class _Recent(OrderedDict[_Key, Any]):
    """The newest of many; older ones are forgotten."""

    def keep(self, key: _Key | None, found: Any) -> None:
        """Remember something that has a name."""
        if key is not None:
            self[key] = found
        if len(self) > _RECENT:
            self.popitem(last=False)


class Calls:
    """Takes in spans in any order, and yields the line of each call once."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        #: Of calls that were told of, whatever they were told by: answers, the spans
        #: themselves with their bills, and the spans around them.
        self._answers: set[_Key | None] = set()
        self._spans = _Recent()
        self._around = _Recent()
        #: Calls that are held back, and by which other names they are found.
        self._held: OrderedDict[_Key, _Call] = OrderedDict()
        self._known_as: dict[_Key | None, _Key] = {}

    def add(
        self, number: int, span: Span, spoken: Spoken | None = None
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Take in a span, and what it says if that is known; yield the lines that are whole."""
        spoken = spoken or _heard(span)
        if spoken is None:
            self._tally.count(_NONE)
            return
        call = _Call(number, moment(span.begin), span, spoken)
        if named(call.spoken.model or "") is None:
            self._tally.count(OTHERS)
        elif self._repeats(call):
            self._tally.count(_TWICE)
        else:
            yield from self._take(self._with_held(call))

    def rest(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield what was held back to the end."""
        while self._held:
            yield from self._tell(self._released(next(iter(self._held))))

    def _repeats(self, call: _Call) -> bool:
        """Tell whether a call was told of, or its span holds calls that were."""
        if call.answer is not None and call.answer in self._answers:
            return True
        if call.own in self._around or call.own in self._spans or call.own in self._held:
            return True
        inner = self._held.get(self._known_as.get(call.own, 0))
        if inner and call.answer is None and call.bill not in (None, inner.bill):
            return True  # It adds up what several inside it were billed.
        return call.bill is not None and self._spans.get(call.outer or 0) == call.bill

    def _with_held(self, call: _Call) -> _Call:
        """Return a call with what was held back of it."""
        for key in (call.answer, call.own):
            if key is not None and key in self._known_as:
                return self._joined(call, self._known_as[key])
        around = self._held.get(call.outer or 0)
        if around is not None and around.bill == call.bill:
            return self._joined(call, around.own)
        return call

    def _joined(self, call: _Call, held: _Key) -> _Call:
        """Return one call of two spans that tell of it."""
        other = self._released(held)
        self._tally.count(_TWICE)
        outside, inside = (other, call) if call.outer == other.own else (call, other)
        spoken = outside.spoken
        said = {
            name: getattr(spoken, name) or getattr(inside.spoken, name)
            for name in ("message", "session", "label", "workspace", "wait")
        }
        if spoken.body is None:
            said |= {"body": inside.spoken.body, "lacks": inside.spoken.lacks}
        counted = min((inside, outside), key=_doubt).spoken.counted
        return outside._replace(spoken=replace(spoken, **said, counted=counted))

    def _take(self, call: _Call) -> Iterator[tuple[int, dict[str, Any]]]:
        """Tell of a call, or hold it back until its prompt comes or too many wait."""
        if call.spoken.body is not None:
            yield from self._tell(call)
        elif call.spoken.counted is None:
            self._tally.count(_EMPTY)
        else:
            self._held[call.own] = call
            for key in (call.answer, call.outer):
                self._known_as[key] = call.own
            if len(self._held) > _WAITING:
                yield from self._tell(self._released(next(iter(self._held))))

    def _released(self, own: _Key) -> _Call:
        """Return a call that was held back, which is so no longer."""
        call = self._held.pop(own)
        for key in (call.answer, call.outer):
            if self._known_as.get(key) == own:
                del self._known_as[key]
        return call

    def _tell(self, call: _Call) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the line of a call, and remember it."""
        line = _line(call, self._tally)
        if line is not None:
            if call.answer is not None:
                self._answers.add(call.answer)
            self._spans.keep(call.own, call.bill)
            self._around.keep(call.outer, call.own)
            yield call.number, line


def exported(file: File, tally: Tally) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the calls of a file of OTLP JSON, whatever drew its spans."""
    calls = Calls(tally)
    # By members only where one does not end with its line: a broken line costs no other.
    lists = LISTS if _LAID_OUT.match(file.head.raw) else ()
    for record in records(file, tally, *lists):
        found: list[Batch] = []
        with tally.reading(file.name, record):
            found, others = batches(record.raw)
            if others:
                tally.count(_OTHERS, others)
        for scope, resource, spans in found:
            for raw in spans:
                with tally.reading(file.name, record):
                    yield from calls.add(record.number, from_otlp(raw, scope, resource))
    yield from calls.rest()


def _heard(span: Span) -> Spoken | None:
    """Return what a span says of a call; ``None`` where it is none.

    Phoenix adds its own attributes to those of the other convention and loses what was
    written on the way, so what came in is asked first, unless only the other has the prompt.
    """
    ours = openinference.is_call(span)
    exact = ours and _EXACT in span.said and _PARTS not in span.said
    if genai.is_call(span) and not exact:
        return genai.heard(span)
    return openinference.heard(span) if ours else None


def _doubt(call: _Call) -> tuple[bool, bool, bool]:
    """Order by whose count is believed first: the SDK's, then one that parts lifetimes."""
    counted = call.spoken.counted
    ours = call.span.scope.startswith("com.anthropic.sdk")
    return counted is None, not ours, counted is None or not counted.parted


def _line(call: _Call, tally: Tally) -> dict[str, Any] | None:
    """Return the line of a call; ``None`` where it turns out to be none of ours."""
    span, spoken = call.span, call.spoken
    model, platform = named(spoken.model or "") or (spoken.model, None)
    lacks, request = set(spoken.lacks), None
    if spoken.body is None:
        request = msgspec.Raw(msgspec.json.encode({"model": model, "messages": []}))
        lacks |= _ALL
    else:
        sent = asked(spoken.body, tally, model=spoken.model)
        if sent is None:
            return None
        request, platform = sent.body, sent.platform or platform
    response: dict[str, Any] = {"id": spoken.message} if spoken.message else {}
    if spoken.counted is not None:
        response["usage"] = spoken.counted.usage
        if not spoken.counted.sure:
            tally.count(UNSURE)
        if not spoken.counted.parted:
            lacks.add("lifetimes")
    elif spoken.failed is not None:
        response = {"type": "error", "error": {"type": spoken.failed}}
    platform = platform or _platform(spoken.provider)
    line: dict[str, Any] = {"at": call.at, "request": request}
    line |= {"id": span.id} if span.id else {}
    about = {
        "session": spoken.session,
        "label": spoken.label or _program(span.resource),
        "workspace": spoken.workspace,
        "platform": platform,
        "first_token_after": _wait(spoken.wait),
        "response": response,
        "lacks": sorted(lacks),
    }
    return line | {key: found for key, found in about.items() if found}


def _platform(provider: str | None) -> str | None:
    """Return where a provider runs Claude, if not at home."""
    word = (provider or "").lower()
    return next((where for begin, where in _PLATFORMS.items() if word.startswith(begin)), None)


def _program(resource: Mapping[str, Any]) -> str | None:
    """Return the name of the program, if it was given one."""
    found = text(resource, "service.name", "openinference.project.name")
    return None if found is None or found.startswith("unknown_service") else found


def _wait(found: Any) -> float | None:
    """Return the seconds to the first of an answer; what makes no sense is left out."""
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found < _LONGEST:
        return None
    return float(found)
