"""Drawings of a review as numbers: bars, blocks, boxes and lines in percent of a width.

Knows what is drawn and nothing of the page it stands on. Every axis begins at zero. Widths
are percentages, so that a drawing is as wide as the screen and its words stay as large.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from cacheplan.branches import Box
from cacheplan.comparison import Comparison
from cacheplan.portraits import Part, Portrait
from cacheplan.prompt import Lifetime
from cacheplan.shared import STEPS, Shared
from cacheplan.steps import Sum
from cacheplan.tables import count, dollars, ratio

__all__ = ["LABELS", "gaps", "policies", "portrait", "sums", "tree"]

#: What stands under the bars of gaps: shorter than that, by ``shared.STEPS``.
LABELS: Final = ("10s", "30s", "1m", "2m", "5m", "15m", "30m", "1h", "4h", "1d")
#: How high the bars of gaps and the tree are, in pixels.
_GAPS_HIGH: Final = 84
#: Room above the bars for what the lines mean, and for the number of the highest.
_GAPS_TOP: Final = 28
_TREE_HIGH: Final = 360
#: Percent of the width that the longest bar may take: its amount stands beside it.
_LONGEST: Final = 100.0
#: Blocks narrower than this many percent are drawn as one with their neighbours.
_NARROW: Final = 0.5
#: Boxes smaller than that, in pixels and percent, have no room for words.
_ROOM_HIGH, _ROOM_WIDE = 15, 12.0
#: What starts within this part of the longest prompt is its beginning: the service may add
#: a little before it.
_BEGINS: Final = 0.02
#: Boxes lower than that, in pixels, would be all outline.
_THIN: Final = 5
#: Ticks of an axis, at most.
_TICKS: Final = 5
#: How many marks may stand closer than this many percent before their words would overlap.
_APART: Final = 4.0


def sums(rows: Sequence[Sum]) -> list[dict[str, Any]]:
    """Return each bill with a bar beside the others."""
    most = max((row.amount or Decimal() for row in rows), default=Decimal())
    return [
        {"row": row, "width": _percent(row.amount or 0, most), "known": row.amount is not None}
        for row in rows
    ]


def policies(compared: Comparison) -> dict[str, Any]:
    """Return a bar for each policy, as long as what it costs, and the bound as a line."""
    costs = [one.input_cost or Decimal() for one in compared.projections]
    least, most = compared.bounds.highest, max(costs, default=Decimal())
    plain = compared["uncached"].input_cost
    looks = {"as-marked": "now", "planned": "good"}
    rows = []
    for one, cost in zip(compared.projections, costs, strict=True):
        known = one.input_cost is not None
        rows.append(
            {
                "name": one.policy + ("*" if one.policy in compared.foreseeing else ""),
                "cost": dollars(one.input_cost),
                "share": ratio(cost / plain if known and plain else None),
                "width": _percent(cost, most),
                "look": looks.get(one.policy, "bar"),
                "refused": one.rejected,
            }
        )
    return {
        "rows": rows,
        "bound": None if least is None or not most else _percent(least, most),
        "least": dollars(least),
        "refused": any(one.rejected for one in compared.projections),
        "foreseeing": bool(compared.foreseeing),
    }


def portrait(one: Portrait, *, show: bool) -> dict[str, Any]:
    """Return a prompt as a bar of blocks, with the marks above and below it."""
    whole = sum(part.tokens for part in one.parts) or 1
    blocks: list[dict[str, Any]] = []
    sent, planned = [], []
    at = 0
    for part in one.parts:
        for look, tokens in _looks(part):
            blocks.append(
                {
                    "x": _percent(at, whole),
                    "width": _percent(tokens, whole),
                    "look": look,
                    "calls": part.calls,
                    "deep": round(0.4 + 0.6 * part.calls / one.calls, 2),
                    "title": f"{part.titled(show=show)}: {_said(part, one.calls)}",
                }
            )
            at += tokens
        end = _percent(at, whole)
        sent += [_mark(end, part.marked)] if part.marked is not None else []
        planned += [_mark(end, part.planned)] if part.planned is not None else []
    return {
        "portrait": one,
        "tokens": count(one.tokens),
        "calls": count(one.calls),
        "name": one.id or f"call {one.number}",
        "blocks": _merged(blocks),
        "sent": sent,
        "planned": planned,
        "ticks": _ticks(whole),
        "rows": [
            _row(part, one.calls, show=show) for part in one.parts if _listed(part, whole)
        ],
    }  # fmt: skip


def _looks(part: Part) -> Iterator[tuple[str, int]]:
    """Part a block into what can be read, what could be, and what is new."""
    if part.calls > 1:
        yield "good", part.tokens
        return
    lost = round(part.tokens * part.same)
    if lost:
        yield "lost", lost
    if part.tokens > lost:
        yield "rest", part.tokens - lost


def _said(part: Part, calls: int) -> str:
    """Say what is known of a block."""
    if part.calls > 1:
        how = f"{count(part.calls)} of {count(calls)} calls begin with all up to here"
    elif part.same > 0:
        how = f"{part.same:.0%} of it is in other calls too, behind or beside what changes"
    else:
        how = "no other call has it here"
    return f"{count(part.tokens)} tokens; {how}"


def _listed(part: Part, whole: int) -> bool:
    """Tell whether a block is listed: what the service adds only where it is long."""
    return part.place is not None or part.tokens * 100 >= whole


def _row(part: Part, calls: int, *, show: bool) -> dict[str, Any]:
    """Return a block as a row of the table below its bar."""
    return {
        "block": part.titled(show=show),
        "tokens": count(part.tokens),
        "calls": f"{count(part.calls)} of {count(calls)}",
        "same": f"{part.same:.0%}",
        "sent": part.marked or "",
        "planned": part.planned or "",
    }


def _mark(end: float, lifetime: Lifetime) -> dict[str, Any]:
    """Return a mark with its words on the side where there is room."""
    return {"x": end, "lifetime": lifetime, "anchor": "end" if end > 100 - _APART else "start"}


def _merged(blocks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Draw neighbours that are too narrow to be seen as one, where they look alike."""
    made: list[dict[str, Any]] = []
    for block in blocks:
        last = made[-1] if made else None
        if (
            last is not None
            and last["look"] == block["look"]
            and last["deep"] == block["deep"]
            and min(last["width"], block["width"]) < _NARROW
        ):
            last["width"] = round(last["width"] + block["width"], 2)
            last["title"] = f"{last['title']}\n{block['title']}"
        else:
            made.append(dict(block))
    return made


