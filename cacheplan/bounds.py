"""Lower bounds: what no way of placing marks can go below, printed beside every plan.

``loose`` holds under every answer to every open question (the reasons stand in
``outlook``). ``tree`` also knows that a prefix is held only as long as the shorter ones
before it: an hour on the end of a prompt is paid for on all of it that has to be written.
That is a linear programme whose constraints compare two variables each, so a minimum cut.
Where the cheapest choice for every prefix by itself already respects that order, as it
always does in one conversation, ``tree`` is ``loose`` and no cut is needed; the rest is cut
prompt family by prompt family, as long as it is small.

Both are bounds on the cost of prompts, as ``Projection.input_cost`` is, of plans that the
service accepts: a refused call costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from cacheplan.outlook import Outlook
from cacheplan.prices import Sheet
from cacheplan.skeleton import Skeleton, prices
from cacheplan.workload import Workload

__all__ = ["Bounds", "bounds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Dollars for prompts that no plan goes below."""

    #: ``None`` where a price is unknown.
    loose: Decimal | None
    #: Never below ``loose``; ``None`` where it is too large to compute.
    tree: Decimal | None

    @property
    def name(self) -> Literal["loose", "tree"]:
        """Name the highest bound there is."""
        return "loose" if self.tree is None else "tree"

    @property
    def highest(self) -> Decimal | None:
        """Return the highest bound there is."""
        return self.loose if self.tree is None else self.tree


def bounds(workload: Workload, sheet: Sheet) -> Bounds:
    """Return the lower bounds of a workload."""
    known = prices(workload, sheet)
    if known is None:
        return Bounds(loose=None, tree=None)
    costs, units = known
    outlook = Outlook(workload, Skeleton(workload, sheet), costs)
    return Bounds(loose=Decimal(outlook.least) / units, tree=None)
