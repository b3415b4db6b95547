"""A review as one page of HTML: no network, no script, and nothing of it unescaped.

Prompts, labels and ids are other people's words. The template escapes every one of them,
and the page forbids itself everything but its own style, so that what slipped through
would do nothing. The template is handed in, since only the porch reads files.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from jinja2 import Environment, StrictUndefined

from cacheplan.comparison import Comparison
from cacheplan.report import Review
from cacheplan.shared import SHOWN, Shared
from cacheplan.tables import count, dollars, printable
from cacheplan.wording import lane_of, redacted

__all__ = ["page"]

#: The widest bar, and where the bars of gaps stand, in units of the drawings.
_WIDEST: Final = 400
_STEP: Final = 56
_HIGHEST: Final = 70
#: What stands under the bars of gaps: shorter than that, by ``shared.STEPS``.
_LABELS: Final = ("10s", "30s", "1m", "2m", "5m", "15m", "30m", "1h", "4h", "1d", "more")
#: Things to do that are named first.
_FIRST: Final = 3


def page(found: Review, template: str, *, show: bool = False) -> str:
    """Return a review as a page; ``template`` is the text of ``page.html``."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, finalize=_shown)
    return environment.from_string(template).render(
        found=found,
        style_hash=_hash(template),
        sums=[
            {"name": row.name, "cost": dollars(row.amount), "daily": _daily(row.daily),
             "how": row.how}
            for row in found.sums()
        ],
        steps=found.steps()[:_FIRST],
        policies=list(_bars(found.comparison)),
        prompts=list(_prompts(found)),
        findings=list(_findings(found, show=show)),
        shared=[_gaps(row) for row in found.shared],
        limits=[{"x": 5 * _STEP, "label": "5 minutes"}, {"x": 8 * _STEP, "label": "1 hour"}],
    )  # fmt: skip


def _shown(value: Any) -> Any:
    """Show control characters as what they are."""
    return printable(value) if isinstance(value, str) else value


def _hash(template: str) -> str:
    """Return what the page's policy says of its only style."""
    style = template.partition("<style>")[2].partition("</style>")[0]
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


def _bars(compared: Comparison) -> Iterator[dict[str, Any]]:
    """Yield a bar for each policy, as long as what it costs."""
    most = max((one.input_cost or Decimal() for one in compared.projections), default=Decimal())
    looks = {"as-marked": "bad", "planned": "good"}
    for one in compared.projections:
        share = one.input_cost / most if one.input_cost is not None and most else Decimal()
        star = "*" if one.policy in compared.foreseeing else ""
        yield {
            "name": one.policy + star,
            "cost": dollars(one.input_cost),
            "width": round(share * _WIDEST),
            "look": looks.get(one.policy, "bar"),
        }


def _lanes(found: Review) -> dict[str, list[Shared]]:
    """Return what each kind of calls shares, the shortest first."""
    lanes: dict[str, list[Shared]] = {}
    for row in sorted(found.shared, key=lambda row: row.tokens):
        if row.prefix and row.tokens:
            for lane in row.lanes:
                lanes.setdefault(lane, []).append(row)
    if len(found.shared) < SHOWN:
        # Everything that is shared is known, so what is not there is not shared.
        for one in found.findings:
            if one.lane is not None:
                lanes.setdefault(lane_of(one), [])
    return lanes


def _prompts(found: Review) -> Iterator[dict[str, Any]]:
    """Yield the prompt of each kind of calls: what is shared, what is not, where marks stand."""
    for lane, rows in _lanes(found).items():
        if not rows:
            parts = [{"x": 0, "width": 640, "look": "rest", "title": "differs between calls"}]
            yield {"lane": lane, "parts": parts, "marks": []}
            continue
        # What follows the longest shared prefix is drawn as a tenth: it differs by call.
        scale, start = 576 / rows[-1].tokens, 0.0
        parts, marks = [], []
        for row in rows:
            end = row.tokens * scale
            title = f"{row.breakpoint}: {count(row.tokens)} tokens, {count(row.calls)} calls"
            parts.append({"x": round(start), "width": round(end - start), "look": "good",
                          "title": title})  # fmt: skip
            if row.lifetime is not None:
                anchor = "end" if end > 0.5 * 640 else "start"
                marks.append({"x": round(end), "title": f"{row.breakpoint} {row.lifetime}",
                              "anchor": anchor})  # fmt: skip
            start = end
        parts.append({"x": 576, "width": 64, "look": "rest", "title": "differs between calls"})
        yield {"lane": lane, "parts": parts, "marks": marks}


def _findings(found: Review, *, show: bool) -> Iterator[dict[str, Any]]:
    """Yield each finding with what it looks like."""
    for one in found.findings:
        yield {
            "finding": one,
            "lane": lane_of(one),
            "cost": dollars(one.saving),
            "daily": _daily(one.saving_per_day),
            "examples": [
                {"name": each.id or f"call {each.call}", "text": redacted(each, show=show)}
                for each in one.examples
            ],
        }


def _gaps(row: Shared) -> dict[str, Any]:
    """Return how soon a prefix was used again, as bars."""
    most = max(row.gaps) or 1
    bars = [
        {"x": at * _STEP + 3, "count": number, "height": round(number / most * _HIGHEST),
         "label": label}
        for at, (number, label) in enumerate(zip(row.gaps, _LABELS, strict=True))
    ]  # fmt: skip
    return {"row": row, "tokens": count(row.tokens), "calls": count(row.calls), "bars": bars}


def _daily(amount: Decimal | None) -> str:
    return "" if amount is None else dollars(amount)
