"""A block that is always another one stands before blocks that stay the same.

What: at one place of the system prompt, or of what a user says first, nearly every
conversation, or every call, has a block of its own, and behind it stand blocks that all of
them share.

Why: a prefix holds everything before it, so blocks behind one that changes are never read,
however often they are sent: they cost their full price, or even that of a write. The calls
that fail cost $0.0426, those that pass $0.0140.

Fails: what is known of a customer stands before rules that are the same for all.

```json
{"times": 5, "every": 30, "at": 0, "request": {"system": [
    {"type": "text", "text": "[400 tokens of customer#]"},
    {"type": "text", "text": "[3000 tokens of rules]",
     "cache_control": {"type": "ephemeral"}}],
  "messages": [{"role": "user", "content": "Question #?"}]}}
```

Passes: the rules stand first, and are marked.

```json
{"times": 5, "every": 30, "at": 0, "request": {"system": [
    {"type": "text", "text": "[3000 tokens of rules]",
     "cache_control": {"type": "ephemeral"}},
    {"type": "text", "text": "[400 tokens of customer#]"}],
  "messages": [{"role": "user", "content": "Question #?"}]}}
```

Remedy: put the blocks in the order that keeps most shared tokens in front, which the finding
names: those that stay first, and of the others the long ones and those that change less. What
changes within a conversation goes behind the messages. ``pins`` in ``pyproject.toml`` say what
has to stay where it is, and are kept to. The model then reads the blocks in another order, so
the fix is not safe.

Beware: a text that says "the document above" has to be worded anew if the document moves
behind it. Where only such words hold a block back, the finding says so, and its confidence is
low. Thinking that was made after the old order does not fit the new one.

Severity: warning, since every such call pays. Confidence is high: what stands behind the block
is compared in full, and is the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cacheplan.arrangement import Part, arranged, expected
from cacheplan.edits import Edit, Openings
from cacheplan.facts import find
from cacheplan.finding import Confidence, Example, Finding, Fix, Severity
from cacheplan.lanes import LaneKey
from cacheplan.layouts import Layout, Spot, Turns, layout_of_first_turns, layout_of_systems
from cacheplan.mentions import SAID, mentions
from cacheplan.parts import THINKING
from cacheplan.patterns import variation
from cacheplan.pins import Precedence, precedences
from cacheplan.prefixes import SETTINGS
from cacheplan.prompt import Level
from cacheplan.subject import Subject
from cacheplan.units import Heads, Unit, behind

__all__ = ["CODE", "NEEDS", "SEVERITY", "check"]

CODE = "CP002"
SEVERITY: Severity = "warning"
NEEDS: Final = frozenset({"text", "times"})

#: Texts held against the first, to see if they are one text with a span.
COMPARED = 8
#: Characters of each version shown.
SHOWN = 60
#: What another order must add to what is read, as a share of the prompts. It is small
#: because each of these tokens was written, for more than ten times the price of reading it.
WORTH = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """Another order of the blocks of one level."""

    #: The places in the new order, without those that go behind the messages.
    order: tuple[int, ...]
    leaves: tuple[int, ...]
    #: Who keeps blocks from a still better place.
    held: tuple[str, ...]
    confidence: Confidence = "high"

    def moves(self, number: int) -> bool:
        """Tell whether a block goes behind one that stood behind it."""
        if number not in self.order:
            return True
        return any(other > number for other in self.order[: self.order.index(number)])


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each place of the system prompts and of the first user turns of each lane."""
    reported: set[int] = set()
    turns = Turns(subject)
    for lane, calls in subject.lanes.items():
        for layout in (
            layout_of_systems(subject, calls, turns),
            layout_of_first_turns(subject, calls, turns),
        ):
            every = [spot for spot in layout.spots() if reported.isdisjoint(spot.versions)]
            spots = [spot for spot in every if not _spans(subject, layout, spot)]
            mended = {spot.number for spot in every} - {spot.number for spot in spots}
            found = _better(subject, layout, spots, mended) if spots else None
            moved = [spot for spot in spots if found is not None and found.moves(spot.number)]
            if found is not None and moved:
                reported.update(*(spot.versions for spot in spots))
                yield _finding(subject, lane, layout, moved, found)


