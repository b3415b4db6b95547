"""Workloads: calls in this project's own form, a line each, and ledgers.

Everything that the form can say is in it, so nothing is lacking but what a line says it
lacks. Lines are passed on as they were written; whoever takes them in finds their faults.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cacheplan.io.documents import File, Head
from cacheplan.io.tally import Tally

__all__ = ["LACKS", "NAME", "WHAT", "matches", "read", "strange", "waits"]

NAME: Final = "workload"
WHAT: Final = "calls in cacheplan's own form, a line each"
LACKS: Final = frozenset[str]()

_BOM: Final = b"\xef\xbb\xbf"


#: What makes a line ours.
_OURS: Final = frozenset({"at", "request", "blocks", "extends", "answers", "calls_per_hour"})
#: What calls of anybody else's have beside a request: when, and what came back.
_OTHERS: Final = ("ts", "timestamp", "time", "created_at", "date", "response", "usage")


def matches(head: Head) -> bool:
    """Tell a workload by the keys around a prompt."""
    timed = head.has("at") or head.has("calls_per_hour")
    prompts = ("request", "blocks", "extends")
    return head.has("answers") or (timed and any(map(head.has, prompts)))


def waits(head: Head) -> bool:
    """Tell requests that wait to be sent, as batches are built of: no time, no answer."""
    return head.has("request.messages") and not any(map(head.has, _OTHERS))


def strange(head: Head) -> bool:
    """Tell a file that has names, and none that a call of ours has, well written or not."""
    return bool(head.paths) and head.paths.isdisjoint(_OURS)


def read(file: File, _: Tally) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, as they are."""
    for number, raw in enumerate(file.stream, 1):
        line = raw.strip()
        if number == 1:
            line = line.removeprefix(_BOM)
        if line:
            yield number, line
