"""Every rule has a module, a test file and a page of one name, and its page is true."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest
from small import Words

import cacheplan.rules
from benchmarks.rules import FOLDER, SECTIONS, Example, examples, index, page, sections
from cacheplan.finding import SEVERITIES
from cacheplan.linter import lint
from cacheplan.precedence import YIELDS
from cacheplan.prices import Sheet
from cacheplan.projection import project
from cacheplan.records import Intake
from cacheplan.rules import RULES
from cacheplan.subject import Remembering, Subject

MODULES = Path(cacheplan.rules.__file__).parent
TESTS = Path(__file__).parent / "rules"
COST = re.compile(r"fail\s+cost\s+\$([\d.]+\d),\s+those\s+that\s+pass\s+\$([\d.]+\d)")


def stem(rule: ModuleType) -> str:
    """Return what a rule's module, test and page are named after."""
    return rule.__name__.rpartition(".")[2]


each_rule = pytest.mark.parametrize("rule", RULES, ids=stem)


def subject(example: Example) -> Subject:
    """Read the calls of a page, a word of text a token."""
    counter = Remembering(Words())
    intake = Intake(counter, example.assume)
    for line in example.lines:
        intake.add(json.dumps(line).encode())
    workload = replace(intake.workload(), texts=counter.bodies)
    return Subject(workload, Sheet.default(), workload.texts)


def cost(example: Example) -> Decimal:
    """Return what the prompts of a page's calls cost as they are marked."""
    seen = subject(example)
    found = project(seen.workload, lambda call: call.marks, seen.sheet, "as-marked").input_cost
    assert found is not None
    return found


def test_one_module_one_test_one_page() -> None:
    """The rules that run are the modules, the test files and the pages there are."""
    names = sorted(map(stem, RULES))
    assert names == sorted(path.stem for path in MODULES.glob("*.py") if path.stem != "__init__")
    assert names == sorted(path.stem.removeprefix("test_") for path in TESTS.glob("test_*.py"))
    assert [*names, "index"] == sorted(
        (path.stem for path in FOLDER.glob("*.md")), key=lambda name: (name == "index", name)
    )


def test_codes_are_in_order_and_none_is_used_twice() -> None:
    """A code is one rule's, for good."""
    codes = [rule.CODE for rule in RULES]
    assert codes == sorted(set(codes))


def test_the_index_is_drawn() -> None:
    """The table of rules is what the rules say, as ``python -m benchmarks rules`` writes it."""
    assert (FOLDER / "index.md").read_text(encoding="utf-8") == index()


@each_rule
def test_the_page_is_the_docstring(rule: ModuleType) -> None:
    """Each page is what its rule says, as ``python -m benchmarks rules`` writes it."""
    assert (FOLDER / f"{stem(rule)}.md").read_text(encoding="utf-8") == page(rule)


@each_rule
def test_the_page_is_whole(rule: ModuleType) -> None:
    """A page says what, why in money, what fails and passes, what to do, and how sure it is."""
    found = [*sections(rule)]
    assert found == [name for name in SECTIONS if name in found]
    assert set(SECTIONS) - set(found) <= {"Beware", "Order"}
    assert rule.SEVERITY in SEVERITIES
    assert rule.SEVERITY in sections(rule)["Severity"][1]
    assert ("Order" in found) >= (rule.CODE in YIELDS)
    for code in YIELDS.get(rule.CODE, ()):
        name = next(stem(one) for one in RULES if code == one.CODE).replace("_", "-")
        assert f"``{name}``" in sections(rule)["Order"][1]


@each_rule
def test_what_fails_fails_for_this_reason_alone(rule: ModuleType) -> None:
    """The calls that a page says fail have one finding among all rules: its own."""
    (found,) = lint(subject(examples(rule, "Fails"))).findings
    assert (found.code, found.rule) == (rule.CODE, stem(rule).replace("_", "-"))
    assert found.severity == rule.SEVERITY


@each_rule
def test_what_passes_passes_every_rule(rule: ModuleType) -> None:
    """The calls that a page says pass have no finding of any rule."""
    example = examples(rule, "Passes")
    assert example.lines
    assert not lint(subject(example)).findings


@each_rule
def test_the_money_is_simulated(rule: ModuleType) -> None:
    """The dollars of a page are what its calls cost when they are served."""
    said = COST.search(sections(rule)["Why"][1])
    assert (said is None) == (rule.SEVERITY == "error")
    if said is not None:
        for section, amount in zip(("Fails", "Passes"), said.groups(), strict=True):
            shown = Decimal(amount)
            assert cost(examples(rule, section)).quantize(shown) == shown


@each_rule
def test_a_finding_can_be_gone_to(rule: ModuleType) -> None:
    """A finding says where, in how many calls, and shows two of them where there are two."""
    seen = subject(examples(rule, "Fails"))
    (found,) = lint(seen).findings
    calls = {call.number: call for call in seen.workload}
    assert found.place is not None
    assert 0 < found.calls <= len(calls)
    assert len({one.call for one in found.examples}) == min(len(calls), 2)
    assert all(one.id == calls[one.call].id for one in found.examples)
    # What is set is kept as a digest, and an empty block has no text to show.
    silent = rule.CODE in {"CP110", "CP203"}
    assert all(bool(one.text) != silent for one in found.examples)


@each_rule
def test_a_fix_has_a_price(rule: ModuleType) -> None:
    """What can be simulated saves something; nobody can say what to add up to a minimum."""
    (found,) = lint(subject(examples(rule, "Fails"))).findings
    assert found.fix is not None
    if rule.CODE in {"CP104", "CP110"}:
        assert found.saving is None
    else:
        assert found.saving is not None
        assert found.saving > 0
