"""A counter for tests: a token for every four letters, exactly, and nothing forgotten."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from cacheplan.facts import Model
from cacheplan.prompt import Block
from cacheplan.tokens import Count

__all__ = ["Letters"]


class Letters:
    """Counts letters, and keeps what it was asked."""

    name = "letters"

    def __init__(self, doubt: int = 0, source: Literal["counted", "estimated"] = "counted") -> None:
        self._doubt = doubt
        self._source = source
        #: Every block it was given, with the id of the model.
        self.asked: list[tuple[bytes, str]] = []

    def count(self, blocks: Sequence[Block], model: Model | None) -> list[Count]:
        """Return a quarter of the letters of each block, rounded up."""
        self.asked += [(block.digest, model.id if model else "") for block in blocks]
        return [
            Count(-(-len(json.dumps(dict(block.body))) // 4), self._doubt, self._source)
            for block in blocks
        ]
