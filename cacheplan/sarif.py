"""A review's findings in SARIF 2.1.0 (OASIS standard), for code-scanning tools.

A finding is about calls of one kind, not about a line of code, so its place is a logical
location; the file that the calls were read from stands beside it, since several tools show
nothing without one.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from hashlib import sha256
from types import ModuleType
from typing import Any, Final
from urllib.parse import quote

from cacheplan.finding import Finding
from cacheplan.report import Review
from cacheplan.rules import RULES
from cacheplan.wording import lane_of, redacted

__all__ = ["SCHEMA", "sarif"]

SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
#: What the fingerprint is made of; another number where that changes.
_FINGERPRINT: Final = "finding/v1"


def sarif(
    found: Review, *, version: str = "", sources: Sequence[str] = (), show: bool = False
) -> dict[str, Any]:
    """Return one run; ``sources`` are the files the calls were read from."""
    driver: dict[str, Any] = {"name": "cacheplan", "rules": [_rule(rule) for rule in RULES]}
    if version:
        driver["version"] = version
    unknown = [*found.unpriced, *found.unmeasured]
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": not unknown,
                "toolExecutionNotifications": [
                    {"level": "note", "message": {"text": note}} for note in found.notes
                ],
            }
        ],
        "results": [_result(finding, sources, show=show) for finding in found.findings],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: ModuleType) -> dict[str, Any]:
    """Return what a rule is about; its page is its docstring."""
    page = inspect.getdoc(rule) or ""
    name = rule.__name__.rpartition(".")[2].replace("_", "-")
    return {
        "id": rule.CODE,
        "name": name,
        "shortDescription": {"text": page.partition("\n")[0]},
        "fullDescription": {"text": page},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": rule.SEVERITY},
    }


def _result(finding: Finding, sources: Sequence[str], *, show: bool) -> dict[str, Any]:
    """Return one finding."""
    numbers = [rule.CODE for rule in RULES]
    fix = finding.fix
    text = f"{finding.message}."
    if fix is not None:
        text += f" Fix: {fix.what}."
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "level": finding.severity,
        # Braces and brackets stand for arguments and links in a message.
        "message": {"text": _plain(text)},
        "locations": [_location(finding, source) for source in sources or ("",)],
        "partialFingerprints": {_FINGERPRINT: _fingerprint(finding)},
        "properties": {
            "rule": finding.rule,
            "confidence": finding.confidence,
            "calls": finding.calls,
            "saving_usd": None if finding.saving is None else float(finding.saving),
            "saving_usd_per_day": (
                None if finding.saving_per_day is None else float(finding.saving_per_day)
            ),
            "safe": None if fix is None else fix.safe,
            "examples": [
                {"call": one.call, "id": one.id, "text": redacted(one, show=show)}
                for one in finding.examples
            ],
        },
    }
    if finding.code in numbers:
        result["ruleIndex"] = numbers.index(finding.code)
    return result


def _location(finding: Finding, source: str) -> dict[str, Any]:
    """Return where it is: in which calls and at which place, and in which file."""
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
    if source and source != "-":
        uri = quote(source.replace("\\", "/"))
        location["physicalLocation"] = {"artifactLocation": {"uri": uri}}
    return location


def _fingerprint(finding: Finding) -> str:
    """Return what is the same for the same finding tomorrow, whatever it costs then."""
    words = (finding.code, finding.rule, str(finding.place), *map(str, finding.lane or ()))
    return sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()


def _plain(text: str) -> str:
    """Escape what a message would take for an argument or a link (3.11.5, 3.11.6)."""
    for sign in ("\\", "[", "]"):
        text = text.replace(sign, f"\\{sign}")
    return text.replace("{", "{{").replace("}", "}}")
