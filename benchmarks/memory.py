"""The most memory that reading and simulating a log takes, by its size.

Each log goes through a pipe into a process of its own, so that nothing but the reader
holds it, and that process says its own peak.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Final

from benchmarks.logs import Agents
from benchmarks.tabling import publish, section

__all__ = ["main"]

#: Megabytes of log, and how much memory the largest may take.
SIZES: Final = (0, 100, 300, 1000)
BAR: Final = 300
_TURNS: Final = 60
#: More conversations than the largest log holds; it ends at its size.
_CONVERSATIONS: Final = 1000

#: Reads standard input, and prints calls, prefixes and its peak in kilobytes.
_READER: Final = """
import resource
import cacheplan
from cacheplan.policies import as_marked
from cacheplan.projection import replay
from cacheplan.prices import Sheet
workload = cacheplan.read("-")
for _ in replay(workload, as_marked(workload), Sheet.default()):
    pass
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(len(workload), len(workload.tree), peak)
"""


def main(arguments: Sequence[str]) -> int:
    """Measure every size; arguments are sizes in megabytes instead."""
    rows = [_measure(int(size)) for size in arguments or SIZES]
    columns = ("log, MB", "calls", "prefixes", "peak, MB")
    page = section(
        "Peak memory",
        columns,
        [(row["megabytes"], row["calls"], row["prefixes"], row["peak_megabytes"]) for row in rows],
        f"The bar: {BAR} MB for a log of 1 GB. Conversations of {_TURNS} turns, whole history"
        " each time; default counter. The first row is one call: what the libraries and the"
        " vocabulary take.",
    )
    publish("memory", "Memory", {"logs": rows}, [page])
    return 0


def _measure(megabytes: int) -> dict[str, Any]:
    """Feed one log through a pipe."""
    reader = subprocess.Popen(
        [sys.executable, "-c", _READER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert reader.stdin is not None
    assert reader.stdout is not None
    size = 0
    for line in Agents(conversations=_CONVERSATIONS, turns=_TURNS).lines():
        size += reader.stdin.write(line + b"\n")
        if sys.stderr.isatty():
            print(f"\r{size / 1e6:,.0f} of {megabytes:,} MB", end="", file=sys.stderr)
        if size >= megabytes * 1e6:
            break
    reader.stdin.close()
    calls, prefixes, peak = map(int, reader.stdout.read().split())
    reader.wait()
    # Kilobytes on Linux, bytes on macOS.
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return {
        "megabytes": round(size / 1e6),
        "calls": calls,
        "prefixes": prefixes,
        "peak_megabytes": round(peak / unit),
    }
