"""The policy that knows the future: as cheap as marks were found to get.

It goes over the calls a few times (``foresight``), then prices each time and every
baseline by the simulator, and keeps the cheapest for each scope. So nothing in it has to
be exact to be trusted: it is never dearer than a baseline, its marks can be made, and the
bounds say how far it can be from the best.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from cacheplan.foresight import Basis, Marks, Round
from cacheplan.outlook import found
from cacheplan.policies import BASELINES
from cacheplan.prices import Sheet
from cacheplan.projection import Marker, replay
from cacheplan.skeleton import Price, billed, prices, roots
from cacheplan.workload import Workload

__all__ = ["hindsight"]

#: What to weigh with where a price is unknown: the documented multiples of the uncached
#: price (prompt-caching page, 2026-09-26), in hundredths.
_MULTIPLES: Final = Price(uncached=100, short=125, long=200, read=10)
#: More than any bill: what a call costs that the service refuses.
_REFUSED: Final = 1 << 200


def hindsight(workload: Workload, sheet: Sheet, others: Iterable[Marker] = ()) -> Marker:
    """Place the cheapest marks found for calls that are all known beforehand.

    ``others`` are tried, too, beside the baselines, so that none of them is cheaper.
    """
    workload, whole = billed(workload), workload
    known = prices(workload, sheet)
    costs, units = ([_MULTIPLES] * len(workload), 0) if known is None else known
    basis = Basis(workload, sheet, costs)
    # The first time places more marks than there may be, only to find what is read. On
    # 60,000 recorded calls the better of the two after it cost 0.003 to 1 % more than the
    # tree bound, and further ones saved nothing that shows.
    first = Round(basis)
    eager = Round(basis, first, eager=True)
    tried = [eager.marks, Round(basis, eager).marks]
    bound = [policy.bind(whole) for policy in BASELINES]
    tried += [[marker(call) for call in workload] for marker in (*bound, *others)]
    groups = _groups(workload)
    bills = [_bills(basis, sheet, units, groups, marks) for marks in tried]
    best = {one: min(range(len(tried)), key=lambda trial: bills[trial][one]) for one in set(groups)}
    chosen = {
        id(call): tried[best[one]][number]
        for number, (call, one) in enumerate(zip(workload, groups, strict=True))
    }
    kept = list(workload)  # so that no other object gets the identity of one
    return lambda call: chosen.get(id(call), ()) if kept else ()


def _groups(workload: Workload) -> list[int]:
    """Return by call a group whose entries no other group sees.

    That is its scope, unless finding an entry depends on how many were found before.
    """
    if any(found(call, workload) < 1 for call in workload):
        return [0] * len(workload)
    root = roots(workload)
    return [root[call.tip] for call in workload]


def _bills(
    basis: Basis, sheet: Sheet, units: int, groups: Sequence[int], marks: Marks
) -> dict[int, int]:
    """Return what each group of calls costs with these marks, by the simulator."""
    bills = dict.fromkeys(groups, 0)
    each = iter(marks)
    served = replay(basis.workload, lambda _: next(each), sheet)
    for one, group, price in zip(served, groups, basis.costs, strict=True):
        call, usage = one.call, one.usage
        # Rounds add up to a longer prompt, which may take a higher band.
        again = call.rounds and units
        rate = sheet.rate(call.tariff, call.at, usage.prompt) if again else None
        if one.refused is not None:
            bills[group] += _REFUSED
        elif rate is not None:
            bills[group] += int(rate.input_cost(usage) * units)
        else:
            bills[group] += (
                usage.uncached * price.uncached
                + usage.write_5m * price.short
                + usage.write_1h * price.long
                + usage.read * price.read
            )
    return bills
