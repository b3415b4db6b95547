"""The folder that a log lies in, which may hold parts of it in files of their own.

Some services keep large bodies apart from their log and write into it where. Whoever copies
a bucket copies them too, so that they lie beside the log, or below its folder. This file
knows where such a file may lie and how large it may be, not what stands in it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from cacheplan.errors import InputError
from cacheplan.io.opening import Source, opened

__all__ = ["Folder", "content"]

#: Steps of an address that a folder may have been copied under. None of them leads upwards,
#: so that a log can name no file but those below its own folder.
_STEP: Final = re.compile(r"(?!\.)[\w.=+@,!()'-]+", re.ASCII)
#: Bytes of an address: a key of S3 has no more, and its bucket has 63.
_LONGEST: Final = 1024 + 63 + len("s3:///")
#: Bytes of a body. Bedrock takes 25,000,000 of them (InvokeModel's reference, 2026-11), and
#: the events of an answer are a few times as long as their text.
_LARGEST: Final = 1 << 27


class Folder:
    """Where a log lies; ``parts`` are the files of all logs that are no logs themselves."""

    def __init__(self, log: Source, parts: set[Path]) -> None:
        self._path = Path(log).parent
        self._parts = parts

    def part(self, address: str) -> Path | None:
        """Return the file that an address means, by as much of its end as leads to one."""
        if len(address) > _LONGEST:
            return None
        path = Path()
        for step in reversed(address.split("/")):
            if not _STEP.fullmatch(step):
                break
            path = step / path
            found = self._path / path
            if _there(found):
                self._parts.add(found)
                return found
        return None


def _there(path: Path) -> bool:
    """Tell whether there is such a file; a name that no file can have is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def content(path: Path) -> bytes:
    """Return what stands in a part of a log."""
    try:
        with opened(path) as stream:
            found = stream.read(_LARGEST + 1).strip()
    except InputError as error:
        raise type(error)(f"{path.name}: {error.what}") from error
    if len(found) > _LARGEST:
        raise InputError(f"{path.name}: this is larger than any body")
    if not found:
        raise InputError(f"{path.name}: nothing stands in it")
    return found
