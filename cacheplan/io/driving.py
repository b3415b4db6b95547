"""What stands behind every way of carrying a call: the arguments, a session, its driver.

The SDK's middleware, a transport and a framework's callback differ in how a call passes
through them. What they are told, and what can be asked of them, is said here once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from os import PathLike
from typing import Literal, TypedDict

from cacheplan.assumptions import Assumptions
from cacheplan.entries import Ledger
from cacheplan.io.driver import Driver, Mode, OnDecision
from cacheplan.io.ledger import kept
from cacheplan.plan import Plan
from cacheplan.prices import Sheet
from cacheplan.session import Origin, Session

__all__ = ["Driving", "Options"]


class Options(TypedDict, total=False):
    """The arguments of ``Driving`` besides the plan, for those that hand them on."""

    mode: Mode
    on_existing: Literal["respect", "fill", "replace"]
    ledger: Ledger | str | PathLike[str] | None
    on_decision: OnDecision | None
    label: str | None
    workspace: str
    platform: str | None
    sheet: Sheet | None
    assume: Assumptions | None
    clock: Callable[[], float]


class Driving:
    """Marks calls by a plan, or by what it learns, and keeps the count of what went wrong."""

    def __init__(  # noqa: PLR0913 -- the contract's, all but the plan by name
        self,
        plan: Plan | None = None,
        *,
        mode: Mode = "apply",
        on_existing: Literal["respect", "fill", "replace"] = "respect",
        ledger: Ledger | str | PathLike[str] | None = None,
        on_decision: OnDecision | None = None,
        label: str | None = None,
        workspace: str = "",
        platform: str | None = None,
        sheet: Sheet | None = None,
        assume: Assumptions | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        session = Session(plan, on_existing=on_existing, sheet=sheet, assume=assume)
        self.driver = Driver(
            session,
            mode=mode,
            ledger=kept(ledger),
            on_decision=on_decision,
            platform=platform,
            clock=clock,
        )
        #: Who sends the calls.
        self.origin = Origin(label=label, workspace=workspace)

    @property
    def session(self) -> Session:
        """What decides; its ``state`` can be kept for the next process."""
        return self.driver.session

    @property
    def faults(self) -> dict[str, int]:
        """What went wrong in here so far, and how often; no call failed for it."""
        return dict(self.driver.faults)
