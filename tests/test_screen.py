"""The screen: what fits, what is left out where it does not, and what is never lost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reviews import dated, reviewed, steady

from cacheplan.report import Review
from cacheplan.screen import HEIGHT, Screen
from cacheplan.steps import Step, Sum
from cacheplan.tables import columns

LONG = "a-label-that-nobody-wanted-to-shorten " * 4
WIDTHS = [80, 100, 120, 160]


@pytest.fixture(scope="module")
def found() -> Review:
    """Review a dozen kinds of calls, with long names and letters of the East."""
    lines: list[dict[str, Any]] = []
    for name in (LONG, "顧客サポート・注文照会", "evil\x1b[31m\x07\u202e<script>", "short"):
        lines += [*dated(label=name), *steady(label=f"{name} 2", every=60)]
    return reviewed(lines)


def pen(text: str, look: str) -> str:
    """Say which look a line has."""
    return f"<{look}>{text}</{look}>"


@pytest.mark.parametrize("width", WIDTHS)
def test_fits(found: Review, width: int) -> None:
    """No line is wider than the screen, whatever calls are called."""
    for line in found.text(width=width).splitlines():
        assert columns(line) <= width, line


@pytest.mark.parametrize("width", WIDTHS)
def test_first_screen(found: Review, width: int) -> None:
    """The answer is one screen, and says what the three things to do save."""
    answer = found.text(width=width).split("\n\nFindings")[0]
    assert len(answer.splitlines()) <= HEIGHT
    for number, step in enumerate(found.steps()[:3], 1):
        assert f"\n{number}. {step.worth.partition(',')[0]}" in answer


def test_room_is_used(found: Review) -> None:
    """A wide screen has fewer lines, all policies' numbers, and says why."""
    narrow, wide = found.text(width=80), found.text(width=160)
    assert len(wide.splitlines()) < len(narrow.splitlines())
    assert "written 1h" in wide
    assert "written 1h" not in narrow
    assert "because" in wide


def test_nothing_is_lost(found: Review) -> None:
    """Every finding, fix and policy is on the narrowest screen."""
    text = " ".join(found.text(width=60).split())
    for one in found.findings:
        assert f"{one.code} {one.rule}" in text
        assert one.fix is None or " ".join(one.fix.what.split()) in text
    for policy in found.comparison.projections:
        assert policy.policy in text


def test_before_and_after(found: Review) -> None:
    """A finding says what stands in a call before and after, as its shape."""
    text = found.text()
    assert "\n    - system[0]: aaaaa aaa aaaaaaaaaaaa aa 99:99:99." in text
    assert "\n    + system[0]: aaaaa aaa aaaaaaaaaaaa aa" in text
    assert "\n    - system[0]: Serve Mrs Winterbottom of 10:0" in found.text(show=True)


def test_terminals_obey_nothing(found: Review) -> None:
    """What a terminal would obey, or write backwards, is shown as what it is."""
    text = found.text()
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "\\x1b[31m\\x07\\u202e" in text


def test_pen(found: Review) -> None:
    """A pen looks after whole lines alone: without its signs the text is the same."""
    drawn = found.text(pen=pen)
    assert "<head>What to do first:</head>" in drawn
    assert "<warning>warning CP001" in drawn
    for look in ("head", "error", "warning", "note", "before", "after"):
        drawn = drawn.replace(f"<{look}>", "").replace(f"</{look}>", "")
    assert drawn == found.text()


def test_other_kinds_follow(found: Review) -> None:
    """Which plan other calls follow is said in a line, not in a row each."""
    text = found.text().partition("The plan")[2]
    assert "all other calls: as " in text
    assert "calls of these labels with another model: as above" in text


@settings(max_examples=60)
@given(
    st.lists(
        st.builds(
            Step,
            st.text(min_size=1, max_size=400),
            st.text(max_size=300),
            st.sampled_from([None, Decimal("12.5")]),
            st.none(),
        ),
        max_size=6,
    ),
    st.integers(3, 4),
    st.sampled_from(WIDTHS),
)
def test_any_steps_fit(steps: list[Step], bills: int, width: int) -> None:
    """However long the words are, the answer is one screen."""
    sums = [Sum("a bill", Decimal(1), None, "as it is")] * bills
    answer = Screen(width=width).answer("12 calls", sums, steps)
    assert len(answer.splitlines()) <= HEIGHT
    for number in range(1, min(len(steps), 3) + 1):
        assert f"\n{number}. " in answer
