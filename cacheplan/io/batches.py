"""Calls of a workload become request files of Message Batches, all of them or none.

A file is the very body that is sent. What the API would refuse is refused here before
anything is written, a line for each call; the folder appears under its name only when it
is whole.
"""

from __future__ import annotations

import json
import secrets
import shutil
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

from cacheplan import facts
from cacheplan.assumptions import Assumptions
from cacheplan.batching import Batch, arrange
from cacheplan.conversations import complaint, faults, gone, shape, unsupported
from cacheplan.errors import InputError
from cacheplan.io.counting import default_counter
from cacheplan.io.opening import Source
from cacheplan.io.outbox import Asked, File, Outbox, digest
from cacheplan.io.reading import lines
from cacheplan.lacking import LACKING
from cacheplan.lines import with_body
from cacheplan.marking import marked_request
from cacheplan.marks import unmark
from cacheplan.packing import BYTES, REQUESTS, body, custom_id, fits, packed, request, spans
from cacheplan.plan import Plan
from cacheplan.prices import Sheet
from cacheplan.prompt import Breakpoint
from cacheplan.records import Intake
from cacheplan.strict_json import members, value
from cacheplan.tables import aligned, count, dollars
from cacheplan.workload import Call, Workload

__all__ = ["Built", "Ways", "build", "dated"]

