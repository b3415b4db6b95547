"""What a line of a workload file states besides its prompt, whatever its form.

This file knows the contract's keys around a prompt, and says where in a line a value is
wrong. It knows no prompt.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from cacheplan import facts
from cacheplan.errors import InputError
from cacheplan.labels import Tags, tags_of
from cacheplan.lacking import LACKING
from cacheplan.strict_json import member, number, quoted
from cacheplan.usage import Usage
from cacheplan.waivers import Waiver, read_waivers

__all__ = ["Stated", "recorded_usage", "stated"]

_SURFACES: Final = ("messages", "batch")
#: No prompt is a thousandth as long; anything above is a mistake, and may be one of a
#: size that arithmetic cannot take.
_TOKENS: Final = 10**12


class Stated(NamedTuple):
    """What every form of line says besides its prompt."""

    at: float | None
    id: str | None
    session: str | None
    label: str | None
    workspace: str | None
    platform: str
    surface: str
    first_token_after: float
    output: int | None
    recorded: Usage | None
    failed: bool
    waive: tuple[Waiver, ...]
    tags: Tags
    lacks: tuple[str, ...]


def recorded_usage(usage: Mapping[str, Any]) -> Usage:
    """Read the usage of a response; a write without a split is all 5 minutes.

    >>> recorded_usage({"input_tokens": 3, "cache_creation_input_tokens": 10})
    Usage(uncached=3, write_5m=10, write_1h=0, read=0, output=0)
    """
    written = _count(usage, "cache_creation_input_tokens")
    split = usage.get("cache_creation")
    long = 0
    if split is not None:
        if not isinstance(split, Mapping):
            raise InputError("this is not an object", ("cache_creation",))
        try:
            long = _count(split, "ephemeral_1h_input_tokens")
            written = max(written, long + _count(split, "ephemeral_5m_input_tokens"))
        except InputError as error:
            raise error.within("cache_creation") from error
    return Usage(
        uncached=_count(usage, "input_tokens"),
        write_5m=written - long,
        write_1h=long,
        read=_count(usage, "cache_read_input_tokens"),
        output=_count(usage, "output_tokens"),
    )


def _count(holder: Mapping[str, Any], key: str) -> int:
    """Return a number of tokens; left out or null is none."""
    try:
        return _read_tokens(holder.get(key)) or 0
    except InputError as error:
        raise error.within(key) from error


def stated(parts: Mapping[str, msgspec.Raw]) -> Stated:
    """Decode what every form of line says besides its prompt."""
    found = dict(_LEFT_OUT)
    for key, read in _READERS.items():
        if key in parts:
            given = member(parts, key)
            try:
                found[key] = read(given)
            except InputError as error:
                raise error.within(key) from error
    response = found["response"]
    usage = found["usage"]
    recorded, failed = _response(response) if response else (usage, False)
    return Stated(
        at=found["at"],
        id=found["id"],
        session=found["session"],
        label=found["label"],
        workspace=found["workspace"],
        platform=found["platform"],
        surface=found["surface"],
        first_token_after=found["first_token_after"],
        output=found["output_tokens"],
        recorded=recorded if recorded is not None else usage,
        failed=failed,
        waive=found["waive"],
        tags=found["tags"],
        lacks=found["lacks"],
    )


def _response(response: Mapping[str, Any]) -> tuple[Usage | None, bool]:
    """Return a response's usage, and whether it is an error."""
    failed = response.get("type") == "error" or response.get("error") is not None
    usage = response.get("usage")
    if usage is None:
        return None, failed
    try:
        return _read_usage(usage), failed
    except InputError as error:
        raise error.within("usage").within("response") from error


def _read_usage(found: Any) -> Usage | None:
    """Read usage where it stands."""
    if found is None:
        return None
    if not isinstance(found, Mapping):
        raise InputError("this is not an object")
    return recorded_usage(found)


