"""SARIF: the structure that the standard asks for, section by section.

The clauses are those of SARIF 2.1.0 (OASIS standard, 27 March 2020); no package ships its
schema, so they are checked here one by one.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reviews import PERSON, dated, reviewed, steady

from cacheplan.report import Review
from cacheplan.rules import RULES
from cacheplan.sarif import SCHEMA, sarif

LEVELS = {"none", "note", "warning", "error"}


@pytest.fixture(scope="module")
def found() -> Review:
    """Review calls whose instructions begin with the time."""
    return reviewed(dated())


def conforms(document: dict[str, Any]) -> None:
    """Check a document against the clauses that apply to what it has."""
    # 3.13.2 version, 3.13.3 $schema, 3.13.4 runs
    assert set(document) == {"$schema", "version", "runs"}
    assert (document["version"], document["$schema"]) == ("2.1.0", SCHEMA)
    (run,) = document["runs"]
    # 3.14.6 tool, 3.14.17 columnKind
    assert set(run) == {"tool", "columnKind", "invocations", "results"}
    assert run["columnKind"] in {"utf16CodeUnits", "unicodeCodePoints"}
    # 3.19.8 name, 3.19.23 rules, 3.49.3 id
    driver = run["tool"]["driver"]
    assert set(driver) <= {"name", "version", "rules"}
    assert driver["name"]
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(set(ids)) == len(ids)
    for rule in driver["rules"]:
        for text in (rule["shortDescription"], rule["fullDescription"], rule["help"]):
            assert text["text"]  # 3.12.3
        assert rule["defaultConfiguration"]["level"] in LEVELS
    # 3.20.14 executionSuccessful, 3.20.21 toolExecutionNotifications
    (invocation,) = run["invocations"]
    assert isinstance(invocation["executionSuccessful"], bool)
    for notification in invocation["toolExecutionNotifications"]:
        assert notification["message"]["text"]
        assert notification["level"] in LEVELS
    for result in run["results"]:
        conforming_result(result, ids)


def conforming_result(result: dict[str, Any], ids: list[str]) -> None:
    """Check one result against the clauses of 3.27."""
    assert result["message"]["text"]  # 3.27.11
    assert result["level"] in LEVELS  # 3.27.10
    if "ruleIndex" in result:  # 3.27.6
        assert ids[result["ruleIndex"]] == result["ruleId"]
    for location in result["locations"]:  # 3.27.12, 3.28.4
        (logical,) = location["logicalLocations"]
        assert logical["name"]
        assert logical["fullyQualifiedName"]
        if "physicalLocation" in location:  # 3.4.3: a URI reference
            uri = location["physicalLocation"]["artifactLocation"]["uri"]
            assert re.fullmatch(r"[\w.~!$&'()*+,;=:@/%-]+", uri, re.ASCII)
    for name, value in result["partialFingerprints"].items():  # 3.27.17
        assert re.fullmatch(r".+/v\d+", name)
        assert isinstance(value, str)


def test_conforms(found: Review) -> None:
    """A review with findings becomes a document that the standard would accept."""
    document = sarif(found, version="1.2.3", sources=("logs/my calls.jsonl.gz",))
    conforms(document)
    results = document["runs"][0]["results"]
    assert [result["ruleId"] for result in results] == [one.code for one in found.findings]
    place = results[0]["locations"][0]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "logs/my%20calls.jsonl.gz"
    assert json.loads(json.dumps(document)) == document


@settings(max_examples=20)
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
