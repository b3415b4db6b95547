"""Why a later call cannot read what an earlier one wrote: the first thing that differs.

The answer is given in the words of the API's own diagnostics (``model_changed``,
``tools_changed``, ``system_changed``, ``messages_changed``); where the content is the
same and still nothing is read, in ours: the marks, the minimum, the lookback.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from cacheplan import facts
from cacheplan.assumptions import Assumptions
from cacheplan.bodies import Envelope, scope_of
from cacheplan.canonical import plain
from cacheplan.checking import PLATFORM, workload_of
from cacheplan.errors import UnknownFactError, UnsupportedError
from cacheplan.kinds import deferred
from cacheplan.patterns import first_difference, name_at, shape
from cacheplan.pieces import Piece
from cacheplan.prices import Sheet
from cacheplan.projection import Served, replay
from cacheplan.prompt import Level, Place
from cacheplan.settings import PARAMETERS, citations_in, images_in, settings
from cacheplan.tokens import TokenCounter
from cacheplan.wire import Parsed, parse

__all__ = ["Explanation", "difference", "explain"]

#: How much text around a difference is shown.
_AROUND: Final = 24
_THINKING: Final = frozenset({"thinking", "redacted_thinking"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Where two calls part, and what the later one reads."""

    #: ``model_changed``, ``tools_changed``, ``system_changed`` or ``messages_changed``,
    #: in the API's words; ``not_marked``, ``below_minimum``, ``lookback_exceeded`` or
    #: ``rejected`` where the earlier prompt is repeated whole; ``None`` where the later call
    #: reads it.
    reason: str | None
    #: What happened, in a sentence.
    what: str
    place: Place | None = None
    #: Characters into the block at which the texts part.
    offset: int | None = None
    before: str = ""
    after: str = ""
    #: Tokens that the later call reads, if it comes a moment after the earlier one;
    #: ``None`` where nobody knows the model's minimum.
    reads: int | None = 0

    def text(self, *, show: bool = False) -> str:
        """Say it in a few lines; prompts are shown as shapes unless asked for."""
        reads = "an unknown number of" if self.reads is None else f"{self.reads:,}"
        return f"{self.where(show=show)}\n  reads   {reads} tokens"

    def where(self, *, show: bool = False) -> str:
        """Say what differs and where, without what it means for the later call."""
        lines = [f"{self.reason or 'nothing is in the way'}: {self.what}"]
        if self.place is not None:
            at = "" if self.offset is None else f", character {self.offset + 1}"
            lines.append(f"  at      {self.place}{at}")
        if self.before or self.after:
            redact = str if show else shape
            lines += [f"  before  {redact(self.before)!r}", f"  after   {redact(self.after)!r}"]
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
    before, after = _both(earlier, later, assume)
    known = sheet.minimum(after.model, PLATFORM, assume) is not None
    served = _simulate(earlier, later, counter, sheet, assume)
    found = _parting(earlier, later, before, after, assume)
    if found is None and not known:
        raise UnknownFactError(
            f'these calls begin alike, and nobody states the minimum of "{after.model}"'
        )
    found = found or _marks(before, after, served)
    return Explanation(**found, reads=served[1].usage.read if known else None)


def difference(
    earlier: Mapping[str, Any], later: Mapping[str, Any], *, assume: Assumptions | None = None
) -> Explanation | None:
    """Return where two prompts part, ``None`` where the later one begins with the earlier.

    What the service reads is not asked, so no tokens are counted.
    """
    assume = assume or Assumptions()
    found = _parting(earlier, later, *_both(earlier, later, assume), assume)
    return None if found is None else Explanation(**found, reads=None)


def _both(
    earlier: Mapping[str, Any], later: Mapping[str, Any], assume: Assumptions
) -> tuple[Parsed, Parsed]:
    """Take two bodies apart."""
    before, after = _shown(parse(earlier, assume), assume), _shown(parse(later, assume), assume)
    if before.partial or after.partial:
        raise UnsupportedError("the service holds the start of this prompt", ("thread",))
    return before, after


def _parting(
    earlier: Mapping[str, Any],
    later: Mapping[str, Any],
    before: Parsed,
    after: Parsed,
    assume: Assumptions,
) -> dict[str, Any] | None:
    """Find the first thing that differs, in the order in which the service would meet it."""
    return (
        _model(before, after, assume)
        or _speed(earlier, later)
        or _content(earlier, later, before, after, assume)
    )


