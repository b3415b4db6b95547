"""Usage as other programs count it, told as the API tells it.

Anthropic's own ``input_tokens`` leaves out what was read and written; most others' input
holds both. Which of the two a source means decides the bill by up to ten times, so each
is its own function, and numbers that cannot be what their source says are refused.
"""

from __future__ import annotations

from typing import Any

from cacheplan.errors import InputError

__all__ = ["either", "exclusive", "inclusive"]


def exclusive(
    uncached: int | None,
    output: int | None,
    *,
    read: int | None = None,
    written: int | None = None,
    short: int | None = None,
    long: int | None = None,
) -> dict[str, Any]:
    """Return the API's usage from counts whose input leaves out what was cached.

    ``short`` and ``long`` are what was written for 5 minutes and for an hour, where the
    source parts them.

    >>> exclusive(3, 5, read=100)["cache_read_input_tokens"]
    100
    """
    counts = {"input": uncached, "output": output, "read": read, "written": written}
    counts |= {"written for 5 minutes": short, "written for an hour": long}
    for name, count in counts.items():
        if count is not None and count < 0:
            raise InputError(f"{count} tokens {name} are fewer than none")
    usage: dict[str, Any] = {
        "input_tokens": uncached or 0,
        "cache_read_input_tokens": read or 0,
        "cache_creation_input_tokens": max(written or 0, (short or 0) + (long or 0)),
        "output_tokens": output or 0,
    }
    if short or long:
        # What a source writes and does not part is the shorter lifetime's, as in the API.
        rest = usage["cache_creation_input_tokens"] - (long or 0)
        usage["cache_creation"] = {
            "ephemeral_5m_input_tokens": rest,
            "ephemeral_1h_input_tokens": long or 0,
        }
    return usage


def inclusive(
    prompt: int | None,
    output: int | None,
    *,
    read: int | None = None,
    written: int | None = None,
    short: int | None = None,
    long: int | None = None,
) -> dict[str, Any]:
    """Return the API's usage from counts whose input holds what was cached as well.

    >>> inclusive(110, 5, read=100)["input_tokens"]
    10
    """
    cached = (read or 0) + max(written or 0, (short or 0) + (long or 0))
    whole = prompt or 0
    if whole < cached:
        what = f"{whole} tokens of input cannot hold {cached} that were read and written"
        raise InputError(what)
    return exclusive(whole - cached, output, read=read, written=written, short=short, long=long)


def either(  # noqa: PLR0913 -- the numbers of one response
    prompt: int | None,
    output: int | None,
    total: int | None,
    *,
    read: int | None = None,
    written: int | None = None,
    short: int | None = None,
    long: int | None = None,
) -> tuple[dict[str, Any], bool]:
    """Return the API's usage from counts of a source that is used both ways, and if that is sure.

    The sum of all tells which it is. Without one, an input smaller than what was cached
    cannot hold it; any other could be either, and is taken to hold it.

    >>> either(10, 5, 115, read=100)[0]["input_tokens"], either(110, 5, 115, read=100)[1]
    (10, True)
    >>> either(110, 5, None, read=100)[1]
    False
    """
    cached = (read or 0) + max(written or 0, (short or 0) + (long or 0))
    whole, answer = prompt or 0, output or 0
    parts = {"read": read, "written": written, "short": short, "long": long}
    if not cached:
        return exclusive(whole, answer, **parts), True
    if whole < cached or total == whole + cached + answer:
        return exclusive(whole, answer, **parts), True
    return inclusive(whole, answer, **parts), total == whole + answer
