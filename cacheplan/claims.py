"""What may be said of which calls, where a source does not say all of them.

A rule looks only at calls that say what it needs, so that nothing is found in what is not
there: a log without breakpoints is no log of calls without breakpoints. What is left out so
is said once for each thing that is missing. Where nothing is missing, every rule looks at
the one subject there is, and nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from types import ModuleType
from typing import Final

from cacheplan.finding import Finding
from cacheplan.lacking import LACKING, lacks_in
from cacheplan.subject import Subject
from cacheplan.tables import count
from cacheplan.workload import Workload

__all__ = ["Claims"]

_SHARED: Final = "what calls share may be less than is said"
#: By word: what else is not, or not well, known without it.
_BESIDES: Final = {
    "tools": _SHARED,
    "system": _SHARED,
    "settings": _SHARED,
    "text": _SHARED,
    "marks": "what such a call cost is what was recorded, and unknown where nothing was",
    "times": "nothing is said of gaps and days; bills and lifetimes rest on the times in the file",
    "lifetimes": "what was written counts as written for 5 minutes in the record",
}


class Claims:
    """Which calls of a subject each rule may look at."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        #: By word of ``LACKING``: the calls whose source does not say it.
        self.lacks = lacks_in(subject.workload)
        #: By words that some lack: the calls that say all of them, ``None`` if none does.
        self._known: dict[frozenset[str], Subject | None] = {frozenset(): subject}

    def check(self, rule: ModuleType) -> Iterator[Finding]:
        """Run a rule on the calls that say what it needs."""
        seen = self._of(rule)
        if seen is not None:
            yield from rule.check(seen)

    @cached_property
    def marked(self) -> Workload:
        """The calls of which it is known how they were marked; only they can be remarked."""
        seen = self.saying(frozenset({"marks"}))
        whole = self._subject.workload
        return replace(whole, calls=[]) if seen is None else seen.workload

    def saying(self, needs: frozenset[str]) -> Subject | None:
        """Return the calls that say all of these; the whole subject where every call does."""
        needs &= frozenset(self.lacks)
        if needs not in self._known:
            whole = self._subject
            calls = [call for call in whole.workload if needs.isdisjoint(call.lacks)]
            workload = replace(whole.workload, calls=calls)
            self._known[needs] = (
                Subject(workload, whole.sheet, whole.bodies, whole.pins) if calls else None
            )
        return self._known[needs]

    def silent(self, rules: Sequence[ModuleType]) -> tuple[str, ...]:
        """Return the codes of rules that no call says enough for."""
        return tuple(rule.CODE for rule in rules if self._of(rule) is None)

    def notes(self, rules: Sequence[ModuleType]) -> Iterator[str]:
        """Say what is missing, in how many calls, and what is not said for it."""
        calls = len(self._subject.workload)
        for word, number in self.lacks.items():
            what = LACKING[word].partition(":")[0]
            does = "does" if number == 1 else "do"
            who = f"{count(number)} of {count(calls)} calls {does} not say"
            who = "No call says" if number == calls else who
            said = [*self._left([rule for rule in rules if word in rule.NEEDS]), _BESIDES[word]]
            yield f"{who} {what}: {'; '.join(said)}."

    def _left(self, rules: Sequence[ModuleType]) -> Iterator[str]:
        """Say which rules saw no call, and which only some."""
        out = self.silent(rules)
        part = [rule.CODE for rule in rules if rule.CODE not in out]
        if part:
            yield f"{_listed(part)} looked only at the others"
        if out:
            yield f"{_listed(out)} {'is' if len(out) == 1 else 'are'} left out"

    def _of(self, rule: ModuleType) -> Subject | None:
        """Return the calls that say what a rule needs."""
        return self.saying(rule.NEEDS) if self.lacks else self._subject


def _listed(codes: Sequence[str]) -> str:
    """Name codes one after another."""
    return " and ".join(filter(None, (", ".join(codes[:-1]), codes[-1])))
