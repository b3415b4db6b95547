"""A review: its numbers, its first screen, its JSON, and what it keeps to itself."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reviews import PERSON, dated, reviewed, steady, subject
from small import digest_line, digest_workloads, message, request

from cacheplan.errors import InputError
from cacheplan.report import Review, failing, review, threshold
from cacheplan.screen import WIDTH


@pytest.fixture(scope="module")
def found() -> Review:
    """Review calls whose instructions begin with the time."""
    return reviewed(dated())


class TestNumbers:
    """The money adds up, and what nobody knows is not made up."""

    def test_sums(self, found: Review) -> None:
        """What is paid, planned and mended is what the simulations cost."""
        paid, planned, mended = (row.amount for row in found.sums())
        assert paid == found.found.paid.input_cost
        assert planned == found.found.planned.input_cost
        assert mended == found.found.mended.input_cost
        assert paid is not None
        assert planned is not None
        assert mended is not None
        assert mended < planned < paid

    def test_a_day(self, found: Review) -> None:
        """A day costs as much more as it is longer than the calls."""
        assert found.daily(Decimal(1)) == Decimal(86_400) / Decimal(11 * 400)

    def test_short_logs_say_nothing_of_a_day(self) -> None:
        """An hour or less is not blown up to a day, and that is said."""
        short = reviewed(steady(4))
        assert short.to_json()["paid"]["input_cost_usd_per_day"] is None
        assert "a day" not in short.text().split("What calls share")[0]
        assert any("an hour or less" in note for note in short.notes)

    def test_billed(self) -> None:
        """Where every call says what was counted, the record is priced; else nothing is."""
        usage = {"input_tokens": 1_000_000, "output_tokens": 1}
        recorded = [{**line, "response": {"usage": usage}} for line in steady(4)]
        whole = reviewed(recorded)
        assert whole.billed is not None
        assert "the record says" in whole.text()
        assert reviewed([*recorded, *steady(1)]).billed is None

    def test_notes_are_told_once(self) -> None:
        """What was left out of the calls is said at the end, and not under every table."""
        line = {**steady(1)[0], "at": 99, "request": {**steady(1)[0]["request"]}}
        thread = {"type": "continue", "thread_id": "t"}
        line["request"] |= {"thread": thread}
        said = reviewed([*steady(4), line]).text()
        assert " ".join(said.split()).count("bodies that hold only the newest messages") == 1

    def test_unknown_model(self) -> None:
        """Structure is said whole; money is unknown and never zero."""
        lines = steady(4)
        for line in lines:
            line["request"]["model"] = "a-new-one"
        found = reviewed(lines)
        assert found.unpriced == ("a-new-one",)
        assert found.unmeasured == ("a-new-one",)
        assert found.to_json()["paid"]["input_cost_usd"] is None
        assert "$0" not in found.text()
        assert found.shared[0].calls == 4
        assert found.text().count("No price is known for a-new-one") == 2


class TestFirstScreen:
    """24 lines of 80 characters say what is paid, what would be, and what to do."""

    def test_fits(self, found: Review) -> None:
        """The answer is at most a screen long, and no line of it is too wide."""
        answer = found.text().split("\n\nFindings")[0].splitlines()
        assert len(answer) <= 24
        assert all(len(line) <= WIDTH for line in answer)

    def test_answers(self, found: Review) -> None:
        """It names both bills, the plan and the finding, each with what it saves."""
        screen = "\n".join(found.text().splitlines()[:24])
        for row in found.sums():
            assert row.name in screen
        assert re.search(r"1\. saves \$.*: mark as planned", screen)
        assert "CP001" in screen

    def test_at_most_three_things(self) -> None:
        """More than three things to do are counted, not listed there."""
        lines = [line for name in "abcd" for line in dated(label=name)]
        found = reviewed(lines)
        assert len(found.steps()) > 3
        assert "4. " not in found.text().split("\n\nFindings")[0]
        assert f"and {len(found.steps()) - 3} more below" in found.text()

    def test_marks_are_one_thing(self) -> None:
        """Findings about marks are mended by the plan, so they are named with it, once."""
        lines = steady(every=60)
        for line in lines:
            line["request"]["system"][0].pop("cache_control")
        found = reviewed(lines)
        about_marks = [one for one in found.findings if one.fix and one.fix.remark]
        (plan, *_) = found.steps()
        assert plan.what == "mark as planned"
        assert plan.worth.startswith("saves $")
        for one in about_marks:
            assert one.saving is None or one.saving <= 0 or one.code in plan.how
            assert not any(f"({one.code} " in step.what for step in found.steps())

    def test_nothing_to_do(self) -> None:
        """Calls that could not be marked better are told so."""
        short = [
            {"at": at * 900, "request": request(message("user", f"Question {at}"))}
            for at in range(8)
        ]
        assert "There is nothing to do" in reviewed(short).text()

    def test_terminals_obey_nothing(self) -> None:
        """What a terminal would obey is shown as what it is."""
        text = reviewed(dated(label="a\x1b[31mb")).text()
        assert "\x1b" not in text
        assert "a\\x1b[31mb" in text


class TestInARepl:
    """Values say in a line what they are, and as tables in a notebook."""

    def test_lines(self, found: Review) -> None:
        """A review, its findings, its plan and its comparison are a short line each."""
        for value in (found, found.found, found.plan, found.comparison):
            assert len(repr(value).splitlines()) == 1
            assert len(repr(value)) < 200
        assert "you pay $" in repr(found)
        assert repr(subject(dated()).workload).startswith("<Workload: 12 calls over 1.2 hours, ")
        assert repr(found.found.findings[0]).startswith("<Finding: ")
        assert len(repr(found.found.findings[0]).splitlines()) == 1

    def test_tables(self, found: Review) -> None:
        """Each shows itself in a notebook with its rows, and nothing of it is markup."""
        assert "CP001" in found.found._repr_html_()
        for value in (found, found.found, found.plan, found.comparison):
            assert "<table>" in value._repr_html_()
        wild = reviewed(dated(label="<img src=x>"))
        for value in (wild, wild.found, wild.plan, wild.comparison):
            assert "<img" not in value._repr_html_()


class TestShape:
    """The JSON has the keys of the contract."""

    def test_keys(self, found: Review) -> None:
        """Every promised key is there, at every depth."""
        made = found.to_json()
        assert {"workload", "projection", "shared", "findings"} <= set(made)
        assert {"calls", "prompt_tokens", "output_tokens", "tokens_from"} <= set(made["workload"])
        assert {"policies", "bound", "bounds", "billed"} <= set(made["projection"])
        for row in made["shared"]:
            assert set(row) >= {
                "prefix", "level", "tokens", "calls", "gaps", "breakpoint", "ttl", "because",
            }  # fmt: skip
        for row in made["findings"]:
            assert set(row) >= {
                "code", "rule", "severity", "confidence", "place", "calls", "message",
                "saving_usd", "saving_usd_per_day", "fix",
            }  # fmt: skip
            assert {"safe", "what", "before", "after"} <= set(row["fix"])

    @settings(max_examples=30)
    @given(digest_workloads(models=["claude-sonnet-5", "claude-haiku-4-5", "a-new-one"]))
    def test_every_workload(self, lines: list[dict[str, object]]) -> None:
        """Whatever was called, a review can be made, printed and written."""
        found = reviewed(lines)
        json.dumps(found.to_json(), allow_nan=False)
        assert str(found) == found.text()
        assert found._repr_html_().startswith("<p>")
        assert all(sum(row.gaps) <= row.calls for row in found.shared)


class TestPrivacy:
    """What prompts say is shown as its shape."""

    def test_shape(self, found: Review) -> None:
        """No report holds a word of a prompt, unless text is asked for."""
        for said in (str(found), json.dumps(found.to_json()), found._repr_html_()):
            assert "Winterbottom" not in said
            assert "10:0" not in said

    def test_text(self, found: Review) -> None:
        """Asked for, the span that differs is shown as it is."""
        example = found.to_json(show=True)["findings"][0]["examples"][0]
        hidden = found.to_json()["findings"][0]["examples"][0]
        assert example["text"] != hidden["text"]
        assert len(example["text"]) == len(hidden["text"])
        assert example["text"] in found.text(show=True)
        assert PERSON not in example["text"]

    def test_notebook(self) -> None:
        """A notebook gets no markup out of a label."""
        shown = reviewed(dated(label="<script>alert(1)</script>"))._repr_html_()
        assert "<script" not in shown
        assert "&lt;script" in shown

    def test_digests(self) -> None:
        """Calls without text are reviewed, and what could not be looked at is said."""
        prompt = [("s", 3_000, "system"), ("q", 2_000, "messages")]
        found = reviewed([digest_line(prompt, at=at) for at in (0, 60, 7_000)])
        assert all(example.text == "" for one in found.findings for example in one.examples)
        assert any("carry no text" in note for note in found.notes)


class TestThreshold:
    """``--fail-on`` takes a severity or a rule."""

    @pytest.mark.parametrize(
        ("word", "meant"),
        [
            ("warning", "warning"),
            ("CP001", "CP001"),
            ("cp001", "CP001"),
            ("volatile-span", "CP001"),
        ],
    )
    def test_words(self, word: str, meant: str) -> None:
        """A code may be written small, and a rule by its name."""
        assert threshold(word) == meant

    def test_unknown(self) -> None:
        """Anything else is refused with what there is."""
        with pytest.raises(InputError, match='"CP999" is no severity and no rule; there are error'):
            threshold("CP999")

    @pytest.mark.parametrize(
        ("wanted", "hit"), [("error", 0), ("warning", 1), ("note", 1), ("CP001", 1), ("CP002", 0)]
    )
    def test_failing(self, found: Review, wanted: str, hit: int) -> None:
        """A severity takes in those above it; a code is itself alone."""
        codes = [finding for finding in found.findings if finding.code == "CP001"]
        assert len(failing(codes, wanted)) == hit


@given(st.sampled_from([0.0, 0.3, 0.5]))
@settings(max_examples=3, deadline=None)
def test_train_is_passed_on(train: float) -> None:
    """The policies are scored on the calls after the share that is learned from."""
    found = reviewed(steady(), train=train)
    assert found.comparison.calls == (12 if train == 0 else sum(n / 11 >= train for n in range(12)))


def test_watching() -> None:
    """Whoever watches hears of the rules, of every policy, and of what is shared."""
    heard: list[str] = []
    review(subject(steady(2)), watch=heard.append)
    assert heard[0] == "running the rules"
    assert "comparing: planned" in heard
    assert heard[-1] == "looking at what is shared"
