"""Requests written without what an earlier line says: a conversation at a line a turn.

Bodies repeat their whole conversation, so a log of whole bodies grows with its square.
Here a line names the line that it extends and holds the newest messages only; this file
keeps what such lines go on from. What a message means it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from cacheplan.envelopes import Sent
from cacheplan.errors import InputError
from cacheplan.parts import Part
from cacheplan.repeats import Message
from cacheplan.strict_json import member, quoted

__all__ = [
    "Chain",
    "Chains",
    "Continued",
    "Laid",
    "extension",
    "kept",
    "missing",
    "unmarked",
]

#: Bytes of text that are kept: what the API takes in one request (32 MB, Claude docs,
#: errors, 2026-08-22). It is looked at again only where the model changes, or where messages
#: change what is rendered of one another.
_KEPT: Final = 32 << 20
_NULL: Final = msgspec.Raw(b"null")


class _Talk:
    """The messages of one conversation, shared by all the lines that it grew by."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.raws: list[msgspec.Raw] | None = []
        #: Bytes of its text.
        self.size = 0


class Laid(NamedTuple):
    """Where a request's messages end in the tree, and on top of which head; what they ask."""

    head: int
    node: int
    traits: int


class Chain(NamedTuple):
    """A request as far as a line says it: what it goes on from, and how."""

    #: All members but the messages; those of the line over those of the one it extends.
    around: Mapping[str, msgspec.Raw]
    #: What is repeated, and by which tokenizer it was read (-1: nothing is).
    talk: _Talk
    keep: int
    variant: int
    #: Where what is repeated ends, if it is all of a request that was read.
    laid: Laid | None = None

    @property
    def repeated(self) -> Sequence[Message]:
        """The messages that are sent again; no mark on them is."""
        return [unmarked(message) for message in self.talk.messages[: self.keep]]

    def raws(self, new: Sequence[msgspec.Raw]) -> list[msgspec.Raw]:
        """Return all messages as they were written."""
        if self.talk.raws is None:
            raise InputError("too far behind the line that it extends to be read otherwise")
        return [*self.talk.raws[: self.keep], *new]


class _Kept(NamedTuple):
    """What a line leaves for those that extend it."""

    around: Mapping[str, msgspec.Raw]
    talk: _Talk
    length: int
    variant: int
    laid: Laid | None


class Continued(NamedTuple):
    """A request as it was read: its new messages, as they were written too."""

    sent: Sent | None
    new: Sequence[Message]
    raws: Sequence[msgspec.Raw]
    #: By which tokenizer they were read.
    variant: int
    #: Those that are repeated, where they had to be read anew.
    before: Sequence[Message] | None = None
    laid: Laid | None = None


class Chains:
    """Remembers, by id, the requests that later lines may extend."""

    def __init__(self, most: int = _KEPT) -> None:
        self._most = most
        self._kept: dict[str, _Kept] = {}
        #: Those whose text is kept, the one that was gone on with last at the end.
        self._talks: dict[_Talk, None] = {}
        self._size = 0
        #: Members that whole services have in common, each once.
        self._members: dict[bytes, msgspec.Raw] = {}

    def resolve(
        self, members: Mapping[str, msgspec.Raw], extends: str | None, keep: int | None
    ) -> Chain:
        """Return what a line's request is, given what it extends."""
        around = {
            key: self._member(bytes(part)) for key, part in members.items() if key != "messages"
        }
        if extends is None:
            return Chain(around, _Talk(), 0, -1)
        earlier = self._kept.get(extends)
        if earlier is None:
            raise missing(extends)
        length = kept(keep, earlier.length)
        # Nearly every line says nothing new here, and then it is the same object.
        said: Mapping[str, msgspec.Raw] = earlier.around
        if any(said.get(key) != part for key, part in around.items()):
            said = {key: part for key, part in {**said, **around}.items() if part != _NULL}
        laid = earlier.laid if length == earlier.length else None
        return Chain(said, earlier.talk, length, earlier.variant, laid)

    def forget(self) -> None:
        """Let go of everything, since no later line extends an earlier one."""
        self._kept.clear()
        self._talks.clear()
        self._members.clear()
        self._size = 0

    def _member(self, part: bytes) -> msgspec.Raw:
        """Return a member that lets go of its line, and is there once."""
        return self._members.setdefault(part, msgspec.Raw(part))

    def keep(self, name: str | None, chain: Chain, read: Continued) -> None:
        """Remember a request that was read; nobody can extend one without a name."""
        if name is None:
            return
        talk = chain.talk
        if chain.variant in (-1, read.variant) and len(talk.messages) == chain.keep:
            talk.messages += read.new
        else:
            talk = self._fork(chain, read)
        self._hold(talk, [msgspec.Raw(bytes(raw)) for raw in read.raws])
        length = len(talk.messages)
        self._kept[name] = _Kept(chain.around, talk, length, read.variant, read.laid)

    def _fork(self, chain: Chain, read: Continued) -> _Talk:
        """Return a conversation that leaves another one, or was read otherwise."""
        raws = chain.talk.raws
        talk = _Talk()
        talk.messages += chain.repeated if read.before is None else read.before
        talk.messages += read.new
        if raws is None:
            talk.raws = None
        else:
            self._hold(talk, raws[: chain.keep])
        return talk

    def _hold(self, talk: _Talk, new: Sequence[msgspec.Raw]) -> None:
        """Keep more text of a conversation; that of the one left for the longest may have to go.

        A conversation that lost some of its text has none.
        """
        if talk.raws is None:
            return
        added = sum(len(memoryview(raw)) for raw in new)
        talk.raws += new
        talk.size += added
        self._size += added
        self._talks.pop(talk, None)
        self._talks[talk] = None
        while self._size > self._most and len(self._talks) > 1:
            oldest = next(iter(self._talks))
            del self._talks[oldest]
            self._size -= oldest.size
            oldest.raws = None


def extension(parts: Mapping[str, msgspec.Raw]) -> tuple[str | None, int | None]:
    """Read which line a line extends, and how many of its messages."""
    extends, keep = member(parts, "extends"), member(parts, "keep")
    if extends is not None and not isinstance(extends, str):
        raise InputError("this is not text", ("extends",))
    if keep is not None and (isinstance(keep, bool) or not isinstance(keep, int)):
        raise InputError("this is not a number of messages", ("keep",))
    return extends, keep


def missing(name: str) -> InputError:
    """Say that there is no line to be extended."""
    what = f"{quoted(name)} is not the id of an earlier line that may be extended"
    return InputError(what, ("extends",))


def kept(keep: int | None, length: int) -> int:
    """Return how many messages of a line are repeated; all if nobody says."""
    if keep is not None and not 0 <= keep <= length:
        what = f"{quoted(keep)} is not a number of its {length} messages"
        raise InputError(what, ("keep",))
    return length if keep is None else keep


def unmarked(message: Message) -> Message:
    """Return a message without its marks; nearly all have none."""
    return message._replace(part=_plain(message.part)) if message.part.marks else message


def _plain(part: Part) -> Part:
    """Return a message's blocks without their marks."""
    bare = part.bare and _plain(part.bare)
    return part._replace(marks=(), bare=bare)
