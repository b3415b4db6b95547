"""Makes ``bodies.jsonl.gz``: bodies and answers side by side, as people log them.

Run as ``python tests/logs/make_bodies.py``; last made with anthropic 2.12.0, 2026-11-21.
The conversation of ``lighthouse`` is sent to the imitated service once. What it charged
stands in ``bodies.usage.json``.
"""

from __future__ import annotations

import gzip
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import anthropic

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]

from lighthouse import ANSWERS, BODIES  # noqa: E402 -- found by the path above

from cacheplan.testing import FakeAnthropic  # noqa: E402


def main() -> None:
    """Send, and keep what was sent and what came back."""
    lines = []
    with (
        FakeAnthropic() as fake,
        anthropic.Anthropic(base_url=fake.url, api_key="any") as client,
    ):
        for body, content in zip(BODIES, ANSWERS, strict=True):
            fake.say(content)
            at = datetime.fromtimestamp(fake.now, UTC).isoformat()
            answer = client.messages.create(**body).to_dict(mode="json")
            lines.append({"timestamp": at, "request": body, "response": answer})
        usage = [line["response"]["usage"] for line in fake.lines()]
    with gzip.GzipFile(HERE / "bodies.jsonl.gz", "wb", mtime=0) as packed:
        packed.write("".join(json.dumps(line) + "\n" for line in lines).encode())
    (HERE / "bodies.usage.json").write_text(json.dumps(usage, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
