"""Baselines: the findings a team has seen already, so that only new ones count.

An entry says which rule, which calls and where, and holds no text. It is recognised by a
fingerprint of its rule, its kind of calls and what it is about, so that it stays the
same with other calls, in another order, and in other numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

from cacheplan.errors import InputError
from cacheplan.finding import Finding
from cacheplan.lanes import LaneKey
from cacheplan.prompt import Level

__all__ = ["FORMAT", "Entry", "baseline", "entries_of", "fingerprints", "gone", "read_baseline"]

FORMAT: Final = "cacheplan.baseline/1"
#: Hexadecimal digits of a fingerprint: 128 bits, as long as a block's digest.
_DIGITS: Final = 32


class Entry(NamedTuple):
    """One finding in calls of one kind; sorted as the file is."""

    code: str
    rule: str
    model: str
    label: str
    #: Where it is seen: for the reader, not to recognise it by.
    place: str
    fingerprint: str


def fingerprints(finding: Finding) -> tuple[str, ...]:
    """Return what a finding is recognised by, one for each kind of calls."""
    return tuple(_fingerprint(finding, lane) for lane in finding.of or (("", None),))


def _fingerprint(finding: Finding, lane: LaneKey) -> str:
    """Digest what is the same tomorrow, whatever it costs then.

    A call without a label and one with an empty label are of different kinds.
    """
    label = [] if lane[1] is None else [lane[1]]
    words = (FORMAT, finding.code or finding.rule, finding.about, lane[0], *label)
    return sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def entries_of(findings: Iterable[Finding]) -> list[Entry]:
    """Return the entries of findings, sorted, each once; what is waived needs none."""
    made = {
        Entry(finding.code, finding.rule, lane[0], lane[1] or "", _place(finding), fingerprint)
        for finding in findings
        if not finding.waived
        for lane, fingerprint in zip(
            finding.of or (("", None),), fingerprints(finding), strict=True
        )
    }
    # Of two that are one finding for a baseline, one entry is enough.
    return sorted({entry.fingerprint: entry for entry in sorted(made, reverse=True)}.values())


def _place(finding: Finding) -> str:
    """Say where, as far as it is the same in every call: not which message."""
    if finding.place is None:
        return ""
    if finding.place.level is Level.SYSTEM:
        return str(finding.place)
    return str(finding.place.level)


def baseline(findings: Iterable[Finding]) -> dict[str, Any]:
    """Return the document of a baseline file."""
    return {"format": FORMAT, "findings": [entry._asdict() for entry in entries_of(findings)]}


def read_baseline(document: Any) -> tuple[Entry, ...]:
    """Read the document of a baseline file.

    >>> read_baseline({"format": "cacheplan.baseline/1", "findings": [{"code": "CP001"}]})
    Traceback (most recent call last):
    cacheplan.errors.InputError: findings[0].rule: missing
    """
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise InputError(f'this is no baseline: "format" is not "{FORMAT}"')
    findings = document.get("findings")
    if not isinstance(findings, list):
        raise InputError("this is not a list", ("findings",))
    read = []
    for at, row in enumerate(findings):
        try:
            read.append(_entry(row))
        except InputError as error:
            raise error.within(at).within("findings") from error
    return tuple(read)


def _entry(row: Any) -> Entry:
    """Read one entry; keys that nobody knows are left to those who do."""
    if not isinstance(row, Mapping):
        raise InputError("this is not an object")
    for key in Entry._fields:
        if key not in row:
            raise InputError("missing", (key,))
        if not isinstance(row[key], str):
            raise InputError("this is not text", (key,))
    return Entry(**{key: row[key] for key in Entry._fields})


def gone(
    known: Iterable[Entry], findings: Sequence[Finding], lanes: Collection[LaneKey]
) -> list[Entry]:
    """Return the entries that are found no more, though there are calls of their kind."""
    found = {fingerprint for finding in findings for fingerprint in fingerprints(finding)}
    kinds = {(model, label or "") for model, label in lanes}
    return [
        entry
        for entry in known
        if entry.fingerprint not in found and (entry.model, entry.label) in kinds
    ]
