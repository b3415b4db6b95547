"""A message as it is sent again once its mark has moved on.

Clients mark their newest message, and send it without that mark the next time. Both
spellings are known then, so that the second is recognised by its bytes.
"""

from __future__ import annotations

import re
from typing import Any, Final

from cacheplan import kinds
from cacheplan.parts import Part
from cacheplan.pieces import Piece

__all__ = ["without_last", "without_mark"]

#: A mark that ends a message, and the most bytes that may take.
_MARKED_END: Final = re.compile(
    rb', ?"cache_control": ?\{(?:"[a-z]+": ?"[a-z0-9]+"(?:, ?(?=")|(?=\})))+\}\}\]\}\Z'
)
_MARK_BYTES: Final = 100


def without_mark(raw: bytes, message: dict[str, Any], pieces: list[Piece]) -> bytes:
    """Write a message without the mark on its last block; nothing if that is not its end.

    The four brackets that end it then are those of mark, block, content and message, and
    what stands before them stays as it is.
    """
    end = _MARKED_END.search(raw, max(len(raw) - _MARK_BYTES, 0))
    content, last = message["content"], pieces[-1]
    if not end or next(reversed(message)) != "content" or last.place.content != len(content) - 1:
        return b""
    return b"" if _marked_inside(content[-1]) else raw[: end.start()] + b"}]}"


def _marked_inside(block: Any) -> bool:
    """Tell whether a block without a mark of its own has that of the last one inside."""
    inner = kinds.inner(block)[-1:]
    return any(
        isinstance(last, dict) and ("cache_control" in last or _marked_inside(last))
        for last in inner
    )


def without_last(part: Part) -> Part:
    """Return a message without its last mark."""
    bare = part.bare and without_last(part.bare)
    return Part(part.blocks, part.marks[:-1], part.answers, part.traits, part.human, bare)
