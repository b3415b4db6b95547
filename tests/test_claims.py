"""What a source does not say is not concluded: by no rule, in no bill, in no form."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final

import msgspec
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reviews import dated, reviewed, steady, subject
from small import Words, digest_line, digest_workloads, workload

from benchmarks.rules import examples, needs
from cacheplan.advice import advise
from cacheplan.calibration import calibrate
from cacheplan.choosing import choose
from cacheplan.claims import Claims
from cacheplan.comparison import compare
from cacheplan.contest import contest
from cacheplan.finding import Finding
from cacheplan.io.cli import main
from cacheplan.lacking import LACKING, lacks_in
from cacheplan.linter import lint
from cacheplan.markdown import markdown
from cacheplan.page import page
from cacheplan.prices import Sheet
from cacheplan.projection import Projection, project, replay, unknown
from cacheplan.records import Intake
from cacheplan.rules import RULES
from cacheplan.sarif import sarif
from cacheplan.subject import Remembering, Subject
from cacheplan.usage import Usage
from cacheplan.workload import Call, Workload

SHEET: Final = Sheet.default()
MODELS: Final = ("claude-sonnet-5", "claude-haiku-4-5")
MARKED: Final = [rule for rule in RULES if "marks" in rule.NEEDS]
TEMPLATE: Final = Path(lint.__code__.co_filename).with_name("page.html")
TREE: Final = [("t", 2_000, "tools"), ("s", 3_000, "system")]
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.CODE)
slowly = settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])


@cache
def failing(rule: ModuleType) -> Sequence[dict[str, Any]]:
    """Return the calls that a rule's page says fail, none of which takes more than the defaults."""
    found = examples(rule, "Fails")
    return found.lines if found.assume is None else ()


def seen(lines: Iterable[dict[str, Any]]) -> Subject:
    """Read lines as rules see them, a word a token."""
    counter = Remembering(Words())
    intake = Intake(counter)
    for line in lines:
        intake.add(json.dumps(line).encode())
    return Subject(intake.workload(), SHEET, counter.bodies)


def lacking(lines: Iterable[dict[str, Any]], *words: str) -> list[dict[str, Any]]:
    """Return lines whose source does not say some things."""
    return [{**line, "lacks": [*words]} for line in lines]


def blinded(calls: Workload, *, recorded: bool = True, most: int | None = None) -> Workload:
    """Return calls of which nobody knows the marks, with what they were served as recorded."""
    served = replay(calls, lambda call: call.marks, SHEET)
    found = [
        one.call
        if one.refused is not None or (most is not None and at >= most)
        else msgspec.structs.replace(
            one.call,
            marks=(),
            automatic=None,
            recorded=one.usage if recorded else None,
            lacks=("marks",),
        )
        for at, one in enumerate(served)
    ]
    return _with(calls, found)


def _with(calls: Workload, found: Sequence[Call]) -> Workload:
    """Return a workload with other calls in it."""
    return Workload(tree=calls.tree, calls=found, assume=calls.assume)


def as_sent(calls: Workload) -> Projection:
    """Return what calls cost as they were sent."""
    return project(calls, lambda call: call.marks, SHEET, "as-marked", as_sent=True)


def talk(calls: int = 20, **fields: Any) -> list[dict[str, Any]]:
    """Return calls that share a head, marked, ten minutes apart."""
    head = [{"block": 1, "ttl": "5m"}]
    return [
        digest_line([*TREE, (f"q{at}", 50, "messages")], at=at * 600, marks=head, **fields)
        for at in range(calls)
    ]


# --- what rules need -------------------------------------------------------------------


@each_rule
def test_each_rule_says_what_it_needs(rule: ModuleType) -> None:
    """A rule names what a log must say, in words that a line may lack; no rule needs nothing."""
    assert isinstance(rule.NEEDS, frozenset)
    assert rule.NEEDS
    # A lifetime is part of a mark; what usage leaves open about it is only priced.
    assert set(LACKING) - {"lifetimes"} >= rule.NEEDS
    assert all(f"`{word}`" in needs(rule) for word in rule.NEEDS)