def _shown(parsed: Parsed, assume: Assumptions) -> Parsed:
    """Leave out what an older model is not shown: thinking before a person spoke again."""
    found = facts.find(parsed.model)
    if found is None or facts.keeps_thinking(found.model, assume):
        return parsed
    asked = (
        piece.place.index
        for piece in parsed.pieces
        if piece.block.role == "user" and piece.block.kind != "tool_result"
    )
    newest = max(asked, default=0)
    pieces = [
        piece
        for piece in parsed.pieces
        if piece.block.kind not in _THINKING or piece.place.index >= newest
    ]
    if parsed.target is None:
        return parsed._replace(pieces=pieces)
    target = parsed.pieces[parsed.target]
    at = next(at for at, piece in enumerate(pieces) if piece is target)
    return parsed._replace(pieces=pieces, target=at)


def _simulate(
    earlier: Mapping[str, Any],
    later: Mapping[str, Any],
    counter: TokenCounter,
    sheet: Sheet,
    assume: Assumptions,
) -> list[Served]:
    """Serve the two a moment apart, by a service that forgets nothing by chance."""
    assume = replace(assume, hit_rate=1.0)
    workload = workload_of([earlier, later], counter, assume)
    return list(replay(workload, lambda call: call.marks, sheet))


def _model(before: Parsed, after: Parsed, assume: Assumptions) -> dict[str, Any] | None:
    """Each model has a cache of its own, whatever the spelling of its id."""
    scopes = [scope_of(parsed.model, Envelope(), assume) for parsed in (before, after)]
    if scopes[0] == scopes[1]:
        return None
    what = f"{before.model} became {after.model}, and each model has entries of its own"
    return {"reason": "model_changed", "what": what}


def _speed(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any] | None:
    """The API counts a change of speed as a change of model."""
    old, new = (str(body.get("speed") or "standard") for body in (earlier, later))
    if old == new:
        return None
    return {"reason": "model_changed", "what": f"speed changed from {old} to {new}"}


def _content(
    earlier: Mapping[str, Any],
    later: Mapping[str, Any],
    before: Parsed,
    after: Parsed,
    assume: Assumptions,
) -> dict[str, Any] | None:
    """Find the first level that differs, by its settings or by its blocks."""
    for level in Level:
        reason = f"{level}_changed"
        if before.settings[level] != after.settings[level]:
            found = _parameters(earlier, later, level, assume) or _flags(before, after, level)
            return {"reason": reason, **found}
        old = [piece for piece in before.pieces if piece.block.level is level]
        new = [piece for piece in after.pieces if piece.block.level is level]
        blocks = _blocks(old, new, level)
        if blocks is not None:
            return {"reason": reason, **blocks}
    return None


def _parameters(
    earlier: Mapping[str, Any], later: Mapping[str, Any], level: Level, assume: Assumptions
) -> dict[str, Any] | None:
    """Name the parameters by which a level differs: those that change it on their own."""
    found = facts.find(str(later.get("model")))
    model = found.model if found else None
    old, new = _spread(earlier), _spread(later)
    changed = [
        name
        for name in sorted({*old, *new})
        if settings(old.get(name, {}), model, False, assume)[level]  # noqa: FBT003 -- no images
        != settings(new.get(name, {}), model, False, assume)[level]  # noqa: FBT003 -- no images
    ]
    if not changed:
        return None
    return {
        "what": f"{' and '.join(changed)} changed, which renders {level} anew",
        "before": ", ".join(_json(old[name]) for name in changed if name in old),
        "after": ", ".join(_json(new[name]) for name in changed if name in new),
    }


