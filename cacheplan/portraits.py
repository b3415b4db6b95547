"""The typical prompt of each kind of calls, block by block: what stays, what changes, the marks.

Knows a subject and a plan, and nothing of how a portrait is drawn. A block is told apart in
three ways: its whole prefix is that of other calls, so it can be read; or other calls have
the same text at the same place, but something before or within it changes; or it is new.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from cacheplan.changes import spots
from cacheplan.lanes import LaneKey
from cacheplan.patterns import first_difference, shape, variation
from cacheplan.plan import Plan
from cacheplan.projection import blind
from cacheplan.prompt import Level, Lifetime, Place
from cacheplan.subject import Subject
from cacheplan.unseen import UNSEEN
from cacheplan.workload import Call

__all__ = ["Part", "Portrait", "portraits"]

#: Kinds of calls that are drawn, those with the most prompt tokens: more are not looked at.
DRAWN: Final = 8
#: Other versions that a block is compared with: what changes shows in a few.
VERSIONS: Final = 4
#: Blocks of the messages that are compared with other conversations: what comes later is
#: their own.
OPENING: Final = 6
#: Characters beyond which texts are compared from both ends only.
LONG: Final = 100_000


class Part(NamedTuple):
    """One block of a prompt."""

    #: ``None`` for what the service adds by itself, for tools or thinking.
    place: Place | None
    #: The block's ``type`` with who speaks; of a tool its name, which the caller chose.
    kind: str
    name: str
    tokens: int
    #: How many calls of the kind begin with the prompt up to here, this one among them.
    calls: int
    #: How much of it other calls have at the same place, 0 to 1; less than 1 only where
    #: no other call begins with all of it.
    same: float
    marked: Lifetime | None
    planned: Lifetime | None

    def titled(self, *, show: bool) -> str:
        """Name it; what a caller named it is text of theirs."""
        name = self.name if show else shape(self.name)
        return " ".join(filter(None, (str(self.place or ""), self.kind, name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """The prompt that half of the calls of a kind are no longer than."""

    lane: str
    #: How many calls are of this kind.
    calls: int
    #: The call it is the prompt of.
    number: int
    id: str | None
    tokens: int
    parts: tuple[Part, ...]
    #: True where nobody knows how it was marked.
    blind: bool = False

    def to_json(self, *, show: bool) -> dict[str, Any]:
        """Return the shape that ``review --format json`` prints."""
        return {
            "calls_of": self.lane,
            "calls": self.calls,
            "call": self.number,
            "id": self.id,
            "tokens": self.tokens,
            "blocks": [
                {
                    "block": part.titled(show=show),
                    "tokens": part.tokens,
                    "calls": part.calls,
                    "same": round(part.same, 4),
                    "marked": part.marked,
                    "planned": part.planned,
                }
                for part in self.parts
            ],
            **({"marks_known": False} if self.blind else {}),
        }


def portraits(subject: Subject, plan: Plan) -> tuple[Portrait, ...]:
    """Draw the kinds of calls with the most prompt tokens, those first."""
    workload = subject.workload
    weights = {
        lane: sum(map(workload.prompt_tokens, calls)) for lane, calls in subject.lanes.items()
    }
    dearest = sorted(weights, key=lambda lane: -weights[lane])[:DRAWN]
    ways = Counter(subject.tree.block)
    return tuple(_portrait(subject, plan, lane, ways) for lane in dearest)


def _portrait(subject: Subject, plan: Plan, lane: LaneKey, ways: Mapping[int, int]) -> Portrait:
    """Draw the call of median length."""
    calls = subject.lanes[lane]
    tokens = subject.workload.prompt_tokens
    call = sorted(calls, key=tokens)[(len(calls) - 1) // 2]
    model, label = lane
    return Portrait(
        lane=" / ".join(filter(None, (label, model))),
        calls=len(calls),
        number=call.number,
        id=call.id,
        tokens=tokens(call),
        parts=tuple(_parts(subject, plan, call, calls, ways)),
        blind=blind(call),
    )


def _parts(
    subject: Subject, plan: Plan, call: Call, calls: Sequence[Call], ways: Mapping[int, int]
) -> Iterator[Part]:
    """Yield the blocks of a prompt, first to last.

    ``ways`` counts by block how many prefixes end with it: a block that stands behind
    several has the same text in prompts that differ before it.
    """
    tree = subject.tree
    path = tree.path(call.tip)
    marker = plan.marker(tree)
    earlier = subject.continued.get(call.number)
    if earlier is not None:
        marker(earlier)  # A plan may mark where the call before this one ended.
    # Of marks that are not all known, none is drawn.
    marked, planned = {} if blind(call) else dict(call.marks), dict(marker(call))
    others = _others(subject, call, calls)
    places = {spot.node: spot.place for spot in spots(tree, call.tip)}
    for node, number in zip(path, _passing(subject, path, calls), strict=True):
        block, place = tree.block[node], places.get(node)
        kind = "added by the service" if place is None else tree.kind[block]
        kind = "not shown by the log" if kind == UNSEEN else kind
        body = subject.body(node) or {}
        same = 1.0
        if number == 1 and ways.get(block, 0) < 2:  # noqa: PLR2004 -- one way is its own
            same = 0.0 if place is None else _same(subject, node, others.get(place, []))
        yield Part(
            place=place,
            kind=" ".join(filter(None, (tree.role[block], kind))),
            name=str(body.get("name") or "") if tree.level[block] is Level.TOOLS else "",
            tokens=subject.length(node),
            calls=number,
            same=same,
            marked=marked.get(node),
            planned=planned.get(node),
        )


def _passing(subject: Subject, path: Sequence[int], calls: Sequence[Call]) -> list[int]:
    """Count, by block of a prompt, the calls that begin with everything up to it."""
    parent = subject.tree.parent
    #: By prefix: how far along the path its calls go.
    met = {node: at for at, node in enumerate(path)}
    met[-1] = -1
    passing = [0] * (len(path) + 1)
    for call in calls:
        trail, node = [], call.tip
        while node not in met:
            trail.append(node)
            node = parent[node]
        for each in trail:
            met[each] = met[node]
        passing[met[node]] += 1
    for at in range(len(path) - 2, -1, -1):
        passing[at] += passing[at + 1]
    return passing[: len(path)]


def _others(subject: Subject, call: Call, calls: Sequence[Call]) -> dict[Place, list[int]]:
    """Return what stands at the same places in some other calls, as prefixes."""
    tree = subject.tree
    found: dict[Place, list[int]] = {}
    step = max(len(calls) // VERSIONS, 1)
    for other in calls[::step][: VERSIONS + 1]:
        if other.number == call.number:
            continue
        end = max(tree.system_end[other.tip], tree.tools_end[other.tip], -1)
        stands = spots(tree, other.tip)
        head = sum(spot.node <= end for spot in stands)
        for spot in stands[: head + OPENING]:
            found.setdefault(spot.place, []).append(spot.node)
    return found


def _same(subject: Subject, node: int, others: Sequence[int]) -> float:
    """Say how much of a block other calls have at its place, whatever stands before it."""
    tree = subject.tree
    own = tree.digest[tree.block[node]]
    digests = {tree.digest[tree.block[other]]: other for other in others}
    text = subject.text(node)
    texts = [subject.text(other) for digest, other in digests.items() if digest != own]
    known = [each for each in texts if each is not None]
    if not text or not known:
        return 0.0
    found = None if max(map(len, (text, *known))) > LONG else variation([text, *known])
    if found is not None:
        return len(found.parts[0][0]) / len(text)
    front = min(first_difference(text, each) for each in known)
    back = min(first_difference(text[::-1], each[::-1]) for each in known)
    return min(front + back, len(text)) / len(text)
