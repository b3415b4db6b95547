"""Assertions for people's own tests: prompts stay as they are, and nothing is wrong.

Plain functions, so that they work in any test runner; nothing here knows pytest but the
one name by which it leaves a function out of a traceback.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from cacheplan.errors import CacheplanError, InputError
from cacheplan.io.opening import Source

if TYPE_CHECKING:
    from cacheplan.agreed import Agreed
    from cacheplan.explanation import Explanation
    from cacheplan.finding import Finding
    from cacheplan.tokens import TokenCounter
    from cacheplan.waivers import Waiver

__all__ = ["Calls", "assert_no_findings", "assert_prefix_stable"]

#: Bodies of calls, or lines of a workload, or the name of a workload file.
Calls = Iterable[Mapping[str, Any]] | Source

#: Seconds between bodies that do not say when they were sent: soon enough for any entry
#: to be read, and late enough for it to be written.
_EVERY = 30.0
_PAIR = 2
_LEVELS = {"tools": 0, "system": 1, "messages": 2}
_PLACE = re.compile(r"(tools|system|messages)(?:\[(\d+)\](?:\.content\[(\d+)\])?)?")


class _Sent(NamedTuple):
    """One call, and what it is called in a message."""

    name: str
    body: Mapping[str, Any]


def assert_prefix_stable(calls: Calls, *, upto: str = "system", show_text: bool = False) -> None:
    """Fail if calls that follow each other do not begin with the same prompt.

    ``upto`` is where the prefix ends, itself included: ``"tools"``, ``"system"``, a block
    such as ``"system[0]"`` or ``"messages[0].content[1]"``; with ``"messages"``, each call
    has to go on from the whole of the call before. Bodies are one sequence; lines of a
    workload are compared within one label, model, workspace and, behind the system
    prompt, session. What differs is shown as its shape unless ``show_text``.
    """
    __tracebackhide__ = True
    try:
        _stable(calls, upto, show_text=show_text)
    except CacheplanError as error:
        # Of use in a test's report are the line that asks, and what is wrong: no frame of ours.
        raise error.with_traceback(None) from None


def _stable(calls: Calls, upto: str, *, show_text: bool) -> None:
    """Compare calls that follow each other."""
    __tracebackhide__ = True
    from cacheplan.explanation import difference

    end, sent = _end(upto), list(_lines(calls))
    if len(sent) < _PAIR:
        raise InputError("a prefix is stable between calls, and there are not two")
    for group in _groups(sent, by_session=end >= (2,)):
        for earlier, later in pairwise(group):
            found = difference(earlier.body, later.body)
            if found is not None and _start(found) <= end:
                raise AssertionError(
                    f"the prefix up to {upto} is not stable: {later.name} differs from"
                    f" {earlier.name}\n{found.where(show=show_text)}"
                )


def assert_no_findings(  # noqa: PLR0913 -- each is by keyword and has a default
    calls: Calls,
    *,
    fail_on: str = "warning",
    off: Sequence[str] = (),
    waive: Sequence[str | Mapping[str, str]] = (),
    settings: Source | bool = True,
    counter: TokenCounter | None = None,
    show_text: bool = False,
) -> None:
    """Fail if a review of the calls finds anything as grave as ``fail_on``, or by that rule.

    The team's settings hold as they do on the command line: those of the nearest
    ``pyproject.toml``, or of another file; ``False`` does without. ``off`` and ``waive``
    come on top. Bodies that do not say when they were sent are taken to be 30 seconds
    apart.
    """
    __tracebackhide__ = True
    from cacheplan.terms import failing, threshold

    try:
        wanted = threshold(fail_on)
        agreed = _agreed(off, waive, settings=settings)
        found = failing(_reviewed(calls, agreed, counter), wanted)
    except CacheplanError as error:
        raise error.with_traceback(None) from None
    if found:
        said = "\n\n".join(_said(one, show_text=show_text) for one in found)
        number = f"{len(found)} finding{'s' if len(found) > 1 else ''}"
        raise AssertionError(f"{number} at or above {fail_on}\n\n{said}")


# --- calls -----------------------------------------------------------------------------


def _lines(calls: Calls) -> Iterator[Mapping[str, Any]]:
    """Yield lines of a workload: bodies get a time, files are read."""
    if isinstance(calls, str | os.PathLike):
        from cacheplan.io.reading import lines
        from cacheplan.strict_json import value

        for number, raw in lines(calls):
            try:
                yield value(raw)
            except InputError as error:
                raise error.at(str(calls), number) from error
        return
    if isinstance(calls, Mapping):
        raise TypeError("calls are a list of bodies or of lines, and this is one")
    for number, one in enumerate(calls):
        if not isinstance(one, Mapping):
            raise TypeError(f"call {number} is a {type(one).__name__}, neither body nor line")
        yield one if _is_line(one) else {"at": number * _EVERY, "request": one}


def _is_line(one: Mapping[str, Any]) -> bool:
    """Tell a line of a workload from a body, which has messages of its own."""
    return "messages" not in one and ("request" in one or "blocks" in one or "extends" in one)


def _groups(lines: Iterable[Mapping[str, Any]], *, by_session: bool) -> Iterator[list[_Sent]]:
    """Part calls into those that are meant to begin alike, each in its order."""
    groups: dict[tuple[Any, ...], list[_Sent]] = {}
    for number, line in enumerate(lines):
        body = line.get("request")
        if not isinstance(body, Mapping):
            raise InputError("missing; prefixes are compared in bodies", ("request",))
        session = line.get("session") if by_session else None
        # Bodies alone are one sequence; a recording holds the traffic of many features.
        recorded = set(line) != {"at", "request"}
        model = body.get("model") if recorded else None
        key = (line.get("workspace"), line.get("label"), model, session)
        name = f"call {number}" if line.get("id") is None else f"call {number} ({line['id']})"
        groups.setdefault(key, []).append(_Sent(name, body))
    yield from groups.values()


# --- how far ---------------------------------------------------------------------------


def _end(upto: str) -> tuple[float, ...]:
    """Return where a prefix ends, as a place that others can be compared with."""
    found = _PLACE.fullmatch(upto)
    if found is None or (found[3] and found[1] != "messages"):
        raise InputError(f'"{upto}" is no end of a prefix, such as system or messages[0]')
    inside = [math.inf if part is None else int(part) for part in found.groups()[1:]]
    return (_LEVELS[found[1]], *inside, math.inf)


def _start(found: Explanation) -> tuple[float, ...]:
    """Return where two prompts part; what is set for a level stands before all its blocks."""
    place = found.place
    level = _LEVELS.get((found.reason or "").removesuffix("_changed"), -1)
    if place is None or place.level != level:
        return (level,)
    return (level, place.index, place.content or 0, place.inner or 0)


# --- findings --------------------------------------------------------------------------


def _agreed(
    off: Sequence[str], waive: Sequence[str | Mapping[str, str]], *, settings: Source | bool
) -> Agreed:
    """Return what was agreed on, with what this test says besides."""
    from cacheplan.agreed import Agreed, agreed
    from cacheplan.io.team import baseline_from, nearest, settings_from

    base = Agreed()
    if settings is True:
        found = nearest()
        base = base if found is None else found[1]
    elif settings is not False:
        base = settings_from(str(settings))
    terms = base.terms
    if base.baseline is not None:
        terms = replace(terms, known=baseline_from(base.baseline))
    more = agreed({"off": list(off)}).terms.off
    terms = replace(terms, off=terms.off | more).beside(_waivers(waive))
    return replace(base, terms=terms)


def _waivers(waive: Sequence[str | Mapping[str, str]]) -> tuple[Waiver, ...]:
    """Read waivers as a line of a workload has them."""
    from cacheplan.waivers import read_waivers

    return read_waivers(list(waive))


def _reviewed(calls: Calls, agreed: Agreed, counter: TokenCounter | None) -> Sequence[Finding]:
    """Return what is found in the calls."""
    from cacheplan.assumptions import Assumptions
    from cacheplan.io.counting import default_counter
    from cacheplan.io.desk import sheet_from
    from cacheplan.linter import lint
    from cacheplan.records import Intake
    from cacheplan.subject import Remembering, Subject

    assume = Assumptions.parse(agreed.assume)
    remembering = Remembering(counter or default_counter(assume))
    intake = Intake(remembering, assume)
    for number, line in enumerate(_lines(calls)):
        try:
            intake.add(json.dumps(line).encode())
        except InputError as error:
            raise error.within(number).within("calls") from error
    workload = intake.workload()
    if not workload.calls:
        raise InputError("no calls in it", ("calls",))
    subject = Subject(workload, sheet_from(agreed.prices), remembering.bodies, agreed.pins)
    return lint(subject, terms=agreed.terms).findings


def _said(finding: Finding, *, show_text: bool) -> str:
    """Say a finding: which, where, what, two calls to look at, and what to do."""
    from cacheplan.wording import a_day, called, lane_of, redacted

    place = "" if finding.place is None else f" at {finding.place}"
    lane = lane_of(finding)
    lines = [
        f"{finding.severity} {finding.code} {finding.rule}{place}"
        + (f" of {lane}" if lane else ""),
        f"  {finding.message}{a_day(finding.saving_per_day, '; mending it saves ')}",
    ]
    for one in finding.examples:
        text = redacted(one, show=show_text)
        lines.append(f"    {called(one)}: {text}" if text else f"    {called(one)}")
    if finding.fix is not None:
        lines.append(f"  → {finding.fix.what}")
    return "\n".join(lines)
