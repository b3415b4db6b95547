"""Why a later call cannot read what an earlier one wrote: the first thing that differs.

The answer is given in the words of the API's own diagnostics (``model_changed``,
``tools_changed``, ``system_changed``, ``messages_changed``); where the content is the
same and still nothing is read, in ours: the marks, the minimum, the lookback.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cacheplan.assumptions import Assumptions
from cacheplan.canonical import plain
from cacheplan.patterns import first_difference, name_at, shape
from cacheplan.pieces import Piece
from cacheplan.prices import Sheet
from cacheplan.projection import replay
from cacheplan.prompt import Level, Place
from cacheplan.records import Intake
from cacheplan.settings import PARAMETERS
from cacheplan.tokens import TokenCounter
from cacheplan.wire import Parsed, parse

__all__ = ["Explanation", "explain"]

#: How much text around a difference is shown.
_AROUND = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Where two calls part, and what the later one reads."""

    #: ``model_changed``, ``tools_changed``, ``system_changed`` or ``messages_changed``,
    #: in the API's words; ``not_marked``, ``below_minimum``, ``lookback_exceeded`` where
    #: the earlier prompt is repeated whole; ``None`` where the later call reads it.
    reason: str | None
    #: What happened, in a sentence.
    what: str
    place: Place | None = None
    #: Characters into the block at which the texts part.
    offset: int | None = None
    before: str = ""
    after: str = ""
    #: Tokens that the later call reads, if it comes a moment after the earlier one.
    reads: int = 0

    def text(self, *, show: bool = False) -> str:
        """Say it in a few lines; prompts are shown as shapes unless asked for."""
        lines = [f"{self.reason or 'nothing is in the way'}: {self.what}"]
        if self.place is not None:
            at = "" if self.offset is None else f", character {self.offset + 1}"
            lines.append(f"  at      {self.place}{at}")
        if self.before or self.after:
            redact = str if show else shape
            lines += [f"  before  {redact(self.before)!r}", f"  after   {redact(self.after)!r}"]
        lines.append(f"  reads   {self.reads:,} tokens")
        return "\n".join(lines)

    def __str__(self) -> str:
        """Say it with prompts as shapes."""
        return self.text()

    def to_json(self, *, show: bool = False) -> dict[str, Any]:
        """Return the shape that ``explain --format json`` prints."""
        redact = str if show else shape
        return {
            "reason": self.reason,
            "what": self.what,
            "place": None if self.place is None else str(self.place),
            "offset": self.offset,
            "before": redact(self.before),
            "after": redact(self.after),
            "reads": self.reads,
        }


def explain(
    earlier: Mapping[str, Any],
    later: Mapping[str, Any],
    *,
    counter: TokenCounter,
    sheet: Sheet,
    assume: Assumptions | None = None,
) -> Explanation:
    """Compare two bodies and say why the later reads no more of the earlier."""
    assume = assume or Assumptions()
    before, after = parse(earlier, assume), parse(later, assume)
    reads, written = _simulate(earlier, later, counter, sheet, assume)
    found = (
        _model(before, after)
        or _speed(earlier, later)
        or _content(earlier, later, before, after)
        or _marks(before, after, reads, written)
    )
    return Explanation(**{**found, "reads": reads})


def _simulate(
    earlier: Mapping[str, Any],
    later: Mapping[str, Any],
    counter: TokenCounter,
    sheet: Sheet,
    assume: Assumptions,
) -> tuple[int, int]:
    """Return what the later call reads, and what the earlier one wrote."""
    intake = Intake(counter, assume)
    for at, body in enumerate((earlier, later)):
        line = {"at": 10 * at, "request": body}
        intake.add(json.dumps(line).encode())
    served = list(replay(intake.workload(), lambda call: call.marks, sheet))
    if len(served) < 2:  # noqa: PLR2004 -- two bodies, one of them held by the service
        return 0, 0
    return served[1].usage.read, served[0].usage.written


def _model(before: Parsed, after: Parsed) -> dict[str, Any] | None:
    """Each model has a cache of its own."""
    if before.model == after.model:
        return None
    what = "each model has entries of its own"
    return {"reason": "model_changed", "what": what, "before": before.model, "after": after.model}


def _speed(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any] | None:
    """The API counts a change of speed as a change of model."""
    speeds = [str(body.get("speed") or "standard") for body in (earlier, later)]
    if speeds[0] == speeds[1]:
        return None
    return {
        "reason": "model_changed",
        "what": "speed changed",
        "before": speeds[0],
        "after": speeds[1],
    }


