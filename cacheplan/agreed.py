"""What a team has agreed on, read from the ``[tool.cacheplan]`` of its settings.

Knows every key, and refuses what it does not know: a word that is misspelt would
otherwise switch nothing off, without a sound. Files are opened elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError
from cacheplan.pins import Pin, pins_from
from cacheplan.strict_json import number, quoted
from cacheplan.terms import Terms, code_named, codes, threshold
from cacheplan.waivers import Waiver, read_waiver

__all__ = ["Agreed", "agreed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What holds for every command, unless its own options say otherwise."""

    terms: Terms = field(default_factory=Terms)
    pins: tuple[Pin, ...] = ()
    #: A severity or the code of a rule.
    fail_on: str | None = None
    #: ``NAME=VALUE``, as on the command line.
    assume: tuple[str, ...] = ()
    #: Files, as they are named from the folder of the settings.
    prices: str | None = None
    baseline: str | None = None


def agreed(table: Any) -> Agreed:
    """Read the settings.

    >>> agreed({"off": ["dead-tools"], "fail-on": "warning"}).terms.off
    frozenset({'CP008'})
    >>> agreed({"of": ["CP008"]})
    Traceback (most recent call last):
    cacheplan.errors.InputError: tool.cacheplan.of: unknown; there are off, waive, pins, \
fail-on, worth, baseline, assume, prices
    """
    found: dict[str, Any] = {}
    with _within("tool", "cacheplan"):
        if not isinstance(table, Mapping):
            raise InputError("this is not a table")
        for key, given in table.items():
            if key not in _READERS:
                raise InputError(f"unknown; there are {', '.join(_READERS)}", (key,))
            with _within(key):
                found[key] = _READERS[key](given)
    return Agreed(
        terms=Terms(
            off=found.get("off", frozenset()),
            waivers=found.get("waive", ()),
            worth=found.get("worth"),
        ),
        pins=found.get("pins", ()),
        fail_on=found.get("fail-on"),
        assume=found.get("assume", ()),
        prices=found.get("prices"),
        baseline=found.get("baseline"),
    )


@contextmanager
def _within(*steps: str | int) -> Iterator[None]:
    """Let faults say where they stand."""
    try:
        yield
    except InputError as error:
        for step in reversed(steps):
            error = error.within(step)
        raise error from None


def _text(found: Any) -> str:
    """Read a word or the name of a file."""
    if not isinstance(found, str) or not found.strip():
        raise InputError("this is not text")
    return found


def _texts(found: Any) -> list[str]:
    """Read a list of words."""
    return list(_each(found, _text))


def _each(found: Any, read: Callable[[Any], Any]) -> Iterator[Any]:
    """Read the items of a list one by one."""
    if not isinstance(found, list):
        raise InputError("this is not a list")
    for at, one in enumerate(found):
        with _within(at):
            yield read(one)


def _code(found: Any) -> str:
    """Read which rule."""
    code = code_named(_text(found))
    if code is None:
        raise InputError(f"{quoted(found)} is no rule; there are {', '.join(codes())}")
    return code


def _waiver(found: Any) -> Waiver:
    """Read a waiver of a rule that there is."""
    waiver = read_waiver(found)
    with _within("code"):
        _code(waiver.code)
    return waiver


def _off(found: Any) -> frozenset[str]:
    return frozenset(_each(found, _code))


def _waive(found: Any) -> tuple[Waiver, ...]:
    return tuple(_each(found, _waiver))


def _pins(found: Any) -> tuple[Pin, ...]:
    return pins_from(_texts(found))


def _fail_on(found: Any) -> str:
    return threshold(_text(found))


def _worth(found: Any) -> Decimal:
    """Read an amount of dollars a day."""
    amount = number(found)
    if not 0 <= amount < math.inf:
        raise InputError(f"{found} is no amount of dollars a day")
    return Decimal(str(found))


def _assume(found: Any) -> tuple[str, ...]:
    """Read answers to open questions, which have to be answers."""
    words = tuple(_texts(found))
    Assumptions.parse(words)
    return words


#: By key: what reads it.
_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "off": _off,
    "waive": _waive,
    "pins": _pins,
    "fail-on": _fail_on,
    "worth": _worth,
    "baseline": _text,
    "assume": _assume,
    "prices": _text,
}
