"""A plan: which places of which calls to mark, and for how long.

A plan is a value. It says nothing of single requests: calls are told apart by model and
label (a lane), marks by place, and a prefix that is known exactly may have a lifetime of
its own. So applying it is a look-up, and it holds for requests never seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Self

from cacheplan.errors import InputError
from cacheplan.facts import BREAKPOINTS, find
from cacheplan.places import BEFORE, Places, checked, is_from_end, turn_before
from cacheplan.prefixes import PrefixTree
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.tables import aligned, dollars, html
from cacheplan.workload import Call

__all__ = ["FORMAT", "Lane", "Plan", "Rule", "longer", "name_of", "placed", "within_rules"]

#: What a plan file says it is.
FORMAT: Final = "cacheplan.plan/1"

_LIFETIMES: Final[Mapping[Any, Lifetime | None]] = {
    "5m": Lifetime.FIVE_MINUTES,
    "1h": Lifetime.ONE_HOUR,
    None: None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What to do at one place of a lane's calls."""

    place: str
    #: ``None``: no mark, because it would not pay.
    lifetime: Lifetime | None
    #: Why, in a sentence with its numbers.
    because: str = ""
    #: What this mark alone is worth on the calls that the plan was chosen on, in dollars;
    #: ``None`` where it was not measured.
    saving: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Calls of one model and one label, and what to do at their places."""

    #: ``None`` is any: the lane for calls that no other lane is for.
    model: str | None
    label: str | None
    #: In prompt order.
    rules: tuple[Rule, ...]
    #: The lane whose rules these are, for calls of a kind that the choice never saw.
    like: str | None = None

    def lifetime_at(self, place: str) -> Lifetime | None:
        """Return the lifetime at a place, ``None`` for no mark."""
        return next((rule.lifetime for rule in self.rules if rule.place == place), None)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Plan:
    """Lanes, exact prefixes, and what the choice rests on."""

    lanes: tuple[Lane, ...]
    #: By key of a prefix (hex): a lifetime of its own, ``None`` for no mark.
    prefixes: Mapping[str, Lifetime | None] = field(default_factory=dict)
    #: Day from which the prices or facts it was made with may be others.
    expires: str | None = None
    #: What it was chosen on, in a sentence.
    chosen_on: str = ""

    def lane(self, model: str, label: str | None) -> Lane | None:
        """Return the lane of a call: its own, its model's, or the one for all."""
        for wanted in ((model, label), (model, None), (None, label), (None, None)):
            for lane in self.lanes:
                if (lane.model, lane.label) == wanted:
                    return lane
        return None

    def marker(self, tree: PrefixTree) -> Callable[[Call], Sequence[Breakpoint]]:
        """Bind the plan to a tree: a function from a call to its breakpoints."""
        return _Marker(self, tree)

    def differences(self, other: Plan) -> list[str]:
        """Say what another plan does otherwise, a sentence each."""
        said = []
        for lane in self.lanes:
            theirs = next((o for o in other.lanes if name_of(o) == name_of(lane)), None)
            if theirs is None:
                said.append(f"{name_of(lane)}: only here")
                continue
            places = dict.fromkeys(rule.place for rule in (*lane.rules, *theirs.rules))
            for place in places:
                here, there = (str(o.lifetime_at(place) or "no mark") for o in (lane, theirs))
                if here != there:
                    said.append(f"{name_of(lane)}, {place}: {here}, there {there}")
        mine_names = {name_of(lane) for lane in self.lanes}
        said += [f"{name_of(o)}: only there" for o in other.lanes if name_of(o) not in mine_names]
        changed = sum(
            self.prefixes.get(key, "-") != other.prefixes.get(key, "-")
            for key in {*self.prefixes, *other.prefixes}
        )
        return said + ([f"{changed} exact prefixes have other lifetimes"] if changed else [])

    def to_json(self) -> dict[str, Any]:
        """Return the contents of a plan file."""
        return {
            "format": FORMAT,
            "expires": self.expires,
            "chosen_on": self.chosen_on,
            "lanes": [
                {
                    "model": lane.model,
                    "label": lane.label,
                    "like": lane.like,
                    "rules": [
                        {
                            "place": rule.place,
                            "ttl": rule.lifetime,
                            "because": rule.because,
                            "saving_usd": rule.saving,
                        }
                        for rule in lane.rules
                    ],
                }
                for lane in self.lanes
            ],
            "prefixes": dict(self.prefixes),
        }

    @classmethod
    def from_json(cls, found: Any) -> Self:
        """Read the contents of a plan file; what cannot be one is named with its place."""
        if not isinstance(found, Mapping) or found.get("format") != FORMAT:
            raise InputError(f'this is not a plan; one begins {{"format": "{FORMAT}"', ("format",))
        lanes = []
        for at, lane in enumerate(_list(found, "lanes")):
            try:
                lanes.append(_lane(lane))
            except InputError as error:
                raise error.within(at).within("lanes") from error
        prefixes = found.get("prefixes", {})
        if not isinstance(prefixes, Mapping):
            raise InputError("this is not an object", ("prefixes",))
        for key, ttl in prefixes.items():
            if ttl not in _LIFETIMES:
                raise InputError(f'"{ttl}" is not 5m, 1h or null', ("prefixes", key))
        return cls(
            lanes=tuple(lanes),
            prefixes={key: _LIFETIMES[ttl] for key, ttl in prefixes.items()},
            expires=found.get("expires"),
            chosen_on=str(found.get("chosen_on") or ""),
        )

    def rows(self) -> list[tuple[str, ...]]:
        """Return the plan as a table: who, where, how long, why, and what it is worth."""
        rows: list[tuple[str, ...]] = []
        for lane in self.lanes:
            if lane.like is not None:
                rows.append((name_of(lane), "", "", "", f"as {lane.like}"))
                continue
            for rule in lane.rules:
                saving = "" if rule.saving is None else dollars(Decimal(str(rule.saving)))
                lasts = str(rule.lifetime or "no mark")
                rows.append((name_of(lane), rule.place, lasts, saving, rule.because))
        return rows

    def __str__(self) -> str:
        """Lay the plan out as a table that a person can follow."""
        rows = self.rows()
        if not any(rule.lifetime for lane in self.lanes for rule in lane.rules):
            rows = []
        head = ("calls", "mark at the end of", "for", "saves", "because")
        body = aligned(head, rows, left=5) if rows else "Nothing is worth keeping: do not cache."
        exact = (
            f"\n{len(self.prefixes)} exact prefixes have lifetimes of their own."
            if self.prefixes
            else ""
        )
        return "\n".join(filter(None, [body + exact, self.chosen_on]))

    def __repr__(self) -> str:
        """Say in a line how many marks it has, for how many kinds of calls."""
        own = [lane for lane in self.lanes if lane.like is None]
        marks = sum(rule.lifetime is not None for lane in own for rule in lane.rules)
        exact = f", {len(self.prefixes)} exact prefixes" if self.prefixes else ""
        return f"<{type(self).__name__}: {marks} marks for {len(own)} kinds of calls{exact}>"

    def _repr_html_(self) -> str:
        """Show the same in a notebook."""
        head = ("calls", "mark at the end of", "for", "saves", "because")
        return html(head, self.rows(), left=5)