#: Faults that are told one by one; who has more of them has one many times.
FAULTS: Final = 50
#: Letters of the name of a build: two of them are the same once in three million million.
_RUN: Final = 8
_LETTERS: Final = string.ascii_lowercase + string.digits
#: What a body inside a batch must have.
_NEEDED: Final = ("model", "max_tokens", "messages")
#: What of a call is sent, of all that a log may leave unsaid.
_SENT: Final = frozenset({"tools", "system", "settings", "text"})
#: Members of a line that the answer of the batch replaces, or that are said elsewhere.
_REPLACED: Final = frozenset(
    {"request", "at", "surface", "response", "usage", "result", "custom_id", "first_token_after"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How a batch is to be built, apart from its calls and its folder."""

    sheet: Sheet
    assume: Assumptions
    #: Places the marks instead of what is found to be best.
    plan: Plan | None = None
    #: Whether one call for each kept prefix is sent before the others.
    seeded: bool = False
    #: Limits of a file, for whoever wants smaller ones.
    most: int = REQUESTS
    largest: int = BYTES


class _Read(NamedTuple):
    """One call as it stands in its source."""

    source: str
    line: int
    id: str | None
    raw: bytes
    #: What the line says besides, as JSON.
    rest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What was built."""

    folder: str
    files: tuple[File, ...]
    batch: Batch
    calls: int

    def __str__(self) -> str:
        """Say which files there are, how they are marked, and what they would cost."""
        rows = [(one.name, count(one.requests), count(one.bytes)) for one in self.files]
        marked: dict[str, int] = {}
        for family in self.batch.families:
            word = family.marked
            marked[word] = marked.get(word, 0) + len(family.members)
        low, high = (dollars(amount) for amount in self.batch.cost)
        least, most = self.batch.found
        money = (
            f"Expected cost: {low} if {most:.0%} of what could be read is found, {high} if"
            f" {least:.0%} is;"
            f" without marks {dollars(self.batch.plain)}."
        )
        lines = [
            aligned(("file", "requests", "bytes"), rows),
            "",
            aligned(("marked", "calls"), [(word, count(calls)) for word, calls in marked.items()]),
            "",
            money,
        ]
        if self.batch.seeds:
            lines.append(
                f"{count(len(self.batch.seeds))} of the calls go first, to write what the others"
                " read; these are sent once the first have ended."
            )
        return "\n".join(lines)


def build(
    sources: Sequence[Source],
    folder: Path,
    ways: Ways,
    now: float,
    fault: Callable[[str], None],
) -> Built:
    """Build request files from workload files; ``fault`` is told what is wrong, one by one."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError("this is there already; batches are built in a new folder").at(str(folder))
    workload, read, faults = _taken_in(sources, ways.assume, now)
    faults += _refused(workload, read, now)
    _one_sender(workload)
    marker = None if ways.plan is None else ways.plan.marker(workload.tree)
    batch = arrange(workload, ways.sheet, marker=marker, seeded=ways.seeded)
    run = "".join(secrets.choice(_LETTERS) for _ in range(_RUN))
    requests, big = _requests(workload, batch, read, run, ways)
    faults += big
    if faults:
        _tell(faults, fault)
    files, asked = _write(folder, requests, read, batch, (run, _platform(workload), ways))
    return Built(folder=str(folder), files=files, batch=batch, calls=len(asked))


def _taken_in(
    sources: Sequence[Source], assume: Assumptions, now: float
) -> tuple[Workload, list[_Read], list[InputError]]:
    """Read the calls, all at one time; return what is wrong with those that cannot be sent."""
    intake = Intake(default_counter(assume), assume)
    read: list[_Read] = []
    faults: list[InputError] = []
    for source in sources:
        for number, line in lines(source):
            before = len(intake)
            try:
                one = _line(line, str(source), number)
                intake.add(_undated(line, now))
            except InputError as error:
                faults.append(error.at(str(source), number))
                continue
            if len(intake) > before:
                read.append(one)
            else:
                what = "this holds only the newest part of its prompt, which no batch takes"
                faults.append(InputError(what, ("request",)).at(str(source), number))
    if not read and not faults:
        raise InputError("no calls in it").at(", ".join(map(str, sources)))
    return intake.workload(), read, faults


def _line(line: bytes, source: str, number: int) -> _Read:
    """Keep what a line says; only a whole request can be sent."""
    parts = members(line)
    if "calls_per_hour" in parts:
        what = "a planned line is no call yet; write a line for each call"
        raise InputError(what, ("calls_per_hour",))
    if "request" not in parts:
        raise InputError("missing; digests have no text that could be sent", ("request",))
    rest = {key: bytes(part) for key, part in parts.items() if key not in _REPLACED}
    name = value(parts["id"]) if "id" in parts else None
    return _Read(
        source=source,
        line=number,
        id=name if isinstance(name, str) else None,
        raw=bytes(parts["request"]),
        rest=_object(rest),
    )


def dated(line: bytes, at: float) -> bytes:
    """Return a line with a time if it has none and is not planned: it waits to be sent."""
    parts = members(line)
    if "calls_per_hour" in parts or bytes(parts.get("at", b"null")) != b"null":
        return line
    return _object({**{key: bytes(part) for key, part in parts.items()}, "at": _json(at)})


def _undated(line: bytes, at: float) -> bytes:
    """Return a line as a call of a batch that begins at a time, whatever it was."""
    parts = {key: bytes(part) for key, part in members(line).items()}
    return _object({**parts, "at": _json(at), "surface": _json("batch")})


def _json(part: Any) -> bytes:
    return json.dumps(part).encode()


def _object(parts: Mapping[str, bytes]) -> bytes:
    """Write an object of values that are written already."""
    inside = b",".join(_json(key) + b":" + part for key, part in parts.items())
    return b"{" + inside + b"}"


def _refused(workload: Workload, read: Sequence[_Read], now: float) -> Iterator[InputError]:
    """Yield what the API would say to each call without its marks, the first word of it."""
    for call in workload:
        one = read[call.number]
        words = _unsaid(call) or _words(value(one.raw), call, now)
        if words:
            yield InputError(words, ("request",)).at(one.source, one.line)


def _unsaid(call: Call) -> str:
    """Say what of a body its log kept to itself: sent without it, it would be another call."""
    word = next((word for word in LACKING if word in call.lacks and word in _SENT), None)
    return "" if word is None else f"its log does not say {LACKING[word]}"


def _words(found: Any, call: Call, now: float) -> str:
    """Say why the API would refuse a body inside a batch; nothing if it would not."""
    platform = call.tariff.platform
    if not facts.PLATFORMS[platform].batch:
        return f"there are no Message Batches on {platform}"
    first = next(shape(found, needed=_NEEDED, closed=True), None)
    if first is not None:
        return first.message
    try:
        plain = unmark(found)
    except InputError as error:
        return complaint(error)
    name = plain["model"]
    if gone(name, platform, now):
        return f'the model "{name}" is no longer served there'
    # Of a model that nobody listed, which may be newer than the list, only the API knows.
    wrong = next(chain(unsupported(plain), faults(plain, platform, "batch")), None)
    return "" if wrong is None else wrong.message


def _one_sender(workload: Workload) -> None:
    """Refuse calls of several workspaces or platforms: one key sends a whole folder."""
    for what, found in (
        ("workspaces", {call.workspace or "" for call in workload}),
        ("platforms", {call.tariff.platform for call in workload}),
    ):
        if len(found) > 1:
            names = ", ".join(f'"{name}"' for name in sorted(found))
            raise InputError(
                f"these are calls of several {what} ({names}), and one key sends them all:"
                " build a folder for each"
            )


def _platform(workload: Workload) -> str:
    """Return where all calls are sent."""
    return next((call.tariff.platform for call in workload), "anthropic")


class _Request(NamedTuple):
    """One request as it is sent."""

    #: The call's place in the source.
    number: int
    custom_id: str
    content: bytes


def _requests(
    workload: Workload, batch: Batch, read: Sequence[_Read], run: str, ways: Ways
) -> tuple[dict[int, _Request], list[InputError]]:
    """Write every request, by place among the workload's calls."""
    found: dict[int, _Request] = {}
    faults = []
    for place, call in enumerate(workload):
        one = read[call.number]
        params = _params(one.raw, workload, call, batch.marks[place])
        name = custom_id(run, call.number + 1, one.id)
        content = request(name, params)
        if not fits(len(content), ways.largest):
            what = f"{count(len(content))} bytes; a whole batch has at most {count(ways.largest)}"
            faults.append(InputError(what, ("request",)).at(one.source, one.line))
        found[place] = _Request(call.number, name, content)
    return found, faults


def _params(raw: bytes, workload: Workload, call: Call, marks: Sequence[Breakpoint]) -> bytes:
    """Return a body with these marks and no others; everything else as it was written."""
    old = value(raw)
    platform = call.tariff.platform
    new = marked_request(old, workload.tree, call.tip, marks, workload.assume, platform)
    line = with_body(_object({"request": raw}), old, unmark(old) if new is None else new)
    return bytes(members(line)["request"])


def _tell(faults: Sequence[InputError], fault: Callable[[str], None]) -> None:
    """Say what is wrong, a line each, and stop."""
    for error in faults[:FAULTS]:
        fault(str(error))
    more = f" (the first {FAULTS} are above)" if len(faults) > FAULTS else ""
    raise InputError(
        f"calls that cannot be in a batch: {count(len(faults))}{more}; nothing was written"
    )


def _write(
    folder: Path,
    requests: Mapping[int, _Request],
    read: Sequence[_Read],
    batch: Batch,
    about: tuple[str, str, Ways],
) -> tuple[tuple[File, ...], list[Asked]]:
    """Write the folder beside its place and move it there, or leave nothing."""
    run, platform, ways = about
    first = set(batch.seeds)
    groups = [[*batch.seeds], [place for place in batch.order if place not in first]]
    target = folder.resolve()
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    files: list[File] = []
    asked: list[Asked] = []
    try:
        part.mkdir()
        for seeds, places in zip((True, False), groups, strict=True):
            chosen = [requests[place] for place in places]
            sizes = [len(one.content) for one in chosen]
            for span in packed(sizes, most=ways.most, largest=ways.largest):
                own = [chosen[at] for at in span]
                file = _write_file(part, len(files) + 1, own, seeds=seeds)
                files.append(file)
                asked += _asked(own, file, read)
        asked.sort(key=lambda one: one.number)
        Outbox.make(part, {"run": run, "platform": platform}, files, asked)
        if target.exists():
            target.rmdir()
        part.rename(target)
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        if isinstance(error, OSError):
            raise InputError((error.strerror or str(error)).lower()).at(str(folder)) from error
        raise
    return tuple(files), asked


def _write_file(folder: Path, number: int, requests: Sequence[_Request], *, seeds: bool) -> File:
    """Write one body."""
    name = f"{'seeds' if seeds else 'requests'}-{number:05d}.json"
    parts = [*body(one.content for one in requests)]
    with (folder / name).open("xb") as stream:
        stream.writelines(parts)
    size = sum(map(len, parts))
    return File(
        number=number,
        name=name,
        digest=digest(parts),
        requests=len(requests),
        bytes=size,
        seeds=seeds,
    )


def _asked(requests: Sequence[_Request], file: File, read: Sequence[_Read]) -> Iterator[Asked]:
    """Say of each request of a file where it stands, and which call it is."""
    where = spans(len(one.content) for one in requests)
    for one, (start, end) in zip(requests, where, strict=True):
        source = read[one.number]
        yield Asked(
            number=one.number,
            custom_id=one.custom_id,
            file=file.number,
            start=start,
            end=end,
            source=source.source,
            line=source.line,
            rest=source.rest,
        )
