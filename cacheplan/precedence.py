"""Which findings give way to which: one cause is one finding.

What changes in a prompt leaves entries unread, late or at the wrong place, and rules about
marks see that as well. Marks that are mended before the prompt is would have to be mended
again, so on the calls of one kind the finding about the prompt is told, and the one about
marks comes up at the next review if there is still something to it.

A finding gives way only to one that is worth acting on: a note, a change that saves
nothing on these calls, or one that somebody has decided to keep, hides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from cacheplan.finding import Finding
from cacheplan.lanes import LaneKey

__all__ = ["YIELDS", "settled"]

#: What changes from call to call though it need not: a span, a block, the order or the
#: wording of tools, the order of keys, the form of a text; a history, a setting.
_CHANGES: Final = frozenset(
    {"CP001", "CP002", "CP003", "CP004", "CP005", "CP006", "CP202", "CP203"}
)

#: By code: the codes it gives way to on the same calls.
YIELDS: Final[Mapping[str, frozenset[str]]] = {
    # Two prompts that are nearly one: that they are a parent's and its sub-agent's says more.
    "CP007": frozenset({"CP001", "CP002", "CP204"}),
    # What is marked differs in every call, because of that.
    "CP101": _CHANGES,
    # What stands behind the mark is repeated, but for that.
    "CP103": _CHANGES,
    # A prompt of many versions comes back late, because each version comes seldom.
    "CP107": _CHANGES,
    # Nobody goes on from a call, because the next one repeats it with a change.
    "CP108": _CHANGES,
    # What was written is never asked for again, because of that.
    "CP109": _CHANGES,
    # A replayed block that differs in its keys or its form is no history that was cut.
    "CP202": frozenset({"CP005", "CP006"}),
    # With the same tools in one order, parent and sub-agent share what they can.
    "CP204": frozenset({"CP003"}),
}


def settled(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings that give way to no other; they have to be priced already."""
    lanes: dict[str, set[LaneKey]] = {}
    for finding in findings:
        if finding.severity != "note" and not finding.waived:
            lanes.setdefault(finding.code, set()).update(finding.of)
    return [finding for finding in findings if not _yields(finding, lanes)]


def _yields(finding: Finding, lanes: Mapping[str, set[LaneKey]]) -> bool:
    """Say if all calls of a finding are those of findings it gives way to."""
    over = set[LaneKey]().union(*(lanes.get(code, ()) for code in YIELDS.get(finding.code, ())))
    return bool(finding.of) and over.issuperset(finding.of)
