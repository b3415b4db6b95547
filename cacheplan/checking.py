"""One body, looked at alone: whether the service would take it, and each mark do something.

Also the way from bodies to a workload, for whoever asks about one or two of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cacheplan.assumptions import Assumptions
from cacheplan.conversations import nonsense, shape, unsupported
from cacheplan.errors import InputError
from cacheplan.finding import Finding
from cacheplan.patterns import volatile
from cacheplan.prices import Sheet
from cacheplan.records import Intake
from cacheplan.tokens import TokenCounter, reaches
from cacheplan.validity import validate
from cacheplan.wire import Parsed, parse
from cacheplan.workload import Workload

__all__ = ["PLATFORM", "check", "workload_of"]

#: Where a body goes unless somebody says otherwise.
PLATFORM = "anthropic"
#: Seconds between bodies: the first token of one is there before the next is sent.
_MOMENT = 10


def check(
    body: Mapping[str, Any],
    *,
    counter: TokenCounter,
    sheet: Sheet,
    assume: Assumptions | None = None,
    platform: str = PLATFORM,
    surface: str = "messages",
) -> list[Finding]:
    """Return what is wrong with one body, refusals first.

    Warnings about marks need the body to be one that the service takes. A model and
    ``max_tokens`` may be filled in by a client, so a body without them is looked at too.
    """
    assume = assume or Assumptions()
    marked = validate(body, platform, surface=surface)
    # Nothing is said of what cannot be read as blocks, but where that is.
    parsed = None if marked else parse(body, assume)
    formed = list(shape(body))
    faults = [*formed, *unsupported(body), *marked, *([] if formed else nonsense(body))]
    if faults or parsed is None:
        return [
            Finding(rule=fault.rule, severity="error", message=fault.message, place=fault.place)
            for fault in faults
        ]
    findings: list[Finding] = []
    findings += _without_marks(parsed)
    findings += _duplicate(parsed)
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


def _duplicate(parsed: Parsed) -> Iterator[Finding]:
    """Note an automatic mark on a block that is marked already: a slot for nothing."""
    if parsed.automatic is None or parsed.target is None:
        return
    piece = parsed.pieces[parsed.target]
    if piece.mark is not None:
        message = (
            "the automatic mark falls on this block, which is marked already; that is harmless,"
            " but takes one of the four slots"
        )
        yield Finding(rule="duplicate-mark", severity="note", message=message, place=piece.place)


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
            behind = sum(mark >= at for mark in marked)
            message = (
                f"holds what looks like a {found.name}; if it differs on every call, no mark"
                f" from here on is ever read ({behind} stand there)"
            )
            yield Finding(
                rule="volatile-prefix", severity="warning", message=message, place=piece.place
            )
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
    workload = workload_of([body], counter, assume, platform)
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


def workload_of(
    bodies: Sequence[Mapping[str, Any]],
    counter: TokenCounter,
    assume: Assumptions,
    platform: str = PLATFORM,
) -> Workload:
    """Read bodies as calls that are sent a moment apart."""
    intake = Intake(counter, assume)
    for number, body in enumerate(bodies):
        line = {"at": _MOMENT * number, "platform": platform, "request": body}
        try:
            intake.add(json.dumps(line).encode())
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(f"this is not JSON: {error}") from error
        except InputError as error:
            # The line around the body is ours, so a path begins inside the body.
            path = error.path[1:] if error.path[:1] == ("request",) else error.path
            raise InputError(error.what, path) from error
    return intake.workload()
