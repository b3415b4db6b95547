"""Moments as people type them: so long ago, a day, or a time."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Final

from cacheplan.errors import InputError
from cacheplan.strict_json import quoted

__all__ = ["moment"]

_AGO: Final = re.compile(r"(\d{1,6})([mhdw])")
_SECONDS: Final = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def moment(text: str) -> float:
    """Return the moment that somebody means, in seconds since 1970.

    A day or a time without a zone is UTC, as the service's own reports are.

    >>> moment("2026-11-01")
    1793491200.0
    """
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return time.time() - int(ago[1]) * _SECONDS[ago[2]]
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        what = f"{quoted(text)} is no time: 30m, 12h, 7d, 2w, a date, or a date and a time"
        raise InputError(what) from error
