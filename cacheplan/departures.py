"""What changes for calls that leave for another model, beside what they cost.

Tokens by kind of text, prices, the minimum, price bands that are crossed, and what the
other model refuses. This file reads tables and lengths; it serves no call.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple

from cacheplan import facts
from cacheplan.growth import REST, SAME, Growth
from cacheplan.moved import Moved
from cacheplan.prices import Rate, Sheet
from cacheplan.prompt import Lifetime
from cacheplan.tables import aligned, count, percent
from cacheplan.workload import Call, Workload

__all__ = ["Demand", "Departure", "departure"]

_MILLION: Final = 1_000_000
#: First version that takes ``inference_geo`` (Claude docs, data residency, 2026-08-22).
_GEO_FROM: Final = (4, 6)


class Demand(NamedTuple):
    """What bodies of one label ask of their model beside a prompt, and how many do."""

    label: str | None
    max_tokens: int
    #: ``tool_choice.type``, and ``output_config.effort``; empty where there is none.
    choice: str
    effort: str
    lines: int


class Terms(NamedTuple):
    """What a model takes for a million tokens, and from what length on it caches."""

    model: str
    uncached: Decimal | None
    write_5m: Decimal | None
    write_1h: Decimal | None
    read: Decimal | None
    output: Decimal | None
    minimum: int | None


class Reach(NamedTuple):
    """Calls of one label whose tools and system are cached under one model and not the other."""

    label: str
    calls: int
    tokens: int
    then_tokens: int
    #: Whether it is now that they can be cached, or then.
    now: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """What changes for the calls that would go to one model."""

    model: str
    calls: int
    #: Whether the tables list the model.
    known: bool
    #: Calls for whom the tokenizer is another, and their tokens by kind of text.
    other_tokenizer: int
    kinds: Mapping[str, tuple[float, float, Growth]]
    answers: Growth
    #: Of the models they come from, then of this one.
    before: tuple[Terms, ...]
    after: Terms
    reaches: tuple[Reach, ...]
    #: Calls above the length from which prompts cost more, now, then, and at most.
    above: tuple[int, int, int]
    #: What the model refuses, and of how many.
    refused: tuple[tuple[str, int], ...]

    def to_json(self) -> dict[str, Any]:
        """Return one of the ``models`` of ``migrate --format json``."""
        return {
            "model": self.model,
            "known": self.known,
            "calls": self.calls,
            "other_tokenizer_calls": self.other_tokenizer,
            "tokens": [
                {
                    "kind": kind,
                    "now": round(before),
                    "then": round(after),
                    "ratio": growth.ratio,
                    "low": growth.low,
                    "high": growth.high,
                }
                for kind, (before, after, growth) in self.kinds.items()
            ],
            "answers": self.answers._asdict(),
            "terms_now": [_terms_json(terms) for terms in self.before],
            "terms_then": _terms_json(self.after),
            "heads": [reach._asdict() for reach in self.reaches],
            "calls_above_band": dict(zip(("now", "then", "at_most"), self.above, strict=True)),
            "refused": [{"what": what, "number": number} for what, number in self.refused],
        }

    def said(self) -> Iterator[str]:
        """Say it in lines."""
        if not self.known:
            yield "No table lists it: its tokenizer is taken for the newer one."
        yield from self._tokens()
        yield from self._prices()
        for reach in self.reaches:
            words = "no longer" if reach.now else "newly"
            yield (
                f"{words} cacheable: tools and system of {reach.label} ({count(reach.calls)} calls,"
                f" {count(reach.tokens)} tokens now and {count(reach.then_tokens)} then)"
            )
        now, then, most = self.above
        if now or then or most:
            yield (
                f"prompts above the length from which all tokens cost more: {count(now)} calls now,"
                f" {count(then)} then, {count(most)} if texts are as long as they may be"
            )
        for what, number in self.refused:
            yield f"refused: {what} ({count(number)})"

    def _tokens(self) -> Iterator[str]:
        """Say how texts grow."""
        if not self.other_tokenizer:
            yield "tokens: the same tokenizer"
            return
        yield f"tokens of the {count(self.other_tokenizer)} calls whose tokenizer is another:"
        rows = [
            (kind, count(round(before)), count(round(after)), *map(_times, growth))
            for kind, (before, after, growth) in self.kinds.items()
        ]
        rows.append(("answers", "", "", *map(_times, self.answers)))
        table = aligned(("kind", "now", "then", "ratio", "from", "to"), rows)
        yield from (f"  {line}" for line in table.splitlines())

    def _prices(self) -> Iterator[str]:
        """Say prices and minimums, before and after."""
        head = ("a million tokens", "input", "5m", "1h", "read", "of input", "output", "minimum")
        rows = [_terms_row(terms) for terms in (*self.before, self.after)]
        yield from aligned(head, rows).splitlines()


def departure(
    now: Workload,
    moved: Moved,
    calls: Collection[int],
    sheet: Sheet,
    demands: Sequence[Demand],
) -> Departure:
    """Say what changes for some calls, by number, that would go to one model."""
    leaving = [call for call in now if call.number in calls]
    found = facts.find(moved.model)
    first = {call.tariff.model: call for call in reversed(leaving)}
    target = moved.calls[leaving[0].number]
    longest = _Lengths(moved)
    labels = {call.label for call in leaving}
    asked = [demand for demand in demands if demand.label in labels]
    return Departure(
        model=moved.model,
        calls=len(leaving),
        known=found is not None,
        other_tokenizer=len(moved.changed.intersection(calls)),
        kinds=_with_rest(moved, now, longest) if moved.changed else {},
        answers=moved.answers if moved.changed else SAME,
        before=tuple(
            _terms(now, call, sheet) for name, call in first.items() if name != moved.model
        ),
        after=_terms(now, target, sheet),
        reaches=tuple(_reaches(now, moved, leaving, sheet, longest)),
        above=_above(now, moved, leaving, sheet, longest),
        refused=tuple(
            (what, number)
            for what, number in _refusals(moved, leaving, sheet, longest, asked)
            if number
        ),
    )


class _Lengths:
    """Whole prefixes of the other model, likely and at most."""

    def __init__(self, moved: Moved) -> None:
        tree = moved.then.tree
        self.likely, self.most = [0.0] * len(tree), [0.0] * len(tree)
        for node, above in enumerate(tree.parent):
            if above >= 0:
                self.likely[node] = self.likely[above] + moved.lengths["ratio"][node]
                self.most[node] = self.most[above] + moved.lengths["high"][node]


def _with_rest(
    moved: Moved, now: Workload, lengths: _Lengths
) -> dict[str, tuple[float, float, Growth]]:
    """Return the kinds of text, and what is none, of the calls whose tokenizer changes."""
    before = after = 0.0
    for call in now:
        if call.number in moved.changed:
            other = moved.calls[call.number]
            before += now.prompt_tokens(call)
            after += lengths.likely[other.tip] + other.closing
    kinds = dict(sorted(moved.kinds.items(), key=lambda pair: -pair[1][0]))
    before -= sum(one for one, _, _ in kinds.values())
    after -= sum(other for _, other, _ in kinds.values())
    if max(before, after) < 1:
        return kinds
    known = before >= 1 and after >= 0
    same = Growth(*([after / before] * 3)) if known else SAME
    return {**kinds, REST: (max(before, 0.0), max(after, 0.0), same)}


def _terms(now: Workload, call: Call, sheet: Sheet) -> Terms:
    """Return what a call's model takes, in the lowest band."""
    rate = sheet.rate(call.tariff._replace(speed="standard"), call.at, 0)
    least = sheet.minimum(call.tariff.model, call.tariff.platform, now.assume)
    if rate is None:
        return Terms(call.tariff.model, None, None, None, None, None, least)
    return Terms(call.tariff.model, *_per_million(rate), least)


