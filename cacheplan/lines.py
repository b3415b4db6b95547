"""Lines of a workload written again: what changed is put in, all else stays byte for byte.

This file knows the contract's keys and the outside of a body. A line comes in as bytes
and goes out as bytes; the one that came in where nothing in it changed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from cacheplan.marking import marked_request
from cacheplan.prefixes import SETTINGS, PrefixTree
from cacheplan.prompt import Breakpoint
from cacheplan.strict_json import array, members, value
from cacheplan.workload import Call, Workload

__all__ = ["body_in", "moved", "object_of", "remarked", "with_body"]


def body_in(line: bytes) -> dict[str, Any] | None:
    """Return the body that a line holds; ``None`` where it holds digests."""
    parts = members(line)
    found: dict[str, Any] | None = value(parts["request"]) if "request" in parts else None
    return found


def with_body(line: bytes, old: Mapping[str, Any], new: Mapping[str, Any]) -> bytes:
    """Return a line with another body; members that say the same stay as they were written."""
    if new is old:
        return line
    parts = members(line)
    raw = members(parts["request"])
    made: dict[str, bytes] = {}
    for key, part in new.items():
        if key == "messages" and key in raw:
            made[key] = _list(array(raw[key]), old[key], part)
        else:
            made[key] = _part(raw.get(key), old.get(key), part)
    around = {key: bytes(part) for key, part in parts.items()}
    return object_of({**around, "request": object_of(made)})


def _part(raw: msgspec.Raw | None, old: Any, new: Any) -> bytes:
    """Return a value as it was written if it says the same, and as JSON otherwise.

    Values are compared as JSON: the order of keys counts in a prompt.
    """
    if raw is not None and (new is old or _json(new) == _json(old)):
        return bytes(raw)
    return _json(new)


def _json(part: Any) -> bytes:
    """Write a value as JSON; half a surrogate pair, which no UTF-8 holds, is escaped."""
    try:
        return msgspec.json.encode(part)
    except (UnicodeEncodeError, OverflowError):
        return json.dumps(part).encode()


def _list(raws: Sequence[msgspec.Raw], old: Sequence[Any], new: Sequence[Any]) -> bytes:
    """Return a list whose items may each be as they were."""
    written = [
        _part(raws[at], old[at], item) if at < len(raws) else _json(item)
        for at, item in enumerate(new)
    ]
    return b"[" + b",".join(written) + b"]"


def object_of(parts: Mapping[str, bytes]) -> bytes:
    """Return an object of values that are written already."""
    return b"{" + b",".join(_json(key) + b":" + part for key, part in parts.items()) + b"}"


def moved(line: bytes, at: float) -> bytes:
    """Return a line whose call starts at another time, written as the old one was."""
    parts = {key: bytes(part) for key, part in members(line).items()}
    old = value(parts["at"])
    parts["at"] = _json(_moment(old, at) if isinstance(old, str) else at)
    return object_of(parts)


def _moment(old: str, at: float) -> str:
    """Write a time in the zone of the old one; never earlier, so what is waited for is there."""
    zone = datetime.fromisoformat(old.upper()).tzinfo
    found = datetime.fromtimestamp(math.floor(at), tz=zone)
    found += timedelta(microseconds=round((at - math.floor(at)) * 1e6))
    while found.timestamp() < at:
        found += timedelta(microseconds=1)
    return found.isoformat()


def remarked(
    line: bytes, workload: Workload, call: Call, marks: Sequence[Breakpoint]
) -> bytes | None:
    """Return a line with these marks and no others; ``None`` if the API refused them.

    It then says where its breakpoints stand, whatever it lacked.
    """
    tree, assume = workload.tree, workload.assume
    body = body_in(line)
    if body is None:
        return _saying_marks(_digests(line, tree, call, marks), call)
    made = marked_request(body, tree, call.tip, marks, assume, call.tariff.platform)
    return None if made is None else _saying_marks(with_body(line, body, made), call)


def _saying_marks(line: bytes, call: Call) -> bytes:
    """Return a line that no longer lacks its marks."""
    if "marks" not in call.lacks:
        return line
    parts = {key: bytes(part) for key, part in members(line).items() if key != "lacks"}
    rest = [word for word in call.lacks if word != "marks"]
    return object_of({**parts, "lacks": _json(rest)} if rest else parts)


def _digests(line: bytes, tree: PrefixTree, call: Call, marks: Sequence[Breakpoint]) -> bytes:
    """Return a line of the digest form with these marks."""
    nodes = [node for node in tree.path(call.tip) if tree.kind[tree.block[node]] != SETTINGS]
    index = {node: at for at, node in enumerate(nodes)}
    found = [{"block": index[node], "ttl": str(lifetime)} for node, lifetime in marks]
    parts = {key: bytes(part) for key, part in members(line).items() if key != "automatic"}
    return object_of({**parts, "marks": _json(found)})