def test_rules_about_marks_need_marks() -> None:
    """Whatever tells from marks what they were worth needs them; a prompt's layout does not."""
    codes = {rule.CODE for rule in MARKED}
    assert codes == {rule.CODE for rule in RULES if rule.CODE[2] == "1"} | {"CP201"}


def test_only_the_order_of_tools_needs_no_text() -> None:
    """Text that is cut off is the same where the rest of it differs, so rules do without it."""
    assert [rule.CODE for rule in RULES if "text" not in rule.NEEDS] == ["CP003"]


@each_rule
def test_a_rule_is_silent_about_what_it_cannot_know(rule: ModuleType) -> None:
    """Calls that fail a rule pass it where all lack any one thing that it needs."""
    found = {one.code for one in lint(seen(failing(rule)), [rule]).findings}
    assert found == ({rule.CODE} if failing(rule) else set())
    for word in rule.NEEDS if failing(rule) else ():
        quiet = lint(seen(lacking(failing(rule), word)), [rule])
        assert quiet.findings == ()
        assert f": {rule.CODE} is left out; " in quiet.notes[0]


@slowly
@given(st.data())
def test_no_example_lacks_what_its_rule_needs(data: st.DataObject) -> None:
    """Whatever calls lack, those shown of a finding say all that its rule needs."""
    lines: list[dict[str, Any]] = []
    for rule in data.draw(st.lists(st.sampled_from(RULES), min_size=1, max_size=2, unique=True)):
        lines += failing(rule)
    words = st.lists(st.sampled_from([*LACKING]), max_size=2)
    some = data.draw(st.lists(st.one_of(st.just([]), words), min_size=1, max_size=6))
    looked_at = seen({**line, "lacks": some[at % len(some)]} for at, line in enumerate(lines))
    by = {call.number: set(call.lacks) for call in looked_at.workload}
    rules = {rule.CODE: rule for rule in RULES}
    for one in lint(looked_at).findings:
        required = rules[one.code].NEEDS
        assert all(required.isdisjoint(by[each.call]) for each in one.examples)
        assert one.calls <= sum(required.isdisjoint(own) for own in by.values())


def shape(one: Finding) -> tuple[Any, ...]:
    """Return what must not change of a finding; what a day saves rests on all times."""
    fix = one.fix
    by_marks = fix is not None and fix.remark is not None
    patch = fix.patch if fix is not None and by_marks else None
    money = (one.saving, one.severity) if by_marks else None
    return one.code, one.lane, one.place, one.calls, one.message, one.examples, money, patch


@slowly
@given(st.sampled_from(MARKED), st.data())
def test_calls_of_unknown_marks_change_nothing_about_marks(
    rule: ModuleType, data: st.DataObject
) -> None:
    """What is found about marks, and what it is worth, is the same beside calls without any."""
    lines = list(failing(rule))
    if any("at" not in line for line in lines):
        return
    also = data.draw(st.lists(st.sampled_from(lines), max_size=8))
    delay = data.draw(st.sampled_from([0, 1, 60, 290, 900, 4000]))
    beside = lacking(({**line, "at": line["at"] + delay} for line in also), "marks")
    alone = lint(seen(lines), MARKED).findings
    both = lint(seen([*lines, *beside]), MARKED).findings
    assert sorted(map(repr, map(shape, alone))) == sorted(map(repr, map(shape, both)))


# --- nothing lacks ---------------------------------------------------------------------


def test_where_nothing_lacks_rules_see_the_one_subject() -> None:
    """A log that says everything is looked at as it is, and not a word is said of it."""
    looked_at = subject(dated())
    given_to: list[Subject] = []

    def check(one: Subject) -> Iterator[Finding]:
        given_to.append(one)
        yield from ()

    rule: Any = SimpleNamespace(check=check)
    claims = Claims(looked_at)
    assert not [*claims.check(rule)]
    assert given_to == [looked_at]
    assert claims.marked is looked_at.workload
    assert not [*claims.notes(RULES)]


def test_what_lacks_nothing_is_reviewed_as_before() -> None:
    """An empty list says as much as none, to the byte."""
    plain, said = reviewed(dated()), reviewed(lacking(dated()))
    assert json.dumps(plain.to_json()) == json.dumps(said.to_json())
    assert str(plain) == str(said)
    assert "lacks" not in plain.to_json()["workload"]
    assert plain.found.lacks == {}


