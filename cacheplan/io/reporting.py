"""A review in every form it can be written in, to a terminal, a pipe or a file."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Final, Protocol

import click

from cacheplan.io.writing import write_text

if TYPE_CHECKING:
    from cacheplan.report import Review

__all__ = ["REPORTS", "installed_version", "write"]

#: The width of what is no terminal.
_WIDTH: Final = 80
#: Columns beyond which lines are too long to be read, and below which nothing fits.
_WIDEST: Final = 160
_NARROWEST: Final = 60

#: How lines look on a terminal: nothing is said by colour alone.
_LOOKS: Final[Mapping[str, Mapping[str, object]]] = {
    "head": {"bold": True},
    "error": {"fg": "red", "bold": True},
    "warning": {"fg": "yellow", "bold": True},
    "note": {"bold": True},
    "before": {"fg": "red"},
    "after": {"fg": "green"},
}


def write(found: Review, form: str, output: str, *, show: bool, sources: Sequence[str]) -> None:
    """Write a review; only the text on a terminal knows its width and has colours."""
    if form == "text" and output == "-":
        from cacheplan.screen import plain

        text = found.text(show=show, width=_width(), pen=_pen if _coloured() else plain)
        click.echo(text, color=True)
        return
    write_text(output, REPORTS[form](found, show=show, sources=sources).rstrip("\n") + "\n")


def _width() -> int:
    """Return how wide the text is to be: a terminal's width, or what ``COLUMNS`` says."""
    if not sys.stdout.isatty() and not os.environ.get("COLUMNS", "").isdigit():
        return _WIDTH
    return min(max(shutil.get_terminal_size().columns, _NARROWEST), _WIDEST)


def _coloured() -> bool:
    """Tell whether colours would be seen, and nobody has asked for none (no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain


def _pen(text: str, look: str) -> str:
    """Write in colour."""
    return click.style(text, **_LOOKS.get(look, {}))  # type: ignore[arg-type]


def _review_text(found: Review, *, show: bool, sources: Sequence[str]) -> str:
    del sources
    return found.text(show=show)


def _review_json(found: Review, *, show: bool, sources: Sequence[str]) -> str:
    del sources
    return json.dumps(found.to_json(show=show), indent=2, ensure_ascii=False)


def _review_markdown(found: Review, *, show: bool, sources: Sequence[str]) -> str:
    from cacheplan.markdown import markdown

    del sources
    return markdown(found, show=show)


def _review_sarif(found: Review, *, show: bool, sources: Sequence[str]) -> str:
    from cacheplan.sarif import sarif

    document = sarif(found, version=installed_version(), sources=sources, show=show)
    return json.dumps(document, indent=2, ensure_ascii=False)


def _review_html(found: Review, *, show: bool, sources: Sequence[str]) -> str:
    from cacheplan.page import page

    del sources
    template = resources.files("cacheplan").joinpath("page.html").read_text(encoding="utf-8")
    return page(found, template, show=show)


def installed_version() -> str:
    """Return the version that is installed, empty where the sources are used as they lie."""
    from importlib import metadata

    try:
        return metadata.version("cacheplan")
    except metadata.PackageNotFoundError:
        return ""


class _Report(Protocol):
    """Writes a review in one form."""

    def __call__(self, found: Review, /, *, show: bool, sources: Sequence[str]) -> str:
        """Return the whole report, with prompt text or with its shape."""
        ...


#: What a review can be written as.
REPORTS: Final[Mapping[str, _Report]] = {
    "text": _review_text,
    "json": _review_json,
    "markdown": _review_markdown,
    "sarif": _review_sarif,
    "html": _review_html,
}
