"""Workload files: plain, gzip or zstd, or standard input, line by line."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError, UnsupportedError
from cacheplan.io.counting import default_counter
from cacheplan.records import Intake
from cacheplan.tokens import TokenCounter
from cacheplan.workload import Workload

__all__ = ["Source", "lines", "opened", "read"]

Source = str | PathLike[str]

_GZIP, _ZSTD, _BOM = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xef\xbb\xbf"


def read(
    *sources: Source,
    counter: TokenCounter | None = None,
    assume: Assumptions | None = None,
    model: str | None = None,
    skip_bad: bool = False,
    seed: int = 0,
    watch: Callable[[int], None] | None = None,
) -> Workload:
    """Read workload files (``-`` is standard input) as one workload.

    ``counter`` measures prompts that state no length; ``model`` stands in for the one
    each call names; ``skip_bad`` leaves out lines that cannot be read and counts them in
    the workload's notes; ``watch`` hears how many bytes each line has.
    """
    intake = Intake(counter or default_counter(), assume, model=model, seed=seed)
    skipped = 0
    for source in sources:
        for number, line in lines(source):
            if watch is not None:
                watch(len(line))
            try:
                intake.add(line)
            except InputError as error:
                if not skip_bad:
                    raise error.at(_name(source), number) from error
                skipped += 1
    workload = intake.workload()
    if skip_bad:
        note = f"{skipped} lines could not be read and were skipped"
        workload = replace(workload, notes=(*workload.notes, note))
    if not workload.calls:
        raise InputError("no calls in it").at(", ".join(map(_name, sources)))
    return workload


def lines(source: Source) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of one file that are not blank, numbered from 1."""
    with opened(source) as stream:
        for number, raw in enumerate(stream, 1):
            line = raw.strip()
            if number == 1 and line.startswith(_BOM):
                line = line[len(_BOM) :]
            if line:
                yield number, line


@contextmanager
def opened(source: Source) -> Iterator[BinaryIO]:
    """Open a file for reading, whatever it is compressed with.

    What it is compressed with is told from its first bytes, since names lie.
    """
    name = _name(source)
    try:
        with _raw(source) as stream:
            head = stream.peek(4)[:4]
            if head.startswith(_GZIP):
                with gzip.open(stream) as unpacked:
                    yield unpacked  # type: ignore[misc] -- reads bytes as any binary file does
            elif head.startswith(_ZSTD):
                with _zstd(stream, name) as unpacked:
                    yield unpacked
            else:
                yield stream
    except EOFError as error:
        raise InputError("the compressed file ends too early").at(name) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(reason[:1].lower() + reason[1:]).at(name) from error


@contextmanager
def _raw(source: Source) -> Iterator[io.BufferedReader]:
    """Open the bytes as they are; standard input is not closed."""
    if str(source) == "-":
        yield io.BufferedReader(sys.stdin.buffer.raw)  # type: ignore[attr-defined] -- a real stdin has it
        return
    with Path(source).open("rb") as stream:
        yield stream


@contextmanager
def _zstd(stream: io.BufferedReader, name: str) -> Iterator[BinaryIO]:
    """Unpack zstd; its package is imported only here."""
    try:
        import zstandard
    except ImportError as error:
        what = "this file is zstd; pip install zstandard to read it"
        raise UnsupportedError(what).at(name) from error
    try:
        with zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True) as unpacked:
            yield io.BufferedReader(unpacked, 1 << 20)  # type: ignore[arg-type] -- it reads bytes
    except zstandard.ZstdError as error:
        raise InputError("the compressed file is damaged").at(name) from error


def _name(source: Source) -> str:
    """Name a source as its errors should."""
    return "standard input" if str(source) == "-" else str(source)
