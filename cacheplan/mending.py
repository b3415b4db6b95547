"""Calls mended: fixes are written into the lines, which are read and looked at again.

A round reads the lines, runs the rules, and applies the fixes that pay best together, and
none that they do without. Then the calls get the marks of the best plan for
them where those cost less than the marks they have. A round counts only if the lines as
written, read again, are cheaper than before, so what is said to be saved is the difference
between two simulations; rounds end when one changes nothing. For the same reason mended
calls have nothing to mend.

Nothing is edited whose money nobody knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final, NamedTuple

from cacheplan.assumptions import Assumptions
from cacheplan.choosing import choose
from cacheplan.edits import Edit
from cacheplan.errors import InputError
from cacheplan.lanes import kind_of
from cacheplan.lines import body_in, moved, remarked, with_body
from cacheplan.linter import Findings, lint
from cacheplan.patches import Patched, patched, reads_alike, thinks_alike
from cacheplan.prices import Sheet
from cacheplan.projection import Marker, Projection, blind
from cacheplan.records import Intake
from cacheplan.remedies import Remedies, Repair, Score, bill, score
from cacheplan.subject import Remembering, Subject
from cacheplan.tables import dollars, percent
from cacheplan.terms import Terms
from cacheplan.tokens import TokenCounter
from cacheplan.workload import Call, Workload

__all__ = ["Done", "Mended", "Mending"]

#: Rounds at most. Each lowers the bill, so they end by themselves, mostly after two; this
#: many are only ever reached where fixes keep showing one another new ones.
ROUNDS: Final = 12

#: Lines that can be gone through more than once.
Lines = Iterable[bytes]


class Done(NamedTuple):
    """A fix that was applied, and to how many calls."""

    code: str
    rule: str
    what: str
    safe: bool
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """The lines as written, what was done to them, and what that is worth."""

    lines: Lines
    calls: int
    #: The calls as marked, before and after: read from the lines and simulated.
    before: Projection
    after: Projection
    done: tuple[Done, ...]
    #: Calls with other marks than they had.
    marked: int
    #: What stays as it was, and why, in sentences.
    left: tuple[str, ...]

    @property
    def saving(self) -> Decimal | None:
        """Dollars saved; ``None`` where a price is unknown, or other calls are refused."""
        before, after = self.before, self.after
        if before.input_cost is None or after.input_cost is None:
            return None
        return before.input_cost - after.input_cost if before.rejected == after.rejected else None

    def said(self) -> Iterator[str]:
        """Say what was done, what is left, and what it is worth."""
        for one in self.done:
            how = "" if one.safe else " (changes what the model reads)"
            yield f"{one.code} {one.rule}, calls: {one.calls}{how}: {one.what}"
        if self.marked:
            yield f"marks of the best plan, calls: {self.marked}"
        if not self.done and not self.marked:
            yield "nothing was edited"
        yield from self.left
        refused = self.before.rejected - self.after.rejected
        if refused:
            yield f"calls that were refused and are not now: {refused}"
        elif self.saving and self.before.input_cost:
            share = percent(float(self.saving / self.before.input_cost))
            yield (
                f"prompts cost {dollars(self.after.input_cost)} on these calls instead of"
                f" {dollars(self.before.input_cost)}: saves {dollars(self.saving)}, {share}"
            )


#: What a fix is called: its finding's code and rule, what it does, whether it is safe.
_Named = tuple[str, str, str, bool]


@dataclass(slots=True, kw_only=True)
class _Reading:
    """Lines, and the calls they are."""

    lines: Lines
    workload: Workload
    #: By line: the number of its call, ``None`` for a line that is no call yet.
    numbers: list[int | None]


@dataclass(slots=True)
class _Tally:
    """What happens to the lines of one round."""

    calls: dict[int, int] = field(default_factory=dict)
    #: Calls that no edit could be written into.
    left: int = 0
    #: Calls whose thinking is behind another prefix now.
    unbound: int = 0

    def by_fix(self, repairs: Sequence[Repair]) -> dict[_Named, int]:
        """Add up the calls of fixes that are said alike."""
        found: dict[_Named, int] = {}
        for at, calls in self.calls.items():
            finding, fix, _ = repairs[at]
            key = finding.code, finding.rule, fix.what, fix.safe
            found[key] = found.get(key, 0) + calls
        return found


@dataclass(slots=True, kw_only=True)
class Mending:
    """What lines are read with, and what may be done to them."""

    sheet: Sheet
    counter: TokenCounter
    assume: Assumptions = field(default_factory=Assumptions)
    model: str | None = None
    seed: int = 0
    #: True where the model may read something else.
    unsafe: bool = False
    terms: Terms | None = None
    #: Returns what rules look at.
    look: Callable[[Workload], Subject] | None = None
    #: Keeps lines so that they can be gone through again.
    store: Callable[[Iterator[bytes]], Lines] = list
    watch: Callable[[str], None] = lambda _: None
    #: Lines that could not be read, and were left out.
    skipped: int = field(init=False, default=0)

    def mend(self, lines: Lines) -> Mended:
        """Write fixes into lines until there is nothing to write."""
        first = reading = self._read(lines)
        done: dict[_Named, int] = {}
        marked: set[int] = set()
        total = _Tally()
        found = self._lint(reading)
        for _ in range(ROUNDS):
            self.watch("trying fixes")
            known = Remedies(workload=reading.workload, sheet=self.sheet, unsafe=self.unsafe)
            repairs = known.chosen(found)
            step = self._step(reading, found, repairs)
            if step is None and repairs:
                step = self._step(reading, found, repairs := [])
            if step is None:
                break
            reading, tally, remarks = step
            found = self._lint(reading)
            total.left, total.unbound = tally.left, max(total.unbound, tally.unbound)
            marked |= remarks
            for key, calls in tally.by_fix(repairs).items():
                done[key] = max(done.get(key, 0), calls)
        return Mended(
            lines=reading.lines,
            calls=sum(number is not None for number in reading.numbers),
            before=bill(first.workload, self.sheet),
            after=bill(reading.workload, self.sheet),
            done=tuple(Done(*key, calls) for key, calls in done.items()),
            marked=len(marked),
            left=tuple(dict.fromkeys(self._left(found, reading, total))),
        )

    def readable(self, lines: Lines) -> Iterator[bytes]:
        """Yield the lines that can be read."""
        intake = Intake(self.counter, self.assume, model=self.model, seed=self.seed)
        for line in lines:
            try:
                intake.add(line)
            except InputError:
                self.skipped += 1
                continue
            yield line

    # --- one round ---------------------------------------------------------------------

    def _lint(self, reading: _Reading) -> Findings:
        """Run the rules."""
        self.watch("running the rules")
        return lint(self._subject(reading), terms=self.terms)

    def _step(
        self, reading: _Reading, found: Findings, repairs: Sequence[Repair]
    ) -> tuple[_Reading, _Tally, set[int]] | None:
        """Write fixes and marks; ``None`` if that makes nothing better."""
        before, tally, now = score(found.paid), _Tally(), reading
        if before is None or not found.alike:
            return None
        plan, planned = found.plan, score(found.planned)
        if repairs:
            self.watch("writing fixes")
            after = self._read(self.store(self._fixed(reading, repairs, tally)))
            own = choose(after.workload, self.sheet)
            cost = score(bill(after.workload, self.sheet, own.marker(after.workload.tree)))
            as_marked = score(bill(after.workload, self.sheet))
            if _least(cost, as_marked) < _least(before, planned):
                now, plan, planned = after, own, cost
            else:
                tally = _Tally()
        marks: set[int] = set()
        have = score(bill(now.workload, self.sheet))
        if have is not None and planned is not None and planned < have:
            self.watch("writing marks")
            marker = _respecting(found, plan.marker(now.workload.tree))
            now = self._read(self.store(self._marked(now, marker, marks)))
        better = score(bill(now.workload, self.sheet))
        if now is reading or better is None or better >= before:
            return None
        return now, tally, marks

    def _fixed(
        self, reading: _Reading, repairs: Sequence[Repair], tally: _Tally
    ) -> Iterator[bytes]:
        """Yield the lines with fixes in them."""
        edits = [repair.edit for repair in repairs]
        calls = {call.number: call for call in reading.workload}
        for line, number in zip(reading.lines, reading.numbers, strict=True):
            if number is None:
                yield line
                continue
            found = self._body(line, edits, calls[number], tally)
            for at, edit in enumerate(edits):
                if number in edit.times:
                    found = moved(found, edit.times[number])
                    tally.calls[at] = tally.calls.get(at, 0) + 1
            yield found

    def _body(self, line: bytes, edits: Sequence[Edit], call: Call, tally: _Tally) -> bytes:
        """Return one line with its body edited."""
        body = body_in(line)
        if body is None:
            return line
        platform, model = call.tariff.platform, kind_of(call)[0]
        found = patched(body, edits, self.assume, platform, model=model)
        if found.left or not self._may(body, found):
            tally.left += 1
            return line
        if found.body is not body:
            tally.unbound += not thinks_alike(body, found.body, self.assume)
            for at in found.by:
                tally.calls[at] = tally.calls.get(at, 0) + 1
        return with_body(line, body, found.body)

    def _may(self, body: dict[str, object], found: Patched) -> bool:
        """Tell whether a body may be written: whatever a rule claims, it is looked at here."""
        if self.unsafe or found.body is body:
            return True
        alike = reads_alike(body, found.body, self.assume)
        return alike and thinks_alike(body, found.body, self.assume)

    def _marked(self, reading: _Reading, marker: Marker, changed: set[int]) -> Iterator[bytes]:
        """Yield the lines with other marks, where a call is to have others."""
        calls = {call.number: call for call in reading.workload}
        for line, number in zip(reading.lines, reading.numbers, strict=True):
            if number is None:
                yield line
                continue
            call = calls[number]
            wanted = tuple(marker(call))
            made = None
            if call.refused is not None or blind(call) or set(wanted) != set(call.marks):
                made = remarked(line, reading.workload, call, wanted)
            if made is not None and made != line:
                changed.add(number)
            yield line if made is None else made

    def _left(self, found: Findings, reading: _Reading, total: _Tally) -> Iterator[str]:
        """Say what stays as it was, and why."""
        mended, planned = score(found.mended), score(found.planned)
        together = mended is not None and planned is not None and mended < planned
        for finding in found.findings:
            fix, name = finding.fix, f"{finding.code} {finding.rule}"
            # What saves nothing alone may hide, and be hidden by, what does.
            if fix is None or fix.edit is None or not (together or (finding.saving or 0) > 0):
                continue
            if finding.waived:
                yield f"{name} is waived: {finding.waived}"
            elif fix.edit.sequels is not None:
                yield f"{name} is work for the program, not for its prompts: {fix.what}"
            elif not fix.safe and not self.unsafe:
                yield f"{name} takes --unsafe: {fix.what}"
        if total.left:
            yield f"calls whose body cannot hold an edit, left as they were: {total.left}"
        if total.unbound:
            yield (
                "calls that replay thinking which is bound to the prefix as it was, and would be"
                f" refused where the service checks that: {total.unbound}"
            )
        others = sum(number is None for number in reading.numbers)
        if others:
            yield f"lines that are planned, or are part of a prompt, left as they were: {others}"
        if found.paid.input_cost is None or not found.alike:
            yield "nothing is edited where nobody knows what it costs"

    # --- reading -----------------------------------------------------------------------

    def _read(self, lines: Lines) -> _Reading:
        """Read lines into calls."""
        self.watch("reading")
        remembering = Remembering(self.counter)
        intake = Intake(remembering, self.assume, model=self.model, seed=self.seed)
        numbers: list[int | None] = []
        for line in lines:
            before = len(intake)
            intake.add(line)
            numbers.append(before if len(intake) > before else None)
        workload = replace(intake.workload(), texts=remembering.bodies)
        if not workload.calls:
            raise InputError("no calls in it")
        return _Reading(lines=lines, workload=workload, numbers=numbers)

    def _subject(self, reading: _Reading) -> Subject:
        """Return the calls as rules see them."""
        workload = reading.workload
        if self.look is not None:
            return self.look(workload)
        return Subject(workload, self.sheet, workload.texts)


def _least(one: Score | None, other: Score | None) -> Score:
    """Return the better of two scores, of which one is known."""
    return min(known for known in (one, other) if known is not None)


def _respecting(found: Findings, marker: Marker) -> Marker:
    """Leave the marks alone of which somebody said that they are to stay."""
    waived = {
        lane
        for finding in found.findings
        if finding.waived and finding.fix is not None and finding.fix.remark is not None
        for lane in finding.of
    }
    if not waived:
        return marker
    return lambda call: call.marks if kind_of(call) in waived else marker(call)
