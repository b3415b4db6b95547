"""The page in a real browser: silent, still, inert, and no wider than a phone."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from browsers import browser, opened, run
from hostile import HOSTILE, hostile
from test_page import TEMPLATE, Parsed

from cacheplan.page import page
from cacheplan.report import Review

#: The width of a small telephone, in pixels.
PHONE = 360


@pytest.fixture(scope="module", autouse=True)
def _browser() -> None:
    """Skip everything here where there is no browser."""
    browser()


@pytest.fixture(scope="module")
def wild() -> Review:
    """Review calls with all hostile words at once, wherever a caller can put them."""
    return hostile(" ".join(HOSTILE))


def written(text: str, folder: Path) -> Path:
    """Write a page to a file."""
    target = folder / "page.html"
    target.write_text(text, encoding="utf-8")
    return target


def test_the_browser_would_tell(tmp_path: Path) -> None:
    """A page that runs, fetches and complains is seen to do so: silence means something."""
    bad = (
        "<!DOCTYPE html><title>bad</title><img src='https://e.vil/x.png'>"
        "<script>document.title = 'broken'; console.error('heard')</script>"
    )
    seen = opened(written(bad, tmp_path), tmp_path)
    assert "<title>broken</title>" in seen.document
    assert any("heard" in line for line in seen.console)
    assert seen.fetched == ["https://e.vil/x.png"]


def test_hostile_words_do_nothing(wild: Review, tmp_path: Path) -> None:
    """Nothing runs, nothing is fetched, nothing is said, and every word is there as a word."""
    text = page(wild, TEMPLATE, show=True)
    assert re.search(r"saves \$[\d.]+", text)
    seen = opened(written(text, tmp_path), tmp_path)
    assert seen.console == []
    assert seen.fetched == []
    parsed = Parsed(seen.document)
    tame = Parsed(page(hostile("harmless words"), TEMPLATE, show=True))
    assert {tag for tag, _ in parsed.elements} == {tag for tag, _ in tame.elements} | {"tbody"}
    assert "<title>Prompt caching review</title>" in seen.document
    text = "".join(parsed.text)
    for words in HOSTILE:
        printable = [part for part in re.split(r"[^\x20-\x7e]+", words) if part]
        assert all(part in text for part in printable)


def test_styled(tmp_path: Path, wild: Review) -> None:
    """The page's own policy lets its own style through: drawings are as wide as they say."""
    measured = on_a_phone(page(wild, TEMPLATE), tmp_path)
    assert measured["font"] != "16px serif"
    assert measured["padding"] == "16px"


def test_phone(tmp_path: Path, wild: Review) -> None:
    """On a telephone nothing stands beside the screen, however long a word is."""
    assert on_a_phone(page(wild, TEMPLATE, show=True), tmp_path)["beside"] == "0"


def test_printed(tmp_path: Path, wild: Review) -> None:
    """The page can be printed, on more than one sheet and with all its drawings."""
    target = tmp_path / "page.pdf"
    run(written(page(wild, TEMPLATE), tmp_path), tmp_path, f"--print-to-pdf={target}")
    printed = target.read_bytes()
    assert printed.startswith(b"%PDF")
    sheets = re.search(rb"/Type /Pages.*?/Count (\d+)", printed, re.DOTALL)
    assert sheets is not None
    assert 2 <= int(sheets[1]) <= 60


def on_a_phone(text: str, folder: Path) -> dict[str, str]:
    """Return how much of a page stands beside the screen of a telephone, and its style.

    The page lets nobody look at it, so it stands in a frame and the frame's page looks.
    """
    around = f"""<!DOCTYPE html><title>around</title>
    <iframe id="phone" width="{PHONE}" height="700" frameborder="0"
            srcdoc="{html.escape(text, quote=True)}"></iframe>
    <script>
      const phone = document.getElementById("phone");
      phone.addEventListener("load", () => {{
        const page = phone.contentDocument, style = getComputedStyle(page.body);
        const root = page.documentElement;
        document.body.dataset.beside = root.scrollWidth - root.clientWidth;
        document.body.dataset.font = `${{style.fontSize}} ${{style.fontFamily}}`;
        document.body.dataset.padding = style.paddingLeft;
      }});
    </script>"""
    seen = opened(written(around, folder), folder)
    return dict(re.findall(r'data-(beside|font|padding)="([^"]*)"', seen.document))
