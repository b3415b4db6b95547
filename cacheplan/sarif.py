"""A review's findings in SARIF 2.1.0 (OASIS standard), for code-scanning tools.

A finding is about calls of one kind, not about a line of code, so its place is a logical
location; the line that the first example was read from stands beside it, since several
tools show nothing without one.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from types import ModuleType
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from cacheplan.baseline import fingerprints
from cacheplan.finding import Finding
from cacheplan.origins import Origin
from cacheplan.report import Review
from cacheplan.rules import RULES
from cacheplan.wording import called, lane_of

__all__ = ["SCHEMA", "sarif"]

SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
#: What of a finding stands beside what the standard has a word for.
_PROPERTIES: Final = (
    "rule", "confidence", "calls", "saving_usd", "saving_usd_per_day", "examples", "fix",
)  # fmt: skip
#: What the fingerprint is made of; another number where that changes.
_FINGERPRINT: Final = "finding/v1"
#: Hexadecimal digits of a fingerprint: 128 bits, as long as those of a baseline.
_DIGITS: Final = 32


def sarif(
    found: Review, *, version: str = "", sources: Sequence[str] = (), show: bool = False
) -> dict[str, Any]:
    """Return one run; ``sources`` are the files the calls were read from."""
    driver: dict[str, Any] = {"name": "cacheplan", "rules": [_rule(rule) for rule in RULES]}
    if version:
        driver["version"] = version
    unknown = [*found.unpriced, *found.unmeasured]
    files = [source for source in sources if source and source != "-"]
    results = [_result(finding, found, files, show=show) for finding in found.findings]
    _tell_apart(results)
    run = {
        "tool": {"driver": driver},
        # Several runs on one commit are one for code scanning, unless they are told apart.
        "automationDetails": {"id": "cacheplan/review/"},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": not unknown,
                "toolExecutionNotifications": [
                    {"level": "note", "message": {"text": note}} for note in found.notes
                ],
            }
        ],
        "results": results,
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: ModuleType) -> dict[str, Any]:
    """Return what a rule is about; its page is its docstring."""
    page = inspect.getdoc(rule) or ""
    first, _, rest = page.partition("\n\n")
    return {
        "id": rule.CODE,
        "name": rule.__name__.rpartition(".")[2].replace("_", "-"),
        "shortDescription": {"text": " ".join(first.split())},
        "fullDescription": {"text": " ".join((rest.partition("\n\n")[0] or first).split())},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": rule.SEVERITY},
        "properties": {"tags": ["prompt-caching"]},
    }


def _result(finding: Finding, found: Review, files: Sequence[str], *, show: bool) -> dict[str, Any]:
    """Return one finding."""
    numbers = [rule.CODE for rule in RULES]
    fix = finding.fix
    text = f"{finding.message}."
    if fix is not None:
        text += f" Fix: {fix.what}."
    said = found.finding_json(finding, show=show)
    first, *others = _spots(finding, found, files)
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "level": finding.severity,
        # Braces and brackets stand for arguments and links in a message.
        "message": {"text": _plain(text)},
        "locations": [_location(finding, first)],
        "relatedLocations": [
            {"message": {"text": _plain(spot.words)}, **_location(finding, spot)} for spot in others
        ],
        "partialFingerprints": {_FINGERPRINT: _fingerprint(finding)},
        "properties": {key: said[key] for key in _PROPERTIES}
        | {"safe": None if fix is None else fix.safe},
    }
    if finding.code in numbers:
        result["ruleIndex"] = numbers.index(finding.code)
    if finding.accepted:
        # A known finding as well: not every tool that shows results reads their state.
        why = finding.waived or "known to the baseline"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": why}]
    if any(one.known for one in found.findings):
        result["baselineState"] = "unchanged" if finding.known else "new"
    return result


class _Spot(NamedTuple):
    """A call in which it can be seen, and where it was read."""

    words: str
    origin: Origin | None


def _spots(finding: Finding, found: Review, files: Sequence[str]) -> list[_Spot]:
    """Return the examples with their lines; what has none stands at the head of the file."""
    spots = [
        _Spot(f"also in {called(one)}", found.origins.of(one.call) if found.origins else None)
        for one in finding.examples
    ] or [_Spot("", None)]
    # A tool that shows findings in files shows nothing without a line.
    head = Origin(files[0], 1) if files else None
    return [spot._replace(origin=spot.origin or head) for spot in spots]


def _location(finding: Finding, spot: _Spot) -> dict[str, Any]:
    """Return where it is: in which calls and at which place, and in which line."""
    place = str(finding.place) if finding.place is not None else ""
    lane = lane_of(finding)
    location: dict[str, Any] = {
        "logicalLocations": [
            {
                "name": place or lane or finding.rule,
                "fullyQualifiedName": ": ".join(filter(None, (lane, place))) or finding.rule,
                "kind": "element",
            }
        ]
    }
    if spot.origin is not None and spot.origin.source != "-":
        location["physicalLocation"] = {
            "artifactLocation": {"uri": _uri(spot.origin.source)},
            "region": {"startLine": spot.origin.line},
        }
    return location


def _uri(source: str) -> str:
    """Return a file's name as a reference: relative as it was given, or a file's address."""
    path = quote(source.replace("\\", "/"))
    return f"file://{path}" if path.startswith("/") else path


def _fingerprint(finding: Finding) -> str:
    """Return what is the same for the same finding tomorrow, whatever it costs then."""
    digests = "\0".join(sorted(fingerprints(finding)))
    return sha256(digests.encode()).hexdigest()[:_DIGITS]


def _tell_apart(results: Sequence[dict[str, Any]]) -> None:
    """Number findings that a fingerprint does not tell apart, for tools that keep one of them."""
    seen: Counter[str] = Counter()
    for result in results:
        digest = result["partialFingerprints"][_FINGERPRINT]
        seen[digest] += 1
        # What code scanning goes by; it would digest the line, which is another every day.
        result["partialFingerprints"]["primaryLocationLineHash"] = f"{digest}:{seen[digest]}"


def _plain(text: str) -> str:
    """Escape what a message would take for an argument or a link (3.11.5, 3.11.6)."""
    for sign in ("\\", "[", "]"):
        text = text.replace(sign, f"\\{sign}")
    return text.replace("{", "{{").replace("}", "}}")
