"""Waivers: findings that are to stay as they are, by code and place, each with a reason.

Knows how a waiver is written, in settings and in a line of a workload, and nothing of
rules: whether there is anything to waive is seen where findings are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cacheplan.errors import InputError
from cacheplan.strict_json import quoted

__all__ = ["Waiver", "read_waiver", "read_waivers"]

_PLACE: Final = re.compile(
    r"(?:tools|system|messages)(?:\[\d+\](?:\.content(?:\[\d+\](?:\.content\[\d+\])?)?)?)?"
)
#: What stands for the reason of a waiver that gives none.
_UNSAID: Final = "waived beside the calls"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """One rule that is waived at one place, or at all of them.

    >>> print(Waiver(code="CP002", place="system[1]", label="support", reason="by law"))
    CP002 at system[1] of "support"
    >>> Waiver(code="CP002", place="messages[1]", reason="").at("messages[1].content[0]")
    True
    >>> Waiver(code="CP002", place="messages[1]", reason="").at("messages[10]")
    False
    """

    #: A rule's code or name, as it was written.
    code: str
    #: A place, or the beginning of one; empty for every place.
    place: str = ""
    #: Only calls with this label; ``None`` for all.
    label: str | None = None
    #: Only calls of this model and label; ``None`` for all.
    lane: tuple[str, str | None] | None = None
    reason: str

    def at(self, place: str) -> bool:
        """Tell whether a place is meant; the empty one is that of a finding without any."""
        rest = place.removeprefix(self.place)
        return not self.place or (place.startswith(self.place) and rest[:1] in {"", "[", "."})

    def about(self, lane: tuple[str, str | None] | None) -> bool:
        """Tell whether calls of a kind are meant."""
        if self.lane is not None and self.lane != lane:
            return False
        return self.label is None or (lane is not None and self.label == lane[1])

    def __str__(self) -> str:
        """Say what is waived."""
        label = self.label if self.lane is None else self.lane[1]
        where = f" at {self.place}" if self.place else ""
        return f"{self.code}{where}" + (f' of "{label}"' if label is not None else "")


def read_waiver(found: Any) -> Waiver:
    """Read a waiver of the settings; it has to say why.

    >>> read_waiver({"code": "CP002", "place": "sytem[1]", "reason": "by law"})
    Traceback (most recent call last):
    cacheplan.errors.InputError: place: "sytem[1]" is not a place, such as tools or system[1]
    """
    waiver = _read(found, ("code", "place", "label", "reason"))
    if not waiver.reason:
        raise InputError("missing; a waiver says why", ("reason",))
    return waiver


def read_waivers(found: Any) -> tuple[Waiver, ...]:
    """Read what a line of a workload waives; a code alone is enough.

    >>> [str(one) for one in read_waivers(["CP001", {"code": "CP002", "place": "system"}])]
    ['CP001', 'CP002 at system']
    """
    if found is None:
        return ()
    if not isinstance(found, list):
        raise InputError("this is not a list of codes or of objects with a code")
    waivers = []
    for at, one in enumerate(found):
        try:
            given = {"code": one} if isinstance(one, str) else one
            waiver = _read(given, ("code", "place", "reason"))
        except InputError as error:
            raise error.within(at) from error
        waivers.append(waiver if waiver.reason else _with_reason(waiver))
    return tuple(waivers)


def _read(found: Any, keys: tuple[str, ...]) -> Waiver:
    """Read the keys that a waiver can have, all of them texts."""
    if not isinstance(found, Mapping):
        raise InputError("this is not a waiver, which has a code")
    for key, text in found.items():
        if key not in keys:
            raise InputError(f"unknown; there are {', '.join(keys)}", (str(key),))
        if not isinstance(text, str) or not text.strip():
            raise InputError("this is not text", (str(key),))
    if "code" not in found:
        raise InputError("missing", ("code",))
    place = found.get("place", "")
    if place and not _PLACE.fullmatch(place):
        raise InputError(f"{quoted(place)} is not a place, such as tools or system[1]", ("place",))
    return Waiver(
        code=found["code"],
        place=place,
        label=found.get("label"),
        reason=found.get("reason", ""),
    )


def _with_reason(waiver: Waiver) -> Waiver:
    """Return a waiver with a word in the place of its reason."""
    return Waiver(code=waiver.code, place=waiver.place, label=waiver.label, reason=_UNSAID)