def _spread(body: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return each parameter as a body of its own; what ``output_config`` holds, one by one."""
    spread = {name: {name: body[name]} for name in PARAMETERS if body.get(name) is not None}
    output = body.get("output_config")
    if isinstance(output, Mapping):
        del spread["output_config"]
        for key, part in output.items():
            spread[f"output_config.{key}"] = {"output_config": {key: part}}
    tools = body.get("tools")
    late = [tool for tool in tools or () if deferred(tool)]
    return {**spread, "deferred tools": {"tools": late}} if late else spread


def _flags(before: Parsed, after: Parsed, level: Level) -> dict[str, Any]:
    """Name what stands in the messages and changes how a whole level is rendered."""
    for what, holds in (("an image", images_in), ("a document with citations", citations_in)):
        old = next((piece for piece in before.pieces if holds([piece])), None)
        new = next((piece for piece in after.pieces if holds([piece])), None)
        if old is None and new is not None:
            added = f"{what} was added where there was none, which renders {level} anew"
            return {"what": added, "place": new.place}
        if new is None and old is not None:
            gone = f"{what} is gone and was the only one, which renders {level} anew"
            return {"what": gone, "place": old.place}
    return {"what": f"what is set for {level} changed"}


def _blocks(old: list[Piece], new: list[Piece], level: Level) -> dict[str, Any] | None:
    """Find the first block of one level that differs; a longer later call is no change."""
    for before, after in zip(old, new, strict=False):
        if before.block.digest != after.block.digest:
            if level is Level.TOOLS:
                return _tools(old, new, after) or _block(before, after)
            return _block(before, after)
    if len(new) < len(old):
        gone = old[len(new)]
        return {"what": f"{_named(gone)} is missing in the later call", "place": gone.place}
    if level is not Level.MESSAGES and len(new) > len(old):
        added = new[len(old)]
        return {"what": f"{_named(added)} was added", "place": added.place}
    return None


def _tools(old: list[Piece], new: list[Piece], first: Piece) -> dict[str, Any] | None:
    """Say what happened to a list of tools, where no single tool was edited."""
    olds, news = ({piece.block.digest for piece in pieces} for pieces in (old, new))
    names = {
        "before": ", ".join(map(_tool_name, old)),
        "after": ", ".join(map(_tool_name, new)),
        "place": first.place,
    }
    if olds == news:
        return {"what": "the same tools in another order", **names}
    if olds < news:
        return {"what": "a tool was added before others", **names}
    if olds > news:
        return {"what": "a tool was removed before others", **names}
    return None


def _named(piece: Piece) -> str:
    """Name a block by its kind, as the subject of a sentence."""
    return f"a {piece.block.kind} block" if piece.block.level is not Level.TOOLS else "a tool"


def _block(before: Piece, after: Piece) -> dict[str, Any]:
    """Say how one block differs from what stood in its place."""
    place = after.place
    if before.block.kind in _THINKING and after.block.kind not in _THINKING:
        what = "thinking was shown here before, and is left out once a person has spoken again"
        return {"what": what, "place": place}
    if before.block.role != after.block.role:
        what = f"{before.block.role} spoke here before, now {after.block.role}"
        return {"what": what, "place": place}
    if before.block.kind != after.block.kind:
        return {"what": f"{before.block.kind} became {after.block.kind}", "place": place}
    one, other = _text(before), _text(after)
    if one == other:
        one, other = _json(before.block.body), _json(after.block.body)
    if one == other:
        return {"what": "string content against a list of one text block", "place": place}
    what = ""
    if _sorted(before) == _sorted(after):
        what = "the same JSON with its keys in another order"
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
    old, new = name_at(before, offset), name_at(after, offset)
    if old is not None and new is not None and old.name == new.name:
        one, other = before[old.start : old.end], after[new.start : new.end]
        if one != other:
            return f"a {old.name} changed"
    if offset == len(before):
        return "text was added at the end of the block"
    if offset == len(after):
        return "text is missing at the end of the block"
    return "the text changed"


def _tool_name(piece: Piece) -> str:
    return str(piece.block.body.get("name", piece.block.kind))


def _text(piece: Piece) -> str:
    """Return a block as text: its own, or its JSON in the order that was sent."""
    body = piece.block.body
    if piece.block.kind == "text" and isinstance(body.get("text"), str):
        return str(body["text"])
    return _json(plain(body))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _sorted(piece: Piece) -> str:
    return json.dumps(piece.block.body, sort_keys=True, default=str)


def _excerpt(text: str, offset: int) -> str:
    """Cut out the text around an offset, a named stretch whole."""
    named = name_at(text, offset)
    start = min(offset, named.start if named else offset) - _AROUND
    end = max(offset, named.end if named else offset) + _AROUND
    return text[max(start, 0) : end]


def _marks(before: Parsed, after: Parsed, served: list[Served]) -> dict[str, Any]:
    """Say what is read, or why not, where the earlier prompt is repeated whole."""
    for which, call in zip(("earlier", "later"), served, strict=True):
        if call.refused is not None:
            what = f"the service refuses the {which} call: {call.refused}"
            return {"reason": "rejected", "what": what}
    reads, written = served[1].usage.read, served[0].usage.written
    marked, marked_later = before.breakpoints(), after.breakpoints()
    reasons = (
        (not marked, "not_marked", "the earlier call has no mark, so it wrote nothing"),
        (
            not written,
            "below_minimum",
            "the earlier call's marked prefix is shorter than the model's minimum",
        ),
        (reads >= written, None, "the later call repeats the earlier one and reads it"),
        (not marked_later, "not_marked", "the later call has no mark, so it looks for nothing"),
        (
            max(marked_later, default=(0,))[0] < max(marked, default=(0,))[0],
            "not_marked",
            "the later call's last mark stands before the end of what the earlier one wrote",
        ),
    )
    for holds, reason, what in reasons:
        if holds:
            return {"reason": reason, "what": what}
    what = "the later call's marks stand too many positions behind what the earlier one wrote"
    return {"reason": "lookback_exceeded", "what": what}