def test_each_part_is_made_once() -> None:
    """Rules that need the same of what is missing share one subject, and what it has found."""
    mixed = [*lacking(dated(6), "marks"), *dated(6)]
    claims = Claims(subject(mixed))
    one, other = (claims.saying(frozenset(words)) for words in (["marks", "text"], ["marks"]))
    assert one is other
    assert one is not None
    assert len(one.workload) == 6
    assert claims.saying(frozenset({"text"})) is claims.saying(frozenset())


# --- what is said of it ----------------------------------------------------------------


def test_one_note_for_each_thing_that_is_missing() -> None:
    """A note says how many calls lack something, and which rules did without them."""
    lines = [*lacking(dated(4), "tools", "marks"), *lacking(dated(5), "tools")]
    tools, marks = Claims(subject(lines)).notes(RULES)
    assert tools == (
        "No call says which tools were sent: CP003, CP004, CP007, CP008, CP104, CP204 and CP205"
        " are left out; what calls share may be less than is said."
    )
    assert marks == (
        "4 of 9 calls do not say where breakpoints stood: CP101, CP102, CP103, CP105, CP106, CP107,"
        " CP108, CP109, CP110 and CP201 looked only at the others; CP104 is left out; what such a"
        " call cost is what was recorded, and unknown where nothing was."
    )


def test_a_rule_may_be_left_out_though_no_one_thing_is_missing_everywhere() -> None:
    """Where each call lacks something else that a rule needs, it sees no call, and that is told."""
    lines = [*lacking(dated(4), "times"), *lacking(dated(1), "marks")]
    marks, times = Claims(subject(lines)).notes(MARKED[:1])
    code = MARKED[0].CODE
    assert marks.startswith(
        f"1 of 5 calls does not say where breakpoints stood: {code} is left out"
    )
    assert times.startswith(f"4 of 5 calls do not say the time of sending: {code} is left out")


def test_what_a_line_lacks_is_counted_in_the_order_of_a_prompt() -> None:
    """Words are told in the order they are listed in, whatever calls lack first."""
    calls = workload([*lacking(talk(2), "marks"), *lacking(talk(1), "tools", "marks")])
    assert [*lacks_in(calls).items()] == [("tools", 1), ("marks", 3)]


def test_notes_name_no_rule_that_is_off() -> None:
    """What is not run is not said to be left out."""
    (note,) = Claims(subject(lacking(dated(3), "settings"))).notes(MARKED)
    assert note == "No call says what was set: what calls share may be less than is said."


def test_every_form_says_what_is_missing() -> None:
    """Text, JSON, Markdown, SARIF, the page and a notebook all have the notes."""
    found = reviewed(lacking(dated(), "marks"))
    first = "No call says where breakpoints stood"
    notes = sarif(found)["runs"][0]["invocations"][0]["toolExecutionNotifications"]
    forms = [
        str(found),
        json.dumps(found.to_json()),
        markdown(found),
        json.dumps(notes),
        page(found, TEMPLATE.read_text(encoding="utf-8")),
        found._repr_html_(),
    ]
    assert all(first in " ".join(form.split()) for form in forms)
    assert found.to_json()["workload"]["lacks"] == {"marks": 12}


def test_marks_that_nobody_knows_are_not_drawn_as_none() -> None:
    """The typical prompt says that its marks are not known, where a page draws them."""
    found = reviewed(lacking(dated(), "marks"))
    assert [one["marks_known"] for one in found.to_json()["prompts"]] == [False]
    template = TEMPLATE.read_text(encoding="utf-8")
    assert ">not known</text>" in page(found, template)
    assert ">not known</text>" not in page(reviewed(dated()), template)


# --- money -----------------------------------------------------------------------------


