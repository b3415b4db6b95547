"""A team's terms: which rules are off, which findings are waived, known, or too slight.

A rule that is off says nothing. A waived finding is told with its reason, and nothing is
counted as if it were mended. A known one is told and counted, and fails no check.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import ModuleType
from typing import Self

from cacheplan.baseline import Entry, fingerprints, gone
from cacheplan.errors import InputError
from cacheplan.finding import SEVERITIES, Finding
from cacheplan.lanes import LaneKey
from cacheplan.rules import RULES
from cacheplan.strict_json import quoted
from cacheplan.tables import dollars
from cacheplan.waivers import Waiver

__all__ = ["Terms", "at_any_price", "code_named", "codes", "failing", "threshold"]


def codes() -> list[str]:
    """Return the codes of all rules."""
    return [rule.CODE for rule in RULES]


def code_named(word: str) -> str | None:
    """Return the code of a rule, by its code or its name; ``None`` where there is none.

    >>> code_named("volatile-span"), code_named("cp101"), code_named("grave")
    ('CP001', 'CP101', None)
    """
    for rule in RULES:
        name = rule.__name__.rpartition(".")[2].replace("_", "-")
        if word.lower() in {rule.CODE.lower(), name}:
            return str(rule.CODE)
    return None


def threshold(word: str) -> str:
    """Return a severity, or the code of a rule, by its code or name."""
    if word in SEVERITIES:
        return word
    code = code_named(word)
    if code is None:
        known = ", ".join((*SEVERITIES, *codes()))
        raise InputError(f"{quoted(word)} is no severity and no rule; there are {known}")
    return code


def failing(findings: Sequence[Finding], wanted: str) -> list[Finding]:
    """Return the findings at or above a severity, or of a code, that nobody has accepted."""
    news = [finding for finding in findings if not finding.accepted]
    if wanted not in SEVERITIES:
        return [finding for finding in news if finding.code == wanted]
    grave = SEVERITIES[: SEVERITIES.index(wanted) + 1]
    return [finding for finding in news if finding.severity in grave]


def at_any_price(finding: Finding, wanted: str) -> bool:
    """Tell whether a finding is at or above a threshold whatever it turns out to save.

    A warning that saves nothing becomes a note once it is priced; an error, and what is
    asked for by its code, stays what it is.
    """
    priced = finding.fix is not None and (finding.fix.edit or finding.fix.remark)
    return wanted != "warning" or finding.severity == SEVERITIES[0] or not priced


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What findings are held against."""

    #: Codes of rules whose findings are not told.
    off: frozenset[str] = frozenset()
    waivers: tuple[Waiver, ...] = ()
    #: The entries of a baseline.
    known: tuple[Entry, ...] = ()
    #: Dollars a day that mending a finding has to save, where anybody can say what it saves.
    worth: Decimal | None = None

    def beside(self, waivers: Sequence[Waiver]) -> Self:
        """Return the terms with what the calls themselves waive."""
        return replace(self, waivers=(*self.waivers, *waivers)) if waivers else self

    def running(self, rules: Sequence[ModuleType]) -> list[ModuleType]:
        """Return the rules that are not off."""
        return [rule for rule in rules if not self.off or rule.CODE not in self.off]

    def resting(self, rules: Sequence[ModuleType]) -> list[ModuleType]:
        """Return the rules that are off: what follows from what they see is not told either."""
        return [rule for rule in rules if self.off and rule.CODE in self.off]

    def judged(self, findings: Sequence[Finding]) -> list[Finding]:
        """Return the findings, each with why it is waived and whether it is known."""
        known = {entry.fingerprint for entry in self.known}
        return [
            replace(
                finding,
                waived=self._reason(finding),
                known=not known.isdisjoint(fingerprints(finding)),
            )
            for finding in findings
        ]

    def _reason(self, finding: Finding) -> str:
        """Say why a finding is waived; it is where it is waived for all its calls."""
        mine = [waiver for waiver in self.waivers if _meant(waiver, finding)]
        lanes = finding.of or (None,)
        if not all(any(waiver.about(lane) for waiver in mine) for lane in lanes):
            return ""
        return "; ".join(dict.fromkeys(waiver.reason for waiver in mine))

    def worthy(self, findings: Sequence[Finding]) -> list[Finding]:
        """Leave out findings that are known to save too little; never a refused call."""
        least = self.worth
        return [
            one
            for one in findings
            if least is None
            or one.severity == SEVERITIES[0]
            or one.saving_per_day is None
            or one.saving_per_day >= least
        ]

    def notes(
        self,
        found: Sequence[Finding],
        told: Sequence[Finding],
        slight: int,
        lanes: Collection[LaneKey],
    ) -> Iterator[str]:
        """Say what the terms did to the findings, and which of them do nothing any more."""
        if self.off:
            yield f"Rules that are off: {', '.join(sorted(self.off))}."
        if slight and self.worth is not None:
            yield f"Findings that save less than {dollars(self.worth)} a day, left out: {slight}."
        waived = sum(bool(one.waived) for one in told)
        if waived:
            yield f"Findings that are waived: {waived}."
        known = sum(one.known and not one.waived for one in told)
        if known:
            yield f"Findings that the baseline knows: {known}."
        yield from self._idle(found, lanes)

    def _idle(self, found: Sequence[Finding], lanes: Collection[LaneKey]) -> Iterator[str]:
        """Say which waivers and entries of the baseline match nothing."""
        for waiver in self.waivers:
            if not any(_meant(waiver, one) and _concerned(waiver, one) for one in found):
                yield f"A waiver matches nothing: {waiver}."
        lost = [one for one in gone(self.known, found, lanes) if one.code not in self.off]
        if lost:
            yield (
                f"Entries of the baseline that are no longer found: {len(lost)}"
                f" ({', '.join(sorted({entry.code for entry in lost}))})."
            )


def _meant(waiver: Waiver, finding: Finding) -> bool:
    """Tell whether a waiver is of this rule and place."""
    place = "" if finding.place is None else str(finding.place)
    return code_named(waiver.code) == finding.code and waiver.at(place)


def _concerned(waiver: Waiver, finding: Finding) -> bool:
    """Tell whether a waiver is of any calls of a finding."""
    return any(waiver.about(lane) for lane in finding.of or (None,))
