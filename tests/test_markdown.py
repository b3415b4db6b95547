"""A review in Markdown: complete, and with nothing in it that came from a prompt."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reviews import PERSON, dated, reviewed, steady

from cacheplan.markdown import code, escaped, markdown
from cacheplan.report import Review

#: Other people's words that Markdown or HTML would make something of.
HOSTILE = (
    "<script>alert(1)</script>", "![x](http://e.vil/x.png)", "a | b", "[a](javascript:x)",
    "# title", "`a`", "line\n\n# two", "a\x1b[31m", "&lt;b&gt;", "@everyone", "https://e.vil",
)  # fmt: skip


@pytest.fixture(scope="module")
def found() -> Review:
    """Review calls whose instructions begin with the time."""
    return reviewed(dated())


def test_sections(found: Review) -> None:
    """The answer comes first, then the reasons."""
    headings = re.findall(r"^#+ (.*)$", markdown(found), re.MULTILINE)
    assert headings[:3] == ["Prompt caching review", "What to do first", "Findings"]
    assert headings[-4:] == ["What calls share", "The plan", "Every policy", "Notes"]
    assert any("CP001" in heading for heading in headings)


def test_nothing_to_do() -> None:
    """Where nothing is to be done, that is said, and there is no empty section."""
    text = markdown(reviewed(steady(1)))
    assert "## Findings" not in text or "###" in text
    assert "## Every policy" in text


def test_tables_are_tables(found: Review) -> None:
    """Every row of a table has as many cells as its head."""
    for table in re.findall(r"(?:^\|.*\n)+", markdown(found), re.MULTILINE):
        cells = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(cells) == 1, table


def test_privacy(found: Review) -> None:
    """Text of prompts is shown as its shape, or as it is where that is asked for."""
    assert PERSON not in markdown(found)
    assert "99:99:99" in markdown(found)
    assert "10:00:00" in markdown(found, show=True)


def test_before_and_after(found: Review) -> None:
    """A finding has a patch of one call, redacted as ever, and the bill before and after."""
    text, shown = markdown(found), markdown(found, show=True)
    assert "\n```diff\n- system[0]: aaaaa aaa aaaaaaaaaaaa aa 99:99:99." in text
    assert "\n+ system[0]: aaaaa aaa aaaaaaaaaaaa" in text
    assert "\n- system[0]: Serve Mrs Winterbottom" in shown
    assert re.search(r"bill \\\$[\d.]+ before, \\\$[\d.]+ after", text)


@pytest.mark.parametrize("words", ["``` \n# out", "````\n````", "\n```\n<b>", "~~~"])
def test_nothing_closes_a_patch(words: str) -> None:
    """Text of a prompt that looks like the end of a fence does not end it."""
    lines = dated()
    for at, line in enumerate(lines):
        system = line["request"]["system"][0]
        system["text"] = system["text"].replace(f"{at:02}:00", f"{at:02}:00 {words}")
    text = markdown(reviewed(lines), show=True)
    fences = re.findall(r"^(`{3,})(diff)?$", text, re.MULTILINE)
    assert fences
    assert [kind for _, kind in fences] == ["diff", ""] * (len(fences) // 2)
    for opening, closing in zip(fences[::2], fences[1::2], strict=True):
        assert opening[0] == closing[0]
    assert not re.search(r"^# out|^<b>", text, re.MULTILINE)


@pytest.mark.parametrize("words", HOSTILE)
def test_labels_stay_words(words: str) -> None:
    """A label makes no markup, no link, no heading and no column."""
    text = markdown(reviewed(dated(label=words)))
    assert "<script" not in text.replace("\\<script", "")
    assert "](" not in text.replace("\\](", "")
    assert "://" not in text
    assert "\x1b" not in text
    assert not re.search(r"^# (?:title|two)", text, re.MULTILINE)
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


@given(st.text())
def test_escaped_is_one_line(text: str) -> None:
    """Whatever was said, it is one line, and every bracket and bar of it is escaped."""
    found = escaped(text)
    assert len(found.splitlines()) <= 1
    assert not re.search(r"(?<!\\)(?:\\\\)*[|<\[`]", found)


@given(st.text())
def test_code_cannot_be_closed(text: str) -> None:
    """No run of backticks inside is as long as the fence."""
    found = code(text)
    fence = re.match(r"`+", found)
    assert fence is not None
    inside = found[len(fence[0]) : -len(fence[0])]
    assert fence[0] not in re.findall(r"`+", inside)
    assert found.endswith(fence[0])