def _per_million(rate: Rate) -> tuple[Decimal, Decimal, Decimal, Decimal, Decimal]:
    """Return the five prices in the order of ``Terms``."""
    return (
        (rate.uncached * _MILLION).normalize(),
        (rate.write_5m * _MILLION).normalize(),
        (rate.write_1h * _MILLION).normalize(),
        (rate.read * _MILLION).normalize(),
        (rate.output * _MILLION).normalize(),
    )


def _reaches(
    now: Workload, moved: Moved, leaving: Sequence[Call], sheet: Sheet, lengths: _Lengths
) -> Iterator[Reach]:
    """Yield the heads that can be cached under one of the two models only."""
    tree, others = now.tree, moved.then.tree
    found: dict[tuple[str, bool], list[int]] = {}
    for call in leaving:
        other = moved.calls[call.number]
        end = max(tree.system_end[call.tip], tree.tools_end[call.tip])
        twin = max(others.system_end[other.tip], others.tools_end[other.tip])
        platform = call.tariff.platform
        before = sheet.minimum(call.tariff.model, platform, now.assume)
        after = sheet.minimum(moved.model, platform, now.assume)
        if end < 0 or twin < 0 or before is None or after is None:
            continue
        tokens, then = tree.tokens[end], round(lengths.likely[twin])
        if (tokens >= before) != (then >= after):
            key = call.label or "(no label)", tokens >= before
            row = found.setdefault(key, [0, tokens, then])
            row[0] += 1
    for (label, is_now), (calls, tokens, then) in sorted(found.items()):
        yield Reach(label, calls, tokens, then, is_now)


