"""Names for what changes, the exact place at which texts part, and text made unreadable."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.patterns import (
    PATTERNS,
    before,
    first_difference,
    name_at,
    shape,
    variation,
    volatile,
)

#: One example of each name, as it stands in prompts.
EXAMPLES = {
    "UUID": "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "date and time": "2026-11-21T10:15:00Z",
    "date": "2026-11-21",
    "git status": "On branch main",
    "time": "10:15 am",
    "URL": "https://example.com/a?b=1",
    "session or request id": "req_011CSHoEeqs5C35K2UUqR7Fy",
    "hash": "9fceb02d0ae598e95dc970b74767f19372d61af8",
    "timestamp": "1790000000",
    "path": "/srv/app/main.py",
    "number": "42",
}


class TestNames:
    """A stretch of text is named by the most telling pattern that covers it."""

    @pytest.mark.parametrize("name", EXAMPLES)
    def test_each_name(self, name: str) -> None:
        """Each pattern names its example, from its first character to past its last."""
        text = f"before {EXAMPLES[name]} after"
        start, end = 7, 7 + len(EXAMPLES[name])
        for offset in (start, end - 1, end):
            found = name_at(text, offset)
            assert found is not None
            assert (found.name, found.start, found.end) == (name, start, end)

    def test_every_pattern_has_an_example(self) -> None:
        """No name goes untested."""
        assert {name for name, _ in PATTERNS} == set(EXAMPLES)

    @pytest.mark.parametrize(
        "text", ["21.11.2026", "November 2026", "Saturday, 21 November 2026", "November 21, 2026"]
    )
    def test_dates_in_words(self, text: str) -> None:
        """Dates are recognised as people write them, too."""
        found = name_at(f"Today is {text}.", 12)
        assert found is not None
        assert (found.name, found.end) == ("date", 9 + len(text))

    def test_words_have_no_name(self) -> None:
        """Plain words are not named, wherever one looks."""
        text = "You answer questions about our shop."
        assert all(name_at(text, offset) is None for offset in range(len(text) + 1))

    def test_far_into_a_long_text(self) -> None:
        """A long text is looked at around the offset alone."""
        text = "word " * 200_000 + "2026-11-21" + " word" * 200_000
        start = time.perf_counter()
        found = name_at(text, 1_000_005)
        assert found is not None
        assert found.name == "date"
        assert time.perf_counter() - start < 0.1

    @given(text=st.text(max_size=60), offset=st.integers(0, 60))
    def test_a_match_covers_its_offset(self, text: str, offset: int) -> None:
        """Whatever is named lies inside the text and covers the offset."""
        found = name_at(text, min(offset, len(text)))
        if found is not None:
            assert 0 <= found.start <= min(offset, len(text)) <= found.end <= len(text)


class TestVolatile:
    """Only what is made anew for every call is suspected without a comparison."""

    @pytest.mark.parametrize(
        ("name", "suspected"),
        [
            ("UUID", True),
            ("date and time", True),
            ("time", True),
            ("timestamp", True),
            ("session or request id", True),
            ("date", False),
            ("number", False),
            ("URL", False),
            ("path", False),
            ("hash", False),
        ],
    )
    def test_which_names(self, name: str, suspected: bool) -> None:
        """A date or number may well be part of an example; a UUID hardly is."""
        found = {match.name for match in volatile(f"({EXAMPLES[name]})")}
        assert (name in found) is suspected

    def test_prose_is_not_suspected(self) -> None:
        """Instructions without any such part raise nothing."""
        assert list(volatile("Answer in at most 3 sentences, on 2026 prices.")) == []


class TestFirstDifference:
    """The first offset at which two texts differ, found by halving."""

    @given(before=st.text(alphabet="ab\U0001f600"), after=st.text(alphabet="ab\U0001f600"))
    def test_agrees_with_looking(self, before: str, after: str) -> None:
        """It is what comparing character by character finds."""
        pairs = zip(before, after, strict=False)
        looked = next((at for at, (one, other) in enumerate(pairs) if one != other), None)
        expected = min(len(before), len(after)) if looked is None else looked
        assert first_difference(before, after) == expected

    def test_megabytes(self) -> None:
        """A difference at the end of a long text is found at the speed of memory."""
        text = "x" * 20_000_000
        start = time.perf_counter()
        assert first_difference(text + "a", text + "b") == len(text)
        assert time.perf_counter() - start < 0.5


class TestShape:
    """A shape keeps what text looks like and nothing of what it says."""

    @given(text=st.text())
    def test_nothing_is_left_to_read(self, text: str) -> None:
        """No letter but ``a`` and no digit but ``9`` is left, and the length is the same."""
        shown = shape(text)
        assert len(shown) == len(text)
        assert set(re.findall(r"[^\W\d_]", shown)) <= {"a"}
        assert set(re.findall(r"\d", shown)) <= {"9"}
        assert shape(shown) == shown

    def test_punctuation_stays(self) -> None:
        """Spaces, signs and line ends are the shape."""
        assert shape("Ärger: 10:30!\n{x_1}") == "aaaaa: 99:99!\n{a_9}"


class TestVariation:
    """Several texts are one text in which something varies, or they are not."""

    def test_several_named_stretches(self) -> None:
        """Whatever differs under one name in every text is taken out; the rest stays."""
        middle = "Answer in 3 lines. " * 5
        texts = [f"It is {hour}:30. {middle}{hour} open" for hour in (10, 11)]
        found = variation(texts)
        assert found is not None
        assert (found.start, found.name) == (7, "time")
        assert found.parts == tuple((f"It is . {middle} open", f"{h}:30 {h}") for h in (10, 11))

    def test_one_unnamed_stretch(self) -> None:
        """A stretch without a name is one span, if most of the text is not in it."""
        found = variation([f"You work for {who}. {'Be kind. ' * 9}" for who in ("Ann", "Bo")])
        assert found is not None
        assert found.name == ""
        assert [own for _, own in found.parts] == ["Ann", "Bo"]
        assert len({rest for rest, _ in found.parts}) == 1

    @pytest.mark.parametrize(
        "texts", [["same", "same"], ["one"], ["Write a poem.", "Sum these figures up."]]
    )
    def test_different_texts_and_equal_ones(self, texts: list[str]) -> None:
        """Equal texts do not vary, nor do texts that have little in common."""
        assert variation(texts) is None

    def test_made_anew(self) -> None:
        """A time is made for each use; an unnamed span only if it rarely comes back."""
        times = variation(["It is 10:15 now.", "It is 11:15 now."])
        names = variation([f"You work for {who}. {'Be kind. ' * 9}" for who in ("A", "B", "C")])
        assert times is not None
        assert names is not None
        assert times.made_anew(100)
        assert names.made_anew(5)
        assert not names.made_anew(6)

    @given(
        st.lists(st.text("abc", min_size=3, max_size=6), min_size=1, max_size=3),
        st.lists(st.integers(0, 99_999), min_size=3, max_size=6, unique=True),
    )
    def test_one_more(self, words: list[str], numbers: list[int]) -> None:
        """A text that was not compared is parted as if it had been."""
        texts = [f"Be kind. {' '.join(f'{word} {n} ' for word in words)} bye" for n in numbers]
        found, some = variation(texts), variation(texts[:-1])
        assert found is not None
        assert some is not None
        assert some.part(texts[-1]) == found.parts[-1]
        assert [some.part(text) for text in texts[:-1]] == [*some.parts]

    def test_another_frame(self) -> None:
        """A text that begins or ends otherwise is no version."""
        found = variation(["It is 10:15 now.", "It is 11:15 now."])
        assert found is not None
        for text in ("It was 10:15 now.", "It is 10:15 here.", "It is", ""):
            assert found.part(text) is None

    @given(st.text(max_size=30), st.text(max_size=30))
    def test_nothing_is_lost(self, one: str, two: str) -> None:
        """What stays and what varies are together as long as the text was."""
        found = variation([one, two])
        if found is not None:
            for text, (rest, own) in zip((one, two), found.parts, strict=True):
                assert len(text) <= len(rest) + len(own)
            assert len({rest for rest, _ in found.parts}) == 1


class TestBefore:
    """Where a text is cut in front of what differs."""

    @given(st.text("ab \n", max_size=40), st.integers(0, 40))
    def test_whole_words(self, text: str, offset: int) -> None:
        """It is a start of the text that ends with a line or a word, as late as can be."""
        found = before(text, offset)
        assert text.startswith(found)
        assert len(found) <= offset
        rest = text[len(found) : offset]
        assert "\n" not in rest
        assert found == "" or found[-1] in " \n"
        assert " " not in rest or found[-1:] == "\n"

    def test_a_page_in_a_line(self) -> None:
        """A long line is cut before the word."""
        text = f"One.\n{'Be kind. ' * 50}It is 10:15."
        assert before(text, text.index("10:15")) == text.removesuffix("10:15.")
