"""Whether to keep a prefix alive between its uses, with how many calls, and when to stop.

The arithmetic of ``breakevens`` proposes a number of calls for pauses like those that
were seen; serving the workload with these calls in it says what that costs, beside the
plan as it is and either lifetime alone. No call is ever sent from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from cacheplan.breakevens import HOURLY_PING, PING, Ratios, best_pings, pings_worth, return_chance
from cacheplan.pauses import Pause, keep_alive, pauses
from cacheplan.prefixes import PrefixTree
from cacheplan.prompt import Lifetime
from cacheplan.rehearsal import Cost, Rehearsal, Step, marked
from cacheplan.tables import count, dollars

__all__ = ["WORTH", "Keeper", "Option", "Target", "Verdict"]

_SHORT, _LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR

#: Numbers of keep-alive calls that are weighed: one more or less hardly matters where
#: there are many.
PINGS: Final = (0, 1, 2, 3, 4, 5, 6, 8, 11, 15, 20, 24, 30, 40, 49, 79)
#: Of these, how many are simulated.
_TRIED: Final = {_SHORT: 2, _LONG: 1}
#: A change has to save this share of the bill it changes: less is noise that the next
#: day does not repeat.
WORTH: Final = Decimal("0.001")


class Target(NamedTuple):
    """What could be kept alive: one prefix that many share, or the ends of conversations."""

    name: str
    #: By step: the prefix it would keep alive, -1 for none.
    nodes: Sequence[int]
    #: The prefix, where it is one.
    node: int | None = None


class Option(NamedTuple):
    """A lifetime, and up to how many calls after each use."""

    lifetime: Lifetime
    pings: int = 0


class Verdict(NamedTuple):
    """What was found, in words; the saving is ``None`` where a price is unknown."""

    what: str
    saving: Decimal | None
    best: Option | None = None


class Keeper:
    """Weighs keep-alive calls for the targets of one workload under one set of marks."""

    def __init__(self, rehearsal: Rehearsal, steps: Sequence[Step], roots: Sequence[int]) -> None:
        self._rehearsal = rehearsal
        self._tree = rehearsal.workload.tree
        self._steps = steps
        #: By node: the scope it stands in; scopes share nothing, so others are left out.
        self._roots = roots
        self._as_planned: dict[frozenset[int], Cost] = {}

    def verdict(self, target: Target) -> Verdict | None:
        """Weigh one target; ``None`` where there is no pause to bridge or nothing to pay."""
        found = pauses(self._tree, self._steps, target.nodes)
        gaps = [pause.gap for pause in found if pause.gap is not None]
        longer = sum(gap >= _SHORT.seconds for gap in gaps)
        calls = [s.call for s, node in zip(self._steps, target.nodes, strict=True) if node >= 0]
        ratios = Ratios.of(self._rehearsal.rate(calls[-1])) if longer else None
        if ratios is None:
            return None
        options = proposed(ratios, self._tree, found)
        unknown = self._rehearsal.unknown(calls)
        if unknown:
            return Verdict(_unpriced(target, unknown, gaps), None)
        return _weighed(target, ratios, self._costs(target, found, options), longer)

    def _costs(
        self, target: Target, found: Sequence[Pause], options: Sequence[Option]
    ) -> dict[Option | None, Decimal]:
        """Simulate the plan as it is (``None``), either lifetime alone, and each option."""
        roots = frozenset(self._roots[node] for node in target.nodes if node >= 0)
        kept = [at for at, step in enumerate(self._steps) if self._roots[step.call.tip] in roots]
        place = {number: at for at, number in enumerate(kept)}
        there = [pause._replace(step=place[pause.step]) for pause in found]
        now = self._as_planned.get(roots)
        if now is None:
            now = self._rehearsal.cost([self._steps[at] for at in kept])
            self._as_planned[roots] = now
        costs: dict[Option | None, Decimal] = {None: now.dollars}
        for option in (Option(_SHORT), Option(_LONG), *options):
            steps = [self._step(at, target, option.lifetime) for at in kept]
            then = self._rehearsal.cost(keep_alive(steps, there, option.pings, option.lifetime))
            if then.refused <= now.refused:
                costs[option] = then.dollars
        return costs

    def _step(self, number: int, target: Target, lifetime: Lifetime) -> Step:
        """Return a step with its part of a target marked for a lifetime."""
        step, node = self._steps[number], target.nodes[number]
        return step if node < 0 else Step(step.call, marked(step.marks, node, lifetime))


def proposed(ratios: Ratios, tree: PrefixTree, found: Sequence[Pause]) -> list[Option]:
    """Let the arithmetic propose after how many calls to stop, the best first."""
    idles = [pause.idle(tree) for pause in found]
    options = []
    for lifetime, tried in _TRIED.items():
        most = pings_worth(ratios, lifetime)
        left = [pings for pings in PINGS if most is None or pings <= most]
        for _ in range(tried):
            best = best_pings(ratios, idles, left, lifetime) if left else 0
            if not best:
                break
            options.append(Option(lifetime, best))
            left.remove(best)
    return options


def _weighed(
    target: Target, ratios: Ratios, costs: Mapping[Option | None, Decimal], longer: int
) -> Verdict:
    """Compare the best with such calls to the best without."""
    without = min(cost for option, cost in costs.items() if option is None or not option.pings)
    pinged = {option: cost for option, cost in costs.items() if option and option.pings}
    pinged = {option: cost for option, cost in costs.items() if option and option.pings}
    if not pinged:
        most = pings_worth(ratios)
        limit = "any number of" if most is None else f"up to {most}"
        return Verdict(
            f"Keep-alive calls do not pay for {target.name}: the {count(longer)} pauses of more"
            f" than 5 minutes are not such that {limit} of them would be earned back.",
            Decimal(),
        )
    best = min(pinged, key=lambda option: pinged[option])
    money = f"Prompts cost {dollars(pinged[best])}, " + _beside(costs)
    saving = without - pinged[best]
    if saving <= without * WORTH:
        what = f"Keep-alive calls do not pay for {target.name}. {_how(best)}: {money}"
        return Verdict(what, Decimal(), best)
    chance = return_chance(ratios)
    more = (
        f" One more call pays while over {chance:.0%} of pauses so long end in the next 5 minutes."
    )
    what = f"Keep {target.name} alive. {_how(best)}. {money}"
    return Verdict(what + (more if best.lifetime is _SHORT else ""), saving, best)


def _how(option: Option) -> str:
    """Say what would have to be done."""
    every = HOURLY_PING if option.lifetime is _LONG else PING
    life = "an hour" if option.lifetime is _LONG else "5 minutes"
    times = "once, and stop" if option.pings == 1 else f"and again, and stop after {option.pings}"
    return (
        f"Mark for {life}; where {every:.0f} seconds after the start of the last use there was"
        f" no other, send the same prompt with max_tokens 0, {times}"
    )


def _beside(costs: Mapping[Option | None, Decimal]) -> str:
    """Say what it costs without such calls."""
    words = {
        None: "as planned",
        Option(_SHORT): "marked for 5 minutes",
        Option(_LONG): "for an hour",
    }
    said = [f"{dollars(costs[option])} {word}" for option, word in words.items() if option in costs]
    return f"without such calls {', '.join(said)}."


def _unpriced(target: Target, unknown: Sequence[str], gaps: Sequence[float]) -> str:
    """Say what can be said without prices."""
    middle = sum(_SHORT.seconds <= gap < _LONG.seconds for gap in gaps)
    return (
        f"Whether keep-alive calls pay for {target.name} depends on prices that are not known"
        f" ({', '.join(unknown)}): of {count(len(gaps))} pauses {count(middle)} last between 5"
        f" minutes and an hour, and {count(sum(gap >= _LONG.seconds for gap in gaps))} longer."
    )
