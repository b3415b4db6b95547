"""Whether a rebuilt request is, as a whole, what its client's digest says it was.

The digest is the SHA-256 of the body as sorted JSON, marks included, text as a list of one
block; with the names of the betas, and without whom it is for, whether it is streamed, and
who pays (Claude Code 2.1.330, held against bodies that a server received, 2026-11-21). To
hash every body whole would take the square of a conversation, so the hash of what stays
the same is kept and gone on from.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from cacheplan.continuing import Marks, shared
from cacheplan.transcript import Message, Texts

__all__ = ["Seals", "sorted_json"]

_SORTED: Final = msgspec.json.Encoder(order="sorted")
#: Conversations whose hashes are kept, and of each the newest so many.
_CONVERSATIONS: Final = 16
_STATES: Final = 16


class _Begun(NamedTuple):
    """Messages that were hashed without marks, and the hash after so many of them."""

    chain: list[Message]
    states: Mapping[int, Any]


def sorted_json(part: Any) -> bytes:
    """Write a part as the digest has it."""
    return _SORTED.encode(part)


class Seals:
    """Hashes requests, each from where an earlier one was the same."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._begun: OrderedDict[tuple[bytes, Message], _Begun] = OrderedDict()

    def holds(
        self, digest: str, members: Mapping[str, bytes], chain: Sequence[Message], marks: Marks
    ) -> bool:
        """Tell whether a request has this digest; ``members`` are its others, sorted JSON."""
        before = [b'"%b":%b,' % (key.encode(), members[key]) for key in sorted(members)]
        split = sum(key < "messages" for key in members)
        first = min((message for message, _ in marks), default=len(chain))
        state = self._go_on(b"{%b" % b"".join(before[:split]), chain, first)
        for index in range(first, len(chain)):
            here = {block: mark for (at, block), mark in marks.items() if at == index}
            state.update(self._written(chain[index], index, here))
        state.update(b"],%b" % b"".join(before[split:]).rstrip(b",") + b"}")
        return bool(state.hexdigest() == digest)

    def _go_on(self, begin: bytes, chain: Sequence[Message], first: int) -> Any:
        """Return the hash of a request up to its first mark."""
        key = begin, chain[0]
        kept = self._begun.pop(key, _Begun([], {}))
        most = shared(kept.chain, list(chain[:first]), first)
        states = {at: state for at, state in kept.states.items() if at <= most}
        at = max(states, default=0)
        state = states[at].copy() if at else hashlib.sha256(begin + b'"messages":[')
        for index in range(at, first):
            state.update(self._written(chain[index], index, {}))
            states[index + 1] = state.copy()
        newest = sorted(states)[-_STATES:]
        self._begun[key] = _Begun(list(chain[:first]), {at: states[at] for at in newest})
        if len(self._begun) > _CONVERSATIONS:
            self._begun.popitem(last=False)
        return state

    def _written(self, message: Message, index: int, marks: Mapping[int, Any]) -> bytes:
        """Write one message; what is gone is nothing, and no digest's."""
        blocks = msgspec.json.decode(self._texts.content(message) or b"[]")
        for block, mark in marks.items():
            blocks[block]["cache_control"] = mark
        more = msgspec.json.decode(b"{%b}" % message.more[1:])
        written = sorted_json({**more, "role": message.role, "content": blocks})
        return b"," + written if index else written