@given(digest_workloads(MODELS))
def test_what_was_recorded_is_what_was_paid(lines: list[dict[str, Any]]) -> None:
    """Calls of unknown marks cost what their usage says, whatever they would cost unmarked."""
    calls = workload(lines)
    known, found = as_sent(calls), as_sent(blinded(calls))
    assert (found.usage, found.cost, found.input_cost) == (
        known.usage,
        known.cost,
        known.input_cost,
    )
    assert found.rejected == known.rejected
    assert found.recorded == len(calls) - known.rejected
    assert (known.recorded, known.unknown, found.unknown) == (0, 0, 0)


@given(digest_workloads(MODELS), st.integers(1, 12))
def test_where_nothing_was_recorded_nobody_knows(lines: list[dict[str, Any]], most: int) -> None:
    """A call of unknown marks and usage counts nothing, and the sum is unknown, not low."""
    calls = blinded(workload(lines), recorded=False, most=most)
    found = as_sent(calls)
    lost = sum(map(unknown, calls))
    assert found.unknown == lost
    assert (found.cost is None) == (found.input_cost is None) == bool(lost)
    rest = as_sent(_with(calls, [call for call in calls if not unknown(call)]))
    assert (found.usage, found.refusals) == (rest.usage, rest.refusals)
    assert not found.unpriced


def test_other_policies_mark_calls_of_unknown_marks_as_any() -> None:
    """Where a policy says what the marks are, nobody has to know what they were."""
    calls = workload(talk())
    blind = blinded(calls)
    for one in (lambda _: (), choose(calls, SHEET).marker(calls.tree)):
        assert project(blind, one, SHEET, "any") == project(calls, one, SHEET, "any")


def test_a_saving_is_claimed_against_what_was_recorded() -> None:
    """The step that says to mark by the plan saves what was recorded less what is planned."""
    calls = blinded(workload(talk()))
    found = lint(Subject(calls, SHEET, {}))
    assert found.alike
    assert found.paid.input_cost is not None
    assert found.planned.input_cost is not None
    assert found.paid.input_cost > found.planned.input_cost
    assert found.paid.recorded == 20


def test_no_saving_is_claimed_against_what_nobody_knows() -> None:
    """A review of calls without marks and usage has a plan, its price, and no saving over now."""
    found = reviewed(lacking(steady(), "marks"))
    paid, planned, *_ = found.sums()
    assert (paid.amount, paid.how) == (None, "12 calls tell neither marks nor usage")
    assert planned.amount is not None
    (step,) = found.steps()
    assert (step.what, step.saving, step.worth) == ("mark as planned", None, "")
    assert found.found.paid.unknown == 12
    assert "as-marked: of calls whose marks nobody knows, the cost of 6 is unknown." in str(found)
    assert found.comparison["uncached"].input_cost is not None
    assert found.comparison.bounds.highest is not None


def test_no_saving_is_claimed_between_bills_of_different_prompts() -> None:
    """Where usage counts far more than is known of the prompts, the two are not set off."""
    usage = {"usage": {"input_tokens": 90_000, "output_tokens": 5}}
    lines = [{**line, **usage} for line in lacking(steady(), "marks")]
    found = reviewed(lines)
    assert not found.found.alike
    assert found.found.paid.input_cost is not None
    assert {step.saving for step in found.steps() if step.what == "mark as planned"} <= {None}
    assert any(note.startswith("Usage counts 1,080,000 prompt tokens") for note in found.notes)


def test_other_marks_are_worth_the_same_beside_calls_of_unknown_marks() -> None:
    """A finding about marks keeps its saving where nobody knows what all calls cost."""
    lines = steady(8, every=100)
    for line in lines:
        del line["request"]["system"][0]["cache_control"]
    beside = lacking(({**line, "at": line["at"] + 50} for line in lines), "marks")
    (alone,) = lint(subject(lines), MARKED).findings
    found = lint(subject([*lines, *beside]), MARKED)
    (both,) = found.findings
    assert found.paid.input_cost is None
    assert both.saving == alone.saving
    assert both.saving is not None
    assert both.saving > 0


