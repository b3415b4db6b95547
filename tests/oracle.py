"""A second, naive imitation of the service, for judging the first one.

It shares no line with the simulator: whole prefixes are tuples of block names, entries
lie in a dictionary keyed by them, positions are literal lists. It is slow on purpose, so
that every step can be read beside the clause it imitates. Nothing here knows a price, a
tree or a file.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from typing import Literal, NamedTuple

__all__ = [
    "Counts",
    "Entry",
    "Lifetime",
    "Mark",
    "NaiveService",
    "RefusedError",
    "Switches",
    "ToyBlock",
    "ToyCall",
    "positions",
]

Lifetime = Literal["5m", "1h"]

#: Seconds of each lifetime (documentation, prompt caching page, 2026-09-26).
SECONDS: dict[Lifetime, int] = {"5m": 300, "1h": 3600}
#: Breakpoints in one call (same page).
MOST_MARKS = 4
#: From this day the page says that runs of tool blocks are one position.
RUNS_COLLAPSE_FROM = datetime(2026, 9, 26, tzinfo=UTC).timestamp()
#: A smaller time counts from any zero and carries no date (public contract, ``rate``).
DATED_FROM = 1e9
#: Blocks that ride along inside a prefix and take no breakpoint.
THINKING = ("thinking", "redacted_thinking")
#: What is set at a level besides its blocks (``tool_choice``, ``speed``, …) belongs to the
#: content that has to be the same, but is no block of the prompt.
SETTINGS = "#settings"
#: Kinds of which a run of neighbours is one position.
RUN_KINDS = ("tool_use", "tool_result")


class ToyBlock(NamedTuple):
    """A block reduced to what caching looks at; its name stands for its content."""

    name: str
    kind: str
    level: int
    tokens: int
    #: Why no breakpoint may stand here (``blank``, ``deferred``, …), or nothing.
    refuses: str = ""


class Mark(NamedTuple):
    """A breakpoint on the block at ``place``."""

    place: int
    lifetime: Lifetime


class ToyCall(NamedTuple):
    """One prompt at one time, with its breakpoints."""

    blocks: tuple[ToyBlock, ...]
    marks: tuple[Mark, ...]
    at: float
    first_token_after: float = 1.0
    #: Whoever may share entries with this call: workspace, model, speed, ….
    scope: Hashable = "scope"
    #: Shortest prefix that is kept, in tokens; ``None`` where nobody states it.
    minimum: int | None = 0
    platform: str = "anthropic"
    #: What server tools answered, one round after the other: the service appends it and
    #: calls itself again.
    answers: tuple[tuple[ToyBlock, ...], ...] = ()


class Counts(NamedTuple):
    """The prompt tokens of one call, split as the service reports them."""

    uncached: int
    write_5m: int
    write_1h: int
    read: int


class RefusedError(Exception):
    """The service answers this call with a 400."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What the service remembers about one prefix."""

    lifetime: Lifetime
    readable: float
    expires: float


@dataclass(frozen=True, kw_only=True)
class Switches:
    """One field per behaviour that no documentation settles."""

    refresh: Literal["own", "reader", "longer"] = "own"
    remark: Literal["keep", "upgrade"] = "keep"
    lifetime_in_key: bool = False
    refreshed: Literal["hit", "marked", "all"] = "marked"
    write_inside_read: bool = False
    collapse_runs: Literal["dated", "on", "off"] = "dated"
    thinking_positions: bool = False
    lookback: int = 20
    lookback_crosses_levels: bool = True
    visible: Literal["first-token", "start"] = "first-token"
    grace: float = 0.0
    server_tool_marks: bool = True
    server_tool_slot: bool = False


#: Names of the blocks of one prefix, and the lifetime where that is part of the key.
Key = tuple[Hashable, tuple[str, ...], Lifetime | None]


def tokens(call: ToyCall, length: int) -> int:
    """Add up the prefix of ``length`` blocks from scratch."""
    return sum(block.tokens for block in call.blocks[:length])


def positions(blocks: Sequence[ToyBlock], *, collapse: bool, thinking: bool) -> list[list[int]]:
    """Write out the positions of a prompt, each as the indices of its blocks.

    A thinking block belongs to no position unless the switch says so, but it still
    stands between its neighbours: two tool calls around it are not consecutive.
    """
    found: list[list[int]] = []
    for index, block in enumerate(blocks):
        if block.kind == SETTINGS or (block.kind in THINKING and not thinking):
            continue
        neighbour = blocks[index - 1] if index > 0 else None
        same_run = neighbour is not None and neighbour.kind == block.kind
        if collapse and same_run and block.kind in RUN_KINDS:
            found[-1].append(index)
        else:
            found.append([index])
    return found


