"""Which findings give way to which: one cause is one finding.

What changes in a prompt leaves entries unread, late or at the wrong place, and rules about
marks see that as well. Marks that are mended before the prompt is would have to be mended
again, so on the calls of one kind the finding about the prompt is told, and the one about
marks comes up at the next review if there is still something to it.

A finding gives way only to one that is worth acting on, and large enough: a note, or a
change that saves nothing on these calls, hides nothing, and nothing hides what is much
dearer than itself. Who has decided to keep a cause has decided to keep what follows from
it: one that is waived, or of a rule that is off, hides as much as any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from cacheplan.finding import Finding
from cacheplan.lanes import LaneKey

__all__ = ["BESIDES", "YIELDS", "settled", "wanted"]

#: What a finding is about that refuses calls for other reasons than marks. They are priced
#: as if they were taken, so what their marks cost is told beside it.
BESIDES: Final = "besides marks"

#: What changes from call to call though it need not: a span, a block, the order or the
#: wording of tools, the order of keys, the form of a text, a text that is not cut; a history,
#: a setting, a head.
#: And what is refused reads nothing, and leaves nothing to read.
_CAUSES: Final = frozenset(
    {
        *("CP001", "CP002", "CP003", "CP004", "CP005", "CP006", "CP009", "CP010"),
        *("CP110", "CP202", "CP203", "CP205"),
    }
)

#: So many times what a cause saves is still its own: prompts are priced under the best
#: plan, marks under the plan they were sent with, so the two are only alike in size.
_ALIKE: Final = 2

#: By code: the codes it gives way to on the same calls.
YIELDS: Final[Mapping[str, frozenset[str]]] = {
    # Two prompts that are nearly one: that they are a parent's and its sub-agent's says more.
    "CP007": frozenset({"CP001", "CP002", "CP204"}),
    # A block that is another one nearly every time is moved whole.
    "CP009": frozenset({"CP002"}),
    "CP010": frozenset({"CP002", "CP009"}),
    # What is marked differs in every call, because of that.
    "CP101": _CAUSES,
    # What stands behind the mark is repeated, but for that.
    "CP103": _CAUSES,
    # A prompt of many versions comes back late, because each version comes seldom.
    "CP107": _CAUSES,
    # Nobody goes on from a call, because the next one repeats it with a change.
    "CP108": _CAUSES,
    # What was written is never asked for again, because of that.
    "CP109": _CAUSES,
    # A replayed block that differs in its keys or its form is no history that was cut.
    "CP202": frozenset({"CP005", "CP006"}),
    # With the same tools in one order, parent and sub-agent share what they can; and who
    # carries a parent's messages as well loses more than a head.
    "CP204": frozenset({"CP003", "CP205"}),
    # A head that changes for a reason that is known.
    "CP205": frozenset({"CP001", "CP002", "CP003", "CP004", "CP006"}),
}


def wanted(code: str, findings: Sequence[Finding]) -> set[LaneKey]:
    """Return the kinds of calls with findings that give way to those of a code."""
    weak = (one for one in findings if code in YIELDS.get(one.code, ()))
    return {lane for one in weak for lane in one.of}


def settled(findings: Sequence[Finding], untold: Sequence[Finding] = ()) -> list[Finding]:
    """Return the findings that give way to no other; they have to be priced already.

    ``untold`` are causes that nobody wants to hear of.
    """
    causes: dict[str, list[Finding]] = {}
    for finding in (*findings, *untold):
        if finding.severity != "note" and finding.about != BESIDES:
            causes.setdefault(finding.code, []).append(finding)
    return [finding for finding in findings if not _yields(finding, causes)]


def _yields(finding: Finding, causes: Mapping[str, Sequence[Finding]]) -> bool:
    """Say if all calls of a finding are those of findings it gives way to."""
    over = {
        lane
        for code in YIELDS.get(finding.code, ())
        for cause in causes.get(code, ())
        if _explains(cause, finding)
        for lane in cause.of
    }
    return bool(finding.of) and over.issuperset(finding.of)


def _explains(cause: Finding, finding: Finding) -> bool:
    """Say if a cause is large enough: what costs more than it does has another one as well."""
    if cause.saving is None or finding.saving is None:
        return True
    return cause.saving * _ALIKE >= finding.saving
