"""Workloads mended, from files into a file: the same lines, and everything else as it was.

Lines are gone through again in every round, so that a log need not fit into memory: those
of a file from the file, those of standard input and of every round from a file without a
name, which the system deletes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from cacheplan.errors import InputError
from cacheplan.io.counting import default_counter
from cacheplan.io.progress import watching
from cacheplan.io.reading import lines
from cacheplan.io.writing import write_raw
from cacheplan.subject import Subject

if TYPE_CHECKING:
    from cacheplan.io.desk import Desk
    from cacheplan.mending import Mended

__all__ = ["mend"]


class _Kept:
    """Lines in a file without a name, which goes when ``shelf`` is closed."""

    def __init__(self, found: Iterable[bytes], shelf: ExitStack) -> None:
        self._file = shelf.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 -- the shelf closes it
        self._file.writelines(line + b"\n" for line in found)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the lines from the first on."""
        self._file.seek(0)
        for line in self._file:
            yield line[:-1]


class _Given:
    """The lines of some files, and where the newest of them stands."""

    def __init__(self, sources: Sequence[str], shelf: ExitStack) -> None:
        self._sources = sources
        self._shelf = shelf
        #: By position: lines that can be read from where they come only once.
        self._kept: dict[int, _Kept] = {}
        self._here: tuple[str, int | None] = (", ".join(sources), None)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the lines of all files."""
        for number, source in enumerate(self._sources):
            if source == "-" and number not in self._kept:
                self._kept[number] = _Kept((line for _, line in lines(source)), self._shelf)
            kept = enumerate(self._kept[number], 1) if number in self._kept else lines(source)
            for at, line in kept:
                self._here = "standard input" if source == "-" else source, at
                yield line
        self._here = ", ".join(self._sources), None

    def placed(self, error: InputError) -> InputError:
        """Return an error with the file and the line in which it was found."""
        source, line = self._here
        return error if error.source else error.at(source, line)


def mend(desk: Desk, output: str, *, unsafe: bool) -> Mended:
    """Write the calls with their fixes, all of them or none; no source is written over."""
    from cacheplan.mending import Mending

    _refuse_source(desk.sources, output)
    pins = desk.agreed.pins if desk.agreed else ()
    with ExitStack() as shelf:
        say = shelf.enter_context(watching(quiet=desk.quiet))
        given = _Given(desk.sources, shelf)
        mending = Mending(
            sheet=desk.sheet,
            counter=default_counter(desk.assume),
            assume=desk.assume,
            model=desk.model,
            seed=desk.seed,
            unsafe=unsafe,
            terms=desk.terms(),
            look=lambda calls: Subject(calls, desk.sheet, calls.texts, pins),
            store=lambda found: _Kept(found, shelf),
            watch=say,
        )
        try:
            good = _Kept(mending.readable(given), shelf) if desk.skip_bad else given
            found = mending.mend(good)
        except InputError as error:
            raise given.placed(error) from error
        write_raw(output, found.lines)
    if desk.skip_bad:
        desk.note(f"lines that could not be read, left out: {mending.skipped}")
    return found


def _refuse_source(sources: Sequence[str], output: str) -> None:
    """Keep what was recorded: a fix is looked at before it replaces anything."""
    target = Path(output)
    for source in map(Path, sources if output != "-" else ()):
        if target.exists() and source.exists() and target.samefile(source):
            raise InputError("this is what is read; write it to another file").at(output)