def tree(boxes: Sequence[Box]) -> dict[str, Any]:
    """Return the tree of prefixes: as wide as they are long, as high as calls have them."""
    widest = max((box.end for box in boxes), default=0) or 1
    calls = max((box.top + box.calls for box in boxes), default=0) or 1
    drawn = []
    for box in sorted(boxes, key=lambda box: (box.top, box.start)):
        high = box.high / calls * _TREE_HIGH
        wide = _percent(box.end - box.start, widest)
        room = high >= _ROOM_HIGH and wide >= _ROOM_WIDE
        drawn.append(
            {
                "x": _percent(box.start, widest),
                "y": round(box.top / calls * _TREE_HIGH, 1),
                "high": round(high, 1),
                "wide": wide,
                "shared": _percent(box.shared - box.start, box.end - box.start),
                "line": "thin" if high < _THIN else "block",
                "title": _box(box),
                "words": _box_words(box, begins=box.start < widest * _BEGINS) if room else "",
            }
        )
    return {"boxes": drawn, "high": _TREE_HIGH, "calls": count(calls), "ticks": _ticks(widest)}


def _box(box: Box) -> str:
    """Say what a box stands for."""
    calls = f"{count(box.calls)} calls" if box.calls > 1 else "one call"
    whose = f" of {box.lane}" if box.lane else ""
    reach = f"tokens {count(round(box.start))} to {count(round(box.end))}"
    if box.branches > 1:
        return f"{calls}{whose} on {count(box.branches)} ways: {reach} on average"
    return f"{calls}{whose}: {reach}"


def _box_words(box: Box, *, begins: bool) -> str:
    """Say the same where there is little room; where prompts begin, whose they are."""
    calls = f"{count(box.calls)} calls" if box.calls > 1 else "1 call"
    return f"{calls} of {box.lane}" if box.lane and begins else calls


def gaps(row: Shared) -> dict[str, Any]:
    """Return how soon a prefix was used again: bars, and both lifetimes as lines."""
    most = max(row.gaps) or 1
    step = 100 / len(row.gaps)
    bars = [
        {
            "x": round(at * step + 0.6, 2),
            "width": round(step - 1.2, 2),
            "middle": round((at + 0.5) * step, 2),
            "high": (high := round(number / most * _GAPS_HIGH, 1)),
            "top": round(_GAPS_TOP + _GAPS_HIGH - high, 1),
            "count": count(number) if number else "",
        }
        for at, number in enumerate(row.gaps)
    ]
    edges = [{"x": round((at + 1) * step, 2), "label": label} for at, label in enumerate(LABELS)]
    names = {Lifetime.FIVE_MINUTES: "5 minutes", Lifetime.ONE_HOUR: "1 hour"}
    limits = [
        {"x": round((STEPS.index(lifetime.seconds) + 1) * step, 2), "label": name}
        for lifetime, name in names.items()
    ]
    return {
        "row": row,
        "tokens": count(row.tokens),
        "calls": count(row.calls),
        "bars": bars,
        "edges": edges,
        "limits": limits,
        "floor": _GAPS_TOP + _GAPS_HIGH,
    }


def _ticks(most: float) -> list[dict[str, Any]]:
    """Return the ticks of an axis of tokens, from zero, at round numbers."""
    step = next(
        size * 10**power
        for power in range(16)
        for size in (1, 2, 5)
        if most / (size * 10**power) <= _TICKS
    )
    marks = [step * at for at in range(int(most // step) + 1)]
    return [
        {"x": _percent(at, most), "label": count(at) if at else "0 tokens",
         "anchor": "start" if not at else "end" if at > 0.95 * most else "middle"}
        for at in marks
    ]  # fmt: skip


def _percent(part: float | Decimal, whole: float | Decimal) -> float:
    """Return a part of the whole width; nothing of nothing is nothing."""
    return round(float(part) / float(whole) * _LONGEST, 2) if whole else 0.0
