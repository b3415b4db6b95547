"""``python -m benchmarks NAME``: make one table, or list what there is."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

#: What can be measured, each by the module of its name.
TABLES = {
    "convert": "public traces and transcripts as workload files",
    "cost": "real packages and documented rules beside ours, priced on the same calls",
    "formats": "the table of the page on logs, from the readers and the kept logs",
    "fidelity": "recorded usage against the simulated cache, call by call",
    "scale": "how reading, simulating, planning and reviewing grow, to a million calls",
    "speed": "reading against json.loads, simulating by the second, start-up",
    "peers": "the same jobs beside the packages that do a like one, in times of ours",
    "policies": "every policy on every workload, beside the bound and the fixed rules",
    "overhead": "what the middleware adds to the SDK's own time, and memory over many calls",
    "readme": "the figures of the README, from the kept results",
    "rules": "the pages of the rules, from their docstrings",
    "memory": "the most memory that reading and simulating a large log takes",
    "transcripts": "a folder of Claude Code's transcripts against json.loads, and its peak",
}


def main(arguments: Sequence[str]) -> int:
    """Dispatch to the module that makes the table."""
    name, *rest = arguments or ("",)
    if name not in TABLES:
        for table, what in TABLES.items():
            print(f"python -m benchmarks {table:12} {what}")
        return 0 if name in {"", "--help"} else 2
    return int(importlib.import_module(f"benchmarks.{name}").main(rest) or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
