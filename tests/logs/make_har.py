"""Makes ``har.har.gz``: mitmproxy between the SDK and the imitated service.

Run as ``python tests/logs/make_har.py MITMDUMP`` with the program of mitmproxy, which wants
an environment of its own. Last made with mitmproxy 11.0.2 and anthropic 2.12.0, 2026-11-21.

The conversation of ``lighthouse`` is sent twice, first plain and then streamed. After it
come an overload, a stream that breaks off after three events, a count of tokens, a batch,
and a list of models. What the service charged stands in ``har.usage.json``.
"""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import anthropic

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]

from lighthouse import ANSWERS, BODIES  # noqa: E402 -- found by the path above

from cacheplan.testing import FakeAnthropic  # noqa: E402


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    """Wait until somebody listens on a port."""
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("mitmdump did not start")


def send(client: anthropic.Anthropic, fake: FakeAnthropic) -> None:
    """Send everything that the log is to hold."""
    for content in [*ANSWERS, *ANSWERS]:
        fake.say(content)
    for body in BODIES:
        client.messages.create(**body)
    for body in BODIES:
        with client.messages.stream(**body) as stream:
            stream.until_done()
    fake.fail(529)
    with suppress(anthropic.APIStatusError):
        client.messages.create(**BODIES[0])
    client.messages.count_tokens(model=BODIES[0]["model"], messages=BODIES[0]["messages"])
    requests: Any = [{"custom_id": "lamp", "params": BODIES[0]}]
    client.messages.batches.create(requests=requests)
    client.models.list()
    fake.reset(after=3)
    with (
        suppress(anthropic.APIError, ValueError),
        client.messages.stream(**BODIES[3]) as stream,
    ):
        stream.until_done()


def main(program: str) -> None:
    """Run the proxy, send, and keep what it saved."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, FakeAnthropic() as fake:
        saved = Path(folder) / "out.har"
        options = ["--mode", f"reverse:{fake.url}", "--listen-host", "127.0.0.1", "-p", str(port)]
        options += ["--set", f"hardump={saved}", "--set", f"confdir={folder}", "-q"]
        proxy = subprocess.Popen([program, *options])
        try:
            wait_for(port)
            address = f"http://127.0.0.1:{port}"
            key = "sk-ant-api03-lighthouse"
            with anthropic.Anthropic(base_url=address, api_key=key, max_retries=0) as client:
                send(client, fake)
            time.sleep(1)
        finally:
            proxy.terminate()
            proxy.wait()
        with gzip.GzipFile(HERE / "har.har.gz", "wb", mtime=0) as packed:
            packed.write(saved.read_bytes())
        usage = [call["response"]["usage"] for call in fake.lines()]
        (HERE / "har.usage.json").write_text(json.dumps(usage, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
