"""The page: self-contained, complete, and dead to whatever a prompt or a label holds."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from importlib import resources

import pytest
from hostile import HOSTILE, hostile
from reviews import PERSON, dated, reviewed, steady

from cacheplan.page import page
from cacheplan.report import Review

TEMPLATE = resources.files("cacheplan").joinpath("page.html").read_text(encoding="utf-8")


class Parsed(HTMLParser):
    """Every element, attribute and text of a page, as a browser would see it."""

    #: Elements that have no end.
    VOID = frozenset({"meta", "br"})

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the newest element, which has to be this one."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text.append(data)


@pytest.fixture(scope="module")
def found() -> Review:
    """Review calls whose instructions begin with the time, beside calls that share theirs."""
    return reviewed([*dated(), *steady(label="steady", every=60)])


def test_complete(found: Review) -> None:
    """The answer, every policy, every finding, what is shared and the plan are all there."""
    text = "".join(Parsed(page(found, TEMPLATE)).text)
    assert found.size() in text
    for row in found.sums():
        assert row.name in text
    for one in found.findings:
        assert one.message in text
    for policy in found.comparison.projections:
        assert policy.policy in text
    for heading in ("What to do first", "The prompt, block by block", "What calls share", "Notes"):
        assert heading in text


def test_well_formed(found: Review) -> None:
    """Every element is closed where it should be."""
    assert Parsed(page(found, TEMPLATE)).open == []


def test_self_contained(found: Review) -> None:
    """Nothing is fetched: no element that loads, no address, no import."""
    text = page(found, TEMPLATE)
    parsed = Parsed(text)
    tags = {tag for tag, _ in parsed.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form", "a"}
    for _, attributes in parsed.elements:
        assert not {"src", "href", "style", "xlink:href", "srcdoc"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
    assert "://" not in text
    assert "@import" not in text
    assert "url(" not in text


def test_policy_allows_only_its_own_style(found: Review) -> None:
    """The page's policy forbids everything but the one style, which it names by its hash."""
    text = page(found, TEMPLATE)
    (policy,) = (
        attributes["content"] or ""
        for tag, attributes in Parsed(text).elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.split("; ")[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"]
    assert "unsafe" not in policy


def test_dark_small_and_printed() -> None:
    """The style knows the dark, the page a phone, and both paper."""
    assert "prefers-color-scheme: dark" in TEMPLATE
    assert "@media print" in TEMPLATE
    assert "width=device-width" in TEMPLATE


@pytest.mark.parametrize("words", [*HOSTILE, " ".join(HOSTILE)])
@pytest.mark.parametrize("models", [False, True])
def test_hostile_words_stay_words(words: str, models: bool) -> None:
    """Whatever stands in labels, ids, models, tools and prompts, the elements are its own."""
    tame, wild = (
        Parsed(page(hostile(said, models=models), TEMPLATE, show=not models))
        for said in ("harmless words", words)
    )
    assert {tag for tag, _ in wild.elements} == {tag for tag, _ in tame.elements}
    names = {name for _, attributes in tame.elements for name in attributes}
    assert {name for _, attributes in wild.elements for name in attributes} == names
    assert wild.open == []
    assert not {"\x1b", "\x00", "\u202e", "\ufeff"} & set("".join(wild.text))


def test_templates_are_words() -> None:
    """What looks like a template, or like arithmetic in one, is not worked out."""
    text = "".join(Parsed(page(hostile("{{ 7 * 7 }}{% raw %}"), TEMPLATE, show=True)).text)
    assert "{{ 7 * 7 }}{% raw %}" in text


def test_hostile_words_are_shown() -> None:
    """They are escaped, not left out."""
    assert HOSTILE[0] in "".join(Parsed(page(hostile(HOSTILE[0]), TEMPLATE)).text)


def test_privacy(found: Review) -> None:
    """Text of prompts is shown as its shape, or as it is where that is asked for."""
    assert PERSON not in page(found, TEMPLATE)
    assert "99:99:99" in page(found, TEMPLATE)
    assert "10:00:00" in page(found, TEMPLATE, show=True)


def test_every_kind_of_calls_is_drawn(found: Review) -> None:
    """The prompt of every kind of calls is drawn, even where it differs from the start."""
    drawn = re.findall(r'changing parts of the prompts of ([^"]*)"', page(found, TEMPLATE))
    assert sorted(drawn) == ["clerk / claude-sonnet-5", "steady / claude-sonnet-5"]


def test_every_block_is_named(found: Review) -> None:
    """The table below a prompt names every block of it with its tokens and marks."""
    text = page(found, TEMPLATE)
    for one in found.portraits:
        for part in one.parts:
            if part.place is not None:
                assert f"<td>{part.place} " in text
                assert f'<td class="number">{part.tokens:,}</td>' in text


def test_before_and_after(found: Review) -> None:
    """A finding shows what the bill is before and after, and what changes in a call."""
    text = "".join(Parsed(page(found, TEMPLATE, show=True)).text)
    one = next(one for one in found.findings if one.code == "CP001")
    assert "before, $" in text
    assert one.fix is not None
    assert one.fix.patch is not None
    for change in (*one.fix.patch.before, *one.fix.patch.after):
        assert change.text in text


@pytest.mark.parametrize("model", ["a-new-one", "claude-sonnet-5"])
def test_nothing_to_draw(model: str) -> None:
    """A page is made where money is unknown and where nothing is shared."""
    lines = steady(1)
    lines[0]["request"]["model"] = model
    text = "".join(Parsed(page(reviewed(lines), TEMPLATE)).text)
    assert "No two calls share a prefix." in text
    assert ("unknown" in text) == (model == "a-new-one")
