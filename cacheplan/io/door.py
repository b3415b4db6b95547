"""The front door: the same functions, with the defaults that only the porch can give.

The counter needs files and the sheet is the shipped one, unless the caller says
otherwise; what a policy is may be said by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cacheplan import checking, choosing, comparison, contest, explanation, projection, report
from cacheplan import plan as plans
from cacheplan.assumptions import Assumptions
from cacheplan.finding import Finding
from cacheplan.io.counting import default_counter
from cacheplan.io.plans import Plan
from cacheplan.marking import mark_body
from cacheplan.prices import Sheet
from cacheplan.projection import Marker
from cacheplan.subject import Subject
from cacheplan.tokens import TokenCounter
from cacheplan.workload import Workload

__all__ = ["bound", "check", "choose", "compare", "explain", "mark", "project", "review"]


def choose(workload: Workload, *, sheet: Sheet | None = None) -> Plan:
    """Choose where calls like these are marked, and for how long."""
    return Plan.of(choosing.choose(workload, sheet or Sheet.default()))


def compare(
    workload: Workload, *, train: float = 0.5, sheet: Sheet | None = None
) -> comparison.Comparison:
    """Project every policy on the same calls, scored on those after the first ``train``."""
    return contest.contest(workload, sheet or Sheet.default(), train=train)


def project(
    workload: Workload, policy: str | plans.Plan, *, sheet: Sheet | None = None
) -> projection.Projection:
    """Return what a workload would cost under a plan, or under a policy by name."""
    sheet = sheet or Sheet.default()
    name, marker = bound(workload, policy, sheet)
    return projection.project(workload, marker, sheet, name)


def review(workload: Workload, *, train: float = 0.5, sheet: Sheet | None = None) -> report.Review:
    """Say what the calls share, what breaks it, what to mark, and what that is worth."""
    subject = Subject(workload, sheet or Sheet.default(), workload.texts)
    return report.review(subject, train=train)


def bound(workload: Workload, policy: str | plans.Plan, sheet: Sheet) -> tuple[str, Marker]:
    """Bind a plan, or a policy by name, to the calls it is to mark."""
    if isinstance(policy, plans.Plan):
        return "plan", policy.marker(workload.tree)
    found = contest.policy_named(policy, contest.part(workload, 0), sheet)
    return found.name, found.bind(workload)


def mark(
    body: Mapping[str, Any],
    plan: plans.Plan,
    *,
    label: str | None = None,
    assume: Assumptions | None = None,
    platform: str = "anthropic",
) -> dict[str, Any]:
    """Return a marked copy of one body; only ``cache_control`` keys differ."""
    return mark_body(body, plan, label=label, assume=assume, platform=platform)


def check(
    body: Mapping[str, Any],
    *,
    counter: TokenCounter | None = None,
    sheet: Sheet | None = None,
    assume: Assumptions | None = None,
    platform: str = "anthropic",
    surface: str = "messages",
) -> list[Finding]:
    """Say whether the API would take one body, and whether a mark of it is wasted."""
    return checking.check(
        body,
        counter=counter or default_counter(),
        sheet=sheet or Sheet.default(),
        assume=assume,
        platform=platform,
        surface=surface,
    )


def explain(
    earlier: Mapping[str, Any],
    later: Mapping[str, Any],
    *,
    counter: TokenCounter | None = None,
    sheet: Sheet | None = None,
    assume: Assumptions | None = None,
) -> explanation.Explanation:
    """Say why the later of two calls cannot read what the earlier one wrote."""
    return explanation.explain(
        earlier,
        later,
        counter=counter or default_counter(),
        sheet=sheet or Sheet.default(),
        assume=assume,
    )
