"""Make ``batches_*``: one conversation as a Message Batch, and its results.

    PYTHONPATH=.:tests python tests/logs/make_batches.py      # from the root of the repository

Run with anthropic 2.12.0. The SDK sends the batch to the double and fetches the results,
which are kept as they came over the wire; the body of the batch is kept as it arrived.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, Final

import anthropic
import httpx2
from lighthouse import ANSWERS, BODIES

from cacheplan import Assumptions
from cacheplan.testing import FakeAnthropic

HERE: Final = Path(__file__).parent


def write(name: str, content: bytes) -> None:
    """Keep one file, the same bytes for the same content."""
    (HERE / name).write_bytes(gzip.compress(content, mtime=0))


def main() -> None:
    """Send the batch, and one more with a request that is refused."""
    fake = FakeAnthropic(assume=Assumptions(batch_hit_rate=0.98))
    for said in ANSWERS:
        fake.say(said)
    with fake, anthropic.Anthropic(base_url=fake.url, api_key="sk-ant-secret") as client:
        batches: Any = client.messages.batches
        requests = [
            {"custom_id": f"night-{number}", "params": body} for number, body in enumerate(BODIES)
        ]
        refused = {**BODIES[0], "max_tokens": -1}
        requests.append({"custom_id": "night-refused", "params": refused})
        batch = batches.create(requests=requests)
        ended = batches.retrieve(batch.id)
        results = httpx2.get(ended.results_url, headers={"x-api-key": "sk-ant-secret"})
        sent = next(one.body for one in fake.received if one.path.endswith("/batches"))
    write("batches_requests.json.gz", json.dumps(sent).encode())
    lines = (json.dumps(one) + "\n" for one in sent["requests"])
    write("batches_requests.jsonl.gz", "".join(lines).encode())
    write("batches_results.jsonl.gz", results.content)


if __name__ == "__main__":
    main()
