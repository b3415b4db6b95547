"""Makes ``har_browser.har.gz``: a page that calls the imitated service, in a real browser.

Run as ``python tests/logs/make_har_browser.py CHROMIUM`` in an environment that has the
package playwright as well. Last made with playwright 1.65.1 and Chromium 156, 2026-11-21.

The conversation of ``lighthouse`` is sent twice, first plain and then streamed, behind a
page that is none of it. What the service charged stands in ``har_browser.usage.json``.
"""

from __future__ import annotations

import gzip
import importlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]

from lighthouse import ANSWERS, BODIES  # noqa: E402 -- found by the path above

from cacheplan.testing import FakeAnthropic  # noqa: E402

SENT = """async body => {
    const headers = {"content-type": "application/json", "x-api-key": "sk-ant-api03-lighthouse"};
    const options = {method: "POST", headers, body: JSON.stringify(body)};
    return await (await fetch("/v1/messages", options)).text();
}"""


def main(program: str) -> None:
    """Open the browser, send, and keep what it saved."""
    driven: Any = importlib.import_module("playwright.sync_api")
    with tempfile.TemporaryDirectory() as folder, FakeAnthropic() as fake:
        saved = Path(folder) / "out.har"
        for content in [*ANSWERS, *ANSWERS]:
            fake.say(content)
        with driven.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            context = browser.new_context(record_har_path=saved, record_har_content="embed")
            page = context.new_page()
            page.goto(f"{fake.url}/lamps")
            for body in [*BODIES, *(body | {"stream": True} for body in BODIES)]:
                page.evaluate(SENT, body)
            context.close()
            browser.close()
        with gzip.GzipFile(HERE / "har_browser.har.gz", "wb", mtime=0) as packed:
            packed.write(saved.read_bytes())
        text = json.dumps([line["response"]["usage"] for line in fake.lines()], indent=1)
    (HERE / "har_browser.usage.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
