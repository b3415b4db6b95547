"""Baselines: a finding is the same one tomorrow, and another one is another."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reviews import PERSON, dated, lines, steady, subject

from cacheplan.baseline import (
    FORMAT,
    Entry,
    baseline,
    entries_of,
    fingerprints,
    gone,
    read_baseline,
)
from cacheplan.errors import InputError
from cacheplan.finding import Finding
from cacheplan.linter import lint
from cacheplan.prompt import Level, Place
from cacheplan.rules import volatile_span

ROOFS = "Slate or tile, thatch or tin: say what it costs. " * 300
LANE = ("claude-sonnet-5", "clerk")


def found(calls: Sequence[dict[str, Any]]) -> tuple[Finding, ...]:
    """Return what one rule finds in calls."""
    return lint(subject(calls), [volatile_span]).findings


def finding(**fields: Any) -> Finding:
    """Return a finding of a rule; ``fields`` stand over the defaults."""
    given: dict[str, Any] = {"rule": "some-rule", "code": "CP009", "severity": "warning"}
    return Finding(**{**given, "message": "wrong", "lane": LANE, "about": "a tool", **fields})


class TestFingerprint:
    """A fingerprint is made of what stays."""

    @settings(max_examples=25)
    @given(st.integers(6, 30), st.integers(0, 5), st.booleans())
    def test_other_calls(self, calls: int, start: int, turned: bool) -> None:
        """Other calls with other dates, fewer or more of them, in any order, are one finding."""
        other = dated(40)[start : start + calls]
        if turned:
            other = [
                {**line, "at": one["at"]} for line, one in zip(reversed(other), other, strict=True)
            ]
        (first,), (second,) = found(dated(8)), found(other)
        assert fingerprints(first) == fingerprints(second)
        assert entries_of([first]) == entries_of([second])

    @pytest.mark.parametrize(
        "fields",
        [{"code": "CP008"}, {"about": "a clock"}, {"lane": ("claude-sonnet-5", None)}],
    )
    def test_another(self, fields: dict[str, Any]) -> None:
        """Another rule, kind of calls or subject is another finding."""
        assert fingerprints(finding()) != fingerprints(finding(**fields))

    @pytest.mark.parametrize(
        "fields",
        [
            {"message": "quite wrong"},
            {"calls": 9},
            {"severity": "note"},
            {"place": Place(level=Level.MESSAGES, index=3)},
        ],
    )
    def test_the_same(self, fields: dict[str, Any]) -> None:
        """Its words, its severity, its number of calls and which message shows it are not in it."""
        assert fingerprints(finding()) == fingerprints(finding(**fields))

    def test_no_label_is_not_an_empty_one(self) -> None:
        """Calls without a label are of another kind than those whose label is empty."""
        bare, empty = (finding(lane=(LANE[0], label)) for label in (None, ""))
        assert fingerprints(bare) != fingerprints(empty)

    def test_one_for_each_kind_of_calls(self) -> None:
        """A fault of several features is recognised by any of them, in any order."""
        lanes = (LANE, ("claude-sonnet-5", "tutor"))
        both, turned = finding(lanes=lanes), finding(lanes=lanes[::-1])
        assert set(fingerprints(both)) == set(fingerprints(turned))
        assert fingerprints(finding()) == fingerprints(both)[:1]

    def test_two_prompts_of_one_kind(self) -> None:
        """Two prompts of calls without labels have a fault each, and each is another."""
        calls = dated(8, label="") + lines(
            (f"You mend roofs. It is 10:{at:02}. {ROOFS}" for at in range(8)), "", 410
        )
        for line in calls:
            del line["label"]
        one, other = found(calls)
        assert one.place == other.place
        assert fingerprints(one) != fingerprints(other)
        (again,) = found(calls[:8])
        assert fingerprints(again) in {fingerprints(one), fingerprints(other)}


class TestFile:
    """The file is sorted, without text, and read back as it was written."""

    def test_shape(self) -> None:
        """An entry says rule, calls and place, and what a prompt says is nowhere."""
        document = baseline(found(dated()))
        text = json.dumps(document)
        assert PERSON not in text
        assert "Serve" not in text
        (entry,) = document["findings"]
        assert re.fullmatch("[0-9a-f]{32}", entry.pop("fingerprint"))
        assert entry == {
            "code": "CP001",
            "rule": "volatile-span",
            "model": "claude-sonnet-5",
            "label": "clerk",
            "place": "system[0]",
        }

    @given(st.permutations([finding(code=f"CP00{at % 3}", about=str(at)) for at in range(6)]))
    def test_sorted(self, findings: list[Finding]) -> None:
        """The same findings in any order make the same file."""
        document = baseline(findings)
        assert document == baseline(findings[::-1])
        assert document["findings"] == sorted(document["findings"], key=lambda row: [*row.values()])
        assert [entry._asdict() for entry in read_baseline(document)] == document["findings"]

    def test_waived_ones_are_left_out(self) -> None:
        """What is waived needs no entry."""
        assert entries_of([finding(waived="by law"), finding(about="b")]) == entries_of(
            [finding(about="b")]
        )

    def test_messages_are_not_numbered(self) -> None:
        """Which message shows it is chance, so the file does not say it."""
        places = [Place(level=level, index=2) for level in Level]
        entries = [entries_of([finding(place=place)])[0] for place in places]
        assert [entry.place for entry in entries] == ["tools", "system[2]", "messages"]

    @pytest.mark.parametrize(
        ("document", "fault"),
        [
            ([], "this is no baseline"),
            ({"format": "cacheplan.plan/1"}, "this is no baseline"),
            ({"format": FORMAT}, "findings: this is not a list"),
            ({"format": FORMAT, "findings": [1]}, r"findings\[0\]: this is not an object"),
            (
                {"format": FORMAT, "findings": [dict.fromkeys(Entry._fields, 1)]},
                r"findings\[0\].code: this is not text",
            ),
        ],
    )
    def test_what_is_none(self, document: Any, fault: str) -> None:
        """Something else is refused with the place where it is wrong."""
        with pytest.raises(InputError, match=f"^{fault}"):
            read_baseline(document)

    def test_more_keys(self) -> None:
        """An entry with a remark of somebody's own is read without it."""
        document = baseline([finding()])
        document["findings"][0]["remark"] = "see the wiki"
        assert read_baseline(document) == tuple(entries_of([finding()]))


class TestGone:
    """An entry is gone where its calls are there and its finding is not."""

    def test_mended(self) -> None:
        """Calls of the same kind without the fault make their entry superfluous."""
        entries = entries_of(found(dated()))
        assert gone(entries, found(dated(9)), [LANE]) == []
        assert gone(entries, found(steady()), subject(steady()).lanes) == entries

    def test_not_called(self) -> None:
        """Where a feature was not called, nobody knows whether its fault is gone."""
        entries = entries_of(found(dated()))
        other = lines(["Be kind."] * 4, "tutor", 60)
        assert gone(entries, found(other), subject(other).lanes) == []
