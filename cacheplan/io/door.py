"""The front door: the same functions, with the defaults that only the porch can give.

The counter needs files and the sheet is the shipped one, unless the caller says
otherwise; what a policy is may be said by name. What stands behind each is imported when
it is first called, for a program that marks one body has no use for the rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cacheplan import plan as plans
from cacheplan.assumptions import Assumptions
from cacheplan.io.counting import default_counter
from cacheplan.io.plans import Plan
from cacheplan.prices import Sheet
from cacheplan.tokens import TokenCounter
from cacheplan.workload import Workload

if TYPE_CHECKING:
    from cacheplan.comparison import Comparison
    from cacheplan.explanation import Explanation
    from cacheplan.finding import Finding
    from cacheplan.policies import Policy
    from cacheplan.projection import Projection
    from cacheplan.report import Review
    from cacheplan.terms import Terms

__all__ = ["check", "choose", "compare", "explain", "mark", "placing", "project", "review"]


def choose(workload: Workload, *, sheet: Sheet | None = None) -> Plan:
    """Choose where calls like these are marked, and for how long."""
    from cacheplan import choosing

    return Plan.of(choosing.choose(workload, sheet or Sheet.default()))


def compare(workload: Workload, *, train: float = 0.5, sheet: Sheet | None = None) -> Comparison:
    """Project every policy on the same calls, scored on those after the first ``train``."""
    from cacheplan.contest import contest

    return contest(workload, sheet or Sheet.default(), train=train)


def project(
    workload: Workload, policy: str | plans.Plan, *, sheet: Sheet | None = None
) -> Projection:
    """Return what a workload would cost under a plan, or under a policy by name."""
    from cacheplan import projection

    sheet = sheet or Sheet.default()
    found = placing(workload, policy, sheet)
    marker = found.bind(workload)
    return projection.project(workload, marker, sheet, found.name, as_sent=found.as_sent)


def review(
    workload: Workload,
    *,
    train: float = 0.5,
    sheet: Sheet | None = None,
    terms: Terms | None = None,
) -> Review:
    """Say what the calls share, what breaks it, what to mark, and what that is worth.

    Settings in files are the command line's; ``terms`` are what findings are held against.
    """
    from cacheplan import report
    from cacheplan.subject import Subject

    subject = Subject(workload, sheet or Sheet.default(), workload.texts)
    return report.review(subject, train=train, terms=terms)


def placing(workload: Workload, policy: str | plans.Plan, sheet: Sheet) -> Policy:
    """Return a plan, or a policy by name, as a way to place marks in these calls."""
    from cacheplan import contest, policies

    if isinstance(policy, plans.Plan):
        return policies.Policy("plan", lambda calls: policy.marker(calls.tree))
    return contest.policy_named(policy, contest.part(workload, 0), sheet)


def mark(
    body: Mapping[str, Any],
    plan: plans.Plan,
    *,
    label: str | None = None,
    assume: Assumptions | None = None,
    platform: str = "anthropic",
) -> dict[str, Any]:
    """Return a marked copy of one body; only ``cache_control`` keys differ."""
    from cacheplan.marking import mark_body

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
    from cacheplan import checking

    return checking.check(
        body,
        counter=counter or default_counter(assume),
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
) -> Explanation:
    """Say why the later of two calls cannot read what the earlier one wrote."""
    from cacheplan import explanation

    return explanation.explain(
        earlier,
        later,
        counter=counter or default_counter(assume),
        sheet=sheet or Sheet.default(),
        assume=assume,
    )
