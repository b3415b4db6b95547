"""What a session keeps of a call while it is under way, and what it learns at its end.

This file may know what hangs on the tree of prefixes; it is called under a session's lock.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import structs

from cacheplan.causes import Shortfall, told
from cacheplan.decision import Decision
from cacheplan.generation import Generation, Sending
from cacheplan.outcomes import Outcome
from cacheplan.prompt import Breakpoint
from cacheplan.workload import Call

__all__ = ["Slip"]


class Slip(NamedTuple):
    """What a call is recognised by when it is over."""

    generation: Generation
    call: Call
    #: The prefixes that were marked, as the decision's marks.
    nodes: tuple[int, ...]
    #: All marks that it was to go out with, those of the caller among them; whether it was
    #: to carry ours; and what it is expected to leave behind.
    going: tuple[Breakpoint, ...]
    applied: bool
    sending: Sending

    def ended(self, decision: Decision, outcome: Outcome, at: float) -> None:
        """Learn how a call ended: when its entries could be read, or that there are none."""
        usage, error = outcome.ended()
        if self.applied != decision.applied or (usage is None and error is not None):
            self.generation.failed(self.sending)
        elif outcome.first_token_after is None:
            self.begun(decision, at)
        else:
            self.begun(decision, min(at, decision.at + outcome.first_token_after))
        if usage is not None and not outcome.own_rounds:
            self.generation.measures.settle(self.call, self._sent(decision), usage)

    def begun(self, decision: Decision, at: float) -> None:
        """Take note of when a response began; a session's time may stand still meanwhile."""
        sent, after = self.call.at, max(0.0, at - decision.at)
        self.generation.begun(self.sending, sent, sent + after)

    def collapse(self, decision: Decision, outcome: Outcome) -> Shortfall | None:
        """Hold an answer against what was left to be read; sums over rounds tell nothing."""
        usage, _ = outcome.ended()
        if usage is None or outcome.own_rounds:
            return None
        call = structs.replace(self.call, marks=self._sent(decision))
        over, word = call.at + (outcome.duration or 0.0), told(outcome.diagnostics)
        return self.generation.losses.ended(call, decision.session, usage, word, over)

    def _sent(self, decision: Decision) -> tuple[Breakpoint, ...]:
        """Return the marks that went out; where ours were refused, the caller's did."""
        return self.going if self.applied == decision.applied else self.call.marks
