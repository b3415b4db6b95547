"""A real browser, if one is installed: what it makes of a page, says of it, and fetches."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["Seen", "browser", "opened", "run"]

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "headless_shell")
#: What a browser does by itself is none of the page's business, and no name leads anywhere.
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr",
)  # fmt: skip
#: What the network log calls the initiator of what no page asked for.
ITS_OWN = "not an origin"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a browser made of a page."""

    #: The elements as it understood them, written out again.
    document: str
    #: What the page made it say on the console.
    console: list[str]
    #: What the page made it ask for, besides the page itself.
    fetched: list[str]


def browser() -> str:
    """Return the browser's name; without one the test is skipped."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no Chromium is installed here, so no browser has looked at the page")
    return found


def opened(page: Path, folder: Path) -> Seen:
    """Open a file in a browser that has never been used."""
    log = folder / "network.json"
    done = run(page, folder, f"--log-net-log={log}", "--dump-dom")
    lines = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Seen(document=done.stdout, console=lines, fetched=asked_for(log, page.as_uri()))


def run(page: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the browser once."""
    return subprocess.run(
        [browser(), *QUIET, f"--user-data-dir={folder / 'profile'}", *options, page.as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )


def asked_for(log: Path, page: str) -> list[str]:
    """Return the addresses that a page asked for, of all that its browser's log tells of."""
    text = log.read_text(encoding="utf-8")
    try:
        found = json.loads(text)
    except json.JSONDecodeError:  # A browser that ends quickly does not close the list.
        found = json.loads(f"{text.rstrip().rstrip(',')}]}}")
    asked = (event.get("params") or {} for event in found["events"])
    return sorted(
        {
            params["url"]
            for params in asked
            if "url" in params and params.get("initiator", ITS_OWN) != ITS_OWN
        }
        - {page}
    )
