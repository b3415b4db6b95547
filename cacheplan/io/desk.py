"""What every command does around its work: options into tables, files into calls.

What only some commands need is imported where they do it: a check of one body loads no
rules, and a comparison no report.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError, UnknownFactError
from cacheplan.io import door
from cacheplan.io.moments import moment
from cacheplan.io.opening import opened
from cacheplan.io.plans import Plan
from cacheplan.io.progress import bytes_read, watching
from cacheplan.io.reading import read
from cacheplan.io.team import baseline_from, nearest, settings_from, write_baseline
from cacheplan.io.writing import write_lines, write_raw, write_text
from cacheplan.prices import Sheet
from cacheplan.strict_json import value
from cacheplan.workload import Workload

if TYPE_CHECKING:
    from cacheplan.agreed import Agreed
    from cacheplan.comparison import Comparison
    from cacheplan.explanation import Explanation
    from cacheplan.finding import Finding
    from cacheplan.projection import Served
    from cacheplan.report import Review
    from cacheplan.terms import Terms

__all__ = ["Desk", "sheet_from", "shipped_example"]

_EXAMPLE = "support_day.jsonl.gz"
#: The exit codes of a body that the service would not take, and of findings that are
#: grave enough.
_REFUSED = _FOUND = 1


@dataclass(kw_only=True)
class Desk:
    """One command's options, turned into what its work needs."""

    sources: tuple[str, ...] = ()
    prices_file: str | None = None
    assumed: tuple[str, ...] = ()
    settings: str | None = None
    no_settings: bool = False
    quiet: bool = False
    model: str | None = None
    skip_bad: bool = False
    seed: int = 0
    #: The format of logs, where it is not to be told from how they begin.
    log: str | None = None
    since: str | None = None
    sheet: Sheet = field(init=False)
    assume: Assumptions = field(init=False)
    #: What the settings say; ``None`` where there are none.
    agreed: Agreed | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Read the settings, the user's own prices and answers before any calls."""
        self._agree()
        prices = self.agreed.prices if self.agreed else None
        answers = self.agreed.assume if self.agreed else ()
        self.sheet = sheet_from(self.prices_file or prices)
        self.assume = Assumptions.parse((*answers, *self.assumed))

    def _agree(self) -> None:
        """Read the settings that hold here, and say which they are."""
        if self.settings is not None:
            if self.no_settings:
                raise InputError("either --settings FILE or --no-settings")
            self.agreed = settings_from(self.settings)
            return
        found = None if self.no_settings else nearest()
        if found is not None:
            name, self.agreed = found
            self.note(f"settings: {name}")

    def workload(self, *, texts: bool = False) -> Workload:
        """Read the calls, and say what was left out."""
        with watching(quiet=self.quiet) as say:
            found = read(
                *self.sources,
                assume=self.assume,
                model=self.model,
                skip_bad=self.skip_bad,
                seed=self.seed,
                texts=texts,
                form=self.log,
                since=None if self.since is None else moment(self.since),
                watch=bytes_read(say),
            )
        for note in found.notes:
            self.note(note)
        return found

    def compare(self, train: float) -> Comparison:
        """Compare every policy on the calls."""
        return self._contest(self.workload(), train)

    def _contest(self, workload: Workload, train: float) -> Comparison:
        """Compare every policy, and say which is at work."""
        from cacheplan.contest import contest

        with watching(quiet=self.quiet) as say:
            return contest(
                workload, self.sheet, train=train, watch=lambda name: say(f"comparing: {name}")
            )

    def terms(self, baseline: str | None = None, to_write: str | None = None) -> Terms:
        """Return what findings are held against, with a baseline if there is one.

        One that is about to be written may not be there yet.
        """
        from cacheplan.terms import Terms

        terms = self.agreed.terms if self.agreed else Terms()
        if baseline is None and self.agreed is not None:
            baseline = self.agreed.baseline
        if baseline is None or (to_write is not None and not Path(baseline).exists()):
            return terms
        return replace(terms, known=baseline_from(baseline))

    def threshold(self, fail_on: str | None) -> str | None:
        """Return what findings make the command fail: the option's words, else the settings'."""
        from cacheplan.terms import threshold

        if fail_on is not None:
            return threshold(fail_on)
        return self.agreed.fail_on if self.agreed else None

    def review(self, train: float, terms: Terms | None = None) -> Review:
        """Review the calls."""
        from cacheplan.report import review
        from cacheplan.subject import Subject

        workload = self.workload(texts=True)
        pins = self.agreed.pins if self.agreed else ()
        subject = Subject(workload, self.sheet, workload.texts, pins)
        with watching(quiet=self.quiet) as say:
            return review(subject, train=train, terms=terms, watch=say)

    def keep(self, found: Review, baseline: str | None) -> None:
        """Write the findings down as known, if that is asked for, and say how many."""
        if baseline is None:
            return
        number = write_baseline(baseline, found.findings)
        self.note(f"{baseline}: entries written: {number}")

    def failing(self, found: Review, wanted: str | None) -> None:
        """End the command with what was found at or above a threshold, if there is one.

        Where a price is unknown, only what is as grave at any price counts as found: a
        warning that nobody could price may be a note, so there the price is missing. A rule
        that no call says enough for has not found nothing: it did not look.
        """
        from cacheplan.terms import at_any_price, failing

        hit = [] if wanted is None else failing(found.findings, wanted)
        if wanted is not None and (found.unpriced or found.unmeasured):
            hit = [finding for finding in hit if at_any_price(finding, wanted)]
        if not hit:
            self.leave(found.unpriced, found.unmeasured)
            if wanted in found.found.silent:
                raise UnknownFactError(
                    f"no call says what {wanted} needs, so it was not looked for"
                )
            return
        self.note(f"findings at or above {wanted}: {len(hit)}")
        for model in dict.fromkeys((*found.unpriced, *found.unmeasured)):
            self.note(f'nobody states the price or the minimum of "{model}": money is not whole')
        sys.exit(_FOUND)

    def simulate(self, policy: str | None, plan: str | None) -> tuple[Iterator[Served], bool]:
        """Serve the calls under one policy, or under a plan; say if that is as they were sent."""
        from cacheplan.projection import blind, replay, unknown

        chosen = self.chosen(policy, plan)
        workload = self.workload()
        placing = door.placing(workload, chosen, self.sheet)
        if placing.as_sent and any(map(blind, workload)):
            lost = sum(map(unknown, workload))
            told = sum(map(blind, workload)) - lost
            self.note(
                f"calls whose marks nobody knows, told as they were recorded: {told};"
                f" of which no number is known: {lost}"
            )
        marker = placing.bind(workload)
        return replay(workload, marker, self.sheet, as_sent=placing.as_sent), placing.as_sent

    def chosen(self, policy: str | None, plan: str | None) -> Plan | str:
        """Return what places the marks: a plan from a file, or a policy's name."""
        from cacheplan.contest import NAMES

        if (policy is None) == (plan is None):
            raise InputError("either --policy NAME or --plan PLAN.json says where marks stand")
        if plan is not None:
            return Plan.load(plan)
        if policy in NAMES:
            return str(policy)
        raise InputError(f'"{policy}" is not a policy; there are {", ".join(NAMES)}')

    def plan(self, output: str | None, train: float) -> tuple[Plan, list[str], Comparison]:
        """Choose a plan, and say how plans chosen so fare on calls they were not chosen on."""
        from cacheplan.advice import advise, break_evens_said

        workload = self.workload()
        with watching(quiet=self.quiet) as say:
            say("choosing a plan")
            plan = door.choose(workload, sheet=self.sheet)
            if output is not None:
                plan.save(output)
            say("pricing what else would pay")
            advice = [*break_evens_said(workload, self.sheet)]
            advice += map(str, advise(workload, plan, self.sheet))
        return plan, advice, self._contest(workload, train)

    def differences(self, plan: Plan, against: str | None) -> list[str] | None:
        """Say how a plan differs from one in a file."""
        return None if against is None else plan.differences(Plan.load(against))

    def mark(self, source: str, output: str, chosen: Plan | str) -> None:
        """Mark one body, or every call of a workload."""
        from cacheplan.io.rewriting import marked_lines
        from cacheplan.marking import baseline, mark_body

        if source.endswith(".json"):
            with _naming(source):
                body = body_from(source)
                if not isinstance(chosen, Plan):
                    marked = mark_body(body, baseline(chosen), assume=self.assume)
                else:
                    marked = mark_body(body, chosen, assume=self.assume)
            write_text(output, json.dumps(marked, indent=2, ensure_ascii=False) + "\n")
            return
        write_raw(output, marked_lines(source, chosen, self.sheet, self.assume))

    def check(self, body: str, platform: str) -> list[Finding]:
        """Check one body."""
        with _naming(body):
            return door.check(
                body_from(body), sheet=self.sheet, assume=self.assume, platform=platform
            )

    def verdict(self, findings: list[Finding]) -> int:
        """Return the exit code of a check: whether it is refused, or could not be judged."""
        if any(finding.severity == "error" for finding in findings):
            return _REFUSED
        for finding in findings:
            if finding.rule == "unknown-minimum":
                raise UnknownFactError(finding.message)
        return 0

    def explain(self, earlier: str, later: str) -> Explanation:
        """Explain two bodies to each other."""
        from cacheplan.wire import parse

        bodies = []
        for name in (earlier, later):
            with _naming(name):
                bodies.append(body_from(name))
                # What is wrong with either body is said of its own file.
                parse(bodies[-1], self.assume)
        return door.explain(*bodies, sheet=self.sheet, assume=self.assume)

    def anonymize(self, output: str, key_file: str | None) -> None:
        """Write the calls in the digest form, all of them or none."""
        from cacheplan.anonymous import anonymous

        key = secrets.token_bytes(32)
        if key_file is not None:
            with opened(key_file) as stream:
                key = stream.read().strip()
            if not key:
                raise InputError("this key is empty").at(key_file)
        write_lines(output, anonymous(self.workload(), key))

    def convert(self, output: str, *, whole: bool) -> None:
        """Write the calls of logs as lines of a workload, all of them or none."""
        from cacheplan.io.logs import converted
        from cacheplan.io.tally import Tally

        tally = Tally(skip_bad=self.skip_bad)
        since = None if self.since is None else moment(self.since)
        with watching(quiet=self.quiet) as say:
            watch = bytes_read(say)
            lines = converted(self.sources, tally, self.log, since, whole=whole, watch=watch)
            write_raw(output, lines)
        for note in tally.notes():
            self.note(note)

    def note(self, text: str) -> None:
        """Say something beside the answer."""
        if not self.quiet:
            click.echo(f"note: {text}", err=True)

    def leave(self, unpriced: tuple[str, ...] = (), unmeasured: tuple[str, ...] = ()) -> None:
        """End the command; an answer without its money is not the whole answer."""
        missing = []
        if unpriced:
            missing.append(f"nobody states the price of {_names(unpriced)}: money is unknown")
        if unmeasured:
            missing.append(
                f"nobody states the minimum of {_names(unmeasured)}: nothing is taken to be cached"
            )
        if missing:
            hint = "--model replays the calls on a known one, --prices adds a row"
            raise UnknownFactError(f"{'; '.join(missing)} ({hint})")


def sheet_from(prices_file: str | None) -> Sheet:
    """Return the price sheet, with the user's own rows if there are any."""
    sheet = Sheet.default()
    if prices_file is None:
        return sheet
    with opened(prices_file) as stream:
        raw = stream.read().strip()
    with _naming(prices_file):
        return sheet.override(value(raw))


def body_from(name: str) -> Mapping[str, Any]:
    """Read one body from a file."""
    with opened(name) as stream:
        raw = stream.read().strip()
    with _naming(name):
        found = value(raw)
        if not isinstance(found, Mapping):
            raise InputError("a body is an object")
        return found


def shipped_example() -> str:
    """Return the workload that comes with the package, or with its sources."""
    inside = Path(str(resources.files("cacheplan"))) / "examples" / _EXAMPLE
    beside = Path(str(resources.files("cacheplan"))).parent / "examples" / _EXAMPLE
    return str(inside if inside.exists() else beside)


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Let faults of what stands in a file name the file."""
    try:
        yield
    except InputError as error:
        raise error if error.source else error.at(name) from error


def _names(models: tuple[str, ...]) -> str:
    return ", ".join(f'"{model}"' for model in models)
