"""One cause is one finding: which gives way to which, and when it does not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from cacheplan.finding import Finding
from cacheplan.precedence import YIELDS, settled, wanted
from cacheplan.rules import RULES


def finding(code: str, label: str = "a", **fields: Any) -> Finding:
    """Return a finding about calls of one label."""
    fields = {"severity": "warning", "lane": ("m", label), **fields}
    return Finding(rule="", code=code, message="", **fields)


@pytest.mark.parametrize(
    ("weak", "strong"), [(one, by) for one in YIELDS for by in sorted(YIELDS[one])]
)
def test_the_cause_is_told_and_what_follows_from_it_is_not(weak: str, strong: str) -> None:
    """On the same calls one gives way to the other, in whatever order they were found."""
    both = [finding(weak), finding(strong)]
    assert settled(both) == both[1:]
    assert settled(both[::-1]) == both[1:]


def test_other_calls_hide_nothing() -> None:
    """A cause on calls of another kind says nothing of these."""
    both = [finding("CP101"), finding("CP001", "b")]
    assert settled(both) == both


def test_what_is_not_worth_acting_on_hides_nothing() -> None:
    """A note leaves the others where they are."""
    both = [finding("CP101"), finding("CP001", severity="note")]
    assert settled(both) == both


def test_what_is_to_stay_hides_what_follows_from_it() -> None:
    """Who waives a cause, or turns its rule off, does not hear of its consequences."""
    waived = finding("CP001", waived="our auditors want it")
    assert settled([finding("CP101"), waived]) == [waived]
    assert settled([finding("CP101")], [finding("CP001")]) == []
    assert settled([finding("CP101")], [finding("CP001", "b")]) == [finding("CP101")]
    assert wanted("CP001", [finding("CP101"), finding("CP110", "b")]) == {("m", "a")}


@pytest.mark.parametrize(("cause", "mark", "left"), [(2, 1, 1), (1, 1, 1), (1, 2, 1), (1, 3, 2)])
def test_what_is_much_dearer_than_a_cause_is_told_beside_it(
    cause: int, mark: int, left: int
) -> None:
    """A small cause on the same calls does not explain a large loss."""
    both = [
        finding("CP107", saving=Decimal(mark)),
        finding("CP205", saving=Decimal(cause)),
    ]
    assert len(settled(both)) == left


def test_a_finding_about_several_kinds_gives_way_as_a_whole() -> None:
    """It goes only if every kind of its calls has the cause, and a cause may have several."""
    lanes = (("m", "a"), ("m", "b"))
    wide = finding("CP007", lanes=lanes)
    assert settled([wide, finding("CP204")]) == [wide, finding("CP204")]
    assert settled([wide, finding("CP204", lanes=lanes)]) == [finding("CP204", lanes=lanes)]
    assert settled([wide, finding("CP001"), finding("CP002", "b")])[0].code == "CP001"


def test_a_finding_about_no_calls_stays() -> None:
    """Without calls there is nothing to have in common."""
    both = [finding("CP101", lane=None), finding("CP001", lane=None)]
    assert settled(both) == both


def test_the_table_names_rules_and_has_no_circle() -> None:
    """Every code is a rule's, and of two findings never both give way."""
    codes = {rule.CODE for rule in RULES}
    assert codes >= set(YIELDS)
    for weak, strong in YIELDS.items():
        assert codes >= strong
        assert not any(weak in YIELDS.get(one, ()) for one in strong)
