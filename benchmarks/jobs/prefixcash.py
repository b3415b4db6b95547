"""prefixcash: its diagnosis of the prompts of a log."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.jobs.turns import Job, by_turns, commanded, lines

__all__: list[str] = []

_CLI: Final = "from prefixcash.cli.main import cli"


def _usage(billed: dict[str, Any]) -> dict[str, int]:
    """Return the counters by its own names; the service's it takes for something else."""
    read, written = billed["cache_read_input_tokens"], billed["cache_creation_input_tokens"]
    return {
        "input_tokens": billed["input_tokens"] + read + written,
        "output_tokens": billed["output_tokens"],
        "cache_read_tokens": read,
        "cache_write_tokens": written,
    }


def _diagnose(log: str) -> Any:
    """Return ``prefixcash diagnose``, with messages and usage where it looks for them."""

    def make(folder: Path) -> Job:
        from prefixcash.cli.main import cli  # noqa: PLC0415

        path = folder / f"prefixcash-{log}"
        with path.open("w", encoding="utf-8") as stream:
            for line in lines(folder / log):
                body = line["request"]
                said = {"role": "system", "content": body["system"]}
                record = {
                    "ts": datetime.fromtimestamp(line["at"], UTC).isoformat(),
                    "session_id": line["session"],
                    "provider": "anthropic",
                    "model": body["model"],
                    "messages": [said, *body["messages"]],
                    "usage": _usage(line["response"]["usage"]),
                }
                stream.write(json.dumps(record) + "\n")
        return commanded(cli, ["diagnose", "--file", str(path)])

    return make


if __name__ == "__main__":
    by_turns(
        ("prefixcash",),
        {"review": (_CLI, _diagnose("log.jsonl")), "careless": (_CLI, _diagnose("careless.jsonl"))},
    )