def _above(
    now: Workload, moved: Moved, leaving: Sequence[Call], sheet: Sheet, lengths: _Lengths
) -> tuple[int, int, int]:
    """Count the calls above the length from which a call costs more."""
    before = after = most = 0
    for call in leaving:
        other = moved.calls[call.number]
        before += _upper(sheet, call, now.prompt_tokens(call))
        after += _upper(sheet, other, round(lengths.likely[other.tip]) + other.closing)
        most += _upper(sheet, other, round(lengths.most[other.tip]) + other.closing)
    return before, after, most


def _upper(sheet: Sheet, call: Call, tokens: int) -> bool:
    """Tell whether a prompt of this length takes another rate than a short one."""
    return sheet.rate(call.tariff, call.at, tokens) is not sheet.rate(call.tariff, call.at, 0)


def _refusals(
    moved: Moved,
    leaving: Sequence[Call],
    sheet: Sheet,
    lengths: _Lengths,
    demands: Sequence[Demand],
) -> Iterator[tuple[str, int]]:
    """Yield what the model refuses, with calls (or lines, of what only bodies say)."""
    found = facts.find(moved.model)
    if found is None:
        return
    model, others = found.model, [moved.calls[call.number] for call in leaving]
    if model.retired:
        on_api = sum(call.tariff.platform == "anthropic" for call in leaving)
        yield f"the Claude API serves it until {model.retired} only, calls", on_api
    long = sum(lengths.likely[other.tip] + other.closing > model.context for other in others)
    yield f"prompts longer than its {count(model.context)} tokens, calls", long
    older = model.version < _GEO_FROM
    yield 'inference_geo "us", calls', sum(older and one.tariff.geo == "us" for one in leaving)
    for platform in dict.fromkeys(call.tariff.platform for call in leaving):
        here = [call for call in leaving if call.tariff.platform == platform]
        if not facts.takes_one_hour(model, platform):
            hour = (any(m.lifetime is Lifetime.ONE_HOUR for m in call.marks) for call in here)
            yield f'ttl "1h" on {platform}, calls', sum(hour)
        if not facts.takes_automatic(model, platform):
            automatic = sum(call.automatic is not None for call in here)
            yield f"top-level cache_control on {platform}, calls", automatic
    fast = [one for one in others if one.tariff.speed == "fast"]
    slow = sum(sheet.rate(one.tariff, one.at, 0) is None for one in fast)
    yield 'speed "fast", priced as standard here, calls', slow
    yield from _refused_settings(model, demands)


def _refused_settings(model: facts.Model, demands: Sequence[Demand]) -> Iterator[tuple[str, int]]:
    """Yield what only bodies ask for."""
    forced = sum(one.lines for one in demands if one.choice in ("any", "tool"))
    if not model.takes_forced_tools:
        yield 'tool_choice "any" or "tool", lines', forced
    above = sum(one.lines for one in demands if one.max_tokens > model.max_output)
    yield f"max_tokens above {count(model.max_output)}, lines", above
    if not model.effort:
        yield "output_config.effort, lines", sum(one.lines for one in demands if one.effort)


def _terms_json(terms: Terms) -> dict[str, Any]:
    return {
        key: float(value) if isinstance(value, Decimal) else value
        for key, value in terms._asdict().items()
    }


def _terms_row(terms: Terms) -> tuple[str, ...]:
    prices = [
        "unknown" if price is None else f"${price:f}"
        for price in (terms.uncached, terms.write_5m, terms.write_1h, terms.read, terms.output)
    ]
    part = terms.read / terms.uncached if terms.read is not None and terms.uncached else None
    least = "unknown" if terms.minimum is None else count(terms.minimum)
    share = percent(None if part is None else float(part))
    return (terms.model, *prices[:4], share, prices[4], least)


def _times(number: float) -> str:
    return f"{number:.2f}"
