"""Tokens and cost before anything is sent: by counting every call, or a sample of them.

With a sample all calls are laid out at rough lengths first, so that every call is known by
size and the cache is simulated over all of them; then the drawn calls are counted, and what
they show is taken for the rest, with an interval. The interval is about the draw alone:
the counter's own doubt stands beside it, and the simulation's assumptions are as ever.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

import msgspec

from cacheplan import facts
from cacheplan.altered import shared
from cacheplan.choosing import choose
from cacheplan.estimation import Asked, Estimation, Label, Money
from cacheplan.makeup import makeup
from cacheplan.plan import Plan
from cacheplan.prefixes import PrefixTree
from cacheplan.prices import Sheet
from cacheplan.projection import Marker, replay
from cacheplan.prompt import Block
from cacheplan.sampling import Interval, Stratum, Unit, draw, estimated, stratify
from cacheplan.tables import count
from cacheplan.tokens import Count, TokenCounter
from cacheplan.workload import Call, Workload

__all__ = ["Rough", "estimate"]

_NO_LABEL: Final = "(no label)"


class Rough:
    """Counts characters and divides: good enough to tell a large call from a small one."""

    name = "rough"
    #: Characters a token, over all kinds of text that were measured (1.9 to 3.5, 2026-11).
    _CHARACTERS: Final = 2.7

    def count(self, blocks: Sequence[Block], model: facts.Model | None) -> list[Count]:
        """Return one count a block, without reading its text."""
        generation = "new" if model is None else model.generation
        counts = []
        for block in blocks:
            made = makeup(block, generation)
            tokens = made.tokens + sum(map(len, made.texts)) / self._CHARACTERS
            counts.append(Count(round(tokens), math.ceil(tokens / 2)))
        return counts


def estimate(
    workload: Workload,
    sheet: Sheet,
    counter: TokenCounter,
    asked: Asked,
    watch: Callable[[str], None] | None = None,
) -> Estimation:
    """Estimate what calls will come to.

    Where all are to be counted the workload is as the counter measured it. Else it has
    rough lengths, and ``counter`` is asked about the calls that are drawn.
    """
    return _Estimate(workload, sheet, counter, asked, watch or (lambda _: None)).all()


#: By call number: dollars, ``None`` where a price is unknown.
_Costs = Mapping[int, Decimal | None]
#: By number of a block in the tree.
Counts = Mapping[int, Count]


class _Estimate:
    """Makes one estimate."""

    def __init__(
        self,
        workload: Workload,
        sheet: Sheet,
        counter: TokenCounter,
        asked: Asked,
        watch: Callable[[str], None],
    ) -> None:
        self._sheet, self._counter, self._asked, self._watch = sheet, counter, asked, watch
        self._silent = sum(not call.output for call in workload)
        self._refused = 0
        self._unknown: dict[str, None] = {}
        self._workload = replace(workload, calls=[self._answered(call) for call in workload])
        self._labels = {call.number: call.label or _NO_LABEL for call in workload}
        self._strata: list[Stratum] = []
        self._drawn: frozenset[int] = frozenset()
        #: The calls at the lengths they are taken for; those of the drawn calls are counted
        #: in ``_workload``, where they are exact to their last prefix.
        self._taken = self._workload

    def all(self) -> Estimation:
        """Count, serve, and add up."""
        sample = self._asked.sample
        if sample is not None and sample < len(self._workload):
            self._draw(sample)
        workload = self._workload
        self._watch("choosing a plan")
        plan = choose(workload, self._sheet)
        plain = self._money(lambda _: lambda _: ())[0]
        planned = self._money(plan.marker)[0]
        cost, costs = self._money(lambda _: lambda call: call.marks, refusals=True)
        values = {call.number: float(workload.prompt_tokens(call)) for call in workload}
        sizes = {call.number: float(self._taken.prompt_tokens(call)) for call in workload}
        prompt, prompts = self._totals(values, sizes)
        return Estimation(
            calls=len(workload),
            counted=len(self._drawn) if self._strata else len(workload),
            counter=self._counter.name if self._strata else self._source(),
            confidence=self._asked.confidence,
            prompt=prompt,
            doubt=self._doubt(),
            output=sum(call.output for call in workload),
            uncached=plain,
            marked=cost,
            planned=planned,
            labels=tuple(self._told(prompts, costs)),
            budget=self._asked.budget,
            notes=tuple(self._notes(plan)),
            unpriced=tuple(self._unknown),
            unmeasured=self._unmeasured(),
        )

    def _answered(self, call: Call) -> Call:
        """Give a call that states no answer the length that is assumed."""
        if call.output or not self._asked.output:
            return call
        return msgspec.structs.replace(call, output=self._asked.output)

    def _source(self) -> str:
        """Say where lengths come from, where all were counted."""
        source, guesses = self._workload.tokens_from, self._counter.name == "estimate"
        if source == "usage":
            return "as recorded"
        # Where somebody estimates and yet nothing is estimated, all lengths were stated.
        return "as stated" if guesses and source == "counted" else self._counter.name

    # --- the sample ----------------------------------------------------------------------

    def _draw(self, sample: int) -> None:
        """Draw calls, have them counted, and lay all out again at the lengths they suggest."""
        rough = self._workload
        sizes = self._sizes(rough)
        units = [Unit(call.number, self._labels[call.number], sizes[call.number]) for call in rough]
        self._strata = stratify(units, sample)
        self._drawn = draw(self._strata, self._asked.seed)
        self._watch(f"counting {count(len(self._drawn))} calls")
        drawn = [(c, rough.tree.path(c.tip)) for c in rough if c.number in self._drawn]
        heads = counted(rough, shared_heads(rough), self._counter)
        counts = {**heads, **counted(rough, drawn, self._counter)}
        rest = [block for block in counts if block not in heads]
        taken = sum(rough.tree.size[block] for block in rest)
        factor = sum(counts[block].tokens for block in rest) / taken if taken else 1.0
        self._taken = relaid(rough, heads, factor)
        self._workload = relaid(rough, counts, factor)

    def _sizes(self, rough: Workload) -> Mapping[int, float]:
        """Return how large calls are: what they are taken to cost, else their prompts.

        Of two prompts as long as each other, the one that is written costs twelve times what
        the one costs that is read, and errs by as much more.
        """
        costs = self._costs(rough, lambda _: lambda call: call.marks)
        known = {number: float(cost) for number, cost in costs.items() if cost is not None}
        if len(known) == len(costs):
            return known
        return {call.number: float(rough.prompt_tokens(call)) for call in rough}

    def _of_drawn(self, values: Mapping[int, float]) -> Mapping[int, float]:
        """Leave only what is known of drawn calls."""
        return {number: value for number, value in values.items() if number in self._drawn}

    def _totals(
        self, values: Mapping[int, float], sizes: Mapping[int, float]
    ) -> tuple[Interval, Mapping[str, Interval]]:
        """Add values up over all calls and by label, by their sample where there is one."""
        if self._strata:
            drawn = self._of_drawn(values)
            return estimated(self._strata, drawn, sizes, self._asked.confidence)
        sums: dict[str, float] = {}
        for number, value in values.items():
            label = self._labels[number]
            sums[label] = sums.get(label, 0.0) + value
        return _exactly(sum(sums.values())), {name: _exactly(one) for name, one in sums.items()}

    def _money(
        self, marks: Callable[[PrefixTree], Marker], *, refusals: bool = False
    ) -> tuple[Money, Mapping[str, Money]]:
        """Serve all calls and add their money up; exact where every call was counted.

        A drawn call costs exactly what it would if all were counted: what it reads and
        writes are prefixes of its own.
        """
        costs = self._costs(self._workload, marks, refusals=refusals)
        if not self._strata:
            each: dict[str, list[Decimal | None]] = {}
            for number, cost in costs.items():
                each.setdefault(self._labels[number], []).append(cost)
            sums = {name: _sum(label) for name, label in each.items()}
            return _same(_sum(sums.values())), {name: _same(one) for name, one in sums.items()}
        taken = self._costs(self._taken, marks)
        if None in costs.values() or None in taken.values():
            nothing = Money(None, None, None)
            return nothing, dict.fromkeys(self._labels.values(), nothing)
        values = {number: float(cost or 0) for number, cost in costs.items()}
        sizes = {number: float(cost or 0) for number, cost in taken.items()}
        whole, labels = self._totals(values, sizes)
        return _priced(whole), {name: _priced(one) for name, one in labels.items()}

    # --- what is served ------------------------------------------------------------------

    def _costs(
        self, calls: Workload, marks: Callable[[PrefixTree], Marker], *, refusals: bool = False
    ) -> _Costs:
        """Serve calls and price each; what is refused costs nothing."""
        costs: dict[int, Decimal | None] = {}
        for call, usage, refused, _ in replay(calls, marks(calls.tree), self._sheet):
            self._refused += refusals and refused is not None
            cost = Decimal() if refused else self._sheet.cost(usage, call.tariff, call.at)
            costs[call.number] = cost
            if cost is None:
                self._unknown[call.tariff.model] = None
        return costs

    def _doubt(self) -> float:
        """Return what the counter may be off by, as a share."""
        workload = self._workload
        calls = [call for call in workload if not self._strata or call.number in self._drawn]
        doubt = sum(workload.tree.doubt[call.tip] for call in calls)
        return doubt / max(sum(map(workload.prompt_tokens, calls)), 1)

    def _told(self, prompts: Mapping[str, Interval], costs: Mapping[str, Money]) -> list[Label]:
        """Return the labels, the dearest first."""
        found = []
        for name in dict.fromkeys(self._labels.values()):
            calls = [call for call in self._workload if self._labels[call.number] == name]
            drawn = [call for call in calls if call.number in self._drawn]
            found.append(
                Label(
                    name=name,
                    calls=len(calls),
                    counted=len(drawn) if self._strata else len(calls),
                    prompt=prompts[name],
                    output=sum(call.output for call in calls),
                    cost=costs[name],
                )
            )
        return sorted(found, key=lambda label: (-(label.cost.total or 0), -label.prompt.total))

    def _notes(self, plan: Plan) -> Iterator[str]:
        """Say what is to be known besides."""
        sample, calls = self._asked.sample, len(self._workload)
        if sample is not None and sample >= calls:
            yield f"There are {count(calls)} calls, not {count(sample)} to draw: all are counted."
        if self._silent and not self._asked.output:
            yield (
                f"{count(self._silent)} calls state no output_tokens, or 0: their answers count as"
                " nothing (--output-tokens says how long they may be taken to be)."
            )
        if self._refused:
            refused = count(self._refused)
            yield f"{refused} calls would be refused as they are marked, and cost nothing."
        if plan.expires:
            yield f"Prices may change on {plan.expires}."

    def _unmeasured(self) -> tuple[str, ...]:
        """Return the models that are marked without a minimum that anybody states."""
        assume = self._workload.assume
        return tuple(
            dict.fromkeys(
                call.tariff.model
                for call in self._workload
                if call.marks
                and self._sheet.minimum(call.tariff.model, call.tariff.platform, assume) is None
            )
        )


def shared_heads(workload: Workload) -> Iterator[tuple[Call, list[int]]]:
    """Yield tools and system prompts that more than one call sends, as prefixes of a call.

    Whether these reach the minimum decides what all of their calls cost, so they are never
    left to chance; there are few of them.
    """
    tree, several = workload.tree, shared(workload)
    seen = set()
    for call in workload:
        end = max(tree.system_end[call.tip], tree.tools_end[call.tip])
        if end >= 0 and end not in seen:
            seen.add(end)
            yield call, [node for node in tree.path(end) if several[node]]


def counted(
    workload: Workload, prefixes: Iterable[tuple[Call, Iterable[int]]], counter: TokenCounter
) -> Counts:
    """Have the blocks that end some prefixes of calls counted, each once.

    What was recorded, and what the source states, needs no counting.
    """
    tree = workload.tree
    wanted: dict[facts.Model | None, dict[int, None]] = {}
    for call, nodes in prefixes:
        if call.recorded is None:
            known = facts.find(call.tariff.model)
            blocks = wanted.setdefault(known.model if known else None, {})
            for node in nodes:
                if tree.digest[tree.block[node]] in workload.texts:
                    blocks[tree.block[node]] = None
    found: dict[int, Count] = {}
    for model, numbers in wanted.items():
        found |= zip(numbers, _measure(workload, [*numbers], model, counter), strict=True)
    return found


def relaid(workload: Workload, counts: Counts, factor: float) -> Workload:
    """Return the calls with blocks as long as they were counted, and others by a factor.

    What was recorded, and what the source or the service states, stays as it is.
    """
    old, tree = workload.tree, workload.tree.fork()
    fixed = bytearray(len(tree))
    for call in workload:
        if call.recorded is not None:
            for node in old.upward(call.tip):
                if fixed[node]:
                    break
                fixed[node] = 1
    exact = [0.0] * len(tree)
    for node, above in enumerate(tree.parent):
        if above < 0:
            continue
        block, length = tree.block[node], float(old.tokens[node] - old.tokens[above])
        doubt = old.doubt[node] - old.doubt[above]
        if not fixed[node] and block in counts:
            length = float(counts[block].tokens + old.own(node) - old.size[block])
            doubt = counts[block].doubt
        elif not fixed[node] and tree.digest[block] in workload.texts:
            length *= factor
        exact[node] = exact[above] + length
        tree.tokens[node] = round(exact[node])
        tree.doubt[node] = tree.doubt[above] + doubt
    return replace(workload, tree=tree)


def _measure(
    workload: Workload, numbers: Sequence[int], model: facts.Model | None, counter: TokenCounter
) -> list[Count]:
    """Have blocks of a tree counted."""
    tree = workload.tree
    blocks = [
        Block(
            level=tree.level[number],
            kind=tree.kind[number],
            role=tree.role[number],
            body=workload.texts[tree.digest[number]],
            digest=tree.digest[number],
        )
        for number in numbers
    ]
    return counter.count(blocks, model)


def _sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """Add money up; a sum of which a part is unknown is."""
    total = Decimal()
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total


def _exactly(total: float) -> Interval:
    return Interval(total, total, total)


def _same(total: Decimal | None) -> Money:
    return Money(total, total, total)


def _priced(interval: Interval) -> Money:
    return Money(*(Decimal(repr(end)) for end in interval))
