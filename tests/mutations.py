"""Lines of logs broken in every way: cut, swapped, retyped, repeated, stuffed."""

from __future__ import annotations

import copy
import io
import json
import random
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any, Final

from cacheplan.errors import InputError
from cacheplan.io.counting import default_counter
from cacheplan.io.documents import File
from cacheplan.io.tally import Tally
from cacheplan.records import Intake

__all__ = ["hostile_lines", "survives", "survives_all"]

#: What no field expects, and some loader somewhere writes.
_VALUES: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 2**53, 10**40, -(10**40), 0.5, 1e308, float("inf"), float("nan"),
    "", " ", "0", "-7", "nan", "2026-13-45T99:99:99Z", "9999-12-31T23:59:59Z", "\ud800", "\x00",
    "{}", "[]", '{"a":', "claude", [], [[]], [None], {}, {"": None}, {"type": None},
)  # fmt: skip


def hostile_lines(lines: Sequence[bytes], number: int, seed: int = 0) -> Iterator[bytes]:
    """Yield broken copies of lines: half of them still JSON, half broken as bytes."""
    draw = random.Random(seed)
    for at in range(number):
        line = draw.choice(lines)
        yield _retyped(line, draw) if at % 2 else _torn(line, draw)


def _torn(line: bytes, draw: random.Random) -> bytes:
    """Change bytes: cut, doubled, flipped or taken out."""
    raw = bytearray(line)
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(raw) + 1)
        end = min(at + draw.choice((1, 2, 30)), len(raw))
        way = draw.randrange(4)
        if way == 0:
            del raw[at:]
        elif way == 1:
            raw[at:at] = raw[at:end]
        elif way == 2:
            raw[at:end] = draw.randbytes(end - at)
        else:
            del raw[at:end]
    return bytes(raw).replace(b"\n", b" ")


def _retyped(line: bytes, draw: random.Random) -> bytes:
    """Put something else in the place of a value, a key, or take one away."""
    try:
        root = {"": json.loads(line)}
    except ValueError:
        return _torn(line, draw)
    for _ in range(draw.randint(1, 3)):
        holders = list(_holders(root))
        holder, key = draw.choice(holders)
        if isinstance(holder, dict) and key and draw.randrange(4) == 0:
            del holder[key]
            continue
        try:
            other = draw.choice(holders)
            # A copy: what holds itself would be written without an end.
            found = json.loads(json.dumps(other[0][other[1]]))
            holder[key] = draw.choice((copy.deepcopy(draw.choice(_VALUES)), found))
        except (KeyError, IndexError):
            continue
        if draw.randrange(40) == 0:
            holder[key] = json.loads("[" * 400 + "]" * 400)
    try:
        return json.dumps(root[""]).encode()
    except (ValueError, RecursionError):
        return _torn(line, draw)


def _holders(value: Any, depth: int = 0) -> Iterator[tuple[Any, Any]]:
    """Yield every place of a value as what holds it and under which key."""
    if depth > 40:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield value, key
            yield from _holders(inner, depth + 1)
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield value, at
            yield from _holders(inner, depth + 1)


def survives(reader: ModuleType, raw: bytes) -> int:
    """Read a file's bytes with a reader; return how many calls came of it.

    Nothing may leave it but an ``InputError``, nothing at all where bad lines are
    skipped, and each line it yields is a call or is refused as any line is.
    """
    intake = Intake(default_counter())
    for skip_bad in (False, True):
        intake = Intake(default_counter())
        file = File("log", io.BufferedReader(io.BytesIO(raw)))

        try:
            for _, line in reader.read(file, Tally(skip_bad=skip_bad)):
                try:
                    intake.add(json.dumps(line, default=_raw).encode())
                except InputError:
                    continue
        except InputError:
            assert not skip_bad, "a bad line is skipped where that is asked for"
    return len(intake)


def survives_all(reader: ModuleType, entries: Sequence[Any], number: int, seed: int) -> None:
    """Read so many broken entries: most of them a line each, some as a list of one."""
    lines = list(hostile_lines([json.dumps(each).encode() for each in entries], number, seed))
    for at in range(0, number, 200):
        survives(reader, b"\n".join(lines[at : at + 190]))
        for line in lines[at + 190 : at + 200]:
            survives(reader, b"[" + line + b"]")


def _raw(value: Any) -> Any:
    """Return what is passed on as it was."""
    return json.loads(bytes(value))