def refuse(call: ToyCall, slots: int) -> None:
    """Raise what the service answers before it looks at any entry."""
    if len(call.marks) > slots:
        message = f"A maximum of {MOST_MARKS} blocks with cache_control may be provided"
        raise RefusedError(message)
    for mark in call.marks:
        block = call.blocks[mark.place]
        if block.kind in (*THINKING, SETTINGS) or block.refuses:
            message = f"{block.kind} takes no cache_control"
            raise RefusedError(message)
    for earlier in call.marks:
        for later in call.marks:
            in_order = earlier.place < later.place
            if in_order and (earlier.lifetime, later.lifetime) == ("5m", "1h"):
                message = "a ttl='1h' block must not come after a ttl='5m' block"
                raise RefusedError(message)


def longer(one: Lifetime, other: Lifetime) -> Lifetime:
    """Return the longer of two lifetimes."""
    return "1h" if "1h" in (one, other) else "5m"


class NaiveService:
    """Serve toy calls in time order and count their tokens."""

    def __init__(self, switches: Switches | None = None) -> None:
        self.switches = switches or Switches()
        self.entries: dict[Key, Entry] = {}

    def key(self, call: ToyCall, length: int, lifetime: Lifetime) -> Key:
        """Return what identifies the entry of the first ``length`` blocks."""
        names = tuple(block.name for block in call.blocks[:length])
        return (call.scope, names, lifetime if self.switches.lifetime_in_key else None)

    def alive(self, key: Key, at: float) -> bool:
        """Say whether an entry stands there and has not expired."""
        entry = self.entries.get(key)
        return entry is not None and at < entry.expires + self.switches.grace

    def readable(self, key: Key, at: float) -> bool:
        """Say whether a call that starts now can use the entry."""
        return self.alive(key, at) and self.entries[key].readable <= at

    def collapses(self, call: ToyCall) -> bool:
        """Say whether runs of tool blocks are one position for this call."""
        if self.switches.collapse_runs == "dated":
            undated = call.at < DATED_FROM
            since = call.at >= RUNS_COLLAPSE_FROM
            return call.platform == "anthropic" and (undated or since)
        return self.switches.collapse_runs == "on"

    def window(self, call: ToyCall, mark: Mark) -> list[int]:
        """List the blocks one breakpoint looks at, deepest first."""
        upto = positions(
            call.blocks[: mark.place + 1],
            collapse=self.collapses(call),
            thinking=self.switches.thinking_positions,
        )
        seen = [index for group in upto[-self.switches.lookback :] for index in group]
        if not self.switches.lookback_crosses_levels:
            level = call.blocks[mark.place].level
            seen = [index for index in seen if call.blocks[index].level == level]
        return sorted(seen, reverse=True)

    def found(self, call: ToyCall, mark: Mark) -> int:
        """Return the length of the prefix one breakpoint finds, 0 for none."""
        for index in self.window(call, mark):
            if self.readable(self.key(call, index + 1, mark.lifetime), call.at):
                return index + 1
        return 0

    def serve(self, call: ToyCall) -> Counts:
        """Serve one call and the rounds its server tools lead to; add up all counts.

        Each round starts when the one before it began to answer, and carries a 5-minute
        breakpoint of the service's own at its end, if the caller set any at all.
        """
        own = bool(call.marks and call.answers) and self.switches.server_tool_marks
        refuse(call, MOST_MARKS - int(own and self.switches.server_tool_slot))
        counts = [self.once(call)]
        for rounds in range(1, len(call.answers) + 1) if own else ():
            blocks = call.blocks + sum(call.answers[:rounds], ())
            marks = (*call.marks, Mark(len(blocks) - 1, "5m"))
            at = call.at + rounds * call.first_token_after
            counts.append(self.once(call._replace(blocks=blocks, marks=marks, at=at)))
        return Counts(*(sum(column) for column in zip(*counts, strict=True)))

    def once(self, call: ToyCall) -> Counts:
        """Serve one round: walk back, count, then touch the entries."""
        marks = [
            mark
            for mark in sorted(call.marks, key=lambda mark: mark.place)
            if call.minimum is not None and tokens(call, mark.place + 1) >= call.minimum
        ]
        finds = [(self.found(call, mark), mark) for mark in marks]
        a = max((length for length, _ in finds), default=0)
        ends_1h = [mark.place + 1 for mark in marks if mark.lifetime == "1h"]
        b = max([a, *ends_1h])
        c = max([a, *(mark.place + 1 for mark in marks)])
        counts = Counts(
            uncached=tokens(call, len(call.blocks)) - tokens(call, c),
            write_5m=tokens(call, c) - tokens(call, b),
            write_1h=tokens(call, b) - tokens(call, a),
            read=tokens(call, a),
        )
        if a:
            self.touch(call, a, marks, [mark for length, mark in finds if length == a])
        for mark in marks:
            if mark.place + 1 > a:
                self.write(call, mark)
        return counts

    def touch(self, call: ToyCall, a: int, marks: list[Mark], readers: list[Mark]) -> None:
        """Do what a hit of ``a`` blocks does to the entries at and below it.

        Every breakpoint whose walk ended at the hit has read it, and one that stands on
        an entry has read that one. Where a hit counts for all below it, each of these has
        been read by every breakpoint at or behind it.
        """
        inside = [mark for mark in marks if mark.place + 1 <= a]
        present = [m for m in inside if self.readable(self.spot(call, m), call.at)]
        absent = [m for m in inside if m not in present]
        read = [(self.key(call, a, mark.lifetime), mark) for mark in readers]
        if self.switches.refreshed == "all":
            below = product(range(1, a + 1), SECONDS, marks)
            read += [
                (self.key(call, length, lifetime), mark)
                for length, lifetime, mark in below
                if length <= mark.place + 1
            ]
        if self.switches.refreshed in {"marked", "all"}:
            read += [(self.spot(call, mark), mark) for mark in present]
        for key, mark in read:
            if self.readable(key, call.at):
                self.refresh(key, mark.lifetime, call.at)
        if self.switches.remark == "upgrade":
            for mark in inside:
                if mark.lifetime == "1h" and self.alive(self.spot(call, mark), call.at):
                    self.upgrade(self.spot(call, mark), call.at)
        if self.switches.write_inside_read:
            for mark in absent:
                self.write(call, mark)

    def spot(self, call: ToyCall, mark: Mark) -> Key:
        """Return the key of the entry a breakpoint stands on."""
        return self.key(call, mark.place + 1, mark.lifetime)

    def refresh(self, key: Key, reader: Lifetime, at: float) -> None:
        """Give a read entry a whole lifetime again, from the start of the call.

        Lifetimes are promised minimums, so no reader can shorten what is left. Where the
        lifetime is part of the key, an entry has no other lifetime than its own.
        """
        entry = self.entries[key]
        if self.switches.lifetime_in_key:
            reader = entry.lifetime
        restored: Lifetime = {
            "own": entry.lifetime,
            "reader": reader,
            "longer": longer(entry.lifetime, reader),
        }[self.switches.refresh]
        expires = max(entry.expires, at + SECONDS[restored])
        self.entries[key] = replace(entry, expires=expires)

    def upgrade(self, key: Key, at: float) -> None:
        """Turn a live entry into a 1-hour one."""
        entry = self.entries[key]
        expires = max(entry.expires, at + SECONDS["1h"])
        self.entries[key] = replace(entry, lifetime="1h", expires=expires)

    def write(self, call: ToyCall, mark: Mark) -> None:
        """Make the one entry a breakpoint writes.

        Where another call's entry is still on its way, both stand for the same prefix:
        it can be read as soon as either call's response begins, and lives as long as
        the longer-lived of the two. An expired entry leaves nothing behind.
        """
        key = self.key(call, mark.place + 1, mark.lifetime)
        delay = 0.0 if self.switches.visible == "start" else call.first_token_after
        entry = Entry(
            lifetime=mark.lifetime,
            readable=call.at + delay,
            expires=call.at + SECONDS[mark.lifetime],
        )
        if self.alive(key, call.at):
            other = self.entries[key]
            entry = Entry(
                lifetime=longer(entry.lifetime, other.lifetime),
                readable=min(entry.readable, other.readable),
                expires=max(entry.expires, other.expires),
            )
        self.entries[key] = entry
