"""Settings: every key, what it takes, and what it says to anything else."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.agreed import _READERS, Agreed, agreed
from cacheplan.errors import InputError
from cacheplan.terms import Terms
from cacheplan.waivers import Waiver

#: By key: what can be agreed on, and what stands wrong in it where.
WRONG: dict[str, list[tuple[Any, str]]] = {
    "off": [
        ("CP001", "off: this is not a list"),
        (["CP001", 2], "off[1]: this is not text"),
        (["CP001", "CP9"], 'off[1]: "CP9" is no rule'),
    ],
    "waive": [
        ({}, "waive: this is not a list"),
        ([{"code": "CP001"}], "waive[0].reason: missing"),
        ([{"code": "CP9", "reason": "x"}], 'waive[0].code: "CP9" is no rule'),
        ([{"code": "CP001", "place": "here", "reason": "x"}], 'waive[0].place: "here" is not'),
    ],
    "pins": [
        ("system[0] first", "pins: this is not a list"),
        ([1], "pins[0]: this is not text"),
        (["system[0] first", "somewhere"], "pins[1]: "),
    ],
    "fail-on": [
        (["warning"], "fail-on: this is not text"),
        ("grave", 'fail-on: "grave" is no severity and no rule'),
    ],
    "worth": [
        ("0.10", "worth: this is not a number"),
        (True, "worth: this is not a number"),
        (-1, "worth: -1 is no amount"),
        (float("nan"), "worth: nan is no amount"),
        (float("inf"), "worth: inf is no amount"),
    ],
    "baseline": [(True, "baseline: this is not text"), (" ", "baseline: this is not text")],
    "assume": [
        ({"hit_rate": 1}, "assume: this is not a list"),
        (["hit_rate"], 'assume: "hit_rate" is not NAME=VALUE'),
        (["hit_rate=2"], "assume.hit_rate: "),
    ],
    "prices": [(1, "prices: this is not text")],
}


@pytest.mark.parametrize(
    ("key", "given", "fault"),
    [(key, given, fault) for key, rows in WRONG.items() for given, fault in rows],
)
def test_wrong(key: str, given: Any, fault: str) -> None:
    """What is wrong is told in one line, with the key and the place inside it."""
    with pytest.raises(InputError) as caught:
        agreed({key: given})
    assert str(caught.value).startswith(f"tool.cacheplan.{fault}")
    assert "\n" not in str(caught.value)


def test_every_key_is_tried() -> None:
    """No key is left without a case that it refuses."""
    assert set(WRONG) == set(_READERS)


@given(st.text() | st.sampled_from(["fail_on", "OFF", "waivers", "ignore"]), st.integers())
def test_unknown(key: str, given: int) -> None:
    """A key that nobody knows is refused, and the known ones are named."""
    if key not in _READERS:
        with pytest.raises(InputError, match="unknown; there are off, waive, pins, fail-on"):
            agreed({key: given})


@pytest.mark.parametrize("table", [1, [], "off"])
def test_no_table(table: Any) -> None:
    """Something that is no table is refused."""
    with pytest.raises(InputError, match=r"^tool.cacheplan: this is not a table$"):
        agreed(table)


def test_all_of_it() -> None:
    """What is written is what holds, rules under their codes and pins as they are read."""
    found = agreed(
        {
            "off": ["dead-tools", "cp001"],
            "waive": [{"code": "CP002", "place": "system[1]", "label": "a", "reason": "by law"}],
            "pins": ["system[0] first"],
            "fail-on": "volatile-span",
            "worth": 0.10,
            "baseline": "known.json",
            "assume": ["hit_rate=0.9"],
            "prices": "ours.json",
        }
    )
    terms = Terms(
        off=frozenset({"CP008", "CP001"}),
        waivers=(Waiver(code="CP002", place="system[1]", label="a", reason="by law"),),
        worth=Decimal("0.1"),
    )
    assert found.terms == terms
    assert [str(pin) for pin in found.pins] == ["system[0] first"]
    assert (found.fail_on, found.baseline, found.prices) == ("CP001", "known.json", "ours.json")
    assert found.assume == ("hit_rate=0.9",)
    assert agreed({}) == Agreed()
