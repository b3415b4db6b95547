"""Requests rebuilt from what Claude Code's client recorded of them (2.1.282 and later).

A record names a request's parts by their fingerprints: the shape (system and tools) and the
messages, as a chain that goes on from an earlier request's. What the transcript shows
anyway is not recorded again and is found among its messages. Nothing is used whose
fingerprint is not the recorded one. What the client puts before the system prompt to say
who pays is in no record. Form as of client 2.1.330, seen 2026-11-21.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from cacheplan.continuing import Marks
from cacheplan.errors import InputError
from cacheplan.fingerprints import fingerprint, message_fingerprint
from cacheplan.seals import Seals, sorted_json
from cacheplan.strict_json import members, value
from cacheplan.transcript import Message, Texts, Transcript

__all__ = ["Asked", "Mark", "Rebuilding", "Rebuilt"]

#: Chains of requests that later ones may go on from.
_CHAINS: Final = 64
#: Shapes in use: one a kind of agent and set of tools.
_SHAPES: Final = 16
#: Said of how a request is sent, in a header and not in its body.
_OUTSIDE: Final = frozenset({"betas"})


class Mark(msgspec.Struct):
    """A mark that the client placed: on what, and what it says."""

    path: list[str | int]
    value: dict[str, Any]


class Asked(msgspec.Struct, rename="camel"):
    """A request as the client recorded it."""

    id: str
    timestamp: str
    shape_hash: str
    tail: list[str]
    params: dict[str, msgspec.Raw]
    keep: int = 0
    base: str | None = None
    cache_control: list[Mark] = []
    query_source: str | None = None
    request_digest: str | None = None


class Rebuilt(NamedTuple):
    """A request whose parts are what they were recorded to be."""

    chain: list[Message]
    around: dict[str, msgspec.Raw]
    marks: Marks
    #: False where all parts are as recorded, and the whole has another digest.
    sealed: bool


class _Head(NamedTuple):
    """System and tools with their marks."""

    written: dict[str, msgspec.Raw]
    #: As the digest of a whole request has them.
    plain: dict[str, bytes]


class Rebuilding:
    """Puts recorded requests together from what a transcript has said so far."""

    def __init__(self, shown: Transcript, texts: Texts) -> None:
        self._shown = shown
        self._texts = texts
        self._known: dict[str, Message] = {}
        self._shapes: OrderedDict[str, Mapping[str, Any]] = OrderedDict()
        self._chains: OrderedDict[str, list[Message]] = OrderedDict()
        #: By shape and marks: system and tools as they were sent, and as a digest has them.
        self._heads: OrderedDict[tuple[str, bytes], _Head] = OrderedDict()
        self._seals = Seals(texts)

    def add_shape(self, name: str, shape: msgspec.Raw) -> bool:
        """Take in system and tools; false if they are not what their name says."""
        found = value(shape)
        if not isinstance(found, dict) or fingerprint(found) != name:
            return False
        _remember(self._shapes, name, found, _SHAPES)
        return True

    def add_message(self, name: str, number: int, raw: msgspec.Raw) -> bool:
        """Take in a recorded message; false if it is not what its name says."""
        message, parts = value(raw), members(raw)
        if not isinstance(message.get("content"), str | list):
            raise InputError("this is neither text nor a list", ("content",))
        if not isinstance(message.get("role"), str) or message_fingerprint(message) != name:
            return False
        self._texts.put(number, parts["content"])
        more = {key: part for key, part in parts.items() if key not in ("role", "content")}
        written = msgspec.json.encode(more)[1:-1]
        role = str(message["role"])
        self._known[name] = Message(role, (number,), b"," + written if written else b"")
        return True

    def request(self, asked: Asked) -> Rebuilt | None:
        """Return a request, ``None`` if some part of it was not found as recorded."""
        params = {key: _read(key, part) for key, part in asked.params.items()}
        found = self._chain(asked)
        shape = self._shapes.get(asked.shape_hash)
        if not found or shape is None:
            return None
        at_messages = [mark for mark in asked.cache_control if mark.path[:1] == ["messages"]]
        others = [mark for mark in asked.cache_control if mark.path[:1] != ["messages"]]
        head = self._head(asked.shape_hash, shape, others)
        marks = self._marks(found, at_messages)
        if head is None or marks is None:
            return None
        around = {key: part for key, part in asked.params.items() if key not in _OUTSIDE}
        members = {key: sorted_json(part) for key, part in params.items()} | head.plain
        digest = asked.request_digest
        sealed = digest is None or self._seals.holds(digest, members, found, marks)
        return Rebuilt(found, {**around, **head.written}, marks, sealed)

    def _chain(self, asked: Asked) -> list[Message] | None:
        """Return a request's messages, if what it goes on from and all the rest is known."""
        before = self._chains.get(asked.base) if asked.base is not None else []
        if before is None or not 0 <= asked.keep <= len(before):
            return None
        tail = self._messages(asked.tail)
        if tail is None:
            return None
        chain = [*before[: asked.keep], *tail]
        _remember(self._chains, asked.id, chain, _CHAINS)
        return chain

    def _messages(self, names: Sequence[str]) -> list[Message] | None:
        """Return the messages of these names, looking for them among what was said."""
        known = self._known
        if not known.keys() >= set(names):
            known.update(self._shown.unnamed())
        if not known.keys() >= set(names):
            for name, message in self._shown.parted():
                known.setdefault(name, message)
        return [known[name] for name in names] if known.keys() >= set(names) else None

    def _head(self, name: str, shape: Mapping[str, Any], marks: Sequence[Mark]) -> _Head | None:
        """Return system and tools as they were sent, written once for all requests."""
        key = (name, msgspec.json.encode(marks))
        if key not in self._heads:
            made = _marked(shape, marks)
            if made is None:
                return None
            parts = {part: found for part, found in made.items() if found}
            written = {part: msgspec.Raw(msgspec.json.encode(parts[part])) for part in parts}
            head = _Head(written, {part: sorted_json(parts[part]) for part in parts})
            _remember(self._heads, key, head, _SHAPES)
        return self._heads[key]

    def _marks(self, chain: Sequence[Message], marks: Iterable[Mark]) -> Marks | None:
        """Return where messages are marked, ``None`` if there is no such place."""
        found = {}
        for mark in marks:
            match mark.path:
                case [_, int(index), "content", int(block)] if 0 <= index < len(chain):
                    content = self._texts.content(chain[index])
                    blocks = [] if content is None else msgspec.json.decode(content)
                    if not 0 <= block < len(blocks) or not isinstance(blocks[block], dict):
                        return None
                    found[index, block] = mark.value
                case _:
                    return None
        return found


def _read(key: str, part: msgspec.Raw) -> Any:
    """Read a member; what is no JSON as others read it is refused."""
    try:
        return value(part)
    except InputError as error:
        raise error.within(key).within("params") from error


def _marked(shape: Mapping[str, Any], marks: Iterable[Mark]) -> dict[str, Any] | None:
    """Return system and tools with their marks, ``None`` if there is no such place."""
    made = dict(shape)
    for mark in marks:
        match mark.path:
            case []:
                made["cache_control"] = mark.value
            case [str(part), int(index)] if _has(made.get(part), index):
                blocks = list(made[part])
                blocks[index] = {**blocks[index], "cache_control": mark.value}
                made[part] = blocks
            case _:
                return None
    return made


def _has(blocks: Any, index: int) -> bool:
    """Tell whether a list has an object at an index."""
    listed = isinstance(blocks, list) and 0 <= index < len(blocks)
    return listed and isinstance(blocks[index], dict)


def _remember(kept: OrderedDict[Any, Any], name: Any, thing: Any, most: int) -> None:
    """Keep the newest few things."""
    kept[name] = thing
    kept.move_to_end(name)
    if len(kept) > most:
        kept.popitem(last=False)
