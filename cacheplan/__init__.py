"""What prompt caching would cost for your calls to Claude, before you send one.

    calls = cacheplan.read("calls.jsonl")
    print(cacheplan.compare(calls))

Everything else is in the modules by name: `facts` and `prices` are the tables,
`simulator` is the service's cache, `policies` are the ways to place marks.
"""

from __future__ import annotations

from cacheplan.assumptions import Assumptions
from cacheplan.errors import CacheplanError
from cacheplan.io.door import check, compare, explain, project
from cacheplan.io.reading import read
from cacheplan.prices import Sheet
from cacheplan.usage import Usage
from cacheplan.wire import mark, unmark
from cacheplan.workload import Workload

__all__ = [
    "Assumptions",
    "CacheplanError",
    "Sheet",
    "Usage",
    "Workload",
    "check",
    "compare",
    "explain",
    "mark",
    "project",
    "read",
    "unmark",
]
