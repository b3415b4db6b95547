"""What a user says must stay where it is."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.errors import InputError
from cacheplan.pins import kept_last, named_by, pins_from, precedences
from cacheplan.prompt import Level, Place

CLERK = {"type": "text", "text": "You are a clerk. Be kind."}
TODAY = {"type": "text", "text": "Today is Monday."}
SEARCH, FETCH = {"name": "search", "input_schema": {}}, {"name": "fetch", "input_schema": {}}


def at(level: Level, index: int) -> Place:
    """Return a place of the head."""
    return Place(level=level, index=index)


Blocks = list[tuple[Place, dict[str, Any] | None]]
SYSTEM: Blocks = [(at(Level.SYSTEM, n), body) for n, body in enumerate((CLERK, TODAY, None))]
TOOLS: Blocks = [(at(Level.TOOLS, n), body) for n, body in enumerate((SEARCH, FETCH))]

blocks = st.one_of(
    st.integers(0, 99).map("system[{}]".format),
    st.integers(0, 99).map("tools[{}]".format),
    st.integers(0, 99).map("messages[0].content[{}]".format),
    st.from_regex(r"[\w*-]{1,20}", fullmatch=True).map("tool:{}".format),
    st.from_regex(r"[^\"\s][^\"\n\r]{0,20}", fullmatch=True).map('"{}"'.format),
)


def said(texts: list[str], on: Blocks) -> set[tuple[int, int]]:
    """Return the pairs that pins ask for."""
    return {(one.first, one.then) for one in precedences(pins_from(texts), on)}


class TestReading:
    """Lines of text into pins."""

    @given(blocks, st.sampled_from(["first", "last"]))
    def test_written_as_read(self, block: str, word: str) -> None:
        """A pin is written as it was read, and reads the same again."""
        (pin,) = pins_from([f"  {block}  {word} "])
        assert str(pin) == f"{block} {word}"
        assert pins_from([str(pin)])[0] == pin

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("system first", "this cannot be read; a pin is BLOCK first"),
            ("system[0] front", "this cannot be read"),
            ("messages[1].content[0] first", "this cannot be read"),
            ("", "this cannot be read"),
            ("system[0] before", '"before" needs a second block'),
            ("system[0] first system[1]", '"first" names one block'),
            ("system[0] after system[0]", "cannot stand before itself"),
            ("system[0] before tool:look", "tools come before system"),
            ("tools[1] after messages[0].content[0]", "tools come before system"),
        ],
    )
    def test_refused(self, text: str, fault: str) -> None:
        """A line that cannot be one is refused with its number and what is wrong with it."""
        with pytest.raises(InputError, match=re.escape(fault)) as caught:
            pins_from(["system[7] last", text])
        assert str(caught.value).startswith("[1]: ")

    def test_both_ends(self) -> None:
        """One block cannot be first and last."""
        with pytest.raises(InputError, match=r"system\[0\] cannot be first and last"):
            pins_from(["system[0] last", "system[0] first"])

    def test_circle(self) -> None:
        """Pins that go round in a circle are refused with all blocks of it."""
        with pytest.raises(InputError, match="go round in a circle: ") as caught:
            pins_from(["tool:a before tool:b", "tool:c after tool:b", "tool:c before tool:a"])
        assert all(f"tool:{name}" in str(caught.value) for name in "abc")


class TestPicking:
    """Which blocks of a prompt a pin means."""

    @pytest.mark.parametrize(
        "words", ['"You are"', "'You are a clerk.'", '"You*kind"', "system[0]"]
    )
    def test_first(self, words: str) -> None:
        """What is first precedes every other block of its level."""
        assert said([f"{words} first"], SYSTEM) == {(0, 1), (0, 2)}

    def test_last(self) -> None:
        """What is last comes after every other block of its level."""
        assert said(["system[1] last"], [*TOOLS, *SYSTEM]) == {(2, 3), (4, 3)}

    def test_first_of_the_first(self) -> None:
        """Of two that are first, the one that was named first is; of two last ones likewise."""
        assert said(["system[1] first", "system[0] first"], SYSTEM) == {(1, 0), (1, 2), (0, 2)}
        assert said(["system[1] last", "system[0] last"], SYSTEM) == {(0, 1), (2, 1), (2, 0)}

    def test_several_by_one_pattern(self) -> None:
        """Blocks that one pattern means stay among themselves as they are."""
        assert said(["tool:* first"], TOOLS) == {(0, 1)}
        assert said(['"*" last'], SYSTEM) == {(0, 1), (2, 0), (2, 1)}

    @pytest.mark.parametrize(
        "text", ["tool:fetch before tool:search", "tools[0] after tool:fe*", "tools[1] first"]
    )
    def test_pairs(self, text: str) -> None:
        """One before another is the same as the other after it."""
        assert said([text], TOOLS) == {(1, 0)}

    def test_across_levels(self) -> None:
        """A tool is no text, and words are no tool's name."""
        assert not said(['tool:You* before "search"'], [*TOOLS, *SYSTEM])

    def test_unknown_texts(self) -> None:
        """Where nobody knows what a block says, only its place can mean it."""
        assert not said(['"You are" first'], [SYSTEM[2], SYSTEM[2]])

    def test_speaking_of(self) -> None:
        """The pins that speak of a block are those that name it on either side."""
        pins = pins_from(['"Today" after system[0]', "system[2] last"])
        assert [len(named_by(pins, *block)) for block in SYSTEM] == [1, 1, 1]
        assert named_by(pins, *SYSTEM[2]) == pins[1:]
        assert not named_by(pins, *TOOLS[0])

    def test_kept_last(self) -> None:
        """Blocks at the end that are pinned last are counted, by level."""
        levels = [(place.level, body) for place, body in [*TOOLS, *SYSTEM]]
        assert kept_last(pins_from(["system[2] last", '"Today" last']), levels) == 2
        assert kept_last(pins_from(["tools[1] last", "system[1] last"]), levels) == 0
        assert kept_last(pins_from(["tools[1] last"]), levels[:2]) == 1