# --- the record ------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["marks", "times"])
def test_calls_of_unknown_marks_or_times_are_held_against_nothing(word: str) -> None:
    """How well the simulation agrees with the record is judged on what can be simulated."""
    calls = workload(talk())
    with_usage = [
        msgspec.structs.replace(
            one.call, recorded=one.usage, lacks=(word,) if one.call.number % 2 else ()
        )
        for one in replay(calls, lambda call: call.marks, SHEET)
    ]
    mixed = _with(calls, with_usage)
    found = calibrate(mixed, replay(mixed, lambda call: call.marks, SHEET, as_sent=True), SHEET)
    assert found is not None
    assert found.calls == 10
    silent = _with(calls, [call for call in with_usage if call.lacks])
    assert compare(silent, SHEET).calibration is None
    assert compare(silent, SHEET).billed is not None


def test_a_comparison_says_what_rests_on_the_record() -> None:
    """The row as marked has a note, in words and in JSON; no other row has one."""
    calls = blinded(workload(talk()), most=15)
    found = contest(calls, SHEET, train=0)
    said = "as-marked: of calls whose marks nobody knows, 15 count as recorded."
    assert said in str(found)
    assert found.to_json()["notes"][-1] == said
    assert sum("nobody knows" in note for note in found.to_json()["notes"]) == 1
    assert "as recorded" in str(found["as-marked"])


# --- times -----------------------------------------------------------------------------


def test_without_times_nothing_is_said_of_days_and_gaps() -> None:
    """No amount a day, no span, no gap and no share of them is told of moments nobody knows."""
    lines = [*dated(), *steady(label="other")]
    known, found = reviewed(lines), reviewed(lacking(lines, "times"))
    assert " a day" in str(known)
    assert any("within the hour" in row.because for row in known.shared)
    text = str(found)
    assert " a day" not in text.replace("what a day costs", "")
    assert "hours" not in text
    assert "within the hour" not in text
    assert " within 5 minutes" not in text
    assert {row.again for row in found.shared} == {0}
    assert all("nobody knows how soon" in row.because for row in found.shared)
    assert all(one.saving_per_day is None for one in found.findings)
    assert found.plan.chosen_on == "Chosen on 24 calls; not all say when they were sent."
    assert found.found.planned.input_cost == known.found.planned.input_cost


def test_without_times_there_is_no_advice_about_moments() -> None:
    """Sending calls at other times is no advice where nobody knows when they were sent."""
    lines = talk(6, first_token_after=9)
    close = [{**line, "at": line["at"] / 300} for line in lines]
    calls, vague = workload(close), workload(lacking(close, "times"))
    plan = choose(calls, SHEET)
    assert advise(calls, plan, SHEET)
    assert advise(vague, plan, SHEET) == ()


def test_gaps_between_known_moments_are_told_beside_unknown_ones() -> None:
    """A prefix used by calls with times and calls without has the gaps between the former."""
    lines = [*dated(0), *steady(6), *lacking(steady(1), "times")]
    found = reviewed([{**line, "at": at * 60} for at, line in enumerate(lines)])
    row = max(found.shared, key=lambda each: each.calls)
    assert (row.calls, row.again) == (7, 5)
    assert "of 1 nobody knows how soon" in row.because


# --- lines written and numbers told -----------------------------------------------------


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with calls of unknown marks: recorded, and not; text, and digests."""
    monkeypatch.chdir(tmp_path)
    plain = [_unmarked(line) for line in steady(every=100)]
    (tmp_path / "plain.jsonl").write_text("\n".join(map(json.dumps, plain)), encoding="utf-8")
    served = run("simulate", "plain.jsonl", "--policy", "uncached").stdout.splitlines()
    told = [{"input_tokens": json.loads(row)["uncached"], "output_tokens": 1} for row in served]
    recorded = [{**line, "usage": own} for line, own in zip(plain, told, strict=True)]
    forms = {
        "recorded": lacking(recorded, "marks", "settings"),
        "silent": lacking(plain, "marks"),
        "digests": lacking(talk(8), "marks"),
    }
    for name, lines in forms.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (tmp_path / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return tmp_path


def _unmarked(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line without its mark."""
    del line["request"]["system"][0]["cache_control"]
    return line


