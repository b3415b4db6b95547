"""What a rule looks at: calls, what they continue, and what stands where.

Rules compare what stands at the same place in calls of one kind. The workload says who
shares what; the text of each block is kept here once, by digest, as long as the review
runs. In the digest form there is no text, and rules that need it have nothing to say.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from cacheplan.facts import Model
from cacheplan.lanes import LaneKey, kind_of
from cacheplan.pins import Pin
from cacheplan.prefixes import SETTINGS
from cacheplan.prices import Sheet
from cacheplan.prompt import Block, Level, Lifetime
from cacheplan.tokens import Count, TokenCounter
from cacheplan.workload import Call, Workload

__all__ = ["Remembering", "Subject"]

#: Blocks that two conversations of texts alone must have in common to be one: a greeting
#: and its answer are said to many.
SAID: Final = 5


class Remembering:
    """A counter that also keeps the text of every block it counts, once each."""

    def __init__(self, counter: TokenCounter) -> None:
        self.name = counter.name
        self._counter = counter
        #: By digest: the block as its caller wrote it.
        self.bodies: dict[bytes, Mapping[str, Any]] = {}

    def count(self, blocks: Sequence[Block], model: Model | None) -> list[Count]:
        """Keep the blocks, and have them counted."""
        for block in blocks:
            self.bodies[block.digest] = block.body
        return self._counter.count(blocks, model)


class Subject:
    """A workload as rules see it."""

    def __init__(
        self,
        workload: Workload,
        sheet: Sheet,
        bodies: Mapping[bytes, Mapping[str, Any]],
        pins: tuple[Pin, ...] = (),
    ) -> None:
        self.workload = workload
        self.tree = workload.tree
        self.sheet = sheet
        #: By digest: every block whose text is known, as its caller wrote it.
        self.bodies = bodies
        #: What must stay where it is, whatever another order would save.
        self.pins = pins

    def body(self, node: int) -> Mapping[str, Any] | None:
        """Return the block that ends a prefix, ``None`` where its text is not known."""
        return self.bodies.get(self.tree.digest[self.tree.block[node]])

    def text(self, node: int) -> str | None:
        """Return a block as text: its own, or its JSON in the order it was sent."""
        body = self.body(node)
        if body is None:
            return None
        text = body.get("text")
        return text if isinstance(text, str) else json.dumps(body, ensure_ascii=False)

    def length(self, node: int) -> int:
        """Return the tokens of the block that ends a prefix."""
        return self.tree.tokens[node] - self.tree.tokens[self.tree.parent[node]]

    @cached_property
    def lanes(self) -> dict[LaneKey, list[Call]]:
        """The calls by kind: model and label."""
        lanes: dict[LaneKey, list[Call]] = {}
        for call in self.workload:
            lanes.setdefault(kind_of(call), []).append(call)
        return lanes

    @cached_property
    def continued(self) -> dict[int, Call]:
        """By number of a call: the earlier call whose whole prompt it repeats."""
        sent: dict[int, Call] = {}
        found: dict[int, Call] = {}
        for call in self.workload:
            stop = max(self.tree.system_end[call.tip], self.tree.tools_end[call.tip])
            for node in self.tree.upward(call.tip):
                if node <= stop:
                    break
                if node in sent:
                    found[call.number] = sent[node]
                    break
            sent[call.tip] = call
        return found

    def in_time(self, earlier: Call, later: Call) -> bool:
        """Tell whether what a call writes still lives; 5 minutes where it has no mark."""
        lifetimes = [mark.lifetime.seconds for mark in earlier.marks]
        lives = max(lifetimes, default=Lifetime.FIVE_MINUTES.seconds)
        return later.at - earlier.at <= lives

    def conversation(self, call: Call) -> object | None:
        """Return what tells a call's conversation from others, even if its head changes.

        That is its session and first message (agents of one session have others), else its
        messages up to the first use of a tool, or several texts; ``None`` where there is
        too little, since many begin with the same words.
        """
        blocks = [self.tree.block[node] for node in self.messages(call)][::-1]
        if call.session is not None:
            return (call.session, *blocks[:1])
        for at, block in enumerate(blocks):
            if self.tree.kind[block] == "tool_use" or at + 1 == SAID:
                return tuple(blocks[: at + 1])
        return None

    def changes_within(
        self, versions: Iterable[tuple[Call, object]], *, alone: bool = False
    ) -> bool:
        """Say if what calls have is mostly another within one conversation.

        Once in a while is a session that was taken up again, by a newer program perhaps.
        Where no conversation has a second call, ``alone`` is the answer.
        """
        known: dict[object, tuple[set[object], list[Call]]] = {}
        for call, version in versions:
            conversation = self.conversation(call)
            if conversation is not None:
                seen, calls = known.setdefault(conversation, (set(), []))
                seen.add(version)
                calls.append(call)
        longer = [seen for seen, calls in known.values() if len(calls) > 1]
        return alone if not longer else sum(map(len, longer)) >= 2 * len(longer)

    def head(self, call: Call) -> tuple[int, ...]:
        """Return the prefixes that end with a tool or system block, in order."""
        end = max(self.tree.system_end[call.tip], self.tree.tools_end[call.tip])
        return self._heads(end)

    def _heads(self, end: int) -> tuple[int, ...]:
        """Return the caller's own blocks up to the end of a head, each head once."""
        known = self.__dict__.setdefault("_known_heads", {-1: ()})
        if end not in known:
            nodes = self.tree.path(end)
            known[end] = tuple(n for n in nodes if self.tree.kind[self.tree.block[n]] != SETTINGS)
        found: tuple[int, ...] = known[end]
        return found

    def messages(self, call: Call) -> Iterator[int]:
        """Yield the prefixes that end with a block of the messages, the longest first."""
        for node in self.tree.upward(call.tip):
            block = self.tree.block[node]
            if self.tree.level[block] is not Level.MESSAGES:
                return
            if self.tree.kind[block] != SETTINGS:
                yield node
