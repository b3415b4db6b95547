"""Lower bounds: what no way of placing marks can go below, printed beside every plan.

``loose`` holds under every answer to every open question; the reasons stand in
``outlook``. ``tree`` is the higher of two more, family of prompts by family, and never
below ``loose``:

* a prefix is held only with the shorter ones before it, so an hour on the end of a prompt
  is paid for on all of it that has to be written (``cuts``; under every answer, where the
  order matters at all and the family is small, else it says what ``loose`` says);
* an entry keeps the lifetime it was written with, and where prompts part only one that
  stands right there helps (``standing``; at any size, where these are the answers taken).

* where the service finds only a share of what lives, only that share of the calls reads
  (``_unlucky``; at any size, where the hit rate says so).

All are bounds on the cost of prompts, as ``Projection.input_cost`` is, of plans that the
service accepts: a refused call costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from cacheplan.cuts import nested
from cacheplan.outlook import Outlook, found
from cacheplan.prices import Sheet
from cacheplan.skeleton import Price, Skeleton, billed, prices
from cacheplan.standing import applies, standing
from cacheplan.workload import Workload

__all__ = ["Bounds", "bounds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Dollars for prompts that no plan goes below."""

    #: ``None`` where a price is unknown.
    loose: Decimal | None
    #: Never below ``loose``; ``None`` where it was not computed.
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
    workload = billed(workload)
    known = prices(workload, sheet)
    if known is None:
        return Bounds(loose=None, tree=None)
    costs, units = known
    skeleton = Skeleton(workload, sheet)
    plain = _uncacheable(skeleton, costs)
    outlook = Outlook(workload, skeleton, costs)
    tree = nested(workload, skeleton, costs, outlook)
    if applies(workload.assume):
        tree = _higher(workload, sheet, costs, skeleton, tree)
    least = max(plain + sum(tree), _unlucky(workload, skeleton, costs))
    return Bounds(
        loose=Decimal(plain + sum(outlook.least)) / units,
        tree=Decimal(least) / units,
    )


def _higher(
    workload: Workload,
    sheet: Sheet,
    costs: Sequence[Price],
    skeleton: Skeleton,
    tree: Sequence[int],
) -> list[int]:
    """Take the higher of two bounds family by family; families of one beginning are one."""
    fine = Skeleton(workload, sheet, fine=True)
    joints = {node: joint for joint, node in enumerate(fine.nodes)}
    least = [0] * len(fine.lines)
    for line, joined in enumerate(skeleton.lines):
        least[fine.family[fine.line[joints[skeleton.nodes[joined[0]]]]]] += tree[line]
    return list(map(max, least, standing(workload, fine, costs)))


def _unlucky(workload: Workload, skeleton: Skeleton, costs: Sequence[Price]) -> int:
    """Return what calls cost if those read their whole prompts for which that is most worth.

    As many may as are found at the hit rate of their surface; the rest pays for all.
    """
    total = 0
    saved: dict[str, list[int]] = {}
    rates: dict[str, float] = {}
    for call, prompt, price in zip(workload, skeleton.prompts, costs, strict=True):
        total += prompt * price.uncached
        surface = call.tariff.surface
        rates[surface] = min(found(call, workload), 1.0)
        saved.setdefault(surface, []).append(prompt * max(price.uncached - price.read, 0))
    for surface, each in saved.items():
        # A little more than the product, so that no rounding takes a hit away.
        hits = int(rates[surface] * len(each) + 1e-6)
        total -= sum(sorted(each, reverse=True)[:hits])
    return total


def _uncacheable(skeleton: Skeleton, costs: Sequence[Price]) -> int:
    """Return what tokens cost that no entry can hold, whatever is marked.

    The answers of server tools are held with the rest of a call but not charged where it
    carries no mark, so what they would cost uncached is taken off again.
    """
    return sum(
        price.uncached * (prompt - (skeleton.tokens[end] if end >= 0 else 0))
        for prompt, end, price in zip(skeleton.prompts, skeleton.ends, costs, strict=True)
    )
