"""The files of a team: its settings in ``pyproject.toml``, and its baseline.

Settings are those of the nearest ``pyproject.toml`` from the working directory upward
that has a ``[tool.cacheplan]``. What they mean is read elsewhere, and only where there
are any.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cacheplan.errors import InputError
from cacheplan.io.opening import opened
from cacheplan.io.writing import write_text
from cacheplan.strict_json import value

if TYPE_CHECKING:
    from cacheplan.agreed import Agreed
    from cacheplan.baseline import Entry
    from cacheplan.finding import Finding

__all__ = ["baseline_from", "nearest", "settings_from", "write_baseline"]

_NAME = "pyproject.toml"
#: The files of other programs are not ours to read, or to find fault with.
_SIGN = b"cacheplan"


def nearest(folder: Path | None = None) -> tuple[str, Agreed] | None:
    """Return the settings that hold in a folder, with the name of their file."""
    start = (folder or Path()).resolve()
    for place in (start, *start.parents):
        path = place / _NAME
        if path.is_file():
            table = _table(path, _shown(path))
            if table is not None:
                return _shown(path), _agreed(table, path)
    return None


def settings_from(name: str) -> Agreed:
    """Return the settings of one file."""
    table = _table(Path(name), name)
    if table is None:
        raise InputError("there is no [tool.cacheplan] in it").at(name)
    return _agreed(table, Path(name), name)


def _table(path: Path, shown: str) -> Any:
    """Return our table of a TOML file, ``None`` where it has none."""
    import tomllib

    with opened(path) as stream:
        raw = stream.read()
    if _SIGN not in raw:
        return None
    try:
        document = tomllib.loads(raw.decode())
    except ValueError as error:
        raise InputError(f"this is not TOML: {error} (--no-settings does without)").at(
            shown
        ) from error
    tools = document.get("tool", {})
    return tools.get("cacheplan") if isinstance(tools, dict) else None


def _agreed(table: Any, path: Path, shown: str | None = None) -> Agreed:
    """Read the table; the files that it names are those beside it."""
    from cacheplan.agreed import agreed

    try:
        found = agreed(table)
    except InputError as error:
        raise error.at(shown or _shown(path)) from error
    files = {
        key: _shown(path.parent / name)
        for key, name in (("prices", found.prices), ("baseline", found.baseline))
        if name is not None
    }
    return replace(found, **files)  # type: ignore[arg-type] # two fields, both texts


def _shown(path: Path) -> str:
    """Name a file as seen from here."""
    try:
        return os.path.relpath(path)
    except ValueError:  # On another drive.
        return str(path)


def baseline_from(name: str) -> tuple[Entry, ...]:
    """Read a baseline file."""
    from cacheplan.baseline import read_baseline

    if not Path(name).exists():
        raise InputError("no such file; cacheplan review --write-baseline FILE makes one").at(name)
    with opened(name) as stream:
        raw = stream.read()
    try:
        return read_baseline(value(raw))
    except InputError as error:
        raise error.at(name) from error


def write_baseline(name: str, findings: Iterable[Finding]) -> int:
    """Write the findings as a baseline, whole or not at all; return how many entries it has."""
    from cacheplan.baseline import baseline

    document = baseline(findings)
    write_text(name, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return len(document["findings"])
