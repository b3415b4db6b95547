"""Texts that speak of what stands before or behind them: "the document above".

Such words are found by their look, so they are a hint and no more. Where a text has room
for what it speaks of in itself it is left out: "above" counts near its beginning, "below"
near its end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from cacheplan.pins import Precedence

__all__ = ["SAID", "mentions"]

#: Who says so, in the words of a finding.
SAID: Final = "a text that speaks of the one before or behind it"

#: Characters from either end: two or three sentences.
_NEAR: Final = 300
#: What is handed over in a block of its own. Rules, steps and formats mostly follow in the
#: text that announces them.
_MATERIAL: Final = (
    r"(?:article|code|context|data|document|documents|email|excerpt|file|files|material"
    r"|passage|profile|report|text|texts|transcript)"
)
_ABOVE: Final = re.compile(
    rf"\b{_MATERIAL} above\b|\b(?:above|preceding|previous) {_MATERIAL}\b", re.IGNORECASE
)
_BELOW: Final = re.compile(rf"\b{_MATERIAL} below\b|\bfollowing {_MATERIAL}\b", re.IGNORECASE)


def mentions(texts: Sequence[str]) -> list[Precedence]:
    """Return which of the texts of a prompt must stay on the side where another has them.

    >>> mentions(["Once upon a time.", "Sum up the text above."])[0][:2]
    (0, 1)
    """
    found = []
    for at, text in enumerate(texts):
        if at and _ABOVE.search(text[:_NEAR]):
            found.append(Precedence(at - 1, at, SAID))
        if at + 1 < len(texts) and _BELOW.search(text[-_NEAR:]):
            found.append(Precedence(at, at + 1, SAID))
    return found
