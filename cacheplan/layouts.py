"""How calls of one kind lay out their blocks: what stands where, and how often it changes.

Looked at are the system prompt and what a user says first: there blocks stand at places of
their own, and another order of them is a matter of the program that makes the calls. What
is measured is what the service can still have: a block has changed if no call of the last
hour, its longest lifetime, had it at the same place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from cacheplan.arrangement import Part
from cacheplan.prefixes import SETTINGS
from cacheplan.prompt import Level, Lifetime, Place
from cacheplan.subject import Subject
from cacheplan.workload import Call

__all__ = ["Layout", "Spot", "Turns", "layout_of_first_turns", "layout_of_systems"]

#: Fewer versions may be as many agents.
VERSIONS: Final = 3
#: Places looked at: so many a person lays out; more are a list that a program made.
PLACES: Final = 16
#: What changes less often than this stays, unless it is another one nearly every time:
#: nothing is moved for one change of a program.
_SELDOM: Final = 0.05


class Spot(NamedTuple):
    """A place with another block nearly every time."""

    number: int
    #: By block: the first call with it.
    versions: dict[int, Call]
    #: Tokens of the blocks behind it that several versions share.
    behind: int


class Turns:
    """Finds what a user says first; each prefix is looked at once."""

    def __init__(self, subject: Subject) -> None:
        self._tree = subject.tree
        #: By prefix behind a first turn: where that turn ends, -1 where nobody looked.
        self._ends = [-1] * len(subject.tree)
        self._blocks: dict[int, tuple[int, ...]] = {}

    def blocks(self, call: Call) -> tuple[int, ...]:
        """Return the blocks of a call's first user turn; the first of all if none is known."""
        tree, behind, node = self._tree, list[int](), call.tip
        while self._ends[node] < 0 and self._said(node):
            behind.append(node)
            node = tree.parent[node]
        end = self._ends[node]
        if end < 0:
            end = behind.pop() if behind else node
            while behind and self._of_user(behind[-1]) and self._of_user(end):
                end = behind.pop()
        for each in behind:
            self._ends[each] = end
        if end not in self._blocks:
            self._blocks[end] = tuple(self._turn(end))[::-1]
        return self._blocks[end]

    def _turn(self, end: int) -> Iterator[int]:
        """Yield the blocks of a turn, the last first."""
        for node in self._tree.upward(end):
            if not self._said(node):
                return
            yield self._tree.block[node]

    def _said(self, node: int) -> bool:
        """Tell whether a prefix ends with a caller's own block of the messages."""
        block = self._tree.block[node]
        if block < 0 or self._tree.kind[block] == SETTINGS:
            return False
        return self._tree.level[block] is Level.MESSAGES

    def _of_user(self, node: int) -> bool:
        return self._tree.role[self._tree.block[node]] == "user"


