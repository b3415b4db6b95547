"""Choosing a plan: which places of which calls are worth a mark, and for how long.

Two steps, and the simulator decides in both. First the calls themselves say where a mark
could matter: the places at which prompts were seen to part from what was sent before,
and how long it takes until a prefix is used again. Then lifetimes are tried place by
place and lane by lane, every trial priced by serving the calls, and whatever lowers the
bill stays (``search``). The search starts from the uniform rules that the field uses and
from no marks at all, so a plan never costs more than any of them on the calls it was
chosen on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from cacheplan.lacking import lacks_in
from cacheplan.lanes import LaneKey, kind_of
from cacheplan.places import SYSTEM, TAIL_TALK, TAIL_TOOL, TOOLS, is_tail
from cacheplan.plan import Lane, Plan, Rule, name_of
from cacheplan.pricelist import READ_ON
from cacheplan.prices import Sheet
from cacheplan.search import Settled, settled
from cacheplan.trials import Trials
from cacheplan.workload import Workload

__all__ = ["choose"]


def choose(workload: Workload, sheet: Sheet) -> Plan:
    """Choose a plan for calls like these."""
    return _Choice(workload, sheet).plan()


class _Choice:
    """One choice on one workload."""

    def __init__(self, workload: Workload, sheet: Sheet) -> None:
        self._workload = workload
        self._sheet = sheet
        self._trials = Trials(workload, sheet)
        #: False where nobody knows when some of the calls were sent: then gaps are made up.
        self._timed = "times" not in lacks_in(workload)
        #: By lane: what was found for its group.
        self._settled: dict[LaneKey, Settled] = {}

    def plan(self) -> Plan:
        """Search group by group, and write down what was found."""
        for group in self._trials.groups:
            found = settled(self._trials, group, self._workload.tree)
            self._settled.update(dict.fromkeys(group.lanes, found))
        return self._written()

    def _written(self) -> Plan:
        """Write the rules down, each with its reason and what it is worth."""
        lanes = []
        for model, label in dict.fromkeys(self._trials.lanes.values()):
            found = self._settled[model, label]
            rules = found.rules[model, label]
            written = []
            for place in sorted(rules, key=_order):
                reuse = found.gaps.at((model, label), place)
                if reuse is None:
                    other = TAIL_TALK if place == TAIL_TOOL else TAIL_TOOL
                    lifetime, because = rules.get(other), "as the other tail; none was seen"
                else:
                    lifetime, because = rules[place], reuse.said(timed=self._timed)
                saving = found.savings.get(((model, label), place))
                written.append(Rule(place=place, lifetime=lifetime, because=because, saving=saving))
            lanes.append(Lane(model=model, label=label, rules=tuple(written)))
        workload = self._workload
        own = {
            node: lifetime for one in self._settled.values() for node, lifetime in one.own.items()
        }
        return Plan(
            lanes=(*lanes, *self._for_others(lanes)),
            prefixes={workload.tree.key(node).hex(): kept for node, kept in own.items()},
            expires=_expires(workload, self._sheet),
            chosen_on=self._seen(),
        )

    def _seen(self) -> str:
        """Say what the choice rests on."""
        if not self._timed:
            return f"Chosen on {len(self._workload):,} calls; not all say when they were sent."
        hours = self._workload.span / 3600
        return f"Chosen on {len(self._workload):,} calls over {hours:.1f} hours."

    def _for_others(self, lanes: Sequence[Lane]) -> Iterator[Lane]:
        """Yield lanes for labels and models not seen: as the dearest of their like."""
        bills: dict[LaneKey, float] = {}
        for trial in self._trials.all:
            tokens = self._workload.prompt_tokens(trial.call)
            bills[trial.lane] = bills.get(trial.lane, 0.0) + tokens * trial.prices[0]
        dearest = sorted(lanes, key=lambda lane: -bills[lane.model or "", lane.label])
        known = {(lane.model, lane.label) for lane in lanes}
        for lane in dearest:
            for model, label in ((lane.model, None), (None, lane.label), (None, None)):
                if (model, label) not in known:
                    known.add((model, label))
                    rules = tuple(replace(rule, saving=None) for rule in lane.rules)
                    yield Lane(model=model, label=label, rules=rules, like=name_of(lane))


def _order(place: str) -> tuple[int, str]:
    """Sort places as they stand in a prompt."""
    heads = (TOOLS, SYSTEM)
    if place in heads:
        return heads.index(place) * 2, place
    if place.startswith(SYSTEM):
        return 1, place
    return (4 if is_tail(place) else 3), place


def _expires(workload: Workload, sheet: Sheet) -> str | None:
    """Return the next day on which a price of these models is known to change."""
    models = {kind_of(call)[0] for call in workload}
    days = {
        day
        for row in sheet.rows
        if row.model in models
        for day in (row.from_date, row.until)
        if day and day > READ_ON
    }
    return min(days, default=None)