def _read_at(found: Any) -> float | None:
    """Read a time: seconds, or RFC 3339 with its zone."""
    if not isinstance(found, str):
        return None if found is None else number(found)
    try:
        # The standard allows small letters, Python only capitals.
        moment = datetime.fromisoformat(found.upper())
        if moment.tzinfo is not None:
            return moment.timestamp()
    except (ValueError, OverflowError) as error:
        what = f"{quoted(found)} is neither seconds nor an RFC 3339 time"
        raise InputError(what) from error
    raise InputError(f"{quoted(found)} names no time zone (write Z for UTC)")


def _read_seconds(found: Any) -> float:
    """Read how long the first token took; a second where nobody says."""
    seconds = 1.0 if found is None else number(found)
    if seconds < 0:
        raise InputError(f"{found} is negative")
    return seconds


def _read_text(found: Any) -> str | None:
    """Read a name."""
    if found is None or isinstance(found, str):
        return found
    raise InputError("this is not text")


def _read_name(found: Any) -> str | None:
    """Read a name that many lines have: equal ones are one object."""
    name = _read_text(found)
    return name if name is None else sys.intern(name)


def _read_tags(found: Any) -> Tags:
    """Read further names; each is a word, as a label is."""
    if not isinstance(found, Mapping | None):
        raise InputError("this is not an object")
    try:
        tags: Tags = _one(tags_of(found or {}))
    except TypeError as error:
        raise InputError(str(error)) from error
    return tags


def _read_lacks(found: Any) -> tuple[str, ...]:
    """Read what the source of a line does not say; equal answers are one object."""
    if found is None:
        return ()
    if not isinstance(found, list):
        raise InputError("this is not a list")
    for at, word in enumerate(found):
        if not isinstance(word, str) or word not in LACKING:
            what = f"{quoted(word)} is not one of {', '.join(LACKING)}"
            raise InputError(what, (at,))
    lacks: tuple[str, ...] = _one(tuple(sorted(set(found))))
    return lacks


@functools.lru_cache(1 << 10)
def _one(found: Any) -> Any:
    """Return one object for equal answers; there are few."""
    return found


def _read_platform(found: Any) -> str:
    """Read where it was sent."""
    return _one_of(found, tuple(facts.PLATFORMS), "anthropic")


def _read_surface(found: Any) -> str:
    """Read how it was sent."""
    return _one_of(found, _SURFACES, "messages")


def _one_of(found: Any, allowed: tuple[str, ...], default: str) -> str:
    """Insist on one of a few words; left out, it is the default."""
    if found is None:
        return default
    if found in allowed:
        return str(found)
    raise InputError(f"{quoted(found)} is not {', '.join(allowed[:-1])} or {allowed[-1]}")


def _read_tokens(found: Any) -> int | None:
    """Read a number of tokens."""
    if found is None:
        return None
    if not isinstance(found, int) or isinstance(found, bool):
        raise InputError("this is not a whole number of tokens")
    if found < 0:
        raise InputError(f"{quoted(found)} is negative")
    if found > _TOKENS:
        raise InputError("more tokens than any prompt has")
    return found


def _read_response(found: Any) -> Mapping[str, Any]:
    """Read what came back; left out, nothing did."""
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise InputError("this is not an object")
    return found


_READERS: Final[Mapping[str, Any]] = {
    "at": _read_at,
    "id": _read_text,
    "session": _read_name,
    "label": _read_name,
    "workspace": _read_name,
    "platform": _read_platform,
    "surface": _read_surface,
    "first_token_after": _read_seconds,
    "output_tokens": _read_tokens,
    "response": _read_response,
    "usage": _read_usage,
    "waive": read_waivers,
    "tags": _read_tags,
    "lacks": _read_lacks,
}

#: What a line says by saying nothing.
_LEFT_OUT: Final[Mapping[str, Any]] = {key: read(None) for key, read in _READERS.items()}