def _spans(subject: Subject, layout: Layout, spot: Spot) -> bool:
    """Say if the versions are one text with a span in it, which is another rule's.

    That rule does not look at messages: there a block that is shorter than what stands
    behind it is moved whole.
    """
    sizes = [subject.tree.size[block] for block in spot.versions]
    if layout.level is Level.MESSAGES and sum(sizes) < spot.behind * len(sizes):
        return False
    texts = [_text(subject, block) for block in [*spot.versions][:COMPARED]]
    return any(variation([texts[0], text]) is not None for text in texts[1:] if texts[0] and text)


def _text(subject: Subject, block: int) -> str:
    """Return the text of a block, empty where nobody knows it."""
    return str(subject.bodies.get(subject.tree.digest[block], {}).get("text") or "")


# --- the order -------------------------------------------------------------------------


def _better(
    subject: Subject, layout: Layout, spots: Sequence[Spot], mended: Collection[int]
) -> _Order | None:
    """Return the best order that pins and words allow, ``None`` if none is worth it.

    What only words hold back is moved nevertheless, with little confidence.
    """
    samples = [layout.sample(number) for number in range(layout.width)]
    bodies = [subject.bodies.get(subject.tree.digest[block]) for block in samples]
    places = map(layout.place, range(layout.width))
    pins = precedences(subject.pins, [*zip(places, bodies, strict=True)])
    words = mentions([_text(subject, block) for block in samples])
    parts = layout.parts({spot.number for spot in spots}, mended)
    within = [spot.number for spot in spots if _within(subject, layout, spot)]
    if not within and not layout.cacheable(parts):
        return None
    prompts = [subject.workload.prompt_tokens(call) for call, _, _ in layout.rows]
    worth = WORTH * sum(prompts) / len(prompts)
    found = _arranged(parts, within, [*pins, *words], worth)
    if found is None and words:
        found = _arranged(parts, within, pins, worth)
        if found is not None:
            held = (*found.held, SAID)
            return _Order(order=found.order, leaves=found.leaves, held=held, confidence="low")
    return found


def _arranged(
    parts: Sequence[Part],
    within: Collection[int],
    held_by: Sequence[Precedence],
    worth: float,
) -> _Order | None:
    """Return the best order under what must precede what, ``None`` if it is not worth it."""
    leaves = _leaving(within, held_by)
    stay = [number for number in range(len(parts)) if number not in leaves]
    at = {number: here for here, number in enumerate(stay)}
    rest = [parts[number] for number in stay]
    among = [
        Precedence(at[first], at[then], because)
        for first, then, because in held_by
        if first in at and then in at
    ]
    best = arranged(rest, among)
    gain = expected(rest, best) - expected(rest, range(len(rest)))
    if not leaves and gain < worth:
        return None
    rank = {stay[here]: rank for rank, here in enumerate(arranged(rest))}
    free = rank | dict.fromkeys(within, len(parts))
    held = [one.because for one in held_by if free[one.first] > free[one.then]]
    return _Order(
        order=tuple(stay[here] for here in best), leaves=leaves, held=tuple(dict.fromkeys(held))
    )


def _leaving(within: Iterable[int], held_by: Sequence[Precedence]) -> tuple[int, ...]:
    """Return which blocks go behind the messages: none that must precede one which stays."""
    leaves = set(within)
    while kept := {one.first for one in held_by if one.first in leaves and one.then not in leaves}:
        leaves -= kept
    return tuple(sorted(leaves))


def _within(subject: Subject, layout: Layout, spot: Spot) -> bool:
    """Say if the block changes while one conversation goes on."""
    if layout.level is Level.MESSAGES:
        return False
    found = []
    for call, blocks, _ in layout.rows:
        block = next((one for one in blocks if one in spot.versions), -1)
        if block >= 0:
            found.append((call, block))
    return subject.changes_within(found)


# --- what is said of it ----------------------------------------------------------------


