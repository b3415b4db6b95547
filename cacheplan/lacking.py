"""What a log may leave unsaid of its calls, and what that keeps anybody from knowing.

A line names what it lacks (``lacks``), so that a converted file claims no more than its
source did. This file knows the words; who reads them decides what is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["LACKING"]

#: By word: what the source does not say. The order is that of a prompt, then of a bill.
LACKING: Final[Mapping[str, str]] = {
    "tools": "which tools were sent",
    "system": "what the system prompt said",
    "settings": "how the call was set: thinking, tool choice, effort",
    "text": "the whole text: parts are cut off, masked or left out",
    "marks": "where breakpoints stood",
    "times": "when the calls were sent",
    "lifetimes": "for how long a written prefix was kept",
}