class _Marker:
    """Looks up the breakpoints of one call after another."""

    def __init__(self, plan: Plan, tree: PrefixTree) -> None:
        self._plan = plan
        self._tree = tree
        self._places = Places.of(tree)
        self._lanes: dict[tuple[str, str | None], dict[str, Lifetime]] = {}
        #: Prefixes with a lifetime of their own, and those that were looked up.
        self._exact: dict[int, Lifetime | None] = {}
        self._looked_up: set[int] = set()
        self._prefixes = plan.prefixes
        #: Prompts sent so far, which say where turns end if nothing else does.
        self._tips: set[int] = set()

    def __call__(self, call: Call) -> Sequence[Breakpoint]:
        """Return where the plan marks this call."""
        key = (call.tariff.model, call.label)
        rules = self._lanes.get(key)
        if rules is None:
            rules = self._lanes[key] = self._rules(call)
        fixed = self._places.fixed(call.tip)
        if self._prefixes:
            self._look_up(fixed)
        for place in filter(is_from_end, rules):
            fixed = (*fixed, (place, self._places.back(call.tip, place)))
        tip = self._tree.markable(call.tip)
        before = -1
        if BEFORE in rules:
            before = turn_before(self._tree, call.tip, self._tips)
            self._tips.add(call.tip)
        if before >= 0 and self._tree.unmarkable[before]:
            before = -1
        return placed(rules, fixed, self._exact, (self._places.tail(call.tip), tip), before)

    def _rules(self, call: Call) -> dict[str, Lifetime]:
        """Return where calls of this kind are marked."""
        known = find(call.tariff.model)
        lane = self._plan.lane(known.model.id if known else call.tariff.model, call.label)
        rules = lane.rules if lane else ()
        return {rule.place: rule.lifetime for rule in rules if rule.lifetime is not None}

    def _look_up(self, fixed: Iterable[tuple[str, int]]) -> None:
        """Find out which of these prefixes the plan knows by key, each once."""
        for _, node in fixed:
            if node not in self._looked_up:
                self._looked_up.add(node)
                key = self._tree.key(node).hex()
                if key in self._prefixes:
                    self._exact[node] = self._prefixes[key]


