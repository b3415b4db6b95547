"""Calls told as lines that extend one another, so that a conversation costs a line a turn.

A call is known by its messages; what it shares with an earlier one is named and not said
again. This file knows what such a line looks like, and no format of logs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from cacheplan.transcript import Message, Texts

__all__ = ["Continuing", "Marks", "shared"]

#: By message and block: the mark that stands there.
Marks = Mapping[tuple[int, int], Any]

#: Conversations that a call may go on from.
_RECENT: Final = 64
_NULL: Final = msgspec.Raw(b"null")


class Continuing:
    """Remembers the newest call of each conversation that was told."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._recent: OrderedDict[str, tuple[list[Message], Mapping[str, msgspec.Raw]]]
        self._recent = OrderedDict()

    def told(
        self,
        name: str,
        chain: list[Message],
        around: Mapping[str, msgspec.Raw],
        marks: Marks | None = None,
    ) -> dict[str, Any] | None:
        """Return what a call's line says of its prompt, ``None`` if some text is gone.

        A message that is marked is said again, since what is repeated loses its marks.
        """
        marks = marks or {}
        most = min([len(chain) - 1, *(message for message, _ in marks)])
        extends, keep = self._best(chain, most)
        new = []
        for index in range(keep, len(chain)):
            said = self._texts.message(chain[index])
            if said is None:
                return None
            here = {block: mark for (at, block), mark in marks.items() if at == index}
            new.append(_marked(said, here) if here else said)
        members = dict(around)
        if extends is not None:
            earlier = self._recent[extends]
            members = _changed(earlier[1], around)
            if chain[: len(earlier[0])] == earlier[0]:
                del self._recent[extends]
        self._recent[name] = (chain, around)
        if len(self._recent) > _RECENT:
            self._recent.popitem(last=False)
        line: dict[str, Any] = {"extends": extends, "request": {**members, "messages": new}}
        return line if extends is None else {**line, "keep": keep}

    def _best(self, chain: list[Message], most: int) -> tuple[str | None, int]:
        """Return the call that shares the most messages, and how many may be kept."""
        best, keep = None, 0
        for name, (other, _) in reversed(self._recent.items()):
            count = shared(other, chain, most)
            if count > keep:
                best, keep = name, count
            if keep == most:
                break
        return best, keep


def shared(one: Sequence[Message], other: Sequence[Message], most: int) -> int:
    """Count the messages that two calls begin with."""
    most = min(most, len(one))
    if one[:most] == other[:most]:
        return most
    return next(at for at in range(most) if one[at] != other[at])


def _changed(
    before: Mapping[str, msgspec.Raw], now: Mapping[str, msgspec.Raw]
) -> dict[str, msgspec.Raw]:
    """Return the members that are other than they were; null is one that is no more."""
    gone = dict.fromkeys(before.keys() - now.keys(), _NULL)
    return gone | {key: part for key, part in now.items() if before.get(key) != part}


def _marked(said: msgspec.Raw, marks: Mapping[int, Any]) -> msgspec.Raw:
    """Write marks on the blocks of a message."""
    message = msgspec.json.decode(said)
    for block, mark in marks.items():
        message["content"][block]["cache_control"] = mark
    return msgspec.Raw(msgspec.json.encode(message))