def _finding(
    subject: Subject, lane: LaneKey, layout: Layout, spots: Sequence[Spot], found: _Order
) -> Finding:
    """Say how often the block changes, what stands behind it, and which order is better."""
    spot = max(spots, key=lambda spot: (spot.number in found.leaves, spot.behind))
    versions, place = spot.versions, layout.place(spot.number)
    owner = "system" if layout.level is Level.SYSTEM else "first user"
    stays = f"{spot.behind} tokens of {owner} blocks that stay" if spot.behind else "messages"
    held = f"; held back by {' and '.join(found.held)}" if found.held else ""
    return Finding(
        rule="volatile-before-stable",
        code=CODE,
        severity=SEVERITY,
        confidence=found.confidence,
        place=place,
        lane=lane,
        about=str(place),
        calls=len(layout.rows),
        message=(
            f"this block is another one nearly every time ({len(versions)} versions in"
            f" {len(layout.rows)} calls), so the {stays} behind it cannot be shared{held}"
        ),
        examples=tuple(
            Example(call.number, call.id, _text(subject, block)[:SHOWN])
            for block, call in [*versions.items()][:2]
        ),
        fix=Fix(safe=False, what=_said(subject, layout, found), edit=_edit(layout, spots, found)),
    )


def _said(subject: Subject, layout: Layout, found: _Order) -> str:
    """Say what goes where, and what the model sees of it."""
    said = []
    if found.leaves:
        leaves = _names(layout, found.leaves)
        said.append(f"move {leaves} behind the messages; the model reads it there instead")
    if [*found.order] != sorted(found.order):
        order = _names(layout, found.order)
        said.append(f"put the blocks in the order {order}; the model reads them in that order")
    if found.confidence == "low":
        said.append("a text that says where another one stands has to say it anew")
    if _thinks(subject, layout):
        said.append("thinking that was made after the old order does not fit the new one")
    return "; ".join(said)


def _names(layout: Layout, numbers: Iterable[int]) -> str:
    """Name some places."""
    return ", ".join(str(layout.place(number)) for number in numbers)


def _thinks(subject: Subject, layout: Layout) -> bool:
    """Say if any of these calls may hold thinking that is bound to what stands before it."""
    known = (find(model) for model in {call.tariff.model for call, _, _ in layout.rows})
    bound = any(one is not None and one.model.thinking_bound for one in known)
    return bound and not THINKING.isdisjoint(subject.tree.kind)


# --- the edit --------------------------------------------------------------------------


def _edit(layout: Layout, spots: Sequence[Spot], found: _Order) -> Edit:
    """Return what puts blocks in the new order, wherever one that changes is among them."""
    ranks = layout.ranks((*found.order, *found.leaves))
    changing = layout.digests(*(spot.versions for spot in spots))
    if layout.level is Level.MESSAGES:
        return Edit(opening=_opener(ranks, changing))
    gone = layout.digests(*(one.versions for one in spots if one.number in found.leaves))
    return Edit(head=_mover(ranks, changing, gone))


def _mover(
    ranks: Mapping[bytes, int], changing: frozenset[bytes], leaves: frozenset[bytes]
) -> Heads:
    """Return what puts system blocks in order, and some of them behind the messages."""

    def head(units: Sequence[Unit]) -> tuple[list[Unit], list[Unit]]:
        at = [
            number
            for number, one in enumerate(units)
            if one.level is Level.SYSTEM and one.kind != SETTINGS
        ]
        own = iter(_sorted([units[number] for number in at], ranks, changing))
        made = [next(own) if number in at else one for number, one in enumerate(units)]
        moved = [one for one in made if one.level is Level.SYSTEM and one.digest in leaves]
        return [one for one in made if one not in moved], [*map(behind, moved)]

    return head


def _opener(ranks: Mapping[bytes, int], changing: frozenset[bytes]) -> Openings:
    """Return what puts in order what a user says first."""
    return lambda units: _sorted(units, ranks, changing)


def _sorted(
    units: Sequence[Unit], ranks: Mapping[bytes, int], changing: frozenset[bytes]
) -> list[Unit]:
    """Sort the blocks that are known among the places they have; others stay."""
    if changing.isdisjoint(one.digest for one in units):
        return [*units]
    known = iter(
        sorted((one for one in units if one.digest in ranks), key=lambda one: ranks[one.digest])
    )
    return [next(known) if one.digest in ranks else one for one in units]
