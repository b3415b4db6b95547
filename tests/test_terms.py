"""Terms: rules that are off, waivers, a baseline, and what is too slight to tell."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reviews import dated, lines, steady, subject
from small import request

from cacheplan.baseline import entries_of
from cacheplan.errors import InputError
from cacheplan.finding import SEVERITIES, Finding
from cacheplan.linter import lint
from cacheplan.rules import RULES, volatile_span
from cacheplan.subject import Subject
from cacheplan.terms import Terms, code_named, failing, threshold
from cacheplan.waivers import Waiver

REASON = "the law wants the date there"


def finding(**fields: Any) -> Finding:
    """Return a finding."""
    given: dict[str, Any] = {"rule": "some-rule", "code": "CP001", "severity": "warning"}
    return Finding(**{**given, "message": "wrong", "lane": ("m", "a"), **fields})


def waiver(**fields: Any) -> Waiver:
    """Return a waiver."""
    return Waiver(**{"code": "CP001", "reason": REASON, **fields})


class TestOff:
    """A rule that is off says nothing."""

    @pytest.mark.parametrize("terms", [{"off": frozenset({"CP001"})}, {"waivers": (waiver(),)}])
    def test_what_follows(self, terms: Any) -> None:
        """With the cause off or waived, what follows from it fails no check either."""
        calls = subject(dated())
        assert [one.code for one in lint(calls).findings] == ["CP001"]
        free = lint(calls, [one for one in RULES if one is not volatile_span]).findings
        assert {one.code for one in free} & {"CP101", "CP205"}
        assert failing(lint(calls, terms=Terms(**terms)).findings, "warning") == []

    def test_not_run(self) -> None:
        """Where nothing may follow from it its check is not called; that it is off is said."""
        ran = []

        def rule(code: str) -> Any:
            def check(_: Subject) -> list[Finding]:
                ran.append(code)
                return []

            return SimpleNamespace(CODE=code, check=check)

        rules = [rule("CP001"), rule("CP002")]
        found = lint(subject(steady(2)), rules, Terms(off=frozenset({"CP001"})))
        assert ran == ["CP002"]
        assert found.notes == ("Rules that are off: CP001.",)

    @pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.CODE)
    def test_named(self, rule: Any) -> None:
        """Each rule has its code and its name, in capitals or not."""
        name = rule.__name__.rpartition(".")[2].replace("_", "-")
        assert {code_named(word) for word in (rule.CODE, rule.CODE.lower(), name)} == {rule.CODE}


class TestWaived:
    """What is waived is told, and counted nowhere."""

    def test_totals(self) -> None:
        """The bill with prompts mended is the bill without that finding's fix."""
        free = lint(subject(dated()), [volatile_span])
        held = lint(subject(dated()), [volatile_span], Terms(waivers=(waiver(),)))
        assert free.mended.input_cost is not None
        assert free.planned.input_cost is not None
        assert free.mended.input_cost < free.planned.input_cost
        assert held.mended == held.planned == free.planned
        (one,) = held.findings
        assert (one.waived, one.saving) == (REASON, free.findings[0].saving)
        assert held.notes == ("Findings that are waived: 1.",)
        assert failing(held.findings, "note") == []

    def test_beside_the_calls(self) -> None:
        """A line waives a finding of calls of its own kind, and of no others."""
        calls = [*dated(), *lines((f"You teach. {at} Be kind." * 200 for at in range(9)), "b", 60)]
        calls[3]["waive"] = ["volatile-span"]
        found = lint(subject(calls), [volatile_span])
        waived = {one.lane: one.waived for one in found.findings}
        assert waived[("claude-sonnet-5", "clerk")]
        assert not waived[("claude-sonnet-5", "b")]

    @pytest.mark.parametrize(
        ("labels", "waived"), [(("a",), False), (("a", "b"), True), ((None,), True)]
    )
    def test_all_its_calls(self, labels: tuple[str | None, ...], waived: bool) -> None:
        """A fault of two features is waived where it is waived for both."""
        terms = Terms(waivers=tuple(waiver(label=label) for label in labels))
        (one,) = terms.judged([finding(lanes=(("m", "a"), ("m", "b")))])
        assert bool(one.waived) is waived

    @pytest.mark.parametrize(
        "idle",
        [waiver(code="CP002"), waiver(place="tools"), waiver(label="b"), waiver(code="CP999")],
    )
    def test_nothing_to_waive(self, idle: Waiver) -> None:
        """A waiver that matches nothing is named."""
        found = lint(subject(dated()), [volatile_span], Terms(waivers=(idle,)))
        assert found.notes == (f"A waiver matches nothing: {idle}.",)
        assert not found.findings[0].waived


