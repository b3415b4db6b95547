"""Files written whole: a reader sees the old one or the new one, never half of either."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from cacheplan.errors import InputError

__all__ = ["write_lines", "write_raw", "write_text"]


def write_lines(output: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON Lines to a file, or to standard output (``-``)."""
    _write(output, (json.dumps(row) + "\n" for row in rows))


def write_raw(output: str, rows: Iterable[bytes]) -> None:
    """Write lines as they are to a file, or to standard output (``-``)."""
    _write(output, (row.decode() + "\n" for row in rows))


def write_text(output: str, text: str) -> None:
    """Write a text to a file, or to standard output (``-``)."""
    _write(output, (text,))


def _write(output: str, parts: Iterable[str]) -> None:
    """Write parts as they come to what takes them so, and whole to a file."""
    if output == "-":
        for part in parts:
            click.echo(part, nl=False)
        return
    target = Path(output).resolve()
    try:
        if target.exists() and not target.is_file() and not target.is_dir():
            # A device or a pipe takes lines as they come, and must stay what it is.
            with target.open("w", encoding="utf-8") as stream:
                stream.writelines(parts)
        else:
            _write_whole(target, parts)
    except OSError as error:
        raise InputError((error.strerror or str(error)).lower()).at(output) from error


def _write_whole(target: Path, parts: Iterable[str]) -> None:
    """Write beside the target and move it there at the end, or leave nothing."""
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        # Opened like any file, so that who may read it is the user's own setting.
        with part.open("x", encoding="utf-8") as stream:
            stream.writelines(parts)
        part.replace(target)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
