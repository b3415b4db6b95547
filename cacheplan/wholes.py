"""Lines that extend another one, with their requests written whole again.

Who reads calls needs no whole requests; who writes bodies, or sends them, does. This file
knows the outside of lines and bodies, and where marks may stand.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from cacheplan.chains import extension, kept, missing
from cacheplan.errors import InputError
from cacheplan.lines import object_of
from cacheplan.marks import unmark
from cacheplan.strict_json import array, members, value

__all__ = ["Wholes"]

#: Requests that others may extend: as many conversations, if each goes on where it ended.
#: The text of each is kept, which a log on its way through memory must not add up to.
_REQUESTS: Final = 256
#: Stands for messages that a request does not have; who reads it says so.
_NONE: Final = msgspec.Raw(b"[]")


class _Request(NamedTuple):
    """A request that others may extend, and the messages as those will repeat them."""

    around: Mapping[str, bytes]
    messages: list[bytes]


class Wholes:
    """Writes lines so that each stands for itself."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Request] = OrderedDict()

    def whole(self, line: bytes) -> bytes:
        """Return a line with its whole request; any other line as it is.

        What is no call, and only there to be extended, becomes nothing.
        """
        # Asked of bytes first: lines are long, and nearly all of them extend nothing.
        if b'"extends"' not in line:
            return line
        try:
            parts = members(line)
        except InputError:
            return line  # Who reads it says where it is none.
        if not {"extends", "request"} <= parts.keys():
            return line
        extends, keep = extension(parts)
        try:
            request = members(parts["request"])
            new = [bytes(message) for message in array(request.get("messages", _NONE))]
        except InputError as error:
            raise error.within("request") from error
        around = {key: bytes(part) for key, part in request.items() if key != "messages"}
        before: list[bytes] = []
        if extends is not None:
            earlier = self._earlier(extends)
            before = earlier.messages[: kept(keep, len(earlier.messages))]
            if len(before) == len(earlier.messages) and "id" in parts:
                # The next line goes on from this one: should any go, the earlier goes first.
                self._known.move_to_end(extends, last=False)
            around = {**earlier.around, **around}
        around = {key: part for key, part in around.items() if part != b"null"}
        if "id" in parts:
            self._keep(str(value(parts["id"])), _Request(around, [*before, *map(_plain, new)]))
        if "at" not in parts:
            return b""  # Only there to be extended.
        body = {**around, "messages": b"[" + b",".join(before + new) + b"]"}
        rest = {key: bytes(part) for key, part in parts.items() if key not in ("extends", "keep")}
        return object_of({**rest, "request": object_of(body)})

    def _earlier(self, name: str) -> _Request:
        """Return the request that a line extends."""
        found = self._known.get(name)
        if found is None:
            raise missing(name)
        self._known.move_to_end(name)
        return found

    def _keep(self, name: str, request: _Request) -> None:
        """Remember a request; the one that nobody asked for the longest goes."""
        self._known[name] = request
        if len(self._known) > _REQUESTS:
            self._known.popitem(last=False)


def _plain(message: bytes) -> bytes:
    """Return a message without its marks."""
    if b"cache_control" not in message:
        return message
    plain: bytes = msgspec.json.encode(unmark({"messages": [value(message)]})["messages"][0])
    return plain
