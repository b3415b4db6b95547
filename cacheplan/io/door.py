"""The front door: the same functions, with the defaults that only the porch can give.

The counter needs files and the sheet is the shipped one, unless the caller says
otherwise; what a policy is may be said by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cacheplan import checking, comparison, explanation, projection
from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError
from cacheplan.finding import Finding
from cacheplan.io.counting import default_counter
from cacheplan.policies import BASELINES, Policy
from cacheplan.prices import Sheet
from cacheplan.tokens import TokenCounter
from cacheplan.workload import Workload

__all__ = ["check", "compare", "explain", "policy_named", "project"]


def compare(workload: Workload, *, sheet: Sheet | None = None) -> comparison.Comparison:
    """Project every policy on the same calls."""
    return comparison.compare(workload, sheet or Sheet.default())


def project(
    workload: Workload, policy: str, *, sheet: Sheet | None = None
) -> projection.Projection:
    """Return what a workload would cost under one policy."""
    found = policy_named(policy)
    return projection.project(workload, found.bind(workload), sheet or Sheet.default(), found.name)


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


def policy_named(name: str) -> Policy:
    """Return a policy by name."""
    for policy in BASELINES:
        if policy.name == name:
            return policy
    known = ", ".join(policy.name for policy in BASELINES)
    raise InputError(f'"{name}" is not a policy; there are {known}')
