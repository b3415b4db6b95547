"""A review on a terminal: the answer on the first screen, the reasons below.

Knows what was found and how to lay it out in lines of a width. What other people wrote is
made printable here, since a terminal obeys what it should show; only a pen that is handed
in may say how a line looks.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from cacheplan.changes import Change
from cacheplan.comparison import Comparison
from cacheplan.finding import Finding
from cacheplan.linter import Findings
from cacheplan.plan import Plan, name_of
from cacheplan.shared import Shared
from cacheplan.steps import FIRST, Step, Sum
from cacheplan.tables import aligned, clipped, columns, count, dollars, padded, printable, ratio
from cacheplan.wording import a_day, called, facts_of, followers, patched, redacted, safety, seen

__all__ = ["HEIGHT", "WIDTH", "Pen", "Screen", "plain"]

#: The size of a terminal that nobody has made larger.
WIDTH: Final = 80
HEIGHT: Final = 24
#: From this width on a table says why, too.
ROOMY: Final = 120
#: Columns left to the words at the end of a row; with less they stand below it.
WORDS: Final = 30

#: Gives a line a look: ``head``, a severity, ``before``, ``after``, ``faint``.
Pen = Callable[[str, str], str]


def plain(text: str, look: str) -> str:
    """Write without colour."""
    del look
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """Lines of a width, in the looks of a pen; with prompt text or with its shape."""

    width: int = WIDTH
    show: bool = False
    pen: Pen = plain

    def answer(self, size: str, sums: Sequence[Sum], steps: Sequence[Step]) -> str:
        """Say what is paid, what would be, and three things to do: one screen."""
        rows = [(row.name, dollars(row.amount), a_day(row.daily), row.how) for row in sums]
        head, *bills = aligned(("for prompts", "", "", ""), rows, source=True).splitlines()
        lines = [self._wrapped(size), "", self.pen(head, "head"), *bills, ""]
        if not steps:
            lines.append(
                "There is nothing to do: no other marks cost less, and no finding saves anything."
            )
            return "\n".join(lines)
        lines.append(self.pen("What to do first:", "head"))
        room = HEIGHT - len(lines) - (len(steps) > FIRST)
        lines += self._steps(steps[:FIRST], room)
        if len(steps) > FIRST:
            lines.append(f"   … and {len(steps) - FIRST} more below.")
        return "\n".join(lines)

    def _steps(self, steps: Sequence[Step], room: int) -> list[str]:
        """Say what to do in as many lines as there are: money and the first words stay."""
        said: list[str] = []
        for what, how in ((3, 2), (3, 1), (2, 1), (1, 1)):
            said = [self._step(at, step, what, how) for at, step in enumerate(steps, 1)]
            if sum(one.count("\n") + 1 for one in said) <= room:
                break
        return said

    def _step(self, number: int, step: Step, what: int, how: int) -> str:
        """Say one thing to do, in at most so many lines."""
        worth = f"{step.worth}: {step.what}" if step.worth else step.what
        return "\n".join(
            (
                self._wrapped(worth, f"{number}. ", "   ", most=what),
                self._wrapped(step.how, "   ", "   ", most=how),
            )
        )

    def findings(self, found: Findings) -> str:
        """Say every finding."""
        said = (self._finding(one, found) for one in found.findings)
        return "\n\n".join([self.pen("Findings", "head"), *said])

    def _finding(self, one: Finding, found: Findings) -> str:
        """Say a finding in some lines: what, where, how bad, what it looks like, what to do."""
        place = f" at {one.place}" if one.place is not None else ""
        lines = [
            self.pen(f"{one.severity} {one.code} {one.rule}{place}", one.severity),
            self._wrapped(facts_of(one, found), "  ", "  "),
            self._wrapped(one.message, "  ", "  "),
        ]
        for each in one.examples:
            text = redacted(each, show=self.show)
            said = f"{called(each)}: {text}" if text else called(each)
            lines.append(self._wrapped(said, "    ", "      ", most=2))
        if one.fix is not None:
            lines.append(self._wrapped(f"{one.fix.what} ({safety(one.fix)})", "  → ", "    "))
            if one.fix.safely is not None:
                said = f"or: {one.fix.safely.what} ({safety(one.fix.safely)})"
                lines.append(self._wrapped(said, "    ", "      "))
            if one.fix.patch is not None:
                lines.append(self._wrapped(f"{patched(one.fix.patch)}:", "    ", "    "))
                lines += self._changes("-", one.fix.patch.before)
                lines += self._changes("+", one.fix.patch.after)
        return "\n".join(lines)

    def _changes(self, sign: str, changes: Sequence[Change]) -> Iterator[str]:
        """Say what stands in a call, before or after, as a patch does."""
        for one in changes:
            said = f"{one.place}: {seen(one, show=self.show)}"
            line = self._wrapped(said, f"    {sign} ", "      ", most=2)
            yield self.pen(line, "before" if sign == "-" else "after")

    def sharing(self, rows: Sequence[Shared]) -> str:
        """Say what calls have in common; why it is marked or not where there is room."""
        if not rows:
            return "No two calls share a prefix."
        roomy = self.width >= ROOMY
        head = ["up to", "tokens", "calls", "mark", "calls of", "because"]
        cells: list[tuple[str, ...]] = [
            (
                row.breakpoint,
                count(row.tokens),
                count(row.calls),
                str(row.lifetime or "no"),
                clipped(", ".join(row.lanes), self.width // 4) if roomy else ", ".join(row.lanes),
                row.because,
            )
            for row in rows
        ]
        if not roomy:
            head, cells = head[:-1], [row[:-1] for row in cells]
        table = self._table(head, cells, right=(1, 2))
        title = "What calls share, that with the most to read first"
        return f"{self.pen(title, 'head')}\n\n{table}"

    def plan(self, plan: Plan) -> str:
        """Say where to mark, kind by kind of calls."""
        lines = [self.pen("The plan: what to mark the end of, and for how long", "head"), ""]
        for lane in plan.lanes:
            if lane.like is None:
                lines.append(self._wrapped(name_of(lane)))
                rows = [row[1:] for row in plan.rows() if row[0] == name_of(lane)]
                table = self._table((), rows, right=(2,), less=2)
                lines += (f"  {line}" for line in table.splitlines())
        lines += (self._wrapped(line, "", "  ") for line in followers(plan))
        if plan.prefixes:
            lines.append(f"{count(len(plan.prefixes))} exact prefixes have lifetimes of their own.")
        return "\n".join([*lines, self._wrapped(plan.chosen_on)])

    def policies(self, compared: Comparison) -> str:
        """Say how every policy fares; on a narrow screen without the finer numbers."""
        table = compared.table()
        if max(map(columns, table.splitlines())) > self.width:
            plain = compared["uncached"].input_cost
            rows = [
                (
                    one.policy + ("*" if one.policy in compared.foreseeing else ""),
                    count(one.usage.read),
                    count(one.usage.write_5m + one.usage.write_1h),
                    count(one.usage.uncached),
                    dollars(one.input_cost),
                    ratio(one.input_cost / plain if one.input_cost is not None and plain else None),
                )
                for one in compared.projections
            ]
            head = ("policy", "read", "written", "uncached", "prompt cost", "of uncached")
            table = aligned(head, rows)
        notes = [self._wrapped(line, "", "  ") for line in compared.footing()]
        title = self.pen("Every policy on the calls that are scored", "head")
        return "\n".join([title, "", table, "", *notes])

    def notes(self, notes: Sequence[str]) -> str:
        """Say what the numbers rest on, and what is missing."""
        return "\n".join(self._wrapped(note, "", "  ") for note in notes)

    def _table(
        self,
        head: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        right: Sequence[int] = (),
        less: int = 0,
    ) -> str:
        """Lay out rows that end in words, which go on below where there is no room."""
        rows = [tuple(map(printable, row)) for row in ([head, *rows] if head else rows)]
        if not rows:
            return ""
        last = len(rows[0]) - 1
        widths = [max(columns(row[at]) for row in rows) for at in range(last)]
        start = sum(widths) + 2 * last
        room = self.width - less - start
        indent = " " * (start if room >= WORDS else 4)
        lines = []
        for row in rows:
            cells = [padded(row[at], widths[at], right=at in right) for at in range(last)]
            line = "  ".join(cells)
            if room >= WORDS:
                words = self._wrapped(row[last], indent, indent, less=less)
                lines.append(f"{line}  {words[start:]}".rstrip())
                continue
            lines.append(line.rstrip())
            if row[last]:
                lines.append(self._wrapped(row[last], indent, indent, less=less))
        return "\n".join(lines)

    def _wrapped(
        self, text: str, first: str = "", rest: str = "", *, most: int | None = None, less: int = 0
    ) -> str:
        """Break text into lines that a terminal can hold."""
        text = printable(text)
        # Lines are broken by letters; where some take two columns, earlier.
        less += min(columns(text) - len(text), self.width // 3)
        return textwrap.fill(
            text,
            self.width - less,
            initial_indent=first,
            subsequent_indent=rest,
            max_lines=most,
            placeholder=" …",
            break_on_hyphens=False,
        )
