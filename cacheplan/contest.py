"""Who takes part in a comparison, and what each may know.

A plan that is scored on the calls it was chosen on flatters itself. So the workload's
time is parted: what learns does so on the first part, and everybody is scored on the
calls after it, all starting cold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from cacheplan.adaptive import adaptive
from cacheplan.choosing import choose
from cacheplan.comparison import Comparison, compare
from cacheplan.errors import InputError
from cacheplan.hindsight import hindsight
from cacheplan.plan import Plan
from cacheplan.policies import BASELINES, Policy
from cacheplan.prices import Sheet
from cacheplan.projection import Marker
from cacheplan.prompt import Breakpoint
from cacheplan.workload import Call, Workload

__all__ = [
    "NAMES",
    "Parted",
    "as_it_went",
    "contest",
    "part",
    "policies",
    "policy_named",
]

#: The policies that learn or know more than one call, behind the baselines.
NAMES = (*(policy.name for policy in BASELINES), "planned", "adaptive", "hindsight")


#: How often a plan is chosen anew while the calls of a workload are marked one by one.
CHOICES = 10


class Parted(NamedTuple):
    """A workload's calls, parted by time."""

    #: What a policy may learn from; ``None``: everybody learns from the scored calls.
    past: Workload | None
    scored: Workload
    #: How it was parted, in a sentence.
    note: str


def part(workload: Workload, train: float) -> Parted:
    """Part a workload at a share of its time."""
    if not 0 <= train < 1:
        raise InputError(f"{train:g} is not a share from 0 to less than 1", ("train",))
    everything = "Chosen and scored on the same calls: a plan knows what it is scored on."
    if train == 0:
        return Parted(None, workload, everything)
    cut = workload.calls[0].at + workload.span * train
    before = [call for call in workload if call.at < cut]
    after = workload.after(cut)
    if not before or not after.calls:
        return Parted(None, workload, f"All calls are too close together to part. {everything}")
    past = replace(workload, calls=before)
    note = (
        f"Learned on the first {len(past):,} calls, scored on the {len(after):,} after them,"
        " starting cold."
    )
    return Parted(past, after, note)


def policies(parted: Parted, sheet: Sheet) -> tuple[Policy, ...]:
    """Return every policy, those that learn bound to what they may know."""

    def planned(workload: Workload) -> Marker:
        return choose(parted.past or workload, sheet).marker(workload.tree)

    def learned(workload: Workload) -> Marker:
        return adaptive(workload, sheet, parted.past or ())

    def foreseen(workload: Workload) -> Marker:
        return hindsight(workload, sheet)

    return (
        *BASELINES,
        Policy("planned", planned),
        Policy("adaptive", learned),
        Policy("hindsight", foreseen, knows_future=True),
    )


def policy_named(name: str, parted: Parted, sheet: Sheet) -> Policy:
    """Return a policy by name."""
    for policy in policies(parted, sheet):
        if policy.name == name:
            return policy
    raise InputError(f'"{name}" is not a policy; there are {", ".join(NAMES)}')


def as_it_went(workload: Workload, name: str, sheet: Sheet) -> Marker:
    """Return a policy that has seen, at each call, only what came before it.

    A plan is chosen anew after every tenth of the time, on everything up to there; before
    the first tenth is over there is nothing to choose on, and nothing is marked.
    """
    if name == "hindsight":
        raise InputError("hindsight knows the future, so no call can be marked by it")
    if name != "planned":
        return policy_named(name, part(workload, 0), sheet).bind(workload)
    start, step = workload.calls[0].at, workload.span / CHOICES
    plans: dict[int, Marker] = {}

    def marker(call: Call) -> Sequence[Breakpoint]:
        tenth = min(int((call.at - start) / step), CHOICES - 1) if step else 0
        if tenth not in plans:
            known = [past for past in workload if past.at < start + tenth * step]
            plan = choose(replace(workload, calls=known), sheet) if known else Plan(lanes=())
            plans[tenth] = plan.marker(workload.tree)
        return plans[tenth](call)

    return marker


def contest(
    workload: Workload,
    sheet: Sheet,
    *,
    train: float = 0.5,
    others: Sequence[Policy] = (),
    watch: Callable[[str], None] | None = None,
) -> Comparison:
    """Compare every policy on the part of the workload that is scored."""
    parted = part(workload, train)
    found = compare(parted.scored, sheet, (*policies(parted, sheet), *others), watch)
    return replace(found, notes=(parted.note, *found.notes))
