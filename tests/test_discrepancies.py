"""What two sides of a bill differ in, on a terminal, in a notebook and as JSON."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

import pytest

from cacheplan.admin_reports import Unexplained
from cacheplan.discrepancies import Agreed, Gap, Key, Priced, Reconciliation
from cacheplan.usage import Usage

PLACE: Final = Key("2026-11-02", "claude-opus-5-5", "ab" * 16, "standard")


def found(**fields: Any) -> Reconciliation:
    """Return two sides that agree, but for what is given."""
    given: dict[str, Any] = {
        "first": "2026-11-02",
        "last": "2026-11-03",
        "ledger": Usage(read=10),
        "report": Usage(read=10),
        "expected": Decimal("1.5"),
        "amount": Decimal("1.5"),
        "agreed": Agreed(1, 10, 1, Decimal("1.5")),
        "gaps": (),
        "priced": (),
        "later": (),
        "beside": (),
        "unexplained": (),
        "uncovered": (),
        "workspaces": {},
        "notes": (),
        "unpriced": (),
    }
    return Reconciliation(**{**given, **fields})


GAP: Final = Gap(PLACE, "read", 12, 0, "missing in the report")
ODD: Final = Unexplained("a.json: data[1]", "odd", Decimal(4))
UNCOVERED: Final = "2026-11-03: no report of usage; the ledger has 9 calls"
PRICED: Final = Priced(PLACE, "output", 7, Decimal(1), Decimal(2), Decimal(3), "dearer")


def test_agreement() -> None:
    """Where nothing differs, that is the last word, and nothing fails."""
    said = str(found())
    assert said.endswith("Agrees: 10 tokens in 1 places, $1.50 in 1. Nothing is left over.")
    assert [found().failing(kind) for kind in ("any", "tokens", "price", "unexplained")] == [0] * 4


@pytest.mark.parametrize(
    ("fields", "kind", "words"),
    [
        ({"gaps": (GAP,)}, "tokens", ["missing in the report", "abababababab", "written 5m"]),
        ({"priced": (PRICED,)}, "price", ["Money that differs", "$1.00 to $2.00", "dearer"]),
        ({"uncovered": (("2026-11-03", "usage", 9),)}, "tokens", [UNCOVERED]),
        ({"unexplained": (ODD,)}, "unexplained", ["a.json: data[1]: odd ($4.00)"]),
    ],
)
def test_differences(fields: dict[str, Any], kind: str, words: list[str]) -> None:
    """Each kind of difference is shown, and fails what asks for it, and nothing else."""
    one = found(**fields)
    assert all(word in str(one) for word in words)
    assert not one.agrees
    counts = {name: one.failing(name) for name in ("tokens", "price", "unexplained")}
    assert counts == {name: int(name == kind) for name in counts}
    assert one.failing("any") == 1
    json.dumps(one.to_json())


def test_no_differences() -> None:
    """What stands a day later, and what is charged for other things, is shown and fails nothing."""
    one = found(later=(GAP,), beside=(("web_search", Decimal("0.3")),))
    assert one.agrees
    assert "a day later" in str(one)
    assert "web_search: $0.3000" in str(one)
    assert one.to_json()["beside"] == [{"cost_type": "web_search", "usd": 0.3}]


def test_names() -> None:
    """A workspace has the report's id where it is known, else a part of its digest."""
    one = found(gaps=(GAP,), workspaces={PLACE.workspace: "wrkspc_a"})
    assert "wrkspc_a" in str(one)
    assert one.to_json()["gaps"][0]["workspace"] == "wrkspc_a"
    assert found().named("") == "-"


def test_one_side_only() -> None:
    """Without a report of usage, or of cost, nothing is said of it."""
    assert "money" not in str(found(amount=None))
    used = found(report=None)
    assert used.to_json()["report"] is None
    assert " -" in str(used)
    assert "unknown" in str(found(expected=None))


def test_many() -> None:
    """A terminal shows the first fifty differences of a kind, and JSON all of them."""
    one = found(gaps=(GAP,) * 60)
    assert "… and 10 more" in str(one)
    assert len(one.to_json()["gaps"]) == 60


def test_harmless() -> None:
    """What a report says reaches neither a terminal's commands nor a page's tags."""
    odd = PLACE._replace(model="<b>\x1b[31m")
    one = found(gaps=(GAP._replace(key=odd),))
    assert "\x1b" not in str(one)
    assert "<b>" not in one._repr_html_()