def _content(
    earlier: Mapping[str, Any], later: Mapping[str, Any], before: Parsed, after: Parsed
) -> dict[str, Any] | None:
    """Find the first level that differs, by its settings or by its blocks."""
    for level in Level:
        reason = f"{level}_changed"
        if before.settings[level] != after.settings[level]:
            return {"reason": reason, "what": _setting(earlier, later, level)}
        old = [piece for piece in before.pieces if piece.block.level is level]
        new = [piece for piece in after.pieces if piece.block.level is level]
        found = _blocks(old, new, level)
        if found is not None:
            return {"reason": reason, **found}
    return None


def _setting(earlier: Mapping[str, Any], later: Mapping[str, Any], level: Level) -> str:
    """Name the parameters that differ."""
    names = [
        name for name in sorted(PARAMETERS) if plain(earlier.get(name)) != plain(later.get(name))
    ]
    if not names:
        return "what stands in the messages (images, citations) changed how they are rendered"
    return f"{' and '.join(names)} changed, which renders {level} anew"


def _blocks(old: list[Piece], new: list[Piece], level: Level) -> dict[str, Any] | None:
    """Find the first block of one level that differs; a longer later call is no change."""
    for before, after in zip(old, new, strict=False):
        if before.block.digest != after.block.digest:
            return _block(before, after, old, new, level)
    if len(new) < len(old):
        gone = old[len(new)]
        return {"what": f"{gone.block.kind} is missing in the later call", "place": gone.place}
    if level is not Level.MESSAGES and len(new) > len(old):
        added = new[len(old)]
        return {"what": f"{added.block.kind} was added", "place": added.place}
    return None


def _block(
    before: Piece, after: Piece, old: list[Piece], new: list[Piece], level: Level
) -> dict[str, Any]:
    """Say how one block differs from what stood in its place."""
    place = after.place
    if level is Level.TOOLS and {p.block.digest for p in old} == {p.block.digest for p in new}:
        return {
            "what": "the same tools in another order",
            "place": place,
            "before": ", ".join(_tool_names(old)),
            "after": ", ".join(_tool_names(new)),
        }
    if before.block.role != after.block.role:
        what = f"{before.block.role} spoke here before, now {after.block.role}"
        return {"what": what, "place": place}
    if before.block.kind != after.block.kind:
        return {"what": f"{before.block.kind} became {after.block.kind}", "place": place}
    one, other = _text(before), _text(after)
    if one == other:
        return {"what": "string content against a list of one text block", "place": place}
    if _sorted(before) == _sorted(after):
        what = "the same JSON with its keys in another order"
    else:
        what = ""
    offset = first_difference(one, other)
    return {
        "what": what or _difference(one, other, offset),
        "place": place,
        "offset": offset,
        "before": _excerpt(one, offset),
        "after": _excerpt(other, offset),
    }


def _difference(before: str, after: str, offset: int) -> str:
    """Name what changed, where a pattern names it on both sides."""
    if offset == len(before):
        return "text was added at the end of the block"
    old, new = name_at(before, offset), name_at(after, offset)
    if old is not None and new is not None and old.name == new.name:
        return f"a {old.name} changed"
    return "the text changed"


def _tool_names(pieces: list[Piece]) -> list[str]:
    return [str(piece.block.body.get("name", piece.block.kind)) for piece in pieces]


def _text(piece: Piece) -> str:
    """Return a block as text: its own, or its JSON in the order that was sent."""
    body = piece.block.body
    if piece.block.kind == "text" and isinstance(body.get("text"), str):
        return str(body["text"])
    return json.dumps(plain(body), ensure_ascii=False)


def _sorted(piece: Piece) -> str:
    return json.dumps(piece.block.body, sort_keys=True, ensure_ascii=False)


def _excerpt(text: str, offset: int) -> str:
    """Cut out the text around an offset, a named stretch whole."""
    named = name_at(text, offset)
    start = min(offset, named.start if named else offset) - _AROUND
    end = max(offset, named.end if named else offset) + _AROUND
    return text[max(start, 0) : end]


def _marks(before: Parsed, after: Parsed, reads: int, written: int) -> dict[str, Any]:
    """Say why nothing is read although the earlier prompt is repeated."""
    if reads:
        return {"reason": None, "what": "the later call repeats the earlier one and reads it"}
    if not before.breakpoints():
        return {"reason": "not_marked", "what": "the earlier call has no mark, so it wrote nothing"}
    if not written:
        what = "the earlier call's marked prefix is shorter than the model's minimum"
        return {"reason": "below_minimum", "what": what}
    if not after.breakpoints():
        return {"reason": "not_marked", "what": "the later call has no mark, so it looks for nothing"}
    what = "the later call's marks stand too many positions behind what the earlier one wrote"
    return {"reason": "lookback_exceeded", "what": what}
