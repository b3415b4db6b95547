"""Files, folders and patterns of any format as lines of a workload.

Which format a file has is told from how it begins, never from its name. Calls that two
exports have in common are told once. This file knows where calls are, and leaves what
they say to the readers.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

import msgspec
from xxhash import xxh3_128_intdigest

from cacheplan.errors import InputError
from cacheplan.io.documents import File, Head
from cacheplan.io.folders import Folder
from cacheplan.io.opening import Source, named, opened, unreached
from cacheplan.io.readers import READERS, ledger
from cacheplan.io.readers import workload as own
from cacheplan.io.tally import Record, Tally
from cacheplan.io.transcripts import folder, sessions
from cacheplan.lines import object_of
from cacheplan.stated import stated
from cacheplan.strict_json import members
from cacheplan.wholes import Wholes

__all__ = [
    "FORMATS",
    "Told",
    "converted",
    "files",
    "format_of",
    "names_of_formats",
    "told",
]

#: The source that stands for where Claude Code keeps its own.
_OWN_TRANSCRIPTS: Final = "claude-code"
#: What of a line others go on from.
_EXTENDED: Final = ("id", "extends", "keep", "request")
_TWICE: Final = "calls that were told before, in another file or another line, left out"
_FOREIGN: Final = "files of a folder that hold no calls in any known form, left out"
#: Ours first: nothing else has both a time and a prompt under these names.
FORMATS: Final = (ledger, own, *READERS)


class Told(NamedTuple):
    """One line, and where it was found."""

    source: str
    number: int
    line: bytes
    #: True for a line that is passed on as it was written.
    own: bool


def names_of_formats() -> list[str]:
    """Return what ``--from`` takes."""
    return [reader.NAME for reader in FORMATS]


def files(source: Source, since: float | None = None) -> tuple[list[Source], bool]:
    """Return the files that a source names, in order, and whether it named each of them.

    A folder is all that is in it and not hidden; a pattern all that it fits; and
    ``claude-code`` the user's own transcripts, of which only those that changed ``since``
    are wanted.
    """
    if str(source) == "-":
        return [source], True
    try:
        return _files(source, since)
    except OSError as error:
        raise unreached(error).at(error.filename or str(source)) from error


def _files(source: Source, since: float | None) -> tuple[list[Source], bool]:
    """Return the files that something on the disk names."""
    text, path = str(source), Path(source)
    if text == _OWN_TRANSCRIPTS and not path.exists():
        kept = sessions(since)
        if not kept:
            when = "" if since is None else " that changed since then"
            raise InputError(f"no transcripts in {folder()}{when}").at(text)
        return list(kept), False
    if path.is_dir():
        return [*_within(path)], False
    if not path.exists() and glob.has_magic(text):
        found = sorted(one for one in glob.glob(text, recursive=True) if Path(one).is_file())  # noqa: PTH207 -- a pattern may begin anywhere, the root included
        if not found:
            raise InputError("no file fits this pattern").at(text)
        return list(found), False
    return [source], True


def _within(folder: Path) -> list[Path]:
    """Return the files in a folder that are not hidden as programs hide theirs.

    A folder in it that may not be looked into is a fault, as such a file is.
    """

    def fault(error: OSError) -> None:
        raise error

    found: list[Path] = []
    for here, folders, names in os.walk(folder, onerror=fault):
        folders[:] = [name for name in folders if not name.startswith(".")]
        shown = (Path(here, name) for name in names if not name.startswith("."))
        found += [path for path in shown if path.is_file()]
    return sorted(found)


def told(
    sources: Iterable[Source], tally: Tally, form: str | None = None, since: float | None = None
) -> Iterator[Told]:
    """Yield the calls of all sources as lines, each call once."""
    once, parts = _Once(tally), set[Path]()
    for source in sources:
        several, chosen = files(source, since)
        if not several:
            raise InputError("no files in it").at(str(source))
        foreign: list[Path] = []
        for one in several:
            if Path(one) in parts:
                continue
            with opened(one) as stream:
                beside = None if str(one) == "-" else Folder(one, parts)
                file = File(named(one), stream, beside)
                reader = _reader(file, form, chosen=chosen)
                if reader is None:
                    foreign.append(Path(one))
                else:
                    yield from _entries(file, reader, tally, once)
        if len(foreign) == len(several):
            raise InputError("no file in it has calls in any known form").at(str(source))
        # A log may stand behind its own parts.
        unknown = sum(one not in parts for one in foreign)
        if unknown:
            tally.count(_FOREIGN, unknown)


def converted(
    sources: Iterable[Source],
    tally: Tally,
    form: str | None,
    since: float | None,
    *,
    whole: bool,
    watch: Callable[[int], None],
) -> Iterator[bytes]:
    """Yield the calls of all sources as lines that say no more than their sources did."""
    wholes = Wholes()
    calls = old = 0
    for found in told(sources, tally, form, since):
        watch(len(found.line))
        with tally.reading(found.source, Record(found.number, found.line)):
            if found.own:
                _check(found.line)
            line = wholes.whole(found.line) if whole else found.line
            if line and since is not None and _before(since, line):
                old += 1
                line = b"" if whole else _extendable(line, own=found.own)
            elif line:
                calls += 1
            if line:
                yield line
    if not calls:
        when = " since then" if old else ""
        raise InputError(f"no calls in it{when}").at(", ".join(map(named, sources)))


def _before(since: float, line: bytes) -> bool:
    """Tell whether a call was made before a moment, or is only there to be extended."""
    parts = members(line)
    at = stated(parts).at
    return "extends" in parts if at is None else at < since


def _extendable(line: bytes, *, own: bool) -> bytes:
    """Return what later lines may extend of one that is left out itself; nothing if none may.

    Readers name what a line extends, nothing included, wherever lines may extend others; in
    files of our own form any line with an id may be extended.
    """
    parts = members(line)
    if "extends" not in parts and not (own and "id" in parts):
        return b""
    if "request" not in parts:
        raise InputError("digests go on from one another, and have no part that is left out")
    said = {"extends": msgspec.Raw(b"null"), **parts}
    return object_of({key: bytes(said[key]) for key in _EXTENDED if key in said})


def _check(line: bytes) -> None:
    """Refuse a line of our own that is no call, which nobody would look at otherwise."""
    parts = members(line)
    untimed = {"answers", "calls_per_hour", "extends"}
    if stated(parts).at is None and untimed.isdisjoint(parts):
        raise InputError("missing; a call needs its time, or calls_per_hour", ("at",))


def _entries(file: File, reader: ModuleType, tally: Tally, once: _Once) -> Iterator[Told]:
    """Yield the calls of one file."""
    for number, line in reader.read(file, tally):
        if isinstance(line, bytes):
            yield Told(file.name, number, line, own=True)
        elif once.first(reader.NAME, line):
            yield Told(file.name, number, _written(line), own=False)
        elif "extends" in line:
            # No call any more, but what later lines extend.
            said = {key: line[key] for key in _EXTENDED if key in line}
            yield Told(file.name, number, _written(said), own=False)


def format_of(head: Head) -> ModuleType | None:
    """Return what reads a file that begins so; ``None`` where nobody does."""
    return next((reader for reader in FORMATS if reader.matches(head)), None)


def _reader(file: File, form: str | None, *, chosen: bool) -> ModuleType | None:
    """Return what reads a file, by name or by how it begins.

    A file that was named by itself and is nothing that is known is read as a workload if
    it has any word of one, which says where it is none; so is one of requests that were not
    sent yet.
    """
    if form is not None:
        return _by_name(form)
    head = file.head
    if chosen and own.waits(head):
        return own
    found = format_of(head)
    if found is None and chosen and own.strange(head):
        what = "this is in no form that is known (see: cacheplan formats)"
        raise InputError(what).at(file.name)
    return found or (own if chosen else None)


def _by_name(form: str) -> ModuleType:
    """Return the reader of a name."""
    for reader in FORMATS:
        if form == reader.NAME:
            return reader
    raise InputError(f'"{form}" is not a format; there are {", ".join(names_of_formats())}')


class _Once:
    """Tells a call that was told before.

    That is one with the same response's id; or with the same id within a format and the
    same request, since what a program names its requests it may use again.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        #: Hashes of names, since logs have millions.
        self._seen: set[int] = set()

    def first(self, form: str, line: dict[str, Any]) -> bool:
        """Tell whether nobody told this call before."""
        known = {xxh3_128_intdigest(_written(name)) for name in _names(form, line)}
        if not known.isdisjoint(self._seen):
            self._tally.count(_TWICE)
            return False
        self._seen |= known
        return True


def _names(form: str, line: dict[str, Any]) -> Iterator[list[Any]]:
    """Yield what tells a call from others."""
    response = line.get("response")
    answer = response.get("id") if isinstance(response, dict) else None
    if isinstance(answer, str) and answer:
        yield [answer]
    own = line.get("id") or line.get("answers")
    if isinstance(own, str) and own:
        said = [line.get(key) for key in ("extends", "keep", "request", "response")]
        yield [form, own, *said]


def _written(line: Any) -> bytes:
    """Write a line, or a part of it; half a surrogate pair is escaped, since no UTF-8 holds it."""
    try:
        return msgspec.json.encode(line)
    except UnicodeEncodeError:
        return json.dumps(line, default=lambda raw: json.loads(bytes(raw))).encode()
