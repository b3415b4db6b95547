"""Blocks on their way into another prompt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.canonical import canonical, digest
from cacheplan.prompt import Level
from cacheplan.units import FRONT, Unit, behind, cut, empty, remade, worded


def unit(text: str, *, source: int = 0) -> Unit:
    """Return a system block."""
    body = {"type": "text", "text": text}
    known = digest(canonical(body, Level.SYSTEM))
    return Unit(
        level=Level.SYSTEM, kind="text", digest=known, length=len(text), source=source, body=body
    )


words = st.text("ab ", min_size=1, max_size=30)


class TestMade:
    """Blocks that say something else, or stand elsewhere."""

    @given(words, words)
    def test_same_words(self, old: str, new: str) -> None:
        """The same words at the same place are the same block, however they came there."""
        made = worded(unit(old), new, 9)
        assert (made.digest, made.body, made.length) == (unit(new).digest, unit(new).body, 9)
        assert made.refuses == ("" if new.strip() else "blank")

    @given(words)
    def test_as_it_was(self, text: str) -> None:
        """A block made of its own body is itself."""
        assert remade(unit(text), unit(text).body or {}) == unit(text)

    @given(words)
    def test_behind(self, text: str) -> None:
        """Behind the messages a block says the same, as a user, and comes from nowhere."""
        moved = behind(unit(text))
        assert moved.body == unit(text).body
        assert (moved.level, moved.role, moved.source) == (Level.MESSAGES, "user", -1)
        assert moved.digest == digest(canonical(moved.body or {}, Level.MESSAGES, "user"))

    def test_behind_without_text(self) -> None:
        """What nobody can read moves under the name that it has."""
        known = Unit(level=Level.SYSTEM, kind="text", digest=b"x", length=3, source=2)
        moved = behind(known)
        assert (moved.digest, moved.level, moved.source) == (b"x", Level.MESSAGES, -1)

    def test_string_form(self) -> None:
        """Where it counts, the form of a result's content is part of what it is."""
        result = {"type": "tool_result", "tool_use_id": "t", "content": "row"}
        same, other = (
            remade(unit("x"), result, string_form=form).digest for form in ("same", "differs")
        )
        assert same != other

    @pytest.mark.parametrize(
        ("text", "source", "nothing"),
        [("", -1, True), (" ", -1, True), ("", 0, False), ("a", -1, False)],
    )
    def test_empty(self, text: str, source: int, *, nothing: bool) -> None:
        """A block that an edit made of nothing is told from one that somebody sent."""
        assert empty(unit(text, source=source)) == nothing


class TestCut:
    """A block cut in two."""

    @given(st.lists(st.text("ab", max_size=9), min_size=1, max_size=4), st.booleans())
    def test_nothing_is_lost(self, ends: list[str], known: bool) -> None:
        """Both parts together say what the block said, are as long, and end where it ended."""
        front = "Be kind. " * FRONT
        units = [unit(front + end, source=at) for at, end in enumerate(ends)]
        made, moved = cut(front, {one.digest for one in units} if known else ())(units)
        assert moved == []
        texts = [
            "".join(str((one.body or {})["text"]) for one in made if one.source == at)
            for at in range(len(ends))
        ]
        assert texts == [front + end for end in ends]
        assert sum(one.length for one in made) == sum(one.length for one in units)
        assert len(made) == len(ends) + sum(known and bool(end) for end in ends)

    def test_short(self) -> None:
        """A short front is not worth a block, and a text that begins otherwise is left."""
        front = "a" * (FRONT - 1)
        one, other = unit(front + "bc"), unit("b" + front)
        assert cut(front, {one.digest})([one]) == ([one], [])
        assert cut("a" * FRONT, {other.digest})([other]) == ([other], [])
