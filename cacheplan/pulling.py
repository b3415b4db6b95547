"""Trying the other levers on one workload: alone, last, and all together.

Nothing here is ever done by itself. A lever is an alteration of the calls under an
assumption that is said beside its money; what it is worth comes from serving the altered
calls.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final, NamedTuple

from cacheplan.altered import Alteration, able_to_wait, alter, days, repeated, shared
from cacheplan.choosing import choose
from cacheplan.errors import InputError
from cacheplan.levers import LEVERS, Assumed, Lever, Levers
from cacheplan.prefixes import SETTINGS
from cacheplan.prices import Sheet
from cacheplan.projection import Projection, project, unmarked
from cacheplan.tables import count, dollars, percent
from cacheplan.workload import Call, Workload

__all__ = ["pull"]

_CACHING, _BATCH, _STABLE, _VOLATILE, _STORE, _ANSWERS = LEVERS

#: What the documentation says batch calls usually find of what was written (prompt
#: caching, 2026-09-26); the low end is the default of the switch ``batch_hit_rate``.
_BATCH_HITS: Final = 0.98

_MILLION: Final = 1_000_000

_AS_WELL: Final = " Claude is taken to answer as well as before."
_REPEATS: Final = "A call that repeats another word for word (prompt, settings, model)"
_STAYS: Final = " What later prompts repeat of them stays as it is."


def pull(
    workload: Workload,
    sheet: Sheet,
    assumed: Assumed | None = None,
    watch: Callable[[str], None] | None = None,
) -> Levers:
    """Try every lever alone, last, and together with the others."""
    assumed = assumed or Assumed()
    labels = {call.label for call in workload}
    for label in assumed.waits or ():
        if label not in labels:
            raise InputError(f'no call is labelled "{label}"', ("waits",))
    return _Bench(workload, sheet, assumed, watch or (lambda _: None)).all()


class _Tried(NamedTuple):
    """The calls under some levers, and what they cost so."""

    calls: Workload
    found: Projection


class _Bench:
    """Tries levers on one workload."""

    def __init__(
        self, workload: Workload, sheet: Sheet, assumed: Assumed, watch: Callable[[str], None]
    ) -> None:
        self._workload = workload
        self._sheet = sheet
        self._assumed = assumed
        self._watch = watch
        self._repeated = repeated(workload, assumed.store_hours)
        self._waiting = able_to_wait(workload, assumed.waits)
        self._unpriced = any(
            sheet.rate(call.tariff, call.at, workload.prompt_tokens(call)) is None
            for call in workload
        )
        #: By what is altered, and whether a plan is chosen: some levers alter nothing here.
        self._known: dict[tuple[Alteration, bool], _Tried] = {}

    def all(self) -> Levers:
        """Try what there is to try, and say it."""
        every = frozenset(LEVERS)
        now, together = self._try(frozenset()).found, self._try(every).found
        plain = project(self._workload, lambda _: (), self._sheet, "uncached")
        found = [
            Lever(
                name=name,
                assumption=words,
                notes=tuple(notes),
                alone=_difference(now.cost, self._try(frozenset({name})).found.cost),
                last=_difference(self._try(every - {name}).found.cost, together.cost),
            )
            for name, (words, notes) in self._words().items()
        ]
        worse = {lever.name for lever in found if lever.last is not None and lever.last < 0}
        return Levers(
            calls=len(self._workload),
            days=days(self._workload),
            now=now.cost,
            plain=plain.cost,
            together=together.cost,
            best=self._try(every - worse).found.cost,
            levers=tuple(sorted(found, key=_worth)),
            notes=tuple(self._notes(now)),
            unpriced=tuple(dict.fromkeys((*now.unpriced, *together.unpriced))),
            unmeasured=tuple(dict.fromkeys((*now.unmeasured, *together.unmeasured))),
        )

    def _try(self, pulled: frozenset[str]) -> _Tried:
        """Alter the calls by some levers and serve them."""
        change, planned = self._alteration(pulled), _CACHING in pulled
        if self._unpriced:
            # No money can come of it, and nothing else is told of what is tried.
            change, planned = Alteration(), False
        if (change, planned) not in self._known:
            self._watch(", ".join(name for name in LEVERS if name in pulled) or "as sent")
            same = change == Alteration()
            calls = self._workload if same else alter(self._workload, change)
            self._known[change, planned] = _Tried(calls, self._served(calls, planned))
        return self._known[change, planned]

    def _alteration(self, pulled: Collection[str]) -> Alteration:
        """Return what some levers alter; caching alters marks alone."""
        given = self._assumed
        return Alteration(
            unsent=self._repeated if _STORE in pulled else frozenset(),
            batched=self._waiting if _BATCH in pulled else frozenset(),
            stable=1 - given.cut_stable if _STABLE in pulled else 1.0,
            volatile=1 - given.cut_volatile if _VOLATILE in pulled else 1.0,
            output=1 - given.cut_answers if _ANSWERS in pulled else 1.0,
        )

    def _served(self, calls: Workload, planned: bool) -> Projection:  # noqa: FBT001 -- one of two
        """Serve calls as they are marked, or under the better of that and a plan for them.

        Calls that are refused cost nothing, which is no saving.
        """
        marked = project(calls, lambda call: call.marks, self._sheet, "as-marked")
        if not planned:
            return marked
        marker = choose(calls, self._sheet).marker(calls.tree)
        chosen = project(calls, marker, self._sheet, "planned")
        return min((chosen, marked), key=lambda one: (one.rejected, one.cost or Decimal()))

    # --- words ---------------------------------------------------------------------------

    def _words(self) -> Mapping[str, tuple[str, list[str]]]:
        """Say of each lever what is assumed, and what the calls show about it."""
        given = self._assumed
        return {
            _CACHING: (
                "Calls are marked by a plan that is chosen on these same calls.",
                [*self._about_caching()],
            ),
            _BATCH: (self._who_waits(), [*self._about_batch()]),
            _STABLE: (
                f"What more than one call sends is cut by {given.cut_stable:.0%}.{_AS_WELL}",
                [*self._about_parts(_STABLE), *self._about_minimum()],
            ),
            _VOLATILE: (
                f"What only one call sends is cut by {given.cut_volatile:.0%}.{_AS_WELL}",
                [*self._about_parts(_VOLATILE)],
            ),
            _STORE: (
                f"{_REPEATS} within {given.store_hours:g} hours takes the stored answer.",
                [*self._about_store()],
            ),
            _ANSWERS: (
                f"Answers are cut by {given.cut_answers:.0%}.{_STAYS}",
                [*self._about_answers()],
            ),
        }

    def _notes(self, now: Projection) -> Iterator[str]:
        """Say what is to be known about all of it."""
        if now.rejected:
            yield (
                f"{count(now.rejected)} calls would be refused as they were sent; they cost"
                " nothing now and something once they are marked rightly."
            )
        yield from unmarked(self._workload)
        silent = sum(call.output == 0 for call in self._workload)
        if silent:
            yield (
                f"{count(silent)} calls state no output_tokens, or 0: their answers count as"
                " nothing."
            )

    def _about_caching(self) -> Iterator[str]:
        """Say how much is read now, and would be."""
        if self._unpriced:
            return
        now, then = self._try(frozenset()).found, self._try(frozenset({_CACHING})).found
        yield (
            f"Now {percent(now.hit_rate)} of prompt tokens are read from the cache, then"
            f" {percent(then.hit_rate)}. `cacheplan plan` says where the marks go."
        )

    def _who_waits(self) -> str:
        """Say which calls are taken to be able to wait, and by what."""
        waits = self._assumed.waits
        if waits is not None:
            return f"The calls labelled {', '.join(waits)} can wait up to a day for their answers."
        return (
            "Every call that is no part of a conversation can wait up to a day for its answer;"
            " only you know whether it can (name the labels that can)."
        )

    def _about_batch(self) -> Iterator[str]:
        """Say who would go into batches, and how sure their reads are."""
        if not self._waiting:
            yield "No call here can: conversations, fast calls, or a platform without batches."
            return
        labels: dict[str, int] = {}
        for call in self._workload:
            if call.number in self._waiting:
                name = call.label or "(no label)"
                labels[name] = labels.get(name, 0) + 1
        yield "Calls: " + ", ".join(f"{count(labels[name])} of {name}" for name in sorted(labels))
        if self._unpriced:
            return
        everything = self._try(frozenset(LEVERS)).calls
        assume = everything.assume
        often = replace(everything, assume=replace(assume, batch_hit_rate=_BATCH_HITS))
        least, most = self._try(frozenset(LEVERS)).found.cost, self._served(often, True).cost  # noqa: FBT003
        yield (
            f"Reads within a batch are best effort, by the documentation 30 % to 98 % of what"
            f" could be: all levers together cost {dollars(least)} at"
            f" {percent(assume.batch_hit_rate)} and {dollars(most)} at {percent(_BATCH_HITS)}."
        )

    def _about_parts(self, name: str) -> Iterator[str]:
        """Say how long a part is, and what a token cut from it saves, cached and not."""
        whole = sum(map(self._workload.prompt_tokens, self._workload))
        here = self._parts()[name]
        yield f"{percent(here / whole if whole else 0)} of prompt tokens are of this part."
        shorter, rest = self._try(frozenset({name})), frozenset({_CACHING})
        # As lengths are rounded, not as they are said to be cut.
        cut = Decimal(whole - sum(map(shorter.calls.prompt_tokens, shorter.calls)))
        alone = _difference(self._try(frozenset()).found.cost, shorter.found.cost)
        cached = _difference(self._try(rest).found.cost, self._try(rest | {name}).found.cost)
        if not cut or alone is None or cached is None:
            return
        yield (
            f"A million tokens cut here save {dollars(alone * _MILLION / cut)} as the calls are"
            f" marked now, and {dollars(cached * _MILLION / cut)} once they are planned."
        )
        if cached <= 0:
            yield "Not worth it once the calls are planned: it saves nothing, or costs more."

    def _parts(self) -> dict[str, int]:
        """Count the prompt tokens of either part; what the service adds unseen is of neither."""
        tree, several = self._workload.tree, shared(self._workload)
        stable, volatile = [0] * len(tree), [0] * len(tree)
        for node, above in enumerate(tree.parent):
            if above < 0:
                continue
            stable[node], volatile[node] = stable[above], volatile[above]
            if tree.kind[tree.block[node]] != SETTINGS:
                part = stable if several[node] else volatile
                part[node] += tree.tokens[node] - tree.tokens[above]
        return {
            _STABLE: sum(stable[call.tip] for call in self._workload),
            _VOLATILE: sum(volatile[call.tip] for call in self._workload),
        }

    def _about_minimum(self) -> Iterator[str]:
        """Say which heads a cut would leave too short to be cached."""
        heads: dict[tuple[str, int], tuple[int, int, int]] = {}
        tree = self._workload.tree
        for call in self._workload:
            end = max(tree.system_end[call.tip], tree.tools_end[call.tip])
            least = self._minimum(call)
            if end < 0 or least is None:
                continue
            before = tree.tokens[end]
            after = round(before * (1 - self._assumed.cut_stable))
            if after < least <= before:
                key = call.label or "(no label)", end
                heads[key] = (before, least, heads.get(key, (0, 0, 0))[2] + 1)
        for (label, _), (before, least, calls) in sorted(heads.items(), key=lambda one: one[0]):
            yield (
                f"Not worth it for tools and system of {label}: {count(before)} tokens so cut are"
                f" fewer than the {count(least)} that can be cached, and {count(calls)} calls"
                " would pay for all of them anew."
            )

    def _minimum(self, call: Call) -> int | None:
        """Return the shortest prefix that is cached for a call."""
        model, platform = call.tariff.model, call.tariff.platform
        return self._sheet.minimum(model, platform, self._workload.assume)

    def _about_store(self) -> Iterator[str]:
        """Say how many calls repeat others."""
        tokens = sum(
            self._workload.prompt_tokens(call)
            for call in self._workload
            if call.number in self._repeated
        )
        yield (
            f"{count(len(self._repeated))} of {count(len(self._workload))} calls repeat another"
            f" exactly, with {count(tokens)} prompt tokens. Calls that are merely alike are not"
            " counted."
        )

    def _about_answers(self) -> Iterator[str]:
        """Say which share of the cost is output."""
        now = self._try(frozenset()).found
        share = None
        if now.cost and now.input_cost is not None:
            share = float((now.cost - now.input_cost) / now.cost)
        yield f"{percent(share)} of the cost now is output."


def _difference(before: Decimal | None, after: Decimal | None) -> Decimal | None:
    """Return what is saved, where both are known."""
    return None if before is None or after is None else before - after


def _worth(lever: Lever) -> tuple[Decimal, int]:
    """Order levers by what they are worth when the others are pulled."""
    return -(lever.last or Decimal()), LEVERS.index(lever.name)