def placed(
    rules: Mapping[str, Lifetime | None],
    fixed: Iterable[tuple[str, int]],
    own: Mapping[int, Lifetime | None],
    tail: tuple[str, int],
    before: int,
) -> tuple[Breakpoint, ...]:
    """Place the marks of one call: by place, by prefix where one has its own, at the tail.

    ``tail`` names the tail and the prefix that a mark there would end; ``before`` is where
    the call before this one ended. Either prefix is -1 where no mark can stand.
    """
    found: dict[int, Lifetime] = {}
    for place, node in fixed:
        lifetime = own[node] if node in own else rules.get(place)
        if lifetime is not None and node >= 0:
            found[node] = lifetime
    lifetime, tip = rules.get(tail[0]), tail[1]
    if lifetime is not None and tip >= 0:
        found[tip] = longer(found.get(tip), lifetime)
        if before >= 0 and rules.get(BEFORE) is not None:
            found[before] = longer(found.get(before), lifetime)
    return within_rules(found)


def longer(one: Lifetime | None, other: Lifetime) -> Lifetime:
    """Return the longer of two lifetimes."""
    return Lifetime.ONE_HOUR if Lifetime.ONE_HOUR in (one, other) else other


def within_rules(found: Mapping[int, Lifetime]) -> tuple[Breakpoint, ...]:
    """Turn wanted marks into ones that the service takes.

    Of too many the earliest go: what they keep is part of what the next one keeps. A
    5-minute mark before a 1-hour one is lengthened, which costs only where it writes.
    """
    nodes = sorted(found)[-BREAKPOINTS:]
    marks: list[Breakpoint] = []
    lifetime = Lifetime.FIVE_MINUTES
    for node in reversed(nodes):
        lifetime = longer(lifetime, found[node])
        marks.append(Breakpoint(node, lifetime))
    return tuple(reversed(marks))


def name_of(lane: Lane) -> str:
    """Say which calls a lane is for."""
    return " / ".join(filter(None, (lane.label, lane.model))) or "all other calls"


def _lane(found: Any) -> Lane:
    if not isinstance(found, Mapping):
        raise InputError("this is not an object")
    rules = []
    for at, rule in enumerate(_list(found, "rules")):
        if not isinstance(rule, Mapping) or rule.get("ttl") not in _LIFETIMES:
            raise InputError("a rule has a place, and 5m, 1h or null as its ttl", ("rules", at))
        try:
            place = checked(str(rule.get("place")))
        except InputError as error:
            raise error.within("place").within(at).within("rules") from error
        lifetime = _LIFETIMES[rule.get("ttl")]
        because, saving = str(rule.get("because") or ""), rule.get("saving_usd")
        rules.append(Rule(place=place, lifetime=lifetime, because=because, saving=saving))
    return Lane(
        model=_word(found, "model"),
        label=_word(found, "label"),
        rules=tuple(rules),
        like=_word(found, "like"),
    )


def _word(found: Mapping[str, Any], key: str) -> str | None:
    word = found.get(key)
    if word is None or isinstance(word, str):
        return word
    raise InputError("this is not text", (key,))


def _list(found: Mapping[str, Any], key: str) -> list[Any]:
    items = found.get(key)
    if not isinstance(items, list):
        raise InputError("this is not a list", (key,))
    return items