class Layout:
    """The blocks of one level in the calls of one kind, in time order."""

    def __init__(
        self,
        subject: Subject,
        level: Level,
        rows: Sequence[tuple[Call, tuple[int, ...], object]],
    ) -> None:
        self._subject = subject
        self._tree = subject.tree
        self.level = level
        #: Each call with its blocks, and what tells its conversation from others.
        self.rows = rows
        longest = max((len(blocks) for _, blocks, _ in rows), default=0)
        self.width = min(longest, PLACES)

    def place(self, number: int) -> Place:
        """Return where a block stands in the body."""
        if self.level is Level.MESSAGES:
            return Place(level=self.level, index=0, content=number)
        return Place(level=self.level, index=number)

    def sample(self, number: int) -> int:
        """Return the first block seen at a place."""
        return next(blocks[number] for _, blocks, _ in self.rows if len(blocks) > number)

    def spots(self) -> Iterator[Spot]:
        """Yield the places where nearly every conversation has a block of its own."""
        heads: dict[tuple[int, ...], dict[object, Call]] = {}
        for call, blocks, conversation in self.rows:
            heads.setdefault(blocks, {}).setdefault(conversation, call)
        for number in range(self.width):
            versions: dict[int, Call] = {}
            behind: dict[int, set[int]] = {}
            conversations = 0
            for blocks, users in heads.items():
                if len(blocks) > number:
                    conversations += len(users)
                    versions.setdefault(blocks[number], next(iter(users.values())))
                    for later in blocks[number + 1 :]:
                        behind.setdefault(later, set()).add(blocks[number])
            if len(versions) >= VERSIONS and len(versions) * 2 > conversations:
                shared = [one for one, under in behind.items() if len(under) * 2 > len(versions)]
                yield Spot(number, versions, sum(self._tree.size[one] for one in shared))

    def parts(self, spots: Collection[int], mended: Collection[int] = ()) -> list[Part]:
        """Return the places as blocks to be put in order: how long, and how often they stay.

        What is ``mended`` in another way stays from then on.
        """
        found = []
        for number in range(self.width):
            tokens, stays = self._measured(number)
            if number in mended or (number not in spots and stays >= 1 - _SELDOM):
                stays = 1.0
            found.append(Part(str(self.place(number)), tokens, stays))
        return found

    def _measured(self, number: int) -> tuple[float, float]:
        """Return the tokens at a place, and how often what stands there stays."""
        last: dict[int, float] = {}
        tokens = uses = stays = 0
        for call, blocks, _ in self.rows:
            if len(blocks) > number:
                block = blocks[number]
                tokens += self._tree.size[block]
                uses += 1
                stays += call.at - last.get(block, float("-inf")) <= Lifetime.ONE_HOUR.seconds
                last[block] = call.at
        # Nothing can be said of the first call: nobody knows what came before it.
        return tokens / len(self.rows), stays / max(uses - 1, 1)

    def ranks(self, order: Sequence[int]) -> dict[bytes, int]:
        """Return where the blocks of each place stand in another order, by digest."""
        ranks: dict[bytes, int] = {}
        for rank, number in enumerate(order):
            for _, blocks, _ in self.rows:
                if len(blocks) > number:
                    ranks.setdefault(self._tree.digest[blocks[number]], rank)
        return ranks

    def cacheable(self, parts: Sequence[Part]) -> bool:
        """Tell whether what stays can be long enough to be kept, if it stands in front."""
        call = self.rows[0][0]
        floor = self._subject.sheet.minimum(
            call.tariff.model, call.tariff.platform, self._subject.workload.assume
        )
        ends = [self._tree.tools_end[call.tip]]
        if self.level is Level.MESSAGES:
            ends.append(self._tree.system_end[call.tip])
        head = max((self._tree.tokens[end] for end in ends if end >= 0), default=0)
        return (
            floor is None or head + sum(part.tokens for part in parts if part.stays >= 1) >= floor
        )

    def digests(self, *versions: Iterable[int]) -> frozenset[bytes]:
        """Return the digests of some blocks."""
        return frozenset(self._tree.digest[block] for some in versions for block in some)


def layout_of_systems(subject: Subject, calls: Sequence[Call], turns: Turns) -> Layout:
    """Return the system blocks of some calls; conversations are told by how they begin."""
    tree = subject.tree
    known: dict[tuple[int, ...], tuple[int, ...]] = {}
    rows = []
    for call in calls:
        head = subject.head(call)
        if head not in known:
            blocks = (tree.block[node] for node in head)
            known[head] = tuple(one for one in blocks if tree.level[one] is Level.SYSTEM)
        rows.append((call, known[head], turns.blocks(call)[:1]))
    return Layout(subject, Level.SYSTEM, rows)


def layout_of_first_turns(subject: Subject, calls: Sequence[Call], turns: Turns) -> Layout:
    """Return what users say first in some calls; one beginning is one conversation."""
    rows = [(call, turns.blocks(call), None) for call in calls]
    return Layout(subject, Level.MESSAGES, rows)
