"""Every policy on the same calls, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import Any

from cacheplan.bounds import Bounds, bounds
from cacheplan.calibration import Calibration, calibrate
from cacheplan.policies import BASELINES, Policy
from cacheplan.prices import Sheet
from cacheplan.projection import Projection, billed, project, replay
from cacheplan.tables import aligned, count, dollars, html, percent, ratio
from cacheplan.usage import Usage
from cacheplan.workload import Workload

__all__ = ["Comparison", "compare"]

_HEAD = (
    "policy",
    "read",
    "written 5m",
    "written 1h",
    "uncached",
    "prompt cost",
    "of uncached",
    "of bound",
    "refused",
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Comparison:
    """What each policy would cost on one workload."""

    calls: int
    #: Prompt and output tokens, as they would be under any policy.
    prompt_tokens: int
    output_tokens: int
    tokens_from: str
    projections: tuple[Projection, ...]
    #: What was billed, where every call carries usage; prompts alone, and everything.
    billed: tuple[Decimal | None, Decimal | None] | None
    calibration: Calibration | None
    #: What no plan that the service accepts goes below.
    bounds: Bounds
    #: Policies that look at calls which had not been made yet.
    foreseeing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Projection:
        """Return one policy's projection."""
        for projection in self.projections:
            if projection.policy == name:
                return projection
        raise KeyError(name)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Models whose price nobody knows."""
        return self.projections[0].unpriced if self.projections else ()

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """Models whose minimum nobody knows, so that nothing of theirs was cached."""
        found = (model for projection in self.projections for model in projection.unmeasured)
        return tuple(dict.fromkeys(found))

    def to_json(self) -> dict[str, Any]:
        """Return the shape that ``compare --format json`` prints."""
        plain, least = self["uncached"].input_cost, self.bounds.highest
        return {
            "workload": {
                "calls": self.calls,
                "prompt_tokens": self.prompt_tokens,
                "output_tokens": self.output_tokens,
                "tokens_from": self.tokens_from,
            },
            "policies": [_policy_json(projection, plain, least) for projection in self.projections],
            "bound": {"name": self.bounds.name, "input_cost_usd": _number(least)},
            "bounds": {"loose": _number(self.bounds.loose), "tree": _number(self.bounds.tree)},
            "billed": _billed_json(self.billed),
            "calibration": _calibration_json(self.calibration),
            "notes": [*self.notes, *self._blind()],
        }

    def __str__(self) -> str:
        """Lay the comparison out as a table with what it rests on below."""
        return "\n".join([self.table(), "", *self.footing()])

    def __repr__(self) -> str:
        """Say in a line what is compared, and what the dearest and the cheapest cost."""
        known = [one for one in self.projections if one.input_cost is not None]
        costs = sorted(known, key=lambda one: one.input_cost or 0)
        ends = dict.fromkeys([*costs[-1:], *costs[:1]])
        said = ", ".join(f"{one.policy} {dollars(one.input_cost)}" for one in ends)
        size = f"{count(self.calls)} calls under {len(self.projections)} policies"
        return f"<{type(self).__name__}: {size}{': ' * bool(said)}{said}>"

    def table(self) -> str:
        """Lay out the policies as rows."""
        return aligned(_HEAD, self._rows())

    def _repr_html_(self) -> str:
        """Show the same in a notebook."""
        footing = "".join(f"<p>{escape(line)}</p>" for line in self.footing())
        return html(_HEAD, self._rows()) + footing

    def _rows(self) -> list[list[str]]:
        plain, least = self["uncached"].input_cost, self.bounds.highest
        return [
            [
                projection.policy + ("*" if projection.policy in self.foreseeing else ""),
                count(projection.usage.read),
                count(projection.usage.write_5m),
                count(projection.usage.write_1h),
                count(projection.usage.uncached),
                dollars(projection.input_cost),
                ratio(_share(projection.input_cost, plain)),
                ratio(_share(projection.input_cost, least)),
                count(projection.rejected) if projection.rejected else "",
            ]
            for projection in self.projections
        ]

    def footing(self) -> list[str]:
        """Say what the numbers rest on."""
        size = (
            f"{count(self.calls)} calls, {count(self.prompt_tokens)} prompt tokens"
            f" ({self.tokens_from}), {count(self.output_tokens)} output tokens."
        )
        lines = [size]
        if self.bounds.highest is not None:
            lower = (
                f"No plan costs less than {dollars(self.bounds.highest)} ({self.bounds.name} bound"
            )
            also = (
                f"; loose {dollars(self.bounds.loose)})." if self.bounds.tree is not None else ")."
            )
            lines.append(lower + also)
        if self.foreseeing:
            lines.append("* knows calls that had not been made yet.")
        lines += [*self.notes, *self._blind()]
        if self.unpriced:
            names = ", ".join(self.unpriced)
            lines.append(f"No price is known for {names}; see --model, --prices.")
        if self.unmeasured:
            names = ", ".join(self.unmeasured)
            lines.append(f"No minimum is known for {names}, so nothing of theirs is cached.")
        if self.billed is not None:
            lines.append(f"Billed for prompts: {dollars(self.billed[0])}.")
        if self.calibration is not None:
            found = self.calibration
            agreed = (
                f"Calibration: {count(found.exact)} of {count(found.calls)} recorded calls read"
                " what is simulated"
            )
            off = found.cost_error
            known = "" if off is None else f"; the simulated bill is {percent(off)} off"
            lines.append(f"{agreed}{known}.")
        return lines

    def _blind(self) -> Iterator[str]:
        """Say which bills rest on what was recorded, since nobody knows the marks."""
        for one in self.projections:
            if said := one.untold():
                yield f"{one.policy}: of calls whose marks nobody knows, {said}."


def compare(
    workload: Workload,
    sheet: Sheet,
    policies: Sequence[Policy] = BASELINES,
    watch: Callable[[str], None] | None = None,
) -> Comparison:
    """Project every policy on every call; ``watch`` hears the name of each before it runs."""
    projections = []
    for policy in policies:
        if watch is not None:
            watch(policy.name)
        marker = policy.bind(workload)
        projections.append(project(workload, marker, sheet, policy.name, as_sent=policy.as_sent))
    recorded = any(call.recorded is not None for call in workload)
    calibration = None
    if recorded:
        served = replay(workload, lambda call: call.marks, sheet, as_sent=True)
        calibration = calibrate(workload, served, sheet)
    return Comparison(
        calls=len(workload),
        prompt_tokens=sum(workload.prompt_tokens(call) for call in workload),
        output_tokens=sum(call.output for call in workload),
        tokens_from=workload.tokens_from,
        projections=tuple(projections),
        billed=billed(workload, sheet),
        calibration=calibration,
        bounds=bounds(workload, sheet),
        foreseeing=tuple(policy.name for policy in policies if policy.knows_future),
        notes=workload.notes,
    )


def _policy_json(
    projection: Projection, plain: Decimal | None, least: Decimal | None
) -> dict[str, Any]:
    return {
        "name": projection.policy,
        "usage": usage_json(projection.usage),
        "input_cost_usd": _number(projection.input_cost),
        "cost_usd": _number(projection.cost),
        "ratio_to_uncached": _number(_share(projection.input_cost, plain)),
        "ratio_to_bound": _number(_share(projection.input_cost, least)),
        "rejected": projection.rejected,
    }


def usage_json(usage: Usage) -> dict[str, int]:
    """Return the five counters by the names that the contract gives them."""
    return {
        "read": usage.read,
        "write_5m": usage.write_5m,
        "write_1h": usage.write_1h,
        "uncached": usage.uncached,
        "output": usage.output,
    }


def _billed_json(billed: tuple[Decimal | None, Decimal | None] | None) -> dict[str, Any] | None:
    if billed is None:
        return None
    return {"input_cost_usd": _number(billed[0]), "cost_usd": _number(billed[1])}


def _calibration_json(found: Calibration | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "calls": found.calls,
        "exact": found.exact,
        "cost_error": found.cost_error,
        "groups": [
            {
                "kind": group.kind,
                "calls": group.calls,
                "exact": group.exact,
                "more": group.more,
                "less": group.less,
                "cost_error": group.cost_error,
            }
            for group in found.groups
        ],
        "causes": [{"cause": cause, "calls": calls} for cause, calls in found.causes()],
    }


def _share(part: Decimal | None, whole: Decimal | None) -> Decimal | None:
    """Return part / whole where both are known and there is a whole."""
    return None if part is None or not whole else part / whole


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