def run(*words: str) -> Result:
    """Run a command."""
    found = CliRunner().invoke(main, words, prog_name="cacheplan")
    assert found.exit_code == 0, found.output
    return found


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read JSON Lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_what_was_marked_by_a_fix_says_its_marks(files: Path) -> None:
    """Lines that get marks no longer lack them; what else they lack stays said."""
    run("fix", "recorded.jsonl", "-o", "out.jsonl")
    found = read_lines(files / "out.jsonl")
    assert [line["lacks"] for line in found] == [["settings"]] * 12
    assert all("cache_control" in json.dumps(line["request"]) for line in found)


def test_a_fix_does_nothing_for_what_nobody_knows(files: Path) -> None:
    """Where nobody knows what calls cost, no line is written otherwise."""
    said = run("fix", "silent.jsonl", "-o", "out.jsonl").stderr
    assert "nothing is edited where nobody knows what it costs" in said
    assert read_lines(files / "out.jsonl") == read_lines(files / "silent.jsonl")


def test_digests_that_are_marked_say_their_marks(files: Path) -> None:
    """Marks written into the digest form are marks that are known."""
    run("mark", "digests.jsonl", "-o", "out.jsonl", "--policy", "automatic")
    assert all("lacks" not in line for line in read_lines(files / "out.jsonl"))


def test_a_simulation_tells_no_number_that_nobody_knows(files: Path) -> None:
    """As marked, a call counts what was recorded, or nothing at all; a note says how many."""
    silent = run("simulate", "silent.jsonl", "--policy", "as-marked")
    rows = [json.loads(line) for line in silent.stdout.splitlines()]
    assert {row[key] for row in rows for key in ("read", "uncached", "cost_usd")} == {None}
    assert "marks nobody knows, told as they were recorded: 0; of which no" in silent.stderr
    recorded = run("simulate", "recorded.jsonl", "--policy", "as-marked").stdout.splitlines()
    usage = [line["usage"]["input_tokens"] for line in read_lines(files / "recorded.jsonl")]
    assert [json.loads(row)["uncached"] for row in recorded] == usage
    plain = run("simulate", "silent.jsonl", "--policy", "uncached").stdout.splitlines()
    assert all(json.loads(row)["uncached"] for row in plain)


def test_costs_count_no_bill_that_nobody_knows(files: Path) -> None:
    """Calls of unknown marks and usage are booked without a cost, and told."""
    del files
    assert "nobody knows, counted as nothing: 12." in run("costs", "silent.jsonl").stdout
    said = run("costs", "recorded.jsonl").stdout
    assert "nobody knows" not in said
    assert "what is simulated" not in said


def test_a_check_for_a_rule_that_could_not_look_is_no_pass(files: Path) -> None:
    """Asked to fail by a rule that is left out, a review says that it was not evaluated."""
    del files

    def check(rule: str) -> Result:
        return CliRunner().invoke(main, ["review", "silent.jsonl", "--fail-on", rule])

    failed = check("CP102")
    assert failed.exit_code == 3
    assert "no call says what CP102 needs, so it was not looked for" in failed.stderr
    assert check("CP001").exit_code == check("error").exit_code == 0


@pytest.mark.parametrize("command", ["levers", "migrate"])
def test_what_alters_calls_says_that_their_marks_are_not_known(files: Path, command: str) -> None:
    """Calls of unknown marks are altered as if they had none, and that is said."""
    more = ["--to", MODELS[1]] if command == "migrate" else []
    del files
    found = " ".join(run(command, "recorded.jsonl", *more).output.split())
    assert "12 of 12 calls do not say where breakpoints stood and count as unmarked" in found


# --- the documentation -----------------------------------------------------------------


def test_the_page_on_lines_has_every_word() -> None:
    """What a line may lack is listed in the documentation, as the words are explained here."""
    text = (Path(__file__).parents[1] / "docs" / "workload.md").read_text(encoding="utf-8")
    for word, what in LACKING.items():
        assert f"| `{word}` | {what} |" in text


def test_usage_that_is_recorded_counts_for_calls_that_failed() -> None:
    """A call that failed cost nothing, whatever its marks; nobody has to know them."""
    calls = workload(talk(1))
    failed = msgspec.structs.replace(calls.calls[0], failed=True, lacks=("marks",))
    found = as_sent(_with(calls, [failed]))
    assert (found.input_cost, found.unknown, found.usage) == (Decimal(), 0, Usage())
