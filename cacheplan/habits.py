"""What became of the marks that calls were sent with: a fate for each, and only one.

Calls are served once as they were marked. Every mark that wrote an entry then has one
fate: it was read; or else it was written
twice at once, or stood too far back, or came back too late, or stands on what
changes with every call, or at the end of a call that nobody goes on from, or was simply
never read. Rules about marks look at fates, each at its own, so no two of them speak of
the same write. What another set of marks would have cost is simulated here as well.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property
from typing import Final, Literal

from cacheplan.errors import RejectedError
from cacheplan.finding import Remark
from cacheplan.lanes import LaneKey, kind_of
from cacheplan.places import Places
from cacheplan.plan import longer, within_rules
from cacheplan.prices import round_cost
from cacheplan.projection import Bill, cache_for, project
from cacheplan.prompt import Breakpoint, Level, Lifetime
from cacheplan.refusals import place_of
from cacheplan.subject import Subject
from cacheplan.usage import Usage
from cacheplan.workload import Call

__all__ = [
    "ENOUGH",
    "Fate",
    "Habits",
    "Met",
    "Write",
    "best_of",
    "habits",
    "only",
    "with_mark",
]

Fate = Literal["read", "raced", "far", "late", "changing", "one-shot", "unread"]

#: Calls that make a habit: two may differ, or come late, by chance.
ENOUGH: Final = 3
#: What a change of marks must save of the prompt bill of its model to be worth a line.
WORTH: Final = Decimal("0.01")

_HOUR = float(Lifetime.ONE_HOUR.seconds)


@dataclass(slots=True, kw_only=True)
class Write:
    """One entry, written by one mark of one call."""

    call: Call
    node: int
    lifetime: Lifetime
    #: Tokens paid for: from the entry or the mark before it up to this one.
    tokens: int
    #: When it was last written or read.
    touched: float
    #: How long after that each read came.
    reads: list[float] = field(default_factory=list)
    #: By number of a call that came back and could no longer read it: how long after that.
    late: dict[int, float] = field(default_factory=dict)
    #: Calls that went on from it, marked too far behind it to find it.
    far: list[Call] = field(default_factory=list)
    #: True where another call wrote the same before this one's answer began.
    raced: bool = False
    fate: Fate = "unread"


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """Where a call parted from everything sent before it."""

    call: Call
    #: The longest prefix that an earlier call had, and the last call that came by there.
    node: int
    earlier: Call | None
    #: Tokens of it that no mark of the earlier call covered, and that were not read.
    bare: int


class Habits:
    """How the calls of a workload are marked, and what came of it."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.tree = subject.tree
        self.usage: dict[int, Usage] = {}
        #: By number of a call: why the service refuses it as marked.
        self.refused: dict[int, str] = {}
        self.writes: list[Write] = []
        self.met: dict[int, Met] = {}
        #: By number of a call that was gone on from without its end: the blocks left out.
        self.left: dict[int, int] = {}
        #: By lane: the place, other than the tail, on which most shared tokens hang.
        self.shared: dict[LaneKey, str] = {}
        self._entries: dict[int, Write] = {}
        self._passed: dict[int, Call] = {}
        self._floors: dict[tuple[str, str], int | None] = {}
        #: By model: the bill as marked.
        self._bills: dict[str, Bill] = {}
        self._places = Places.of(self.tree)
        self._spots: dict[int, str] = {}
        self._serve()
        self._share()
        self._judge()

    def floor(self, call: Call) -> int | None:
        """Return the shortest prefix that is kept for a call, ``None`` if nobody knows."""
        key = call.tariff.model, call.tariff.platform
        if key not in self._floors:
            self._floors[key] = self.subject.sheet.minimum(*key, self.subject.workload.assume)
        return self._floors[key]

    def lanes(self, fate: Fate) -> dict[LaneKey, list[Write]]:
        """Return the writes with a fate, by lane."""
        found: dict[LaneKey, list[Write]] = {}
        for write in self.writes:
            if write.fate == fate:
                found.setdefault(kind_of(write.call), []).append(write)
        return found

    def tail(self, call: Call) -> int:
        """Return the prefix that a mark at the end of a call would end."""
        return self.tree.markable(call.tip)

    def spot(self, call: Call, node: int) -> str:
        """Name where in calls like this one a mark stands: what a program that marks knows."""
        if node == self.tail(call):
            return "tail"
        if self.tree.level[self.tree.block[node]] is Level.MESSAGES:
            return "messages"
        if node not in self._spots:
            self._spots[node] = place_of(self.tree, node)
        return self._spots[node]

    def drop(self, spots: Container[str]) -> Remark:
        """Return marks without those at some spots."""
        return lambda call: tuple(
            mark for mark in call.marks if self.spot(call, mark.node) not in spots
        )

    def node_at(self, call: Call, place: str) -> int:
        """Return the prefix of a call that ends at a place, -1 if it has none there."""
        return next((node for name, node in self._places.fixed(call.tip) if name == place), -1)

    def worth(self, model: str, remark: Remark) -> Decimal | None:
        """Return what other marks save, ``None`` where it is nothing to speak of.

        Only calls of the same model can be affected, so only they are served. Bills of
        different calls are not compared: what is refused costs nothing.
        """
        calls = [call for call in self.subject.workload if kind_of(call)[0] == model]
        workload = replace(self.subject.workload, calls=calls)
        sheet = self.subject.sheet
        paid = self._paid(model)
        after = project(workload, remark, sheet, "other marks")
        if paid is None or after.input_cost is None:
            return None
        saving = paid - after.input_cost
        rejected = sum(call.number in self.refused for call in calls)
        return saving if rejected == after.rejected and saving > WORTH * paid else None

    def slight(self, model: str, stakes: Iterable[tuple[Call, int, Lifetime | None]]) -> bool:
        """Tell whether even all that is at stake is nothing to speak of.

        A stake is tokens that were paid for: plainly, where their whole price could be saved,
        or as a write, where what it cost more could. Marks that cannot be worth it need not be
        tried.
        """
        paid, total = self._paid(model), Decimal()
        for call, tokens, lifetime in stakes:
            length = self.subject.workload.prompt_tokens(call)
            rate = self.subject.sheet.rate(call.tariff, call.at, length)
            if paid is None or rate is None:
                return True
            written = rate.write_1h if lifetime is Lifetime.ONE_HOUR else rate.write_5m
            total += tokens * (rate.uncached if lifetime is None else written - rate.uncached)
        return paid is None or total <= WORTH * paid

    def _paid(self, model: str) -> Decimal | None:
        """Return what a model's prompts cost as marked, ``None`` if nobody knows."""
        cost = self._bills[model].costs()[1] if model in self._bills else Decimal()
        return None if cost is None else round_cost(cost, self.subject.workload.assume)

    def _serve(self) -> None:
        """Serve every call as it was marked, and note what each mark did."""
        serve = cache_for(self.subject.workload, self.subject.sheet).serve
        for call in self.subject.workload:
            try:
                usage = serve(call, call.marks)
            except RejectedError as refusal:
                self.refused[call.number] = str(refusal)
                continue
            self.usage[call.number] = usage
            bill = self._bills.setdefault(kind_of(call)[0], Bill(self.subject.sheet))
            bill.add(usage, call.tariff, call.at)
            if call.failed:
                continue
            hit = self._hit(call, usage.read)
            self._meet(call, hit)
            self._write(call, hit)

    def _hit(self, call: Call, read: int) -> int:
        """Find the entry that a call read, and book the read; -1 if it read none."""
        if not read:
            return -1
        tokens = self.tree.tokens
        for node in self.tree.upward(call.tip):
            write = self._entries.get(node)
            if tokens[node] <= read and write is not None:
                write.reads.append(call.at - write.touched)
                write.touched = call.at
                return node
            if tokens[node] < read:
                break
        return -1

    def _meet(self, call: Call, hit: int) -> None:
        """Note where a call parts from earlier ones, and which entries it could not use."""
        tree, new, after = self.tree, True, -1
        for node in tree.upward(call.tip):
            if new and node in self._passed:
                new = False
                self.met[call.number] = self._parted(call, node, hit)
                self._leave(call, node, after)
            after = node
            if new or node == self.met[call.number].node:
                self._passed[node] = call
            if node <= hit:
                break
            if node in self._entries:
                self._miss(call, self._entries[node])

    def _leave(self, call: Call, node: int, after: int) -> None:
        """Note if a call goes on from an earlier one with an answer, but without its end.

        Reminders and empty anchors put behind the newest message are left out so.
        """
        tree, earlier = self.tree, self._passed[node]
        if after < 0 or tree.role[tree.block[after]] != "assistant":
            return
        left = 0
        for end in tree.upward(earlier.tip):
            if end == node or tree.role[tree.block[end]] == "assistant":
                break
            left += 1
        if left and end == node and kind_of(earlier) == kind_of(call):
            self.left[earlier.number] = left

    def _parted(self, call: Call, node: int, hit: int) -> Met:
        """Say what of the shared part no mark of the earlier call covered."""
        tokens, earlier = self.tree.tokens, self._passed[node]
        last = max((mark.node for mark in earlier.marks), default=-1)
        covered = tokens[max(last, hit)] if last >= 0 else 0
        bare = tokens[node] - covered if 0 <= last < node else 0
        return Met(call=call, node=node, earlier=earlier, bare=max(bare, 0))

    def _miss(self, call: Call, write: Write) -> None:
        """Say why a call did not use an entry that stands in its own prompt."""
        gap = call.at - write.touched
        if gap >= write.lifetime.seconds + self.subject.workload.assume.grace:
            if gap <= _HOUR:
                write.late[call.number] = gap
        elif write.call.at + write.call.first_token_after <= call.at:
            marked = any(mark.node > write.node for mark in call.marks)
            if marked and call.tariff.surface != "batch":
                write.far.append(call)

    def _write(self, call: Call, hit: int) -> None:
        """Note the entries that a call wrote."""
        tokens, floor = self.tree.tokens, self.floor(call)
        start = tokens[hit] if hit >= 0 else 0
        for node, lifetime in sorted(call.marks):
            if floor is None or tokens[node] < floor:
                continue
            if node <= hit:
                self._touch(call, node)
                continue
            write = Write(
                call=call,
                node=node,
                lifetime=lifetime,
                tokens=tokens[node] - start,
                touched=call.at,
            )
            start = tokens[node]
            before = self._entries.get(node)
            if before and call.at < before.call.at + before.call.first_token_after:
                before.raced = write.raced = True
            self.writes.append(write)
            self._entries[node] = write

    def _touch(self, call: Call, node: int) -> None:
        """Note that a mark inside what was read keeps its own entry alive."""
        write = self._entries.get(node)
        grace = self.subject.workload.assume.grace
        if write is not None and call.at < write.touched + write.lifetime.seconds + grace:
            write.touched = call.at

    def _share(self) -> None:
        """Find by lane the place where most is shared by calls that continue none."""
        seen: set[int] = set()
        stakes: dict[LaneKey, dict[str, int]] = {}
        for call in self.subject.workload:
            parted = None
            for place, node in self._places.fixed(call.tip):
                if node in seen:
                    parted = place, node
                seen.add(node)
            if parted is not None and call.number not in self.subject.continued:
                lane = stakes.setdefault(kind_of(call), {})
                lane[parted[0]] = lane.get(parted[0], 0) + self.tree.tokens[parted[1]]
        self.shared = {lane: max(found, key=lambda at: found[at]) for lane, found in stakes.items()}

    def _judge(self) -> None:
        """Give every write its fate."""
        read: set[int] = set()
        astray: set[int] = set()
        # The longest of a call first: who reads it reads what is before it, too.
        for write in reversed(self.writes):
            if write.reads:
                read.add(write.call.number)
            write.fate = "read" if write.call.number in read else self._fate(write)
            if write.fate == "changing":
                astray.add(write.call.number)
        for write in self.writes:
            # What stands behind changing content changes because of it.
            if write.fate == "one-shot" and write.call.number in astray:
                write.fate = "changing"

    def _fate(self, write: Write) -> Fate:
        """Say why a write was not read: the first reason that holds."""
        if write.raced:
            return "raced"
        if write.far:
            return "far"
        if write.late and write.lifetime is Lifetime.FIVE_MINUTES:
            return "late"
        if write.node == self.tail(write.call):
            return self._fate_of_tail(write)
        return "changing" if self._through[write.node] == 1 else "unread"

    def _fate_of_tail(self, write: Write) -> Fate:
        """Tell a tail that nobody can go on from, one that could move, and the last of many."""
        call = write.call
        if call.number in self.left:
            return "changing"
        if self.goes_on(call):
            return "unread"
        if self.kind(call) in self._cut:
            return "changing"
        node = self.node_at(call, self.shared.get(kind_of(call), ""))
        floor = self.floor(call)
        marked = any(mark.node <= node for mark in call.marks)
        # A whole prompt that is sent again is no conversation, but it is shared.
        movable = 0 <= node < write.node and not marked
        return "changing" if movable and self.tree.tokens[node] >= (floor or 0) else "one-shot"

    def goes_on(self, call: Call) -> bool:
        """Tell whether calls of this kind continue each other."""
        return self.kind(call) in self._talks or kind_of(call) in self._talks

    def kind(self, call: Call) -> tuple[LaneKey, int]:
        """Return lane and head: calls of one feature have both in common."""
        return kind_of(call), max(self.tree.system_end[call.tip], self.tree.tools_end[call.tip])

    @cached_property
    def _talks(self) -> set[object]:
        """Return the kinds in which calls continue each other.

        A kind that few calls are of says nothing of its own, so there its lane decides.
        """
        workload, calls = self.subject.workload, dict[object, int]()
        for call in workload:
            kind = self.kind(call)
            calls[kind] = calls.get(kind, 0) + 1
        continues = [call for call in workload if call.number in self.subject.continued]
        talks: set[object] = {self.kind(call) for call in continues}
        small = {kind_of(call) for call in workload if calls[self.kind(call)] < ENOUGH}
        return talks | ({kind_of(call) for call in continues} & small)

    @cached_property
    def _cut(self) -> set[object]:
        """Return the kinds in which calls go on from each other without their ends."""
        return {self.kind(call) for call in self.subject.workload if call.number in self.left}

    @cached_property
    def _through(self) -> list[int]:
        """Count by prefix the calls that have it."""
        through = [0] * len(self.tree)
        for call in self.subject.workload:
            through[call.tip] += 1
        for node in range(len(through) - 1, -1, -1):
            if self.tree.parent[node] >= 0:
                through[self.tree.parent[node]] += through[node]
        return through


def habits(subject: Subject) -> Habits:
    """Return the habits of a workload; they are worked out once a review."""
    known: Habits | None = subject.__dict__.get("_habits")
    if known is None:
        known = subject.__dict__["_habits"] = Habits(subject)
    return known


def only(calls: Iterable[Call], marker: Remark) -> Remark:
    """Return marks for some calls; the others keep theirs."""
    chosen = {call.number for call in calls}
    return lambda call: marker(call) if call.number in chosen else call.marks


def with_mark(
    marks: Iterable[Breakpoint], node: int, lifetime: Lifetime = Lifetime.FIVE_MINUTES
) -> tuple[Breakpoint, ...]:
    """Return marks and one more, as far as the service takes them."""
    found = dict(marks)
    if node >= 0:
        found[node] = longer(found.get(node), lifetime)
    return within_rules(found)


def best_of(known: Habits, model: str, remarks: dict[str, Remark]) -> tuple[str, Remark] | None:
    """Return the name and the marks of the remedy that saves most, if any saves enough."""
    savings = {name: known.worth(model, remark) for name, remark in remarks.items()}
    found = {name: saving for name, saving in savings.items() if saving is not None}
    if not found:
        return None
    name = max(found, key=lambda each: found[each])
    return name, remarks[name]
