"""Calls in time order: what was sent, or is planned to be.

A call is a node of the prefix tree and a time. Everything a policy or the simulator may
ask about it stands here; how it was read from a file does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, Self

import msgspec

from cacheplan.assumptions import Assumptions
from cacheplan.labels import Tags
from cacheplan.origins import Origins
from cacheplan.prefixes import PrefixTree
from cacheplan.prices import Tariff
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.usage import Usage
from cacheplan.waivers import Waiver

__all__ = ["Call", "Expected", "Workload"]


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One prompt at a time. A ``msgspec.Struct`` because logs hold millions."""

    #: When the request starts, in seconds; see ``facts.FIRST_DATE``.
    at: float
    #: The whole prompt, as a node of the workload's tree.
    tip: int
    #: What decides its price besides usage and date: model, platform, surface, speed, geo.
    tariff: Tariff
    #: The breakpoints it was sent with, in prompt order, the automatic one included.
    marks: tuple[Breakpoint, ...] = ()
    #: The top-level ``cache_control``, which takes a slot even where it falls on a block
    #: that is marked by hand.
    automatic: Lifetime | None = None
    #: Seconds until its response starts; what it writes can be read only from then on.
    first_token_after: float = 1.0
    output: int = 0
    #: Tokens after the last block, which no breakpoint reaches.
    closing: int = 0
    #: Where the service called itself again after a server tool answered: the prefixes
    #: that end with those answers.
    rounds: tuple[int, ...] = ()
    #: What the service says to this call as it was sent, if it says no.
    refused: str | None = None
    #: True where the recorded response is an error.
    failed: bool = False
    #: What the service counted, where the record says so.
    recorded: Usage | None = None
    #: Its position in the source, from 0; names a call that has no id.
    number: int = 0
    id: str | None = None
    session: str | None = None
    label: str | None = None
    workspace: str | None = None
    #: Further names of the caller's own, sorted.
    tags: Tags = ()
    #: What its source does not say of it, in words of ``LACKING``, sorted.
    lacks: tuple[str, ...] = ()


class Expected(NamedTuple):
    """How often a feature that nobody has used yet is expected to call."""

    name: str
    tariff: Tariff
    calls_per_hour: float
    arrivals: str
    turns: int
    turn_gap: float
    hours: float


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Workload:
    """Calls in time order, with the tree their prompts stand in."""

    tree: PrefixTree
    #: Sorted by time; calls of one instant stay in the order of the source.
    calls: Sequence[Call]
    #: The reading of undocumented behaviour the prompts were taken apart under.
    assume: Assumptions = field(default_factory=Assumptions)
    #: Where the prompt lengths come from.
    tokens_from: Literal["usage", "counted", "estimated"] = "estimated"
    #: What was left out or had to be taken on trust, in sentences with counts.
    notes: tuple[str, ...] = ()
    #: The rates behind calls that are planned, which the drawn calls show only roughly.
    expected: tuple[Expected, ...] = ()
    #: What lines of the source say is to stay as it is, each for its kind of calls.
    waivers: tuple[Waiver, ...] = ()
    #: What blocks say, by digest, each once; empty where nobody kept it or it is unknown.
    #: It decides nothing, so workloads that differ in it alone are equal.
    texts: Mapping[bytes, Mapping[str, Any]] = field(default_factory=dict, compare=False)
    #: Where each call was read, ``None`` where they come from no file.
    origins: Origins | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        """Say in a line how much it is."""
        tokens = sum(map(self.prompt_tokens, self.calls))
        size = f"{len(self):,} calls over {self.span / 3600:,.1f} hours"
        return f"<Workload: {size}, {tokens:,} prompt tokens ({self.tokens_from})>"

    def __len__(self) -> int:
        """Count the calls."""
        return len(self.calls)

    def __iter__(self) -> Iterator[Call]:
        """Yield the calls in time order."""
        return iter(self.calls)

    def prompt_tokens(self, call: Call) -> int:
        """Return how long a call's prompt is."""
        return self.tree.tokens[call.tip] + call.closing

    def sent_before(self) -> Iterator[tuple[Call, int]]:
        """Yield the calls, each with the longest prefix of it that an earlier one had.

        That is the root where nothing of it was sent before. Each prefix is looked at once.
        """
        seen, parent = bytearray(len(self.tree)), self.tree.parent
        for call in self.calls:
            node = call.tip
            while parent[node] >= 0 and not seen[node]:
                seen[node] = 1
                node = parent[node]
            yield call, node

    def misdated(self) -> int:
        """Count calls that stand behind one of their session which holds their whole prompt.

        The one that goes on was sent later, whatever the clocks of their hosts said.
        """
        owner: dict[int, str | None] = {}
        tips, parent, found = set(), self.tree.parent, 0
        for call in self.calls:
            node = call.tip
            if node in owner:
                again = node in tips or call.session is None
                found += not again and owner[node] == call.session
            while parent[node] >= 0 and node not in owner:
                owner[node] = call.session
                node = parent[node]
            tips.add(call.tip)
        return found

    def after(self, moment: float) -> Self:
        """Return the same workload with only the calls from a moment on."""
        return replace(self, calls=[call for call in self.calls if call.at >= moment])

    @property
    def span(self) -> float:
        """Seconds from the first call to the last."""
        return self.calls[-1].at - self.calls[0].at if self.calls else 0.0
