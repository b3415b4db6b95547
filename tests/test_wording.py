"""Words that every form uses: whose calls, how much, how sure, and nothing of a text."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reviews import dated, reviewed

from cacheplan.changes import Change, Patch
from cacheplan.finding import Example, Finding, Fix
from cacheplan.linter import Findings
from cacheplan.patterns import shape
from cacheplan.plan import Lane, Plan
from cacheplan.wording import (
    LONGEST,
    called,
    facts_of,
    followers,
    lane_of,
    patched,
    redacted,
    safety,
    seen,
)

LANES = [("m", "a"), ("m", "b"), ("m", None), ("n", "c")]


@pytest.fixture(scope="module")
def found() -> Findings:
    """Find what is wrong with calls whose instructions begin with the time."""
    return reviewed(dated()).found


@pytest.mark.parametrize(
    ("lanes", "said"),
    [
        (0, ""),
        (1, "a / m"),
        (2, "a / m, b / m"),
        (3, "a / m, b / m and one more kind"),
        (4, "a / m, b / m and 2 more kinds"),
    ],
)
def test_whose(lanes: int, said: str) -> None:
    """Calls of two kinds are named, of more they are counted."""
    assert (
        lane_of(Finding(rule="r", severity="note", message="", lanes=tuple(LANES[:lanes]))) == said
    )


def test_bill(found: Findings) -> None:
    """What a fix saves is the difference of the two bills that are said."""
    one = next(one for one in found.findings if one.code == "CP001")
    assert one.saving is not None
    assert found.planned.input_cost is not None
    before, after = found.planned.input_cost, found.planned.input_cost - one.saving
    assert f"(planned bill ${before:.4f} before, ${after:.4f} after)" in facts_of(one, found)
    other = replace(one, fix=Fix(safe=True, what="", remark=lambda call: call.marks))
    assert found.paid.input_cost is not None
    assert f"(bill ${found.paid.input_cost:.4f} before" in facts_of(other, found)


def test_unpriced(found: Findings) -> None:
    """Where nobody knows what it saves, nothing is said of money."""
    one = replace(found.findings[0], saving=None, saving_per_day=None)
    assert "$" not in facts_of(one, found)


def test_accepted(found: Findings) -> None:
    """A waived finding says why, and a known one that it is."""
    one = found.findings[0]
    assert facts_of(replace(one, waived="by law"), found).endswith("waived: by law")
    assert facts_of(replace(one, known=True), found).endswith("known to the baseline")


def test_one_call() -> None:
    """One call is not several."""
    one = Finding(rule="r", severity="note", message="", calls=1)
    bills = reviewed(dated(2)).found
    assert facts_of(one, bills).startswith("1 call; confidence high")
    assert facts_of(replace(one, saving=Decimal(1)), bills).startswith("1 call; saves $1.00")


@given(st.text(), st.booleans())
def test_redacted(text: str, show: bool) -> None:
    """An example is its shape unless it is asked for, and never longer than a line or two."""
    said = redacted(Example(0, None, text), show=show)
    assert len(said) <= LONGEST + 1
    assert said.removesuffix("…") in (text if show else shape(text))


@given(st.text(), st.booleans(), st.booleans())
def test_seen(text: str, private: bool, show: bool) -> None:
    """A change is its shape only where it is somebody's words."""
    said = seen(Change("system[0]", text, private=private), show=show)
    assert said == (shape(text) if private and not show else text)


def test_names() -> None:
    """A call without an id goes by its number, and a patch says what it leaves out."""
    assert (called(Example(3, None, "")), called(Example(3, "a", ""))) == ("call 3", "a")
    patch = Patch(call=3, id=None, before=(), after=(), more=2)
    assert (patched(patch), patched(replace(patch, id="a", more=0))) == (
        "in call 3; 2 more changes",
        "in a",
    )
    assert safety(Fix(safe=True, what="")) == "safe"
    assert "model reads" in safety(Fix(safe=False, what=""))


def test_followers() -> None:
    """Kinds that are marked like others are one line; those of a label alone are not listed."""
    plan = Plan(
        lanes=(
            Lane(model="m", label="a", rules=()),
            Lane(model="m", label=None, rules=(), like="a / m"),
            Lane(model=None, label=None, rules=(), like="a / m"),
        )
    )
    assert followers(plan) == ["m, all other calls: as a / m"]
    label = Lane(model=None, label="a", rules=(), like="a / m")
    assert followers(replace(plan, lanes=(*plan.lanes, label))) == [
        "m, all other calls: as a / m",
        "calls of these labels with another model: as above",
    ]
    assert followers(replace(plan, lanes=plan.lanes[:1])) == []
