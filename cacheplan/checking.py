"""One body, looked at alone: would the service take it, and does every mark do something?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError
from cacheplan.finding import Finding
from cacheplan.patterns import volatile
from cacheplan.prices import Sheet
from cacheplan.records import Intake
from cacheplan.tokens import TokenCounter, reaches
from cacheplan.validity import validate
from cacheplan.wire import Parsed, parse
from cacheplan.workload import Workload

__all__ = ["check"]


def check(
    body: Mapping[str, Any],
    *,
    counter: TokenCounter,
    sheet: Sheet,
    assume: Assumptions | None = None,
    platform: str = "anthropic",
    surface: str = "messages",
) -> list[Finding]:
    """Return what is wrong with one body, refusals first.

    Warnings about marks need the body to be one that the service takes.
    """
    assume = assume or Assumptions()
    findings = [
        Finding(rule=fault.rule, severity="error", message=fault.message, place=fault.place)
        for fault in validate(body, platform, surface=surface)
    ]
    if findings:
        return findings
    parsed = parse(body, assume)
    findings += _without_marks(parsed)
    findings += _volatile(parsed)
    findings += _too_short(body, parsed, counter, sheet, assume, platform)
    return findings


def _without_marks(parsed: Parsed) -> Iterator[Finding]:
    """Note a body that asks for no caching at all."""
    if not parsed.breakpoints():
        message = "no mark: nothing of this prompt is cached"
        yield Finding(rule="no-mark", severity="note", message=message)
    elif parsed.prewarm and parsed.automatic is not None:
        message = (
            "the automatic mark of a pre-warming call lands on its placeholder message;"
            " mark the last shared block instead"
        )
        yield Finding(rule="prewarm-automatic", severity="warning", message=message)


def _volatile(parsed: Parsed) -> Iterator[Finding]:
    """Warn of a marked prefix that looks as if it changed on every call.

    Only the blocks before the messages: what a conversation says may hold any date, and
    stays as it is once said.
    """
    marked = [at for at, _ in parsed.breakpoints()]
    last = max(marked, default=-1)
    for at, piece in enumerate(parsed.pieces[: last + 1]):
        if piece.block.role:
            return
        for found in volatile(json.dumps(piece.block.body, ensure_ascii=False)):
            message = (
                f"holds what looks like a {found.name}; if it differs on every call, no mark"
                f" from here on is ever read ({len([m for m in marked if m >= at])} stand there)"
            )
            yield Finding(rule="volatile-prefix", severity="warning", message=message, place=piece.place)
            break


def _too_short(
    body: Mapping[str, Any],
    parsed: Parsed,
    counter: TokenCounter,
    sheet: Sheet,
    assume: Assumptions,
    platform: str,
) -> Iterator[Finding]:
    """Warn of marks on prefixes below the model's minimum, where the count can tell."""
    targets = parsed.breakpoints()
    if not targets:
        return
    minimum = sheet.minimum(parsed.model, platform, assume)
    if minimum is None:
        message = f'the minimum of "{parsed.model}" is unknown, so its marks cannot be judged'
        yield Finding(rule="unknown-minimum", severity="note", message=message)
        return
    workload = _alone(body, counter, assume, platform)
    marks = workload.calls[0].marks if workload else ()
    for (at, _), mark in zip(targets, marks, strict=False):
        tokens, doubt = workload.tree.tokens[mark.node], workload.tree.doubt[mark.node]
        verdict = reaches(tokens, doubt, minimum)
        if verdict == "yes":
            continue
        place = parsed.pieces[at].place
        counted = f"{tokens:,} ± {doubt:,} tokens up to here, and {minimum:,} needed"
        if verdict == "no":
            message = f"this mark does nothing: {counted}"
            yield Finding(rule="below-minimum", severity="warning", message=message, place=place)
        else:
            message = f"too close to call whether this mark does anything: {counted}"
            yield Finding(rule="near-minimum", severity="note", message=message, place=place)


def _alone(
    body: Mapping[str, Any], counter: TokenCounter, assume: Assumptions, platform: str
) -> Workload:
    """Read the body as a workload of one call."""
    intake = Intake(counter, assume)
    line = {"at": 0, "platform": platform, "request": body}
    try:
        intake.add(json.dumps(line).encode())
    except (TypeError, ValueError) as error:
        raise InputError(f"this is not JSON: {error}") from error
    return intake.workload()
