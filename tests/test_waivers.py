"""Waivers: how they are written, and what they are of."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.errors import InputError
from cacheplan.prompt import Level, Place
from cacheplan.waivers import Waiver, read_waiver, read_waivers

REASON = "agreed on in May"
places = st.builds(
    Place,
    level=st.just(Level.MESSAGES),
    index=st.integers(0, 120),
    content=st.none() | st.integers(0, 120),
)


class TestPlace:
    """A place in a waiver is a place of a finding, or the beginning of one."""

    @given(places)
    def test_every_beginning(self, place: Place) -> None:
        """A place is meant by itself, by its message, by its level and by no place at all."""
        for said in (str(place), f"messages[{place.index}]", "messages", ""):
            assert read_waiver({"code": "CP1", "reason": REASON} | _place(said)).at(str(place))

    @given(places, places)
    def test_no_other(self, place: Place, other: Place) -> None:
        """Another message is not meant, even where its number begins alike."""
        waiver = Waiver(code="CP1", place=f"messages[{place.index}]", reason=REASON)
        assert waiver.at(str(other)) == (place.index == other.index)

    @pytest.mark.parametrize("place", ["system[0]", "tools", ""])
    def test_a_finding_without_a_place(self, place: str) -> None:
        """What is found nowhere in particular is waived only everywhere."""
        assert Waiver(code="CP1", place=place, reason=REASON).at("") == (not place)

    @pytest.mark.parametrize(
        "place", ["sytem", "system[x]", "system[0", "system[0].content[-1]", "messages[0]content"]
    )
    def test_no_place(self, place: str) -> None:
        """What is no place is an error that says so."""
        with pytest.raises(InputError, match=r"^place: .* is not a place"):
            read_waiver({"code": "CP1", "place": place, "reason": REASON})


def _place(said: str) -> dict[str, str]:
    return {"place": said} if said else {}


class TestCalls:
    """A waiver is of all calls, of those with a label, or of one kind."""

    @pytest.mark.parametrize(
        ("label", "lane", "others", "about"),
        [
            (None, None, ("m", "a"), True),
            (None, None, None, True),
            ("a", None, ("m", "a"), True),
            ("a", None, ("m", None), False),
            ("a", None, None, False),
            (None, ("m", None), ("m", None), True),
            (None, ("m", None), ("m", "a"), False),
            (None, ("m", "a"), ("n", "a"), False),
        ],
    )
    def test_which(
        self,
        label: str | None,
        lane: tuple[str, str | None] | None,
        others: tuple[str, str | None] | None,
        about: bool,
    ) -> None:
        """A label is of every model; a kind has a model, and perhaps no label."""
        waiver = Waiver(code="CP1", label=label, lane=lane, reason=REASON)
        assert waiver.about(others) is about


class TestReading:
    """What is written wrongly is told by its key."""

    @pytest.mark.parametrize(
        ("given", "fault"),
        [
            ("CP001", "this is not a waiver"),
            ({"reason": REASON}, "code: missing"),
            ({"code": "CP001"}, "reason: missing"),
            ({"code": "CP001", "reason": " "}, "reason: this is not text"),
            ({"code": 1, "reason": REASON}, "code: this is not text"),
            ({"code": "CP001", "reason": REASON, "until": "May"}, "until: unknown"),
        ],
    )
    def test_settings(self, given: Any, fault: str) -> None:
        """A waiver of the settings has a code and a reason."""
        with pytest.raises(InputError, match=f"^{fault}"):
            read_waiver(given)

    @pytest.mark.parametrize(
        ("given", "fault"),
        [
            ("CP001", "this is not a list"),
            ([1], r"\[0\]: this is not a waiver"),
            (["CP001", {"place": "tools"}], r"\[1\].code: missing"),
            ([{"code": "CP001", "label": "a"}], r"\[0\].label: unknown"),
        ],
    )
    def test_lines(self, given: Any, fault: str) -> None:
        """A waiver of a line has a code, and no label: it is of the line's own."""
        with pytest.raises(InputError, match=f"^{fault}"):
            read_waivers(given)

    def test_a_code_is_enough_in_a_line(self) -> None:
        """A line may leave the reason out, and every waiver has one all the same."""
        (bare, full) = read_waivers(["CP001", {"code": "CP002", "reason": REASON}])
        assert (bare.code, full.reason) == ("CP001", REASON)
        assert bare.reason
        assert read_waivers(None) == ()