class TestKnown:
    """What a baseline has fails nothing, and is counted all the same."""

    def test_known(self) -> None:
        """A known finding is marked so; its fix still counts, since it is to be mended."""
        free = lint(subject(dated()), [volatile_span])
        terms = Terms(known=tuple(entries_of(free.findings)))
        held = lint(subject(dated(9)), [volatile_span], terms)
        assert [one.known for one in held.findings] == [True]
        assert held.mended != held.planned
        assert held.notes == ("Findings that the baseline knows: 1.",)
        assert failing(held.findings, "CP001") == []
        assert len(failing(free.findings, "CP001")) == 1

    def test_no_longer_found(self) -> None:
        """An entry whose finding is gone is counted and named, unless its rule is off."""
        known = tuple(entries_of(lint(subject(dated()), [volatile_span]).findings))
        said = lint(subject(steady()), [volatile_span], Terms(known=known)).notes
        assert said == ("Entries of the baseline that are no longer found: 1 (CP001).",)
        off = Terms(known=known, off=frozenset({"CP001"}))
        assert len(lint(subject(steady()), [volatile_span], off).notes) == 1


class TestWorth:
    """What saves too little is left out."""

    @given(st.decimals(0, 100, places=2), st.decimals(-100, 100, places=2) | st.none())
    def test_law(self, worth: Decimal, saving: Decimal | None) -> None:
        """A finding stays if it saves as much, or nobody knows, or the call is refused."""
        one = finding(saving_per_day=saving)
        refused = finding(saving_per_day=saving, severity="error")
        kept = Terms(worth=worth).worthy([one, refused])
        assert refused in kept
        assert (one in kept) == (saving is None or saving >= worth)
        assert Terms().worthy([one]) == [one]

    def test_totals(self) -> None:
        """What is left out is counted in a note, and in no bill."""
        found = lint(subject(dated()), [volatile_span], Terms(worth=Decimal(1_000_000)))
        assert found.findings == ()
        assert found.mended == found.planned
        assert (
            found.notes == ("Findings that save less than $1,000,000 a day, left out: 1.",)
            or "left out: 1" in found.notes[0]
        )

    def test_together(self) -> None:
        """What saves nothing alone is judged by what it saves with what hides it."""
        rules = "Answer from the document alone and be kind. " * 200
        asked = []
        for at in range(40):
            source = {"type": "text", "media_type": "text/plain", "data": f"{at * 7919} " * 400}
            question = {"type": "text", "text": f"{rules}Question {at}: why {at * 31}?"}
            said = {"role": "user", "content": [{"type": "document", "source": source}, question]}
            asked.append({"at": 120 * at, "request": request(said, system="Answer.")})
        calls = subject(asked)
        free = lint(calls)
        assert free.planned.input_cost is not None
        assert free.mended.input_cost is not None
        saved = free.planned.input_cost - free.mended.input_cost
        daily = saved * 86_400 / Decimal(calls.workload.span)
        assert {one.code: one.saving for one in free.findings} == dict.fromkeys(
            ("CP002", "CP009"), Decimal()
        )
        held = lint(calls, terms=Terms(worth=daily / 2))
        assert [*map(str, held.findings)] == [*map(str, free.findings)]
        assert held.mended == free.mended
        assert lint(calls, terms=Terms(worth=daily * 2)).findings == ()


class TestThreshold:
    """A threshold is a severity or a rule."""

    def test_none(self) -> None:
        """Any other word is an error that names what there is."""
        assert threshold("Volatile-Span") == "CP001"
        with pytest.raises(InputError, match='"grave" is no severity and no rule; there are error'):
            threshold("grave")

    @given(st.lists(st.builds(finding, severity=st.sampled_from(SEVERITIES), known=st.booleans())))
    def test_failing(self, findings: list[Finding]) -> None:
        """What is as grave fails, unless it is accepted."""
        for at, wanted in enumerate(SEVERITIES):
            expected = [
                one for one in findings if not one.known and SEVERITIES.index(one.severity) <= at
            ]
            assert failing(findings, wanted) == expected
