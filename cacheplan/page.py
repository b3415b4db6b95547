"""A review as one page of HTML: no network, no script, and nothing of it unescaped.

Prompts, labels and ids are other people's words. The template escapes every one of them,
and the page forbids itself everything but its own style, so that what slipped through
would do nothing. The template is handed in, since only the porch reads files.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

from jinja2 import Environment, StrictUndefined

from cacheplan import drawings
from cacheplan.finding import Finding
from cacheplan.plan import name_of
from cacheplan.report import Review
from cacheplan.steps import FIRST
from cacheplan.tables import dollars, printable
from cacheplan.wording import called, facts_of, followers, patched, redacted, safety, seen

__all__ = ["page"]


def page(found: Review, template: str, *, show: bool = False) -> str:
    """Return a review as a page; ``template`` is the text of ``page.html``."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["dollars"] = dollars
    steps = found.steps()
    own = {name_of(lane) for lane in found.plan.lanes if lane.like is None}
    return environment.from_string(template).render(
        found=found,
        style_hash=_hash(template),
        sums=drawings.sums(found.sums()),
        steps=steps[:FIRST],
        more=max(len(steps) - FIRST, 0),
        policies=drawings.policies(found.comparison),
        portraits=[drawings.portrait(one, show=show) for one in found.portraits],
        findings=list(_findings(found, show=show)),
        tree=drawings.tree(found.branches),
        plan=[row for row in found.plan.rows() if row[0] in own],
        followers=followers(found.plan),
        gaps=[drawings.gaps(row) for row in found.shared],
    )


def _shown(value: Any) -> Any:
    """Show control characters as what they are."""
    return printable(value) if isinstance(value, str) else value


def _hash(template: str) -> str:
    """Return what the page's policy says of its only style."""
    style = template.partition("<style>")[2].partition("</style>")[0]
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


def _findings(found: Review, *, show: bool) -> Iterator[dict[str, Any]]:
    """Yield each finding with what it looks like, before and after."""
    for one in found.findings:
        yield {
            "finding": one,
            "facts": facts_of(one, found.found),
            "safe": "" if one.fix is None else safety(one.fix),
            "patch": _patch(one, show=show),
            "examples": [
                {"name": called(each), "text": redacted(each, show=show)} for each in one.examples
            ],
        }


def _patch(one: Finding, *, show: bool) -> dict[str, Any] | None:
    """Return what a fix changes in one call, side by side."""
    patch = None if one.fix is None else one.fix.patch
    if patch is None:
        return None
    sides = [
        {
            "name": name,
            "lines": [{"place": each.place, "text": seen(each, show=show)} for each in changes],
        }
        for name, changes in (("before", patch.before), ("after", patch.after))
    ]
    return {"sides": sides, "said": patched(patch)}
